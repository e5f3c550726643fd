/*
 * Sessions: what a client is interested in and what waits for it, as one thing that may outlive its connection.
 *
 *     SessionState                   what there is of it, connected or not: interests, shares, entries
 *       |  |
 *       |  HostSession               one connection's hold on it; a newer connection takes the session over
 *       |       |
 *       |  Subscription -> Consumer  all deliveries but those of shares, each of which has a subscription of its own
 *       |       |
 *       |       +- TopicFeed         of a session that ends with its connection
 *       |       +- link: Queue       of one that is kept: its durable subscription, which gathers while nobody is there
 *       |       +- links             to the queues that it is interested in
 *       +- SharedSubscription        what it shares with others
 */
import type { Permissions } from "../access/access.ts";
import { type Steps, WILDCARD_STEPS } from "../access/review.ts";
import type { Client } from "../client.ts";
import type { Destinations } from "../routing/destinations.ts";
import type { Engine } from "../engine.ts";
import { BrokerError } from "../errors.ts";
import { Entry } from "../queue/entry.ts";
import type { Interest, Interests } from "./interests.ts";
import type { Link } from "../queue/lane.ts";
import type { Message } from "../message.ts";
import type { Pattern } from "../addresses/pattern.ts";
import type { Consumer, Delivery } from "../protocol.ts";
import type { Queue } from "../queue/queue.ts";
import type { RetainedMessages } from "../topic/retained.ts";
import { offerRetained, type RetainedHandling } from "../topic/retained-offer.ts";
import type { SessionRecords } from "./session-records.ts";
import type { SessionState } from "./session-state.ts";
import { shareId } from "../topic/durable-subscriptions.ts";
import { type AssignedDelivery, Share } from "./share.ts";
import type { Shares } from "./shares.ts";
import { Patience } from "../time/patience.ts";
import { Subscription } from "../subscription.ts";
import { TopicFeed } from "../topic/topic-feed.ts";

/** Interests and shares of one session. */
const MOST_INTERESTS = 100_000;

/** What sessions need of their virtual host, which decides who may do what. */
export interface SessionContext {
  readonly engine: Engine;
  readonly destinations: Destinations;
  readonly retained: RetainedMessages;
  readonly records: SessionRecords;
  readonly shares: Shares;
  /** Throws BrokerError when a client may not have a session that is kept, or not make one. */
  checkUse(client: Client, id: string, isNew: boolean): void;
  /** Throws BrokerError when a client may not receive what a pattern matches; `whole`: or not all of it. */
  checkPattern(client: Client, pattern: Pattern, whole?: boolean): void;
  /** Looks again at what the wildcards of a subscription give it; in steps. */
  sift(subscription: Subscription): Steps;
  /** Has a subscription consume from the queues of a pattern, made where they may be. Throws BrokerError. */
  attach(subscription: Subscription, pattern: Pattern): void;
  link(subscription: Subscription, queue: Queue): void;
  spillQueue(subscription: Subscription): Queue;
  /** The connection of a session ended. */
  disconnected(state: SessionState): void;
}

/** Who receives what a session is given. */
export interface SessionConsumers {
  readonly consumer: Consumer;
  /** Who receives what comes by one of its shares; called before the share has its subscription. */
  sharedConsumer(share: Share): Consumer;
  /**
   * How long a consumer that takes nothing at all holds up those who publish what it need not have surely; then that is
   * dropped until it takes something again. 0 or absent: as the policy of the topics says.
   */
  readonly graceMs?: number | undefined;
}

/** One connection's hold on a session. Of no use once the connection ended or another one took the session over. */
export class HostSession {
  readonly client: Client;
  /** Everything but what comes by shares. */
  readonly subscription: Subscription;
  private readonly context: SessionContext;
  private readonly state: SessionState;
  private readonly consumers: SessionConsumers;
  /** Those of `subscription`: all it is attached to, but for the topics of a session that is kept. */
  private readonly patterns: Pattern[] = [];
  private readonly parts = new Map<string, Share>();
  /** Those of its parts too. */
  private readonly subscriptions = new Set<Subscription>();
  /** To its own queue; undefined of a session that is not kept. */
  private readonly link: Link | undefined;
  private readonly patience: Patience | undefined = undefined;
  private started = false;

  /** Takes the session up again, with all it was interested in that its client may still have. */
  constructor(context: SessionContext, state: SessionState, client: Client, consumers: SessionConsumers) {
    this.context = context;
    this.state = state;
    this.client = client;
    this.consumers = consumers;
    this.subscription = this.subscribe(consumers.consumer, this.patterns, state.interests.highest > 0);
    if (state.durable === undefined) {
      this.subscription.feed = new TopicFeed(context.engine, this.subscription, state.interests, () =>
        context.spillQueue(this.subscription),
      );
      this.subscription.feed.graceMs = consumers.graceMs ?? 0;
    } else {
      // What waits was wanted surely when it came.
      if (state.durable.queue.count > 0) this.subscription.beginSettling();
      context.link(this.subscription, state.durable.queue);
    }
    this.link = this.subscription.links[0];
    const { graceMs = 0 } = consumers;
    if (graceMs > 0) this.patience = new Patience(context.engine.clock, graceMs);
    state.connection = this;
    this.own(client.permissions);
    state.entries ??= state.kept ? context.records.entries(state.id) : new Map<string, Buffer>();
    this.resume();
  }

  get id(): string {
    return this.state.id;
  }

  /** What it is interested in; changed by `add` and `remove`. */
  get interests(): Interests {
    return this.state.interests;
  }

  /** Its shares by id. */
  get shares(): ReadonlyMap<string, Share> {
    return this.parts;
  }

  /** True once it has no hold on the session any more. */
  get closed(): boolean {
    return this.state.connection !== this;
  }

  /** Whether the session may outlive this connection. */
  get kept(): boolean {
    return this.state.kept;
  }

  /** Whether what comes from its own queue may have come before: in this run, or in one that was killed meanwhile. */
  mayHaveCome({ deliveries, sequence }: Delivery): boolean {
    return deliveries > 0 || sequence <= this.state.doubtfulTo;
  }

  /** Whether its consumer has taken nothing for longer than what it need not have surely waits for it. */
  get stuck(): boolean {
    return this.patience?.isOver(this.subscription.delivered) === true;
  }

  /** How long the session outlives this connection: 0 not at all, Infinity for ever. */
  get expiryMs(): number {
    return this.state.expiryMs;
  }

  /** Throws BrokerError for a session that is to outlive its connection and was not opened so. */
  set expiryMs(expiryMs: number) {
    this.checkOpen();
    const { state } = this;
    if (expiryMs > 0 && !state.kept) {
      throw new BrokerError("bad-request", `The session ${this.id} ends with its connection, as it was opened`);
    }
    if (state.expiryMs === expiryMs) return;
    state.expiryMs = expiryMs;
    this.putRecord();
  }

  /** What its client may do has changed: says why it cannot stay as it is, if that is so. In steps. */
  *review(): Steps<string | undefined> {
    const { state, context, subscription } = this;
    if (this.closed) return undefined;
    yield* context.sift(subscription);
    // Of those there are now: who adds others all the time must not keep it from coming to an end.
    const interests = Array.from(state.interests.all());
    const shares = Array.from(state.shares.values());
    for (const { pattern } of interests) {
      if (state.durable === undefined) break;
      // Even if the connection has ended meanwhile: what is gathered for it goes by the same rights.
      context.destinations.topicBindings.renew(state.durable, pattern);
      yield pattern.address === undefined ? WILDCARD_STEPS : 1;
    }
    const isOpen = state.kept && !this.closed;
    const refused = isOpen ? refusalBy(() => context.checkUse(this.client, state.id, false)) : undefined;
    if (refused !== undefined) return refused;
    for (const { pattern } of interests) {
      const there = !this.closed && state.interests.get(pattern) !== undefined;
      const refusal = there ? this.refusalOf(pattern, false) : undefined;
      if (refusal !== undefined) return refusal;
      yield 1;
    }
    for (const { id, pattern } of shares) {
      const there = !this.closed && state.shares.has(id);
      const refusal = there ? this.refusalOf(pattern, true) : undefined;
      if (refusal !== undefined) return refusal;
      yield 1;
    }
    return undefined;
  }

  /** Its client has logged in anew. */
  loginRenewed(): void {
    this.putRecord();
  }

  /** Whether a subscription is of this session. */
  has(subscription: Subscription): boolean {
    return this.subscriptions.has(subscription);
  }

  /** Lets deliveries begin. */
  start(): void {
    this.started = true;
    this.subscription.start();
    for (const { subscription } of this.parts.values()) subscription.start();
  }

  /**
   * Becomes interested, or otherwise interested in a pattern it had; what is retained comes after this turn, with
   * `TRAIT.retained`. Throws BrokerError when that is not allowed.
   */
  add(interest: Interest, retained: RetainedHandling): void {
    this.checkOpen();
    const { pattern } = interest;
    const { interests, kept, id } = this.state;
    this.context.checkPattern(this.client, pattern);
    const isNew = interests.get(pattern) === undefined;
    if (isNew) {
      this.checkRoom();
      this.attach(pattern);
    }
    interests.set(interest);
    this.adapt(interest);
    if (kept) {
      this.context.records.putInterest(id, interest);
      this.client.touch();
    }
    if (pattern.kind !== "topic" || retained === "never" || (retained === "if-new" && !isNew)) return;
    this.offerRetained(pattern);
  }

  /** Loses interest in a pattern; returns false when there was none. What waits already still comes. */
  remove(pattern: Pattern): boolean {
    this.checkOpen();
    const { interests, kept, id } = this.state;
    if (interests.remove(pattern) === undefined) return false;
    this.detach(pattern);
    this.subscription.feed?.interestsChanged();
    if (kept) {
      this.context.records.removeInterest(id, pattern);
      this.client.touch();
    }
    return true;
  }

  /** Takes part in a group of sessions of which one gets each message, or changes its part. Throws BrokerError. */
  share(group: string, interest: Interest): Share {
    this.checkOpen();
    this.context.checkPattern(this.client, interest.pattern, true);
    const id = shareId(group, interest.pattern);
    if (!this.state.shares.has(id)) this.checkRoom();
    this.state.shares.set(id, this.context.shares.join(this.state, group, interest));
    if (this.state.kept) {
      this.context.records.putInterest(this.state.id, interest, group);
      this.client.touch();
    }
    return this.takePart(id, group, interest);
  }

  /** Leaves a group; returns false when it took no part in it. What it held goes to others, or with the last one. */
  unshare(group: string, pattern: Pattern): boolean {
    this.checkOpen();
    const { state } = this;
    const id = shareId(group, pattern);
    const share = state.shares.get(id);
    if (share === undefined) return false;
    const part = this.parts.get(id);
    part?.subscription.close();
    if (part !== undefined) this.subscriptions.delete(part.subscription);
    this.parts.delete(id);
    state.shares.delete(id);
    this.context.shares.leave(state, share);
    if (state.kept) {
      this.context.records.removeInterest(state.id, pattern, group);
      this.client.touch();
    }
    return true;
  }

  /**
   * Makes a delivery of a share this session's own: whatever becomes of the connection, nobody else in the group is given
   * the message. What it returns is to be settled by `subscription`; undefined when the delivery was taken back meanwhile.
   * Not from within a delivery.
   */
  assign(share: Share, delivery: Delivery, shared: Message): AssignedDelivery | undefined {
    const { subscription } = share;
    const holder = delivery instanceof Entry ? delivery.holder : undefined;
    if (!(delivery instanceof Entry) || holder?.subscription !== subscription || this.closed) return undefined;
    const { engine } = this.context;
    const { writes } = engine;
    const message = share.assigned(shared);
    const own = this.link?.queue.adopt(message, this.link) ?? this.subscription.feed?.adopt(message);
    holder.queue.settle(delivery, "accepted");
    subscription.refill(delivery.size);
    if (engine.writes !== writes) this.client.touch();
    return own === undefined ? undefined : { delivery: own, message };
  }

  /** Keeps something small for the session's protocol, in place of what that key had; it is as lasting as the session. */
  put(key: string, value: Uint8Array): void {
    this.checkOpen();
    this.entriesNow.set(key, Buffer.from(value));
    if (!this.state.kept) return;
    this.context.records.putEntry(this.state.id, key, value);
    this.client.touch();
  }

  /** Forgets what `put` keeps. */
  drop(key: string): void {
    this.checkOpen();
    if (!this.entriesNow.delete(key) || !this.state.kept) return;
    this.context.records.removeEntry(this.state.id, key);
    this.client.touch();
  }

  /** What `put` keeps: in the order in which it came, and before that by key what an earlier run of the broker had. */
  entries(): IterableIterator<[key: string, value: Buffer]> {
    return this.entriesNow.entries();
  }

  /** The connection ended, and with it the subscriptions. Called by the client. */
  disconnected(): void {
    if (this.closed) return;
    this.state.connection = undefined;
    this.context.disconnected(this.state);
  }

  private get entriesNow(): Map<string, Buffer> {
    this.state.entries ??= new Map<string, Buffer>();
    return this.state.entries;
  }

  private checkOpen(): void {
    if (this.closed) throw new BrokerError("bad-request", `The session ${this.id} has no such connection any more`);
  }

  private checkRoom(): void {
    const count = this.state.interests.size + this.state.shares.size;
    if (count < MOST_INTERESTS) return;
    throw new BrokerError("limit", `The session ${this.id} has ${count} interests, the most a session may have`);
  }

  private putRecord(): void {
    const { state, context, client } = this;
    if (!state.kept) return;
    const { user, expiryMs, since, doubtfulTo } = state;
    const { subject } = client.permissions;
    context.records.put(state.id, { user, expiryMs, since, doubtfulTo, subject, connected: true });
    client.touch();
  }

  private subscribe(consumer: Consumer, patterns: readonly Pattern[], settling: boolean): Subscription {
    const { client } = this;
    // How much may be on its way is the protocol's business, which holds its subscriptions.
    const credit = { messages: Number.POSITIVE_INFINITY, bytes: 0 };
    const subscription = new Subscription(client.nextSubscriptionId(), client, {
      patterns,
      settling,
      credit,
      consumer,
    });
    client.subscriptions.add(subscription);
    this.subscriptions.add(subscription);
    return subscription;
  }

  private resume(): void {
    const { state, context } = this;
    for (const { pattern } of Array.from(state.interests.all())) {
      if (this.refusalOf(pattern, false) !== undefined) this.remove(pattern);
      else if (pattern.kind === "queue") this.attachAgain(pattern);
    }
    for (const [id, share] of Array.from(state.shares)) {
      const interest = share.members.get(state);
      const lost = interest === undefined || this.refusalOf(share.pattern, true) !== undefined;
      if (lost) this.unshare(share.group, share.pattern);
      else this.takePart(id, share.group, interest);
    }
    state.since = context.engine.clock.now();
    this.putRecord();
  }

  /** Goes by the rights of another connection, maybe somebody else's, in what waits for it too. */
  private own(permissions: Permissions): void {
    const { state, context } = this;
    const before = state.permissions;
    state.permissions = permissions;
    if (
      state.durable === undefined ||
      (before === undefined ? permissions.receivesAll : sameTopics(before, permissions))
    )
      return;
    context.destinations.topicBindings.rebind(state.durable, this.patternsOfTopics);
  }

  /** Why its client may not have what a pattern matches. */
  private refusalOf(pattern: Pattern, whole: boolean): string | undefined {
    return refusalBy(() => this.context.checkPattern(this.client, pattern, whole));
  }

  private attachAgain(pattern: Pattern): void {
    try {
      this.attach(pattern);
    } catch (refusal) {
      // The interest stays: when the session comes back another time the queue may be there again.
      if (!(refusal instanceof BrokerError)) throw refusal;
    }
  }

  private adapt({ quality }: Interest): void {
    this.subscription.feed?.interestsChanged();
    if (quality > 0 && !this.subscription.settling) this.subscription.beginSettling();
  }

  private attach(pattern: Pattern): void {
    const { context, state, subscription } = this;
    const { durable } = state;
    if (pattern.kind === "topic") {
      const target = durable ?? subscription.feed;
      if (target === undefined) return;
      this.patternsOfTopics.push(pattern);
      context.destinations.topicBindings.bind(target, [pattern]);
      return;
    }
    this.patterns.push(pattern);
    const { receptive } = subscription;
    // Nothing is to come before its protocol has heard that it may.
    subscription.receptive = false;
    try {
      context.attach(subscription, pattern);
    } catch (refusal) {
      this.patterns.pop();
      throw refusal;
    } finally {
      subscription.receptive = receptive;
    }
    context.engine.clock.endOfTurn(() => this.dispatch());
  }

  private detach(pattern: Pattern): void {
    const { context, state, subscription } = this;
    if (pattern.kind === "topic") {
      const target = state.durable ?? subscription.feed;
      if (target === undefined) return;
      takeOut(this.patternsOfTopics, pattern);
      context.destinations.topicBindings.unbind(
        target,
        [pattern],
        (topic) => state.interests.grantOf(topic) !== undefined,
      );
      return;
    }
    takeOut(this.patterns, pattern);
    if (pattern.address === undefined) context.destinations.unwatch(pattern, subscription);
    const leaves = ({ address }: Queue): boolean =>
      address !== undefined && pattern.matches(address) && state.interests.grantOf(address) === undefined;
    for (const link of Array.from(subscription.links)) {
      if (!leaves(link.queue)) continue;
      takeOut(subscription.links, link);
      link.queue.detach(link, "released");
      context.destinations.noteIdle(link.queue);
    }
    for (const browser of Array.from(subscription.browsers)) {
      if (!leaves(browser.queue)) continue;
      takeOut(subscription.browsers, browser);
      browser.close();
    }
  }

  private get patternsOfTopics(): Pattern[] {
    return this.state.topicPatterns ?? this.patterns;
  }

  private dispatch(): void {
    if (this.subscription.closed) return;
    for (const { queue } of Array.from(this.subscription.links)) queue.dispatch();
  }

  private takePart(id: string, group: string, interest: Interest): Share {
    const there = this.parts.get(id);
    if (there !== undefined) {
      there.change(interest);
      return there;
    }
    const queue = this.state.shares.get(id)?.durable.queue;
    if (queue === undefined) throw new RangeError(`The session ${this.id} takes no part in ${id}`);
    const share = new Share(group, interest, (made) =>
      this.subscribe(this.consumers.sharedConsumer(made), [interest.pattern], interest.quality > 0),
    );
    this.parts.set(id, share);
    const { subscription } = share;
    this.context.link(subscription, queue);
    if (this.started) this.context.engine.clock.endOfTurn(() => subscription.start());
    return share;
  }

  private offerRetained(pattern: Pattern): void {
    const { context, state, subscription } = this;
    context.engine.clock.endOfTurn(() => {
      const source = context.retained.sources([pattern], state.permissions);
      const wanted = (): boolean => state.interests.get(pattern) !== undefined;
      if (state.durable !== undefined) offerRetained(context.engine, state.durable, source, wanted);
      else if (!subscription.closed && wanted()) subscription.feed?.begin(source);
    });
  }
}

/** Why the core refuses something. */
function refusalBy(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (refusal) {
    if (!(refusal instanceof BrokerError)) throw refusal;
    return refusal.message;
  }
}

/** Whether it is plain that both have the same topics. */
function sameTopics(before: Permissions, after: Permissions): boolean {
  return before === after || (before.receivesAll && after.receivesAll);
}

function takeOut<T>(list: T[], item: T): void {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
}
