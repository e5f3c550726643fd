import type { Clock } from "../../core/time/clock.ts";
import type { Message, WireFormat } from "../../core/message.ts";
import type {
  AddressReader,
  Loaded,
  LoadedEntry,
  QueueKey,
  Recovered,
  Store,
  StoredEntry,
  StoreListener,
  StoreStatistics,
} from "../../core/store.ts";
import { GroupCommit } from "../group-commit.ts";
import { RecordReader, RecordWriter } from "../record.ts";
import { Slab } from "../slab.ts";
import { Expiries } from "./expiries.ts";
import { MemoryRecords } from "./records.ts";

/** What a `MemoryStore` is made of. */
export interface MemoryStoreOptions {
  readonly formats: ReadonlyMap<string, WireFormat>;
  readonly addresses: AddressReader;
  /** Says when a turn is over; the event loop does if absent. */
  readonly clock?: Pick<Clock, "endOfTurn">;
}

/** An entry as the store keeps it: also its `place`. */
class Slot {
  readonly owner: MemoryQueue;
  readonly sequence: number;
  readonly message: Message;
  /** The second by which it is expired; 0 for never. */
  readonly second: number;
  deliveries: number;
  gone = false;

  constructor(owner: MemoryQueue, entry: StoredEntry, message: Message) {
    this.owner = owner;
    this.sequence = entry.sequence;
    this.message = message;
    this.second = Math.ceil(message.expiresAt / 1000);
    this.deliveries = entry.deliveries;
  }
}

class MemoryQueue {
  readonly key: QueueKey;
  description: string;
  /** In order of sequence, with gaps where slots are gone. */
  slots: Slot[] = [];
  count = 0;
  bytes = 0;

  constructor(key: QueueKey, description: string) {
    this.key = key;
    this.description = description;
  }

  /** The index of the first slot at or after a sequence. */
  indexOf(sequence: number): number {
    let low = 0;
    let high = this.slots.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (Number(this.slots[middle]?.sequence) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  remove(slot: Slot): void {
    slot.gone = true;
    this.count--;
    this.bytes -= slot.message.size;
    if (this.slots.length > 64 && this.count < this.slots.length / 2) this.slots = this.slots.filter((s) => !s.gone);
  }
}

/**
 * Keeps everything in memory and loses it with the process: for tests, and for brokers that need no disk. A batch is
 * durable when its turn ends. What it holds can be had again by closing and opening the same object.
 */
export class MemoryStore implements Store {
  private readonly commits: GroupCommit;
  private readonly writer = new RecordWriter();
  private readonly reader: RecordReader;
  private readonly queues = new Map<QueueKey, MemoryQueue>();
  private readonly kinds = new Map<string, MemoryRecords>();
  private readonly expiries = new Expiries<MemoryQueue>();
  private fresh: Slot[] = [];
  private batches = 0;
  private enqueued = 0;
  private cancelled = 0;
  private dequeued = 0;
  private loaded = 0;

  constructor(options: MemoryStoreOptions) {
    const clock = options.clock ?? { endOfTurn: (task) => void setImmediate(task) };
    this.commits = new GroupCommit(clock, Number.POSITIVE_INFINITY, () => {
      this.settleDown();
      return undefined;
    });
    this.reader = new RecordReader(options);
  }

  async open(listener: StoreListener): Promise<Recovered> {
    this.commits.listen(listener);
    const queues = [...this.queues.values()].map(({ key, description, count, bytes, slots }) => {
      const live = slots.filter((slot) => !slot.gone);
      const firstSequence = live[0]?.sequence ?? 0;
      return { key, description, count, bytes, firstSequence, lastSequence: live.at(-1)?.sequence ?? 0 };
    });
    return { queues, damage: [] };
  }

  get gathering(): number {
    return this.commits.gathering;
  }

  get durable(): number {
    return this.commits.durable;
  }

  putQueue(key: QueueKey, description: string): void {
    const queue = this.queues.get(key);
    if (queue === undefined) this.queues.set(key, new MemoryQueue(key, description));
    else queue.description = description;
    this.commits.say(0);
  }

  deleteQueue(key: QueueKey): void {
    this.purge(key);
    this.queues.delete(key);
  }

  purge(key: QueueKey): void {
    const queue = this.queueOf(key);
    for (const slot of queue.slots) {
      slot.gone = true;
      this.expiries.remove(slot.second, slot);
    }
    queue.slots = [];
    queue.count = 0;
    queue.bytes = 0;
    this.commits.say(0);
  }

  enqueue(key: QueueKey, entry: StoredEntry): void {
    const queue = this.queueOf(key);
    const { message } = entry;
    const last = queue.slots.at(-1)?.sequence ?? -1;
    if (message === undefined || entry.sequence <= last) {
      const found = message === undefined ? "no message" : `sequence ${entry.sequence} after ${last}`;
      throw new Error(`queue ${key} was given an entry with ${found}`);
    }
    const slot = new Slot(queue, entry, message);
    queue.slots.push(slot);
    queue.count++;
    queue.bytes += message.size;
    if (slot.second !== 0) this.expiries.add(slot.second, slot);
    entry.place = slot;
    entry.batch = this.commits.gathering;
    this.enqueued++;
    if (!message.detached) this.fresh.push(slot);
    this.commits.say(message.size);
  }

  dequeue(key: QueueKey, entry: StoredEntry): void {
    const slot = this.slotOf(key, entry);
    if (slot === undefined || slot.gone) return;
    const cancelled = entry.batch === this.commits.gathering;
    this.expiries.remove(slot.second, slot);
    slot.owner.remove(slot);
    entry.batch = 0;
    entry.place = undefined;
    if (cancelled) this.cancelled++;
    else this.dequeued++;
    this.commits.say(cancelled ? -slot.message.size : 0);
  }

  redeliver(key: QueueKey, entry: StoredEntry): void {
    const slot = this.slotOf(key, entry);
    if (slot === undefined) return;
    slot.deliveries = entry.deliveries;
    this.commits.say(0);
  }

  release(_key: QueueKey, entry: StoredEntry): void {
    entry.place = undefined;
  }

  load(key: QueueKey, from: number, to: number, maxBytes: number, done: (loaded: Loaded) => void): void {
    const { slots } = this.queueOf(key);
    const start = this.queueOf(key).indexOf(from);
    const entries: LoadedEntry[] = [];
    let room = maxBytes;
    let next: number | undefined;
    for (let i = start; i < slots.length && next === undefined; i++) {
      const slot = slots[i];
      if (slot === undefined || slot.sequence > to) break;
      if (slot.gone) continue;
      if (room <= 0 && entries.length > 0) next = slot.sequence;
      else entries.push({ sequence: slot.sequence, deliveries: slot.deliveries, message: slot.message, place: slot });
      room -= slot.message.size;
    }
    this.loaded += entries.length;
    done({ entries, next });
  }

  expired(now: number, max: number): { key: QueueKey; from: number; to: number }[] {
    const due = this.expiries.take(Math.floor(now / 1000), max);
    return due.map(({ owner, from, to }) => ({ key: owner.key, from, to }));
  }

  put(kind: string, key: string, value: Uint8Array): void {
    let records = this.kinds.get(kind);
    if (records === undefined) {
      records = new MemoryRecords();
      this.kinds.set(kind, records);
    }
    records.put(key, value);
    this.commits.say(value.length);
  }

  remove(kind: string, key: string): void {
    this.kinds.get(kind)?.remove(key);
    this.commits.say(0);
  }

  get(kind: string, key: string): Buffer | undefined {
    return this.kinds.get(kind)?.get(key);
  }

  keys(kind: string, from = ""): Iterable<{ key: string; bytes: number }> {
    return this.kinds.get(kind)?.keys(from) ?? [];
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
    return { diskBytes: 0, freeBytes: 0, batches, enqueued, cancelled, dequeued, loaded, pendingBytes };
  }

  async close(): Promise<void> {
    await this.commits.drain();
  }

  private queueOf(key: QueueKey): MemoryQueue {
    const queue = this.queues.get(key);
    if (queue === undefined) throw new Error(`the store knows no queue ${key}: it was not put, or is deleted`);
    return queue;
  }

  private slotOf(key: QueueKey, entry: StoredEntry): Slot | undefined {
    if (entry.batch === 0) return undefined;
    if (entry.place instanceof Slot) return entry.place;
    const queue = this.queueOf(key);
    const slot = queue.slots[queue.indexOf(entry.sequence)];
    return slot?.sequence === entry.sequence ? slot : undefined;
  }

  /** The turn is over: what stays must not keep network chunks alive. */
  private settleDown(): void {
    this.batches++;
    const slab = new Slab();
    for (const { gone, message } of this.fresh) if (!gone && !message.detached) slab.take(message);
    this.fresh = [];
  }
}
