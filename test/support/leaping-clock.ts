import type { Clock, Timer } from "../../core/clock.ts";
import { systemClock } from "../../src/clock.ts";

interface Due {
  readonly at: number;
  readonly task: () => void;
  readonly timer: Timer;
}

/** The machine's time for brokers that talk to real sockets, which can be put forward. */
export class LeapingClock implements Clock {
  #ahead = 0;
  readonly #due = new Set<Due>();

  now(): number {
    return systemClock.now() + this.#ahead;
  }

  endOfTurn(task: () => void): void {
    systemClock.endOfTurn(task);
  }

  after(delayMs: number, task: () => void): Timer {
    const due: Due = {
      at: this.now() + Math.max(0, delayMs),
      task,
      timer: systemClock.after(delayMs, () => {
        this.#due.delete(due);
        task();
      }),
    };
    this.#due.add(due);
    return {
      cancel: () => {
        this.#due.delete(due);
        due.timer.cancel();
      },
    };
  }

  /** Puts time forward; what becomes due by that runs before this returns. */
  leap(ms: number): void {
    const end = this.now() + ms;
    for (;;) {
      const [next] = [...this.#due].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#ahead += Math.max(0, next.at - this.now());
      this.#due.delete(next);
      next.timer.cancel();
      next.task();
    }
    this.#ahead += Math.max(0, end - this.now());
  }
}
