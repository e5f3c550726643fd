import type { Message } from "../../core/message.ts";
import type { StoredEntry } from "../../core/store.ts";
import { HEADER_BYTES, type RecordWriter } from "../record.ts";
import { Slab } from "../slab.ts";
import { CHECKSUM_BYTES, seal } from "./checksum.ts";
import type { Change } from "./disk.ts";
import { expiryKey, packKey, segmentKey } from "./keys.ts";
import { type GrowingPack, Pack } from "./pack.ts";
import type { Shelf } from "./shelf.ts";

/** Where a segment is cut; a larger message has one alone. */
const SEGMENT_BYTES = 64 * 1024;
/** The latest second that a key can name. */
const LAST_SECOND = 0xffffffff;

/** The second by which something that expires at a time (ms, 0 for never) is expired; 0 for never. */
export function expirySecond(expiresAt: number): number {
  return expiresAt === 0 ? 0 : Math.min(Math.max(Math.ceil(expiresAt / 1000), 1), LAST_SECOND);
}

/** Packs the messages of one batch into segments, and their entries into packs. */
export class SegmentBuilder {
  private readonly records: RecordWriter;
  private readonly changes: Change[];
  private segment: number;
  /** Bytes that the records still to come take at most. */
  private toCome: number;
  private data = Buffer.alloc(0);
  private used = 0;
  private packs: GrowingPack[] = [];
  private entries: StoredEntry[] = [];
  private lastMessage: Message | undefined = undefined;
  private lastOffset = 0;

  constructor(records: RecordWriter, changes: Change[], options: { firstSegment: number; recordBytes: number }) {
    this.records = records;
    this.changes = changes;
    this.segment = options.firstSegment;
    this.toCome = options.recordBytes;
  }

  /** The number that the next segment will have. */
  get nextSegment(): number {
    return this.segment;
  }

  /** Adds an entry, and its message's record unless this segment has it already. */
  add(shelf: Shelf, entry: StoredEntry, message: Message): void {
    const offset = this.place(message);
    const end = offset + this.records.size(message);
    let growing = shelf.building;
    if (growing === undefined) {
      growing = { pack: new Pack(shelf, entry.sequence, this.segment), runs: [], end: -1 };
      shelf.building = growing;
      this.packs.push(growing);
    }
    const { pack, runs } = growing;
    const run = runs.at(-1);
    if (run !== undefined && growing.end === offset && entry.sequence === run.sequence + run.length) run.length++;
    else runs.push({ sequence: entry.sequence, offset, length: 1 });
    growing.end = end;
    pack.add(entry.sequence, expirySecond(message.expiresAt));
    if (entry.deliveries > 0) pack.setDeliveries(pack.count - 1, entry.deliveries);
    pack.bytes += message.size;
    entry.place = pack;
    this.entries.push(entry);
  }

  /** Ends the last segment. */
  finish(): void {
    if (this.used === 0) return;
    const several = this.packs.length > 1;
    for (const growing of this.packs) {
      this.file(growing);
      const { pack } = growing;
      if (several && pack.bytes < this.used / 4) this.moveOut(pack);
    }
    const key = segmentKey(this.segment);
    this.changes.push({ table: "segments", key, value: seal(this.data.subarray(0, this.used)) });
    if (several) {
      const count = Buffer.allocUnsafe(4);
      count.writeUInt32LE(this.packs.length);
      this.changes.push({ table: "references", key, value: count });
    }
    this.segment++;
    this.used = 0;
    this.packs = [];
    this.entries = [];
    this.lastMessage = undefined;
  }

  /** Where the message's record lies in the segment; writes it if it is not there yet. */
  private place(message: Message): number {
    if (message === this.lastMessage) return this.lastOffset;
    if (message.data === this.data && this.used > 0) return message.start - HEADER_BYTES;
    const size = this.records.size(message);
    if (this.used > 0 && this.used + size > this.data.length) this.finish();
    if (this.used === 0) {
      const room = Math.max(size, Math.min(SEGMENT_BYTES, this.toCome));
      this.data = Buffer.allocUnsafeSlow(CHECKSUM_BYTES + room);
      this.used = CHECKSUM_BYTES;
    }
    const offset = this.used;
    this.used = this.records.write(message, this.data, offset);
    this.toCome -= size;
    // From here on the message lies where it was written, and its network chunk can go.
    if (!message.detached) message.relocate(this.data, offset + HEADER_BYTES);
    this.lastMessage = message;
    this.lastOffset = offset;
    return offset;
  }

  private file({ pack, runs }: GrowingPack): void {
    const { shelf, first } = pack;
    const key = packKey(shelf.number, first);
    this.changes.push({ table: "packs", key, value: pack.encode(runs) });
    if (pack.hasDeliveries) {
      pack.hasState = true;
      this.changes.push({ table: "states", key, value: pack.encodeState() });
    }
    pack.filed = pack.nextExpiry(0);
    if (pack.filed !== 0) {
      const filed = expiryKey(pack.filed, shelf.number, first);
      this.changes.push({ table: "expiries", key: filed, value: Buffer.alloc(0) });
    }
    pack.held = pack.count;
    shelf.building = undefined;
    shelf.used = true;
    shelf.packs.set(first, pack);
  }

  /** Gives the messages of a small part of the segment bytes of their own, so that a few do not keep all of it alive. */
  private moveOut(pack: Pack): void {
    const slab = new Slab();
    for (const { place, message } of this.entries) {
      if (place === pack && message !== undefined && message.data === this.data) slab.take(message);
    }
  }
}
