import type { Client } from "../../core/client.ts";
import { BrokerError } from "../../core/errors.ts";
import { DEFAULT_EXCHANGE, exchangeAddress } from "../../core/exchanges/routing-key.ts";
import { sameBytes } from "../../core/memory/bytes.ts";
import { type Message, TRAIT } from "../../core/message.ts";
import type { Route } from "../../core/routing/route.ts";
import { namesOf, parseReplyTo } from "./address.ts";
import type { Confirms } from "./confirms.ts";
import type { Connection } from "./connection.ts";
import { envelopeOf, messageOf, removeBcc, replaceReplyTo } from "./convert.ts";
import { AmqpError, REPLY } from "./errors.ts";
import type { LocalTransaction } from "./local-transaction.ts";
import type { Publish } from "./publish.ts";
import { DIRECT_REPLY_TO } from "./queue-name.ts";
import { copiesOf } from "./traits.ts";

/** Where an exchange and a routing key lead. */
interface Target {
  /** Both as they stand in a basic.publish, with what is between them. */
  readonly bytes: Buffer;
  readonly exchange: string;
  route: Route;
  /** `Connection.logins` when the route was made. */
  logins: number;
}

/** Places for targets that are found by their bytes alone; a power of two. */
const NEAR_TARGETS = 16;
/** Targets remembered in all. */
const MOST_TARGETS = 1000;
const NO_COPIES: readonly string[] = [];
const DIRECT_REPLY_TO_BYTES = Buffer.from(DIRECT_REPLY_TO);

/** The sends of one channel. */
export class Publisher {
  /** Set in confirm mode, and in transactional mode. */
  confirms: Confirms | undefined = undefined;
  transaction: LocalTransaction | undefined = undefined;
  /** Where answers to requests of this channel go that name `amq.rabbitmq.reply-to`. */
  replyTo: string | undefined = undefined;
  readonly #connection: Connection;
  readonly #client: Client;
  readonly #channel: number;
  readonly #near: (Target | undefined)[] = Array.from<Target | undefined>({ length: NEAR_TARGETS });
  readonly #targets = new Map<string, Target>();

  constructor(connection: Connection, channel: number) {
    this.#connection = connection;
    this.#client = connection.client;
    this.#channel = channel;
  }

  /** The ways of the exchanges and keys it remembers. */
  *routes(): Iterable<Route> {
    for (const { route } of this.#targets.values()) yield route;
  }

  /** basic.publish with its content. Throws `AmqpError` or BrokerError when the channel is to be closed over it. */
  onBasicPublish(publish: Publish): void {
    const taken = this.#publish(publish);
    const { confirms } = this;
    if (confirms === undefined) return;
    if (!taken) confirms.refused();
    else if (confirms.took()) this.#connection.publishing(confirms);
  }

  /** tx.commit has carried out what was sent: these were mandatory, and nobody got them. */
  giveBack(message: Message): void {
    this.#connection.writer.return(this.#channel, REPLY.NO_ROUTE, "NO_ROUTE", message);
    this.#connection.returned();
  }

  /** False when the broker refuses a message that its sender may send again. */
  #publish(publish: Publish): boolean {
    if (publish.immediate) throw new AmqpError("NOT_IMPLEMENTED", "immediate=true");
    const { route, exchange } = this.#target(publish);
    if (publish.userIdStart < publish.userIdEnd) this.#checkUser(publish);
    if (publish.replyToStart < publish.replyToEnd) this.#localReplyTo(publish);
    const copies = publish.headersStart < publish.headersEnd ? copiesOf(publish) : NO_COPIES;
    if (copies.length > 0) removeBcc(publish);
    const [address] = route.addresses;
    if (address === undefined) throw new RangeError(`The route of exchange ${exchange} leads to no address`);
    const message = messageOf(publish, envelopeOf(publish, address, this.#connection.now));
    // One message, so that a copy says where it was sent first, as RabbitMQ's do.
    const whole = copies.length === 0 ? route : this.#routeOfAll(message, exchange, [publish.routingKey, ...copies]);
    const { transaction } = this;
    try {
      this.#client.publish(whole, message, transaction?.open());
    } catch (refusal) {
      if (refusal instanceof BrokerError && refusal.code === "full") return false;
      throw refusal;
    }
    if (publish.mandatory) this.#checkReaches(whole, message);
    return true;
  }

  #routeOfAll({ traits }: Message, exchange: string, keys: readonly string[]): Route {
    return this.#client.exchangeRouteOfAll(exchange, keys, (traits & TRAIT.timed) !== 0);
  }

  #checkReaches(route: Route, message: Message): void {
    if (this.transaction !== undefined) this.transaction.expectRoute({ route, message });
    else if (!route.reaches(message)) this.giveBack(message);
  }

  #checkUser(publish: Publish): void {
    const claimed = publish.data.toString("utf8", publish.userIdStart, publish.userIdEnd);
    const { user = "" } = this.#client;
    if (claimed === user) return;
    throw new AmqpError(
      "PRECONDITION_FAILED",
      `user_id property set to '${claimed}' but authenticated user was '${user}'`,
    );
  }

  /** `amq.rabbitmq.reply-to` is this channel's: others get the name that leads here. */
  #localReplyTo(publish: Publish): void {
    if (!sameBytes(DIRECT_REPLY_TO_BYTES, publish.data, publish.replyToStart, publish.replyToEnd)) return;
    if (this.replyTo === undefined) {
      throw new AmqpError("PRECONDITION_FAILED", "fast reply consumer does not exist");
    }
    replaceReplyTo(publish, this.replyTo);
  }

  #target(publish: Publish): Target {
    const { data, keyEnd: end } = publish;
    // With the length of the exchange's name, so that none can pass for another one with a longer key.
    const start = publish.exchangeStart - 1;
    const near = ((data[end - 1] ?? 0) + (data[end - 2] ?? 0) * 3 + (end - start)) & (NEAR_TARGETS - 1);
    const recent = this.#near[near];
    const found =
      recent !== undefined && sameBytes(recent.bytes, data, start, end) ? recent : this.#find(publish, start, end);
    this.#near[near] = found;
    if (found.logins !== this.#connection.logins) {
      found.route = this.#routeOf(publish.exchange, publish.routingKey);
      found.logins = this.#connection.logins;
    }
    return found;
  }

  #find(publish: Publish, start: number, end: number): Target {
    const spelled = publish.data.toString("latin1", start, end);
    const known = this.#targets.get(spelled);
    if (known !== undefined) return known;
    const { exchange } = publish;
    const route = this.#routeOf(exchange, publish.routingKey);
    const { logins } = this.#connection;
    const target: Target = { bytes: Buffer.from(spelled, "latin1"), exchange, route, logins };
    if (this.#targets.size >= MOST_TARGETS) {
      const [oldest] = this.#targets.keys();
      if (oldest !== undefined) this.#targets.delete(oldest);
    }
    this.#targets.set(spelled, target);
    return target;
  }

  /**
   * RabbitMQ's clients answer to the default exchange, whatever the reply-to is: a key that `formatReplyTo` wrote leads where
   * it says, unless a queue has it for its name.
   */
  #routeOf(exchange: string, key: string): Route {
    const client = this.#client;
    const address = exchange === DEFAULT_EXCHANGE && key.startsWith("/") ? parseReplyTo(key) : undefined;
    if (address === undefined || client.host.queues.has(exchangeAddress(exchange, key).name)) {
      return client.exchangeRoute(exchange, key);
    }
    return client.exchangeRoute(...namesOf(address));
  }
}
