/*
 * Queues in one lmdb file, with a journal in front of it that confirms batches; see journaled-disk.ts. A message costs no
 * write of its own: the messages of a batch lie one after the other in segments of about 64 KiB, queue by queue, and what
 * a queue has in a segment is one pack.
 *
 *     meta        "version"                       -> u32 format version
 *                 "journal"                       -> u64 last batch applied from the journal, mark of its records
 *     queues      u32 queue                       -> shelf, description
 *     sums        u32 queue                       -> count, bytes, last sequence
 *     packs       u32 shelf, u48 first sequence   -> segment, sequences and offsets; see pack.ts
 *     states      like packs                      -> what is settled, how often the rest was delivered
 *     segments    u48 segment                     -> records of messages; see ../record.ts
 *     references  u48 segment                     -> packs that are left, if there was more than one
 *     expiries    u32 second, then like packs     -> nothing; the pack's earliest expiry
 *     doomed      u32 shelf                       -> nothing; all that is on the shelf is to be deleted
 *     records     kind, 0, key                    -> value
 *     damaged     like packs                      -> a pack that was set aside
 *
 * Values begin with a checksum where their loss would not be noticed otherwise. Life of an entry's `place`: the shelf
 * while its batch gathers, its pack from then on, undefined once it left memory.
 */
import type { Clock } from "../../core/time/clock.ts";
import type { Message, WireFormat } from "../../core/message.ts";
import type {
  AddressReader,
  Loaded,
  QueueKey,
  Recovered,
  Store,
  StoredEntry,
  StoreListener,
  StoreStatistics,
} from "../../core/store.ts";
import { GroupCommit } from "../group-commit.ts";
import { RecordReader, RecordWriter } from "../record.ts";
import { Batch } from "./batch.ts";
import type { Change, Disk } from "./disk.ts";
import { DoomedShelves } from "./doomed.ts";
import { ExpiryIndex } from "./expiry-index.ts";
import { numberKey } from "./keys.ts";
import { type OpenedDirectory, openDirectory } from "./opening.ts";
import { Pack } from "./pack.ts";
import { type DamagedPack, PackReader } from "./pack-reader.ts";
import { recover } from "./recovery.ts";
import { References } from "./references.ts";
import { SegmentBuilder } from "./segment.ts";
import { Shelf, StoredQueue } from "./shelf.ts";
import { SmallRecords } from "./small-records.ts";
import { writeFailure } from "./write-failure.ts";

const MEBI = 1024 * 1024;

/** What an `LmdbStore` is made of. */
export interface LmdbStoreOptions {
  /** Where its files lie; made if missing. */
  readonly directory: string;
  readonly formats: ReadonlyMap<string, WireFormat>;
  readonly addresses: AddressReader;
  readonly clock: Pick<Clock, "endOfTurn">;
  /** Bytes waiting to be written above which the store says that it is congested; 32 MiB if absent. */
  readonly congestionBytes?: number;
  /** Told when damage is found and set aside while the store is open. */
  readonly onDamage?: (sentence: string) => void;
  /** Makes the disk of the data file; for tests. */
  readonly openDisk?: (directory: string) => Disk;
  /** Makes the disk that commits go to, over the one with the journal; for tests. */
  readonly wrapDisk?: (disk: Disk) => Disk;
}

/** The embedded durable store. */
export class LmdbStore implements Store {
  private readonly options: LmdbStoreOptions;
  private readonly commits: GroupCommit;
  private readonly writer = new RecordWriter();
  private readonly reader: RecordReader;
  private readonly packs: PackReader;
  private readonly expiries: ExpiryIndex;
  private readonly records: SmallRecords;
  private readonly doomed: DoomedShelves;
  private readonly queues = new Map<QueueKey, StoredQueue>();
  private readonly shelves = new Map<number, Shelf>();
  private opened: OpenedDirectory | undefined = undefined;
  private batch = new Batch();
  private nextSegment = 0;
  private nextShelf = 1;
  private closed = false;
  private batches = 0;
  private enqueued = 0;
  private cancelled = 0;
  private dequeued = 0;
  private loaded = 0;

  constructor(options: LmdbStoreOptions) {
    this.options = options;
    const disk = (): Disk => this.disk;
    this.commits = new GroupCommit(options.clock, options.congestionBytes ?? 32 * MEBI, (number) => this.write(number));
    this.reader = new RecordReader(options);
    this.packs = new PackReader(disk, this.reader, (damage) => this.setAside(damage));
    this.expiries = new ExpiryIndex(disk, this.packs, this.shelves);
    this.records = new SmallRecords(this.commits, disk, (sentence) => this.report(sentence));
    this.doomed = new DoomedShelves(disk);
  }

  async open(listener: StoreListener): Promise<Recovered> {
    if (this.closed || this.opened !== undefined) throw new Error("a store opens once; make another object");
    this.commits.listen(listener);
    this.opened = await openDirectory(this.options.directory, {
      ...this.options,
      failed: (cause) => this.commits.fail(writeFailure(this.options.directory, cause)),
    });
    const { queues, doomed, nextSegment, nextShelf, recovered } = recover(this.opened.disk);
    for (const queue of queues) {
      this.queues.set(queue.key, queue);
      this.shelves.set(queue.shelf.number, queue.shelf);
    }
    this.nextSegment = nextSegment;
    this.nextShelf = nextShelf;
    for (const shelf of doomed) this.doomed.add(shelf);
    if (this.doomed.waiting) this.commits.say(0);
    return { ...recovered, damage: [...this.opened.damage, ...recovered.damage] };
  }

  get gathering(): number {
    return this.commits.gathering;
  }

  get durable(): number {
    return this.commits.durable;
  }

  putQueue(key: QueueKey, description: string): void {
    if (this.idle) return;
    let queue = this.queues.get(key);
    if (queue === undefined) {
      queue = new StoredQueue(key, description, this.newShelf(key));
      this.queues.set(key, queue);
    }
    queue.description = description;
    this.batch.touch(queue, "all");
    this.commits.say(description.length);
  }

  deleteQueue(key: QueueKey): void {
    if (this.idle) return;
    const queue = this.queueOf(key);
    this.queues.delete(key);
    queue.deleted = true;
    this.doom(queue.shelf);
    if (queue.known) this.batch.deleteQueue(key);
    this.commits.say(0);
  }

  purge(key: QueueKey): void {
    if (this.idle) return;
    const queue = this.queueOf(key);
    this.doom(queue.shelf);
    queue.shelf = this.newShelf(key);
    queue.count = 0;
    queue.bytes = 0;
    queue.lastSequence = 0;
    this.batch.touch(queue, "all");
    this.commits.say(0);
  }

  enqueue(key: QueueKey, entry: StoredEntry): void {
    if (this.idle) return;
    const queue = this.queueOf(key);
    const { message } = entry;
    if (message === undefined || entry.sequence <= queue.lastSequence) {
      const found = message === undefined ? "no message" : `sequence ${entry.sequence} after ${queue.lastSequence}`;
      throw new Error(`queue ${key} was given an entry with ${found}`);
    }
    queue.lastSequence = entry.sequence;
    queue.count++;
    queue.bytes += message.size;
    this.batch.touch(queue, "sums");
    entry.batch = this.commits.gathering;
    this.batch.enqueue(queue.shelf, entry);
    const size = this.writer.size(message);
    this.batch.recordBytes += size;
    this.enqueued++;
    this.commits.say(size);
  }

  dequeue(key: QueueKey, entry: StoredEntry): void {
    if (this.idle || entry.batch === 0) return;
    const queue = this.queueOf(key);
    if (entry.place instanceof Shelf) this.cancel(queue, entry);
    else this.settle(queue, entry);
  }

  redeliver(key: QueueKey, entry: StoredEntry): void {
    // An entry that is still to be written takes its count along.
    if (this.idle || entry.batch === 0 || entry.place instanceof Shelf) return;
    const found = this.packOf(this.queueOf(key), entry);
    if (found === undefined || found.pack.isSettled(found.index)) return;
    found.pack.setDeliveries(found.index, entry.deliveries);
    this.batch.touchPack(found.pack);
    this.commits.say(0);
  }

  release(_key: QueueKey, entry: StoredEntry): void {
    if (!(entry.place instanceof Pack)) return;
    const pack = entry.place;
    entry.place = undefined;
    pack.held--;
    pack.shelf.letGo(pack);
  }

  load(key: QueueKey, from: number, to: number, maxBytes: number, done: (loaded: Loaded) => void): void {
    if (this.idle) return;
    const { shelf } = this.queueOf(key);
    const nothing: Loaded = { entries: [], next: undefined };
    const loaded = this.reading(() => this.packs.load(shelf, from, to, maxBytes), nothing);
    this.loaded += loaded.entries.length;
    done(loaded);
  }

  expired(now: number, max: number): { key: QueueKey; from: number; to: number }[] {
    if (this.idle) return [];
    const stale = (key: Buffer): void => {
      this.batch.add({ table: "expiries", key, value: undefined });
      this.commits.say(0);
    };
    return this.reading(() => this.expiries.expired(now, max, stale), []);
  }

  put(kind: string, key: string, value: Uint8Array): void {
    if (!this.idle) this.records.put(kind, key, value);
  }

  remove(kind: string, key: string): void {
    if (!this.idle) this.records.remove(kind, key);
  }

  get(kind: string, key: string): Buffer | undefined {
    return this.idle ? undefined : this.reading(() => this.records.get(kind, key), undefined);
  }

  keys(kind: string, from = ""): Iterable<{ key: string; bytes: number }> {
    return this.idle ? [] : this.records.keys(kind, from);
  }

  encode(message: Message): Buffer {
    return this.writer.encode(message);
  }

  decode(record: Buffer): Message {
    return this.reader.decode(record);
  }

  statistics(): StoreStatistics {
    const { batches, enqueued, cancelled, dequeued, loaded } = this;
    const pendingBytes = this.commits.pendingBytes;
    const disk = this.opened?.disk;
    const diskBytes = disk?.bytes ?? 0;
    return { diskBytes, freeBytes: disk?.freeBytes ?? 0, batches, enqueued, cancelled, dequeued, loaded, pendingBytes };
  }

  async backup(path: string): Promise<void> {
    if (this.opened?.disk.backup === undefined || this.closed) throw new Error("This store cannot be copied now");
    await this.opened.disk.backup(path);
  }

  async close(): Promise<void> {
    if (this.opened === undefined) return;
    await this.commits.drain();
    this.closed = true;
    const { disk, release } = this.opened;
    this.opened = undefined;
    await disk.close();
    await release();
  }

  /** True when nothing is done any more: closed, or a write failed. */
  private get idle(): boolean {
    return this.closed || this.commits.failed;
  }

  private get disk(): Disk {
    if (this.opened === undefined) throw new Error("the store is not open");
    return this.opened.disk;
  }

  private queueOf(key: QueueKey): StoredQueue {
    const queue = this.queues.get(key);
    if (queue === undefined) throw new Error(`the store knows no queue ${key}: it was not put, or is deleted`);
    return queue;
  }

  private newShelf(queue: QueueKey): Shelf {
    const shelf = new Shelf(this.nextShelf++, queue);
    this.shelves.set(shelf.number, shelf);
    return shelf;
  }

  private doom(shelf: Shelf): void {
    shelf.doomed = true;
    shelf.packs.clear();
    this.shelves.delete(shelf.number);
    if (!shelf.used) return;
    this.doomed.add(shelf);
    this.batch.add({ table: "doomed", key: numberKey(shelf.number), value: Buffer.alloc(0) });
  }

  private cancel(queue: StoredQueue, entry: StoredEntry): void {
    if (entry.place !== queue.shelf) return;
    entry.batch = 0;
    entry.place = undefined;
    this.cancelled++;
    queue.count--;
    const { message } = entry;
    if (message === undefined) return;
    queue.bytes -= message.size;
    const size = this.writer.size(message);
    this.batch.recordBytes -= size;
    this.commits.say(-size);
  }

  private settle(queue: StoredQueue, entry: StoredEntry): void {
    const found = this.packOf(queue, entry);
    if (found === undefined) return;
    const { pack, index } = found;
    const size = entry.message?.size ?? this.packs.sizeOf(pack, entry.sequence);
    if (!pack.settle(index)) return;
    if (entry.place === pack) pack.held--;
    entry.batch = 0;
    entry.place = undefined;
    this.dequeued++;
    queue.count--;
    queue.bytes -= size;
    this.batch.touch(queue, "sums");
    this.batch.touchPack(pack);
    this.commits.say(0);
  }

  private packOf(queue: StoredQueue, entry: StoredEntry): { pack: Pack; index: number } | undefined {
    const { place } = entry;
    if (!(place instanceof Pack)) return this.packs.locate(queue.shelf, entry.sequence);
    const index = place.indexOf(entry.sequence);
    return place.shelf.doomed || index < 0 ? undefined : { pack: place, index };
  }

  private setAside({ shelf, key, value, pack, sentence }: DamagedPack): void {
    this.batch.add({ table: "damaged", key, value });
    this.batch.add({ table: "packs", key, value: undefined });
    this.batch.add({ table: "states", key, value: undefined });
    const queue = this.queues.get(shelf.queue);
    if (queue !== undefined && pack !== undefined && queue.count > 0) {
      const lost = Math.min(pack.live, queue.count);
      queue.bytes -= Math.round((queue.bytes * lost) / queue.count);
      queue.count -= lost;
      this.batch.touch(queue, "sums");
    }
    this.commits.say(0);
    this.report(`${pack?.live ?? "an unknown number of"} messages of queue ${shelf.queue} were set aside: ${sentence}`);
  }

  /** Damage that lmdb meets while it reads is reported and not thrown: what cannot be read is as if it were not there. */
  private reading<T>(read: () => T, otherwise: T): T {
    try {
      return read();
    } catch (error) {
      this.report(`the data file could not be read: ${error instanceof Error ? error.message : String(error)}`);
      return otherwise;
    }
  }

  private report(sentence: string): void {
    this.options.onDamage?.(sentence);
  }

  private write(number: number): Promise<void> | undefined {
    const batch = this.batch;
    this.batch = new Batch();
    const changes: Change[] = [];
    const references = new References(this.disk);
    const segments = new SegmentBuilder(this.writer, changes, {
      firstSegment: this.nextSegment,
      recordBytes: batch.recordBytes,
    });
    batch.encode(number, changes, segments, references);
    this.nextSegment = segments.nextSegment;
    this.records.close(changes);
    this.doomed.encode(changes, references);
    references.encode(changes);
    return changes.length === 0 ? undefined : this.commit(batch, changes);
  }

  private async commit(batch: Batch, changes: readonly Change[]): Promise<void> {
    try {
      await this.disk.commit(changes);
    } catch (cause) {
      throw writeFailure(this.options.directory, cause);
    }
    this.batches++;
    batch.written();
    this.records.written();
    // Not at once, which would make what gathers already wait for the end of this turn.
    if (this.doomed.waiting) this.options.clock.endOfTurn(() => this.deleteMore());
  }

  private deleteMore(): void {
    if (!this.idle && this.doomed.waiting) this.commits.say(0);
  }
}
