/*
 * How consumers are attached to what there is:
 *
 *     subscribe  -> queues: those there are, and a watch for those to come
 *                -> topics and exchanges: one TopicFeed, bound to each pattern
 *                -> a durable subscription: its queue
 *
 * and how they leave: `end` gives back what they hold, `stop` leaves it to them. When rights have changed, `review` takes from
 * them what they may not have any more.
 */
import type { Action } from "../access/access.ts";
import { type Steps, WILDCARD_STEPS } from "../access/review.ts";
import type { Address, AddressKind } from "../addresses/address.ts";
import type { Client } from "../client.ts";
import type { DeclaredQueues } from "./declared-queues.ts";
import type { Destinations } from "./destinations.ts";
import type { DurableSubscription } from "../topic/durable-subscription.ts";
import type { DurableSubscriptions } from "../topic/durable-subscriptions.ts";
import type { Engine } from "../engine.ts";
import { BrokerError } from "../errors.ts";
import type { ExchangeRequests } from "../exchanges/exchange-requests.ts";
import type { Exchanges } from "../exchanges/exchanges.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { DEFAULT_POLICY } from "../policy.ts";
import { Queue } from "../queue/queue.ts";
import type { RetainedMessages } from "../topic/retained.ts";
import type { Destination } from "./route.ts";
import type { Selector } from "../selector/selector.ts";
import { type SubscribeOptions, Subscription } from "../subscription.ts";
import { TopicFeed } from "../topic/topic-feed.ts";
import type { Totals } from "../totals.ts";

/** How the consumers of a queue that gives nothing away see it. */
const ENDLESS = { end: false, fromSequence: 0 } as const;

/** What attachments need of their virtual host. */
export interface AttachmentsOptions {
  readonly engine: Engine;
  readonly hostName: string;
  readonly destinations: Destinations;
  readonly declared: DeclaredQueues;
  readonly exchanges: Exchanges;
  readonly exchangeRequests: ExchangeRequests;
  readonly durableSubscriptions: DurableSubscriptions;
  readonly retained: RetainedMessages;
  readonly totals: Totals;
  /** Throws BrokerError("not-authorized") when a client may not do that; `whole`: or not with all that a pattern matches. */
  readonly check: (client: Client, action: Action, kind: AddressKind | "dsub", name: string, whole?: boolean) => void;
  /** Throws BrokerError when no further destination may be made. */
  readonly checkRoom: () => void;
  /** What is there or may be made by this client. Throws BrokerError. */
  readonly destination: (address: Address, client: Client) => Destination;
  /** Throws BrokerError("not-found") when there is none. */
  readonly durableOf: (id: string) => DurableSubscription;
}

/** The consumers of one virtual host at its queues, topics, exchanges and durable subscriptions. */
export class Attachments {
  private readonly options: AttachmentsOptions;
  private readonly engine: Engine;
  private readonly destinations: Destinations;
  private readonly declared: DeclaredQueues;
  private readonly durableSubscriptions: DurableSubscriptions;

  constructor(options: AttachmentsOptions) {
    this.options = options;
    this.engine = options.engine;
    this.destinations = options.destinations;
    this.declared = options.declared;
    this.durableSubscriptions = options.durableSubscriptions;
  }

  /** Attaches a consumer; see `Client.subscribe`. Throws BrokerError. */
  subscribe(client: Client, id: number, options: SubscribeOptions): Subscription {
    const subscription = new Subscription(id, client, options);
    const { attachDurable, durable, browse } = options;
    if (attachDurable !== undefined || (durable !== undefined && browse !== undefined)) {
      this.link(subscription, this.durableQueue(attachDurable ?? durable ?? "", subscription), options.selector);
    } else if (durable !== undefined) {
      this.link(subscription, this.durable(durable, client, options).queue, undefined);
    } else {
      this.subscribePatterns(subscription, options);
    }
    client.subscriptions.add(subscription);
    this.engine.clock.endOfTurn(() => this.start(subscription, options));
    return subscription;
  }

  /** Detaches a consumer from everything; deliveries it holds come back with the outcome. */
  end(subscription: Subscription, outcome: "released" | "failed"): void {
    subscription.client.subscriptions.delete(subscription);
    for (const link of subscription.links) {
      link.queue.detach(link, outcome);
      this.left(link.queue);
    }
    subscription.links.length = 0;
    for (const hold of subscription.holds) hold.queue.release(hold, outcome);
    subscription.holds.length = 0;
    for (const browser of subscription.browsers) browser.close();
    subscription.browsers.length = 0;
    for (const pattern of subscription.patterns) {
      if (pattern.kind === "queue" && pattern.address === undefined) this.destinations.unwatch(pattern, subscription);
    }
    const { feed } = subscription;
    if (feed !== undefined) {
      this.destinations.topicBindings.unbind(feed, subscription.patterns);
      this.options.exchanges.unsubscribe(feed);
      feed.close();
      feed.spillQueue?.delete();
    }
    // Last, as what waited for it is lost with it.
    this.options.totals.subscriptionGone(subscription);
  }

  /** Detaches a consumer from everything, but leaves it what it holds. */
  stop(subscription: Subscription): void {
    for (const link of subscription.links) {
      link.queue.stop(link);
      this.left(link.queue);
    }
    subscription.links.length = 0;
    for (const browser of subscription.browsers) browser.close();
    subscription.browsers.length = 0;
    for (const pattern of subscription.patterns) {
      if (pattern.kind === "queue" && pattern.address === undefined) this.destinations.unwatch(pattern, subscription);
    }
    const { feed } = subscription;
    if (feed === undefined) return;
    this.destinations.topicBindings.unbind(feed, subscription.patterns);
    this.options.exchanges.unsubscribe(feed);
  }

  /**
   * Ends a subscription that its client may not have any more; of another one it looks again at what its wildcards give it. Of
   * the patterns of sessions it asks nothing. In steps; see `AccessReview`.
   */
  *review(subscription: Subscription): Steps {
    if (subscription.closed) return;
    try {
      this.checkRights(subscription);
    } catch (refusal) {
      if (!(refusal instanceof BrokerError)) throw refusal;
      subscription.cancel(refusal.message, "not-authorized");
      return;
    }
    yield* this.sift(subscription);
  }

  /** Looks again at what the wildcards of a subscription give it; in steps. */
  *sift(subscription: Subscription): Steps {
    const { feed, patterns, browse } = subscription;
    const wild = patterns.filter(({ address }) => address === undefined);
    for (const pattern of wild) {
      if (feed === undefined || pattern.kind !== "topic") continue;
      this.destinations.topicBindings.renew(feed, pattern);
      yield WILDCARD_STEPS;
    }
    const ofQueues = wild.filter(({ kind }) => kind === "queue");
    if (ofQueues.length === 0) return;
    yield* this.takeQueues(subscription);
    // Who browses to the end sees what was there when it began.
    if (browse?.end === true) return;
    for (const pattern of ofQueues) yield* this.giveQueues(subscription, pattern);
  }

  /** Throws BrokerError when a client may not receive what a pattern says; `whole`: or not all of it. */
  checkPattern(pattern: Pattern, { client, browse }: Pick<Subscription, "client" | "browse">, whole = false): void {
    const { kind, text } = pattern;
    if (browse !== undefined && kind !== "queue") {
      throw new BrokerError(
        "bad-request",
        `Only queues and durable subscriptions can be browsed; ${text} is ${articled(kind)}, which holds nothing`,
      );
    }
    // What is received from an exchange, it checks itself.
    if (kind === "exchange") return;
    this.options.check(client, kind === "queue" && browse === undefined ? "consume" : "receive", kind, text, whole);
    if (pattern.address === undefined || this.destinations.mayConsume(client, pattern.address)) return;
    if (this.declared.of(pattern.address) !== undefined) {
      this.declared.checkOwner(client, pattern.address, this.destinations);
    }
    throw new BrokerError(
      "not-authorized",
      `The temporary ${pattern.kind} ${pattern.address.name} belongs to another session`,
    );
  }

  /** The queues of a pattern, where another one of the same subscription may match the same. */
  attachQueues(subscription: Subscription, pattern: Pattern): void {
    if (pattern.address === undefined) {
      this.destinations.watch(pattern, subscription);
      return;
    }
    const queue = this.options.destination(pattern.address, subscription.client);
    const { links, browsers } = subscription;
    if (!(queue instanceof Queue) || [...links, ...browsers].some((there) => there.queue === queue)) return;
    this.link(subscription, queue, undefined);
  }

  /** A queue that one slow subscriber's messages go to. */
  spillQueue(subscription: Subscription): Queue {
    const subject = `spill queue of subscriber ${subscription.client.id}/${subscription.id}`;
    const description = { kind: "temporary", host: this.options.hostName } as const;
    const queue = new Queue({ engine: this.engine, subject, description, policy: DEFAULT_POLICY, temporary: true });
    this.link(subscription, queue, undefined);
    return queue;
  }

  /** Attaches a consumer, or a browser, to a queue. */
  link(subscription: Subscription, queue: Queue, selector: Selector | undefined): void {
    const browse = subscription.browse ?? (queue.policy.nonDestructive ? ENDLESS : undefined);
    this.declared.joined(queue);
    if (browse === undefined) subscription.links.push(queue.attach(subscription, selector));
    else subscription.browsers.push(queue.browse(subscription, selector, browse));
  }

  /** A queue is there that a subscription watches for. */
  linkWatched(subscription: Subscription, queue: Queue): void {
    if (queue.deleted) return;
    const { client, patterns, links, browsers, browse } = subscription;
    // A single pattern meets each queue once; looking would take long when it matches very many.
    if (patterns.length > 1 && [...links, ...browsers].some((there) => there.queue === queue)) return;
    if (queue.address !== undefined && !this.mayTake(client, queue.address, browse)) return;
    this.link(subscription, queue, subscription.selector);
    queue.dispatch();
  }

  private start(subscription: Subscription, options: SubscribeOptions): void {
    if (subscription.closed) return;
    if (subscription.feed !== undefined && options.retained !== false) {
      subscription.feed.begin(this.options.retained.sources(options.patterns, subscription.client.permissions));
    }
    subscription.start();
  }

  private checkRights(subscription: Subscription): void {
    const { client, durable, browse, patterns } = subscription;
    if (durable !== undefined) {
      this.options.check(client, browse === undefined ? "consume" : "receive", "dsub", durable);
      if (browse !== undefined) return;
    }
    for (const pattern of patterns) {
      if (pattern.kind === "exchange") this.options.exchangeRequests.checkSource(client, pattern);
      else this.checkPattern(pattern, subscription);
    }
  }

  /** Takes from a subscription the queues that a wildcard gave it and may not give any more. */
  private *takeQueues({ client, patterns, browse, links, browsers }: Subscription): Steps {
    const named = new Set(patterns.map(({ kind, address }) => (kind === "queue" ? address?.name : undefined)));
    const isLost = ({ address }: Queue): boolean =>
      address !== undefined && !named.has(address.name) && !this.mayTake(client, address, browse);
    // Backwards, for it is quick to take the last one of very many.
    for (const link of links.toReversed()) {
      const at = links.lastIndexOf(link);
      if (at >= 0 && isLost(link.queue)) {
        links.splice(at, 1);
        link.queue.detach(link, "released");
        this.left(link.queue);
      }
      yield 1;
    }
    for (const browser of browsers.toReversed()) {
      const at = browsers.lastIndexOf(browser);
      if (at >= 0 && isLost(browser.queue)) {
        browsers.splice(at, 1);
        browser.close();
        browser.subscription.browsed();
      }
      yield 1;
    }
  }

  /** Gives a subscription the queues of a wildcard that it has not got yet, as long as it wants them. */
  private *giveQueues(subscription: Subscription, pattern: Pattern): Steps {
    for (const queue of this.destinations.walk(pattern)) {
      if (!this.destinations.watches(pattern, subscription)) return;
      if (queue !== undefined && !isAt(queue, subscription)) this.linkWatched(subscription, queue);
      yield 1;
    }
  }

  /** Whether a wildcard gives a client a queue. */
  private mayTake(client: Client, address: Address, browse: Subscription["browse"]): boolean {
    if (!this.destinations.mayConsume(client, address)) return false;
    const action = browse === undefined ? "consume" : "receive";
    return client.permissions.decide(action, "queue", address.name).allowed;
  }

  /** All of them or, when one is refused, none. */
  private subscribePatterns(subscription: Subscription, options: SubscribeOptions): void {
    for (const pattern of options.patterns) this.checkPattern(pattern, subscription);
    try {
      for (const pattern of options.patterns) {
        if (pattern.kind === "queue") this.subscribeQueue(subscription, pattern);
        else this.subscribeTopic(subscription, pattern, options);
      }
    } catch (refusal) {
      this.end(subscription, "released");
      throw refusal;
    }
  }

  private subscribeQueue(subscription: Subscription, pattern: Pattern): void {
    if (pattern.address === undefined) {
      // Who browses to the end has no use for what comes later.
      if (subscription.browse?.end !== true) this.destinations.watch(pattern, subscription);
      else this.destinations.matching(pattern, (queue) => this.linkWatched(subscription, queue));
      return;
    }
    const queue = this.options.destination(pattern.address, subscription.client);
    if (queue instanceof Queue) this.link(subscription, queue, subscription.selector);
  }

  private subscribeTopic(subscription: Subscription, pattern: Pattern, options: SubscribeOptions): void {
    subscription.feed ??= new TopicFeed(this.engine, subscription, options.noLocal === true, () =>
      this.spillQueue(subscription),
    );
    if (pattern.kind === "topic") this.destinations.topicBindings.bind(subscription.feed, [pattern]);
    else this.options.exchangeRequests.subscribe(subscription.feed, pattern);
  }

  private durable(id: string, client: Client, options: SubscribeOptions): DurableSubscription {
    for (const pattern of options.patterns) {
      if (pattern.kind !== "topic") {
        throw new BrokerError(
          "bad-request",
          `A durable subscription is over topics; ${pattern.text} is ${articled(pattern.kind)}${pattern.kind === "queue" ? ", which is durable by itself" : ""}`,
        );
      }
      this.checkPattern(pattern, { client, browse: undefined });
    }
    this.options.check(client, "consume", "dsub", id);
    const found = this.durableSubscriptions.byId.get(id);
    if (found !== undefined) {
      if (found.kind !== "durable") throw ofSessions(found);
      if (!found.isLike(options.patterns, options.selector)) {
        this.durableSubscriptions.change(found, options, client.permissions);
      } else {
        this.durableSubscriptions.own(found, client.permissions);
      }
      return found;
    }
    this.options.check(client, "create", "dsub", id);
    this.options.checkRoom();
    return this.durableSubscriptions.create(id, options, client.permissions);
  }

  /** The queue of a durable subscription that is there, for a subscription that changes nothing of it. */
  private durableQueue(id: string, { client, browse }: Subscription): Queue {
    this.options.check(client, browse === undefined ? "consume" : "receive", "dsub", id);
    return this.options.durableOf(id).queue;
  }

  /** A consumer has left a queue. */
  private left(queue: Queue): void {
    this.destinations.noteIdle(queue);
    this.declared.left(queue, this.destinations);
  }
}

function isAt(queue: Queue, subscription: Subscription): boolean {
  for (const link of queue.links()) if (link.subscription === subscription) return true;
  for (const browser of queue.allBrowsers()) if (browser.subscription === subscription) return true;
  return false;
}

function articled(kind: AddressKind): string {
  return kind === "exchange" ? "an exchange" : `a ${kind}`;
}

/** The refusal to treat what sessions have as anybody's. */
export function ofSessions({ kind, id }: DurableSubscription): BrokerError {
  const whose = kind === "share" ? "is shared by sessions and goes when the last of them leaves it" : "is a session's";
  return new BrokerError("conflict", `The durable subscription ${id} ${whose}`);
}
