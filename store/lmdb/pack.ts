/*
 * A pack: the entries of one queue whose messages lie in one segment. Written once; what happens to its entries later
 * goes to its state. All behind a checksum:
 *
 *     pack   u48 segment, then varints: entries, runs, 1 if any expires,
 *            per run: length, gap to the sequence before, offset of its first record,
 *            per entry if any expires: 0 for never, else 1 + seconds after the pack's earliest; that second comes first
 *     state  varint length of the bitmap, bitmap of settled entries, then varints: index, deliveries
 *
 * The entries of a run have sequences that follow each other and records that lie one after the other.
 */
import type { StoredEntry } from "../../core/store.ts";
import { CHECKSUM_BYTES, intact, seal } from "./checksum.ts";
import type { Shelf } from "./shelf.ts";
import { VarintReader, VarintWriter } from "./varint.ts";

/** Entries whose sequences and records follow each other. */
export interface Run {
  readonly sequence: number;
  /** Where the first record begins in the segment. */
  readonly offset: number;
  length: number;
}

/** A pack that a segment being built adds to. */
export interface GrowingPack {
  readonly pack: Pack;
  readonly runs: Run[];
  readonly entries: StoredEntry[];
  /** Where the record of its last entry ends. */
  end: number;
}

/** Where entries lie: what the disk knows of a pack. */
export interface Layout {
  readonly segment: number;
  readonly count: number;
  readonly runs: readonly Run[];
  /** Per entry the second by which it is expired, 0 for never; undefined if none expires. */
  readonly expiries: readonly number[] | undefined;
}

/** A pack that has entries in memory or changes to be written. There is never more than one object for a pack. */
export class Pack {
  readonly shelf: Shelf;
  readonly first: number;
  readonly segment: number;
  count = 0;
  /** Entries that are not settled. */
  live = 0;
  /** Entries that somebody holds in memory. */
  held = 0;
  /** True while the gathering batch has something to write about it. */
  dirty = false;
  /** True while a batch that has something about it is being written. */
  writing = false;
  /** The second under which it is filed for expiry, 0 if it is not. */
  filed = 0;
  /** True if a state of it may be on disk. */
  hasState = false;
  /** Bytes of the messages, while it is being built. */
  bytes = 0;
  private last = -1;
  /** Undefined while the sequences follow each other without a gap. */
  private sequences: number[] | undefined = undefined;
  private expiries: number[] | undefined = undefined;
  private settled: Uint8Array | undefined = undefined;
  private deliveries: Map<number, number> | undefined = undefined;

  constructor(shelf: Shelf, first: number, segment: number) {
    this.shelf = shelf;
    this.first = first;
    this.segment = segment;
  }

  /** Adds an entry behind the others. */
  add(sequence: number, expiry: number): void {
    if (this.sequences !== undefined) this.sequences.push(sequence);
    else if (sequence !== this.first + this.count) {
      this.sequences = Array.from({ length: this.count }, (_, i) => this.first + i);
      this.sequences.push(sequence);
    }
    if (expiry !== 0) this.expiries ??= Array.from({ length: this.count }, () => 0);
    this.expiries?.push(expiry);
    this.last = sequence;
    this.count++;
    this.live++;
  }

  /** The highest sequence in it. */
  get lastSequence(): number {
    return this.last;
  }

  /** The place of a sequence among the entries; -1 if it is not one of them. */
  indexOf(sequence: number): number {
    const sequences = this.sequences;
    if (sequences === undefined) {
      const index = sequence - this.first;
      return index >= 0 && index < this.count ? index : -1;
    }
    let low = 0;
    let high = sequences.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = Number(sequences[middle]);
      if (found === sequence) return middle;
      if (found < sequence) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** The sequence of an entry. */
  sequenceAt(index: number): number {
    return this.sequences?.[index] ?? this.first + index;
  }

  isSettled(index: number): boolean {
    const settled = this.settled;
    return settled !== undefined && (Number(settled[index >> 3]) & (1 << (index & 7))) !== 0;
  }

  /** Marks an entry as settled; false if it was already. */
  settle(index: number): boolean {
    if (this.isSettled(index)) return false;
    this.settled ??= new Uint8Array((this.count + 7) >> 3);
    this.settled[index >> 3] = Number(this.settled[index >> 3]) | (1 << (index & 7));
    this.deliveries?.delete(index);
    this.live--;
    return true;
  }

  deliveriesOf(index: number): number {
    return this.deliveries?.get(index) ?? 0;
  }

  get hasDeliveries(): boolean {
    return this.deliveries !== undefined && this.deliveries.size > 0;
  }

  setDeliveries(index: number, deliveries: number): void {
    this.deliveries ??= new Map();
    this.deliveries.set(index, deliveries);
  }

  /** The earliest second by which an entry that is not settled expires and that is later than `after`; 0 for none. */
  nextExpiry(after: number): number {
    let earliest = 0;
    this.expiries?.forEach((second, index) => {
      if (second > after && (earliest === 0 || second < earliest) && !this.isSettled(index)) earliest = second;
    });
    return earliest;
  }

  /** The lowest and the highest sequence not settled that expires in (after, until]; undefined if none does. */
  expiring(after: number, until: number): { from: number; to: number } | undefined {
    let from = -1;
    let to = -1;
    this.expiries?.forEach((second, index) => {
      if (second <= after || second > until || this.isSettled(index)) return;
      if (from < 0) from = this.sequenceAt(index);
      to = this.sequenceAt(index);
    });
    return from < 0 ? undefined : { from, to };
  }

  encodeState(): Buffer {
    const writer = new VarintWriter();
    const settled = this.settled ?? [];
    writer.add(settled.length);
    for (const byte of settled) writer.bytes.push(byte);
    for (const [index, deliveries] of this.deliveries ?? []) {
      writer.add(index);
      writer.add(deliveries);
    }
    return sealed(writer);
  }

  /** Takes over what is on disk about a pack that was just read; false if the state is damaged. */
  restoreState(value: Buffer): boolean {
    if (!intact(value)) return false;
    this.hasState = true;
    const reader = new VarintReader(value, CHECKSUM_BYTES);
    const bytes = reader.next();
    if (bytes > 0) {
      this.settled = Uint8Array.from(reader.take(bytes));
      for (let index = 0; index < this.count; index++) if (this.isSettled(index)) this.live--;
    }
    for (let index = reader.next(); !Number.isNaN(index); index = reader.next()) {
      this.setDeliveries(index, reader.next());
    }
    return true;
  }

  encode(runs: readonly Run[]): Buffer {
    const writer = new VarintWriter();
    for (let byte = 0, rest = this.segment; byte < 6; byte++, rest = Math.floor(rest / 256))
      writer.bytes.push(rest % 256);
    writer.add(this.count);
    writer.add(runs.length);
    writer.add(this.expiries === undefined ? 0 : 1);
    let next = this.first;
    for (const run of runs) {
      writer.add(run.length);
      writer.add(run.sequence - next);
      writer.add(run.offset);
      next = run.sequence + run.length;
    }
    if (this.expiries !== undefined) {
      const base = this.nextExpiry(0);
      writer.add(base);
      for (const second of this.expiries) writer.add(second === 0 ? 0 : second - base + 1);
    }
    return sealed(writer);
  }
}

/** Reads what is on disk of a pack; undefined if it is damaged. */
export function decodeLayout(first: number, value: Buffer): Layout | undefined {
  if (!intact(value)) return undefined;
  const segment = value.readUIntLE(CHECKSUM_BYTES, 6);
  const reader = new VarintReader(value, CHECKSUM_BYTES + 6);
  const count = reader.next();
  const runCount = reader.next();
  const expires = reader.next() === 1;
  const runs: Run[] = [];
  let next = first;
  for (let i = 0; i < runCount; i++) {
    const length = reader.next();
    const sequence = next + reader.next();
    runs.push({ length, sequence, offset: reader.next() });
    next = sequence + length;
  }
  if (!expires) return { segment, count, runs, expiries: undefined };
  const base = reader.next();
  const expiries: number[] = [];
  for (let i = 0; i < count; i++) {
    const after = reader.next();
    expiries.push(after === 0 ? 0 : base + after - 1);
  }
  return { segment, count, runs, expiries };
}

/** The pack that a layout describes, with nothing settled. */
export function packOf(shelf: Shelf, first: number, layout: Layout): Pack {
  const pack = new Pack(shelf, first, layout.segment);
  for (const run of layout.runs) {
    for (let i = 0; i < run.length; i++) pack.add(run.sequence + i, layout.expiries?.[pack.count] ?? 0);
  }
  pack.filed = pack.nextExpiry(0);
  return pack;
}

function sealed(writer: VarintWriter): Buffer {
  const value = Buffer.allocUnsafe(CHECKSUM_BYTES + writer.bytes.length);
  value.set(writer.bytes, CHECKSUM_BYTES);
  return seal(value);
}
