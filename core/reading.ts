import type { Peer } from "./protocol.ts";
import type { HeartBeat } from "./time/heart-beat.ts";

/** What a session does with what its peer says. */
export interface Reader {
  /** Handles what has come, until there is no more or reading is paused. */
  readonly handle: () => void;
  /** Whether it wants to hear anything at all. */
  readonly listens: () => boolean;
}

/**
 * Whether a session reads. It may pause in the middle of a chunk; the peer is paused a little longer, until what was left is
 * handled, which may be a reason to pause again.
 */
export class Reading {
  /** True while nothing is to be handled. */
  paused = false;
  readonly #peer: Peer;
  readonly #reader: Reader;
  #peerPaused = false;
  #heartBeat: HeartBeat | undefined = undefined;

  constructor(peer: Peer, reader: Reader) {
    this.#peer = peer;
    this.#reader = reader;
  }

  /** From now on the peer has to show signs of life, while it is read from. */
  watch(heartBeat: HeartBeat): void {
    this.#heartBeat = heartBeat;
    if (this.#peerPaused) heartBeat.suspend();
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    if (this.#peerPaused) return;
    this.#peerPaused = true;
    this.#heartBeat?.suspend();
    this.#peer.pause();
  }

  /** Handles what was left and reads on. */
  goOn(): void {
    if (!this.paused) return;
    this.paused = false;
    this.#reader.handle();
    if (!this.paused && this.#reader.listens()) this.resume();
  }

  /** Reads on, whatever was left. */
  resume(): void {
    this.paused = false;
    if (!this.#peerPaused) return;
    this.#peerPaused = false;
    this.#heartBeat?.resume();
    this.#peer.resume();
  }
}
