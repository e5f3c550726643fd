import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { WebSocket } from "ws";
import type { PeerCertificate } from "../../core/protocol.ts";
import type { Clock } from "../../core/time/clock.ts";
import { remoteAddress } from "./connection.ts";
import type { Arrival } from "./limits.ts";
import type { Novice } from "./websocket.ts";

/** A connection whose protocol is not known yet. */
export class Opening {
  readonly socket: Socket;
  /** Kept, because a closed socket no longer knows it; what a trusted proxy says instead, if one does. */
  address: string;
  /** Where the peer connected to, if a trusted proxy said so. */
  localAddress: string | undefined = undefined;
  /** As what it was counted where there are limits. */
  arrival: Arrival | undefined = undefined;
  /** Set while a header of the PROXY protocol may still come. */
  awaitsProxyHeader = false;
  /** Set after a header by which a proxy says that it connects for itself, to see whether somebody listens. */
  isProbe = false;
  head: Buffer = Buffer.alloc(0);
  /** Set while the TLS handshake has the socket. */
  handshaking = false;
  /** What stands for the socket, after the TLS handshake. */
  secured: TLSSocket | undefined = undefined;
  certificate: PeerCertificate | undefined = undefined;
  /** The virtual host of the name by which the peer called the server in the handshake. */
  virtualHost: string | undefined = undefined;
  /** Set while HTTP has the socket, and afterwards. */
  http = false;
  webSocket: WebSocket | undefined = undefined;
  novice: Novice | undefined = undefined;
  /** Whether the first WebSocket message was text. */
  text: boolean | undefined = undefined;
  /** Why it ended without a protocol. */
  reason: string | undefined = undefined;
  deadline = 0;
  readonly onData: (chunk: Buffer) => void;

  constructor(socket: Socket, feed: (opening: Opening, chunk: Buffer) => void) {
    this.socket = socket;
    this.address = remoteAddress(socket);
    this.onData = (chunk) => feed(this, chunk);
  }
}

/** All connections of a listener whose protocol is not known yet, with one timer for all of them. */
export class Openings {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #expire: (opening: Opening) => void;
  /** In the order of their deadlines. */
  readonly #all = new Map<Socket, Opening>();
  readonly #secured = new Map<Socket, Opening>();
  #armed = false;

  /** `expire` is told of each one whose time is over, and again after the same time if it is still there. */
  constructor(clock: Clock, timeoutMs: number, expire: (opening: Opening) => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#expire = expire;
  }

  /** Adds one, or gives it the whole time again. */
  add(opening: Opening): void {
    opening.deadline = this.#clock.now() + this.#timeoutMs;
    this.#all.delete(opening.socket);
    this.#all.set(opening.socket, opening);
    if (!this.#armed) this.#arm(this.#timeoutMs);
  }

  /** The TLS handshake is done: from now on it is found by that socket too. */
  secure(opening: Opening, secured: TLSSocket): void {
    opening.secured = secured;
    this.#secured.set(secured, opening);
    this.add(opening);
  }

  get(socket: Socket): Opening | undefined {
    return this.#all.get(socket) ?? this.#secured.get(socket);
  }

  remove(opening: Opening): void {
    this.#all.delete(opening.socket);
    if (opening.secured !== undefined) this.#secured.delete(opening.secured);
  }

  [Symbol.iterator](): Iterator<Opening> {
    return this.#all.values();
  }

  #arm(delayMs: number): void {
    this.#armed = true;
    // After what came while the broker was busy has been read: it is not its peers that were late then.
    this.#clock.after(delayMs, () => this.#clock.endOfTurn(() => this.#sweep()));
  }

  #sweep(): void {
    const now = this.#clock.now();
    const latest = now + this.#timeoutMs;
    const [first] = this.#all.values();
    // The machine's clock was put back: nobody gets more time for that.
    if (first !== undefined && first.deadline > latest) {
      for (const opening of this.#all.values()) opening.deadline = Math.min(opening.deadline, latest);
    }
    for (const opening of this.#all.values()) {
      if (opening.deadline > now) {
        this.#arm(opening.deadline - now);
        return;
      }
      this.add(opening);
      this.#expire(opening);
    }
    this.#armed = false;
  }
}
