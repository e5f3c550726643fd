import type { Change, Disk } from "./disk.ts";
import { segmentKey } from "./keys.ts";

/** Counts, for one batch, the packs that segments lose, and deletes segments that have none left. */
export class References {
  private readonly disk: Disk;
  private readonly lost = new Map<number, number>();

  constructor(disk: Disk) {
    this.disk = disk;
  }

  /** A pack of the segment is gone. */
  lose(segment: number): void {
    this.lost.set(segment, (this.lost.get(segment) ?? 0) + 1);
  }

  encode(changes: Change[]): void {
    for (const [segment, lost] of this.lost) {
      const key = segmentKey(segment);
      const record = this.disk.get("references", key);
      const left = (record?.readUInt32LE() ?? 1) - lost;
      if (left > 0) {
        const count = Buffer.allocUnsafe(4);
        count.writeUInt32LE(left);
        changes.push({ table: "references", key, value: count });
        continue;
      }
      if (record !== undefined) changes.push({ table: "references", key, value: undefined });
      changes.push({ table: "segments", key, value: undefined });
    }
  }
}
