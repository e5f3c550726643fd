import type { QueueKey } from "../../core/store.ts";
import type { Disk } from "./disk.ts";
import { expiryKey } from "./keys.ts";
import type { PackReader } from "./pack-reader.ts";
import type { Shelf } from "./shelf.ts";

/**
 * Finds packs by their earliest expiry. What is filed is always the earliest of those not settled, so that nothing is
 * missed after a crash; what was reported meanwhile is known here only.
 */
export class ExpiryIndex {
  private readonly disk: () => Disk;
  private readonly packs: PackReader;
  private readonly shelves: ReadonlyMap<number, Shelf>;
  /** By the pack's key in Latin-1: the second until which it was reported, and the next that is worth a look. */
  private readonly reported = new Map<string, { until: number; next: number }>();

  constructor(disk: () => Disk, packs: PackReader, shelves: ReadonlyMap<number, Shelf>) {
    this.disk = disk;
    this.packs = packs;
    this.shelves = shelves;
  }

  /** See `Store.expired`; tells `stale` about keys that lead nowhere. */
  expired(now: number, max: number, stale: (key: Buffer) => void): { key: QueueKey; from: number; to: number }[] {
    const second = Math.floor(now / 1000);
    const found: { key: QueueKey; from: number; to: number }[] = [];
    const range = { from: expiryKey(0, 0, 0), to: expiryKey(Math.min(second + 1, 0xffffffff), 0, 0) };
    const seen = new Set<string>();
    for (const { key } of this.disk().range("expiries", range)) {
      if (found.length >= max) return found;
      const name = key.toString("latin1", 4);
      seen.add(name);
      const before = this.reported.get(name);
      if (before !== undefined && before.next > second) continue;
      const shelf = this.shelves.get(key.readUInt32BE(4));
      if (shelf === undefined) continue;
      const pack = this.packs.get(shelf, key.readUIntBE(8, 6));
      if (pack === undefined) {
        stale(key);
        continue;
      }
      const due = pack.expiring(before?.until ?? 0, second);
      const next = pack.nextExpiry(second);
      this.reported.set(name, { until: second, next: next === 0 ? Number.POSITIVE_INFINITY : next });
      if (due !== undefined) found.push({ key: shelf.queue, ...due });
    }
    // All that is due was seen: what is not among it was filed anew or is gone.
    for (const name of this.reported.keys()) if (!seen.has(name)) this.reported.delete(name);
    return found;
  }
}
