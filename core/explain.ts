/*
 * What would become of a send, without one: nothing is made, counted or handed over. It goes the way that a message goes,
 *
 *     right to send -> destination, or the right to make it -> bounds and room -> where it leads (explain-ways.ts)
 *
 * and says at each step what would decide.
 */
import { type Action, type Decision, explainDecision, type Permissions, type ResourceKind } from "./access/access.ts";
import type { Address } from "./addresses/address.ts";
import type { Exchange } from "./exchanges/exchange.ts";
import { DEFAULT_EXCHANGE, exchangeAddress, TOPIC_EXCHANGE } from "./exchanges/routing-key.ts";
import { type ExplainedReader, type ExplainPlaces, ExplainedWays } from "./explain-ways.ts";
import type { Message } from "./message.ts";
import { Queue } from "./queue/queue.ts";
import { Bounds } from "./routing/bounds.ts";
import { isSystemTopic } from "./system-topics.ts";

/** What would become of a message at one address. */
export interface SendExplanation {
  readonly address: Address;
  readonly exists: boolean;
  /** Each right that it takes, in one sentence. */
  readonly rights: readonly { readonly allowed: boolean; readonly rule: string | undefined; readonly text: string }[];
  /** Why the sender would be refused. */
  readonly refusals: readonly string[];
  /** What would happen besides: the sender waits, its time to live is another, a divert takes it, where dead letters go. */
  readonly notes: readonly string[];
  readonly expiresAt: number;
  readonly readers: readonly ExplainedReader[];
}

/** Where to look, and by whose rights. */
export interface ExplainOptions extends ExplainPlaces {
  readonly permissions: Permissions;
  readonly autoCreate: boolean;
  /** Destinations there may be still. */
  readonly room: number;
}

/** Explains what would become of a message that somebody sends to an address. Throws BrokerError for a key that names nothing. */
export function explainSend(options: ExplainOptions, address: Address, message: Message): SendExplanation {
  const [name = "", key = ""] = address.levels;
  const isSpace = address.kind === "exchange" && (name === DEFAULT_EXCHANGE || name === TOPIC_EXCHANGE);
  return new Explainer(options, message).explain(isSpace ? exchangeAddress(name, key) : address);
}

class Explainer {
  private readonly options: ExplainOptions;
  private readonly message: Message;
  private readonly ways: ExplainedWays;
  private readonly rights: { allowed: boolean; rule: string | undefined; text: string }[] = [];
  private readonly refusals: string[] = [];

  constructor(options: ExplainOptions, message: Message) {
    this.options = options;
    this.message = message;
    this.ways = new ExplainedWays(options, message);
  }

  explain(address: Address): SendExplanation {
    const { rights, refusals, ways } = this;
    const there = address.kind === "exchange" ? this.toExchange(address) : this.toDestination(address);
    const { closedGate } = this.options.engine;
    if (closedGate !== undefined) ways.note(`The sender would wait: ${closedGate.subject}`);
    if (ways.more > 0) ways.note(`${ways.more} further readers are left out here`);
    const { notes, readers } = ways;
    return { address, rights, refusals, notes, readers, ...there };
  }

  private toExchange({ levels: [name = "", key = ""] }: Address): { exists: boolean; expiresAt: number } {
    this.ask("send", "exchange", name);
    const exchange: Exchange | undefined = this.options.exchanges.find(name);
    if (exchange === undefined) this.refusals.push(`There is no exchange ${name}`);
    else if (exchange.declaration.internal)
      this.refusals.push(`The exchange ${name} is internal: only others lead to it`);
    if (exchange !== undefined) {
      this.refusals.push(...this.ways.refusals(exchange, key));
      this.ways.lead(exchange, key);
    }
    return { exists: exchange !== undefined, expiresAt: this.message.expiresAt };
  }

  private toDestination(address: Address): { exists: boolean; expiresAt: number } {
    const { destinations, engine } = this.options;
    const { kind, name } = address;
    const subject = `The ${kind} ${name}`;
    const destination = destinations.find(address);
    this.ask("send", kind, name);
    if (isSystemTopic(address)) this.refusals.push(`Only the broker itself may send to ${name}: it is a system topic`);
    if (destinations.isAbandoned(address)) {
      this.ways.note(`${subject} is a temporary one that is not there: the message would be dropped`);
      return { exists: false, expiresAt: this.message.expiresAt };
    }
    if (destination === undefined && destinations.ownerOf(address) === undefined) this.creation(address);
    const refusal = this.ways.refusalOf(address, destination);
    if (refusal !== undefined) this.refusals.push(refusal);
    if (destination instanceof Queue && destination.gate.closed) {
      this.ways.note(`The sender would wait: ${destination.gate.subject}`);
    }
    if (this.message.timing !== undefined) this.ways.note("It would wait for its time before it goes anywhere");
    const policy = destination?.policy ?? destinations.policyOf(address);
    const expiresAt = Bounds.of(policy)?.expiry(this.message, engine.clock.now()) ?? this.message.expiresAt;
    if (expiresAt !== this.message.expiresAt) {
      this.ways.note(`${subject} changes when it expires (default_ttl, min_ttl, max_ttl)`);
    }
    this.ways.enter(address);
    return { exists: destination !== undefined, expiresAt };
  }

  private ask(action: Action, kind: ResourceKind, name: string): void {
    const { permissions } = this.options;
    const decision: Decision = permissions.decide(action, kind, name);
    const text = explainDecision(permissions.subject, action, { kind, name }, decision);
    this.rights.push({ allowed: decision.allowed, rule: decision.rule, text });
    if (!decision.allowed) this.refusals.push(text);
  }

  private creation(address: Address): void {
    const { kind, name } = address;
    const what = `The ${kind} ${name}`;
    if (!this.options.autoCreate) {
      this.refusals.push(`${what} does not exist (auto_create_destinations is off)`);
      return;
    }
    this.ask("create", kind, name);
    const topic = kind === "queue" ? this.options.destinations.virtualTopicOf(address) : undefined;
    if (topic !== undefined) this.ask("receive", "topic", topic.name);
    if (this.options.room <= 0) {
      this.refusals.push(`${what} cannot be made: there are as many as there may be (max_destinations)`);
    } else {
      this.ways.note(`${what} is not there yet and would be made`);
    }
  }
}
