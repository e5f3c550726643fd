/*
 * Which way messages take through the exchanges of a virtual host. A message keeps its key on its whole way, so the way of
 * a key is found once, as a topic of its own with everybody the key leads to as its targets, each once:
 *
 *     exchange, key -> bindings -> queues, subscribers                -> targets of the way
 *                               -> other exchanges, each once         -> their bindings, and so on
 *                               -> amq.topic: who gets that topic     -> targets as well
 *                   -> none that wants it: the alternate exchange
 *
 * A topic of the topic space has, besides those bound to it, the targets of the exchanges bound to amq.topic. Where a
 * headers exchange is on the way, the rest of it is looked up for each message (`Topic.chooser`).
 *
 * Whatever changes a way marks it as deleted, and routes look it up again: ways of the keys that the change concerns, in
 * the exchange that changed and in all that lead to it.
 */
import { type Binding, Exchange, type Way } from "./exchange.ts";
import type { Destinations } from "../routing/destinations.ts";
import type { KeyScope } from "./binding-table.ts";
import { keyOf, topicOf } from "./routing-key.ts";
import type { Message } from "../message.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { isSystemTopic } from "../system-topics.ts";
import { SpaceTarget } from "./space-target.ts";
import type { Topic, TopicTarget } from "../topic/topic.ts";
import { QueueTarget } from "../routing/virtual-topic.ts";

/** Ways kept in one virtual host: all are forgotten when there are more. */
const MAX_WAYS = 20_000;

/** Where a walk came to. */
interface Reached {
  readonly targets: Set<TopicTarget>;
  /** Headers exchanges, if there was no message to ask them with. */
  readonly headers: readonly Exchange[];
  readonly seen: ReadonlySet<Exchange>;
  readonly crosses: boolean;
}

/** What the graph needs of its virtual host. */
export interface GraphOptions {
  /** The exchange amq.topic. */
  readonly space: Exchange;
  readonly destinations: Destinations;
  find(name: string): Exchange | undefined;
  all(): Iterable<Exchange>;
}

/** The ways through the exchanges of one virtual host. */
export class Graph {
  private readonly options: GraphOptions;
  private readonly space: Exchange;
  private readonly destinations: Destinations;
  private readonly alternatesOf = new Map<string, Set<Exchange>>();
  /** Of topics, the targets they have by exchanges bound to amq.topic. */
  private readonly wired = new Map<Topic, ReadonlySet<TopicTarget>>();
  private wayCount = 0;

  constructor(options: GraphOptions) {
    this.options = options;
    this.space = options.space;
    this.destinations = options.destinations;
  }

  /** An exchange came or is to go. */
  noteAlternate(exchange: Exchange, there: boolean): void {
    const { alternate } = exchange.declaration;
    if (alternate === undefined) return;
    let those = this.alternatesOf.get(alternate);
    if (those === undefined) this.alternatesOf.set(alternate, (those = new Set()));
    if (there) those.add(exchange);
    else if (those.delete(exchange) && those.size === 0) this.alternatesOf.delete(alternate);
  }

  /** Gives a topic of its own, made for a key of an exchange, everybody to whom the key leads. */
  lead(topic: Topic, exchange: Exchange, key: string): boolean {
    const reached = this.walk([exchange], key, new Set([exchange]), undefined);
    for (const target of reached.targets) topic.add(target);
    topic.chooser = this.chooser(reached, key);
    return reached.crosses;
  }

  /** The same for several keys: everybody once, however many of them lead there. */
  leadAll(topic: Topic, exchange: Exchange, keys: readonly string[]): void {
    const choosers: NonNullable<Topic["chooser"]>[] = [];
    for (const key of keys) {
      this.lead(topic, exchange, key);
      if (topic.chooser !== undefined) choosers.push(topic.chooser);
    }
    if (choosers.length > 1) topic.chooser = (message) => [...new Set(choosers.flatMap((choose) => choose(message)))];
    else topic.chooser = choosers[0];
  }

  /** Keeps a way until it changes. */
  keep(exchange: Exchange, key: string, way: Way): void {
    if (this.wayCount >= MAX_WAYS) for (const each of this.options.all()) this.forgetAll(each);
    this.wayCount++;
    exchange.ways.set(key, way);
  }

  /** No way of an exchange is kept any more. */
  forgetAll(exchange: Exchange): void {
    for (const key of exchange.ways.keys()) this.forget(exchange, key);
  }

  /** Bindings of an exchange came or went, or the exchange itself: for the keys of a scope. */
  changed(exchange: Exchange, scope: KeyScope): void {
    for (const each of this.upstream(exchange)) {
      this.forgetWays(each, scope);
      if (each === this.space) this.rewire(scope);
    }
  }

  /** Others get what the topics of a pattern get. */
  spaceChanged(pattern: Pattern): void {
    if (this.space.incoming.size === 0 && !this.alternatesOf.has(this.space.name)) return;
    const exact = pattern.address === undefined ? undefined : keyOf(pattern.address);
    const matches = (key: string): boolean => {
      const address = topicOf(key);
      return address !== undefined && pattern.matches(address);
    };
    for (const each of this.upstream(this.space)) {
      if (each === this.space) continue;
      // Of an address there may be several spellings.
      for (const [key, { crosses }] of each.ways) {
        if (crosses && (key === exact || matches(key))) this.forget(each, key);
      }
    }
  }

  /** Gives a topic of the topic space what the exchanges bound to amq.topic lead to, in place of what they led to before. */
  wire(topic: Topic): void {
    const before = this.wired.get(topic);
    if (before === undefined && topic.chooser === undefined && this.space.links === 0) return;
    const { address } = topic;
    // A temporary topic is for its owner alone.
    if (this.destinations.ownerOf(address) !== undefined) return;
    const key = keyOf(address);
    const reached = this.walk([this.space], key, new Set([this.space]), undefined, false);
    for (const target of reached.targets) topic.add(target);
    topic.chooser = this.chooser(reached, key);
    if (reached.targets.size > 0) this.wired.set(topic, reached.targets);
    else this.wired.delete(topic);
    for (const target of before ?? []) {
      if (!reached.targets.has(target) && !this.destinations.topicBindings.isBound(target, address))
        topic.remove(target);
    }
    if (topic.targets.length === 0) this.destinations.noteIdle(topic);
  }

  /** A topic of the topic space is gone. */
  unwire(topic: Topic): void {
    this.wired.delete(topic);
  }

  /** Whether a topic has a target by an exchange. */
  leads(topic: Topic, target: TopicTarget): boolean {
    return this.wired.get(topic)?.has(target) === true;
  }

  private chooser({ headers, seen }: Reached, key: string): Topic["chooser"] {
    if (headers.length === 0) return undefined;
    return (message) => Array.from(this.walk([...headers], key, new Set(seen), message).targets);
  }

  /** Follows a key; from amq.topic itself not into the topics, where it came from. */
  private walk(
    work: Exchange[],
    key: string,
    seen: Set<Exchange>,
    message: Message | undefined,
    intoSpace = true,
  ): Reached {
    const targets = new Set<TopicTarget>();
    const headers: Exchange[] = [];
    let crosses = false;
    let wanted = false;
    const enter = (exchange: Exchange | undefined): void => {
      if (exchange === undefined || seen.has(exchange)) return;
      seen.add(exchange);
      work.push(exchange);
    };
    const follow = ({ to }: Binding): void => {
      wanted = true;
      if (to instanceof Exchange) enter(to);
      else targets.add(to);
    };
    for (let exchange = work.pop(); exchange !== undefined; exchange = work.pop()) {
      const { alternate } = exchange;
      const { type } = exchange.declaration;
      if (type === "headers" && message === undefined) {
        headers.push(exchange);
        continue;
      }
      wanted = false;
      exchange.table.match(key, message, follow);
      if (exchange === this.space && intoSpace) {
        crosses = true;
        this.cross(key, targets);
      }
      if (!wanted && alternate !== undefined) enter(this.options.find(alternate));
    }
    return { targets, headers, seen, crosses };
  }

  /** Adds who gets the topic of a key. */
  private cross(key: string, targets: Set<TopicTarget>): void {
    const address = topicOf(key);
    if (address === undefined || isSystemTopic(address)) return;
    const others = new Set<TopicTarget>();
    this.destinations.topicBindings.boundTo(address, (target) => {
      if (target instanceof QueueTarget) targets.add(target);
      else others.add(target);
    });
    if (others.size > 0) targets.add(new SpaceTarget(address, this.destinations.policyOf(address), [...others]));
  }

  /** An exchange and all from which messages come to it. */
  private upstream(exchange: Exchange): Set<Exchange> {
    const all = new Set([exchange]);
    for (const each of all) {
      for (const { source } of each.incoming) all.add(source);
      for (const other of this.alternatesOf.get(each.name) ?? []) all.add(other);
    }
    return all;
  }

  private forgetWays(exchange: Exchange, scope: KeyScope): void {
    if (scope.exact !== undefined) {
      this.forget(exchange, scope.exact);
      return;
    }
    for (const key of exchange.ways.keys()) if (scope.matches(key)) this.forget(exchange, key);
  }

  private forget(exchange: Exchange, key: string): void {
    const way = exchange.ways.get(key);
    if (way === undefined) return;
    way.topic.deleted = true;
    exchange.ways.delete(key);
    this.wayCount--;
  }

  private rewire(scope: KeyScope): void {
    for (const topic of this.destinations.topics.values()) if (scope.matches(keyOf(topic.address))) this.wire(topic);
  }
}
