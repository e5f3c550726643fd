import type { Clock, Timer } from "../../core/time/clock.ts";
import type { Peer } from "../../core/protocol.ts";

/** Ends a session whose client says nothing for one and a half times its keep alive [MQTT-3.1.2-22]. */
export class KeepAlive {
  readonly #clock: Clock;
  readonly #peer: Peer;
  readonly #patienceMs: number;
  readonly #dead: (silentMs: number) => void;
  #timer: Timer | undefined = undefined;
  /** Since when the broker listens: a peer is not heard while nobody reads. */
  #listeningSince: number;
  #listening = true;

  constructor(clock: Clock, peer: Peer, seconds: number, dead: (silentMs: number) => void) {
    this.#clock = clock;
    this.#peer = peer;
    this.#patienceMs = seconds * 1500;
    this.#dead = dead;
    this.#listeningSince = clock.now();
    this.#arm();
  }

  /** The broker stopped reading from the peer. */
  suspend(): void {
    this.#listening = false;
  }

  resume(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#listeningSince = this.#clock.now();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    const heardAt = Math.max(this.#peer.lastReceivedAt, this.#listeningSince);
    const rest = this.#listening ? heardAt + this.#patienceMs - this.#clock.now() : this.#patienceMs;
    this.#timer = this.#clock.after(Math.max(1, Math.ceil(rest)), () => this.#look());
  }

  #look(): void {
    this.#timer = undefined;
    const silent = this.#clock.now() - Math.max(this.#peer.lastReceivedAt, this.#listeningSince);
    if (this.#listening && silent >= this.#patienceMs) this.#dead(silent);
    else this.#arm();
  }
}
