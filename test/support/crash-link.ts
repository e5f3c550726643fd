import { connect, type Socket } from "node:net";

/** A frame as it came; the first header of a name counts. */
export interface LinkFrame {
  readonly command: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** What happens on a link. */
export interface LinkListener {
  /** A MESSAGE, or an ERROR that nothing here asked for. */
  frame(frame: LinkFrame): void;
  /** All frames of one chunk were handled. */
  handled?(): void;
}

const NUL = 0;

/** A STOMP 1.2 client as small as can be, over bodies without NUL: the crash tests must know what was read and when. */
export class Link {
  /** Resolves once no byte can come any more. */
  readonly closed: Promise<void>;
  over = false;
  private readonly socket: Socket;
  private readonly listener: LinkListener;
  private readonly waiting = new Map<string, () => void>();
  private readonly connected: (frame: LinkFrame) => void;
  private left: Buffer = Buffer.alloc(0);
  private lastReceipt = 0;

  private constructor(socket: Socket, listener: LinkListener, connected: (frame: LinkFrame) => void) {
    this.socket = socket;
    this.listener = listener;
    this.connected = connected;
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.over = true;
        resolve();
      });
    });
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
  }

  /** Connects and logs in; undefined when the broker is gone before that is done. */
  static open(port: number, listener: LinkListener): Promise<Link | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      // A killed broker resets its connections: that is what the tests are about.
      socket.on("error", () => {});
      const link: Link = new Link(socket, listener, (frame) => {
        if (frame.command !== "CONNECTED") throw new Error(`The broker said ${frame.command}: ${frame.body}`);
        resolve(link);
      });
      void link.closed.then(() => resolve(undefined));
      link.send("CONNECT", { "accept-version": "1.2", host: "localhost" });
    });
  }

  /** Receipts asked for and not received. */
  get unconfirmed(): number {
    return this.waiting.size;
  }

  send(command: string, headers: Readonly<Record<string, string>>, body = ""): void {
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
    this.socket.write(`${command}\n${lines.join("")}\n${body}\0`);
  }

  /** Sends a frame that asks for a receipt. */
  ask(command: string, headers: Readonly<Record<string, string>>, body: string, confirmed: () => void): void {
    const receipt = String(++this.lastReceipt);
    this.waiting.set(receipt, confirmed);
    this.send(command, { ...headers, receipt }, body);
  }

  /** The same; false when the connection ends first. */
  async request(command: string, headers: Readonly<Record<string, string>>, body = ""): Promise<boolean> {
    let received = false;
    const confirmed = new Promise<void>((resolve) => {
      this.ask(command, headers, body, () => {
        received = true;
        resolve();
      });
    });
    await Promise.race([confirmed, this.closed]);
    return received;
  }

  /** Ends as a crashed client does. What comes from now on is not read. */
  die(): void {
    this.over = true;
    this.socket.resetAndDestroy();
  }

  private receive(chunk: Buffer): void {
    if (this.over) return;
    let bytes = this.left.length === 0 ? chunk : Buffer.concat([this.left, chunk]);
    for (let end = bytes.indexOf(NUL); end >= 0 && !this.over; end = bytes.indexOf(NUL)) {
      this.handle(parse(bytes.toString("utf8", 0, end)));
      bytes = bytes.subarray(end + 1);
    }
    this.left = bytes;
    if (!this.over) this.listener.handled?.();
  }

  private handle(frame: LinkFrame): void {
    if (frame.command === "CONNECTED" || (frame.command === "ERROR" && frame.headers.has("version"))) {
      this.connected(frame);
      return;
    }
    if (frame.command !== "RECEIPT") {
      this.listener.frame(frame);
      return;
    }
    const receipt = frame.headers.get("receipt-id") ?? "";
    const confirmed = this.waiting.get(receipt);
    if (confirmed === undefined) throw new Error(`An unknown receipt, or one that came twice: ${receipt}`);
    this.waiting.delete(receipt);
    confirmed();
  }
}

function parse(text: string): LinkFrame {
  const start = text.search(/[^\n]/);
  const headersEnd = text.indexOf("\n\n", start);
  const [command = "", ...lines] = text.slice(start, headersEnd).split("\n");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    if (!headers.has(name)) headers.set(name, unescape(line.slice(colon + 1)));
  }
  return { command, headers, body: text.slice(headersEnd + 2) };
}

function unescape(text: string): string {
  return text.replaceAll(/\\[crn\\]/g, (escaped) => ESCAPED[escaped] ?? escaped);
}

const ESCAPED: Readonly<Record<string, string>> = { "\\c": ":", "\\r": "\r", "\\n": "\n", "\\\\": "\\" };
