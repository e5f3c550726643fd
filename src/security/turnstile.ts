import { BrokerError } from "../../core/errors.ts";

/** Lets so many through at a time, and so many wait. */
export class Turnstile {
  private readonly atATime: number;
  private readonly mostWaiting: number;
  private readonly waiting: (() => void)[] = [];
  private running = 0;

  constructor(atATime: number, mostWaiting: number) {
    this.atATime = atATime;
    this.mostWaiting = mostWaiting;
  }

  /** Does something when there is room. Rejects with BrokerError("throttled") at once when too many wait. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= this.atATime) await this.wait();
    else this.running++;
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      // Whoever comes next takes over the place.
      if (next === undefined) this.running--;
      else next();
    }
  }

  private wait(): Promise<void> {
    if (this.waiting.length >= this.mostWaiting) {
      throw new BrokerError("throttled", "Too many logins are being checked; try again in a moment");
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
