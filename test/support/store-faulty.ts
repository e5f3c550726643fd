import { type Change, Disk } from "../../store/lmdb/disk.ts";

/** A disk of which the n-th write operation fails, and with it the commit that it is part of; nothing of that is written. */
export class FaultyDisk extends Disk {
  /** Write operations so far. */
  operations = 0;
  private readonly fails: number;

  constructor(directory: string, fails: number) {
    super(directory);
    this.fails = fails;
  }

  override async commit(changes: readonly Change[]): Promise<void> {
    const before = this.operations;
    this.operations += changes.length;
    if (before < this.fails && this.fails <= this.operations) {
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    }
    await super.commit(changes);
  }
}
