import type { Message } from "../../core/message.ts";
import type { QueueKey, StoredEntry } from "../../core/store.ts";
import { CHECKSUM_BYTES, intact, seal } from "./checksum.ts";
import type { Change } from "./disk.ts";
import { expiryKey, numberKey, packKey } from "./keys.ts";
import type { Pack } from "./pack.ts";
import type { References } from "./references.ts";
import type { SegmentBuilder } from "./segment.ts";
import type { Shelf, StoredQueue } from "./shelf.ts";

/** Everything about queues that was said for one batch. */
export class Batch {
  /** Bytes that the records of its messages take. */
  recordBytes = 0;
  /** The packs that it has something to write about. */
  readonly packs = new Set<Pack>();
  private readonly shelves: Shelf[] = [];
  private readonly queues: StoredQueue[] = [];
  private readonly changes: Change[] = [];

  /** Adds an entry, to be written unless it is taken back until then. */
  enqueue(shelf: Shelf, entry: StoredEntry): void {
    if (shelf.gathering.length === 0) this.shelves.push(shelf);
    shelf.gathering.push(entry);
    entry.place = shelf;
  }

  /** Something of the queue's sums, or all of it, is other than on disk. */
  touch(queue: StoredQueue, what: "sums" | "all"): void {
    if (queue.changed === "nothing") this.queues.push(queue);
    if (queue.changed !== "all") queue.changed = what;
  }

  /** Something of the pack is other than on disk. */
  touchPack(pack: Pack): void {
    pack.dirty = true;
    this.packs.add(pack);
  }

  /** A change that stands for itself. */
  add(change: Change): void {
    this.changes.push(change);
  }

  deleteQueue(key: QueueKey): void {
    this.add({ table: "queues", key: numberKey(key), value: undefined });
    this.add({ table: "sums", key: numberKey(key), value: undefined });
  }

  /** Turns it all into changes. The batch takes nothing more after that. */
  encode(batch: number, changes: Change[], segments: SegmentBuilder, references: References): void {
    changes.push(...this.changes);
    for (const shelf of this.shelves) {
      const entries = shelf.gathering;
      shelf.gathering = [];
      if (shelf.doomed) continue;
      for (const entry of entries) if (entry.batch === batch) segments.add(shelf, entry, messageOf(entry));
    }
    segments.finish();
    for (const pack of this.packs) encodePack(pack, changes, references);
    for (const queue of this.queues) encodeQueue(queue, changes);
  }

  /** It is on disk: lets go of packs that were kept for it. */
  written(): void {
    for (const pack of this.packs) {
      pack.writing = false;
      pack.shelf.letGo(pack);
    }
  }
}

function messageOf(entry: StoredEntry): Message {
  if (entry.message === undefined) throw new Error(`entry ${entry.sequence} lost its message before it was written`);
  return entry.message;
}

function encodePack(pack: Pack, changes: Change[], references: References): void {
  pack.dirty = false;
  if (pack.shelf.doomed) return;
  pack.writing = true;
  const key = packKey(pack.shelf.number, pack.first);
  const filed = pack.nextExpiry(0);
  if (filed !== pack.filed) {
    refile(pack, pack.filed, undefined, changes);
    refile(pack, filed, Buffer.alloc(0), changes);
    pack.filed = filed;
  }
  if (pack.live > 0) {
    pack.hasState = true;
    changes.push({ table: "states", key, value: pack.encodeState() });
    return;
  }
  changes.push({ table: "packs", key, value: undefined });
  if (pack.hasState) changes.push({ table: "states", key, value: undefined });
  references.lose(pack.segment);
}

function refile(pack: Pack, second: number, value: Buffer | undefined, changes: Change[]): void {
  if (second !== 0) changes.push({ table: "expiries", key: expiryKey(second, pack.shelf.number, pack.first), value });
}

/** Of a queue's record: u32 shelf, description. */
function encodeQueue(queue: StoredQueue, changes: Change[]): void {
  const { changed } = queue;
  queue.changed = "nothing";
  if (queue.deleted) return;
  const key = numberKey(queue.key);
  if (changed === "all") {
    const value = Buffer.from(`${"\0".repeat(CHECKSUM_BYTES + 4)}${queue.description}`);
    value.writeUInt32LE(queue.shelf.number, CHECKSUM_BYTES);
    changes.push({ table: "queues", key, value: seal(value) });
    queue.known = true;
  }
  const sums = Buffer.allocUnsafe(CHECKSUM_BYTES + 24);
  sums.writeDoubleLE(queue.count, CHECKSUM_BYTES);
  sums.writeDoubleLE(queue.bytes, CHECKSUM_BYTES + 8);
  sums.writeDoubleLE(queue.lastSequence, CHECKSUM_BYTES + 16);
  changes.push({ table: "sums", key, value: seal(sums) });
}

/** Reads a queue's record; undefined if it is damaged. */
export function decodeQueue(value: Buffer): { shelf: number; description: string } | undefined {
  if (!intact(value)) return undefined;
  return { shelf: value.readUInt32LE(CHECKSUM_BYTES), description: value.toString("utf8", CHECKSUM_BYTES + 4) };
}

/** Reads a queue's sums; undefined if they are damaged. */
export function decodeSums(value: Buffer): { count: number; bytes: number; lastSequence: number } | undefined {
  if (!intact(value)) return undefined;
  const read = (at: number): number => value.readDoubleLE(CHECKSUM_BYTES + at);
  return { count: read(0), bytes: read(8), lastSequence: read(16) };
}
