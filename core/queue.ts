/*
 * A queue. The hot path is `publish`: a message for which a consumer waits at the tail is handed over at once, and with
 * automatic acknowledgement never becomes an entry at all. Everything else goes by the backlog:
 *
 *     publish -> append -> [store] -> dispatch: lane position -> deliver -> held -> settle: consumed | back in place
 *
 * The queue decides who gets what and what becomes of it, and keeps the ledger; the backlog keeps the messages in order
 * and knows which of them are in memory (backlog.ts). Consumers that want the same stand together in a lane, which goes
 * along the backlog; what comes back moves the lanes behind it back (lane.ts).
 *
 * Memory: what is beyond its share is dropped once it is on disk. A queue that may not store closes its gate instead,
 * and so does, for a moment, one whose consumers are so quick that storing would be in vain.
 */
import type { Address } from "./address.ts";
import { Backlog, type BacklogListener } from "./backlog.ts";
import type { Engine } from "./engine.ts";
import { type End, Entry, type ListNode } from "./entry.ts";
import { Gate } from "./gate.ts";
import { type Lane, Lanes, Link } from "./lane.ts";
import { Ledger, type LossReason } from "./ledger.ts";
import type { Message } from "./message.ts";
import type { Policy } from "./policy.ts";
import type { Outcome } from "./protocol.ts";
import type { Selector } from "./selector/selector.ts";
import type { QueueKey, RecoveredQueue } from "./store.ts";
import type { Subscription } from "./subscription.ts";

/** Entries looked at in one go, so that a turn stays short. */
const DISPATCH_STEPS = 4096;
/** Over how long the rate of deliveries is measured that decides whether publishers wait for consumers. */
const RATE_WINDOW_MS = 50;
/** How long publishers wait for consumers that keep up, at most. */
const LONGEST_WAIT_MS = 100;

export interface QueueOptions {
  readonly engine: Engine;
  readonly subject: string;
  readonly description: string;
  readonly policy: Policy;
  readonly address?: Address;
  readonly temporary?: boolean;
}

/** Holds messages in order until each is consumed once. Also what a durable subscription is made of. */
export class Queue implements BacklogListener {
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
  /** When it last held a message, had a consumer or was sent to: milliseconds since 1970. */
  lastUsed: number;
  private readonly engine: Engine;
  /** True when nothing here needs to survive a restart: the store only serves to free memory. */
  private readonly temporary: boolean;
  private description: string;
  private readonly backlog: Backlog;
  /** The backlog's: whoever is parked there waits for the next message. */
  private readonly tail: End;
  private readonly lanes: Lanes;
  private heldCount = 0;
  private sequence = 0;
  private dispatching = false;
  private dispatchesLater = false;
  /** True while a client that goes gives back what it had: nothing of it is delivered before all of it is in its place. */
  private gathering = false;
  /** When the measured rate of deliveries began, and the bytes delivered until then. */
  private rateSince = 0;
  private rateFrom = 0;
  /** Whether consumers kept up when it was last measured. */
  private quick = false;

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
    this.backlog = new Backlog(options.engine, this, options.policy.memoryBytes);
    this.tail = this.backlog.tail;
    this.lanes = new Lanes(this.tail);
  }

  /** Messages here now, those that wait for settlement included. */
  get count(): number {
    return this.backlog.count;
  }

  /** Bytes of the messages here now. */
  get bytes(): number {
    return this.backlog.bytes;
  }

  get consumerCount(): number {
    return this.lanes.consumers;
  }

  /** Messages delivered and not settled. */
  get held(): number {
    return this.heldCount;
  }

  /** Bytes of messages it has in memory. */
  get memoryBytes(): number {
    return this.backlog.inMemory;
  }

  /** The store's key; 0 while nothing of it was ever stored. */
  get storeKey(): QueueKey {
    return this.backlog.key;
  }

  /** Everything that is attached, for management. */
  *links(): Iterable<Link> {
    for (const lane of this.lanes.all) yield* lane.links;
  }

  /** Takes over what the store says it holds. Before anything else happens to the queue. */
  recover({ key, firstSequence, lastSequence, count, bytes }: RecoveredQueue): void {
    this.identify(key);
    this.sequence = lastSequence;
    this.ledger.received = count;
    this.ledger.receivedBytes = bytes;
    this.backlog.recover(firstSequence, lastSequence, count, bytes);
  }

  /** Makes sure the store knows the queue, even while it is empty. */
  persist(): void {
    if (this.backlog.key !== 0) return;
    const key = this.engine.nextQueueKey();
    this.identify(key);
    this.engine.putQueue(key, this.description);
  }

  /** Changes what the store keeps to build the queue again. */
  describe(description: string): void {
    this.description = description;
    const { key } = this.backlog;
    if (key === 0) this.persist();
    else this.engine.putQueue(key, description);
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
    const taker = this.tail.parked > 0 ? this.lanes.takerAtTail(message, this.sequence + 1) : undefined;
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
    else if (this.tail.parked > 0) this.lanes.parkAt(entry);
    return this.gate.closed ? this.gate : undefined;
  }

  /** Adds a consumer; it is served from the first message that waits. */
  attach(subscription: Subscription, selector: Selector | undefined): Link {
    const link = new Link(subscription, this, this.lanes.lane(selector, this.backlog.first));
    this.lanes.add(link);
    return link;
  }

  /** Removes a consumer; what it holds comes back in place with the given outcome. */
  detach(link: Link, outcome: "released" | "failed"): void {
    if (!this.lanes.remove(link)) return;
    if (link.subscription.client.closed) this.gather();
    for (const entry of this.heldWith(link)) this.putBack(entry, outcome);
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
    // Its subscriptions and its transactions come one after the other, all of them before the turn ends.
    if (holder.subscription.client.closed) this.gather();
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
    if (this.dispatching || this.gathering || this.deleted) return;
    this.dispatching = true;
    let finished = false;
    try {
      finished = this.serve(DISPATCH_STEPS);
    } finally {
      this.dispatching = false;
      // In another turn, so that a long search keeps nobody else waiting; and for whom a consumer that threw kept waiting.
      if (!finished) this.dispatchLater();
    }
  }

  /** Throws away every message that nobody holds; returns how many. */
  purge(reason: LossReason = "purged"): number {
    const before = this.count;
    const kept = this.letGoOfAll();
    this.clear();
    if (this.backlog.key !== 0) this.engine.purge(this.backlog.key);
    for (const { entry, link, message } of kept) {
      entry.message = message;
      this.append(entry, message);
      this.hold(entry, link);
    }
    const dropped = before - kept.length;
    this.ledger.lose(reason, dropped);
    this.reopen();
    return dropped;
  }

  /** Ends the queue with everything in it; consumers must be gone. */
  delete(): void {
    if (this.deleted) return;
    const { key, count } = this.backlog;
    if (count > 0) this.ledger.lose("deleted", count);
    this.letGoOfAll();
    this.clear();
    this.deleted = true;
    if (key !== 0) {
      this.engine.deleteQueue(key);
      this.engine.stored.delete(key);
    }
    this.engine.overfull.delete(this);
    this.engine.fresh.delete(this);
    this.gate.open();
  }

  /** Drops from memory what is on disk and not needed soon; returns true while it holds more than its share. */
  trim(): boolean {
    if (this.backlog.trim(this.lanes.all)) return true;
    if (this.gate.closed) this.gate.open();
    return false;
  }

  /** Copies young messages out of their network chunks. */
  detachFresh(): void {
    this.backlog.detachFresh();
  }

  /** Brings stored entries that may have expired into memory, where they do. */
  expireStored(from: number, to: number): void {
    this.backlog.expireStored(from, to);
  }

  moved(from: ListNode, to: ListNode): void {
    this.lanes.moved(from, to);
  }

  lost(reason: "expired" | "damaged", count: number): void {
    this.ledger.lose(reason, count);
    this.shrunk();
  }

  loaded(): void {
    this.dispatch();
  }

  grewFresh(): void {
    this.engine.fresh.add(this);
  }

  grewOverfull(): void {
    this.engine.overfull.add(this);
  }

  private identify(key: QueueKey): void {
    this.backlog.identify(key);
    this.engine.stored.set(key, this);
  }

  /** Adds an entry at the tail, in memory and, where the policy says so, in the store. */
  private append(entry: Entry, message: Message): void {
    const { backlog, policy } = this;
    const overfull = backlog.append(entry, message);
    const durable = message.durable && !this.temporary;
    if (overfull && !durable && policy.persistent && this.waitsForConsumers(backlog.share)) {
      backlog.noteFresh(entry, message);
      return;
    }
    if (policy.persistent && (durable || overfull)) {
      if (backlog.key === 0) this.persist();
      backlog.store(entry);
    } else if (!message.detached) {
      backlog.noteFresh(entry, message);
    }
    if (!overfull) return;
    this.engine.overfull.add(this);
    if (!policy.persistent) this.gate.close();
  }

  /**
   * True when consumers are so quick that it is better to let publishers wait for them a moment than to write to the
   * store what is read back at once.
   */
  private waitsForConsumers(share: number): boolean {
    if (this.gate.closed) return this.backlog.inMemory < share * 2;
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

  /** What a link that was just removed holds; with it, if its client goes, what the client's other links hold. */
  private heldWith(link: Link): Entry[] {
    const { client } = link.subscription;
    // Of all at once: there may be very many, and each looking through the backlog for its own takes too long.
    const leaving = new Set(client.closed && link.held > 0 ? this.lanes.linksOf(client) : []);
    leaving.add(link);
    let left = 0;
    for (const { held } of leaving) left += held;
    const found: Entry[] = [];
    for (let node = this.backlog.first; found.length < left && node.kind !== "end"; node = node.next) {
      if (node.kind === "entry" && node.holder !== undefined && leaving.has(node.holder)) found.push(node);
    }
    return found;
  }

  private gather(): void {
    if (this.gathering) return;
    this.gathering = true;
    this.engine.clock.endOfTurn(() => {
      this.gathering = false;
      this.dispatch();
    });
  }

  private dispatchLater(): void {
    if (this.dispatchesLater) return;
    this.dispatchesLater = true;
    this.engine.clock.after(0, () => {
      this.dispatchesLater = false;
      this.dispatch();
    });
  }

  /** Returns true when there is nobody left who can be served, false when that took too many steps. */
  private serve(maxSteps: number): boolean {
    for (let steps = 0; steps < maxSteps; steps++) {
      const lane = this.lanes.next();
      if (lane === undefined) return true;
      this.step(lane);
    }
    return false;
  }

  private step(lane: Lane): void {
    const node = lane.position;
    if (node.kind === "range") {
      this.backlog.loadPiece(node, this.lanes.all);
      return;
    }
    if (node.kind === "end") return;
    const message = node.message;
    if (node.holder !== undefined || message === undefined) {
      lane.moveTo(node.next);
      return;
    }
    if (node.hasExpired(this.engine.clock.now())) {
      this.backlog.expire(node);
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
    try {
      this.hand(node, message, link);
    } catch (failure) {
      // Until it asks for more by itself: or it would be handed one message after the other, and fail at each.
      link.subscription.receptive = false;
      throw failure;
    }
  }

  private hand(entry: Entry, message: Message, link: Link): void {
    this.ledger.delivered++;
    this.ledger.deliveredBytes += entry.size;
    if (link.subscription.settling) {
      this.hold(entry, link);
      link.subscription.take(message, entry, entry.deliveries);
    } else {
      // Before it is taken: should the consumer throw, nothing is left here that nobody would come to again.
      this.ledger.consumed++;
      this.remove(entry);
      link.subscription.take(message, undefined, entry.deliveries);
    }
  }

  private hold(entry: Entry, link: Link): void {
    entry.holder = link;
    link.held++;
    this.heldCount++;
  }

  private letGo(entry: Entry, link: Link): void {
    entry.holder = undefined;
    link.held--;
    this.heldCount--;
  }

  /** Takes every delivery from its holder, whose settlement then touches nothing; returns those with a message to keep. */
  private letGoOfAll(): { entry: Entry; link: Link; message: Message }[] {
    const all: { entry: Entry; link: Link; message: Message }[] = [];
    for (let node = this.backlog.first; node.kind !== "end"; node = node.next) {
      if (node.kind !== "entry" || node.holder === undefined) continue;
      const link = node.holder;
      const message = this.backlog.messageOf(node);
      if (message !== undefined) all.push({ entry: node, link, message });
      this.letGo(node, link);
    }
    return all;
  }

  /** Takes an entry out for good; its fate is already in the ledger. */
  private remove(entry: Entry): void {
    this.backlog.remove(entry);
    this.shrunk();
  }

  private putBack(entry: Entry, outcome: Outcome): void {
    const link = entry.holder;
    if (link === undefined) return;
    this.letGo(entry, link);
    this.ledger.returned++;
    const node = this.backlog.takeBack(entry, outcome !== "released");
    if (node !== undefined) this.lanes.rewind(node);
  }

  private shrunk(): void {
    this.reopen();
    if (this.backlog.count === 0) this.lastUsed = this.engine.clock.now();
  }

  private reopen(): void {
    if (this.gate.closed && this.backlog.inMemory <= this.policy.memoryBytes / 2) this.gate.open();
  }

  private clear(): void {
    this.lanes.moveAllTo(this.tail);
    this.backlog.clear();
  }
}
