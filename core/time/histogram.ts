/** From 50 microseconds to an hour. */
const BOUNDS_MS: readonly number[] = [
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000,
  1_800_000, 3_600_000,
];

/** How often durations were seen, by how long they are at most. */
export class Histogram {
  readonly boundsMs = BOUNDS_MS;
  /** One for each bound, and one for what is longer than all of them. */
  readonly counts: number[] = Array.from({ length: BOUNDS_MS.length + 1 }, () => 0);
  count = 0;
  sumMs = 0;

  /** A clock may have been set back: then it took no time. */
  record(ms: number): void {
    const duration = Math.max(0, ms);
    let place = 0;
    while (place < BOUNDS_MS.length && duration > (BOUNDS_MS[place] ?? 0)) place++;
    this.counts[place] = (this.counts[place] ?? 0) + 1;
    this.count++;
    this.sumMs += duration;
  }
}
