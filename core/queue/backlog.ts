/*
 * What a queue holds, and what of it is in memory. The list itself is told in entry.ts:
 *
 *     append -> in memory -> store: written by the batch -> drop: its body leaves memory, nobody's entries become a range
 *                   ^                                                              |
 *                   +------------- splice <- load a piece of a range <-------------+
 *
 * Who reads the list stands at a node (`parked`) and is none of the backlog's business: when a node gives way to
 * another, the listener moves whoever stands there. What a consumer holds (`holder`) stays an entry until it is settled,
 * so only its body can leave memory, and it never expires here.
 *
 * Messages in memory may lie in network chunks of which they are a small part: they are young (`fresh`) until they are
 * copied out, at the latest when those chunks are too many.
 */
import type { Engine } from "../engine.ts";
import { End, Entry, insertBefore, type ListNode, NOWHERE, Range, unlink } from "./entry.ts";
import type { Message } from "../message.ts";
import type { Loaded, QueueKey } from "../store.ts";

/** Bytes read back at a time. */
const PIECE_BYTES = 256 * 1024;
/** What is read back at a time when there is hardly any memory left; a message at a time would be too slow. */
const SMALLEST_PIECE_BYTES = 4 * 1024;
/** Network chunks that young messages may keep alive before they are copied out. */
const PINNED_BYTES = 4 * 1024 * 1024;
/** The batch number of an entry read back: on disk for long. */
const LONG_DURABLE = -1;

/** Somebody who goes through a backlog, and the node it comes to next. */
export interface Reader {
  readonly position: ListNode;
}

/** Who has a backlog: told of what happens in it by itself. */
export interface BacklogListener {
  /** Whoever is parked at `from` moves to `to`. */
  moved(from: ListNode, to: ListNode): void;
  /** An entry can be given to somebody again; the node stands for it. */
  returned(node: ListNode): void;
  /** An entry has left because its time is over; its message, if that was in memory. */
  expired(entry: Entry, message: Message | undefined): void;
  /** Messages have left that the store set aside. */
  damaged(count: number): void;
  /** An entry is in memory again. */
  readBack(entry: Entry, message: Message): void;
  /** Something was read back, or is known not to be there any more. */
  loaded(): void;
  /** It has young messages again: `detachFresh` is to be called within a second or so. */
  grewFresh(): void;
  /** Reading back has brought more into memory than its share: `trim` is to be called. */
  grewOverfull(): void;
}

/** The messages of one queue in their order, in memory and in the store, with the accounts of both. */
export class Backlog {
  /** Where the list ends, and what comes next will be put before. */
  readonly tail = new End(Number.POSITIVE_INFINITY);
  private readonly head = new End(-1);
  private readonly engine: Engine;
  private readonly listener: BacklogListener;
  private readonly memoryBytes: number;
  private readonly keepsEntries: boolean;
  readonly finishes: boolean;
  private storeKey: QueueKey = 0;
  private messages = 0;
  private messageBytes = 0;
  private bytesInMemory = 0;
  private lastRange: Range | undefined = undefined;
  private trims = 0;
  /** Grows when everything is thrown away, so that a load under way finds out. */
  private generation = 0;
  /** Where something expired in a range that was being loaded. */
  private overdue: { from: number; to: number }[] = [];
  private firstFresh: Entry | undefined = undefined;
  private newestChunk: Buffer | undefined = undefined;
  private pinned = 0;

  /**
   * `memoryBytes` is what it may keep in memory while there is enough; with `keepsEntries` only bodies leave memory, and
   * entries that nobody holds stay in the list; with `finishes` what was delivered once does not expire.
   */
  constructor(
    engine: Engine,
    listener: BacklogListener,
    {
      memoryBytes,
      keepsEntries = false,
      finishes = false,
    }: { readonly memoryBytes: number; readonly keepsEntries?: boolean; readonly finishes?: boolean },
  ) {
    this.engine = engine;
    this.listener = listener;
    this.memoryBytes = memoryBytes;
    this.keepsEntries = keepsEntries;
    this.finishes = finishes;
    this.head.next = this.tail;
    this.tail.previous = this.head;
  }

  /** Messages here, those that wait for settlement included. */
  get count(): number {
    return this.messages;
  }

  /** Bytes of the messages here, wherever they are. */
  get bytes(): number {
    return this.messageBytes;
  }

  /** Bytes of messages in memory. */
  get inMemory(): number {
    return this.bytesInMemory;
  }

  /** Bytes that may be in memory now. */
  get share(): number {
    return this.engine.memoryShare(this.memoryBytes);
  }

  /** The store's key; 0 while nothing of it was ever stored. */
  get key(): QueueKey {
    return this.storeKey;
  }

  /** The first node of the list: the tail when it is empty. */
  get first(): ListNode {
    return this.head.next;
  }

  /** The store knows it by this key from now on. */
  identify(key: QueueKey): void {
    this.storeKey = key;
  }

  /** Takes over what the store says it holds. Before anything else happens to it. */
  recover(from: number, to: number, count: number, bytes: number): void {
    this.messages = count;
    this.messageBytes = bytes;
    if (count === 0) return;
    this.lastRange = new Range(from, to);
    insertBefore(this.tail, this.lastRange);
  }

  /** Puts an entry at the tail, in memory alone so far; returns true when that is more than its share. */
  append(entry: Entry, message: Message): boolean {
    insertBefore(this.tail, entry);
    this.messages++;
    this.messageBytes += entry.size;
    this.bytesInMemory += entry.size;
    this.engine.account(entry.size);
    if (message.expiresAt !== 0) this.watchExpiry(entry, message.expiresAt);
    return this.bytesInMemory > this.share;
  }

  /** Gives an entry just appended to the store as well. It must have a key. */
  store(entry: Entry): void {
    this.engine.enqueue(this.storeKey, entry);
    if (entry.deliveries > 0) this.engine.redeliver(this.storeKey, entry);
  }

  /** Notes an entry just appended as young: its message may keep a network chunk alive. */
  noteFresh(entry: Entry, message: Message): void {
    if (this.firstFresh === undefined) {
      this.firstFresh = entry;
      this.listener.grewFresh();
    }
    if (message.data === this.newestChunk) return;
    this.newestChunk = message.data;
    this.pinned += message.data.buffer.byteLength;
    if (this.pinned > PINNED_BYTES) this.detachFresh();
  }

  /** Copies young messages out of their network chunks. */
  detachFresh(): void {
    for (let node: ListNode = this.firstFresh ?? this.tail; node.kind !== "end"; node = node.next) {
      if (node.kind === "entry" && node.message !== undefined) this.engine.slab.keep(node.message);
    }
    this.firstFresh = undefined;
    this.newestChunk = undefined;
    this.pinned = 0;
  }

  /** Takes an entry out for good. */
  remove(entry: Entry): void {
    if (entry.parked > 0) this.listener.moved(entry, entry.next);
    this.messages--;
    this.messageBytes -= entry.size;
    if (entry.batch !== 0) this.engine.dequeue(this.storeKey, entry);
    this.takeOut(entry);
    this.missDamaged();
  }

  /** Takes an entry out because its time is over. */
  expire(entry: Entry): void {
    const { message } = entry;
    this.remove(entry);
    this.listener.expired(entry, message);
  }

  /** Counts one more delivery of an entry. */
  countDelivery(entry: Entry): void {
    entry.deliveries++;
    if (entry.batch !== 0) this.engine.redeliver(this.storeKey, entry);
  }

  /** Takes back an entry that nobody holds any more, unless it expired meanwhile. */
  takeBack(entry: Entry): void {
    // The store says only once that something expired: never let it become part of a range after that.
    if (entry.hasExpired(this.engine.clock.now())) {
      this.fetch(entry, () => this.expire(entry));
      return;
    }
    this.listener.returned(entry.message === undefined && !this.keepsEntries ? this.collapse(entry) : entry);
  }

  /** Brings the body of an entry back that is in the list, and calls `done` with it then: now, or once it was read. */
  fetch(entry: Entry, done: (message: Message) => void): void {
    if (entry.message !== undefined) {
      done(entry.message);
      return;
    }
    const generation = this.generation;
    // Where entries are kept, only their bodies can make room for what comes.
    if (this.keepsEntries && this.bytesInMemory > this.share) this.trimAll([], this.share / 2);
    this.loadOne(entry, (message) => {
      const left = generation !== this.generation || entry.next === NOWHERE;
      if (left || message === undefined) {
        if (!left) {
          // It was set aside: the account must say so.
          this.remove(entry);
          this.listener.damaged(1);
        }
        // Whoever waited for it has to go on without.
        this.listener.loaded();
        return;
      }
      if (entry.message === undefined) {
        entry.message = message;
        this.bytesInMemory += entry.size;
        this.engine.account(entry.size);
      }
      done(entry.message);
    });
  }

  /**
   * Brings every entry into memory; their bodies leave it again as need be. Returns false while that takes time: to be
   * called again when something was read back.
   */
  loadAll(): boolean {
    for (;;) {
      const range = this.lastOfStore();
      if (range === undefined) return true;
      if (range.loading) return false;
      this.load(range, range.to, PIECE_BYTES);
      if (this.bytesInMemory > this.share) this.trimAll([], this.share / 2);
    }
  }

  /** Forgets the whole list without a word to the store or the listener. Nobody may be parked in it or hold anything. */
  clear(): void {
    this.generation++;
    for (let node = this.head.next; node.kind !== "end"; ) {
      const next: ListNode = node.next;
      if (node.kind === "entry") {
        node.batch = 0;
        this.takeOut(node);
      } else {
        unlink(node);
      }
      node = next;
    }
    this.lastRange = undefined;
    this.overdue = [];
    this.messages = 0;
    this.messageBytes = 0;
  }

  /** Brings the first piece of a range into memory, now or later. */
  loadPiece(range: Range, readers: readonly Reader[]): void {
    // What was passed over on the way here makes room for what comes.
    const share = this.share;
    if (this.bytesInMemory > share) this.trimAll(readers, share / 2);
    this.load(range, range.to, Math.min(PIECE_BYTES, Math.max(SMALLEST_PIECE_BYTES, share / 4)));
  }

  /** The message of a held entry, read again when its body had been dropped; undefined if the store cannot say so at once. */
  messageOf(entry: Entry): Message | undefined {
    if (entry.message !== undefined) return entry.message;
    let message: Message | undefined;
    this.loadOne(entry, (loaded) => {
      message = loaded;
    });
    return message;
  }

  /** Drops from memory what is on disk and not needed soon by any reader; returns true while it holds more than its share. */
  trim(readers: readonly Reader[]): boolean {
    const share = this.share;
    if (this.bytesInMemory <= share) return false;
    const last = this.lastRange;
    if (last !== undefined && last.next !== NOWHERE && !this.isReadBeyond(last, readers)) {
      this.trimAfter(last, share / 2);
    } else {
      this.trimAll(readers, share / 2);
    }
    // Under pressure also what lies before the last range has to go.
    if (this.bytesInMemory > share && share < this.memoryBytes) this.trimAll(readers, share / 2);
    return this.bytesInMemory > share;
  }

  /** Brings stored entries that may have expired into memory, where they do. */
  expireStored(from: number, to: number): void {
    for (let at = from; at <= to; ) {
      const range = this.rangeWithin(at, to);
      if (range === undefined) return;
      const end = Math.min(to, range.to);
      if (range.loading) {
        this.overdue.push({ from: at, to: end });
      } else {
        if (range.sequence < at) this.cut(range, at);
        this.load(range, end, Number.MAX_SAFE_INTEGER);
      }
      at = end + 1;
    }
  }

  /** Reads the message of an entry that stays in the list; undefined if the store has set it aside. */
  private loadOne(entry: Entry, done: (message: Message | undefined) => void): void {
    const { sequence, size } = entry;
    this.engine.store.load(this.storeKey, sequence, sequence, size, ({ entries }) => {
      const [loaded] = entries;
      // The entry has its own note of where it lies.
      if (loaded !== undefined) this.engine.store.release(this.storeKey, { ...loaded, batch: LONG_DURABLE });
      done(loaded?.message);
    });
  }

  private lastOfStore(): Range | undefined {
    let node = this.tail.previous;
    while (node.kind === "entry") node = node.previous;
    return node.kind === "range" ? node : undefined;
  }

  private rangeWithin(from: number, to: number): Range | undefined {
    for (let node = this.head.next; node.kind !== "end" && node.sequence <= to; node = node.next) {
      if (node.kind === "range" && node.to >= from) return node;
    }
    return undefined;
  }

  /** Makes two ranges of one, so that it begins at a sequence within. */
  private cut(range: Range, at: number): void {
    const before = new Range(range.sequence, at - 1);
    insertBefore(range, before);
    this.listener.moved(range, before);
    range.sequence = at;
  }

  private watchExpiry(entry: Entry, expiresAt: number): void {
    entry.expiry = this.engine.expiry.add({
      expiresAt,
      expire: () => {
        entry.expiry = undefined;
        // What a consumer holds is its own until it settles; takeBack looks again.
        if (entry.holder !== undefined || entry.next === NOWHERE) return;
        if (entry.hasExpired(this.engine.clock.now())) this.fetch(entry, () => this.expire(entry));
      },
    });
  }

  /** Takes an entry out of the list and the accounts of memory. Nobody may be parked at it. */
  private takeOut(entry: Entry): void {
    if (entry === this.firstFresh) this.firstFresh = entryFrom(entry.next);
    if (entry.expiry !== undefined) {
      this.engine.expiry.remove(entry.expiry);
      entry.expiry = undefined;
    }
    unlink(entry);
    if (entry.message !== undefined) this.forget(entry);
  }

  /** The message leaves memory, whether or not the entry does. */
  private forget(entry: Entry): void {
    entry.message = undefined;
    this.bytesInMemory -= entry.size;
    this.engine.account(-entry.size);
  }

  /** Reads entries of a range back, up to a sequence. */
  private load(range: Range, to: number, maxBytes: number): void {
    range.loading = true;
    const generation = this.generation;
    this.engine.store.load(this.storeKey, range.sequence, to, maxBytes, (loaded) => {
      if (generation !== this.generation) {
        this.listener.loaded();
        return;
      }
      range.loading = false;
      this.splice(range, to, loaded);
      for (const overdue of this.overdue.splice(0)) this.expireStored(overdue.from, overdue.to);
      this.listener.loaded();
    });
  }

  private splice(range: Range, to: number, loaded: Loaded): void {
    let first: Entry | undefined;
    const now = this.engine.clock.now();
    for (const { sequence, deliveries, message, place } of loaded.entries) {
      const entry = new Entry(sequence, message, this);
      entry.deliveries = deliveries;
      entry.place = place;
      entry.batch = LONG_DURABLE;
      insertBefore(range, entry);
      this.bytesInMemory += entry.size;
      this.engine.account(entry.size);
      if (entry.hasExpired(now)) {
        this.expire(entry);
        continue;
      }
      if (message.expiresAt !== 0) this.watchExpiry(entry, message.expiresAt);
      first ??= entry;
      this.listener.readBack(entry, message);
    }
    range.sequence = loaded.next ?? to + 1;
    const emptied = range.sequence > range.to;
    if (first !== undefined) this.listener.moved(range, first);
    else if (emptied) this.listener.moved(range, range.next);
    if (emptied) unlink(range);
    if (this.bytesInMemory > this.share) this.listener.grewOverfull();
    this.missDamaged();
  }

  /** The list is empty, but not the account: the store had set something aside, and the account must say so. */
  private missDamaged(): void {
    if (this.head.next !== this.tail || this.messages === 0) return;
    const missing = this.messages;
    this.messages = 0;
    this.messageBytes = 0;
    this.listener.damaged(missing);
  }

  /** True when somebody reads behind the range, so that what follows it is needed in memory. */
  private isReadBeyond(range: Range, readers: readonly Reader[]): boolean {
    return readers.some(({ position }) => position !== this.tail && position.sequence > range.sequence);
  }

  /** Drops what follows the last range, in order, as far as it is on disk. */
  private trimAfter(range: Range, target: number): void {
    for (let node = range.next; node.kind !== "end" && this.bytesInMemory > target; ) {
      if (node.kind === "entry" && node.batch > this.engine.store.durable) return;
      node = node.kind === "entry" ? this.drop(node) : node.next;
    }
  }

  /** Drops what no reader comes to soon. */
  private trimAll(readers: readonly Reader[], target: number): void {
    const trim = ++this.trims;
    const window = target / (readers.length + 1);
    if (readers.length === 0) this.markKept(this.head.next, window, trim);
    for (const { position } of readers) this.markKept(position, window, trim);
    for (let node = this.head.next; node.kind !== "end" && this.bytesInMemory > target; ) {
      if (node.kind === "entry" && node.keptBy !== trim && node.batch <= this.engine.store.durable) {
        node = this.drop(node);
      } else {
        node = node.next;
      }
    }
  }

  private markKept(from: ListNode, bytes: number, trim: number): void {
    let left = bytes;
    for (let node = from; node.kind !== "end" && left > 0; node = node.next) {
      if (node.kind !== "entry") continue;
      node.keptBy = trim;
      left -= node.size;
    }
  }

  /**
   * Drops the message of an entry that is on disk; an entry that nobody holds becomes part of a range. Returns the node to
   * go on with: that after the entry may be gone as well.
   */
  private drop(entry: Entry): ListNode {
    if (entry.batch === 0) return entry.next;
    const before = entry.previous;
    if (entry.holder === undefined && !this.keepsEntries) {
      if (entry.parked > 0) return entry.next;
      if (entry.hasExpired(this.engine.clock.now())) this.expire(entry);
      else this.collapse(entry);
      return before.next;
    }
    if (entry.message !== undefined) this.forget(entry);
    return entry.next;
  }

  /** Replaces an entry by a range, or by a longer one beside it. */
  private collapse(entry: Entry): Range {
    const before = entry.previous;
    const after = entry.next;
    let range: Range;
    if (entry.parked === 0 && before.kind === "range" && !before.loading) {
      range = before;
      range.to = entry.sequence;
      if (after.kind === "range" && !after.loading && after.parked === 0) {
        range.to = after.to;
        unlink(after);
      }
    } else if (entry.parked === 0 && after.kind === "range" && !after.loading && after.parked === 0) {
      range = after;
      range.sequence = entry.sequence;
    } else {
      range = new Range(entry.sequence, entry.sequence);
      insertBefore(entry, range);
      if (entry.parked > 0) this.listener.moved(entry, range);
    }
    this.engine.store.release(this.storeKey, entry);
    this.takeOut(entry);
    const last = this.lastRange;
    if (last === undefined || last.next === NOWHERE || range.sequence >= last.sequence) this.lastRange = range;
    return range;
  }
}

/** The first entry from a node on. */
function entryFrom(start: ListNode): Entry | undefined {
  let node = start;
  while (node.kind === "range") node = node.next;
  return node.kind === "entry" ? node : undefined;
}
