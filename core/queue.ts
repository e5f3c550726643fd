/*
 * A queue. The hot path is `publish`: a message for which a consumer waits at the tail is handed over at once, and with
 * automatic acknowledgement never becomes an entry at all. Everything else goes by the backlog:
 *
 *     publish -> append -> [store] -> dispatch: lane position -> deliver -> held -> settle: consumed | back in place
 *                                                                                   | resting, then back | dead letter
 *
 * The queue decides who gets what and what becomes of it, and keeps the ledger. Its messages lie in bands, one for each
 * priority in use (band.ts), each with a backlog that knows which of them are in memory (backlog.ts). Consumers that want
 * the same stand together and have a lane in each band (lane.ts); which of them are given anything at all is seating.ts,
 * how much it may hold capacity.ts, what becomes of what they fail to handle redelivery.ts.
 *
 * Memory: what is beyond its share is dropped once it is on disk. A queue that may not store closes its gate instead,
 * and so does, for a moment, one whose consumers are so quick that storing would be in vain.
 */
import type { Address } from "./address.ts";
import { Band } from "./band.ts";
import { type BrowseOptions, Browser } from "./browser.ts";
import { Capacity } from "./capacity.ts";
import type { Engine } from "./engine.ts";
import { Entry, NOWHERE } from "./entry.ts";
import { Gate } from "./gate.ts";
import { Hold, type Holder, type Lane, type Link } from "./lane.ts";
import { LastValues } from "./last-values.ts";
import { Ledger, type LossReason } from "./ledger.ts";
import { type Message, TRAIT } from "./message.ts";
import type { Policy } from "./policy.ts";
import type { Outcome } from "./protocol.ts";
import { describeQueue, ORDINARY, type QueueDescription } from "./queue-description.ts";
import { Redelivery } from "./redelivery.ts";
import { Seating } from "./seating.ts";
import type { Selector } from "./selector/selector.ts";
import type { QueueKey, RecoveredQueue } from "./store.ts";
import type { Subscription } from "./subscription.ts";
import { Walk, type WalkOptions } from "./walk.ts";

/** Entries looked at in one go, so that a turn stays short. */
const DISPATCH_STEPS = 4096;

/** How a message ended its life in a queue. */
export interface Death {
  readonly reason: "delivery-limit" | "rejected" | "expired";
  /** Where it was, and how often it had been delivered. */
  readonly sequence: number;
  readonly deliveries: number;
}

/** Who takes a queue's dead letters and expired messages. */
export interface DeadLetters {
  /**
   * Hands a message on, within this turn. "stays": it is where such messages go already, and is delivered again;
   * "nowhere": there is no place for it.
   */
  take(queue: Queue, message: Message, death: Death): "moved" | "stays" | "nowhere";
}

export interface QueueOptions {
  readonly engine: Engine;
  readonly subject: string;
  readonly description: QueueDescription;
  readonly policy: Policy;
  readonly address?: Address;
  readonly temporary?: boolean;
  /** Where its dead letters and what expires goes; nowhere if absent. */
  readonly deadLetters?: DeadLetters | undefined;
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
  /** When it last held a message, had a consumer or was sent to: milliseconds since 1970. */
  lastUsed: number;
  private readonly engine: Engine;
  /** True when nothing here needs to survive a restart: the store only serves to free memory. */
  private temporary: boolean;
  private readonly deadLetters: DeadLetters | undefined;
  private readonly capacity: Capacity;
  private readonly redelivery: Redelivery;
  private readonly seating: Seating;
  private readonly lastValues: LastValues | undefined;
  /** Has what is not to be delivered any more, until its message was read. */
  private readonly burial: Holder = new Hold(undefined, this);
  /** Read back, though a newer message of their value is there. */
  private readonly replaced: Entry[] = [];
  /** Bands of which not everything was read that is to be known. */
  private readonly unread = new Set<Band>();
  private readonly browsers = new Set<Browser>();
  private readonly walks = new Set<Walk>();
  private description: QueueDescription;
  /** Of messages with the ordinary priority: in most queues the only one. */
  private readonly ordinary: Band;
  /** Highest priority first. */
  private readonly bands: Band[];
  private heldCount = 0;
  private sequence = 0;
  /** True while an ordinary message may go straight to whoever waits at the tail. */
  private plain = true;
  private isPaused = false;
  private dispatching = false;
  private dispatchesLater = false;
  /** Passes over the bands, counted. */
  private passes = 0;
  /** True while a client that goes gives back what it had: nothing of it is delivered before all of it is in its place. */
  private gathering = false;
  /** Meanwhile: what everybody held when the first one went. */
  private holdings: ReadonlyMap<Holder, Entry[]> | undefined = undefined;

  /** `description` is what the store keeps to build the queue again; see `VirtualHost`. */
  constructor(options: QueueOptions) {
    const { engine, policy } = options;
    this.engine = engine;
    this.subject = options.subject;
    this.description = options.description;
    this.policy = policy;
    this.temporary = options.temporary ?? false;
    this.deadLetters = options.deadLetters;
    this.address = options.address;
    this.lastUsed = engine.clock.now();
    this.gate = new Gate(options.subject, (task) => engine.clock.endOfTurn(task));
    this.capacity = new Capacity(this, engine);
    this.redelivery = new Redelivery(this, engine);
    this.seating = new Seating(this);
    this.lastValues = policy.lastValueKey === undefined ? undefined : new LastValues(policy.lastValueKey);
    this.ordinary = new Band(this, engine, ORDINARY, []);
    this.bands = [this.ordinary];
    this.adjust();
  }

  /** Messages here now, those that wait for settlement included. */
  get count(): number {
    let count = 0;
    for (const { backlog } of this.bands) count += backlog.count;
    return count;
  }

  /** Bytes of the messages here now. */
  get bytes(): number {
    let bytes = 0;
    for (const { backlog } of this.bands) bytes += backlog.bytes;
    return bytes;
  }

  get consumerCount(): number {
    return this.seating.count;
  }

  get browserCount(): number {
    return this.browsers.size;
  }

  /** Messages delivered and not settled. */
  get held(): number {
    return this.heldCount;
  }

  /** Messages that wait for the time of their next delivery. */
  get resting(): number {
    return this.redelivery.resting;
  }

  /** Message groups it remembers. */
  get groupCount(): number {
    return this.seating.groups?.count ?? 0;
  }

  /** Bytes of messages it has in memory. */
  get memoryBytes(): number {
    let bytes = 0;
    for (const { backlog } of this.bands) bytes += backlog.inMemory;
    return bytes;
  }

  /** The newest message's place. */
  get lastSequence(): number {
    return this.sequence;
  }

  /** The store's key of the ordinary messages; 0 while nothing of them was ever stored. */
  get storeKey(): QueueKey {
    return this.ordinary.backlog.key;
  }

  /** True while it delivers nothing and takes all the same. */
  get paused(): boolean {
    return this.isPaused;
  }

  /** Everything that is attached, for management. */
  links(): Iterable<Link> {
    return this.seating.links();
  }

  /** Everything that browses it. */
  *allBrowsers(): Iterable<Browser> {
    yield* this.browsers;
  }

  /** Takes over what the store says it holds with a priority. Before anything else happens to the queue. */
  recover({ key, firstSequence, lastSequence, count, bytes }: RecoveredQueue, priority: number = ORDINARY): void {
    const band = this.bandOf(priority);
    this.identify(band, key);
    this.sequence = Math.max(this.sequence, lastSequence);
    this.ledger.received += count;
    this.ledger.receivedBytes += bytes;
    band.backlog.recover(firstSequence, lastSequence, count, bytes);
    if (this.lastValues !== undefined) this.readAll(band);
  }

  /** Makes sure the store knows the queue, even while it is empty. */
  persist(): void {
    this.known(this.ordinary);
  }

  /** A temporary queue is to survive from now on. What it holds already does so only if it came into the store for want of room. */
  makePermanent(description: QueueDescription): void {
    this.temporary = false;
    this.describe(description);
  }

  /** Changes what the store keeps to build the queue again. */
  describe(description: QueueDescription): void {
    this.description = description;
    this.persist();
    for (const { priority, backlog } of this.bands) {
      if (backlog.key !== 0) this.engine.putQueue(backlog.key, this.descriptionOf(priority));
    }
  }

  /**
   * Takes a message; returns the closed gate at which its sender has to wait, if any. With `regardless` it is taken even
   * by a queue that is full and would refuse it.
   */
  publish(message: Message, regardless = false): Gate | undefined {
    const ledger = this.ledger;
    const size = message.end - message.start;
    ledger.received++;
    ledger.receivedBytes += size;
    if (message.expiresAt !== 0 && message.expiresAt <= this.engine.clock.now()) {
      this.loseExpired(message, this.sequence + 1, 0);
      return undefined;
    }
    if (!this.plain || message.priority !== ORDINARY || message.traits !== 0) {
      return this.publishSpecial(message, regardless);
    }
    const { tail, lanes } = this.ordinary;
    const taker = tail.parked > 0 ? lanes.takerAtTail(message, this.sequence + 1) : undefined;
    if (taker !== undefined && passesBy(taker.subscription, message)) {
      ledger.delivered++;
      ledger.deliveredBytes += size;
      ledger.consumed++;
      this.sequence++;
      taker.subscription.take(message, undefined, 0);
      return undefined;
    }
    const entry = new Entry(++this.sequence, message, this.ordinary.backlog);
    this.append(this.ordinary, entry, message);
    if (taker !== undefined) this.hand(entry, message, taker, false);
    else if (tail.parked > 0) lanes.parkAt(entry);
    return this.gate.closed ? this.gate : undefined;
  }

  /** Why it would refuse a message now, as a sentence; undefined if it would not. */
  refusal(message: Message): string | undefined {
    return this.capacity.refusal(message);
  }

  /** The message here that a newer one would replace, for it has the same last-value key. */
  replacedBy(message: Message): Entry | undefined {
    return this.lastValues?.older(message);
  }

  /** Adds a consumer; it is served from the first message that waits. */
  attach(subscription: Subscription, selector: Selector | undefined): Link {
    return this.seating.attach(subscription, selector);
  }

  /** Removes a consumer; what it holds comes back in place with the given outcome. */
  detach(link: Link, outcome: "released" | "failed"): void {
    if (!this.seating.has(link)) return;
    if (link.subscription.client.closed) this.gather();
    for (const entry of this.heldBy(link)) this.putBack(entry, outcome);
    this.seating.detach(link);
    this.lastUsed = this.engine.clock.now();
    this.dispatch();
  }

  /** Adds a browser; it begins once its subscription is started. */
  browse(subscription: Subscription, selector: Selector | undefined, options: BrowseOptions): Browser {
    const browser = new Browser(this, this.engine, subscription, { ...options, selector }, this.bands);
    this.browsers.add(browser);
    this.adjust();
    return browser;
  }

  /** A browser is gone. */
  endBrowser(browser: Browser): void {
    this.browsers.delete(browser);
    this.lastUsed = this.engine.clock.now();
    this.adjust();
  }

  /** Goes through the messages that nobody holds, up to the newest there is; see `Walk`. */
  walk(options: WalkOptions): Walk {
    const walk = new Walk(this, this.engine, options, this.bands);
    this.walks.add(walk);
    void walk.finished.then(() => this.walks.delete(walk));
    return walk;
  }

  /** Stops delivering; browsers go on. */
  pause(): void {
    this.isPaused = true;
    this.adjust();
  }

  resume(): void {
    this.isPaused = false;
    this.adjust();
    this.dispatch();
  }

  /** Settles a delivery that its consumer holds. */
  settle(entry: Entry, outcome: Outcome): void {
    const holder = entry.holder;
    if (holder === undefined) return;
    if (outcome === "accepted") {
      this.letGo(entry, holder);
      this.ledger.consumed++;
      this.remove(entry);
      if (this.seating.stirred) this.dispatch();
    } else {
      this.putBack(entry, outcome);
      this.dispatch();
    }
  }

  /** Puts back in place what a holder has of these; `dispatch` then serves them. */
  giveBack(holder: Holder, entries: Iterable<Entry>, outcome: Outcome): void {
    // Its subscriptions and its transactions come one after the other, all of them before the turn ends.
    if (holder.subscription?.client.closed === true) this.gather();
    for (const entry of entries) if (entry.holder === holder) this.putBack(entry, outcome);
  }

  /** Gives a delivery to another holder of the same queue: a transaction that will settle it. */
  transfer(entry: Entry, to: Holder): void {
    const from = entry.holder;
    if (from === undefined) return;
    from.held--;
    to.held++;
    entry.holder = to;
  }

  /** Serves whoever can be served. */
  dispatch(): void {
    if (this.dispatching || this.gathering || this.deleted || this.isPaused) return;
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

  /** The same in a turn of its own. */
  dispatchLater(): void {
    if (this.dispatchesLater) return;
    this.dispatchesLater = true;
    this.engine.clock.after(0, () => {
      this.dispatchesLater = false;
      this.dispatch();
    });
  }

  /** Throws away every message that nobody holds; returns how many. */
  purge(reason: LossReason = "purged"): number {
    const before = this.count;
    const kept = this.letGoOfAll();
    this.clear();
    for (const { backlog } of this.bands) if (backlog.key !== 0) this.engine.purge(backlog.key);
    for (const { band, entry, holder, message } of kept) {
      entry.message = message;
      this.append(band, entry, message);
      this.lastValues?.note(entry, message);
      this.hold(entry, holder);
    }
    for (const browser of this.browsers) browser.rewind();
    const dropped = before - kept.length;
    this.ledger.lose(reason, dropped);
    this.reopen();
    return dropped;
  }

  /** Ends the queue with everything in it; consumers must be gone. */
  delete(): void {
    if (this.deleted) return;
    const { count } = this;
    if (count > 0) this.ledger.lose("deleted", count);
    this.letGoOfAll();
    this.clear();
    this.deleted = true;
    for (const { backlog } of this.bands) {
      if (backlog.key === 0) continue;
      this.engine.deleteQueue(backlog.key);
      this.engine.stored.delete(backlog.key);
    }
    this.engine.overfull.delete(this);
    this.engine.fresh.delete(this);
    for (const browser of this.browsers) browser.close();
    for (const walk of this.walks) walk.cancel();
    this.gate.open();
  }

  /** Drops from memory what is on disk and not needed soon; returns true while it holds more than its share. */
  trim(): boolean {
    let over = false;
    for (const { backlog, lanes } of this.bands) if (backlog.trim(lanes.all)) over = true;
    if (!over) this.capacity.open();
    return over;
  }

  /** Copies young messages out of their network chunks. */
  detachFresh(): void {
    for (const { backlog } of this.bands) backlog.detachFresh();
  }

  /** Takes out, for the given reason, a message that nobody holds. */
  take(entry: Entry, reason: LossReason): void {
    this.ledger.lose(reason);
    this.remove(entry);
  }

  /** Takes out the oldest of the least important messages that nobody holds; false when there is none at hand. */
  dropOldest(): boolean {
    for (let i = this.bands.length - 1; i >= 0; i--) {
      const band = this.bands[i];
      const entry = band?.oldestFree();
      if (entry === undefined) continue;
      this.take(entry, "dropped-oldest");
      return true;
    }
    return false;
  }

  /** Everybody begins again at the front: who gets what has changed. */
  rewindAll(): void {
    for (const band of this.bands) {
      band.rewindAll();
      band.lanes.unblock();
    }
  }

  /** The bands, highest priority first. */
  *allBands(): Iterable<Band> {
    yield* this.bands;
  }

  /** An entry may be delivered again. */
  rested(entry: Entry): void {
    entry.holder = undefined;
    entry.backlog.takeBack(entry);
  }

  /** The band of a backlog tells: a message's time was over. */
  expired(entry: Entry, message: Message | undefined): void {
    this.loseExpired(message, entry.sequence, entry.deliveries);
    this.shrunk(entry);
  }

  damaged(count: number): void {
    this.ledger.lose("damaged", count);
    this.reopen();
  }

  readBack(entry: Entry, message: Message): void {
    const older = this.lastValues?.note(entry, message);
    if (older !== undefined) this.replaced.push(older);
  }

  loaded(): void {
    // Not while they were being read: the list was being changed then.
    for (const older of this.replaced.splice(0)) {
      if (older.holder?.subscription === undefined && older.next !== NOWHERE) this.replace(older);
    }
    if (this.unread.size > 0) for (const band of Array.from(this.unread)) this.readAll(band);
    for (const { lanes } of this.bands) lanes.unblock();
    this.dispatch();
    for (const walk of this.walks) walk.goOn();
  }

  /** Says again whether ordinary messages may go the short way. */
  adjust(): void {
    this.plain =
      this.bands.length === 1 &&
      !this.isPaused &&
      this.browsers.size === 0 &&
      this.seating.groups === undefined &&
      this.lastValues === undefined &&
      !this.capacity.limited;
  }

  private bandOf(priority: number): Band {
    if (priority === ORDINARY) return this.ordinary;
    const at = this.bands.findIndex((band) => band.priority <= priority);
    const there = this.bands[at];
    if (there?.priority === priority) return there;
    const band = new Band(this, this.engine, priority, this.seating.audiences);
    this.bands.splice(at < 0 ? this.bands.length : at, 0, band);
    for (const browser of this.browsers) browser.widen(band);
    this.adjust();
    return band;
  }

  private descriptionOf(priority: number): string {
    const { description } = this;
    return describeQueue(description.kind === "temporary" ? description : { ...description, priority });
  }

  /** Makes sure the store knows a band. */
  private known(band: Band): void {
    if (band.backlog.key !== 0) return;
    const key = this.engine.nextQueueKey();
    this.identify(band, key);
    this.engine.putQueue(key, this.descriptionOf(band.priority));
  }

  private identify(band: Band, key: QueueKey): void {
    band.backlog.identify(key);
    this.engine.stored.set(key, band);
  }

  /** Takes a message that asks for more than to be delivered, or of which the queue asks for more. */
  private publishSpecial(message: Message, regardless: boolean): Gate | undefined {
    if (this.capacity.limited && !this.capacity.admit(message, regardless)) return this.closedGate();
    const band = this.policy.priorities ? this.bandOf(message.priority) : this.ordinary;
    const entry = new Entry(++this.sequence, message, band.backlog);
    const replaced = this.lastValues?.replaced(entry, message);
    if (replaced !== undefined) this.replace(replaced);
    this.append(band, entry, message);
    band.noteFree(entry);
    if (this.browsers.size > 0) for (const browser of this.browsers) browser.offer(band, entry);
    this.offer(band, entry, message);
    this.capacity.check();
    return this.closedGate();
  }

  /** A queue of last values has to know all of them. */
  private readAll(band: Band): void {
    // What is read back at once says so while it is being asked for.
    this.unread.delete(band);
    if (!band.backlog.loadAll()) this.unread.add(band);
  }

  private replace(entry: Entry): void {
    this.redelivery.cancel(entry);
    this.take(entry, "replaced");
  }

  private closedGate(): Gate | undefined {
    return this.gate.closed ? this.gate : undefined;
  }

  /** Gives a new entry to whoever waits for it at the tail, or has them wait there. */
  private offer(band: Band, entry: Entry, message: Message): void {
    const { lanes, tail } = band;
    if ((message.traits & TRAIT.grouped) !== 0) {
      if (tail.parked > 0) this.offerGrouped(band, entry, message);
    } else if (tail.parked > 0) {
      const straight = this.bands.length === 1 && !this.isPaused && !this.gathering;
      const taker = straight ? lanes.takerAtTail(message, entry.sequence) : undefined;
      if (taker !== undefined) {
        this.hand(entry, message, taker, false);
        return;
      }
      lanes.parkAt(entry);
    }
    if (this.bands.length > 1 || this.seating.stirred) this.dispatch();
  }

  /** Only its owner is asked, however many consumers there are. */
  private offerGrouped(band: Band, entry: Entry, message: Message): void {
    const groups = this.seating.grouping();
    const owner = groups.owner(message);
    const draining = owner === "draining";
    // Everybody else passes it where they stand, at the tail: nobody would come to move them on.
    const taker = draining ? groups.heir(message) : owner;
    const lane = taker?.audience?.lanes[band.priority];
    if (taker === undefined || lane === undefined || lane.position !== band.tail) return;
    const straight = !draining && this.bands.length === 1 && !this.isPaused && !this.gathering;
    if (straight && taker.subscription.receptive) {
      this.handGrouped(entry, message, taker);
      return;
    }
    lane.moveTo(entry);
    lane.blocked = draining;
  }

  /** Adds an entry at the tail, in memory and, where the policy says so, in the store. */
  private append(band: Band, entry: Entry, message: Message): void {
    const { backlog } = band;
    const { policy } = this;
    const overfull = backlog.append(entry, message);
    const durable = message.durable && !this.temporary;
    if (overfull && !durable && policy.persistent && this.capacity.waitsForConsumers(backlog)) {
      backlog.noteFresh(entry, message);
      return;
    }
    if (policy.persistent && (durable || overfull)) {
      if (backlog.key === 0) this.known(band);
      backlog.store(entry);
    } else if (!message.detached) {
      backlog.noteFresh(entry, message);
    }
    if (!overfull) return;
    this.engine.overfull.add(this);
    if (!policy.persistent) this.capacity.closeForMemory();
  }

  /** What a link that goes holds. */
  private heldBy(link: Link): Entry[] {
    if (link.held === 0) return [];
    if (this.gathering) {
      // Consumers may go by the thousand: for all that go in this turn the backlog is looked through but once.
      this.holdings ??= this.findHoldings();
      const known = this.holdings.get(link)?.filter(({ holder }) => holder === link) ?? [];
      if (known.length === link.held) return known;
    }
    const found: Entry[] = [];
    for (const { backlog } of this.bands) {
      for (let node = backlog.first; found.length < link.held && node.kind !== "end"; node = node.next) {
        if (node.kind === "entry" && node.holder === link) found.push(node);
      }
    }
    return found;
  }

  private findHoldings(): Map<Holder, Entry[]> {
    const found = new Map<Holder, Entry[]>();
    let left = this.heldCount;
    for (const { backlog } of this.bands) {
      for (let node = backlog.first; left > 0 && node.kind !== "end"; node = node.next) {
        if (node.kind !== "entry" || node.holder?.subscription === undefined) continue;
        left--;
        const known = found.get(node.holder);
        if (known === undefined) found.set(node.holder, [node]);
        else known.push(node);
      }
    }
    return found;
  }

  private gather(): void {
    if (this.gathering) return;
    this.gathering = true;
    this.engine.clock.endOfTurn(() => {
      this.gathering = false;
      this.holdings = undefined;
      this.dispatch();
    });
  }

  /** Returns true when there is nobody left who can be served, false when that took too many steps. */
  private serve(maxSteps: number): boolean {
    for (let steps = 0; steps < maxSteps; steps++) {
      if (this.seating.stirred) this.seating.settleDown();
      const lane = this.bands.length === 1 ? this.ordinary.lanes.next(0) : this.nextLane();
      if (lane === undefined) return true;
      this.step(lane);
    }
    return false;
  }

  private nextLane(): Lane | undefined {
    const pass = ++this.passes;
    for (const { lanes } of this.bands) {
      const lane = lanes.next(pass);
      if (lane !== undefined) return lane;
    }
    return undefined;
  }

  private step(lane: Lane): void {
    const node = lane.position;
    const { backlog, lanes } = lane.band;
    if (node.kind === "range") {
      backlog.loadPiece(node, lanes.all);
      return;
    }
    if (node.kind === "end") return;
    if (node.holder !== undefined) {
      lane.moveTo(node.next);
      return;
    }
    const message = node.message;
    if (message === undefined) {
      lane.blocked = true;
      backlog.fetch(node, () => this.loaded());
      return;
    }
    if (node.hasExpired(this.engine.clock.now())) {
      backlog.expire(node);
      return;
    }
    if ((message.traits & TRAIT.grouped) !== 0) {
      this.stepGrouped(lane, node, message);
      return;
    }
    lane.moveTo(node.next);
    if (!lane.audience.wants(message)) return;
    const link = lane.audience.nextReceptive();
    if (link === undefined) {
      lane.moveTo(node);
      return;
    }
    lane.served++;
    try {
      this.hand(node, message, link, false);
    } catch (failure) {
      // Until it asks for more by itself: or it would be handed one message after the other, and fail at each.
      link.subscription.receptive = false;
      throw failure;
    }
  }

  private stepGrouped(lane: Lane, entry: Entry, message: Message): void {
    const owner = this.seating.grouping().owner(message);
    // The first grouped message sets everybody apart: this lane may be gone.
    if (this.seating.stirred) return;
    if (owner === "draining") {
      // Only who gets the group next must not go past it.
      if (this.seating.grouping().heir(message)?.audience === lane.audience) lane.blocked = true;
      else lane.moveTo(entry.next);
      return;
    }
    if (owner?.audience !== lane.audience) {
      lane.moveTo(entry.next);
      return;
    }
    lane.moveTo(entry.next);
    lane.served++;
    try {
      this.handGrouped(entry, message, owner);
    } catch (failure) {
      owner.subscription.receptive = false;
      throw failure;
    }
  }

  private handGrouped(entry: Entry, message: Message, owner: Link): void {
    const key = owner.subscription.settles(message) ? entry : undefined;
    this.hand(entry, message, owner, this.seating.grouping().given(message, owner, key));
  }

  private hand(entry: Entry, message: Message, link: Link, firstOfGroup: boolean): void {
    this.ledger.delivered++;
    this.ledger.deliveredBytes += entry.size;
    if (link.subscription.settles(message)) {
      this.hold(entry, link);
      link.subscription.take(message, entry, entry.deliveries, firstOfGroup);
    } else {
      // Before it is taken: should the consumer throw, nothing is left here that nobody would come to again.
      this.ledger.consumed++;
      this.remove(entry);
      const delivery = link.subscription.details ? entry : undefined;
      link.subscription.take(message, delivery, entry.deliveries, firstOfGroup);
    }
  }

  private hold(entry: Entry, holder: Holder): void {
    entry.holder = holder;
    holder.held++;
    this.heldCount++;
  }

  private letGo(entry: Entry, holder: Holder): void {
    entry.holder = undefined;
    holder.held--;
    this.heldCount--;
    this.seating.settled(entry);
  }

  /** Takes every delivery from its holder, whose settlement then touches nothing; returns those with a message to keep. */
  private letGoOfAll(): { band: Band; entry: Entry; holder: Holder; message: Message }[] {
    const all: { band: Band; entry: Entry; holder: Holder; message: Message }[] = [];
    this.redelivery.forget();
    for (const band of this.bands) {
      const { backlog } = band;
      for (let node = backlog.first; node.kind !== "end"; node = node.next) {
        if (node.kind !== "entry" || node.holder === undefined) continue;
        const holder = node.holder;
        if (holder.subscription === undefined) {
          node.holder = undefined;
          continue;
        }
        const message = backlog.messageOf(node);
        if (message !== undefined) all.push({ band, entry: node, holder, message });
        else this.seating.settled(node);
        entryLetGo(node, holder);
        this.heldCount--;
      }
    }
    return all;
  }

  /** Takes an entry out for good; its fate is already in the ledger. */
  private remove(entry: Entry): void {
    entry.backlog.remove(entry);
    this.shrunk(entry);
  }

  private putBack(entry: Entry, outcome: Outcome): void {
    const holder = entry.holder;
    if (holder === undefined) return;
    this.letGo(entry, holder);
    this.ledger.returned++;
    if (this.lastValues?.outdated(entry) === true) {
      this.take(entry, "replaced");
      return;
    }
    if (outcome === "released") {
      entry.backlog.takeBack(entry);
      return;
    }
    entry.backlog.countDelivery(entry);
    const reason = this.redelivery.deathOf(entry, outcome);
    if (reason === undefined) this.redeliver(entry);
    else this.bury(entry, reason);
  }

  private redeliver(entry: Entry): void {
    if (!this.redelivery.rest(entry)) entry.backlog.takeBack(entry);
  }

  /** An entry is not to be delivered any more. */
  private bury(entry: Entry, reason: Death["reason"]): void {
    // Nobody is given it while its message is read.
    entry.holder = this.burial;
    entry.backlog.fetch(entry, (message) => {
      entry.holder = undefined;
      const { sequence, deliveries } = entry;
      const fate = this.deadLetters?.take(this, message, { reason, sequence, deliveries }) ?? "nowhere";
      if (fate === "stays") this.redeliver(entry);
      else this.take(entry, fate === "moved" ? "dead-lettered" : reason);
    });
  }

  private loseExpired(message: Message | undefined, sequence: number, deliveries: number): void {
    this.ledger.lose("expired");
    if (message === undefined || this.policy.expiryQueue === undefined) return;
    this.deadLetters?.take(this, message, { reason: "expired", sequence, deliveries });
  }

  private shrunk(entry: Entry): void {
    this.lastValues?.forget(entry);
    this.reopen();
    if (this.ordinary.backlog.count === 0) this.lastUsed = this.engine.clock.now();
  }

  private reopen(): void {
    if (this.gate.closed) this.capacity.reopen();
  }

  private clear(): void {
    for (const band of this.bands) band.clear();
    this.lastValues?.clear();
  }
}

/** Whether a message is consumed by being handed over, so that it need not become an entry. */
function passesBy(subscription: Subscription, message: Message): boolean {
  if (subscription.direct) return true;
  return subscription.selective && !subscription.details && !subscription.settles(message);
}

function entryLetGo(entry: Entry, holder: Holder): void {
  entry.holder = undefined;
  holder.held--;
}
