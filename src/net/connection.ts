/*
 * One connection between a socket and a session.
 *
 *     socket --chunk--> receive() --> Session.receive            caught here, and nowhere else
 *     Output --dirty--> Network.flushLater --end of turn--> flush() --one write--> socket
 *                                                             |
 *          the write is done at once: nothing else to do  <---+--->  it is not (over TLS it never is): inFlight says how
 *                                                                    much, and everything more waits in the Output
 *
 * So at most one write is under way per connection, and a slow reader gets few large writes.
 *
 *     open -- close(), the peer's end, a protocol error --> closing -- the peer closes or the time is over --> closed
 *       \---- close() with patience --> parting -- the peer's end or the time is over --^
 */
import type { Socket } from "node:net";
import type { Timer } from "../../core/time/clock.ts";
import type { BrokerError } from "../../core/errors.ts";
import { Output } from "../../core/output.ts";
import {
  type Peer,
  type PeerCertificate,
  type PeerIdentity,
  ProtocolError,
  type Session,
} from "../../core/protocol.ts";
import type { Arrival } from "./limits.ts";
import { type Allowance, Hold, type Meter } from "./meter.ts";
import type { Flushable, Network } from "./network.ts";

const NOTHING: Buffer = Buffer.alloc(0);

/** Why a connection ends, where the carrier has words for it (WebSocket's close codes, RFC 6455 7.4.1). */
export type Ending = "normal" | "going-away" | "protocol-error";

/** What keeps a connection from going as fast as it can. */
export interface ConnectionLimits {
  readonly in: Meter | undefined;
  readonly out: Meter | undefined;
  /** The peer sent more than it may, and is not to wait but to go. */
  readonly exceeded: (limit: Allowance) => void;
}

/** What a connection is made of besides its socket. */
export interface ConnectionOptions {
  readonly network: Network;
  readonly protocol: string;
  readonly listener: string;
  readonly transport: Peer["transport"];
  /** What a trusted proxy said; otherwise the socket knows. */
  readonly remoteAddress?: string | undefined;
  readonly localAddress?: string | undefined;
  readonly certificate?: PeerCertificate | undefined;
  readonly virtualHost?: string | undefined;
  readonly subprotocol?: string | undefined;
  readonly refusal: BrokerError | undefined;
  /** As what it was counted where there are limits. */
  readonly arrival?: Arrival | undefined;
  /** Called exactly once, when the connection is gone. */
  readonly gone: (connection: Connection) => void;
}

/** A connection whose protocol is known, whatever carries its bytes. */
export abstract class Connection implements Peer, Flushable {
  readonly id: string;
  readonly output: Output;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly listener: string;
  readonly transport: Peer["transport"];
  readonly certificate: PeerCertificate | undefined;
  readonly virtualHost: string | undefined;
  readonly subprotocol: string | undefined;
  readonly refusal: BrokerError | undefined;
  arrival: Arrival | undefined;
  lastWrittenAt: number;
  /** Bytes of the protocol that came, without what carries them. */
  bytesReceived = 0;
  /** Bytes of the protocol that were handed to the socket, without what carries them. */
  bytesWritten = 0;
  protected readonly socket: Socket;
  protected readonly network: Network;
  readonly #gone: (connection: Connection) => void;
  /** What each write is given to call that cannot be done at once. */
  readonly #onWritten: (() => void) | undefined;
  #session: Session | undefined = undefined;
  #identity: PeerIdentity;
  #state: "open" | "parting" | "closing" | "closed" = "open";
  #ending: Ending = "normal";
  #reason: string | undefined = undefined;
  #closeTimer: Timer | undefined = undefined;
  #limits: ConnectionLimits | undefined = undefined;
  /** The session wants nothing more for now. */
  #paused = false;
  /** What was read and has to wait, because of a limit. */
  #held: Buffer[] = [];
  #handling = false;
  /** The peer will send nothing more than what is held. */
  #peerEnded = false;
  #receivedAt: number;
  #inHold: Hold | undefined = undefined;
  #outHold: Hold | undefined = undefined;

  constructor(socket: Socket, options: ConnectionOptions) {
    const { network, protocol } = options;
    this.socket = socket;
    this.network = network;
    this.id = `${protocol}-${network.nextNumber()}`;
    this.output = new Output(network.settings.outputHighWaterBytes, () => network.flushLater(this));
    this.remoteAddress = options.remoteAddress ?? remoteAddress(socket);
    this.localAddress = options.localAddress ?? endpoint(socket.localAddress, socket.localPort);
    this.listener = options.listener;
    this.transport = options.transport;
    this.certificate = options.certificate;
    this.virtualHost = options.virtualHost;
    this.subprotocol = options.subprotocol;
    this.refusal = options.refusal;
    this.arrival = options.arrival;
    this.#receivedAt = this.lastWrittenAt = network.clock.now();
    this.#gone = options.gone;
    const secure = options.transport === "tls" || options.transport === "wss";
    this.#onWritten = secure ? () => this.#written() : undefined;
    this.#identity = { protocol };
  }

  /** Who is at the other end, as far as known. */
  get identity(): PeerIdentity {
    return this.#identity;
  }

  /** Who is not listened to, because of a limit, is not silent: there may be heart-beats behind what has to wait. */
  get lastReceivedAt(): number {
    return this.#inHold === undefined ? this.#receivedAt : this.network.clock.now();
  }

  /** The limit that holds it up right now, for people; undefined when none does. */
  get heldBy(): string | undefined {
    if (this.#inHold !== undefined) return this.#limits?.in?.exceeded?.name;
    return this.#outHold === undefined ? undefined : this.#limits?.out?.exceeded?.name;
  }

  /** Whether something limits it. */
  get isLimited(): boolean {
    return this.#limits !== undefined;
  }

  /** Has limits hold from now on, in place of those before; for those it waits no longer. */
  limit(limits: ConnectionLimits): void {
    this.#limits = limits.in === undefined && limits.out === undefined ? undefined : limits;
    const { outputHighWaterBytes: most } = this.network.settings;
    this.output.highWater = limits.out === undefined ? most : Math.min(most, limits.out.piece);
    if (this.#inHold === undefined && this.#outHold === undefined) return;
    this.#inHold?.cancel();
    this.#outHold?.cancel();
    this.#inHold = this.#outHold = undefined;
    this.#receivedAt = this.network.clock.now();
    this.network.clock.endOfTurn(() => {
      if (this.#state !== "open") return;
      if (this.output.full) this.#relieve();
      this.#handle();
    });
  }

  /** Stops reading, however often it is called; one `resume` is enough to go on. */
  pause(): void {
    this.#paused = true;
    this.stopReading();
  }

  /** Goes on reading; nothing when it was not paused. */
  resume(): void {
    this.#paused = false;
    if (this.#held.length === 0 || this.#state !== "open") this.startReading();
    else this.network.clock.endOfTurn(() => this.#handle());
  }

  protected abstract stopReading(): void;
  protected abstract startReading(): void;
  /** Hands bytes to the socket, in one write; `written`, if given, is called when that is done. */
  protected abstract transmit(chunks: readonly Buffer[], bytes: number, written: (() => void) | undefined): void;
  /** Ends the carrier after what was handed over. */
  protected abstract finish(ending: Ending, reason: string): void;
  /** Cuts the carrier. */
  protected abstract abort(): void;

  /** Makes the session and gives it the bytes its protocol was recognised by. */
  start(accept: (peer: Peer) => Session, head: Buffer): void {
    try {
      this.#session = accept(this);
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.network.log.debug(this.#fields(), "connection accepted");
    if (head.length > 0) this.receive(head);
  }

  identify(identity: PeerIdentity): void {
    this.#identity = { ...this.#identity, ...identity };
  }

  /** Ends with what the output holds; the session's `closed` follows when the socket is gone. */
  close(reason: string, patienceMs = 0): void {
    if (patienceMs === 0 || this.#ending === "going-away" || this.#state !== "open") {
      this.#end(this.#ending, reason);
      return;
    }
    this.#reason ??= reason;
    this.#write();
    this.#state = "parting";
    this.resume();
    this.#closeTimer = this.network.clock.after(patienceMs, () => this.#finish("normal"));
  }

  /** Lets the session say goodbye in its protocol's words. */
  shutdown(reason: string): void {
    if (this.#state === "parting") this.#finish("going-away");
    if (this.#state !== "open") return;
    this.#ending = "going-away";
    try {
      this.#session?.shutdown(reason);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Ends without another word. */
  destroy(reason: string): void {
    if (this.#state === "closed") return;
    this.#reason ??= reason;
    this.#state = "closing";
    this.abort();
  }

  /** Writes what waits, unless a write is still under way; then that one's end does it. */
  flush(): void {
    if (this.#state !== "open") {
      this.output.take();
    } else if (this.output.inFlight === 0) {
      this.#write();
      if (this.output.full) this.#relieve();
    }
  }

  /** Everything the carrier receives comes through here. */
  protected receive(chunk: Buffer): void {
    if (this.#limits?.in === undefined && this.#held.length === 0) {
      this.#take(chunk);
      return;
    }
    this.#held.push(chunk);
    this.#handle();
  }

  /** Handles what is held, as far as the limits let it. */
  #handle(): void {
    if (this.#handling) return;
    this.#handling = true;
    while (this.#state === "open" && !this.#paused && this.#inHold === undefined) {
      const chunk = this.#held.shift();
      if (chunk === undefined) break;
      const meter = this.#limits?.in;
      const piece = Math.min(chunk.length, meter?.piece ?? chunk.length);
      if (piece < chunk.length) this.#held.unshift(chunk.subarray(piece));
      this.#take(chunk.subarray(0, piece));
      // Not the one from before: a login has another.
      this.#count(piece);
    }
    this.#handling = false;
    if (this.#state !== "open") this.#held = [];
    else if (this.#held.length > 0 || this.#inHold !== undefined) this.stopReading();
    else if (this.#peerEnded) this.#end("normal", undefined);
    else if (!this.#paused) this.startReading();
  }

  #count(bytes: number): void {
    const limits = this.#limits;
    const waitMs = limits?.in?.count(bytes) ?? 0;
    if (waitMs === 0 || this.#state !== "open") return;
    const exceeded = limits?.in?.exceeded;
    if (exceeded?.disconnects === true) {
      limits?.exceeded(exceeded);
      return;
    }
    this.#inHold = new Hold(this.network.clock, waitMs, exceeded, () => {
      this.#inHold = undefined;
      this.#receivedAt = this.network.clock.now();
      this.#handle();
    });
  }

  #take(chunk: Buffer): void {
    if (this.#state !== "open") return;
    this.bytesReceived += chunk.length;
    this.#receivedAt = this.network.clock.now();
    try {
      this.#session?.receive(chunk);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The peer will send nothing more; what is still to be written has a bounded time. */
  protected endedByPeer(): void {
    if (this.#held.length > 0) this.#peerEnded = true;
    else this.#end("normal", undefined);
  }

  /** The carrier broke: the reason of the end, if there is none yet. */
  protected broke(reason: string): void {
    this.#reason ??= reason;
  }

  /** The carrier is gone. */
  protected ended(reason: string): void {
    if (this.#state === "closed") return;
    // What was read before the end counts, as it would without limits; and it is owed by those who share them.
    for (const chunk of this.#held.splice(0)) {
      this.#take(chunk);
      this.#limits?.in?.count(chunk.length);
    }
    this.#state = "closed";
    this.#reason ??= reason;
    this.#closeTimer?.cancel();
    this.#inHold?.cancel();
    this.#outHold?.cancel();
    const fields = {
      ...this.#fields(),
      received: this.bytesReceived,
      written: this.bytesWritten,
      reason: this.#reason,
      event: `connection closed: ${this.#reason}`,
    };
    try {
      this.#session?.closed(this.#reason);
    } catch (error) {
      this.network.log.error({ ...fields, err: error }, "the session failed when its connection was closed");
    }
    if (this.#ending === "protocol-error") this.network.log.warn(fields, "connection closed");
    else this.network.log.info(fields, "connection closed");
    this.#gone(this);
  }

  #end(ending: Ending, reason: string | undefined): void {
    if (this.#state === "parting") this.#finish(ending);
    if (this.#state !== "open") return;
    this.#reason ??= reason;
    this.#write();
    this.#finish(ending);
  }

  #finish(ending: Ending): void {
    this.#closeTimer?.cancel();
    this.#state = "closing";
    this.finish(ending, this.#reason ?? "");
    // Reading goes on, into nothing: a close with bytes unread would reset the connection and lose the last words.
    this.resume();
    this.#closeTimer = this.network.clock.after(this.network.settings.closeTimeoutMs, () => this.abort());
  }

  #failed(error: unknown): void {
    if (error instanceof ProtocolError) {
      // The session has put its words into the output already.
      this.#ending = "protocol-error";
      this.#end("protocol-error", error.message);
      return;
    }
    this.network.log.error({ ...this.#fields(), err: error }, "a session failed; its connection is cut");
    this.destroy(`internal error: ${error instanceof Error ? error.message : String(error)}`);
  }

  #write(): void {
    if (this.output.waiting === 0) {
      this.output.take();
      return;
    }
    const chunks = this.output.take();
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.length;
    this.bytesWritten += bytes;
    this.lastWrittenAt = this.network.clock.now();
    this.transmit(chunks, bytes, this.#onWritten);
    if (this.#limits?.out !== undefined) this.#countOut(this.#limits.out, bytes);
    const left = this.socket.writableLength;
    if (left === 0) return;
    this.output.inFlight = left;
    // Most writes are done at once and need no callback. Behind one that is not, an empty write tells when it is.
    if (this.#onWritten === undefined) this.socket.write(NOTHING, () => this.#written());
  }

  #written(): void {
    if (this.#state !== "open") return;
    this.output.inFlight = 0;
    this.#write();
    if (this.output.full) this.#relieve();
  }

  #countOut(meter: Meter, bytes: number): void {
    const waitMs = meter.count(bytes);
    this.output.highWater = Math.min(this.network.settings.outputHighWaterBytes, meter.piece);
    if (waitMs === 0) return;
    this.output.full = true;
    this.#outHold?.cancel();
    this.#outHold = new Hold(this.network.clock, waitMs, meter.exceeded, () => {
      this.#outHold = undefined;
      if (this.#state === "open" && this.output.full) this.#relieve();
    });
  }

  #relieve(): void {
    if (this.#outHold !== undefined) return;
    if (this.output.inFlight + this.output.waiting > this.network.settings.outputLowWaterBytes) return;
    this.output.full = false;
    try {
      this.#session?.drained();
    } catch (error) {
      this.#failed(error);
    }
  }

  #fields(): object {
    const { id, listener, transport, remoteAddress: address } = this;
    return { connection: id, ...this.#identity, listener, transport, address };
  }
}

/** A connection over a socket, plain or of TLS. */
export class TcpConnection extends Connection {
  constructor(socket: Socket, options: ConnectionOptions) {
    super(socket, options);
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
    socket.on("end", () => this.endedByPeer());
    socket.on("error", (error) => this.broke(describe(error)));
    socket.on("close", () => this.ended("closed by the peer"));
  }

  protected stopReading(): void {
    this.socket.pause();
  }

  protected startReading(): void {
    this.socket.resume();
  }

  protected transmit(chunks: readonly Buffer[], _bytes: number, written: (() => void) | undefined): void {
    const { socket } = this;
    const [first] = chunks;
    if (chunks.length === 1 && first !== undefined) {
      socket.write(first, written);
      return;
    }
    const last = chunks.at(-1);
    socket.cork();
    for (const chunk of chunks) socket.write(chunk, chunk === last ? written : undefined);
    socket.uncork();
  }

  protected finish(): void {
    this.socket.end();
  }

  protected abort(): void {
    this.socket.destroy();
  }
}

/** What broke a connection, for people. */
export function describe(error: Error): string {
  const code = "code" in error ? error.code : undefined;
  if (code === "ECONNRESET") return "reset by the peer (ECONNRESET)";
  if (code === "EPIPE") return "closed by the peer before everything was written (EPIPE)";
  if (code === "ETIMEDOUT") return "the peer's machine does not answer (ETIMEDOUT)";
  // OpenSSL's messages name files and lines of its own.
  if (typeof code === "string" && code.startsWith("ERR_SSL_") && "reason" in error) return String(error.reason);
  return error.message;
}

/** The peer's address and port, `127.0.0.1:50312` or `[::1]:50312`. */
export function remoteAddress(socket: Socket): string {
  return endpoint(socket.remoteAddress, socket.remotePort);
}

function endpoint(address: string | undefined, port: number | undefined): string {
  if (address === undefined || port === undefined) return "unknown";
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
