import type { Clock } from "./clock.ts";

/** Looks until it is over: a broker that was busy itself sees one of them late, not all. */
const LOOKS = 4;

/** With somebody who may take nothing any more: over once they took nothing for so long, however often that was looked at. */
export class Patience {
  /** Milliseconds from one look to the next one that counts. */
  readonly stepMs: number;
  private readonly clock: Clock;
  private taken = -1;
  private looks = 0;
  private next = 0;

  constructor(clock: Clock, ms: number) {
    this.clock = clock;
    this.stepMs = ms / LOOKS;
  }

  /** Whether it is over; `taken` is what they took so far. */
  isOver(taken: number): boolean {
    const now = this.clock.now();
    if (taken !== this.taken) {
      this.taken = taken;
      this.looks = 0;
      this.next = now + this.stepMs;
    } else if (now >= this.next) {
      this.looks++;
      this.next = now + this.stepMs;
    }
    return this.looks >= LOOKS;
  }
}
