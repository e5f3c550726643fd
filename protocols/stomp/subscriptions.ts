import type { Client } from "../../core/client.ts";
import { type Outcome, ProtocolError } from "../../core/protocol.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import type { Transaction } from "../../core/transaction.ts";
import type { Frame } from "./frame.ts";
import { readNumber } from "./bytes.ts";
import { readConsumerOptions } from "./consumer-options.ts";
import { type Credit, readCredit, readPrefetch } from "./credit.ts";
import { parseSource, type Source } from "./destination.ts";
import { headerNumber } from "./header-names.ts";
import { type AckMode, StompSubscription, type SubscriptionOwner } from "./subscription.ts";

const ID = headerNumber("id");
const DESTINATION = headerNumber("destination");
const CREDIT = headerNumber("credit");
const DASH = 45;

/** How many subscriptions a session may have, and what each may be sent ahead of its ACKs. */
export interface SubscriptionLimits {
  readonly maxSubscriptions: number;
  readonly creditMessages: number;
  readonly creditBytes: number;
}

/** The subscriptions of one session. */
export class Subscriptions {
  readonly #client: Client;
  readonly #owner: SubscriptionOwner;
  readonly #limits: SubscriptionLimits;
  readonly #byId = new Map<string, StompSubscription>();
  readonly #byNumber = new Map<number, StompSubscription>();
  #lastNumber = 0;

  constructor(client: Client, owner: SubscriptionOwner, limits: SubscriptionLimits) {
    this.#client = client;
    this.#owner = owner;
    this.#limits = limits;
  }

  /** SUBSCRIBE. */
  onSubscribe(frame: Frame): void {
    const destination = frame.header("destination");
    if (destination === undefined) throw new ProtocolError("A SUBSCRIBE frame has no destination header");
    const id = this.#idOf(frame, destination);
    if (this.#byId.has(id)) throw new ProtocolError(`Subscription "${id}" exists already in this connection`);
    const { maxSubscriptions } = this.#limits;
    if (this.#byId.size >= maxSubscriptions) {
      throw new ProtocolError(
        `This connection has ${maxSubscriptions} subscriptions; no more are allowed (stomp.max_subscriptions)`,
      );
    }
    const source = parseSource(destination, (kind, name) => this.#client.temporary(kind, name));
    const durable = durableName(frame, id);
    if (durable !== undefined && source.attachDurable === undefined) {
      const queue = source.patterns.find((pattern) => pattern.kind === "queue");
      if (queue !== undefined) {
        throw new ProtocolError(`A durable subscription is to topics; ${destination} is or contains a queue`);
      }
    }
    const { browse, exclusive, priority, sequenceHeader } = readConsumerOptions(frame);
    if (browse !== undefined && durable === undefined) refuseTopics(source, destination);
    const selector = frame.header("selector");
    const asked = ackMode(frame.header("ack"));
    // A browser takes nothing that could be given back.
    const mode = browse === undefined ? asked : "auto";
    const credit = this.#credit(frame);
    const number = ++this.#lastNumber;
    const subscription = new StompSubscription(this.#owner, {
      id,
      spelledId: frame.spelled(ID),
      number,
      mode,
      durable,
      spelledDestination: frame.spelled(DESTINATION) ?? "",
      sequenceHeader,
    });
    try {
      const core = this.#client.subscribe({
        patterns: source.patterns,
        attachDurable: source.attachDurable,
        durable: source.attachDurable === undefined ? durable : undefined,
        selector: selector === undefined || selector.trim() === "" ? undefined : compileSelector(selector),
        settling: mode !== "auto",
        credit,
        browse,
        exclusive,
        priority,
        details: sequenceHeader !== undefined,
        noLocal: frame.header("no-local") === "true",
        consumer: subscription,
      });
      if (credit.manual) core.autoRefill = false;
      subscription.core = core;
    } catch (refusal) {
      subscription.release();
      throw refusal;
    }
    this.#byId.set(id, subscription);
    this.#byNumber.set(number, subscription);
  }

  /** UNSUBSCRIBE; with `persistent:true` the durable subscription is deleted, attached or not. */
  onUnsubscribe(frame: Frame): void {
    const id = this.#idOf(frame, frame.header("destination"));
    const subscription = this.#byId.get(id);
    const deletes = frame.header("persistent") === "true" || frame.header("durable") === "true";
    if (subscription === undefined && !deletes) throw this.#unknown(id);
    if (subscription !== undefined) this.#end(subscription);
    if (deletes) this.#client.deleteDurable(subscription?.durable ?? frame.header("activemq.subscriptionName") ?? id);
  }

  /** ACK and NACK. */
  onAck(frame: Frame, outcome: Outcome, transaction: Transaction | undefined): void {
    const credit = frame.find(CREDIT) < 0 ? undefined : frame.header("credit");
    if (this.#owner.version === "1.2") {
      const place = frame.find(ID);
      if (place >= 0) this.#ackByTag(frame, place, outcome, transaction, credit);
      else if (credit !== undefined) grant(this.#named(frame), credit);
      else throw new ProtocolError(`A ${frame.command} frame has no id header (the ack header of the message)`);
      return;
    }
    const messageId = frame.header("message-id");
    if (messageId !== undefined) this.#ackById(frame, messageId, outcome, transaction, credit);
    else if (credit !== undefined) grant(this.#named(frame), credit);
    else throw new ProtocolError(`A ${frame.command} frame has no message-id header`);
  }

  /** Ends all subscriptions of a session that is still connected: what they hold goes to others. */
  endAll(): void {
    for (const subscription of this.#byId.values()) this.#end(subscription);
  }

  /** Gives back what is shared with other sessions, after the connection is gone. */
  release(): void {
    for (const subscription of this.#byId.values()) subscription.release();
    this.#byId.clear();
    this.#byNumber.clear();
  }

  #end(subscription: StompSubscription): void {
    this.#byId.delete(subscription.id);
    for (const [number, known] of this.#byNumber) {
      if (known === subscription) this.#byNumber.delete(number);
    }
    subscription.core?.close();
    subscription.release();
  }

  #ackByTag(
    frame: Frame,
    place: number,
    outcome: Outcome,
    transaction: Transaction | undefined,
    credit: string | undefined,
  ): void {
    // `<subscription number>-<tag>`, as `writeHead` wrote it; read in place, as there is one for every message.
    const { data } = frame;
    const start = frame.valueStart(place);
    const end = frame.valueEnd(place);
    const dash = data.indexOf(DASH, start);
    const inside = dash > start && dash < end;
    const number = inside ? readNumber(data, start, dash) : -1;
    const tag = inside ? readNumber(data, dash + 1, end) : -1;
    const subscription = this.#byNumber.get(number);
    if (subscription === undefined) {
      // After UNSUBSCRIBE the messages that were on their way may still be acknowledged; they went to others.
      if (number > 0 && tag > 0 && number <= this.#lastNumber) return;
      throw unknownMessage(frame, "id", frame.value(place));
    }
    if (credit !== undefined) grant(subscription, credit);
    if (!this.#settle(subscription, tag, outcome, transaction)) throw unknownMessage(frame, "id", frame.value(place));
  }

  #ackById(
    frame: Frame,
    messageId: string,
    outcome: Outcome,
    transaction: Transaction | undefined,
    credit: string | undefined,
  ): void {
    const subscription = this.#owner.version === "1.0" ? this.#holderOf(frame, messageId) : this.#named(frame);
    if (subscription === undefined) throw unknownMessage(frame, "message-id", messageId);
    if (credit !== undefined) grant(subscription, credit);
    const tag = subscription.tagOf(messageId);
    if (tag !== undefined) {
      this.#settle(subscription, tag, outcome, transaction);
      return;
    }
    // In 1.1 a cumulative ACK may well name a message that an earlier one covered.
    if (this.#owner.version === "1.1" && subscription.mode === "client") return;
    throw unknownMessage(frame, "message-id", messageId);
  }

  #settle(
    subscription: StompSubscription,
    tag: number,
    outcome: Outcome,
    transaction: Transaction | undefined,
  ): boolean {
    const { core } = subscription;
    if (core === undefined) return false;
    if (subscription.mode === "client") {
      return subscription.takeUpTo(tag, (delivery) => this.#client.settle(core, delivery, outcome, transaction));
    }
    const delivery = subscription.take(tag);
    if (delivery === undefined) return false;
    this.#client.settle(core, delivery, outcome, transaction);
    return true;
  }

  /** stomp10 "ACK": the subscription header is optional. */
  #holderOf(frame: Frame, messageId: string): StompSubscription | undefined {
    const id = frame.header("subscription");
    if (id !== undefined) return this.#byId.get(id);
    for (const subscription of this.#byId.values()) {
      if (subscription.tagOf(messageId) !== undefined) return subscription;
    }
    return undefined;
  }

  #named(frame: Frame): StompSubscription {
    const id = frame.header("subscription");
    if (id === undefined) throw new ProtocolError(`A ${frame.command} frame has no subscription header`);
    const subscription = this.#byId.get(id);
    if (subscription === undefined) throw this.#unknown(id);
    return subscription;
  }

  /** stomp10 "SUBSCRIBE": without an id the destination takes its place; stomp11 requires one. */
  #idOf(frame: Frame, destination: string | undefined): string {
    const id = frame.header("id") ?? (this.#owner.version === "1.0" ? destination : undefined);
    if (id === undefined) throw new ProtocolError(`A ${frame.command} frame has no id header`);
    return id;
  }

  #unknown(id: string): ProtocolError {
    return new ProtocolError(`There is no subscription "${id}" in this connection`);
  }

  #credit(frame: Frame): Credit {
    const { creditMessages, creditBytes } = this.#limits;
    const explicit = frame.header("credit");
    if (explicit !== undefined) return readCredit(explicit, creditBytes);
    const prefetch = readPrefetch(frame);
    return prefetch ?? { messages: creditMessages, bytes: creditBytes, manual: false };
  }
}

function grant(subscription: StompSubscription | undefined, text: string): void {
  const { core } = subscription ?? {};
  if (core === undefined) return;
  const credit = readCredit(text, 0);
  if (credit.manual) core.autoRefill = false;
  core.grant(credit.messages, credit.bytes);
}

function unknownMessage(frame: Frame, header: string, id: string): ProtocolError {
  return new ProtocolError(
    `${frame.command} of an unknown message: ${header}:${id} is not, or no longer, waiting to be acknowledged`,
  );
}

function durableName(frame: Frame, id: string): string | undefined {
  const named = frame.header("activemq.subscriptionName");
  if (named !== undefined) return named;
  return frame.header("persistent") === "true" || frame.header("durable") === "true" ? id : undefined;
}

function refuseTopics({ patterns }: Source, destination: string): void {
  if (patterns.every((pattern) => pattern.kind === "queue")) return;
  throw new ProtocolError(
    `browser:true looks at queues and durable subscriptions; ${destination} is or contains an exchange or a topic, which keeps nothing`,
  );
}

function ackMode(text: string | undefined): AckMode {
  if (text === undefined || text === "auto" || text === "none") return "auto";
  if (text === "client" || text === "client-individual") return text;
  throw new ProtocolError(`ack:${text} is none of auto, none, client, client-individual`);
}
