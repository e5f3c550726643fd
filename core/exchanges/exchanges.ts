/*
 * The exchanges of a virtual host with their bindings: declared, bound, found again after a restart, and deleted. Which way
 * a message takes through them is graph.ts. Two exchanges are name spaces of the broker (routing-key.ts): "" is no object
 * but for its account, and what is bound to amq.topic is bound to topics.
 *
 * Durable exchanges and the bindings between what survives a restart are records in the store.
 */
import { isSameSubject } from "../access/subject-record.ts";
import { Address } from "../addresses/address.ts";
import type { Admission } from "../routing/admission.ts";
import { argumentsText, ExchangeRecords, type StoredDestination } from "./exchange-records.ts";
import { ALL_KEYS } from "./binding-table.ts";
import {
  type Binding,
  type BindingDeclaration,
  Exchange,
  type ExchangeDeclaration,
  type ExchangeType,
} from "./exchange.ts";
import { DEFAULT_EXCHANGE, exchangeAddress, TOPIC_EXCHANGE, topicPattern } from "./routing-key.ts";
import { DEFAULT_POLICY } from "../policy.ts";
import type { Destinations } from "../routing/destinations.ts";
import { DuplicateWindow } from "../routing/duplicates.ts";
import { escapeCanonical } from "../addresses/escape.ts";
import type { Engine } from "../engine.ts";
import { BrokerError } from "../errors.ts";
import { Graph } from "./graph.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { Queue } from "../queue/queue.ts";
import { Topic, type TopicTarget } from "../topic/topic.ts";
import { TopicFeed } from "../topic/topic-feed.ts";
import type { Totals } from "../totals.ts";

const PREDECLARED: readonly (readonly [name: string, type: ExchangeType])[] = [
  [DEFAULT_EXCHANGE, "direct"],
  ["amq.direct", "direct"],
  ["amq.fanout", "fanout"],
  [TOPIC_EXCHANGE, "topic"],
  ["amq.headers", "headers"],
  ["amq.match", "headers"],
];

const NO_BINDINGS: ReadonlySet<Binding> = new Set<Binding>();

/** What the exchanges of a virtual host are made with. */
export interface ExchangesOptions {
  readonly engine: Engine;
  readonly hostName: string;
  readonly destinations: Destinations;
  readonly totals: Totals;
  /** Bindings there may be. */
  readonly maxBindings: number;
  readonly report: (sentence: string) => void;
}

/** Where a binding is to lead. */
export interface BindingEnd {
  readonly to: Exchange | TopicTarget;
  /** Unique among all there are. */
  readonly name: string;
  readonly owner: Queue | TopicFeed | undefined;
  /** How it is stored; undefined for what does not survive a restart. */
  readonly stored: StoredDestination | undefined;
}

/** The exchanges of one virtual host. Asks nobody's leave: that is the business of `ExchangeRequests`. */
export class Exchanges {
  private readonly options: ExchangesOptions;
  private readonly destinations: Destinations;
  private readonly records: ExchangeRecords;
  private readonly graph: Graph;
  private readonly byName = new Map<string, Exchange>();
  private readonly byOwner = new Map<Queue | TopicFeed, Set<Binding>>();
  private readonly space: Exchange;
  private bindingCount = 0;
  /** Where everything goes that names a queue which is not there. */
  private nowhere: Topic | undefined = undefined;

  constructor(options: ExchangesOptions) {
    this.options = options;
    this.destinations = options.destinations;
    this.records = new ExchangeRecords(options.engine, options.hostName, options.report);
    for (const [name, type] of PREDECLARED) {
      const flags = { durable: true, autoDelete: false, internal: false };
      this.byName.set(name, this.exchange({ name, type, ...flags, arguments: new Map() }, true));
    }
    this.space = this.get(TOPIC_EXCHANGE);
    this.graph = new Graph({
      space: this.space,
      destinations: options.destinations,
      find: (name) => this.byName.get(name),
      all: () => this.byName.values(),
    });
  }

  /** How many there are, but for those that are always there. */
  get count(): number {
    return this.byName.size - PREDECLARED.length;
  }

  /** All of them; their bindings are theirs to tell. */
  all(): Iterable<Exchange> {
    return this.byName.values();
  }

  find(name: string): Exchange | undefined {
    return this.byName.get(name);
  }

  /** Throws BrokerError("not-found") when there is no such exchange. */
  get(name: string): Exchange {
    const exchange = this.byName.get(name);
    if (exchange !== undefined) return exchange;
    throw new BrokerError("not-found", `no exchange '${name}' in vhost '${this.options.hostName}'`);
  }

  /** Makes again what the store has, once the queues are there. */
  recover(): void {
    for (const declaration of this.records.exchanges()) {
      if (!this.byName.has(declaration.name)) this.add(declaration);
    }
    for (const { source, destination, record, ...binding } of this.records.bindings()) {
      const exchange = this.byName.get(source);
      const found = this.stored(destination);
      // Of what was deleted while nobody could write it down, or is not configured as it was.
      if (exchange === undefined || found === undefined) this.records.removeBinding(record);
      else this.bind(exchange, found, { source, ...binding }, record);
    }
  }

  /** Forgets the ids of sends to an exchange that did not survive the restart. */
  recoverIds(name: string): void {
    if (!this.byName.has(name)) this.idsOf(name).forget();
  }

  /** Makes one that is not there. */
  declare(declaration: ExchangeDeclaration): void {
    this.add(declaration);
    if (declaration.durable) this.records.putExchange(declaration);
  }

  /** Takes back what a subscriber was bound to. */
  unsubscribe(feed: TopicFeed): void {
    for (const binding of this.byOwner.get(feed) ?? []) this.drop(binding);
  }

  /** The address for messages to an exchange with a key: the same object each time, as long as its way is known. */
  addressOf(exchange: string, key: string): Address {
    const address = exchangeAddress(exchange, key);
    if (address.kind !== "exchange") return this.destinations.find(address)?.address ?? address;
    return this.byName.get(exchange)?.ways.get(key)?.admission.address ?? address;
  }

  /** Where the broker's own sends go to an exchange with a key; undefined when it is not there. */
  wayOf(name: string, key: string): Admission | undefined {
    if (name === DEFAULT_EXCHANGE) return this.wayToQueue(exchangeAddress(name, key), key);
    if (name === TOPIC_EXCHANGE) return this.destinations.admission(exchangeAddress(name, key));
    const exchange = this.byName.get(name);
    return exchange && this.way(exchange, key);
  }

  /** Whether an exchange leads to a queue. */
  binds(queue: Queue): boolean {
    return this.byOwner.has(queue);
  }

  /** Whether a topic has a target by an exchange that amq.topic leads to. */
  leads(topic: Topic, target: TopicTarget): boolean {
    return this.graph.leads(topic, target);
  }

  /** A queue came: who was led nowhere for want of it looks again. */
  queueCame(): void {
    if (this.nowhere !== undefined) this.nowhere.deleted = true;
    this.nowhere = undefined;
  }

  /** A queue goes, and its bindings with it. */
  queueGone(queue: Queue): void {
    const bindings = this.byOwner.get(queue);
    if (bindings === undefined) return;
    const topics = Array.from(bindings).filter(({ source }) => source === this.space);
    this.destinations.topicBindings.unbind(
      this.destinations.targetOf(queue),
      topics.map(({ key }) => topicPattern(key)),
    );
    for (const binding of bindings) this.drop(binding, false);
  }

  /** A topic came: it gets what amq.topic leads to. */
  topicCame(topic: Topic): void {
    this.graph.wire(topic);
  }

  topicGone(topic: Topic): void {
    this.graph.unwire(topic);
  }

  /** Others get what the topics of a pattern get. */
  topicsChanged(pattern: Pattern): void {
    this.graph.spaceChanged(pattern);
  }

  private exchange(declaration: ExchangeDeclaration, predeclared: boolean): Exchange {
    return new Exchange(declaration, predeclared, this.idsOf(declaration.name));
  }

  private idsOf(name: string): DuplicateWindow {
    const { engine, hostName } = this.options;
    return new DuplicateWindow(
      engine,
      `${hostName}\0exchange ${escapeCanonical(name)}`,
      DEFAULT_POLICY.duplicateWindow,
    );
  }

  private add(declaration: ExchangeDeclaration): void {
    const exchange = this.exchange(declaration, false);
    this.byName.set(declaration.name, exchange);
    this.graph.noteAlternate(exchange, true);
    this.graph.changed(exchange, ALL_KEYS);
  }

  /** Deletes one that is there, with all its bindings. */
  remove(exchange: Exchange): void {
    const { name, declaration } = exchange;
    if (this.byName.get(name) !== exchange) return;
    this.byName.delete(name);
    this.graph.changed(exchange, ALL_KEYS);
    this.graph.noteAlternate(exchange, false);
    // What leads to it first: then nothing has to be found anew for what it led to.
    for (const binding of [...exchange.incoming, ...exchange.bindings.values()]) {
      this.drop(binding);
      if (binding.source === exchange && binding.owner instanceof TopicFeed) cancel(binding.owner, name);
    }
    exchange.ids.forget();
    this.options.totals.exchangeGone(exchange);
    if (declaration.durable) this.records.removeExchange(name);
  }

  private stored(destination: StoredDestination): BindingEnd | undefined {
    if ("exchange" in destination) {
      const exchange = this.byName.get(destination.exchange);
      return exchange && toExchange(exchange);
    }
    const address = new Address("queue", destination.queue);
    const queue = this.destinations.queues.get(address.name);
    return queue && this.toQueue(queue, address);
  }

  /** The end of a binding that leads to a queue. */
  toQueue(queue: Queue, { name, levels }: Address): BindingEnd {
    const stored = this.destinations.survives(queue) ? { queue: levels } : undefined;
    return { to: this.destinations.targetOf(queue), name: `queue ${name}`, owner: queue, stored };
  }

  /** Makes a binding, if it is not there; `record` is the number of the one that the store has of it. Throws BrokerError. */
  bind(source: Exchange, end: BindingEnd, declaration: BindingDeclaration, record = 0): void {
    const id = idOf(end, declaration);
    const there = source.bindings.get(id);
    if (there !== undefined) {
      this.remake(there, end, declaration);
      return;
    }
    const { to, owner, stored } = end;
    // What the store has is there, whatever is configured now.
    if (record === 0) this.checkBindings();
    const { key, arguments: given, maker } = declaration;
    const binding: Binding = { id, source, key, arguments: given, to, owner, record, maker, suspended: false };
    // Throws when it makes no sense: before anything else knows of it.
    this.connect(binding);
    source.bindings.set(id, binding);
    this.bindingCount++;
    if (owner !== undefined) note(this.byOwner, owner, binding);
    if (to instanceof Exchange) {
      to.incoming.add(binding);
      source.links++;
    }
    if (record === 0 && source.declaration.durable && stored !== undefined) {
      // Or an empty queue would not be there to be bound after a restart.
      if (owner instanceof Queue) owner.persist();
      binding.record = this.records.putBinding(declaration, stored);
    }
    this.changed(binding);
  }

  /** Has a binding lead nowhere, or where it leads again; it is known all the time. */
  suspend(binding: Binding, suspended: boolean): void {
    if (binding.suspended === suspended || binding.source.bindings.get(binding.id) !== binding) return;
    binding.suspended = suspended;
    if (suspended) this.disconnect(binding);
    else this.connect(binding);
    this.changed(binding);
  }

  /** The same of the alternate of an exchange. */
  suspendAlternate(exchange: Exchange, suspended: boolean): void {
    if (exchange.suspended === suspended) return;
    exchange.suspended = suspended;
    this.graph.changed(exchange, ALL_KEYS);
  }

  /** The bindings that lead to a queue. */
  bindingsTo(queue: Queue): ReadonlySet<Binding> {
    return this.byOwner.get(queue) ?? NO_BINDINGS;
  }

  /** Who may have a binding and makes it again has it from now on, if nobody has or it is the same user. */
  private remake(binding: Binding, { stored }: BindingEnd, declaration: BindingDeclaration): void {
    const { maker } = declaration;
    const before = binding.maker;
    if (maker === undefined || (before !== undefined && before.user !== maker.user && !binding.suspended)) return;
    binding.maker = maker;
    this.suspend(binding, false);
    if (binding.record === 0 || stored === undefined || (before !== undefined && isSameSubject(before, maker))) return;
    this.records.putBinding(declaration, stored, binding.record);
  }

  private connect(binding: Binding): void {
    const { source, to, key } = binding;
    if (source !== this.space || to instanceof Exchange) source.table.add(binding);
    else this.destinations.topicBindings.bind(to, [topicPattern(key)]);
  }

  private disconnect(binding: Binding): void {
    const { source, to } = binding;
    if (source !== this.space || to instanceof Exchange) source.table.remove(binding);
    else this.leaveTopics(binding, to);
  }

  /** Takes a binding back, if it is there. */
  unbind(source: Exchange, end: BindingEnd, declaration: BindingDeclaration): void {
    const binding = source.bindings.get(idOf(end, declaration));
    if (binding !== undefined) this.drop(binding);
  }

  /** `topicsToo`: it is still bound to topics. */
  private drop(binding: Binding, topicsToo = true): void {
    const { source, to, owner, record } = binding;
    if (!source.bindings.delete(binding.id)) return;
    this.bindingCount--;
    if (owner !== undefined) strike(this.byOwner, owner, binding);
    if (to instanceof Exchange) {
      to.incoming.delete(binding);
      source.links--;
    }
    const isOfTopics = source === this.space && !(to instanceof Exchange);
    if (!binding.suspended && (topicsToo || !isOfTopics)) this.disconnect(binding);
    this.changed(binding);
    if (record !== 0) this.records.removeBinding(record);
    if (owner instanceof Queue && !this.binds(owner)) this.destinations.noteIdle(owner);
    if (source.declaration.autoDelete && source.bindings.size === 0) this.remove(source);
  }

  /** Ways are found anew, but for what is bound to topics: these know it already. */
  private changed(binding: Binding): void {
    const { source, to } = binding;
    if (source === this.space && !(to instanceof Exchange)) return;
    this.graph.changed(source, source.table.scopeOf(binding));
  }

  /** A queue no longer gets the topics of a binding, but for those that it gets for another reason. */
  private leaveTopics({ key, owner }: Binding, target: TopicTarget): void {
    const pattern = topicPattern(key);
    const others = owner instanceof Queue ? [...this.destinations.topicsOf(owner)] : [];
    for (const other of (owner && this.byOwner.get(owner)) ?? []) {
      if (other.source === this.space && !other.suspended) others.push(topicPattern(other.key));
    }
    if (others.some(({ text }) => text === pattern.text)) return;
    this.destinations.topicBindings.unbind(target, [pattern], (topic) => others.some((other) => other.matches(topic)));
  }

  private checkBindings(): void {
    const { maxBindings, hostName } = this.options;
    if (this.bindingCount < maxBindings) return;
    throw new BrokerError(
      "limit",
      `Virtual host ${hostName} has ${this.bindingCount} bindings, the most it may have: ten for each of its ` +
        `destinations (hosts.${hostName}.max_destinations)`,
    );
  }

  /** The way of a key from an exchange, found now unless it is known. */
  way(exchange: Exchange, key: string, given?: Address): Admission {
    const known = exchange.ways.get(key);
    if (known !== undefined) return known.admission;
    const address = given ?? exchangeAddress(exchange.name, key);
    const topic = this.wayTopic(exchange, address);
    const crosses = this.graph.lead(topic, exchange, key);
    const admission = this.destinations.admissionOver(topic, address, exchange.ids);
    this.graph.keep(exchange, key, { admission, topic, crosses });
    return admission;
  }

  /** The way of several keys at once from an exchange, on which everybody is met once. */
  wayOfAll(exchange: Exchange, keys: readonly string[], address: Address): Admission {
    const topic = this.wayTopic(exchange, address);
    this.graph.leadAll(topic, exchange, keys);
    // Nobody tells it when a binding changes: it is looked up again for each message.
    topic.deleted = true;
    return this.destinations.admissionOver(topic, address, exchange.ids);
  }

  private wayTopic(exchange: Exchange, address: Address): Topic {
    const topic = new Topic(address, DEFAULT_POLICY, this.options.engine.clock.now(), { ledger: exchange.ledger });
    topic.unwanted = "unroutable";
    return topic;
  }

  /** The way to the queue that a key names; while there is none, to nowhere. */
  wayToQueue(address: Address, key: string): Admission {
    const queue = this.destinations.queues.get(address.name);
    if (queue !== undefined) return this.destinations.admissionOf(queue);
    const { ledger, ids } = this.get(DEFAULT_EXCHANGE);
    // What is for later looks for the queue when its time has come.
    const later = new Address("exchange", [DEFAULT_EXCHANGE, key]);
    if (this.nowhere === undefined) {
      this.nowhere = new Topic(later, DEFAULT_POLICY, this.options.engine.clock.now(), { ledger });
      this.nowhere.unwanted = "unroutable";
    }
    return this.destinations.admissionOver(this.nowhere, later, ids);
  }
}

/** The end of a binding that leads to another exchange. */
export function toExchange(exchange: Exchange): BindingEnd {
  const { name, declaration } = exchange;
  const stored = declaration.durable ? { exchange: name } : undefined;
  return { to: exchange, name: `exchange ${name}`, owner: undefined, stored };
}

function idOf({ name }: BindingEnd, { key, arguments: given }: BindingDeclaration): string {
  return `${name}\0${key}\0${argumentsText(given)}`;
}

/** Tells a subscriber of an exchange that it is gone, unless it is subscribed to other things as well. */
function cancel({ subscription }: TopicFeed, exchange: string): void {
  if (subscription.patterns.length === 1) subscription.cancel(`the exchange ${exchange} was deleted`);
}

function note<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, new Set([value]));
  else values.add(value);
}

function strike<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const values = map.get(key);
  if (values?.delete(value) === true && values.size === 0) map.delete(key);
}
