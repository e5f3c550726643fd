import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { Clock, Random, Timer } from "../core/time/clock.ts";

/** Tasks that one pass may run beyond those it began with, before input gets its turn again. */
const MOST_ADDED = 10_000;
/** The longest delay that `setTimeout` knows; a longer one would fire at once. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** The machine's time, and the event loop's turns. */
class SystemClock implements Clock {
  private tasks: (() => void)[] = [];
  private scheduled = false;

  now(): number {
    return Date.now();
  }

  precise(): number {
    return performance.now();
  }

  endOfTurn(task: () => void): void {
    this.tasks.push(task);
    this.schedule();
  }

  after(delayMs: number, task: () => void): Timer {
    const end = this.now() + Math.max(0, delayMs);
    let timeout: NodeJS.Timeout;
    const wait = (remainingMs: number) => {
      const stepMs = Math.min(remainingMs, LONGEST_TIMEOUT_MS);
      timeout = setTimeout(() => (stepMs < remainingMs ? wait(Math.max(0, end - this.now())) : task()), stepMs);
      timeout.unref();
    };
    wait(Math.max(0, delayMs));
    return { cancel: () => clearTimeout(timeout) };
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => this.run());
  }

  private run(): void {
    const most = this.tasks.length + MOST_ADDED;
    let done = 0;
    try {
      while (done < this.tasks.length && done < most) this.tasks[done++]?.();
    } finally {
      // Also after a task that threw: the others must not be lost with it.
      this.tasks = this.tasks.slice(done);
      this.scheduled = false;
      if (this.tasks.length > 0) this.schedule();
    }
  }
}

/** The clock of a broker in the real world. All tasks for the end of a turn share one immediate. */
export const systemClock: Clock = new SystemClock();

const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";
const TOKEN_BYTES = 32;

/** Randomness that nobody can guess: 160 bits per token. */
export const systemRandom: Random = {
  token(): string {
    let token = "";
    for (const byte of randomBytes(TOKEN_BYTES)) token += LETTERS[byte & 31];
    return token;
  },
  fraction: () => Math.random(),
};
