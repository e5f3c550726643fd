import { Address, type AddressKind } from "../../core/addresses/address.ts";
import type { Broker } from "../../core/broker.ts";
import { BrokerError } from "../../core/errors.ts";
import { type Envelope, Message } from "../../core/message.ts";
import { Output } from "../../core/output.ts";
import type { ClientListener, Consumer, Delivery, Outcome, Peer, PeerIdentity, Session } from "../../core/protocol.ts";
import type { SubscribeOptions } from "../../core/subscription.ts";
import { stompFormat } from "../../protocols/stomp/convert.ts";
import type { Version } from "../../protocols/stomp/escape.ts";
import { createStomp, type StompOptions } from "../../protocols/stomp/protocol.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { type Read, readFrames } from "./reading.ts";

export const OPTIONS: StompOptions = {
  maxHeaders: 100,
  maxHeaderBytes: 1000,
  maxFrameHeaderBytes: 5000,
  maxBody: 1_000_000,
  connectTimeoutMs: 10_000,
  heartBeatSendMs: 10_000,
  heartBeatReceiveMs: 10_000,
  heartBeatGrace: 1.5,
  errorCloseDelayMs: 1000,
  maxReceiptsWaiting: 1000,
  creditMessages: 500,
  creditBytes: 5000,
  maxSubscriptions: 5,
  maxTransactions: 3,
};

/** The other end of a session, with all that was written to it. */
export class FakePeer implements Peer {
  readonly id = "stomp-1";
  readonly output: Output;
  readonly remoteAddress = "127.0.0.1:1";
  readonly localAddress = "127.0.0.1:2";
  readonly listener = "test";
  readonly transport = "tcp";
  readonly subprotocol = undefined;
  lastReceivedAt = 0;
  lastWrittenAt = 0;
  readonly bytesReceived = 0;
  readonly bytesWritten = 0;
  paused = false;
  closedFor: string | undefined = undefined;
  identity: PeerIdentity = {};

  constructor(highWater: number) {
    this.output = new Output(highWater, () => {});
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(reason: string): void {
    this.closedFor ??= reason;
  }

  identify(identity: PeerIdentity): void {
    this.identity = { ...this.identity, ...identity };
  }
}

export class FakeTransaction {
  ended: "committed" | "aborted" | undefined = undefined;
  commit(): void {
    this.ended = "committed";
  }
  abort(): void {
    this.ended = "aborted";
  }
}

export class FakeSubscription {
  readonly options: SubscribeOptions;
  readonly granted: [number, number][] = [];
  autoRefill = true;
  closed = false;
  readies = 0;
  constructor(options: SubscribeOptions) {
    this.options = options;
  }
  get consumer(): Consumer {
    return this.options.consumer;
  }
  ready(): void {
    this.readies++;
  }
  grant(messages: number, bytes: number): void {
    this.granted.push([messages, bytes]);
  }
  close(): void {
    this.closed = true;
  }
}

interface Published {
  readonly addresses: readonly string[];
  readonly message: Message;
  readonly transaction: FakeTransaction | undefined;
}

/** Stands in for the core's client: writes down what it is asked for. */
export class FakeClient {
  readonly id: string;
  readonly user = "joe";
  readonly login = { user: "joe", groups: [] };
  readonly host = { name: "default" };
  blocked = false;
  closed = false;
  /** Block after every publish. */
  blocks = false;
  routes = 0;
  readonly published: Published[] = [];
  readonly retained: (Message | undefined)[] = [];
  readonly subscriptions: FakeSubscription[] = [];
  readonly settled: { delivery: Delivery; outcome: Outcome; transaction: FakeTransaction | undefined }[] = [];
  readonly transactions: FakeTransaction[] = [];
  readonly deleted: string[] = [];
  /** Confirm by hand. */
  holdsConfirms = false;
  readonly confirms: (string | number)[] = [];
  readonly #listener: ClientListener;

  constructor(id: string, listener: ClientListener) {
    this.id = id;
    this.#listener = listener;
  }

  route(addresses: readonly Address[]) {
    this.routes++;
    if (addresses.some((address) => address.name === "forbidden"))
      throw new BrokerError("not-authorized", "joe may not");
    return { addresses, check: () => {} };
  }
  publish(route: { addresses: readonly Address[] }, message: Message, transaction?: FakeTransaction): void {
    this.published.push({
      addresses: route.addresses.map((address) => `${address.kind} ${address.name}`),
      message,
      transaction,
    });
    if (this.blocks) this.blocked = true;
  }
  retain(_route: unknown, message: Message | undefined): void {
    this.retained.push(message);
  }
  subscribe(options: SubscribeOptions): FakeSubscription {
    const subscription = new FakeSubscription(options);
    this.subscriptions.push(subscription);
    return subscription;
  }
  deleteDurable(id: string): void {
    this.deleted.push(id);
  }
  settle(_subscription: unknown, settled: Delivery, outcome: Outcome, transaction?: FakeTransaction): void {
    this.settled.push({ delivery: settled, outcome, transaction });
  }
  begin(): FakeTransaction {
    const transaction = new FakeTransaction();
    this.transactions.push(transaction);
    return transaction;
  }
  confirm(token: string | number): void {
    if (this.holdsConfirms) this.confirms.push(token);
    else this.#listener.confirmed(token);
  }
  confirmAll(): void {
    for (const token of this.confirms.splice(0)) this.#listener.confirmed(token);
  }
  unblock(): void {
    this.blocked = false;
    this.#listener.unblocked();
  }
  evict(reason: string): void {
    this.#listener.evicted(reason);
  }
  temporary(kind: AddressKind, name: string): Address {
    return new Address(kind, ["temp", this.id, name]);
  }
  close(): void {
    this.closed = true;
  }
}

/** Stands in for the core's broker; sessions of one world share one protocol instance. */
export class World {
  readonly clock = new VirtualClock();
  readonly clients: FakeClient[] = [];
  readonly logins: { user: string | undefined; password: string | undefined }[] = [];
  readonly protocol;
  readonly options: StompOptions;

  constructor(options: Partial<StompOptions> = {}) {
    this.options = { ...OPTIONS, ...options };
    this.protocol = createStomp(this.options);
  }

  connection(highWater = 1 << 20): Connection {
    const peer = new FakePeer(highWater);
    peer.lastReceivedAt = peer.lastWrittenAt = this.clock.now();
    const broker = {
      clock: this.clock,
      name: "harbour",
      version: "9.9",
      host: (name: string | undefined) =>
        name === "nowhere"
          ? undefined
          : {
              name: "default",
              connect: ({ listener }: { listener: ClientListener }) => {
                const client = new FakeClient(`default-${this.clients.length + 1}`, listener);
                this.clients.push(client);
                return client;
              },
            },
      login: (credentials: { user: string | undefined; password: string | undefined }) => {
        this.logins.push({ user: credentials.user, password: credentials.password });
        return credentials.password === "wrong"
          ? Promise.reject(new BrokerError("not-authenticated", "wrong password"))
          : Promise.resolve({ user: "joe", groups: [] });
      },
    };
    // Only what a session uses of a broker is there.
    return new Connection(this, peer, this.protocol.accept(peer, broker as unknown as Broker));
  }

  /** A connection that is logged in, with CONNECTED read. */
  async connect(version: Version = "1.2", highWater?: number): Promise<Connection> {
    const connection = this.connection(highWater);
    connection.send(`CONNECT\naccept-version:${version}\nhost:x\nlogin:joe\npasscode:secret\n\n\0`);
    await connection.login();
    connection.read();
    return connection;
  }
}

/** One connection to a session, scripted. */
export class Connection {
  readonly peer: FakePeer;
  readonly session: Session;
  readonly #world: World;
  #client: FakeClient | undefined = undefined;
  #version: Version = "1.2";

  constructor(world: World, peer: FakePeer, session: Session) {
    this.#world = world;
    this.peer = peer;
    this.session = session;
  }

  /** The core's side, once logged in. */
  get client(): FakeClient {
    if (this.#client === undefined) throw new Error("not logged in");
    return this.#client;
  }

  send(text: string): void {
    const version = /accept-version:([^\n]*)/.exec(text)?.[1];
    if (version === "1.0" || version === "1.1") this.#version = version;
    this.peer.lastReceivedAt = this.#world.clock.now();
    this.session.receive(Buffer.from(text));
  }

  /** Lets a pending login finish. */
  async login(): Promise<void> {
    const before = this.#world.clients.length;
    await new Promise(setImmediate);
    if (this.#world.clients.length > before) this.#client = this.#world.clients.at(-1);
  }

  /** What was written since the last look, raw. */
  raw(): Buffer {
    const bytes = Buffer.concat(this.peer.output.take());
    if (bytes.length > 0) this.peer.lastWrittenAt = this.#world.clock.now();
    this.peer.output.full = false;
    return bytes;
  }

  /** The frames written since the last look. */
  read(): Read[] {
    const bytes = this.raw();
    return readFrames([bytes], bytes.includes("CONNECTED\n") ? undefined : this.#version, {
      maxHeaders: 1000,
      maxHeaderBytes: 10_000,
      maxFrameHeaderBytes: 100_000,
      maxBody: 1 << 24,
    });
  }

  /** The only frame written since the last look, as an object. */
  only(): { command: string; headers: Record<string, string>; body: string } {
    const [frame, ...others] = this.read();
    if (frame === undefined || others.length > 0) throw new Error(`${others.length + (frame ? 1 : 0)} frames, not one`);
    const headers: Record<string, string> = {};
    for (const [key, value] of frame.headers) headers[key] ??= value;
    return { command: frame.command, headers, body: frame.body };
  }

  /** Subscribes and returns the core's side of it. */
  subscribe(headers: string): FakeSubscription {
    this.send(`SUBSCRIBE\n${headers}\n\n\0`);
    const subscription = this.client.subscriptions.at(-1);
    if (subscription === undefined) throw new Error(`no subscription: ${this.raw().toString()}`);
    return subscription;
  }
}

/** A delivery to be told from others. */
export function delivery(deliveries = 0, sequence = 0): Delivery {
  return { message: undefined, size: 0, deliveries, sequence };
}

/** A message as it is stored after it came by STOMP: header lines, then the body. */
export function stored(headers: string, body: string | Buffer = "", envelope: Partial<Envelope> = {}): Message {
  const head = Buffer.from(`${headers}\n\n`);
  const data = Buffer.concat([Buffer.from("before"), head, Buffer.from(body), Buffer.from("\0after")]);
  const address = new Address("queue", ["a"]);
  const complete = { address, durable: false, priority: 4, expiresAt: 0, receivedAt: 0, ...envelope };
  const bodyStart = 6 + head.length;
  return new Message(stompFormat, complete, data, 6, data.length - 5, bodyStart, data.length - 6);
}

/** A stored frame as text. */
export function frameText(message: Message): string {
  return message.data.toString("utf8", message.start, message.end);
}
