/*
 * A virtual host: a name space of queues, topics and durable subscriptions with its clients.
 *
 *     send       -> destination(address)  -> Queue, or Topic with its list of targets
 *     subscribe  -> attachments           -> Link to a queue, or TopicFeed
 *
 * Who may do what is decided here; what there is, in routing/destinations.ts, exchanges/ and topic/durable-subscriptions.ts.
 */
import { type Access, type Actor, type Subject, subjectOf } from "./access/access.ts";
import { Guard } from "./access/guard.ts";
import { Leads } from "./access/leads.ts";
import { AccessReview } from "./access/review.ts";
import type { Admission } from "./routing/admission.ts";
import type { Address } from "./addresses/address.ts";
import { Attachments, ofSessions } from "./routing/attachments.ts";
import { type AuditTrail, HostAudit } from "./audit.ts";
import { Client, type ConnectOptions } from "./client.ts";
import type { ClientLimits } from "./client-limits.ts";
import type { CronParser } from "./schedule/cron.ts";
import { Destinations } from "./routing/destinations.ts";
import { DeclaredQueues } from "./routing/declared-queues.ts";
import { DeadLetterOffice } from "./routing/dead-letters.ts";
import type { ReadonlyDirectory } from "./routing/directory.ts";
import type { DivertRule } from "./routing/divert.ts";
import type { DurableSubscription } from "./topic/durable-subscription.ts";
import { DurableSubscriptions } from "./topic/durable-subscriptions.ts";
import type { Engine } from "./engine.ts";
import { type Message, TRAIT } from "./message.ts";
import { explainSend, type SendExplanation } from "./explain.ts";
import { ExchangeRequests } from "./exchanges/exchange-requests.ts";
import { Exchanges } from "./exchanges/exchanges.ts";
import type { Grave } from "./routing/graves.ts";
import type { Ledger } from "./ledger.ts";
import { BrokerError } from "./errors.ts";
import { Operations } from "./operations/operations.ts";
import { PausedQueues } from "./queue/paused.ts";
import { type DurablePolicyRule, Policies, type PolicyRule } from "./policy.ts";
import { Queue } from "./queue/queue.ts";
import type { QueueDescription } from "./queue/queue-description.ts";
import { QueueRequests } from "./routing/queue-requests.ts";
import { RetainedMessages } from "./topic/retained.ts";
import { type Destination, Route } from "./routing/route.ts";
import { Schedule } from "./schedule/schedule.ts";
import { SessionRecords } from "./sessions/session-records.ts";
import { Sessions } from "./sessions/sessions.ts";
import { Shares } from "./sessions/shares.ts";
import { isSystemTopic } from "./system-topics.ts";
import type { Topic } from "./topic/topic.ts";
import { Totals } from "./totals.ts";
import { DEFAULT_VIRTUAL_TOPICS, type VirtualTopicRule } from "./routing/virtual-topic.ts";
import { type Will, Wills } from "./sessions/wills.ts";

/** What an operator sets of a virtual host. */
export interface HostSettings {
  readonly name: string;
  /** Other names it answers to. */
  readonly aliases: readonly string[];
  /** Its name, when it has security of its own; see `Login.realm`. */
  readonly realm?: string | undefined;
  readonly policies: readonly PolicyRule[];
  readonly durablePolicies?: readonly DurablePolicyRule[];
  readonly diverts?: readonly DivertRule[];
  /** If absent, as in ActiveMQ: `DEFAULT_VIRTUAL_TOPICS`. */
  readonly virtualTopics?: readonly VirtualTopicRule[];
  /** Messages a second that came due while the broker was down, and how many messages may wait for their time. */
  readonly schedule?: { readonly catchUpPerSecond: number; readonly maxMessages: number };
  /** Whether sending or subscribing makes what is not there. */
  readonly autoCreate: boolean;
  /** Queues, topics and durable subscriptions it may have in all. */
  readonly maxDestinations: number;
  /** Bytes of messages one transaction may hold. */
  readonly transactionBytes: number;
}

/** Of hosts whose settings say nothing. */
const DEFAULT_SCHEDULE = { catchUpPerSecond: 1000, maxMessages: 0 } as const;

/** Of all destinations there may be. */
const BINDINGS_PER_DESTINATION = 10;

/** What virtual hosts need of the broker that has them. */
export interface HostContext {
  readonly engine: Engine;
  readonly access: Access;
  readonly audit: AuditTrail;
  readonly limits: ClientLimits | undefined;
  /** The number of this start of the broker over its store, so that session names never come again. */
  readonly startNumber: number;
  readonly cron: CronParser | undefined;
  /** Something worth telling an operator, in one sentence. */
  readonly report: (sentence: string) => void;
  /** Calls `client.durable` for every batch until it returns false; it waits for this one. */
  awaitDurable(client: Client, batch: number): void;
}

/** A name space of destinations with its clients. */
export class VirtualHost {
  readonly name: string;
  readonly settings: HostSettings;
  readonly clients = new Set<Client>();
  readonly retained: RetainedMessages;
  /** What is to be delivered later. */
  readonly schedule: Schedule;
  /** What an operator does to many messages at once. */
  readonly operations: Operations;
  /** What outlives connections. */
  readonly sessions: Sessions;
  readonly wills: Wills;
  /** What leads messages on by their keys and headers. */
  readonly exchanges: Exchanges;
  /** What clients ask of exchanges. */
  readonly exchangeRequests: ExchangeRequests;
  /** What it has done so far. */
  readonly totals: Totals;
  readonly audit: HostAudit;
  /** Who may do what. */
  readonly guard: Guard;
  /** Ends what is not allowed any more. */
  readonly review: AccessReview;
  private readonly context: HostContext;
  private readonly engine: Engine;
  private readonly paused: PausedQueues;
  /** What clients ask of queues by their names. */
  readonly requests: QueueRequests;
  /** How consumers are attached to what there is. */
  readonly attachments: Attachments;
  private readonly declared: DeclaredQueues;
  /** What leads messages on by somebody's rights. */
  private readonly leads: Leads;
  private readonly destinations: Destinations;
  private readonly durableSubscriptions: DurableSubscriptions;
  private clientCounter = 0;

  constructor(context: HostContext, settings: HostSettings) {
    const { engine } = context;
    const { name } = settings;
    this.context = context;
    this.engine = engine;
    this.settings = settings;
    this.name = name;
    this.audit = new HostAudit(context.audit, engine.clock, name);
    this.guard = new Guard(context.access, this.audit, settings);
    const { guard } = this;
    this.retained = new RetainedMessages(engine, name, (topic) => this.destinations.ownerOf(topic)?.permissions);
    this.totals = new Totals(this);
    const { totals } = this;
    const policies = new Policies(settings.policies, settings.durablePolicies);
    const deadLetters = new DeadLetterOffice({
      clock: engine.clock,
      policies,
      admission: (address) => this.destinations.admission(address),
      exchange: (exchange, key) => this.destinations.exchangeAdmission(exchange, key),
      leads: (queue) => this.declared.leads(queue),
    });
    this.schedule = new Schedule({
      engine,
      hostName: name,
      cron: context.cron,
      ...(settings.schedule ?? DEFAULT_SCHEDULE),
      deliver: (address, message) => this.deliver(address, message),
    });
    this.paused = new PausedQueues(engine, name);
    const { paused } = this;
    this.declared = new DeclaredQueues({ engine, hostName: name, policies, report: context.report });
    const { declared } = this;
    this.destinations = new Destinations({
      engine,
      hostName: name,
      policies,
      declared,
      exchanges: () => this.exchanges,
      deadLetters,
      paused,
      schedule: this.schedule,
      totals,
      diverts: settings.diverts ?? [],
      virtualTopics: settings.virtualTopics ?? DEFAULT_VIRTUAL_TOPICS,
      checkRoom: () => this.checkRoom(),
      appeared: (queue, watcher) => this.attachments.linkWatched(watcher, queue),
    });
    const { destinations, retained } = this;
    this.requests = new QueueRequests({
      hostName: name,
      declared,
      destinations,
      check: (client, action, kind, what, whole) => guard.check(client, action, kind, what, whole),
      checkSight: (client, what) => guard.checkSight(client, "queue", what),
    });
    this.exchanges = new Exchanges({
      engine,
      hostName: name,
      destinations,
      totals,
      maxBindings: settings.maxDestinations * BINDINGS_PER_DESTINATION,
      report: context.report,
    });
    this.exchangeRequests = new ExchangeRequests({
      hostName: name,
      exchanges: this.exchanges,
      checkRoom: () => this.checkRoom(),
      check: (actor, action, kind, what, whole) => guard.check(actor, action, kind, what, whole),
      queueFor: (client, address) => this.requests.find(client, address),
      admission: (address, actor) => this.admission(address, actor),
    });
    this.durableSubscriptions = new DurableSubscriptions({
      engine,
      hostName: name,
      policies,
      deadLetters,
      paused,
      destinations,
      retained,
      totals,
      permissions: (subject) => guard.permissions(subject),
    });
    this.attachments = new Attachments({
      engine,
      hostName: name,
      destinations,
      declared,
      exchanges: this.exchanges,
      exchangeRequests: this.exchangeRequests,
      durableSubscriptions: this.durableSubscriptions,
      retained,
      totals,
      check: (client, action, kind, what, whole) => guard.check(client, action, kind, what, whole),
      checkRoom: () => this.checkRoom(),
      destination: (address, client) => this.destination(address, client),
      durableOf: (id) => this.durableOf(id),
    });
    this.wills = new Wills({ engine, hostName: name, publish: (will, subject) => this.publishWill(will, subject) });
    this.sessions = this.makeSessions();
    this.leads = new Leads({
      hostName: name,
      exchanges: this.exchanges,
      declared,
      destinations,
      permissions: (subject) => guard.permissions(subject),
      report: context.report,
    });
    this.review = new AccessReview({
      clock: engine.clock,
      leads: this.leads,
      clients: this.clients,
      durableSubscriptions: this.durableSubscriptions,
      destinations,
      attachments: this.attachments,
      checkConnecting: (client) => guard.checkConnecting(client),
    });
    this.operations = new Operations({
      engine,
      durables: this.durables,
      find: (address) => destinations.find(address),
      create: (address) => this.createForOperator(address),
    });
  }

  /** The queues there are, by name; temporary ones included. */
  get queues(): ReadonlyDirectory<Queue> {
    return this.destinations.queues;
  }

  /** The queues that dead letters ever came to, by name. */
  get graves(): ReadonlyDirectory<Grave> {
    return this.destinations.graves.byName;
  }

  /** The topics there are, by name; temporary ones included. */
  get topics(): ReadonlyDirectory<Topic> {
    return this.destinations.topics;
  }

  /** The durable subscriptions there are, by id. */
  get durables(): ReadonlyDirectory<DurableSubscription> {
    return this.durableSubscriptions.byId;
  }

  /** The account of what was sent to temporary destinations whose owner is gone. */
  get unroutable(): Ledger {
    return this.destinations.unroutable;
  }

  /** Makes what the configuration names and begins to deliver what is due. After recovery. */
  open(): void {
    this.destinations.createConfigured();
    this.declared.recover(this.destinations, (address) => this.destinations.admission(address));
    this.exchanges.recover();
    this.leads.recover();
    this.destinations.recoverIds();
    this.sessions.recover();
    this.wills.recover((id) => this.sessions.leftMs(id));
    this.paused.recover((kind, name) => (kind === "queue" ? this.queues.get(name) : this.durables.get(name)?.queue));
    this.destinations.graves.recover((name) => this.queues.get(name));
    this.schedule.open();
  }

  /** Nothing comes due any more. Clients must have gone. */
  close(): void {
    this.review.close();
    this.sessions.close();
    this.wills.close();
    this.schedule.close();
  }

  /** Lets a session in. Throws BrokerError when it may not. */
  connect(options: ConnectOptions): Client {
    const { login, peer, clientId } = options;
    const permissions = this.guard.permissions(subjectOf(login, peer, clientId));
    this.guard.checkConnecting({ login, permissions, peer });
    const id = `${this.name}-${this.context.startNumber.toString(36)}-${(++this.clientCounter).toString(16)}`;
    const client = new Client(id, this, this.engine, {
      ...options,
      permissions,
      transactionBytes: this.settings.transactionBytes,
    });
    try {
      this.context.limits?.admit(client);
    } catch (refusal) {
      client.close();
      if (refusal instanceof BrokerError) {
        this.audit.refused(options, "connect", "virtual-host", this.name, refusal.message);
      }
      throw refusal;
    }
    this.clients.add(client);
    this.totals.came(client);
    return client;
  }

  /** Where sends of a client to an address go; makes what may be made. Throws BrokerError. */
  admission(address: Address, client: Actor): Admission {
    if (address.kind === "exchange") return this.exchangeRequests.admission(address, client);
    this.guard.check(client, "send", address.kind, address.name);
    if (isSystemTopic(address)) {
      throw new BrokerError(
        "not-authorized",
        `Only the broker itself may send to ${address.name}: it is a system topic`,
      );
    }
    // A server that answers a client that has left must not be punished for it.
    if (this.destinations.isAbandoned(address)) return this.destinations.wayNowhere(address);
    return this.destinations.admissionOf(this.destination(address, client));
  }

  /** What would become of a message that somebody sends; nothing is sent. */
  explainSend(address: Address, subject: Subject, message: Message): SendExplanation {
    const { engine, destinations, exchanges, declared, settings } = this;
    const room = settings.maxDestinations - this.size;
    const permissions = this.guard.permissions(subject);
    const places = { engine, destinations, exchanges, declared };
    return explainSend({ ...places, permissions, autoCreate: settings.autoCreate, room }, address, message);
  }

  /** Calls back in a turn soon. */
  later(task: () => void): void {
    this.engine.clock.after(1, task);
  }

  /** Deletes a durable subscription with what it holds. Throws BrokerError. */
  deleteDurable(id: string, client: Client): void {
    this.guard.check(client, "destroy", "dsub", id);
    const durable = this.durableOf(id);
    if (durable.kind === "share") throw ofSessions(durable);
    if (durable.kind === "session") this.sessions.remove(id);
    else this.durableSubscriptions.delete(durable);
    this.audit.done(client, "delete", "dsub", id);
  }

  /** A consumer has left a durable subscription that may be volatile: it goes with the last one. */
  endVolatile(id: string): void {
    const durable = this.durables.get(id);
    if (durable?.volatile !== true || durable.queue.audiences.length > 0) return;
    this.durableSubscriptions.delete(durable);
  }

  /** Deletes a queue with what it holds; its consumers are told. */
  deleteQueue(address: Address): void {
    this.destinations.deleteQueue(address);
  }

  /** Makes a topic, for an operator, unless it is there. Throws BrokerError. */
  createTopic(address: Address): void {
    if (!this.topics.has(address.name)) this.createForOperator(address);
  }

  /** Deletes a topic that nobody is subscribed to; whoever sends to it makes it again. Throws BrokerError "in-use". */
  deleteTopic(address: Address): void {
    const count = this.topics.get(address.name)?.targets.length ?? 0;
    if (count > 0) throw new BrokerError("in-use", `The topic ${address.name} has ${count} subscribers`);
    this.destinations.deleteTopic(address);
  }

  /** Has a queue deliver nothing until it is resumed, over restarts too. Throws BrokerError when there is none. */
  pauseQueue(address: Address): void {
    this.paused.pause("queue", address.name, this.queueOf(address));
  }

  /** Throws BrokerError when there is no such queue. */
  resumeQueue(address: Address): void {
    this.paused.resume("queue", address.name, this.queueOf(address));
  }

  /** Has a durable subscription deliver nothing until it is resumed. Throws BrokerError when there is none. */
  pauseDurable(id: string): void {
    this.paused.pause("dsub", id, this.durableOf(id).queue);
  }

  /** Throws BrokerError when there is no such durable subscription. */
  resumeDurable(id: string): void {
    this.paused.resume("dsub", id, this.durableOf(id).queue);
  }

  /** Calls `client.durable` for every batch until it returns false; it waits for this one. */
  awaitDurable(client: Client, batch: number): void {
    this.context.awaitDurable(client, batch);
  }

  /** Throws BrokerError when there is no room. */
  addTemporary(address: Address, owner: Client): void {
    this.guard.check(owner, "create", address.kind, address.name);
    this.destinations.addTemporary(address, owner);
  }

  removeTemporary(address: Address): void {
    this.destinations.removeTemporary(address);
    if (address.kind === "topic") this.retained.set(address, undefined);
  }

  /** Sets the retained message of a topic, or with undefined removes it; a temporary topic that is gone has none. */
  retain(address: Address, message: Message | undefined): void {
    if (!this.destinations.isAbandoned(address)) this.retained.set(address, message);
  }

  /** Says something of the broker on a system topic, which keeps it, in memory, for those who come later. */
  announce(message: Message): void {
    this.retained.announce(message);
    this.destinations.topicBindings.announce(message);
  }

  disconnected(client: Client): void {
    if (!this.clients.delete(client)) return;
    this.context.limits?.release(client);
    this.totals.clientGone(client);
  }

  /** Builds a stored queue again; false when the description is not of this host or no longer means anything. */
  recover(description: QueueDescription, make: (queue: Queue) => void): boolean {
    if (description.kind === "temporary") return false;
    if (description.kind === "queue") make(this.destinations.recover(description.levels));
    else this.durableSubscriptions.recover(description, make);
    return true;
  }

  /** Takes over a retained message that the store has. */
  recoverRetained(address: Address, bytes: number): void {
    this.retained.recover(address, bytes);
    // The broker ended before its owner could.
    if (this.destinations.isAbandoned(address)) this.retained.set(address, undefined);
  }

  /** Deletes what nobody has used for as long as its policy says; returns false when some is left to be looked at. */
  sweep(): boolean {
    const done = this.destinations.sweep();
    this.declared.sweep(this.destinations);
    return done;
  }

  /** Publishes a message that is due; false when there is no room for it. */
  private deliver(address: Address, message: Message): boolean {
    const admission = this.destinations.admission(address);
    if (!admission.hasRoom(message)) return false;
    if ((message.traits & TRAIT.retaining) === 0) {
      admission.enter(message, undefined);
      return true;
    }
    const ordinary = message.with({ traits: message.traits & ~TRAIT.retaining });
    admission.enter(ordinary, undefined);
    if (address.kind === "topic") this.retain(address, message.bodyStart < message.bodyEnd ? ordinary : undefined);
    return true;
  }

  private queueOf({ name }: Address): Queue {
    const queue = this.queues.get(name);
    if (queue === undefined) throw new BrokerError("not-found", `There is no queue ${name}`);
    return queue;
  }

  private durableOf(id: string): DurableSubscription {
    const durable = this.durables.get(id);
    if (durable === undefined) throw new BrokerError("not-found", `There is no durable subscription ${id}`);
    return durable;
  }

  /** What is there or may be made by this client. Throws BrokerError. */
  private destination(address: Address, client: Actor): Destination {
    const found = this.destinations.find(address);
    if (found !== undefined) return found;
    if (this.destinations.ownerOf(address) === undefined) this.checkCreation(address, client);
    return this.destinations.create(address);
  }

  /** Throws BrokerError when it may not be made. */
  private createForOperator(address: Address): Destination {
    if (!this.destinations.isAbandoned(address)) return this.destinations.create(address);
    throw new BrokerError("not-found", `The owner of the temporary ${address.kind} ${address.name} is gone`);
  }

  private checkCreation(address: Address, client: Actor): void {
    if (this.destinations.isAbandoned(address)) {
      throw new BrokerError(
        "not-found",
        `The temporary ${address.kind} ${address.name} does not exist: its owner is gone`,
      );
    }
    if (!this.settings.autoCreate) {
      throw new BrokerError(
        "not-found",
        `The ${address.kind} ${address.name} does not exist (auto_create_destinations is off)`,
      );
    }
    this.guard.check(client, "create", address.kind, address.name);
    if (address.kind !== "queue") return;
    const topic = this.destinations.virtualTopicOf(address);
    if (topic !== undefined) this.guard.check(client, "receive", "topic", topic.name);
  }

  private makeSessions(): Sessions {
    const { engine, name, destinations, durableSubscriptions: durables, retained, wills } = this;
    const checkRoom = (): void => this.checkRoom();
    return new Sessions({
      engine,
      hostName: name,
      destinations,
      durables,
      retained,
      wills,
      records: new SessionRecords(engine, name),
      shares: new Shares({ hostName: name, destinations, durables, checkRoom }),
      checkRoom,
      checkUse: (client, id, isNew) => {
        this.guard.check(client, "consume", "dsub", id);
        if (isNew) this.guard.check(client, "create", "dsub", id);
      },
      checkPattern: (client, pattern, whole) =>
        this.attachments.checkPattern(pattern, { client, browse: undefined }, whole),
      permissions: (subject) => this.guard.permissions(subject),
      sift: (subscription) => this.attachments.sift(subscription),
      attach: (subscription, pattern) => this.attachments.attachQueues(subscription, pattern),
      link: (subscription, queue) => this.attachments.link(subscription, queue, undefined),
      spillQueue: (subscription) => this.attachments.spillQueue(subscription),
    });
  }

  private publishWill({ address, message, retain }: Will, subject: Subject): boolean {
    const actor = { login: subject, permissions: this.guard.permissions(subject) };
    try {
      const route = new Route([address], (to) => this.admission(to, actor));
      route.publish(message, undefined);
      if (retain !== undefined && address.kind === "topic") {
        this.retain(address, retain === "set" ? message : undefined);
      }
      return true;
    } catch (refusal) {
      if (!(refusal instanceof BrokerError)) throw refusal;
      return false;
    }
  }

  /** Of destinations, as they are limited. */
  private get size(): number {
    return this.queues.size + this.topics.size + this.durables.size + this.exchanges.count;
  }

  private checkRoom(): void {
    const count = this.size;
    if (count < this.settings.maxDestinations) return;
    throw new BrokerError(
      "limit",
      `Virtual host ${this.name} has ${count} destinations, the most it may have (hosts.${this.name}.max_destinations)`,
    );
  }
}
