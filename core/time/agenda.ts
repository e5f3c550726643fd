import type { Clock, Timer } from "./clock.ts";

/** Items handled in one turn at most. */
const MOST_AT_ONCE = 1000;
/** Timers of some platforms do not reach further. */
const LONGEST_WAIT_MS = 60 * 60 * 1000;

interface Appointment<T> {
  readonly time: number;
  /** Of two with the same time the one that came first is first. */
  readonly order: number;
  readonly item: T;
}

/** What is to be done when: a heap in order of time, with one timer. */
export class Agenda<T> {
  private readonly clock: Clock;
  private readonly due: (item: T) => void;
  private readonly worked: () => void;
  private heap: Appointment<T>[] = [];
  private added = 0;
  private timer: Timer | undefined = undefined;
  private timerAt = Number.POSITIVE_INFINITY;

  /** `due` is called for each item when its time has come, `worked` after each run of such calls. */
  constructor(clock: Clock, due: (item: T) => void, worked: () => void) {
    this.clock = clock;
    this.due = due;
    this.worked = worked;
  }

  get size(): number {
    return this.heap.length;
  }

  /** Adds an item; `time` is in milliseconds since 1970. */
  add(time: number, item: T): void {
    const heap = this.heap;
    let at = heap.push({ time, order: this.added++, item }) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(heap[at], heap[parent])) break;
      swap(heap, at, parent);
      at = parent;
    }
    this.wait();
  }

  /** Takes out the item whose time comes first. */
  takeFirst(): T | undefined {
    const heap = this.heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first?.item;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const smaller = isBefore(heap[left + 1], heap[left]) ? left + 1 : left;
      if (!isBefore(heap[smaller], last)) break;
      swap(heap, at, smaller);
      at = smaller;
    }
    return first.item;
  }

  /** Forgets everything. */
  clear(): void {
    this.heap = [];
    this.timer?.cancel();
    this.timer = undefined;
    this.timerAt = Number.POSITIVE_INFINITY;
  }

  private wait(): void {
    const time = timeOf(this.heap, 0);
    if (time >= this.timerAt) return;
    this.timer?.cancel();
    const delay = Math.min(Math.max(0, time - this.clock.now()), LONGEST_WAIT_MS);
    this.timerAt = time;
    this.timer = this.clock.after(delay, () => this.work());
  }

  private work(): void {
    this.timer = undefined;
    this.timerAt = Number.POSITIVE_INFINITY;
    const now = this.clock.now();
    try {
      for (let i = 0; i < MOST_AT_ONCE && timeOf(this.heap, 0) <= now; i++) {
        const item = this.takeFirst();
        if (item !== undefined) this.due(item);
      }
    } finally {
      // Also after something failed: the others must not wait for ever.
      this.wait();
      this.worked();
    }
  }
}

function timeOf<T>(heap: readonly Appointment<T>[], at: number): number {
  return heap[at]?.time ?? Number.POSITIVE_INFINITY;
}

function isBefore<T>(one: Appointment<T> | undefined, other: Appointment<T> | undefined): boolean {
  if (one === undefined || other === undefined) return one !== undefined;
  return one.time === other.time ? one.order < other.order : one.time < other.time;
}

function swap<T>(heap: Appointment<T>[], a: number, b: number): void {
  const one = heap[a];
  const other = heap[b];
  if (one === undefined || other === undefined) return;
  heap[a] = other;
  heap[b] = one;
}
