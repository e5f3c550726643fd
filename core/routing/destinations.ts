/*
 * The queues and topics of a virtual host: found, made, deleted, and swept away when nobody uses them.
 *
 * Who gets what the topics get is in topic-bindings.ts. Queues and those who watch for new ones find each other in the
 * same way, from both sides.
 */
import { mayReceive } from "../access/access.ts";
import { Admission, type AdmissionContext, isTemporary } from "./admission.ts";
import { Address } from "../addresses/address.ts";
import type { Client } from "../client.ts";
import { unescape } from "../addresses/escape.ts";
import type { DeadLetterOffice } from "./dead-letters.ts";
import { Directory } from "./directory.ts";
import { type Divert, type DivertRule, Diverts } from "./divert.ts";
import { type DuplicateWindow, storedWindows } from "./duplicates.ts";
import type { Engine } from "../engine.ts";
import { BrokerError } from "../errors.ts";
import { Graves } from "./graves.ts";
import type { Exchanges } from "../exchanges/exchanges.ts";
import { Ledger } from "../ledger.ts";
import type { PausedQueues } from "../queue/paused.ts";
import { Pattern } from "../addresses/pattern.ts";
import { DEFAULT_POLICY, type Policies, type Policy } from "../policy.ts";
import { type DeclaredQueues, survives } from "./declared-queues.ts";
import { Queue } from "../queue/queue.ts";
import { ORDINARY, type QueueDescription } from "../queue/queue-description.ts";
import type { Destination } from "./route.ts";
import { AddressTree, PatternTree } from "../addresses/routing-tree.ts";
import type { Schedule } from "../schedule/schedule.ts";
import { canonical } from "../addresses/spelling.ts";
import type { Subscription } from "../subscription.ts";
import { isSystemTopic } from "../system-topics.ts";
import { Topic, type TopicTarget } from "../topic/topic.ts";
import { TopicBindings } from "./topic-bindings.ts";
import type { Totals } from "../totals.ts";
import { TopicFeed } from "../topic/topic-feed.ts";
import { QueueTarget, type VirtualTopicRule, VirtualTopics } from "./virtual-topic.ts";

/** How long ids of sends are remembered at least after their destination was used last: who missed a confirmation repeats. */
const IDS_KEPT_MS = 10 * 60 * 1000;
/** Destinations that the sweep looks at before others have their turn. */
const SWEPT_AT_ONCE = 2000;

/** What the destinations of a virtual host are made with. */
export interface DestinationsOptions {
  readonly engine: Engine;
  readonly hostName: string;
  readonly policies: Policies;
  readonly diverts: readonly DivertRule[];
  readonly virtualTopics: readonly VirtualTopicRule[];
  readonly deadLetters: DeadLetterOffice;
  readonly paused: PausedQueues;
  readonly schedule: Schedule;
  readonly declared: DeclaredQueues;
  /** The exchanges that lead to these destinations. */
  readonly exchanges: () => Exchanges;
  /** Throws BrokerError when no further destination may be made. */
  readonly checkRoom: () => void;
  /** Told what goes. */
  readonly totals: Totals;
  /** A queue came that somebody watches for. */
  readonly appeared: (queue: Queue, watcher: Subscription) => void;
}

/** A queue that gets what topics get, for as long as it exists. */
interface Binding {
  readonly target: QueueTarget;
  readonly patterns: readonly Pattern[];
}

/** The queues and topics of one virtual host. Asks nobody's leave: that is the virtual host's business. */
export class Destinations {
  readonly queues = new Directory<Queue>();
  readonly topics = new Directory<Topic>();
  /** The account of what was sent to temporary destinations whose owner is gone. */
  readonly unroutable = new Ledger();
  /** Who gets what the topics get. */
  readonly topicBindings: TopicBindings;
  /** The queues that dead letters came to. */
  readonly graves: Graves;
  private readonly options: DestinationsOptions;
  private readonly engine: Engine;
  private readonly policies: Policies;
  private readonly queueTree = new AddressTree<Queue>();
  private readonly queueWatchers = new PatternTree<Subscription>();
  private readonly temporaries = new Map<string, Client>();
  private readonly configured = new Set<string>();
  private readonly diverts: Diverts;
  private readonly virtualTopics: VirtualTopics;
  private readonly context: AdmissionContext;
  private readonly admissions = new Map<Destination, Admission>();
  private readonly bindings = new Map<Queue, Binding>();
  private readonly queueTargets = new Map<Queue, QueueTarget>();
  /** Destinations that may have become useless, looked at by the sweep. */
  private readonly idle = new Map<Destination, Address>();
  /** Those that the sweep has still to look at; undefined when it begins anew. */
  private sweeping: Iterator<[Destination, Address], undefined> | undefined = undefined;
  /** Where everything goes that is sent to temporary destinations that are not there. */
  private nowhere: Topic | undefined = undefined;

  constructor(options: DestinationsOptions) {
    this.options = options;
    this.engine = options.engine;
    this.graves = new Graves(options.engine, options.hostName, (queue) => this.survives(queue));
    this.policies = options.policies;
    this.topicBindings = new TopicBindings({
      clock: options.engine.clock,
      mayGet: (target, address) => this.mayGet(target, address),
      leads: (topic, target) => options.exchanges().leads(topic, target),
      changed: (pattern) => options.exchanges().topicsChanged(pattern),
      deserted: (topic) => this.noteIdle(topic),
    });
    this.diverts = new Diverts(options.diverts);
    this.virtualTopics = new VirtualTopics(options.virtualTopics);
    this.context = {
      engine: options.engine,
      hostName: options.hostName,
      schedule: options.schedule,
      hops: 0,
      burying: false,
      graves: this.graves,
      find: (address) => this.admission(address),
    };
  }

  /** Makes the destinations that the configuration names. After recovery. */
  createConfigured(): void {
    for (const kind of ["queue", "topic"] as const) {
      for (const address of this.policies.named(kind)) {
        this.configured.add(`${kind} ${address.name}`);
        const found = this.find(address);
        // Whatever else there is: the operator asked for this one, and the broker must start.
        if (found === undefined) this.make(address);
        else this.idle.delete(found);
      }
    }
  }

  /**
   * Makes destinations again, topics and empty queues, of which the store has ids of sends: so these are forgotten when
   * nobody uses them any more, and until then found. After recovery.
   */
  recoverIds(): void {
    const beginning = `${this.options.hostName}\0`;
    for (const key of storedWindows(this.engine.store, beginning)) {
      const cut = key.indexOf(" ", beginning.length);
      const kind = key.slice(beginning.length, cut);
      const name = key.slice(cut + 1);
      if (kind === "exchange") this.options.exchanges().recoverIds(unescape(name));
      else this.admission(canonical.parse(kind === "topic" ? "topic" : "queue", name)).remembersIds = true;
    }
  }

  find(address: Address): Destination | undefined {
    if (address.kind === "exchange") return this.wayOf(address)?.destination;
    return address.kind === "queue" ? this.queues.get(address.name) : this.topics.get(address.name);
  }

  /** Makes what is not there. Throws BrokerError when there is no room. */
  create(address: Address): Destination {
    if (address.kind === "exchange") throw new BrokerError("not-found", `There is no exchange ${address.levels[0]}`);
    this.options.checkRoom();
    return this.make(address);
  }

  /** The way into a destination, made if it is not there, whatever else there is: the operator wants it. */
  admission(address: Address): Admission {
    if (address.kind === "exchange") return this.wayOf(address) ?? this.wayNowhere(address);
    // Of system topics the broker alone speaks, and by another way.
    if (this.isAbandoned(address) || isSystemTopic(address)) return this.wayNowhere(address);
    return this.admissionOf(this.find(address) ?? this.make(address));
  }

  /** The way to where an exchange leads with a routing key; undefined when there is no such exchange, or queue. */
  exchangeAdmission(exchange: string, key: string): Admission | undefined {
    return this.options.exchanges().wayOf(exchange, key);
  }

  /** The way over a topic of its own, made for a key of an exchange, to everybody the key leads to. */
  admissionOver(topic: Topic, address: Address, ids: DuplicateWindow): Admission {
    const guards: Admission[] = [];
    for (const target of topic.targets) {
      if (target instanceof QueueTarget && target.admission.selective) guards.push(target.admission);
    }
    const { context } = this;
    return new Admission({ context, address, destination: topic, policy: topic.policy, diverts: [], ids, guards });
  }

  /** What gives a queue the messages of topics and exchanges: one for all of them, so that it gets each once. */
  targetOf(queue: Queue): QueueTarget {
    let target = this.queueTargets.get(queue);
    if (target === undefined) {
      target = new QueueTarget(this.admissionOf(queue));
      this.queueTargets.set(queue, target);
    }
    return target;
  }

  /** Whether a queue is there again after a restart. */
  survives({ address }: Queue): boolean {
    if (address === undefined || this.ownerOf(address) !== undefined) return false;
    const declaration = this.options.declared.of(address);
    return declaration === undefined || survives(declaration);
  }

  /** The topics a queue gets by its name or its policy. */
  topicsOf(queue: Queue): readonly Pattern[] {
    return this.bindings.get(queue)?.patterns ?? [];
  }

  /** Where else what is sent to an address goes by configuration. */
  divertsOf(address: Address): readonly Divert[] {
    return this.diverts.of(address);
  }

  /** The policy of a destination that may not be there. */
  policyOf(address: Address): Policy {
    return this.policies.of(address);
  }

  /** The way into a destination that is there. */
  admissionOf(destination: Destination): Admission {
    const admission = this.admissions.get(destination);
    if (admission === undefined) throw new RangeError(`There is no ${destination.subject} here`);
    return admission;
  }

  /** The way for what is sent to a temporary destination that is not there: dropped, and counted as unroutable. */
  wayNowhere(address: Address): Admission {
    const policy: Policy = { ...DEFAULT_POLICY, duplicateWindow: 0 };
    this.nowhere ??= new Topic(address, policy, this.engine.clock.now(), { ledger: this.unroutable });
    return new Admission({ context: this.context, address, destination: this.nowhere, policy, diverts: [] });
  }

  /** Whether this is a temporary destination whose owner is gone, or has not made it yet. */
  isAbandoned(address: Address): boolean {
    const [, client = ""] = address.levels;
    return (
      isTemporary(address) && client.startsWith(`${this.options.hostName}-`) && this.ownerOf(address) === undefined
    );
  }

  /** The topic that a queue of this name is a consumer of, if the topic is a virtual one. */
  virtualTopicOf(queue: Address): Address | undefined {
    return this.virtualTopics.topicOf(queue);
  }

  /** A queue that the store has, to be filled by the caller. */
  recover(levels: readonly string[]): Queue {
    const address = new Address("queue", levels);
    return this.queues.get(address.name) ?? this.createQueue(address);
  }

  /** Whose a temporary destination is; undefined for all others. */
  ownerOf(address: Address): Client | undefined {
    // Only queues may have one under any name; topics are asked about very often.
    if (address.kind === "topic" && address.levels[0] !== "temp") return undefined;
    return this.temporaries.get(`${address.kind} ${address.name}`);
  }

  /** A temporary destination is for its owner alone; a wildcard of somebody else passes it by. */
  mayConsume(client: Client | undefined, address: Address): boolean {
    const owner = this.ownerOf(address);
    return owner === undefined || owner === client;
  }

  /** Throws BrokerError when there is no room. */
  addTemporary(address: Address, owner: Client): void {
    this.options.checkRoom();
    this.temporaries.set(`${address.kind} ${address.name}`, owner);
    if (this.find(address) === undefined) this.make(address);
    // Whoever sent to it before it was there finds it now.
    if (this.nowhere !== undefined) this.nowhere.deleted = true;
    this.nowhere = undefined;
  }

  removeTemporary(address: Address): void {
    this.temporaries.delete(`${address.kind} ${address.name}`);
    if (address.kind === "queue") this.deleteQueue(address);
    else this.deleteTopic(address);
  }

  /** Deletes a queue with what it holds; its consumers are told. */
  deleteQueue(address: Address): void {
    const { declared } = this.options;
    const queue = this.queues.get(address.name);
    if (queue === undefined) return;
    this.queues.delete(address.name);
    this.queueTree.delete(address);
    this.options.exchanges().queueGone(queue);
    this.unbindQueue(queue);
    this.queueTargets.delete(queue);
    this.dropAdmission(queue);
    this.options.paused.forget("queue", address.name, queue);
    this.graves.forget(address);
    cancelConsumers(queue, `the queue ${address.name} was deleted`);
    queue.delete();
    // Last, as it is on account of being deleted that some of its messages are lost.
    this.options.totals.queueGone(queue);
    if (declared.of(address)?.exclusive === true) this.disown(address);
    declared.forget(address);
    // Its consumers left it idle just now; by its name the sweep would find whatever comes to have that name.
    this.idle.delete(queue);
  }

  /** An exclusive queue is gone: its name is free for others, who keep what they make of it. */
  private disown({ name }: Address): void {
    const key = `queue ${name}`;
    this.temporaries.get(key)?.exclusiveGone(name);
    this.temporaries.delete(key);
  }

  /** Shows the queues there are that match. */
  matching(pattern: Pattern, each: (queue: Queue) => void): void {
    this.queueTree.matching(pattern, each);
  }

  /** Shows a watcher the queues there are that match, and from now on each that comes. */
  watch(pattern: Pattern, watcher: Subscription): void {
    this.queueWatchers.add(pattern, watcher);
    this.matching(pattern, (queue) => this.options.appeared(queue, watcher));
  }

  /** Shows who would be shown a queue of this address if it came. */
  watchersOf(address: Address, each: (watcher: Subscription) => void): void {
    this.queueWatchers.match(address, each);
  }

  /** Whether a watcher is shown the queues of a pattern. */
  watches(pattern: Pattern, watcher: Subscription): boolean {
    return this.queueWatchers.has(pattern, watcher);
  }

  /** The queues there are that match, one by one as they are asked for; undefined when some were looked at in vain. */
  walk(pattern: Pattern): Generator<Queue | undefined, void, void> {
    return this.queueTree.walk(pattern);
  }

  unwatch(pattern: Pattern, watcher: Subscription): void {
    this.queueWatchers.remove(pattern, watcher);
  }

  /** Has the sweep look at a destination that somebody left. */
  noteIdle(destination: Destination): void {
    const address = destination.address;
    if (address === undefined || destination.policy.autoDeleteAfterMs === 0) return;
    if (this.configured.size > 0 && this.configured.has(`${address.kind} ${address.name}`)) return;
    if (destination instanceof Queue && this.isFed(destination)) return;
    this.idle.set(destination, address);
  }

  /**
   * Deletes what nobody has used for as long as its policy says. Costs what there is to look at; returns false when that is too
   * much for one turn, and some is left.
   */
  sweep(): boolean {
    const now = this.engine.clock.now();
    this.sweeping ??= this.idle.entries();
    for (let looked = 0; looked < SWEPT_AT_ONCE; looked++) {
      const { value, done } = this.sweeping.next();
      if (done === true) {
        this.sweeping = undefined;
        return true;
      }
      const [destination, address] = value;
      if (destination instanceof Queue) this.sweepQueue(destination, address, now);
      else this.sweepTopic(destination, address, now);
    }
    return false;
  }

  private make(address: Address): Destination {
    if (address.kind === "topic") return this.createTopic(address);
    const queue = this.createQueue(address);
    // What was sent to its topics while it did not exist is lost: so it exists even while it is empty.
    if (this.bindings.has(queue)) queue.persist();
    this.queueWatchers.match(address, (watcher) => this.options.appeared(queue, watcher));
    return queue;
  }

  private createQueue(address: Address): Queue {
    const { engine, options } = this;
    const declaration = options.declared.of(address);
    const policy = options.declared.policyOf(address) ?? this.policies.of(address);
    const subject = `queue ${address.name}`;
    const owned = this.ownerOf(address) !== undefined;
    const temporary = owned || (declaration !== undefined && !survives(declaration));
    const host = options.hostName;
    const description: QueueDescription = temporary
      ? { kind: "temporary", host }
      : { kind: "queue", host, priority: ORDINARY, levels: address.levels };
    const deadLetters = options.deadLetters.ofQueue(address);
    const queue = new Queue({ engine, subject, description, policy, address, temporary, deadLetters });
    this.admit(address, queue);
    this.queues.set(address.name, queue);
    this.queueTree.set(address, queue);
    if (!owned) this.bindQueue(address, queue);
    this.noteIdle(queue);
    options.exchanges().queueCame();
    return queue;
  }

  /** Whether a queue gets what topics or exchanges get: what came while it is not there would be lost. */
  private isFed(queue: Queue): boolean {
    return this.bindings.has(queue) || this.options.exchanges().binds(queue);
  }

  private wayOf({ levels: [exchange = "", key = ""] }: Address): Admission | undefined {
    return this.options.exchanges().wayOf(exchange, key);
  }

  private admit(address: Address, destination: Destination): void {
    const { context } = this;
    const { policy } = destination;
    const diverts = this.diverts.of(address);
    this.admissions.set(destination, new Admission({ context, address, destination, policy, diverts }));
  }

  private dropAdmission(destination: Destination): void {
    this.admissions.get(destination)?.forget();
    this.admissions.delete(destination);
  }

  private bindQueue(address: Address, queue: Queue): void {
    const topics: Address[] = [];
    if (queue.policy.mirrored) topics.push(new Address("topic", address.levels));
    const virtual = this.virtualTopicOf(address);
    if (virtual !== undefined) topics.push(virtual);
    if (topics.length === 0) return;
    const binding = { target: this.targetOf(queue), patterns: topics.map((topic) => Pattern.of(topic)) };
    this.bindings.set(queue, binding);
    this.topicBindings.bind(binding.target, binding.patterns);
  }

  private unbindQueue(queue: Queue): void {
    const binding = this.bindings.get(queue);
    if (binding === undefined) return;
    this.bindings.delete(queue);
    this.topicBindings.unbind(binding.target, binding.patterns);
  }

  private createTopic(address: Address): Topic {
    const { changes } = this.topicBindings;
    const topic = new Topic(address, this.policies.of(address), this.engine.clock.now(), { changes });
    this.admit(address, topic);
    this.topics.set(address.name, topic);
    this.topicBindings.add(topic);
    this.options.exchanges().topicCame(topic);
    if (topic.targets.length === 0) this.noteIdle(topic);
    return topic;
  }

  /** Deletes a topic, whoever is subscribed to it. */
  deleteTopic(address: Address): void {
    const topic = this.topics.get(address.name);
    if (topic === undefined) return;
    topic.deleted = true;
    this.dropAdmission(topic);
    this.topics.delete(address.name);
    this.options.totals.topicGone(topic);
    this.options.exchanges().topicGone(topic);
    this.topicBindings.delete(topic);
    this.idle.delete(topic);
  }

  private mayGet(target: TopicTarget, address: Address): boolean {
    const client = target instanceof TopicFeed ? target.subscription.client : undefined;
    return this.mayConsume(client, address) && mayReceive(target.reader, address);
  }

  /** How long a destination is kept that nobody uses. */
  private idleMs(destination: Destination): number {
    const { autoDeleteAfterMs } = destination.policy;
    return this.admissionOf(destination).remembersIds ? Math.max(autoDeleteAfterMs, IDS_KEPT_MS) : autoDeleteAfterMs;
  }

  private sweepQueue(queue: Queue, address: Address, now: number): void {
    const kept =
      this.ownerOf(address) !== undefined || this.options.declared.of(address) !== undefined || this.isFed(queue);
    if (kept || queue.consumerCount > 0) {
      this.idle.delete(queue);
      return;
    }
    if (queue.count > 0 || queue.browserCount > 0 || queue.paused) queue.lastUsed = now;
    else if (now - queue.lastUsed >= this.idleMs(queue)) this.deleteQueue(address);
  }

  private sweepTopic(topic: Topic, address: Address, now: number): void {
    if (topic.targets.length > 0 || this.ownerOf(address) !== undefined) {
      this.idle.delete(topic);
      return;
    }
    if (topic.active) {
      topic.active = false;
      topic.lastUsed = now;
      return;
    }
    const unused = now - topic.lastUsed;
    if (unused >= topic.policy.autoDeleteAfterMs && unused >= this.idleMs(topic)) this.deleteTopic(address);
  }
}

/** Takes a queue that goes from those who consume or browse it, and tells them why. */
export function cancelConsumers(queue: Queue, reason: string): void {
  for (const link of Array.from(queue.links())) {
    if (cancelled(link.subscription, reason)) continue;
    queue.detach(link, "released");
    link.subscription.links.splice(link.subscription.links.indexOf(link), 1);
  }
  for (const browser of Array.from(queue.allBrowsers())) {
    const { subscription } = browser;
    if (cancelled(subscription, reason)) continue;
    browser.close();
    subscription.browsers.splice(subscription.browsers.indexOf(browser), 1);
    subscription.browsed();
  }
}

/** Cancels a subscription to one thing; of several, or with a wildcard, it only loses one. */
function cancelled(subscription: Subscription, reason: string): boolean {
  const { links, browsers, feed, patterns } = subscription;
  if (links.length + browsers.length > 1 || feed !== undefined) return false;
  if (patterns.some(({ address }) => address === undefined)) return false;
  subscription.cancel(reason);
  return true;
}
