import { signal } from "@preact/signals";

/** Points that are kept: five minutes of one a second. */
const MOST = 300;

type Values = (number | null)[];

/** Some lines over the last minutes. */
export class Series {
  /** Grows with every point. */
  readonly version = signal(0);
  /** Seconds since 1970, then the values of each line. */
  data: [number[], ...Values[]];

  constructor(lines: number) {
    this.data = [[], ...Array.from({ length: lines }, (): Values => [])];
  }

  /** Adds a point at a moment in milliseconds since 1970. */
  add(at: number, values: readonly number[]): void {
    const [times, ...lines] = this.data;
    times.push(at / 1000);
    for (const [index, line] of lines.entries()) line.push(values[index] ?? 0);
    if (times.length > MOST) for (const column of this.data) column.shift();
    this.version.value++;
  }

  /** Takes all points away. */
  clear(): void {
    for (const column of this.data) column.length = 0;
    this.version.value++;
  }

  /** The last value of a line. */
  newest(line: number): number {
    return this.data[line + 1]?.at(-1) ?? 0;
  }
}

/** Makes rates a second of counters that grow. */
export class Rates {
  private before: readonly number[] | undefined = undefined;
  private beforeAt = 0;

  /** Undefined for the first of them, and where time stands still. */
  of(at: number, counters: readonly number[]): readonly number[] | undefined {
    const { before, beforeAt } = this;
    const seconds = (at - beforeAt) / 1000;
    if (before !== undefined && seconds <= 0) return undefined;
    this.before = counters;
    this.beforeAt = at;
    return before?.length !== counters.length
      ? undefined
      : counters.map((counter, index) => Math.max(0, counter - (before[index] ?? 0)) / seconds);
  }
}
