/*
 * A disk whose commits are confirmed by a journal: one sequential write that syncs, instead of the two syncs and the copied
 * pages of a commit of lmdb, which follows behind for many batches at once.
 *
 *     commit(changes) --> journal --synced--> resolves, and from here on reads see the changes
 *                                     |
 *                                     v
 *                     gathering: the last change of each key          get, range: gathering
 *                                     |  after a while, or                        over applying
 *                                     v  when it is much                          over the data file
 *                     applying --> one commit of the data file, with "journal" -> last batch in it
 *                                     |
 *                                     v  synced
 *                     journal files without any later batch are used again
 *
 * What is enqueued and dequeued again while it gathers never reaches the data file. Every commit of the data file is
 * synced by itself, so that whatever the journal gives up is safe. `open` applies the batches of the journal that are
 * beyond the data file's "journal"; the changes of a batch are values, not differences, so that very many of them may
 * be applied in several commits, the one with "journal" last. See docs/decisions/0002-a-journal-before-lmdb.md.
 *
 * A record shares its first and last sector with its neighbours: a sector is taken to be written whole or not at all.
 */
import { randomBytes } from "node:crypto";
import type { Change, Disk, Entry, KeyRange, Table } from "./disk.ts";
import { clearJournal, Journal } from "./journal.ts";
import { readJournal } from "./journal-reading.ts";
import { MARK_BYTES, readU64, writeU64 } from "./journal-record.ts";
import { Overlay, overlaid } from "./overlay.ts";

const MEBI = 1024 * 1024;
/** Batches are applied together so long after the ones before, */
const APPLY_MS = 10;
/** or as soon as their records are so large. */
const APPLY_BYTES = 4 * MEBI;
/** Above so many bytes of records that are not applied, commits wait. */
const WAITING_BYTES = 32 * MEBI;
/** What a change takes in memory besides its record. */
const CHANGE_BYTES = 256;
/** Changes in one commit of the data file: it holds a page in memory for each that lies apart from the others. */
const MOST_CHANGES = 4096;
/** In "meta": u64 last batch in the data file, mark of the journal's records. */
const POINT_KEY = Buffer.from("journal");

/** What a `JournaledDisk` is made of. */
export interface JournaledDiskOptions {
  /** Where the journal lies. */
  readonly directory: string;
  /** Told once when batches that were confirmed cannot be applied; they stay in the journal. */
  readonly failed: (cause: unknown) => void;
  /** For tests: when batches are applied at the latest. */
  readonly applyMs?: number;
}

/** A disk over another one, with its own journal in front. */
export class JournaledDisk implements Disk {
  private readonly file: Disk;
  private readonly journal: Journal;
  private readonly mark: Buffer;
  private readonly options: JournaledDiskOptions;
  private gathering = new Overlay();
  private applying = new Overlay();
  private gatheringBytes = 0;
  private applyingBytes = 0;
  private last = 0;
  private timer: NodeJS.Timeout | undefined = undefined;
  private running: Promise<void> | undefined = undefined;
  /** Copies of the data file that are being made. */
  private readonly backups = new Set<Promise<void>>();
  private closing = false;
  private failure: { cause: unknown } | undefined = undefined;

  private constructor(file: Disk, journal: Journal, mark: Buffer, options: JournaledDiskOptions) {
    this.file = file;
    this.journal = journal;
    this.mark = mark;
    this.options = options;
  }

  /** Applies what the journal has beyond the file; `damage` is what it should have and has not, a sentence each. */
  static async open(file: Disk, options: JournaledDiskOptions): Promise<{ disk: JournaledDisk; damage: string[] }> {
    const { directory } = options;
    let point = file.get("meta", POINT_KEY);
    if (point === undefined) {
      point = pointAt(0, randomBytes(MARK_BYTES));
      await file.commit([{ table: "meta", key: POINT_KEY, value: point }]);
    }
    const mark = Buffer.from(point.subarray(8, 8 + MARK_BYTES));
    const applied = readU64(point, 0);
    const found = readJournal(directory, mark, applied);
    if (found.highest > applied) {
      const replay = new Overlay();
      replay.add(found.changes);
      replay.add([{ table: "meta", key: POINT_KEY, value: pointAt(found.highest, mark) }]);
      await file.commit(replay.changes());
    }
    await clearJournal(directory, found);
    const journal = await Journal.create({ directory, mark, last: found.highest, nextFile: found.nextFile });
    const damage = found.damage === undefined ? [] : [found.damage];
    return { disk: new JournaledDisk(file, journal, mark, options), damage };
  }

  get bytes(): number {
    return this.file.bytes + this.journal.bytes;
  }

  get freeBytes(): number {
    return this.file.freeBytes ?? 0;
  }

  get(table: Table, key: Buffer): Buffer | undefined {
    const change = this.gathering.get(table, key) ?? this.applying.get(table, key);
    if (change === undefined) return this.file.get(table, key);
    return change.value && Buffer.from(change.value);
  }

  range(table: Table, range: KeyRange): Iterable<Entry> {
    let found = this.file.range(table, range);
    for (const overlay of [this.applying, this.gathering]) found = overlaid(overlay.of(table), found, range);
    return found;
  }

  async commit(changes: readonly Change[]): Promise<void> {
    while (this.running !== undefined && this.waitingBytes > WAITING_BYTES && this.failure === undefined) {
      await this.running;
    }
    this.check();
    try {
      const { sequence, bytes } = await this.journal.append(changes);
      this.last = sequence;
      this.gatheringBytes += bytes + changes.length * CHANGE_BYTES;
    } catch (cause) {
      this.failure ??= { cause };
    }
    // Applying may have failed meanwhile: nothing is confirmed after that.
    this.check();
    this.gathering.add(changes);
    this.schedule();
  }

  /** The copy needs no journal: whatever was confirmed before is in it. */
  async backup(path: string): Promise<void> {
    const copying = this.copyTo(path);
    // From now on batches are applied whole, whichever moment the copy is of.
    this.backups.add(copying);
    try {
      await copying;
    } finally {
      this.backups.delete(copying);
    }
  }

  /** Applies all that is confirmed and leaves no journal, or the journal if that fails. */
  async close(): Promise<void> {
    this.closing = true;
    clearTimeout(this.timer);
    // One after the other: what gathers while one runs is for the next.
    await this.running;
    if (this.failure === undefined && !this.gathering.empty) await this.apply();
    // Whoever copies the file reads from it.
    await Promise.allSettled(this.backups);
    await this.journal.close(this.failure === undefined ? "delete" : "keep");
    await this.file.close();
  }

  private async copyTo(path: string): Promise<void> {
    const { file } = this;
    if (file.backup === undefined) throw new Error("This disk cannot be copied while it is in use");
    while (this.running !== undefined) await this.running;
    this.check();
    if (!this.gathering.empty) await this.apply();
    this.check();
    await file.backup(path);
  }

  /** Bytes of records that are not applied. */
  private get waitingBytes(): number {
    return this.gatheringBytes + this.applyingBytes;
  }

  private check(): void {
    if (this.failure !== undefined) throw this.failure.cause;
  }

  private schedule(): void {
    if (this.running !== undefined || this.closing || this.failure !== undefined || this.gathering.empty) return;
    if (this.gatheringBytes >= APPLY_BYTES) void this.apply();
    else this.timer ??= setTimeout(() => void this.apply(), this.options.applyMs ?? APPLY_MS);
  }

  private apply(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.running = this.applyGathered();
    return this.running;
  }

  private async applyGathered(): Promise<void> {
    const { last } = this;
    this.applying = this.gathering;
    this.applyingBytes = this.gatheringBytes;
    this.gathering = new Overlay();
    this.gatheringBytes = 0;
    const point = { table: "meta", key: POINT_KEY, value: pointAt(last, this.mark) } as const;
    try {
      const changes: Change[] = [...this.applying.changes(), point];
      for (let from = 0; from < changes.length; ) {
        const to = this.backups.size > 0 ? changes.length : from + MOST_CHANGES;
        await this.file.commit(changes.slice(from, to));
        from = to;
      }
      await this.journal.release(last);
    } catch (cause) {
      this.fail(cause);
      return;
    } finally {
      this.running = undefined;
    }
    this.applying = new Overlay();
    this.applyingBytes = 0;
    this.schedule();
  }

  private fail(cause: unknown): void {
    if (this.failure !== undefined) return;
    this.failure = { cause };
    this.options.failed(cause);
  }
}

function pointAt(sequence: number, mark: Buffer): Buffer {
  const point = Buffer.alloc(8 + MARK_BYTES);
  writeU64(point, sequence, 0);
  point.set(mark, 8);
  return point;
}
