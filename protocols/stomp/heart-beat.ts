import type { Clock, Timer } from "../../core/time/clock.ts";
import type { Peer } from "../../core/protocol.ts";

/** What was agreed on; 0 for none. */
export interface HeartBeatOptions {
  readonly sendMs: number;
  readonly receiveMs: number;
  /** The peer is given up after so many times `receiveMs`. */
  readonly grace: number;
  /** Writes an end of line. */
  readonly beat: () => void;
  readonly dead: (silentMs: number) => void;
}

/** Heart-beats of one session by one timer, which is set anew when it runs out and not at each frame. */
export class HeartBeat {
  readonly #clock: Clock;
  readonly #peer: Peer;
  readonly #options: HeartBeatOptions;
  #timer: Timer | undefined = undefined;
  /** When the broker began to listen: a peer is not heard while nobody reads. */
  #listeningSince: number;
  #listening = true;

  constructor(clock: Clock, peer: Peer, options: HeartBeatOptions) {
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
    const { sendMs, receiveMs, grace, beat, dead } = this.#options;
    const now = this.#clock.now();
    if (receiveMs > 0 && this.#listening && now - this.#heardAt() >= receiveMs * grace) {
      dead(now - this.#heardAt());
      return;
    }
    const { output } = this.#peer;
    // Bytes that wait or are on their way will be the sign of life.
    if (sendMs > 0 && now - this.#peer.lastWrittenAt >= sendMs / 2 && output.waiting + output.inFlight === 0) beat();
    this.#arm();
  }

  #heardAt(): number {
    return Math.max(this.#peer.lastReceivedAt, this.#listeningSince);
  }

  #arm(): void {
    const { sendMs, receiveMs, grace } = this.#options;
    const now = this.#clock.now();
    let delay = Number.POSITIVE_INFINITY;
    if (sendMs > 0) {
      // Twice as often as agreed, so that a late turn does no harm.
      const half = sendMs / 2;
      const rest = this.#peer.lastWrittenAt + half - now;
      delay = rest > 0 ? rest : half;
    }
    if (receiveMs > 0) {
      const rest = this.#heardAt() + receiveMs * grace - now;
      delay = Math.min(delay, this.#listening && rest > 0 ? rest : receiveMs);
    }
    if (delay < Number.POSITIVE_INFINITY) this.#timer = this.#clock.after(Math.ceil(delay), () => this.#look());
  }
}
