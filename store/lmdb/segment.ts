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
function expirySecond(expiresAt: number): number {
  return expiresAt === 0 ? 0 : Math.min(Math.max(Math.ceil(expiresAt / 1000), 1), LAST_SECOND);
}

interface OpenSegment {
  readonly number: number;
  readonly data: Buffer;
  used: number;
  readonly packs: GrowingPack[];
}

/**
 * Packs the messages of one batch into segments, and their entries into packs. Entries come queue by queue, so that a
 * queue has few packs and its messages lie together; a message that an earlier queue brought is not written again.
 */
export class SegmentBuilder {
  private readonly records: RecordWriter;
  private readonly changes: Change[];
  private next: number;
  /** Bytes that the records still to come take at most. */
  private toCome: number;
  private current: OpenSegment | undefined = undefined;
  private readonly segments = new Map<Buffer, OpenSegment>();
  private growing: GrowingPack | undefined = undefined;
  private shelf: Shelf | undefined = undefined;

  constructor(records: RecordWriter, changes: Change[], options: { firstSegment: number; recordBytes: number }) {
    this.records = records;
    this.changes = changes;
    this.next = options.firstSegment;
    this.toCome = options.recordBytes;
  }

  /** The number that the next segment will have. */
  get nextSegment(): number {
    return this.next;
  }

  /** Adds an entry, and its message's record unless a segment of this batch has it already. */
  add(shelf: Shelf, entry: StoredEntry, message: Message): void {
    const segment = this.segmentOf(message);
    let growing = this.growing;
    if (growing === undefined || shelf !== this.shelf || growing.pack.segment !== segment.number) {
      growing = { pack: new Pack(shelf, entry.sequence, segment.number), runs: [], end: -1, entries: [] };
      segment.packs.push(growing);
      this.growing = growing;
      this.shelf = shelf;
    }
    const { pack, runs } = growing;
    const offset = message.start - HEADER_BYTES;
    const run = runs.at(-1);
    if (run !== undefined && growing.end === offset && entry.sequence === run.sequence + run.length) run.length++;
    else runs.push({ sequence: entry.sequence, offset, length: 1 });
    growing.end = offset + this.records.size(message);
    pack.add(entry.sequence, expirySecond(message.expiresAt));
    if (entry.deliveries > 0) pack.setDeliveries(pack.count - 1, entry.deliveries);
    pack.bytes += message.size;
    growing.entries.push(entry);
    entry.place = pack;
  }

  /** Ends all segments. */
  finish(): void {
    for (const segment of this.segments.values()) {
      const several = segment.packs.length > 1;
      for (const growing of segment.packs) {
        this.file(growing);
        if (several && growing.pack.bytes < segment.used / 4) moveOut(growing, segment.data);
      }
      const key = segmentKey(segment.number);
      this.changes.push({ table: "segments", key, value: seal(segment.data.subarray(0, segment.used)) });
      if (!several) continue;
      const count = Buffer.allocUnsafe(4);
      count.writeUInt32LE(segment.packs.length);
      this.changes.push({ table: "references", key, value: count });
    }
  }

  /** The segment in which the message lies; writes it into the current one if it is in none yet. */
  private segmentOf(message: Message): OpenSegment {
    const known = this.segments.get(message.data);
    if (known !== undefined) return known;
    const size = this.records.size(message);
    let segment = this.current;
    if (segment === undefined || segment.used + size > segment.data.length) {
      const room = Math.max(size, Math.min(SEGMENT_BYTES, this.toCome));
      const data = Buffer.allocUnsafeSlow(CHECKSUM_BYTES + room);
      segment = { number: this.next++, data, used: CHECKSUM_BYTES, packs: [] };
      this.segments.set(data, segment);
      this.current = segment;
    }
    const offset = segment.used;
    segment.used = this.records.write(message, segment.data, offset);
    this.toCome -= size;
    // From here on the message lies where it was written, and its network chunk can go.
    message.relocate(segment.data, offset + HEADER_BYTES);
    return segment;
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
    shelf.used = true;
    shelf.packs.set(first, pack);
  }
}

/** Gives the messages of a small part of a segment bytes of their own, so that a few do not keep all of it alive. */
function moveOut({ entries }: GrowingPack, data: Buffer): void {
  const slab = new Slab();
  for (const { message } of entries) if (message !== undefined && message.data === data) slab.take(message);
}
