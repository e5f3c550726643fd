import type { Change, Disk } from "./disk.ts";
import { expiryKey, firstOf, numberKey, packKey } from "./keys.ts";
import { decodeLayout, packOf } from "./pack.ts";
import type { References } from "./references.ts";
import type { Shelf } from "./shelf.ts";

/** Packs deleted in one batch, so that a turn stays short however much a queue held. */
const SLICE_PACKS = 256;

/** Shelves whose packs are to be deleted, a slice with each batch. One record keeps each from being seen again. */
export class DoomedShelves {
  private readonly disk: () => Disk;
  private readonly shelves: Shelf[] = [];

  constructor(disk: () => Disk) {
    this.disk = disk;
  }

  /** True while there is more to delete. */
  get waiting(): boolean {
    return this.shelves.length > 0;
  }

  /** A shelf whose record is written already, or will be by the caller. */
  add(shelf: Shelf): void {
    this.shelves.push(shelf);
  }

  /** Deletes a slice. */
  encode(changes: Change[], references: References): void {
    const shelf = this.shelves[0];
    if (shelf === undefined) return;
    const disk = this.disk();
    let left = SLICE_PACKS;
    const range = { from: numberKey(shelf.number), to: packKey(shelf.number, 2 ** 48 - 1) };
    for (const { key, value } of disk.range("packs", range)) {
      if (left-- === 0) return;
      changes.push({ table: "packs", key, value: undefined });
      const state = disk.get("states", key);
      if (state !== undefined) changes.push({ table: "states", key, value: undefined });
      const layout = decodeLayout(firstOf(key), value);
      if (layout === undefined) continue;
      references.lose(layout.segment);
      const pack = packOf(shelf, firstOf(key), layout);
      if (state !== undefined) pack.restoreState(state);
      const filed = pack.nextExpiry(0);
      if (filed === 0) continue;
      changes.push({ table: "expiries", key: expiryKey(filed, shelf.number, pack.first), value: undefined });
    }
    changes.push({ table: "doomed", key: numberKey(shelf.number), value: undefined });
    this.shelves.shift();
  }
}
