import type { Clock, Timer } from "../../core/time/clock.ts";
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

  /** Puts time forward at once, as after a sleep of the machine; what became due runs before this returns, each timer once. */
  leap(ms: number): void {
    this.#ahead += ms;
    const now = this.now();
    for (const due of [...this.#due].sort((a, b) => a.at - b.at)) {
      // One before may have cancelled it.
      if (due.at > now || !this.#due.delete(due)) continue;
      due.timer.cancel();
      due.task();
    }
  }
}
