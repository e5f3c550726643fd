/** So many in a second, of which none or all may come at once. */
export class Rate {
  readonly #perSecond: number;
  #left: number;
  #at: number;

  /** `now` is in milliseconds, here and in `take`. */
  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond;
    this.#at = now;
  }

  /** Whether there is one more. */
  take(now: number): boolean {
    const passedMs = Math.max(0, now - this.#at);
    this.#at = now;
    this.#left = Math.min(this.#perSecond, this.#left + (passedMs * this.#perSecond) / 1000);
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
