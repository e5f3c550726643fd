import type { Change, Disk, Entry, KeyRange, Table } from "../../store/lmdb/disk.ts";
import { readU64 } from "../../store/lmdb/journal-record.ts";

/** A disk in memory that commits when it is let: the simplest thing that could be right. */
export class MapDisk implements Disk {
  readonly bytes = 0;
  /** Commits wait while this is true. */
  held = false;
  /** Fails every commit from now on. */
  broken = false;
  commits = 0;
  /** Fails every commit after so many more. */
  failsAfter = Number.POSITIVE_INFINITY;
  closed = false;
  private readonly values: Map<string, Entry>;
  private waiting: (() => void)[] = [];

  constructor(values: Iterable<[string, Entry]> = []) {
    this.values = new Map(values);
  }

  /** What is on it, on a disk of its own: as after a crash. */
  copy(): MapDisk {
    return new MapDisk(this.values);
  }

  /** The last batch that was applied from a journal. */
  get applied(): number {
    return readU64(this.get("meta", Buffer.from("journal")) ?? Buffer.alloc(8), 0);
  }

  /** True while a commit waits. */
  get waits(): boolean {
    return this.waiting.length > 0;
  }

  letGo(): void {
    this.held = false;
    for (const go of this.waiting) go();
    this.waiting = [];
  }

  get(table: Table, key: Buffer): Buffer | undefined {
    return this.values.get(nameOf(table, key))?.value;
  }

  range(table: Table, { from, to, backwards = false }: KeyRange): Entry[] {
    const found = [...this.values].filter(([name]) => name.startsWith(`${table} `)).map(([, entry]) => entry);
    const sign = backwards ? -1 : 1;
    return found
      .filter(({ key }) => sign * key.compare(from) >= 0 && sign * key.compare(to) < 0)
      .sort((a, b) => sign * a.key.compare(b.key));
  }

  async commit(changes: readonly Change[]): Promise<void> {
    if (this.held) await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (this.broken || this.failsAfter-- <= 0) throw new Error("the disk does not answer");
    if (this.closed) throw new Error("the disk is closed");
    this.commits++;
    this.write(changes);
  }

  /** Writes at once. */
  write(changes: readonly Change[]): void {
    for (const { table, key, value } of changes) {
      if (value === undefined) this.values.delete(nameOf(table, key));
      else this.values.set(nameOf(table, key), { key: Buffer.from(key), value: Buffer.from(value) });
    }
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

function nameOf(table: Table, key: Buffer): string {
  return `${table} ${key.toString("latin1")}`;
}
