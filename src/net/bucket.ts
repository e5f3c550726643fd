/**
 * So many in a second, of what comes in pieces of any size: a piece is always taken, and whoever took too much owes it. So
 * many as come in a second may come at once.
 */
export class Bucket {
  readonly perSecond: number;
  #left: number;
  #at: number;

  /** `now` is in milliseconds, here and below. */
  constructor(perSecond: number, now: number) {
    this.perSecond = perSecond;
    this.#left = perSecond;
    this.#at = now;
  }

  /** Takes an amount; returns how many milliseconds it takes until nothing is owed. */
  spend(amount: number, now: number): number {
    this.#fill(now);
    this.#left -= amount;
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left * 1000) / this.perSecond);
  }

  /** How many milliseconds it takes until nothing is owed. */
  owedMs(now: number): number {
    const left = this.#left + (Math.max(0, now - this.#at) * this.perSecond) / 1000;
    return left >= 0 ? 0 : Math.ceil((-left * 1000) / this.perSecond);
  }

  #fill(now: number): void {
    const passedMs = Math.max(0, now - this.#at);
    this.#at = now;
    this.#left = Math.min(this.perSecond, this.#left + (passedMs * this.perSecond) / 1000);
  }
}
