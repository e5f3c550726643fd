/** Keys read from the store, and the one behind them. */
export interface KeysRead {
  readonly keys: ReadonlySet<string>;
  readonly next: string | undefined;
}

/** What one turn tries at most. */
const MOST_AT_ONCE = 1000;
/** Parts that a second's work is spread over. */
const PARTS = 20;
/** Milliseconds until what its target refused is tried again. */
const RETRY_MS = 1000;

/**
 * A paced walk along keys that are due already. What is still refused stays in the store and is met again by another walk,
 * a second after the last one began: only the lowest such key is remembered.
 */
export class SchedulePass {
  /** When it goes on, in milliseconds since 1970; never while there is nothing to do. */
  at = Number.POSITIVE_INFINITY;
  private readonly most: number;
  private readonly intervalMs: number;
  private readonly endOf: () => string;
  private from: string | undefined = undefined;
  private position: string | undefined = undefined;
  private end = "";
  private begun = 0;

  /** Tries so many keys in a second, 0 for no limit; each walk goes on to below what `endOf` says when it begins. */
  constructor(perSecond: number, endOf: () => string) {
    const rate = perSecond > 0 ? perSecond : Number.POSITIVE_INFINITY;
    this.most = Math.min(Math.max(Math.floor(rate / PARTS), 1), MOST_AT_ONCE);
    this.intervalMs = (this.most * 1000) / rate;
    this.endOf = endOf;
  }

  /** There is something to be done at a key. */
  begin(key: string, at: number): void {
    this.from = key;
    this.at = at;
  }

  /** A key that is due was refused and stays. */
  refused(key: string, now: number): void {
    if (this.from === undefined || key < this.from) this.from = key;
    if (this.position === undefined) this.at = Math.min(this.at, now + RETRY_MS);
  }

  /** The keys to try now, at most `room`; `read` reads up to so many from a key on. */
  take(now: number, room: number, read: (from: string, end: string, most: number) => KeysRead): ReadonlySet<string> {
    if (this.position === undefined) {
      this.position = this.from ?? "";
      this.from = undefined;
      this.end = this.endOf();
      this.begun = now;
    }
    const { keys, next } = read(this.position, this.end, Math.min(room, this.most));
    const more = next !== undefined && next < this.end;
    this.position = more ? next : undefined;
    // What was missed while the broker was busy is not made up for.
    if (more) this.at = Math.max(this.at + this.intervalMs, now);
    else this.at = Number.POSITIVE_INFINITY;
    return keys;
  }

  /** The keys that were taken have been tried. */
  tried(now: number): void {
    if (this.position !== undefined || this.from === undefined) return;
    this.at = Math.max(this.begun + RETRY_MS, now + this.intervalMs);
  }
}
