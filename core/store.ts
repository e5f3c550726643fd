/*
 * What the core asks of a store.
 *
 * Operations gather into one batch at a time. `close` of the gathering batch, its single write and its single sync are
 * the store's business: it closes a batch at the end of a turn when no other is under way, else when that one is done
 * (group commit). Everything said within one turn is one batch, so it reaches the disk whole or not at all: that is
 * what makes a transaction atomic.
 *
 *      turn n    enqueue enqueue dequeue | batch 7 closes -> write, sync -> onDurable(7)
 *      turn n+1  enqueue (batch 8 gathers meanwhile)      | batch 8 closes -> ...
 *
 * Batch numbers start at 1 and grow by one. A caller that must not confirm before its operation is safe notes
 * `gathering` right after the operation and waits for `onDurable(n)` with n at least that.
 *
 * Write cancelling: an entry that is dequeued while its batch still gathers is never written.
 */
import type { Address, AddressKind } from "./addresses/address.ts";
import type { Message } from "./message.ts";

/** The store's number of a queue: assigned by the core, never used again after the queue is deleted. */
export type QueueKey = number;

/** A message's place in one queue, as the store sees it. The core's own entry object implements this. */
export interface StoredEntry {
  /** Position in the queue: a whole number that only grows along the queue, below 2^48. */
  readonly sequence: number;
  /** The message; undefined once it left memory. Never undefined while `batch` gathers or is being written. */
  message: Message | undefined;
  /** How often it was delivered and came back; the store keeps it. */
  deliveries: number;
  /** The batch that enqueued it: 0 when not in the store, set by `enqueue`, by `load` to a durable one. */
  batch: number;
  /** The store's own note about where the entry lies; opaque to the core. */
  place: unknown;
}

/** What a store says about a queue when it opens. */
export interface RecoveredQueue {
  readonly key: QueueKey;
  /** What the core gave to `putQueue`. */
  readonly description: string;
  readonly count: number;
  readonly bytes: number;
  /** Lowest and highest sequence that may be stored; both 0 when it is empty. */
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** What a store says when it opens: descriptions and sums, never messages. */
export interface Recovered {
  readonly queues: readonly RecoveredQueue[];
  /** Damage that was set aside, one sentence each; empty for a sound store. */
  readonly damage: readonly string[];
}

/** A message read back, before the core wraps it in its own entry. */
export interface LoadedEntry {
  readonly sequence: number;
  readonly deliveries: number;
  readonly message: Message;
  readonly place: unknown;
}

/** A piece of a queue read back. */
export interface Loaded {
  /** In order of sequence. */
  readonly entries: readonly LoadedEntry[];
  /** Where to go on; undefined when nothing is left up to the asked-for end. */
  readonly next: number | undefined;
}

/** The core's calls when something happens to the store. */
export interface StoreListener {
  /** All batches up to this one are on disk. */
  durable(batch: number): void;
  /** A write or sync failed: nothing gathered since can be promised. Fatal; called at most once. */
  failed(cause: Error): void;
  /** The bytes waiting to be written went above (true) or back below (false) the store's bound. */
  congested(congested: boolean): void;
}

/** Durable storage of queues and of small records. One process at a time; all calls come from one thread. */
export interface Store {
  /** Takes the directory lock, checks the format version, reads descriptions and sums. Rejects with a clear sentence. */
  open(listener: StoreListener): Promise<Recovered>;
  /** The number of the batch that gathers now. */
  readonly gathering: number;
  /** The highest batch that is on disk, with all before it. */
  readonly durable: number;

  putQueue(key: QueueKey, description: string): void;
  /** Deletes the queue with everything in it. */
  deleteQueue(key: QueueKey): void;
  /** Deletes every entry of the queue, those that are still to be written included. */
  purge(key: QueueKey): void;

  /** Adds the entry's message at the end of the queue; sets `entry.batch`. Sequences of one queue must grow. */
  enqueue(key: QueueKey, entry: StoredEntry): void;
  /** Removes an entry of this queue that is in memory: just enqueued, or read back by `load`. */
  dequeue(key: QueueKey, entry: StoredEntry): void;
  /** Records `entry.deliveries`. */
  redeliver(key: QueueKey, entry: StoredEntry): void;
  /** The core drops the entry's message from memory and will `load` it again. Only for entries that are durable. */
  release(key: QueueKey, entry: StoredEntry): void;
  /**
   * Reads entries with sequences in [from, to], about `maxBytes` of them but at least one. What was dequeued before the
   * call is never among them. `done` may be called before `load` returns.
   */
  load(key: QueueKey, from: number, to: number, maxBytes: number, done: (loaded: Loaded) => void): void;
  /**
   * Sequence intervals of stored entries of any queue that may hold one that expired by `now` (ms since 1970), at most
   * `max` of them; an interval is reported once and again only after the next expiry in it. Costs what it finds.
   */
  expired(now: number, max: number): { key: QueueKey; from: number; to: number }[];

  /** Small records by kind and key: retained messages, sessions, counters. */
  put(kind: string, key: string, value: Uint8Array): void;
  remove(kind: string, key: string): void;
  /** The record's present value, those not yet written included. The bytes are the caller's to keep. */
  get(kind: string, key: string): Buffer | undefined;
  /**
   * The keys of a kind in ascending order of their bytes, with the size of each value; from a key on, itself included, or
   * all of them. Read as they are asked for: a few cost the same however many there are. What is put or removed meanwhile
   * may be among them or not.
   */
  keys(kind: string, from?: string): Iterable<{ key: string; bytes: number }>;

  /** Turns a message into a self-contained record and back: what `put` needs to keep one. */
  encode(message: Message): Buffer;
  decode(record: Buffer): Message;

  /**
   * Writes all that is durable by now into one file that is not there yet, from which the store can be opened again, while
   * it goes on. If absent, it keeps nothing that could be copied.
   */
  backup?(path: string): Promise<void>;

  /** Bytes on disk, and counters of what was written and what was cancelled before it was. */
  statistics(): StoreStatistics;
  /** Writes and syncs what gathers, then gives the lock back. */
  close(): Promise<void>;
}

/** Sums since the store was opened, but for what there is of its files. */
export interface StoreStatistics {
  readonly diskBytes: number;
  /** Of these, what is written again before the files grow. */
  readonly freeBytes: number;
  readonly batches: number;
  readonly enqueued: number;
  /** Entries dequeued before their batch was written. */
  readonly cancelled: number;
  readonly dequeued: number;
  readonly loaded: number;
  /** Bytes said but not yet written. */
  readonly pendingBytes: number;
}

/** Addresses are interned by whoever reads many messages: one object per spelled name. */
export type AddressReader = (name: string, kind: AddressKind) => Address;
