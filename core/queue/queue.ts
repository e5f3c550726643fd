/*
 * A queue. The hot path is `publish`: a message for which a consumer waits at the tail is handed over at once, and with
 * automatic acknowledgement never becomes an entry at all. Everything else goes by the backlog:
 *
 *     publish -> append -> [store] -> dispatch: lane position -> deliver -> held -> settle: consumed | back in place
 *                                                                                   | resting, then back | dead letter
 *
 * The queue decides what becomes of a message, and keeps the ledger. Its messages lie in bands, one for each priority in
 * use (bands.ts), each with a backlog that knows which of them are in memory (backlog.ts). Consumers that want the same
 * stand together and have a lane in each band (lane.ts); which of them are given anything at all is seating.ts, who is
 * given the next message distribution.ts, who has what holdings.ts, how much it may hold capacity.ts, what becomes of what
 * they fail to handle redelivery.ts, how messages leave that nobody consumed departures.ts.
 *
 * Memory: what is beyond its share is dropped once it is on disk. A queue that may not store closes its gate instead,
 * and so does, for a moment, one whose consumers are so quick that storing would be in vain.
 */
import type { Address } from "../addresses/address.ts";
import type { Band } from "./band.ts";
import { Bands } from "./bands.ts";
import { type BrowseOptions, Browser } from "./browser.ts";
import { Capacity } from "./capacity.ts";
import { type DeadLetters, Departures } from "./departures.ts";
import { Distribution } from "./distribution.ts";
import type { Engine } from "../engine.ts";
import { Entry } from "./entry.ts";
import { Gate } from "../memory/gate.ts";
import { Holdings } from "./holdings.ts";
import { type Audience, Hold, type Holder, type Link } from "./lane.ts";
import { LastValues } from "./last-values.ts";
import { Ledger, type LossReason } from "../ledger.ts";
import type { Message } from "../message.ts";
import type { Policy } from "../policy.ts";
import type { Outcome } from "../protocol.ts";
import { ORDINARY, type QueueDescription } from "./queue-description.ts";
import { Pulls } from "./pulls.ts";
import { Redelivery } from "./redelivery.ts";
import { Seating } from "./seating.ts";
import type { Selector } from "../selector/selector.ts";
import type { QueueKey, RecoveredQueue } from "../store.ts";
import type { Subscription } from "../subscription.ts";
import { Walk, type WalkOptions } from "./walk.ts";

/** The band of messages that were given to a consumer before they came here. */
const ABOVE_ALL = 255;

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
  /** When the last message came, and when the last one was consumed; 0 for none since the broker started. */
  lastReceivedAt = 0;
  lastConsumedAt = 0;
  private readonly engine: Engine;
  /** True when nothing here needs to survive a restart: the store only serves to free memory. */
  private temporary: boolean;
  private readonly departures: Departures;
  private readonly capacity: Capacity;
  private readonly redelivery: Redelivery;
  private readonly seating: Seating;
  private readonly lastValues: LastValues | undefined;
  private readonly browsers = new Set<Browser>();
  private readonly walks = new Set<Walk>();
  private readonly bands: Bands;
  private readonly ordinary: Band;
  private readonly holdings: Holdings;
  private readonly distribution: Distribution;
  private readonly pulls: Pulls;
  private sequence = 0;
  /** True while an ordinary message may go straight to whoever waits at the tail. */
  private plain = true;

  /** Whether what was delivered once does not expire any more: a session is one consumer, which goes on with what it began. */
  readonly finishes: boolean;

  /** `description` is what the store keeps to build the queue again; see `VirtualHost`. */
  constructor(options: QueueOptions) {
    const { engine, policy } = options;
    this.engine = engine;
    this.subject = options.subject;
    this.policy = policy;
    this.temporary = options.temporary ?? false;
    this.address = options.address;
    this.lastUsed = engine.clock.now();
    this.gate = new Gate(options.subject, (task) => engine.clock.endOfTurn(task));
    this.redelivery = new Redelivery(this, engine);
    this.departures = new Departures(this, this.redelivery, options.deadLetters);
    this.capacity = new Capacity(this, engine, this.departures);
    this.seating = new Seating(this);
    this.lastValues =
      policy.lastValueKey === undefined ? undefined : new LastValues(this.departures, policy.lastValueKey);
    this.finishes = options.description.kind === "session";
    this.bands = new Bands(this, engine, options.description);
    this.ordinary = this.bands.ordinary;
    this.holdings = new Holdings(this.bands, this.seating);
    this.distribution = new Distribution(this, engine, this.bands, this.seating);
    this.pulls = new Pulls(this, engine, this.bands, this.holdings);
    this.adjust();
  }

  /** Messages here now, those that wait for settlement included. */
  get count(): number {
    return this.bands.count;
  }

  /** Bytes of the messages here now. */
  get bytes(): number {
    return this.bands.bytes;
  }

  get consumerCount(): number {
    return this.seating.count;
  }

  get browserCount(): number {
    return this.browsers.size;
  }

  /** Messages delivered and not settled. */
  get held(): number {
    return this.holdings.count;
  }

  /** Their bytes. */
  get heldBytes(): number {
    return this.holdings.bytes;
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
    return this.bands.inMemory;
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
    return this.distribution.paused;
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
    const band = this.bands.of(priority);
    this.bands.identify(band, key);
    this.sequence = Math.max(this.sequence, lastSequence);
    this.ledger.received += count;
    this.ledger.receivedBytes += bytes;
    band.backlog.recover(firstSequence, lastSequence, count, bytes);
    this.lastValues?.readAll(band);
  }

  /** Makes sure the store knows the queue, even while it is empty. */
  persist(): void {
    this.bands.keep(this.ordinary);
  }

  /** A temporary queue is to survive from now on. What it holds already does so only if it came into the store for want of room. */
  makePermanent(description: QueueDescription): void {
    this.temporary = false;
    this.describe(description);
  }

  /** Changes what the store keeps to build the queue again. */
  describe(description: QueueDescription): void {
    this.bands.describe(description);
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
    this.lastReceivedAt = this.engine.turnTime;
    if (message.expiresAt !== 0 && message.expiresAt <= this.engine.clock.now()) {
      this.departures.expire(message, this.sequence + 1, 0);
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
      this.lastConsumedAt = this.lastReceivedAt;
      this.sequence++;
      taker.subscription.take(message, undefined, 0);
      return undefined;
    }
    const entry = new Entry(++this.sequence, message, this.ordinary.backlog);
    this.append(this.ordinary, entry, message);
    if (taker !== undefined) this.hand(entry, message, taker, false);
    else if (tail.parked > 0) this.ordinary.wait(entry);
    return this.gate.closed ? this.gate : undefined;
  }

  /**
   * Takes a message that one of its consumers was given elsewhere: from now on a delivery of this queue, to be settled.
   * Should it come back, it goes before all others.
   */
  adopt(message: Message, link: Link): Entry {
    const { ledger } = this;
    const size = message.end - message.start;
    ledger.received++;
    ledger.receivedBytes += size;
    this.lastReceivedAt = this.engine.turnTime;
    ledger.delivered++;
    ledger.deliveredBytes += size;
    const band = this.bands.of(ABOVE_ALL);
    const entry = new Entry(++this.sequence, message, band.backlog);
    this.append(band, entry, message);
    this.holdings.hold(entry, link);
    return entry;
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
    for (const entry of this.holdings.of(link, this.distribution.gathering)) this.putBack(entry, outcome);
    this.capacity.shed();
    this.seating.detach(link);
    this.lastUsed = this.engine.clock.now();
    this.dispatch();
  }

  /** Removes a consumer as well, but leaves it what it holds, to be settled. */
  stop(link: Link): void {
    if (!this.seating.has(link)) return;
    if (link.held > 0) {
      const hold = new Hold(link.subscription, this);
      link.subscription.holds.push(hold);
      for (const entry of this.holdings.of(link, false)) this.holdings.transfer(entry, hold);
    }
    this.seating.detach(link);
    this.lastUsed = this.engine.clock.now();
    this.dispatch();
  }

  /** Puts back in place what somebody holds who is no consumer. */
  release(hold: Hold, outcome: "released" | "failed"): void {
    this.giveBack(hold, this.holdings.of(hold, this.distribution.gathering), outcome);
    this.dispatch();
  }

  /** Gives a subscription that is no consumer here the first message that nobody holds; see `Client.pull`. */
  pull(subscription: Subscription): void {
    this.pulls.pull(subscription);
  }

  /** Adds a browser; it begins once its subscription is started. */
  browse(subscription: Subscription, selector: Selector | undefined, options: BrowseOptions): Browser {
    const browser = new Browser(this, this.engine, subscription, { ...options, selector }, this.bands.all);
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
    const walk = new Walk(this, this.engine, options, this.bands.all);
    this.walks.add(walk);
    void walk.finished.then(() => this.walks.delete(walk));
    return walk;
  }

  /** Stops delivering; browsers go on. */
  pause(): void {
    this.distribution.pause();
    this.adjust();
  }

  resume(): void {
    this.distribution.resume();
    this.adjust();
  }

  /** Settles a delivery that its consumer holds. */
  settle(entry: Entry, outcome: Outcome): void {
    const holder = entry.holder;
    if (holder === undefined) return;
    if (outcome === "accepted") {
      this.holdings.letGo(entry, holder);
      this.ledger.consumed++;
      this.lastConsumedAt = this.engine.turnTime;
      this.remove(entry);
      if (this.seating.stirred) this.dispatch();
    } else {
      this.putBack(entry, outcome);
      this.capacity.shed();
      this.dispatch();
    }
  }

  /** Puts back in place what a holder has of these; `dispatch` then serves them. */
  giveBack(holder: Holder, entries: Iterable<Entry>, outcome: Outcome): void {
    // Its subscriptions and its transactions come one after the other, all of them before the turn ends.
    if (holder.subscription?.client.closed === true) this.gather();
    for (const entry of entries) if (entry.holder === holder) this.putBack(entry, outcome);
    this.capacity.shed();
  }

  /** Gives a delivery to another holder of the same queue: a transaction that will settle it. */
  transfer(entry: Entry, to: Holder): void {
    this.holdings.transfer(entry, to);
  }

  /** Serves whoever can be served. */
  dispatch(): void {
    this.distribution.dispatch();
  }

  /** The same in a turn of its own. */
  dispatchLater(): void {
    this.distribution.dispatchLater();
  }

  /** Throws away every message that nobody holds; returns how many. */
  purge(reason: LossReason = "purged"): number {
    const before = this.count;
    this.redelivery.forget();
    const kept = this.holdings.letGoOfAll();
    this.clear();
    this.bands.purge();
    for (const { band, entry, holder, message } of kept) {
      entry.message = message;
      this.append(band, entry, message);
      this.lastValues?.note(entry, message);
      this.holdings.hold(entry, holder);
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
    this.redelivery.forget();
    this.holdings.letGoOfAll();
    this.clear();
    this.deleted = true;
    this.bands.delete();
    this.engine.overfull.delete(this);
    this.engine.fresh.delete(this);
    for (const browser of this.browsers) browser.close();
    this.pulls.goOn();
    for (const walk of this.walks) walk.cancel();
    this.gate.open();
  }

  /** Drops from memory what is on disk and not needed soon; returns true while it holds more than its share. */
  trim(): boolean {
    const over = this.bands.trim();
    if (!over) this.capacity.open();
    return over;
  }

  /** Copies young messages out of their network chunks. */
  detachFresh(): void {
    for (const { backlog } of this.bands.all) backlog.detachFresh();
  }

  /** Takes an entry out for good; its fate is already in the ledger. */
  remove(entry: Entry): void {
    entry.backlog.remove(entry);
    this.shrunk(entry);
  }

  /** Takes out, for the given reason, a message that nobody holds. */
  take(entry: Entry, reason: LossReason): void {
    this.ledger.lose(reason);
    this.remove(entry);
  }

  /** Has a message that it has no room for among the dead letters, and counts it as dropped. */
  turnAway(message: Message): void {
    this.departures.turnAway(message);
  }

  /** The oldest of the least important messages that nobody holds; undefined when there is none at hand. */
  oldestFree(): Entry | undefined {
    return this.bands.oldestFree();
  }

  /** Everybody begins again at the front: who gets what has changed. */
  rewindAll(): void {
    for (const band of this.bands.all) {
      band.rewindAll();
      band.lanes.unblock();
    }
  }

  /** The bands, highest priority first. */
  *allBands(): Iterable<Band> {
    yield* this.bands.all;
  }

  /** An entry may be delivered again. */
  rested(entry: Entry): void {
    entry.holder = undefined;
    entry.backlog.takeBack(entry);
  }

  /** The band of a backlog tells: a message's time was over. */
  expired(entry: Entry, message: Message | undefined): void {
    this.departures.expire(message, entry.sequence, entry.deliveries);
    this.shrunk(entry);
  }

  damaged(count: number): void {
    this.ledger.lose("damaged", count);
    this.reopen();
  }

  readBack(entry: Entry, message: Message): void {
    this.lastValues?.readBack(entry, message);
  }

  loaded(): void {
    this.lastValues?.loaded();
    this.distribution.unblock();
    this.pulls.goOn();
    for (const walk of this.walks) walk.goOn();
  }

  /** Its consumers, by what they want. */
  get audiences(): readonly Audience[] {
    return this.seating.audiences;
  }

  /** It has one more band. */
  widened(band: Band): void {
    for (const browser of this.browsers) browser.widen(band);
    this.adjust();
  }

  /** Says again whether ordinary messages may go the short way. */
  adjust(): void {
    this.plain =
      this.bands.all.length === 1 &&
      !this.paused &&
      this.browsers.size === 0 &&
      this.seating.groups === undefined &&
      this.lastValues === undefined &&
      this.policy.maxPriority === 0 &&
      !this.capacity.limited;
  }

  /** Takes a message that asks for more than to be delivered, or of which the queue asks for more. */
  private publishSpecial(message: Message, regardless: boolean): Gate | undefined {
    if (this.capacity.limited && !this.capacity.admit(message, regardless)) return this.closedGate();
    const band = this.bandFor(message);
    const entry = new Entry(++this.sequence, message, band.backlog);
    const replaced = this.lastValues?.replaced(entry, message);
    if (replaced !== undefined) this.departures.replace(replaced);
    this.append(band, entry, message);
    band.noteFree(entry);
    if (this.browsers.size > 0) for (const browser of this.browsers) browser.offer(band, entry);
    this.distribution.offer(band, entry, message);
    this.capacity.check();
    return this.closedGate();
  }

  private bandFor(message: Message): Band {
    const { priorities, maxPriority } = this.policy;
    if (maxPriority > 0) {
      const priority = Math.min(message.statedPriority, maxPriority);
      // Of more than ten, some share a band.
      return this.bands.of(
        maxPriority < MOST_BANDS ? priority : Math.floor((priority * MOST_BANDS) / (maxPriority + 1)),
      );
    }
    return priorities ? this.bands.of(message.priority) : this.ordinary;
  }

  private gather(): void {
    this.distribution.gather(() => this.holdings.forget());
  }

  private closedGate(): Gate | undefined {
    return this.gate.closed ? this.gate : undefined;
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
      if (backlog.key === 0) this.bands.keep(band);
      backlog.store(entry);
    } else if (!message.detached) {
      backlog.noteFresh(entry, message);
    }
    if (!overfull) return;
    this.engine.overfull.add(this);
    if (!policy.persistent) this.capacity.closeForMemory();
  }

  /** Gives an entry to a consumer. */
  hand(entry: Entry, message: Message, link: Link, firstOfGroup: boolean): void {
    this.ledger.delivered++;
    this.ledger.deliveredBytes += entry.size;
    if (link.subscription.settles(message)) {
      this.holdings.hold(entry, link);
      if (this.gate.closed && !this.policy.countsHeld) this.capacity.reopen();
      link.subscription.take(message, entry, entry.deliveries, firstOfGroup);
    } else {
      // Before it is taken: should the consumer throw, nothing is left here that nobody would come to again.
      this.ledger.consumed++;
      this.lastConsumedAt = this.engine.turnTime;
      this.remove(entry);
      const delivery = link.subscription.details ? entry : undefined;
      link.subscription.take(message, delivery, entry.deliveries, firstOfGroup);
    }
  }

  private putBack(entry: Entry, outcome: Outcome): void {
    const holder = entry.holder;
    if (holder === undefined) return;
    this.holdings.letGo(entry, holder);
    this.ledger.returned++;
    if (this.lastValues?.outdated(entry) === true) {
      this.take(entry, "replaced");
      return;
    }
    const { subscription } = holder;
    const elsewhere = outcome === "elsewhere" || outcome === "failed-elsewhere";
    if (elsewhere && subscription !== undefined) this.seating.refuse(subscription, entry.sequence);
    if (outcome === "released" || outcome === "elsewhere") {
      entry.backlog.takeBack(entry);
      return;
    }
    entry.backlog.countDelivery(entry);
    const reason = this.redelivery.deathOf(entry, outcome);
    if (reason === undefined) this.redelivery.redeliver(entry);
    else this.departures.bury(entry, reason);
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
    for (const band of this.bands.all) band.clear();
    this.lastValues?.clear();
  }
}

/** Priorities that a queue tells apart. */
const MOST_BANDS = 10;

/** Whether a message is consumed by being handed over, so that it need not become an entry. */
function passesBy(subscription: Subscription, message: Message): boolean {
  if (subscription.direct) return true;
  return subscription.selective && !subscription.details && !subscription.settles(message);
}
