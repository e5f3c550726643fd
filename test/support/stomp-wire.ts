import { Wire } from "./wire.ts";

/** A version of STOMP, as these frames are spelled and read. */
export type StompVersion = "1.0" | "1.1" | "1.2";

/** Header lines; a list where one name comes twice or the order matters. */
export type HeaderLines = Readonly<Record<string, string>> | readonly (readonly [string, string])[];

/** A frame from the broker. */
export interface ReceivedFrame {
  readonly command: string;
  /** Unescaped by the version; the first of a name counts. */
  readonly headers: ReadonlyMap<string, string>;
  /** The header lines as they came. */
  readonly lines: readonly string[];
  readonly body: Buffer;
}

/** A STOMP client made of nothing but frames: it neither answers nor checks anything by itself. */
export class StompWire implements Disposable {
  readonly wire: Wire;
  readonly version: StompVersion;
  /** What CONNECTED said; empty before. */
  session: ReadonlyMap<string, string> = new Map();
  private inbox: ReceivedFrame[] = [];
  private receipts = 0;

  private constructor(wire: Wire, version: StompVersion) {
    this.wire = wire;
    this.version = version;
  }

  /** A connection on which nothing was said yet. */
  static async open(port: number | Wire, version: StompVersion = "1.2"): Promise<StompWire> {
    return new StompWire(await Wire.over(port), version);
  }

  /** A connection that has logged in. */
  static async connect(
    port: number,
    options: { readonly version?: StompVersion; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<StompWire> {
    const { version = "1.2", headers = {} } = options;
    const client = await StompWire.open(port, version);
    const negotiation = version === "1.0" ? {} : { "accept-version": version, host: "localhost" };
    await client.sendPlain("CONNECT", { ...negotiation, ...headers });
    client.session = (await client.expect("CONNECTED")).headers;
    return client;
  }

  /** Sends a frame, its headers escaped as the version does it. */
  send(command: string, headers: HeaderLines = {}, body: string | Uint8Array = ""): Promise<void> {
    return this.wire.send(this.encode(command, headers, body));
  }

  /** Sends a frame whose headers go out as they are. */
  sendPlain(command: string, headers: HeaderLines = {}, body: string | Uint8Array = ""): Promise<void> {
    return this.wire.send(encodeLines(command, headers, body, (text) => text));
  }

  encode(command: string, headers: HeaderLines = {}, body: string | Uint8Array = ""): Buffer {
    return encodeLines(command, headers, body, (text) => escapeHeader(text, this.version));
  }

  /** Sends a frame with a receipt and waits for that; what else comes before it is kept for `next`. */
  async request(
    command: string,
    headers: Readonly<Record<string, string>> = {},
    body: string | Uint8Array = "",
  ): Promise<void> {
    const receipt = `receipt-${++this.receipts}`;
    await this.send(command, { ...headers, receipt }, body);
    await this.receipt(receipt);
  }

  async receipt(id: string): Promise<void> {
    const before: ReceivedFrame[] = [];
    for (;;) {
      const frame = await this.next();
      if (frame.command === "ERROR") throw new Error(`ERROR instead of receipt ${id}: ${frame.headers.get("message")}`);
      if (frame.command === "RECEIPT" && frame.headers.get("receipt-id") === id) break;
      before.push(frame);
    }
    this.inbox.unshift(...before);
  }

  /** The next frame, whichever it is. */
  async next(): Promise<ReceivedFrame> {
    const kept = this.inbox.shift();
    if (kept !== undefined) return kept;
    let head = "";
    // What is only ends of line is a heart-beat.
    while (head === "") head = (await this.wire.frame("\n\n")).replace(/^[\r\n]+/, "");
    const [command = "", ...lines] = head.split("\n");
    const headers = new Map<string, string>();
    const plain = command === "CONNECTED" || command === "CONNECT";
    for (const line of lines) {
      const colon = line.indexOf(":");
      const [key, value] = [line.slice(0, colon), line.slice(colon + 1)].map((text) =>
        plain ? text : unescapeHeader(text, this.version),
      );
      if (key !== undefined && value !== undefined && !headers.has(key)) headers.set(key, value);
    }
    const length = headers.get("content-length");
    let body: Buffer;
    if (length === undefined) {
      body = Buffer.from(await this.wire.frame("\0"));
    } else {
      body = await this.wire.take(Number(length));
      await this.wire.expect("\0");
    }
    return { command, headers, lines, body };
  }

  /** The next frame, which must be this one. */
  async expect(command: string): Promise<ReceivedFrame> {
    const frame = await this.next();
    if (frame.command === command) return frame;
    const head = [...frame.headers].map(([key, value]) => `${key}:${value}`).join(" ");
    throw new Error(`Expected ${command}, received ${frame.command} ${head} ${frame.body.toString("utf8", 0, 100)}`);
  }

  message(): Promise<ReceivedFrame> {
    return this.expect("MESSAGE");
  }

  /** The bodies of the next messages, as text. */
  async bodies(count: number): Promise<string[]> {
    const bodies: string[] = [];
    while (bodies.length < count) bodies.push((await this.message()).body.toString());
    return bodies;
  }

  /** Acknowledges (or with NACK refuses) a message in the words of the version. */
  ack(message: ReceivedFrame, headers: Readonly<Record<string, string>> = {}, command = "ACK"): Promise<void> {
    return this.send(command, { ...this.acknowledging(message), ...headers });
  }

  /** The headers that say which message an ACK is about. */
  acknowledging(message: ReceivedFrame): Record<string, string> {
    if (this.version === "1.2") return { id: message.headers.get("ack") ?? "" };
    const id = { "message-id": message.headers.get("message-id") ?? "" };
    return this.version === "1.0" ? id : { ...id, subscription: message.headers.get("subscription") ?? "" };
  }

  /** The text of the ERROR frame that comes next, after which the connection ends. */
  async refused(): Promise<string> {
    const error = await this.expect("ERROR");
    this.wire.finish();
    await this.wire.closed();
    return error.headers.get("message") ?? "";
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
  }
}

function encodeLines(
  command: string,
  headers: HeaderLines,
  body: string | Uint8Array,
  spell: (text: string) => string,
): Buffer {
  const lines: readonly (readonly [string, string])[] = isList(headers) ? headers : Object.entries(headers);
  const head = lines.map(([key, value]) => `${spell(key)}:${spell(value)}\n`).join("");
  return Buffer.concat([Buffer.from(`${command}\n${head}\n`), Buffer.from(body), Buffer.from([0])]);
}

function isList(headers: HeaderLines): headers is readonly (readonly [string, string])[] {
  return Array.isArray(headers);
}

function escapeHeader(text: string, version: StompVersion): string {
  if (version === "1.0") return text;
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll(":", "\\c");
  return version === "1.2" ? escaped.replaceAll("\r", "\\r") : escaped;
}

function unescapeHeader(text: string, version: StompVersion): string {
  if (version === "1.0") return text;
  return text.replace(/\\(.)/g, (escaped, letter: string) => {
    if (letter === "n") return "\n";
    if (letter === "r" && version === "1.2") return "\r";
    if (letter === "c") return ":";
    if (letter === "\\") return "\\";
    throw new Error(`STOMP ${version} has no escape ${escaped}`);
  });
}
