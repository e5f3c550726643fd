import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, TLSSocket } from "node:tls";

const PATIENCE_MS = 10_000;

/** The far end of a TCP connection, scripted by bytes. */
export class Wire {
  /** `127.0.0.1:50312`, as the broker calls this end. */
  readonly address: string;
  private readonly socket: Socket;
  private chunks: Buffer[] = [];
  private length = 0;
  private ended = false;
  private error: Error | undefined = undefined;
  private changed: (() => void) | undefined = undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.address = `${socket.localAddress}:${socket.localPort}`;
    socket.on("data", (chunk) => {
      this.chunks.push(chunk);
      this.length += chunk.length;
      this.changed?.();
    });
    socket.on("end", () => this.end());
    socket.on("close", () => this.end());
    socket.on("error", (error) => {
      this.error = error;
    });
  }

  /** Connects; what the other side sends first is kept. */
  static connect(port: number, host = "127.0.0.1"): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true, allowHalfOpen: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Wire(socket));
      });
    });
  }

  /** A connection to a port, or the one that is given. */
  static async over(port: number | Wire): Promise<Wire> {
    return typeof port === "number" ? Wire.connect(port) : port;
  }

  /** Connects by TLS, trusting the authority given as `ca`; rejects when the handshake fails. */
  static secure(port: number, options: ConnectionOptions): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connectTls({ port, host: "127.0.0.1", ...options });
      socket.setNoDelay();
      socket.once("error", reject);
      socket.once("secureConnect", () => {
        socket.off("error", reject);
        resolve(new Wire(socket));
      });
    });
  }

  /** The socket of TLS, for what only that knows. */
  get tls(): TLSSocket {
    if (this.socket instanceof TLSSocket) return this.socket;
    throw new Error("This wire is not of TLS");
  }

  /** What has come and was not taken yet. */
  get collected(): Buffer {
    // Once for all chunks that came together: to copy what is left for every frame takes long when there is much of it.
    const all = this.chunks.length === 1 ? this.chunks[0] : undefined;
    if (all !== undefined) return all;
    const joined = Buffer.concat(this.chunks);
    this.chunks = [joined];
    return joined;
  }

  /** Sends bytes; resolves when the kernel has them. */
  send(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, (error) => (error === null || error === undefined ? resolve() : reject(error)));
    });
  }

  /** The next `length` bytes. */
  async take(length: number): Promise<Buffer> {
    await this.until(() => this.length >= length, `${length} bytes`);
    return this.cut(length);
  }

  /** Takes the next bytes and complains when they are others. */
  async expect(bytes: string | Uint8Array): Promise<void> {
    const expected = Buffer.from(bytes);
    await this.until(() => this.length >= expected.length || this.ended, show(expected));
    const found = this.cut(Math.min(expected.length, this.length));
    if (!found.equals(expected)) throw new Error(`Expected ${show(expected)}, received ${show(found)}`);
  }

  /** The next frame as text, without the terminator that ends it. */
  async frame(terminator = "\0"): Promise<string> {
    await this.until(() => this.collected.includes(terminator), `a frame ended by ${show(Buffer.from(terminator))}`);
    const frame = this.cut(this.collected.indexOf(terminator)).toString();
    this.cut(Buffer.byteLength(terminator));
    return frame;
  }

  /** Waits until the other side has closed; returns what came before that and was not taken. */
  async closed(): Promise<Buffer> {
    await this.until(() => this.ended, "the end of the connection", true);
    return this.cut(this.length);
  }

  /** Reads nothing more, so that the other side can no longer write. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Sends a FIN; can still read. */
  finish(): void {
    this.socket.end();
  }

  /** Ends with an RST, as a crash does. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  private cut(length: number): Buffer {
    const all = this.collected;
    this.chunks = [all.subarray(length)];
    this.length = all.length - length;
    return all.subarray(0, length);
  }

  private end(): void {
    this.ended = true;
    this.changed?.();
  }

  private async until(check: () => boolean, what: string, endExpected = false): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!check()) {
      const why = this.error === undefined ? "" : ` (${this.error.message})`;
      if (this.ended && !endExpected) {
        throw new Error(`Waited for ${what}, the connection ended${why} after ${show(this.collected)}`);
      }
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`Waited ${PATIENCE_MS} ms for ${what}, received ${show(this.collected)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.changed = undefined;
    }
  }
}

function show(bytes: Buffer): string {
  const text = JSON.stringify(bytes.subarray(0, 200).toString("latin1"));
  return bytes.length > 200 ? `${text}... (${bytes.length} bytes)` : text;
}
