import type { Peer } from "../protocol.ts";
import type { Clock, Timer } from "./clock.ts";

/** What a connection's two sides agreed on; milliseconds, 0 for none. */
export interface HeartBeatOptions {
  /** Something is written at least as often as this. */
  readonly sendMs: number;
  /** How long the peer may say nothing. */
  readonly silenceMs: number;
  /** Writes the least that there is to write. */
  readonly beat: () => void;
  /** The peer said nothing for too long. */
  readonly dead: (silentMs: number) => void;
}

/** Signs of life of one connection, both ways, by one timer that is set anew when it runs out and not at each frame. */
export class HeartBeat {
  readonly #clock: Clock;
  readonly #peer: Peer;
  readonly #options: HeartBeatOptions;
  #timer: Timer | undefined = undefined;
  /** Since when the broker listens: a peer is not heard while nobody reads. */
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
    const { sendMs, silenceMs, beat, dead } = this.#options;
    const now = this.#clock.now();
    const silentMs = now - this.#heardAt();
    if (silenceMs > 0 && this.#listening && silentMs >= silenceMs) {
      dead(silentMs);
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
    const { sendMs, silenceMs } = this.#options;
    const now = this.#clock.now();
    let delay = Number.POSITIVE_INFINITY;
    if (sendMs > 0) {
      // Twice as often as agreed, so that a late turn does no harm.
      const half = sendMs / 2;
      const rest = this.#peer.lastWrittenAt + half - now;
      delay = rest > 0 ? rest : half;
    }
    if (silenceMs > 0) {
      const rest = this.#heardAt() + silenceMs - now;
      delay = Math.min(delay, this.#listening && rest > 0 ? rest : silenceMs);
    }
    if (delay < Number.POSITIVE_INFINITY) this.#timer = this.#clock.after(Math.ceil(delay), () => this.#look());
  }
}
