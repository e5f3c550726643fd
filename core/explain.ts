/*
 * What would become of a send, without one: nothing is made, counted or handed over. It goes the way that a message goes,
 *
 *     right to send -> destination, or the right to make it -> bounds and room -> diverts -> readers
 *
 * and says at each step what would decide. Queues that a message would come to are followed one step: to their consumers.
 */
import { type Action, type Decision, explainDecision, type Permissions, type ResourceKind } from "./access/access.ts";
import type { Address } from "./addresses/address.ts";
import type { Engine } from "./engine.ts";
import type { Exchange } from "./exchanges/exchange.ts";
import type { Exchanges } from "./exchanges/exchanges.ts";
import type { Message } from "./message.ts";
import { Queue } from "./queue/queue.ts";
import { isTemporary } from "./routing/admission.ts";
import { Bounds } from "./routing/bounds.ts";
import type { Destinations } from "./routing/destinations.ts";
import type { Destination } from "./routing/route.ts";
import { QueueTarget } from "./routing/virtual-topic.ts";
import type { Subscription } from "./subscription.ts";
import { isSystemTopic } from "./system-topics.ts";
import { DurableSubscription } from "./topic/durable-subscription.ts";
import { TopicFeed } from "./topic/topic-feed.ts";
import { Topic, type TopicTarget } from "./topic/topic.ts";

/** Readers that are told of one by one. */
const MOST_READERS = 100;

/** Somebody, or a queue, that would get the message, or would not for its selector. */
export interface ExplainedReader {
  readonly kind: "consumer" | "subscription" | "durable" | "queue" | "exchange";
  /** The connection's id, the durable subscription's, or the canonical name of the queue. */
  readonly id: string;
  /** What leads there: the destination, or exchanges with their keys. */
  readonly via: string;
  readonly subscription: Subscription | undefined;
  readonly selector: string | undefined;
  readonly matches: boolean;
}

/** What would become of a message at one address. */
export interface SendExplanation {
  readonly address: Address;
  readonly exists: boolean;
  /** Each right that it takes, in one sentence. */
  readonly rights: readonly { readonly allowed: boolean; readonly rule: string | undefined; readonly text: string }[];
  /** Why the sender would be refused. */
  readonly refusals: readonly string[];
  /** What would happen besides: the sender waits, its time to live is another, a divert takes it. */
  readonly notes: readonly string[];
  readonly expiresAt: number;
  readonly readers: readonly ExplainedReader[];
}

/** Where to look. */
export interface ExplainOptions {
  readonly engine: Engine;
  readonly destinations: Destinations;
  readonly exchanges: Exchanges;
  readonly permissions: Permissions;
  readonly autoCreate: boolean;
  /** Destinations there may be still. */
  readonly room: number;
}

/** Explains what would become of a message that somebody sends to an address. */
export function explainSend(options: ExplainOptions, address: Address, message: Message): SendExplanation {
  return new Explainer(options, message).explain(address);
}

class Explainer {
  private readonly options: ExplainOptions;
  private readonly message: Message;
  private readonly rights: { allowed: boolean; rule: string | undefined; text: string }[] = [];
  private readonly refusals: string[] = [];
  private readonly notes: string[] = [];
  private readonly readers: ExplainedReader[] = [];
  private more = 0;

  constructor(options: ExplainOptions, message: Message) {
    this.options = options;
    this.message = message;
  }

  explain(address: Address): SendExplanation {
    const exchange = address.kind === "exchange" ? this.exchangeOf(address) : undefined;
    const destination = address.kind === "exchange" ? undefined : this.options.destinations.find(address);
    this.ask("send", address.kind, exchange?.name ?? address.name);
    if (isSystemTopic(address))
      this.refusals.push(`Only the broker itself may send to ${address.name}: it is a system topic`);
    const expiresAt = address.kind === "exchange" ? this.message.expiresAt : this.bounded(address, destination);
    if (address.kind === "exchange") {
      if (exchange !== undefined) this.followExchange(exchange, address.levels[1] ?? "", new Set());
    } else {
      if (destination === undefined) this.creation(address);
      this.diverts(address);
      this.follow(address, destination);
    }
    const { closedGate } = this.options.engine;
    if (closedGate !== undefined) this.notes.push(`The sender would wait: ${closedGate.subject}`);
    if (this.more > 0) this.notes.push(`${this.more} further readers are left out here`);
    const exists = exchange !== undefined || destination !== undefined;
    const { rights, refusals, notes, readers } = this;
    return { address, exists, rights, refusals, notes, expiresAt, readers };
  }

  private ask(action: Action, kind: ResourceKind, name: string): void {
    const { permissions } = this.options;
    const decision: Decision = permissions.decide(action, kind, name);
    const text = explainDecision(permissions.subject, action, { kind, name }, decision);
    this.rights.push({ allowed: decision.allowed, rule: decision.rule, text });
    if (!decision.allowed) this.refusals.push(text);
  }

  private exchangeOf({ levels }: Address): Exchange | undefined {
    const [name = ""] = levels;
    const exchange = this.options.exchanges.find(name);
    if (exchange === undefined) this.refusals.push(`There is no exchange ${name}`);
    else if (exchange.declaration.internal)
      this.refusals.push(`The exchange ${name} is internal: only others lead to it`);
    return exchange;
  }

  private creation(address: Address): void {
    const what = `The ${address.kind} ${address.name}`;
    if (isTemporary(address))
      this.notes.push(`${what} is a temporary one that is not there: the message would be dropped`);
    else if (!this.options.autoCreate) {
      this.refusals.push(`${what} does not exist (auto_create_destinations is off)`);
    } else {
      this.ask("create", address.kind, address.name);
      if (this.options.room <= 0)
        this.refusals.push(`${what} cannot be made: there are as many as there may be (max_destinations)`);
      else this.notes.push(`${what} is not there yet and would be made`);
    }
  }

  /** What its policy says of the message itself; returns when it would expire. */
  private bounded(address: Address, destination: Destination | undefined): number {
    const { engine, destinations } = this.options;
    const { message } = this;
    const policy = destination?.policy ?? destinations.policyOf(address);
    const bounds = Bounds.of(policy);
    const subject = `The ${address.kind} ${address.name}`;
    const excess = bounds?.excess(message);
    if (excess !== undefined) this.refusals.push(`${subject} ${excess}`);
    if (destination instanceof Queue) this.capacity(destination, subject);
    const expiresAt = bounds?.expiry(message, engine.clock.now()) ?? message.expiresAt;
    if (expiresAt !== message.expiresAt) {
      this.notes.push(`${subject} changes when it expires (default_ttl, min_ttl, max_ttl)`);
    }
    return expiresAt;
  }

  private capacity(queue: Queue, subject: string): void {
    const { full } = queue.policy;
    const refusal = queue.refusal(this.message);
    if (refusal !== undefined && (full === "reject" || full === "reject-dead-letter")) this.refusals.push(refusal);
    else if (refusal !== undefined) this.notes.push(`${refusal}; its policy then is ${full} (full)`);
    if (queue.gate.closed) this.notes.push(`The sender would wait: ${queue.gate.subject}`);
    if (queue.paused) this.notes.push(`${subject} is paused: nothing is delivered until it is resumed`);
  }

  private diverts(address: Address): void {
    for (const { targets, selector, exclusive } of this.options.destinations.divertsOf(address)) {
      if (selector?.matches(this.message) === false) continue;
      const names = targets.map(({ kind, name }) => `${kind} ${name}`).join(", ");
      this.notes.push(`A divert leads it to ${names}${exclusive ? ", and to nowhere else" : " as well"}`);
    }
  }

  private follow(address: Address, destination: Destination | undefined): void {
    const via = `${address.kind} ${address.name}`;
    if (destination instanceof Queue) this.consumers(destination, via);
    else if (destination instanceof Topic) for (const target of destination.targets) this.target(target, via);
    else if (address.kind === "topic")
      this.options.destinations.topicBindings.boundTo(address, (target) => this.target(target, via));
  }

  private consumers(queue: Queue, via: string): void {
    for (const { subscription, selector } of queue.links()) {
      const matches = selector?.matches(this.message) !== false;
      this.read({ kind: "consumer", id: subscription.client.id, via, subscription, selector: selector?.text, matches });
    }
  }

  private target(target: TopicTarget, via: string): void {
    if (target instanceof TopicFeed) {
      const { subscription } = target;
      const { selector } = subscription;
      const matches = selector?.matches(this.message) !== false;
      this.read({
        kind: "subscription",
        id: subscription.client.id,
        via,
        subscription,
        selector: selector?.text,
        matches,
      });
    } else if (target instanceof DurableSubscription) {
      const matches = target.selector?.matches(this.message) !== false;
      const { id, selector, queue } = target;
      this.read({ kind: "durable", id, via, subscription: undefined, selector: selector?.text, matches });
      if (matches) this.consumers(queue, `durable subscription ${id}`);
    } else if (target instanceof QueueTarget) {
      const { address, destination } = target.admission;
      this.read({ kind: "queue", id: address.name, via, subscription: undefined, selector: undefined, matches: true });
      if (destination instanceof Queue) this.consumers(destination, `queue ${address.name}`);
    } else {
      this.read({ kind: "exchange", id: "", via, subscription: undefined, selector: undefined, matches: true });
    }
  }

  private followExchange(exchange: Exchange, key: string, seen: Set<Exchange>): void {
    if (seen.has(exchange)) return;
    seen.add(exchange);
    const via = `exchange ${exchange.name}, key "${key}"`;
    let wanted = false;
    let suspended = 0;
    for (const binding of exchange.bindings.values()) if (binding.suspended) suspended++;
    if (suspended > 0) {
      this.notes.push(
        `${suspended} bindings of the exchange ${exchange.name} lead nowhere: who made them may not have them any more`,
      );
    }
    exchange.table.match(key, this.message, ({ to }) => {
      wanted = true;
      if ("declaration" in to) this.followExchange(to, key, seen);
      else this.target(to, via);
    });
    if (wanted) return;
    const { alternate } = exchange;
    const next = alternate === undefined ? undefined : this.options.exchanges.find(alternate);
    if (next === undefined) this.notes.push(`No binding of the exchange ${exchange.name} wants the key "${key}"`);
    else this.followExchange(next, key, seen);
  }

  private read(reader: ExplainedReader): void {
    if (this.readers.length < MOST_READERS) this.readers.push(reader);
    else this.more++;
  }
}
