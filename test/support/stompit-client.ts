import stompit, { type Client, type Headers, type IncomingFrame, type SendOptions } from "stompit";
import { onTestFinished } from "vitest";
import { eventually } from "./eventually.ts";

/** A message as stompit gave it, read to its end. */
export interface Got {
  readonly frame: IncomingFrame;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What one subscription was sent, in order. */
export class Inbox {
  readonly got: Got[] = [];
  /** Told of each as it comes. */
  heard: ((message: Got) => void) | undefined = undefined;

  get bodies(): string[] {
    return this.got.map(({ body }) => body);
  }

  /** Waits until there are so many, and gives them. */
  async first(count: number): Promise<Got[]> {
    await eventually(() => this.got.length >= count);
    return this.got.slice(0, count);
  }

  /** Waits for the message at this place, counted from 0. */
  async at(place: number): Promise<Got> {
    const got = (await this.first(place + 1))[place];
    if (got === undefined) throw new Error(`There is no message ${place}`);
    return got;
  }
}

/** stompit with everything confirmed by receipts, so that what a test says has happened when it goes on. */
export class StompitClient {
  readonly client: Client;
  private transactions = 0;

  private constructor(client: Client) {
    this.client = client;
  }

  /** Connects; by TLS if it is told which authority to trust. */
  static connect(port: number, connectHeaders: Headers = {}, ca?: string): Promise<StompitClient> {
    const secure = ca === undefined ? {} : { ssl: true, ca };
    return new Promise((resolve, reject) => {
      stompit.connect({ host: "127.0.0.1", port, connectHeaders, noDelay: true, ...secure }, (error, client) => {
        if (error !== null) {
          reject(error);
          return;
        }
        // It also reaches whoever waits for a receipt.
        client.on("error", () => {});
        client.setMaxListeners(0);
        onTestFinished(() => client.destroy());
        resolve(new StompitClient(client));
      });
    });
  }

  /** Rejects with the text of an ERROR frame. */
  send(destination: string, body: string | Buffer, headers: Headers = {}): Promise<void> {
    return confirmed((options) => this.client.send({ destination, ...headers }, options).end(body));
  }

  /** Sends without waiting for anything. */
  post(destination: string, body: string, headers: Headers = {}): void {
    this.client.send({ destination, ...headers }).end(body);
  }

  /** Resolves when the broker has the subscription. */
  async subscribe(destination: string, headers: Headers = {}): Promise<Inbox> {
    const inbox = new Inbox();
    this.client.subscribe({ destination, ...headers }, (error, frame) => {
      if (error !== null) return;
      const chunks: Buffer[] = [];
      frame.on("data", (chunk: Buffer) => chunks.push(chunk));
      frame.on("end", () => {
        const got = { frame, headers: frame.headers, body: Buffer.concat(chunks).toString(), at: Date.now() };
        inbox.got.push(got);
        inbox.heard?.(got);
      });
    });
    await this.settled();
    return inbox;
  }

  /** What the broker was told before is done, and what it sent meanwhile is here. */
  async settled(): Promise<void> {
    const transaction = `settled-${++this.transactions}`;
    await confirmed((options) => this.client.sendFrame("BEGIN", { transaction }, options).end());
    await confirmed((options) => this.client.sendFrame("ABORT", { transaction }, options).end());
  }

  ack({ frame }: Got): Promise<void> {
    return confirmed((options) => this.client.ack(frame, {}, options));
  }

  nack({ frame }: Got): Promise<void> {
    return confirmed((options) => this.client.nack(frame, {}, options));
  }

  disconnect(): Promise<unknown> {
    return new Promise((resolve) => this.client.disconnect(resolve));
  }

  /** The connection is gone, and nothing was said before. */
  die(): void {
    this.client.destroy();
  }
}

function confirmed(act: (options: SendOptions) => void): Promise<void> {
  return new Promise((resolve, reject) => act({ onReceipt: resolve, onError: reject }));
}
