/*
 * A queue. The hot path is `publish`: a message for which a consumer waits at the tail is handed over at once, and with
 * automatic acknowledgement never becomes an entry at all. Everything else goes by the list (see entry.ts):
 *
 *     publish -> append -> [store] -> dispatch: lane position -> deliver -> held -> settle: consumed | back in place
 *
 * Memory: what the queue keeps beyond its share is dropped once it is on disk and becomes part of a range; a lane that
 * reaches a range loads a piece of it.
 */
import type { Address } from "./address.ts";
import type { Engine } from "./engine.ts";
import { End, Entry, insertBefore, type ListNode, NOWHERE, Range, unlink } from "./entry.ts";
import { Gate } from "./gate.ts";
import { Lane, Link } from "./lane.ts";
import { Ledger, type LossReason } from "./ledger.ts";
import type { Message } from "./message.ts";
import type { Policy } from "./policy.ts";
import type { Outcome } from "./protocol.ts";
import type { Selector } from "./selector/selector.ts";
import type { Loaded, QueueKey, RecoveredQueue } from "./store.ts";
import type { Subscription } from "./subscription.ts";

/** Entries looked at in one go, so that a turn stays short. */
const DISPATCH_STEPS = 4096;
/** Bytes read back at a time. */
const PIECE_BYTES = 256 * 1024;
/** What is read back at a time when there is hardly any memory left; a message at a time would be too slow. */
const SMALLEST_PIECE_BYTES = 4 * 1024;
/** Network chunks that young messages may keep alive before they are copied out. */
const PINNED_BYTES = 4 * 1024 * 1024;
/** Over how long the rate of deliveries is measured that decides whether publishers wait for consumers. */
const RATE_WINDOW_MS = 50;
/** How long publishers wait for consumers that keep up, at most. */
const LONGEST_WAIT_MS = 100;
/** The batch number of an entry read back: on disk for long. */
const LONG_DURABLE = -1;

export interface QueueOptions {
  readonly engine: Engine;
  readonly subject: string;
  readonly description: string;
  readonly policy: Policy;
  readonly address?: Address;
  readonly temporary?: boolean;
}

/** Holds messages in order until each is consumed once. Also what a durable subscription is made of. */
export class Queue {
  /** For people: `queue orders`, `durable subscription billing`. */
  readonly subject: string;
  readonly policy: Policy;
  /** Where it is sent to; undefined for a durable subscription and for a spill queue. */
  readonly address: Address | undefined;
  readonly ledger = new Ledger();
  /** Closed while publishers must wait. */
  readonly gate: Gate;
  /** True once it is gone: whoever kept a reference looks it up again. */
  deleted = false;
  /** Messages and bytes here now, those that wait for settlement included. */
  count = 0;
  bytes = 0;
  /** When it last held a message, had a consumer or was sent to: milliseconds since 1970. */
  lastUsed: number;
  private readonly engine: Engine;
  /** True when nothing here needs to survive a restart: the store only serves to free memory. */
  private readonly temporary: boolean;
  private description: string;
  private readonly head = new End(-1);
  private readonly tail = new End(Number.POSITIVE_INFINITY);
  private readonly lanes: Lane[] = [];
  private consumers = 0;
  private heldCount = 0;
  private sequence = 0;
  private key: QueueKey = 0;
  private inMemory = 0;
  private lastRange: Range | undefined = undefined;
  private dispatching = false;
  private dispatchesLater = false;
  private trims = 0;
  /** When the measured rate of deliveries began, and the bytes delivered until then. */
  private rateSince = 0;
  private rateFrom = 0;
  /** Whether consumers kept up when it was last measured. */
  private quick = false;
  /** Grows when everything is thrown away, so that a load under way finds out. */
  private generation = 0;
  /** Where something expired in a range that was being loaded. */
  private overdue: { from: number; to: number }[] = [];
  private firstFresh: Entry | undefined = undefined;
  private newestChunk: Buffer | undefined = undefined;
  private pinned = 0;

  /** `description` is what the store keeps to build the queue again; see `VirtualHost`. */
  constructor(options: QueueOptions) {
    this.engine = options.engine;
    this.subject = options.subject;
    this.description = options.description;
    this.policy = options.policy;
    this.temporary = options.temporary ?? false;
    this.address = options.address;
    this.lastUsed = this.engine.clock.now();
    this.gate = new Gate(options.subject, (task) => this.engine.clock.endOfTurn(task));
    this.head.next = this.tail;
    this.tail.previous = this.head;
  }

  get consumerCount(): number {
    return this.consumers;
  }

  /** Messages delivered and not settled. */
  get held(): number {
    return this.heldCount;
  }

  /** Bytes of messages it has in memory. */
  get memoryBytes(): number {
    return this.inMemory;
  }

  /** The store's key; 0 while nothing of it was ever stored. */
  get storeKey(): QueueKey {
    return this.key;
  }

  /** Everything that is attached, for management. */
  *links(): Iterable<Link> {
    for (const lane of this.lanes) yield* lane.links;
  }

  /** Takes over what the store says it holds. Before anything else happens to the queue. */
  recover(recovered: RecoveredQueue): void {
    this.key = recovered.key;
    this.engine.stored.set(this.key, this);
    this.sequence = recovered.lastSequence;
    this.count = recovered.count;
    this.bytes = recovered.bytes;
    this.ledger.received = recovered.count;
    this.ledger.receivedBytes = recovered.bytes;
    if (recovered.count > 0) {
      const range = new Range(recovered.firstSequence, recovered.lastSequence);
      insertBefore(this.tail, range);
      this.lastRange = range;
    }
  }

  /** Makes sure the store knows the queue, even while it is empty. */
  persist(): void {
    if (this.key !== 0) return;
    this.key = this.engine.nextQueueKey();
    this.engine.stored.set(this.key, this);
    this.engine.putQueue(this.key, this.description);
  }

  /** Changes what the store keeps to build the queue again. */
  describe(description: string): void {
    this.description = description;
    if (this.key === 0) return this.persist();
    this.engine.putQueue(this.key, description);
  }

  /** Takes a message; returns the closed gate at which its sender has to wait, if any. */
  publish(message: Message): Gate | undefined {
    const ledger = this.ledger;
    const size = message.end - message.start;
    ledger.received++;
    ledger.receivedBytes += size;
    if (message.expiresAt !== 0 && message.expiresAt <= this.engine.clock.now()) {
      ledger.lose("expired");
      return undefined;
    }
    const taker = this.tail.parked > 0 ? this.takerAtTail(message) : undefined;
    if (taker !== undefined && !taker.subscription.settling) {
      ledger.delivered++;
      ledger.deliveredBytes += size;
      ledger.consumed++;
      this.sequence++;
      taker.subscription.take(message, undefined, 0);
      return undefined;
    }
    const entry = new Entry(++this.sequence, message);
    this.append(entry, message);
    if (taker !== undefined) this.hand(entry, message, taker);
    else if (this.tail.parked > 0) this.parkAt(entry);
    return this.gate.closed ? this.gate : undefined;
  }

  /** Adds a consumer; it is served from the first message that waits. */
  attach(subscription: Subscription, selector: Selector | undefined): Link {
    let lane = this.lanes.find((candidate) => candidate.selector?.text === selector?.text);
    if (lane === undefined) {
      lane = new Lane(selector, this.head.next);
      this.lanes.push(lane);
    }
    const link = new Link(subscription, this, lane);
    lane.links.push(link);
    this.consumers++;
    return link;
  }

  /** Removes a consumer; what it holds comes back in place with the given outcome. */
  detach(link: Link, outcome: "released" | "failed"): void {
    const lane = link.lane;
    const index = lane.links.indexOf(link);
    if (index < 0) return;
    lane.links.splice(index, 1);
    this.consumers--;
    if (lane.links.length === 0) {
      lane.position.parked--;
      this.lanes.splice(this.lanes.indexOf(lane), 1);
    }
    const held: Entry[] = [];
    for (let node = this.head.next; held.length < link.held && node.kind !== "end"; node = node.next) {
      if (node.kind === "entry" && node.holder === link) held.push(node);
    }
    this.giveBack(link, held, outcome);
    this.lastUsed = this.engine.clock.now();
    this.dispatch();
  }

  /** Settles a delivery that its consumer holds. */
  settle(entry: Entry, outcome: Outcome): void {
    const link = entry.holder;
    if (link === undefined) return;
    if (outcome === "accepted") {
      this.letGo(entry, link);
      this.ledger.consumed++;
      this.remove(entry);
    } else {
      this.putBack(entry, outcome);
      this.dispatch();
    }
  }

  /** Puts back in place what a holder has of these; `dispatch` then serves them. */
  giveBack(holder: Link, entries: Iterable<Entry>, outcome: Outcome): void {
    for (const entry of entries) if (entry.holder === holder) this.putBack(entry, outcome);
  }

  /** Gives a delivery to another holder of the same queue: a transaction that will settle it. */
  transfer(entry: Entry, to: Link): void {
    const from = entry.holder;
    if (from === undefined) return;
    from.held--;
    to.held++;
    entry.holder = to;
  }

  /** Serves whoever can be served. */
  dispatch(): void {
    if (this.dispatching || this.deleted) return;
    this.dispatching = true;
    let steps = DISPATCH_STEPS;
    while (steps > 0) {
      const lane = this.laneToServe();
      if (lane === undefined) break;
      this.step(lane);
      steps--;
    }
    this.dispatching = false;
    // In another turn, so that a long search keeps nobody else waiting.
    if (steps > 0 || this.dispatchesLater) return;
    this.dispatchesLater = true;
    this.engine.clock.after(0, () => {
      this.dispatchesLater = false;
      this.dispatch();
    });
  }

  /** Throws away every message that nobody holds; returns how many. */
  purge(reason: LossReason = "purged"): number {
    const kept: { entry: Entry; link: Link; message: Message }[] = [];
    for (let node = this.head.next; node.kind !== "end"; node = node.next) {
      if (node.kind !== "entry" || node.holder === undefined) continue;
      const message = node.message ?? this.readAgain(node);
      if (message !== undefined) kept.push({ entry: node, link: node.holder, message });
    }
    const dropped = this.count - kept.length;
    this.clear();
    if (this.key !== 0) this.engine.purge(this.key);
    for (const { entry, link, message } of kept) {
      entry.message = message;
      this.append(entry, message);
      entry.holder = link;
      link.held++;
      this.heldCount++;
    }
    this.ledger.lose(reason, dropped);
    if (this.gate.closed && this.inMemory <= this.policy.memoryBytes / 2) this.gate.open();
    return dropped;
  }

  /** Ends the queue with everything in it; consumers must be gone. */
  delete(): void {
    if (this.deleted) return;
    if (this.count > 0) this.ledger.lose("deleted", this.count);
    this.clear();
    this.deleted = true;
    if (this.key !== 0) {
      this.engine.deleteQueue(this.key);
      this.engine.stored.delete(this.key);
    }
    this.engine.overfull.delete(this);
    this.engine.fresh.delete(this);
    this.gate.open();
  }

  /** Drops from memory what is on disk and not needed soon; returns true while it holds more than its share. */
  trim(): boolean {
    const share = this.engine.memoryShare(this.policy.memoryBytes);
    if (this.inMemory > share) {
      const last = this.lastRange;
      if (last !== undefined && last.next !== NOWHERE && !this.servedBeyond(last)) this.trimAfter(last, share / 2);
      else this.trimAll(share / 2);
      // Under pressure also what lies before the last range has to go.
      if (this.inMemory > share && share < this.policy.memoryBytes) this.trimAll(share / 2);
    }
    if (this.inMemory <= share) {
      if (this.gate.closed) this.gate.open();
      return false;
    }
    return true;
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
    this.moveLanes(range, before);
    range.sequence = at;
  }

  /** Adds an entry at the tail, in memory and, where the policy says so, in the store. */
  private append(entry: Entry, message: Message): void {
    insertBefore(this.tail, entry);
    this.count++;
    this.bytes += entry.size;
    this.inMemory += entry.size;
    this.engine.account(entry.size);
    if (message.expiresAt !== 0) this.watchExpiry(entry, message.expiresAt);
    const share = this.engine.memoryShare(this.policy.memoryBytes);
    const overfull = this.inMemory > share;
    const durable = message.durable && !this.temporary;
    if (overfull && !durable && this.policy.persistent && this.waitsForConsumers(share)) {
      this.noteFresh(entry, message);
      return;
    }
    if (this.policy.persistent && (durable || overfull)) {
      if (this.key === 0) this.persist();
      this.engine.enqueue(this.key, entry);
      if (entry.deliveries > 0) this.engine.redeliver(this.key, entry);
    } else if (!message.detached) {
      this.noteFresh(entry, message);
    }
    if (!overfull) return;
    this.engine.overfull.add(this);
    if (!this.policy.persistent) this.gate.close();
  }

  /**
   * True when consumers are so quick that it is better to let publishers wait for them a moment than to write to the
   * store what is read back at once.
   */
  private waitsForConsumers(share: number): boolean {
    if (this.gate.closed) return this.inMemory < share * 2;
    const now = this.engine.clock.now();
    const elapsed = now - this.rateSince;
    if (elapsed >= RATE_WINDOW_MS) {
      const perMs = (this.ledger.deliveredBytes - this.rateFrom) / elapsed;
      this.quick = elapsed < LONGEST_WAIT_MS * 10 && perMs > 0 && perMs * LONGEST_WAIT_MS >= share;
      this.rateSince = now;
      this.rateFrom = this.ledger.deliveredBytes;
    }
    if (!this.quick) return false;
    this.gate.close();
    this.engine.clock.after(LONGEST_WAIT_MS, () => this.gate.open());
    return true;
  }

  private noteFresh(entry: Entry, message: Message): void {
    if (this.firstFresh === undefined) {
      this.firstFresh = entry;
      this.engine.fresh.add(this);
    }
    if (message.data === this.newestChunk) return;
    this.newestChunk = message.data;
    this.pinned += message.data.buffer.byteLength;
    if (this.pinned > PINNED_BYTES) this.detachFresh();
  }

  private watchExpiry(entry: Entry, expiresAt: number): void {
    entry.expiry = this.engine.expiry.add({
      expiresAt,
      expire: () => {
        entry.expiry = undefined;
        // What a consumer holds is its own until it settles; putBack looks again.
        if (entry.holder === undefined && entry.next !== NOWHERE) this.lose(entry, "expired");
      },
    });
  }

  private takerAtTail(message: Message): Link | undefined {
    const lanes = this.lanes;
    const next = this.sequence + 1;
    const first = lanes.length > 1 ? next % lanes.length : 0;
    for (let i = 0; i < lanes.length; i++) {
      const lane = lanes[(first + i) % lanes.length];
      if (lane === undefined || lane.position !== this.tail) continue;
      if (!lane.wants(message)) {
        lane.refused = next;
        continue;
      }
      const link = lane.nextReceptive();
      if (link !== undefined) return link;
    }
    return undefined;
  }

  private parkAt(entry: Entry): void {
    for (const lane of this.lanes) {
      if (lane.position === this.tail && lane.refused !== entry.sequence) lane.moveTo(entry);
    }
  }

  private laneToServe(): Lane | undefined {
    let best: Lane | undefined;
    for (const lane of this.lanes) {
      const position = lane.position;
      if (position === this.tail || (position.kind === "range" && position.loading)) continue;
      if (best !== undefined && position.sequence > best.position.sequence) continue;
      // Lanes at the same place take turns.
      if (best !== undefined && position.sequence === best.position.sequence && lane.served >= best.served) continue;
      if (lane.hasWork(this.tail)) best = lane;
    }
    return best;
  }

  private step(lane: Lane): void {
    const node = lane.position;
    if (node.kind === "range") {
      // What was passed over on the way here makes room for what comes.
      const share = this.engine.memoryShare(this.policy.memoryBytes);
      if (this.inMemory > share) this.trimAll(share / 2);
      this.load(node, node.to, Math.min(PIECE_BYTES, Math.max(SMALLEST_PIECE_BYTES, share / 4)));
      return;
    }
    if (node.kind === "end") return;
    const message = node.message;
    if (node.holder !== undefined || message === undefined) {
      lane.moveTo(node.next);
      return;
    }
    if (node.hasExpired(this.engine.clock.now())) {
      this.lose(node, "expired");
      return;
    }
    lane.moveTo(node.next);
    if (!lane.wants(message)) return;
    const link = lane.nextReceptive();
    if (link === undefined) {
      lane.moveTo(node);
      return;
    }
    lane.served++;
    this.hand(node, message, link);
  }

  private hand(entry: Entry, message: Message, link: Link): void {
    this.ledger.delivered++;
    this.ledger.deliveredBytes += entry.size;
    if (link.subscription.settling) {
      entry.holder = link;
      link.held++;
      this.heldCount++;
      link.subscription.take(message, entry, entry.deliveries);
    } else {
      link.subscription.take(message, undefined, entry.deliveries);
      this.ledger.consumed++;
      this.remove(entry);
    }
  }

  private letGo(entry: Entry, link: Link): void {
    entry.holder = undefined;
    link.held--;
    this.heldCount--;
  }

  /** Takes an entry out for good; its fate is already in the ledger. */
  private remove(entry: Entry): void {
    if (entry.parked > 0) this.moveLanes(entry, entry.next);
    this.count--;
    this.bytes -= entry.size;
    if (entry.batch !== 0) this.engine.dequeue(this.key, entry);
    this.takeOut(entry);
    this.missDamaged();
    if (this.gate.closed && this.inMemory <= this.policy.memoryBytes / 2) this.gate.open();
    if (this.count === 0) this.lastUsed = this.engine.clock.now();
  }

  private lose(entry: Entry, reason: LossReason): void {
    this.ledger.lose(reason);
    this.remove(entry);
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
    this.inMemory -= entry.size;
    this.engine.account(-entry.size);
  }

  private putBack(entry: Entry, outcome: Outcome): void {
    const link = entry.holder;
    if (link === undefined) return;
    this.letGo(entry, link);
    this.ledger.returned++;
    if (outcome !== "released") {
      entry.deliveries++;
      if (entry.batch !== 0) this.engine.redeliver(this.key, entry);
    }
    // The store says only once that something expired: never let it become part of a range after that.
    if (entry.hasExpired(this.engine.clock.now())) {
      this.lose(entry, "expired");
      return;
    }
    const node = entry.message === undefined ? this.collapse(entry) : entry;
    for (const lane of this.lanes) lane.rewind(node);
  }

  private moveLanes(from: ListNode, to: ListNode): void {
    for (const lane of this.lanes) if (lane.position === from) lane.moveTo(to);
  }

  /** Reads entries of a range back, up to a sequence. */
  private load(range: Range, to: number, maxBytes: number): void {
    range.loading = true;
    const generation = this.generation;
    this.engine.store.load(this.key, range.sequence, to, maxBytes, (loaded) => {
      if (generation !== this.generation) return;
      range.loading = false;
      this.splice(range, to, loaded);
      for (const overdue of this.overdue.splice(0)) this.expireStored(overdue.from, overdue.to);
      this.dispatch();
    });
  }

  /** The message of a held entry whose body had been dropped; undefined if the store cannot say so at once. */
  private readAgain(entry: Entry): Message | undefined {
    let message: Message | undefined;
    this.engine.store.load(this.key, entry.sequence, entry.sequence, entry.size, ({ entries }) => {
      message = entries[0]?.message;
    });
    return message;
  }

  private splice(range: Range, to: number, loaded: Loaded): void {
    let first: Entry | undefined;
    const now = this.engine.clock.now();
    for (const { sequence, deliveries, message, place } of loaded.entries) {
      const entry = new Entry(sequence, message);
      entry.deliveries = deliveries;
      entry.place = place;
      entry.batch = LONG_DURABLE;
      insertBefore(range, entry);
      this.inMemory += entry.size;
      this.engine.account(entry.size);
      if (entry.hasExpired(now)) {
        this.lose(entry, "expired");
        continue;
      }
      if (message.expiresAt !== 0) this.watchExpiry(entry, message.expiresAt);
      first ??= entry;
    }
    range.sequence = loaded.next ?? to + 1;
    const emptied = range.sequence > range.to;
    if (first !== undefined) this.moveLanes(range, first);
    else if (emptied) this.moveLanes(range, range.next);
    if (emptied) unlink(range);
    if (this.inMemory > this.engine.memoryShare(this.policy.memoryBytes)) this.engine.overfull.add(this);
    this.missDamaged();
  }

  /** The list is empty, but not the account: the store had set something aside, and the account must say so. */
  private missDamaged(): void {
    if (this.head.next !== this.tail || this.count === 0) return;
    this.ledger.lose("damaged", this.count);
    this.count = 0;
    this.bytes = 0;
  }

  /** True when somebody is being served from behind the range, so that what follows it is needed in memory. */
  private servedBeyond(range: Range): boolean {
    return this.lanes.some((lane) => lane.position !== this.tail && lane.position.sequence > range.sequence);
  }

  /** Drops what follows the last range, in order, as far as it is on disk. */
  private trimAfter(range: Range, target: number): void {
    for (let node = range.next; node.kind !== "end" && this.inMemory > target; ) {
      if (node.kind === "entry" && node.batch > this.engine.store.durable) return;
      node = node.kind === "entry" ? this.drop(node) : node.next;
    }
  }

  /** Drops what no lane comes to soon. */
  private trimAll(target: number): void {
    const trim = ++this.trims;
    const window = target / (this.lanes.length + 1);
    if (this.lanes.length === 0) this.markKept(this.head.next, window, trim);
    for (const lane of this.lanes) this.markKept(lane.position, window, trim);
    for (let node = this.head.next; node.kind !== "end" && this.inMemory > target; ) {
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
    if (entry.holder === undefined) {
      if (entry.parked > 0) return entry.next;
      if (entry.hasExpired(this.engine.clock.now())) this.lose(entry, "expired");
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
      if (entry.parked > 0) this.moveLanes(entry, range);
    }
    this.engine.store.release(this.key, entry);
    this.takeOut(entry);
    const last = this.lastRange;
    if (last === undefined || last.next === NOWHERE || range.sequence >= last.sequence) this.lastRange = range;
    return range;
  }

  /** Forgets the whole list without a word to the store or the ledger. */
  private clear(): void {
    this.generation++;
    for (const lane of this.lanes) lane.moveTo(this.tail);
    for (let node = this.head.next; node.kind !== "end"; ) {
      const next: ListNode = node.next;
      if (node.kind === "entry") {
        // A settlement that comes later finds no holder and touches nothing.
        if (node.holder !== undefined) this.letGo(node, node.holder);
        node.batch = 0;
        this.takeOut(node);
      } else {
        unlink(node);
      }
      node = next;
    }
    this.lastRange = undefined;
    this.overdue = [];
    this.count = 0;
    this.bytes = 0;
  }
}

/** The first entry from a node on. */
function entryFrom(start: ListNode): Entry | undefined {
  let node = start;
  while (node.kind === "range") node = node.next;
  return node.kind === "entry" ? node : undefined;
}
