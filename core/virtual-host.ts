/*
 * A virtual host: a name space of queues, topics and durable subscriptions with its clients.
 *
 *     send       -> destination(address)  -> Queue, or Topic with its list of targets
 *     subscribe  -> patterns              -> queues there are, and a watch for those to come
 *                                         -> topics: one TopicFeed, bound to each pattern
 *
 * A topic's targets are kept up to date from both sides: a new topic asks the tree of bindings who wants it, a new
 * binding looks for the topics there are. So publishing never searches.
 */
import type { Access, Action } from "./access.ts";
import { Address } from "./address.ts";
import { Client, type ConnectOptions } from "./client.ts";
import { DurableSubscription } from "./durable-subscription.ts";
import type { Engine } from "./engine.ts";
import { BrokerError } from "./errors.ts";
import type { Message } from "./message.ts";
import type { Pattern } from "./pattern.ts";
import { DEFAULT_POLICY, Policies, type PolicyRule } from "./policy.ts";
import { Queue } from "./queue.ts";
import { RetainedMessages } from "./retained.ts";
import type { Destination } from "./route.ts";
import { AddressTree, PatternTree } from "./routing-tree.ts";
import type { Selector } from "./selector/selector.ts";
import { type SubscribeOptions, Subscription } from "./subscription.ts";
import { type QueueDescription, describeQueue } from "./queue-description.ts";
import { Topic, type TopicTarget } from "./topic.ts";
import { TopicFeed } from "./topic-feed.ts";

/** What an operator sets of a virtual host. */
export interface HostSettings {
  readonly name: string;
  /** Other names it answers to. */
  readonly aliases: readonly string[];
  readonly policies: readonly PolicyRule[];
  /** Whether sending or subscribing makes what is not there. */
  readonly autoCreate: boolean;
  /** Queues, topics and durable subscriptions it may have in all. */
  readonly maxDestinations: number;
  /** Bytes of messages one transaction may hold. */
  readonly transactionBytes: number;
}

/** What virtual hosts need of the broker that has them. */
export interface HostContext {
  readonly engine: Engine;
  readonly access: Access;
  /** The number of this start of the broker over its store, so that session names never come again. */
  readonly startNumber: number;
  /** Calls `client.durable` for every batch until it returns false. */
  awaitDurable(client: Client): void;
}

/** A name space of destinations with its clients. */
export class VirtualHost {
  readonly name: string;
  readonly settings: HostSettings;
  readonly queues = new Map<string, Queue>();
  readonly topics = new Map<string, Topic>();
  readonly durables = new Map<string, DurableSubscription>();
  readonly clients = new Set<Client>();
  readonly retained: RetainedMessages;
  private readonly context: HostContext;
  private readonly engine: Engine;
  private readonly policies: Policies;
  private readonly queueTree = new AddressTree<Queue>();
  private readonly topicTree = new AddressTree<Topic>();
  private readonly queueWatchers = new PatternTree<Subscription>();
  private readonly topicBindings = new PatternTree<TopicTarget>();
  private readonly temporaries = new Map<string, Client>();
  private readonly configured = new Set<string>();
  /** Destinations that may have become useless, looked at by the sweep. */
  private readonly idle = new Map<Destination, Address>();
  private clientCounter = 0;

  constructor(context: HostContext, settings: HostSettings) {
    this.context = context;
    this.engine = context.engine;
    this.settings = settings;
    this.name = settings.name;
    this.policies = new Policies(settings.policies);
    this.retained = new RetainedMessages(this.engine, this.name);
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

  /** Lets a session in. Throws BrokerError when it may not. */
  connect(options: ConnectOptions): Client {
    if (!this.context.access.allows(options.login, "connect", "virtual-host", this.name)) {
      throw new BrokerError(
        "not-authorized",
        `User ${options.login.user ?? "(none)"} may not connect to virtual host ${this.name}`,
      );
    }
    const id = `${this.name}-${this.context.startNumber.toString(36)}-${(++this.clientCounter).toString(16)}`;
    const client = new Client(id, this, this.engine, options, this.settings.transactionBytes);
    this.clients.add(client);
    return client;
  }

  /** The destination of an address, made if it may be. Throws BrokerError. */
  destination(address: Address, client: Client, action: Action): Destination {
    this.check(client, action, address.kind, address.name);
    const found = this.find(address);
    if (found !== undefined) return found;
    if (this.temporaries.get(`${address.kind} ${address.name}`) === undefined) {
      if (!this.settings.autoCreate) {
        throw new BrokerError(
          "not-found",
          `The ${address.kind} ${address.name} does not exist (auto_create_destinations is off)`,
        );
      }
      this.check(client, "create", address.kind, address.name);
      if (address.levels[0] === "temp" && address.levels.length > 1) {
        throw new BrokerError(
          "not-found",
          `The temporary ${address.kind} ${address.name} does not exist: its owner is gone`,
        );
      }
    }
    return this.create(address);
  }

  /** Attaches a consumer; see `Client.subscribe`. Throws BrokerError. */
  subscribe(client: Client, id: number, options: SubscribeOptions): Subscription {
    const subscription = new Subscription(id, client, options);
    if (options.attachDurable !== undefined) {
      this.check(client, "consume", "dsub", options.attachDurable);
      const durable = this.durables.get(options.attachDurable);
      if (durable === undefined)
        throw new BrokerError("not-found", `There is no durable subscription ${options.attachDurable}`);
      this.link(subscription, durable.queue, options.selector);
    } else if (options.durable !== undefined) {
      this.link(subscription, this.durable(options.durable, client, options).queue, undefined);
    } else {
      this.subscribePatterns(subscription, options);
    }
    client.subscriptions.add(subscription);
    this.engine.clock.endOfTurn(() => this.start(subscription, options));
    return subscription;
  }

  /** Detaches a consumer from everything; deliveries it holds come back with the outcome. */
  endSubscription(subscription: Subscription, outcome: "released" | "failed"): void {
    subscription.client.subscriptions.delete(subscription);
    for (const link of subscription.links) {
      link.queue.detach(link, outcome);
      this.noteIdle(link.queue);
    }
    subscription.links.length = 0;
    for (const pattern of subscription.patterns) {
      if (pattern.kind === "queue" && pattern.address === undefined) this.queueWatchers.remove(pattern, subscription);
    }
    const feed = subscription.feed;
    if (feed === undefined) return;
    this.unbind(feed, subscription.patterns);
    feed.close();
    feed.spillQueue?.delete();
  }

  /** Deletes a durable subscription with what it holds. Throws BrokerError. */
  deleteDurable(id: string, client: Client): void {
    this.check(client, "destroy", "dsub", id);
    const durable = this.durables.get(id);
    if (durable === undefined) throw new BrokerError("not-found", `There is no durable subscription ${id}`);
    this.unbind(durable, durable.patterns);
    this.durables.delete(id);
    this.cancelLinks(durable.queue, `the durable subscription ${id} was deleted`);
    durable.queue.delete();
  }

  /** Deletes a queue with what it holds; its consumers are told. */
  deleteQueue(address: Address): void {
    const queue = this.queues.get(address.name);
    if (queue === undefined) return;
    this.queues.delete(address.name);
    this.queueTree.delete(address);
    this.cancelLinks(queue, `the queue ${address.name} was deleted`);
    queue.delete();
    // Its consumers left it idle just now; by its name the sweep would find whatever comes to have that name.
    this.idle.delete(queue);
  }

  /** Calls `client.durable` for every batch until it returns false. */
  awaitDurable(client: Client): void {
    this.context.awaitDurable(client);
  }

  /** Throws BrokerError when there is no room. */
  addTemporary(address: Address, owner: Client): void {
    this.checkRoom();
    this.temporaries.set(`${address.kind} ${address.name}`, owner);
    if (this.find(address) === undefined) this.create(address);
  }

  removeTemporary(address: Address): void {
    this.temporaries.delete(`${address.kind} ${address.name}`);
    if (address.kind === "queue") this.deleteQueue(address);
    else this.deleteTopic(address);
  }

  disconnected(client: Client): void {
    this.clients.delete(client);
  }

  /** Builds a stored queue again; false when the description is not of this host or no longer means anything. */
  recover(description: QueueDescription, make: (queue: Queue) => void): boolean {
    if (description.kind === "temporary") return false;
    if (description.kind === "queue") {
      const address = new Address("queue", description.levels);
      make(this.createQueue(address));
      return true;
    }
    const { id, patterns, selector } = description;
    const queue = this.durableQueue(id, patterns, selector);
    make(queue);
    const durable = new DurableSubscription(id, queue, patterns, selector);
    this.durables.set(id, durable);
    this.bind(durable, patterns);
    return true;
  }

  /** Deletes what nobody has used for as long as its policy says. Costs what there is to look at. */
  sweep(): void {
    const now = this.engine.clock.now();
    for (const [destination, address] of this.idle) {
      if (destination instanceof Queue) this.sweepQueue(destination, address, now);
      else this.sweepTopic(destination, address, now);
    }
  }

  private start(subscription: Subscription, options: SubscribeOptions): void {
    if (subscription.closed) return;
    if (subscription.feed !== undefined && options.retained !== false) {
      const sources = this.retainedFor(options.patterns);
      if (sources.length > 0) subscription.feed.begin(sources);
    }
    subscription.start();
  }

  /** All of them or, when one is refused, none. */
  private subscribePatterns(subscription: Subscription, options: SubscribeOptions): void {
    for (const pattern of options.patterns) this.checkPattern(pattern, subscription.client);
    try {
      for (const pattern of options.patterns) {
        if (pattern.kind === "queue") this.subscribeQueue(subscription, pattern);
        else this.subscribeTopic(subscription, pattern, options);
      }
    } catch (refusal) {
      this.endSubscription(subscription, "released");
      throw refusal;
    }
  }

  private retainedFor(patterns: readonly Pattern[], except: readonly Pattern[] = []): (() => Message | undefined)[] {
    const sources: (() => Message | undefined)[] = [];
    const seen = new Set<string>();
    for (const pattern of patterns) {
      if (pattern.kind !== "topic" || this.retained.count === 0) continue;
      for (const address of this.retained.matching(pattern)) {
        if (seen.has(address.name)) continue;
        seen.add(address.name);
        if (except.some((other) => other.matches(address))) continue;
        sources.push(() => this.retained.get(address));
      }
    }
    return sources;
  }

  private checkPattern(pattern: Pattern, client: Client): void {
    this.check(client, pattern.kind === "queue" ? "consume" : "receive", pattern.kind, pattern.text);
    if (pattern.address === undefined) return;
    const owner = this.temporaries.get(`${pattern.kind} ${pattern.address.name}`);
    if (owner !== undefined && owner !== client) {
      throw new BrokerError(
        "not-authorized",
        `The temporary ${pattern.kind} ${pattern.address.name} belongs to another session`,
      );
    }
  }

  private subscribeQueue(subscription: Subscription, pattern: Pattern): void {
    if (pattern.address !== undefined) {
      const queue = this.destination(pattern.address, subscription.client, "consume");
      if (queue instanceof Queue) this.link(subscription, queue, subscription.selector);
      return;
    }
    this.queueWatchers.add(pattern, subscription);
    this.queueTree.matching(pattern, (queue) => this.linkWatched(subscription, queue));
  }

  private subscribeTopic(subscription: Subscription, pattern: Pattern, options: SubscribeOptions): void {
    subscription.feed ??= new TopicFeed(this.engine, subscription, options.noLocal === true, () =>
      this.spillQueue(subscription),
    );
    this.bind(subscription.feed, [pattern]);
  }

  /** A queue that one slow subscriber's messages go to. */
  private spillQueue(subscription: Subscription): Queue {
    const subject = `spill queue of subscriber ${subscription.client.id}/${subscription.id}`;
    const queue = this.temporaryQueue(subject);
    subscription.links.push(queue.attach(subscription, undefined));
    return queue;
  }

  private temporaryQueue(subject: string): Queue {
    const description = describeQueue({ kind: "temporary", host: this.name });
    return new Queue({ engine: this.engine, subject, description, policy: DEFAULT_POLICY, temporary: true });
  }

  private link(subscription: Subscription, queue: Queue, selector: Selector | undefined): void {
    subscription.links.push(queue.attach(subscription, selector));
  }

  private linkWatched(subscription: Subscription, queue: Queue): void {
    if (queue.deleted) return;
    // A single pattern meets each queue once; looking would take long when it matches very many.
    if (subscription.patterns.length > 1 && subscription.links.some((link) => link.queue === queue)) return;
    if (queue.address !== undefined && !this.mayConsume(subscription.client, queue.address)) return;
    this.link(subscription, queue, subscription.selector);
    queue.dispatch();
  }

  private durable(id: string, client: Client, options: SubscribeOptions): DurableSubscription {
    for (const pattern of options.patterns) {
      if (pattern.kind !== "topic") {
        throw new BrokerError(
          "bad-request",
          `A durable subscription is over topics; ${pattern.text} is a queue, which is durable by itself`,
        );
      }
      this.checkPattern(pattern, client);
    }
    this.check(client, "consume", "dsub", id);
    const found = this.durables.get(id);
    if (found !== undefined) {
      if (!found.isLike(options.patterns, options.selector)) this.changeDurable(found, options);
      return found;
    }
    this.check(client, "create", "dsub", id);
    this.checkRoom();
    const queue = this.durableQueue(id, options.patterns, options.selector);
    queue.persist();
    const durable = new DurableSubscription(id, queue, options.patterns, options.selector);
    this.durables.set(id, durable);
    this.bind(durable, options.patterns);
    this.offerRetained(durable, options, []);
    return durable;
  }

  /** Gives a durable subscription the retained messages of its topics, but for those that it had before. */
  private offerRetained(durable: DurableSubscription, options: SubscribeOptions, before: readonly Pattern[]): void {
    if (options.retained === false) return;
    for (const source of this.retainedFor(options.patterns, before)) {
      const message = source();
      if (message !== undefined) durable.offer(message, DEFAULT_POLICY, undefined);
    }
  }

  private durableQueue(id: string, patterns: readonly Pattern[], selector: Selector | undefined): Queue {
    const description = describeQueue({ kind: "durable", host: this.name, id, patterns, selector });
    return new Queue({
      engine: this.engine,
      subject: `durable subscription ${id}`,
      description,
      policy: DEFAULT_POLICY,
    });
  }

  private changeDurable(durable: DurableSubscription, options: SubscribeOptions): void {
    const before = durable.patterns;
    this.unbind(durable, before);
    durable.patterns = options.patterns;
    durable.selector = options.selector;
    const { patterns, selector } = options;
    durable.queue.describe(describeQueue({ kind: "durable", host: this.name, id: durable.id, patterns, selector }));
    this.bind(durable, patterns);
    this.offerRetained(durable, options, before);
  }

  private bind(target: TopicTarget, patterns: readonly Pattern[]): void {
    for (const pattern of patterns) {
      if (pattern.kind !== "topic") continue;
      this.topicBindings.add(pattern, target);
      this.topicTree.matching(pattern, (topic) => this.connectTarget(topic, target));
    }
  }

  private connectTarget(topic: Topic, target: TopicTarget): void {
    const client = target instanceof TopicFeed ? target.subscription.client : undefined;
    if (this.mayConsume(client, topic.address)) topic.add(target);
  }

  /** A temporary destination is for its owner alone; a wildcard of somebody else passes it by. */
  private mayConsume(client: Client | undefined, address: Address): boolean {
    const owner = this.temporaries.get(`${address.kind} ${address.name}`);
    return owner === undefined || owner === client;
  }

  private unbind(target: TopicTarget, patterns: readonly Pattern[]): void {
    for (const pattern of patterns) {
      if (pattern.kind !== "topic") continue;
      this.topicBindings.remove(pattern, target);
      this.topicTree.matching(pattern, (topic) => {
        topic.remove(target);
        if (topic.targets.length === 0) this.noteIdle(topic);
      });
    }
  }

  private find(address: Address): Destination | undefined {
    return address.kind === "queue" ? this.queues.get(address.name) : this.topics.get(address.name);
  }

  private create(address: Address): Destination {
    this.checkRoom();
    return this.make(address);
  }

  private make(address: Address): Destination {
    if (address.kind === "topic") return this.createTopic(address);
    const queue = this.createQueue(address);
    this.queueWatchers.match(address, (subscription) => this.linkWatched(subscription, queue));
    return queue;
  }

  private createQueue(address: Address): Queue {
    const policy = this.policies.of(address);
    const subject = `queue ${address.name}`;
    const temporary = this.temporaries.has(`queue ${address.name}`);
    const description = describeQueue(
      temporary ? { kind: "temporary", host: this.name } : { kind: "queue", host: this.name, levels: address.levels },
    );
    const queue = new Queue({ engine: this.engine, subject, description, policy, address, temporary });
    this.queues.set(address.name, queue);
    this.queueTree.set(address, queue);
    this.noteIdle(queue);
    return queue;
  }

  private createTopic(address: Address): Topic {
    const topic = new Topic(address, this.policies.of(address), this.engine.clock.now());
    this.topics.set(address.name, topic);
    this.topicTree.set(address, topic);
    this.topicBindings.match(address, (target) => this.connectTarget(topic, target));
    this.noteIdle(topic);
    return topic;
  }

  private deleteTopic(address: Address): void {
    const topic = this.topics.get(address.name);
    if (topic === undefined) return;
    topic.deleted = true;
    this.topics.delete(address.name);
    this.topicTree.delete(address);
    this.idle.delete(topic);
  }

  private cancelLinks(queue: Queue, reason: string): void {
    for (const link of Array.from(queue.links())) {
      // A consumer of several queues only loses this one.
      const others = link.subscription.links.filter((candidate) => candidate !== link);
      if (others.length === 0 && link.subscription.feed === undefined) {
        link.subscription.cancel(reason);
      } else {
        queue.detach(link, "released");
        link.subscription.links.splice(link.subscription.links.indexOf(link), 1);
      }
    }
  }

  private noteIdle(destination: Destination): void {
    const address = destination.address;
    if (address === undefined || destination.policy.autoDeleteAfterMs === 0) return;
    if (this.configured.has(`${address.kind} ${address.name}`)) return;
    this.idle.set(destination, address);
  }

  private sweepQueue(queue: Queue, address: Address, now: number): void {
    if (this.temporaries.has(`queue ${address.name}`) || queue.consumerCount > 0) {
      this.idle.delete(queue);
      return;
    }
    if (queue.count > 0) queue.lastUsed = now;
    else if (now - queue.lastUsed >= queue.policy.autoDeleteAfterMs) this.deleteQueue(address);
  }

  private sweepTopic(topic: Topic, address: Address, now: number): void {
    if (this.temporaries.has(`topic ${address.name}`) || topic.targets.length > 0) {
      this.idle.delete(topic);
      return;
    }
    if (topic.active) {
      topic.active = false;
      topic.lastUsed = now;
    } else if (now - topic.lastUsed >= topic.policy.autoDeleteAfterMs) {
      this.deleteTopic(address);
    }
  }

  private check(client: Client, action: Action, kind: "queue" | "topic" | "dsub", name: string): void {
    if (this.context.access.allows(client.login, action, kind, name)) return;
    throw new BrokerError("not-authorized", `User ${client.user ?? "(none)"} may not ${action} the ${kind} ${name}`);
  }

  private checkRoom(): void {
    const count = this.queues.size + this.topics.size + this.durables.size;
    if (count < this.settings.maxDestinations) return;
    throw new BrokerError(
      "limit",
      `Virtual host ${this.name} has ${count} destinations, the most it may have (hosts.${this.name}.max_destinations)`,
    );
  }
}
