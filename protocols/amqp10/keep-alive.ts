import type { Peer } from "../../core/protocol.ts";
import type { Clock, Timer } from "../../core/time/clock.ts";

/** What both sides said; 0 for none. */
export interface KeepAliveOptions {
  /** The peer's idle-time-out: how long it hears nothing before it gives up. */
  readonly sendMs: number;
  /** How long this side hears nothing before it gives up. */
  readonly receiveMs: number;
  /** Writes an empty frame. */
  readonly beat: () => void;
  readonly dead: (silentMs: number) => void;
}

/** The idle time-outs of one connection (amqp10 2.4.5), by one timer that is set anew when it runs out, not at each frame. */
export class KeepAlive {
  readonly #clock: Clock;
  readonly #peer: Peer;
  readonly #options: KeepAliveOptions;
  #timer: Timer | undefined = undefined;
  /** When the broker began to listen: a peer is not heard while nobody reads. */
  #listeningSince: number;
  #listening = true;

  constructor(clock: Clock, peer: Peer, options: KeepAliveOptions) {
    this.#clock = clock;
    this.#peer = peer;
    this.#options = options;
    this.#listeningSince = clock.now();
    this.#arm();
  }

  /** The broker stopped reading from the peer. */
  suspend(): void {
    this.#listening = false;
  }

  /** The broker reads again. */
  resume(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#listeningSince = this.#clock.now();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = undefined;
    const { sendMs, receiveMs, beat, dead } = this.#options;
    const now = this.#clock.now();
    const heardAt = Math.max(this.#peer.lastReceivedAt, this.#listeningSince);
    if (receiveMs > 0 && this.#listening && now - heardAt >= receiveMs) {
      dead(now - heardAt);
      return;
    }
    const { output } = this.#peer;
    // Bytes that wait or are on their way will be the sign of life.
    if (sendMs > 0 && now - this.#peer.lastWrittenAt >= sendMs / 4 && output.waiting + output.inFlight === 0) beat();
    this.#arm();
  }

  #arm(): void {
    const { sendMs, receiveMs } = this.#options;
    let delay = Number.POSITIVE_INFINITY;
    // Well before the half of it: a peer may say the whole of the time after which it gives up.
    if (sendMs > 0) delay = sendMs / 4;
    if (receiveMs > 0) delay = Math.min(delay, receiveMs / 4);
    if (delay < Number.POSITIVE_INFINITY) this.#timer = this.#clock.after(Math.ceil(delay), () => this.#look());
  }
}
