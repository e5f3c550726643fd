import type { Clock, Random, Timer } from "../../core/time/clock.ts";

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
}

/** Time that moves only by hand. */
export class VirtualClock implements Clock {
  private time: number;
  private order = 0;
  private ends: (() => void)[] = [];
  private timers: Scheduled[] = [];

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.time = start;
  }

  now(): number {
    return this.time;
  }

  endOfTurn(task: () => void): void {
    this.ends.push(task);
  }

  after(delayMs: number, task: () => void): Timer {
    const scheduled = { at: this.time + Math.max(0, delayMs), order: this.order++, task };
    this.timers.push(scheduled);
    return {
      cancel: () => {
        this.timers = this.timers.filter((other) => other !== scheduled);
      },
    };
  }

  /** Ends turns until nothing is left to be done at the end of one. */
  settle(): void {
    for (let turns = 0; this.ends.length > 0; turns++) {
      if (turns > 100_000) throw new Error("The turns never end");
      const tasks = this.ends;
      this.ends = [];
      for (const task of tasks) task();
    }
  }

  /** Ends one turn only. */
  endTurn(): void {
    const tasks = this.ends;
    this.ends = [];
    for (const task of tasks) task();
  }

  /** Moves time on, running every timer that becomes due at its time. */
  advance(ms: number): void {
    const end = this.time + ms;
    this.settle();
    for (;;) {
      const next = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.at);
      next.task();
      this.settle();
    }
    this.time = end;
  }
}

/** Names that are the same in every run. */
export class CountingRandom implements Random {
  private count = 0;
  token(): string {
    return `r${(++this.count).toString(36)}`;
  }

  fraction(): number {
    return (++this.count * 0.618_033_988_75) % 1;
  }
}
