import type { Clock, Timer } from "../../core/time/clock.ts";
import type { Peer } from "../../core/protocol.ts";

/** A peer is given up after so many intervals without a byte (amqp091 4.2.7). */
const PATIENCE = 2;

/** What was agreed on. */
export interface HeartbeatOptions {
  readonly intervalMs: number;
  /** Writes a heartbeat. */
  readonly beat: () => void;
  readonly dead: (silentMs: number) => void;
}

/** Heartbeats of one connection by one timer, which is set anew when it runs out and not at each frame. */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #peer: Peer;
  readonly #options: HeartbeatOptions;
  #timer: Timer | undefined = undefined;
  /** When the broker began to listen: a peer is not heard while nobody reads. */
  #listeningSince: number;
  #listening = true;

  constructor(clock: Clock, peer: Peer, options: HeartbeatOptions) {
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
    const { intervalMs, beat, dead } = this.#options;
    const now = this.#clock.now();
    const silentMs = now - Math.max(this.#peer.lastReceivedAt, this.#listeningSince);
    if (this.#listening && silentMs >= intervalMs * PATIENCE) {
      dead(silentMs);
      return;
    }
    const { output } = this.#peer;
    // Bytes that wait or are on their way will be the sign of life.
    if (now - this.#peer.lastWrittenAt >= intervalMs / 2 && output.waiting + output.inFlight === 0) beat();
    this.#arm();
  }

  /** Twice as often as agreed, so that a late turn does no harm. */
  #arm(): void {
    const half = this.#options.intervalMs / 2;
    const rest = this.#peer.lastWrittenAt + half - this.#clock.now();
    this.#timer = this.#clock.after(Math.ceil(rest > 0 ? rest : half), () => this.#look());
  }
}
