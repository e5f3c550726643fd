import type { Loaded, LoadedEntry } from "../../core/store.ts";
import type { RecordReader } from "../record.ts";
import { Slab } from "../slab.ts";
import type { Disk } from "./disk.ts";
import { firstOf, numberKey, packKey } from "./keys.ts";
import { decodeLayout, type Layout, type Pack, packOf } from "./pack.ts";
import { SegmentCache } from "./segment-cache.ts";
import type { Shelf } from "./shelf.ts";

/** Sequences are below 2^48. */
const LAST_SEQUENCE = 2 ** 48 - 1;

/** A pack that cannot be read. */
export interface DamagedPack {
  readonly shelf: Shelf;
  readonly key: Buffer;
  readonly value: Buffer;
  /** Known if it is the messages that are damaged and not the pack. */
  readonly pack: Pack | undefined;
  readonly sentence: string;
}

interface FoundPack {
  readonly pack: Pack;
  readonly layout: Layout;
}

/** Reads packs and their messages back. What is in memory of a pack counts, not what is on disk of its state. */
export class PackReader {
  private readonly disk: () => Disk;
  private readonly records: RecordReader;
  private readonly damaged: (damage: DamagedPack) => void;
  private readonly segments: SegmentCache;
  /** Keys of packs that were found damaged, in hexadecimal. */
  private readonly skipped = new Set<string>();

  constructor(disk: () => Disk, records: RecordReader, damaged: (damage: DamagedPack) => void) {
    this.disk = disk;
    this.records = records;
    this.damaged = damaged;
    this.segments = new SegmentCache(disk);
  }

  /** See `Store.load`. */
  load(shelf: Shelf, from: number, to: number, maxBytes: number): Loaded {
    const entries: LoadedEntry[] = [];
    let room = maxBytes;
    const range = { from: this.startOf(shelf, from), to: packKey(shelf.number, Math.min(to + 1, LAST_SEQUENCE)) };
    for (const { key, value } of this.disk().range("packs", range)) {
      const found = this.find(shelf, key, value);
      if (found === undefined || found.pack.live === 0) continue;
      const before = entries.length;
      try {
        const read = this.read(found, { from, to, room, entries });
        room = read.room;
        if (entries.length > before) this.hold(found.pack, entries.length - before);
        if (read.next !== undefined) return { entries, next: read.next };
      } catch (error) {
        entries.length = before;
        const sentence = error instanceof Error ? error.message : String(error);
        this.skip({ shelf, key, value, pack: found.pack, sentence });
      }
    }
    return { entries, next: undefined };
  }

  /** The pack with the given first sequence; undefined if there is none that can be read. */
  get(shelf: Shelf, first: number): Pack | undefined {
    const known = shelf.packs.get(first);
    if (known !== undefined) return known;
    const key = packKey(shelf.number, first);
    const value = this.disk().get("packs", key);
    return value && this.find(shelf, key, value)?.pack;
  }

  /** The pack that holds a sequence, and its index there. */
  locate(shelf: Shelf, sequence: number): { pack: Pack; index: number } | undefined {
    const pack = this.get(shelf, firstOf(this.startOf(shelf, sequence)));
    const index = pack?.indexOf(sequence) ?? -1;
    return pack === undefined || index < 0 ? undefined : { pack, index };
  }

  /** The bytes of an entry's message, read from the disk; 0 if that is not possible. */
  sizeOf(pack: Pack, sequence: number): number {
    const value = this.disk().get("packs", packKey(pack.shelf.number, pack.first));
    const layout = value && decodeLayout(pack.first, value);
    const data = layout && this.segments.get(layout.segment);
    const run = layout?.runs.findLast((candidate) => candidate.sequence <= sequence);
    if (data === undefined || run === undefined) return 0;
    let offset: number | undefined = run.offset;
    for (let at = run.sequence; at < sequence && offset !== undefined; at++) offset = this.records.end(data, offset);
    return offset === undefined ? 0 : this.records.frameBytes(data, offset);
  }

  /** The key of the pack that may hold the sequence, or of the place where it would be. */
  private startOf(shelf: Shelf, sequence: number): Buffer {
    const key = packKey(shelf.number, Math.min(sequence, LAST_SEQUENCE));
    const below = { from: key, to: numberKey(shelf.number), backwards: true };
    for (const found of this.disk().range("packs", below)) return found.key;
    return key;
  }

  private find(shelf: Shelf, key: Buffer, value: Buffer): FoundPack | undefined {
    if (this.skipped.size > 0 && this.skipped.has(key.toString("hex"))) return undefined;
    const first = firstOf(key);
    const layout = decodeLayout(first, value);
    if (layout === undefined) {
      this.skip({ shelf, key, value, pack: undefined, sentence: "its table of contents fails its checksum" });
      return undefined;
    }
    const known = shelf.packs.get(first);
    if (known !== undefined) return { pack: known, layout };
    const pack = packOf(shelf, first, layout);
    const state = this.disk().get("states", key);
    if (state === undefined || pack.restoreState(state)) {
      pack.filed = pack.nextExpiry(0);
      return { pack, layout };
    }
    this.skip({ shelf, key, value, pack: undefined, sentence: "what is known of its settlements fails its checksum" });
    return undefined;
  }

  private read(
    { pack, layout }: FoundPack,
    want: { from: number; to: number; room: number; entries: LoadedEntry[] },
  ): { room: number; next: number | undefined } {
    let { room } = want;
    let data: Buffer | undefined;
    let index = 0;
    let taken = 0;
    const firstTaken = want.entries.length;
    let next: number | undefined;
    for (const run of layout.runs) {
      let offset = run.offset;
      for (let i = 0; i < run.length && next === undefined; i++, index++) {
        const sequence = run.sequence + i;
        if (sequence > want.to) break;
        const wanted = sequence >= want.from && !pack.isSettled(index);
        if (wanted && room <= 0 && want.entries.length > 0) {
          next = sequence;
          break;
        }
        data ??= this.dataOf(pack);
        const end = this.records.end(data, offset);
        if (end === undefined) throw new Error(`the record of message ${sequence} does not fit into its segment`);
        if (wanted) {
          const message = this.records.read(data, offset);
          want.entries.push({ sequence, deliveries: pack.deliveriesOf(index), message, place: pack });
          room -= message.size;
          taken += message.size;
        }
        offset = end;
      }
    }
    if (data !== undefined && taken < data.length / 4) moveOut(want.entries.slice(firstTaken));
    return { room, next };
  }

  private dataOf(pack: Pack): Buffer {
    const data = this.segments.get(pack.segment);
    if (data === undefined) throw new Error(`segment ${pack.segment} is missing or fails its checksum`);
    return data;
  }

  private hold(pack: Pack, entries: number): void {
    pack.held += entries;
    pack.shelf.packs.set(pack.first, pack);
  }

  private skip(damage: DamagedPack): void {
    this.skipped.add(damage.key.toString("hex"));
    this.damaged(damage);
  }
}

/** A few messages of a segment must not keep all of it alive. */
function moveOut(entries: readonly LoadedEntry[]): void {
  const slab = new Slab();
  for (const { message } of entries) slab.take(message);
}
