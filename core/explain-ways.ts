/*
 * Where a message would go from one address, without one: the same way that `Admission`, `Topic` and `Graph` lead it,
 *
 *     mirror -> bounds of what comes from elsewhere -> diverts, each as far as it leads -> queue: consumers, dead letters
 *                                                                                       -> topic: targets, queues from there
 */
import { Address } from "./addresses/address.ts";
import type { Engine } from "./engine.ts";
import type { Exchange } from "./exchanges/exchange.ts";
import type { Exchanges } from "./exchanges/exchanges.ts";
import { DEFAULT_EXCHANGE, exchangeAddress, keyOf, TOPIC_EXCHANGE, topicOf } from "./exchanges/routing-key.ts";
import { SpaceTarget } from "./exchanges/space-target.ts";
import type { Message } from "./message.ts";
import { Queue } from "./queue/queue.ts";
import { isTemporary, MAX_HOPS } from "./routing/admission.ts";
import { Bounds } from "./routing/bounds.ts";
import { graveOf } from "./routing/dead-letters.ts";
import type { DeclaredQueues } from "./routing/declared-queues.ts";
import type { Destinations } from "./routing/destinations.ts";
import { QueueTarget } from "./routing/virtual-topic.ts";
import type { Subscription } from "./subscription.ts";
import { isSystemTopic } from "./system-topics.ts";
import { DurableSubscription } from "./topic/durable-subscription.ts";
import { TopicFeed } from "./topic/topic-feed.ts";
import { Topic, type TopicTarget } from "./topic/topic.ts";

/** Readers that are told of one by one, and things that are said besides. */
const MOST_READERS = 100;
const MOST_NOTES = 100;
/** Places that are looked at: diverts may lead to very many, over and over. */
const MOST_PLACES = 10_000;

/** Somebody, or a queue, that would get the message, or would not for its selector. */
export interface ExplainedReader {
  readonly kind: "consumer" | "subscription" | "durable" | "queue";
  /** The connection's id, the durable subscription's, or the canonical name of the queue. */
  readonly id: string;
  /** What leads there: a destination, or an exchange with a key. */
  readonly via: string;
  readonly subscription: Subscription | undefined;
  readonly selector: string | undefined;
  readonly matches: boolean;
}

/** Where to look. */
export interface ExplainPlaces {
  readonly engine: Engine;
  readonly destinations: Destinations;
  readonly exchanges: Exchanges;
  readonly declared: DeclaredQueues;
}

/** Follows one message to all who would get it. */
export class ExplainedWays {
  readonly readers: ExplainedReader[] = [];
  readonly notes: string[] = [];
  private readonly places: ExplainPlaces;
  private readonly message: Message;
  /** Queues of which it was said what becomes of dead letters. */
  private readonly buried = new Set<string>();
  private left = 0;
  private visited = 0;

  constructor(places: ExplainPlaces, message: Message) {
    this.places = places;
    this.message = message;
  }

  /** Readers that are left out. */
  get more(): number {
    return this.left;
  }

  /** What is said besides, as long as it is not too much. */
  note(text: string): void {
    if (this.notes.length < MOST_NOTES && !this.notes.includes(text)) this.notes.push(text);
  }

  /** Follows what a client sends to a queue or a topic, or what a divert brings there after so many hops. */
  enter(address: Address, hops = 0): void {
    const { destinations } = this.places;
    if (address.kind === "exchange") {
      this.enterExchange(address, hops);
      return;
    }
    const { mirrored } = destinations.find(address)?.policy ?? destinations.policyOf(address);
    if (!mirrored || address.kind !== "queue" || isTemporary(address)) {
      this.take(address, hops);
      return;
    }
    this.note(`The queue ${address.name} is one with the topic of its name (mirrored)`);
    this.forward(new Address("topic", address.levels), hops);
  }

  /** Follows what is sent to an exchange with a key. */
  lead(exchange: Exchange, key: string, hops = 0): void {
    for (const [target, via] of this.walk(exchange, key, true)) this.target(target, via, hops);
  }

  /** Why a queue that an exchange leads to would have a sender refused. */
  *refusals(exchange: Exchange, key: string): Iterable<string> {
    for (const [target] of this.walk(exchange, key, false)) {
      if (!(target instanceof QueueTarget) || !target.admission.selective) continue;
      const { address, destination } = target.admission;
      const refusal = this.refusalOf(address, destination);
      if (refusal !== undefined) yield refusal;
    }
  }

  /** Why a sender to a queue or a topic would be refused for what its policy says of size and room. */
  refusalOf(address: Address, destination: Queue | Topic | undefined): string | undefined {
    const policy = destination?.policy ?? this.places.destinations.policyOf(address);
    const excess = Bounds.of(policy)?.excess(this.message);
    if (excess !== undefined) return `The ${address.kind} ${address.name} ${excess}`;
    const refuses = policy.full === "reject" || policy.full === "reject-dead-letter";
    // It needs no room before its time, nor where a divert takes it.
    if (!refuses || this.message.timing !== undefined || this.isTaken(address)) return undefined;
    return destination instanceof Queue ? destination.refusal(this.message) : undefined;
  }

  private forward(target: Address, hops: number): void {
    if (hops < MAX_HOPS) this.enter(target, hops + 1);
    else this.note(`It would be lost on its way to the ${target.kind} ${target.name}: it was led on ${MAX_HOPS} times`);
  }

  private enterExchange({ levels: [name = "", key = ""] }: Address, hops: number): void {
    if (name === DEFAULT_EXCHANGE || name === TOPIC_EXCHANGE) {
      this.enter(exchangeAddress(name, key), hops);
      return;
    }
    const exchange = this.places.exchanges.find(name);
    if (exchange === undefined) this.note(`There is no exchange ${name}: it would be lost there`);
    else this.lead(exchange, key, hops);
  }

  private take(address: Address, hops: number): void {
    const { destinations } = this.places;
    const { kind, name } = address;
    if (++this.visited > MOST_PLACES) {
      this.note(`It goes to more than ${MOST_PLACES} places; what would become of it there is left out here`);
      return;
    }
    if (destinations.isAbandoned(address) || isSystemTopic(address)) {
      this.note(`The ${kind} ${name} takes nothing: it would be dropped there`);
      return;
    }
    const destination = destinations.find(address);
    if (hops > 0 && !this.fits(address, destination)) return;
    this.followDiverts(address, hops);
    if (this.isTaken(address)) return;
    if (destination instanceof Queue) this.ofQueue(destination, `queue ${name}`);
    else if (kind === "topic") this.ofTopic(address, destination, hops);
    else this.ofNewQueue(address);
  }

  /** A queue that would be made has those for consumers who watch for such. */
  private ofNewQueue(address: Address): void {
    const { name } = address;
    this.places.destinations.watchersOf(address, (subscription) => {
      const { client, browse, selector } = subscription;
      if (browse !== undefined || !client.permissions.decide("consume", "queue", name).allowed) return;
      this.reader("consumer", `queue ${name}`, subscription, selector);
    });
    this.deadLetters(address, undefined);
  }

  /** Whether what comes from elsewhere goes in. */
  private fits(address: Address, destination: Queue | Topic | undefined): boolean {
    const { kind, name } = address;
    if (destination === undefined) this.note(`The ${kind} ${name} is not there yet and would be made`);
    const excess = Bounds.of(destination?.policy ?? this.places.destinations.policyOf(address))?.excess(this.message);
    if (excess === undefined) return true;
    this.note(`The ${kind} ${name} ${excess}: it would be dropped there`);
    return false;
  }

  private followDiverts(address: Address, hops: number): void {
    for (const { targets, selector, exclusive } of this.places.destinations.divertsOf(address)) {
      if (selector?.matches(this.message) === false) continue;
      const names = targets.map(({ kind, name }) => `${kind} ${name}`).join(", ");
      const from = hops === 0 ? "" : ` from the ${address.kind} ${address.name}`;
      this.note(`A divert leads it${from} to ${names}${exclusive ? ", and to nowhere else" : " as well"}`);
      for (const target of targets) this.forward(target, hops);
    }
  }

  /** Whether a divert has it for itself. */
  private isTaken(address: Address): boolean {
    const diverts = this.places.destinations.divertsOf(address);
    return diverts.some(({ exclusive, selector }) => exclusive && selector?.matches(this.message) !== false);
  }

  private ofQueue(queue: Queue, via: string): void {
    const refusal = queue.refusal(this.message);
    if (refusal !== undefined) this.note(`${refusal}; its policy then is ${queue.policy.full} (full)`);
    if (queue.paused) this.note(`The ${queue.subject} is paused: nothing is delivered until it is resumed`);
    for (const { subscription, selector } of queue.links()) this.reader("consumer", via, subscription, selector);
    if (queue.address !== undefined) this.deadLetters(queue.address, queue);
  }

  private ofTopic(address: Address, destination: Queue | Topic | undefined, hops: number): void {
    const via = `topic ${address.name}`;
    const targets = new Map<TopicTarget, string>();
    if (destination instanceof Topic) {
      for (const target of destination.targets) targets.set(target, via);
      for (const target of destination.chooser?.(this.message) ?? []) targets.set(target, via);
    } else {
      this.places.destinations.topicBindings.boundTo(address, (target) => targets.set(target, via));
      const space = this.places.exchanges.find(TOPIC_EXCHANGE);
      if (space !== undefined) for (const way of this.walk(space, keyOf(address), true, false)) targets.set(...way);
    }
    for (const [target, way] of targets) this.target(target, way, hops);
  }

  private target(target: TopicTarget, via: string, hops: number): void {
    if (target instanceof TopicFeed) {
      this.reader("subscription", via, target.subscription, target.subscription.selector);
    } else if (target instanceof DurableSubscription) {
      const { id, selector, queue } = target;
      const matches = selector?.matches(this.message) !== false;
      this.add({ kind: "durable", id, via, subscription: undefined, selector: selector?.text, matches });
      if (matches) this.ofQueue(queue, `durable subscription ${id}`);
    } else if (target instanceof QueueTarget) {
      const { address } = target.admission;
      this.add({ kind: "queue", id: address.name, via, subscription: undefined, selector: undefined, matches: true });
      // What comes from a topic or an exchange counts as from elsewhere, though nothing is added to its hops.
      this.take(address, Math.max(hops, 1));
    } else if (target instanceof SpaceTarget) {
      for (const each of target.targets) this.target(each, via, hops);
    }
  }

  /** Everybody to whom a key leads from an exchange, each once; with headers exchanges or not, and into topics or not. */
  private walk(first: Exchange, key: string, throughHeaders: boolean, intoSpace = true): Map<TopicTarget, string> {
    const targets = new Map<TopicTarget, string>();
    const seen = new Set([first]);
    for (const exchange of seen) {
      const { name, declaration, alternate } = exchange;
      if (declaration.type === "headers" && !throughHeaders) continue;
      const via = `exchange ${name}, key "${key}"`;
      let wanted = name === TOPIC_EXCHANGE;
      exchange.table.match(key, this.message, ({ to }) => {
        wanted = true;
        if ("declaration" in to) seen.add(to);
        else targets.set(to, targets.get(to) ?? via);
      });
      if (name === TOPIC_EXCHANGE && intoSpace) this.cross(key, via, targets);
      this.noteSuspended(exchange);
      if (wanted) continue;
      const next = alternate === undefined ? undefined : this.places.exchanges.find(alternate);
      if (next !== undefined) seen.add(next);
      else this.note(`No binding of the exchange ${name} wants the key "${key}"`);
    }
    return targets;
  }

  private cross(key: string, via: string, targets: Map<TopicTarget, string>): void {
    const address = topicOf(key);
    if (address === undefined || isSystemTopic(address)) return;
    this.places.destinations.topicBindings.boundTo(address, (target) => {
      if (!targets.has(target)) targets.set(target, via);
    });
  }

  private noteSuspended({ name, bindings }: Exchange): void {
    let count = 0;
    for (const { suspended } of bindings.values()) if (suspended) count++;
    if (count === 0) return;
    this.note(`${count} bindings of the exchange ${name} lead nowhere: who made them may not have them any more`);
  }

  /** Says where a queue's dead letters go, and where they go from there. */
  private deadLetters(address: Address, queue: Queue | undefined): void {
    const { declared, destinations } = this.places;
    const { name } = address;
    if (this.buried.has(name)) return;
    this.buried.add(name);
    const policy = queue?.policy ?? destinations.policyOf(address);
    const { deadLetterExchange: exchange, deadLetterRoutingKey: key, deadLetterQueue, expiryQueue } = policy;
    if (exchange !== undefined && declared.leads(address)) {
      const [to, by] = [
        exchange === DEFAULT_EXCHANGE ? "the default exchange" : `the exchange ${exchange}`,
        key ?? "its own",
      ];
      this.note(`Given up by the queue ${name}, it would go to ${to}, with the key ${by}`);
      if (exchange === DEFAULT_EXCHANGE && key !== undefined) this.buryIn(exchangeAddress(exchange, key));
      return;
    }
    if (exchange !== undefined)
      this.note(`Who declared the queue ${name} may not have dead letters go to ${exchange} any more`);
    for (const [template, when] of [
      [deadLetterQueue, "given up"],
      [expiryQueue, "expired"],
    ] as const) {
      const grave = graveOf(template, { name });
      if (grave === undefined || grave.name === name) continue;
      this.note(`When ${when}, it would go from the queue ${name} to the queue ${grave.name}`);
      this.buryIn(grave);
    }
  }

  private buryIn(grave: Address): void {
    const queue = this.places.destinations.find(grave);
    this.deadLetters(grave, queue instanceof Queue ? queue : undefined);
  }

  private reader(
    kind: "consumer" | "subscription",
    via: string,
    subscription: Subscription,
    selector: Subscription["selector"],
  ): void {
    const matches = selector?.matches(this.message) !== false;
    this.add({ kind, id: subscription.client.id, via, subscription, selector: selector?.text, matches });
  }

  private add(reader: ExplainedReader): void {
    if (this.readers.length < MOST_READERS) this.readers.push(reader);
    else this.left++;
  }
}
