import type { Change, Disk, Entry, KeyRange, Table } from "../../store/lmdb/disk.ts";

/** A disk over another one of which the n-th write operation fails, and with it the commit that it is part of; nothing of that is written. */
export class FaultyDisk implements Disk {
  /** Write operations so far. */
  operations = 0;
  private readonly disk: Disk;
  private readonly fails: number;

  constructor(disk: Disk, fails: number) {
    this.disk = disk;
    this.fails = fails;
  }

  get bytes(): number {
    return this.disk.bytes;
  }

  get(table: Table, key: Buffer): Buffer | undefined {
    return this.disk.get(table, key);
  }

  range(table: Table, range: KeyRange): Iterable<Entry> {
    return this.disk.range(table, range);
  }

  async commit(changes: readonly Change[]): Promise<void> {
    const before = this.operations;
    this.operations += changes.length;
    if (before < this.fails && this.fails <= this.operations) {
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    }
    await this.disk.commit(changes);
  }

  async close(): Promise<void> {
    await this.disk.close();
  }
}
