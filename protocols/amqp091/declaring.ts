import type { Address } from "../../core/addresses/address.ts";
import type { BindingDeclaration, ExchangeDeclaration, ExchangeType } from "../../core/exchanges/exchange.ts";
import type { PropertyValue } from "../../core/message.ts";
import type { QueueStatus } from "../../core/queue/queue-declaration.ts";
import { isTemporary } from "../../core/routing/admission.ts";
import type { Answers } from "./answers.ts";
import type { Connection } from "./connection.ts";
import { AmqpError } from "./errors.ts";
import { type FieldTable, plain } from "./field-table.ts";
import type { Arguments } from "./methods.ts";
import { readArguments, readQueueArguments } from "./queue-arguments.ts";
import { DIRECT_REPLY_TO, queueAddress } from "./queue-name.ts";

const TYPES: readonly string[] = ["direct", "fanout", "topic", "headers"] satisfies ExchangeType[];
/** RabbitMQ's plugin for messages that are routed later; the type it has then is an argument. */
const DELAYED = "x-delayed-message";
const RESERVED = "amq.";

/** Exchanges, queues and bindings, as one channel declares them. */
export class Declaring {
  readonly #connection: Connection;
  readonly #answers: Answers;
  /** The queue that was declared last: it is meant where no queue is named (amqp091 queue.bind). */
  #lastQueue: string | undefined = undefined;

  constructor(connection: Connection, answers: Answers) {
    this.#connection = connection;
    this.#answers = answers;
  }

  /** The queue of this name; "" is the one declared last. Throws `AmqpError`. */
  queueNamed(name: string): string {
    if (name !== "") return name;
    if (this.#lastQueue !== undefined) return this.#lastQueue;
    throw new AmqpError("NOT_FOUND", "no previously declared queue");
  }

  onExchangeDeclare(args: Arguments<"exchange.declare">): void {
    const { client } = this.#connection;
    refuseDefault(args.exchange);
    if (args.passive) client.checkExchange(args.exchange);
    else client.declareExchange(this.#exchangeOf(args));
    if (!args.noWait) this.#answers.sayWhenSafe("exchange.declare-ok", {});
  }

  onExchangeDelete({ exchange, ifUnused, noWait }: Arguments<"exchange.delete">): void {
    refuseDefault(exchange);
    this.#connection.client.deleteExchange(exchange, { ifUnused });
    if (!noWait) this.#answers.sayWhenSafe("exchange.delete-ok", {});
  }

  onExchangeBind(args: Arguments<"exchange.bind">): void {
    refuseDefault(args.source);
    refuseDefault(args.destination);
    this.#connection.client.bindExchange(args.destination, bindingOf(args.source, args.routingKey, args.arguments));
    if (!args.noWait) this.#answers.sayWhenSafe("exchange.bind-ok", {});
  }

  onExchangeUnbind(args: Arguments<"exchange.unbind">): void {
    refuseDefault(args.source);
    refuseDefault(args.destination);
    this.#connection.client.unbindExchange(args.destination, bindingOf(args.source, args.routingKey, args.arguments));
    if (!args.noWait) this.#answers.sayWhenSafe("exchange.unbind-ok", {});
  }

  onQueueDeclare(args: Arguments<"queue.declare">): void {
    const name = this.#declaredName(args);
    const { messages, consumers } = this.#declare(name, args);
    this.#lastQueue = name;
    if (args.noWait) return;
    this.#answers.sayWhenSafe("queue.declare-ok", { queue: name, messageCount: messages, consumerCount: consumers });
  }

  onQueueBind(args: Arguments<"queue.bind">): void {
    refuseDefault(args.exchange);
    const queue = this.queueNamed(args.queue);
    // amqp091 queue.bind: with neither a queue nor a key, the last queue's name is both.
    const key = args.queue === "" && args.routingKey === "" ? queue : args.routingKey;
    this.#connection.client.bindQueue(queueAddress(queue), bindingOf(args.exchange, key, args.arguments));
    if (!args.noWait) this.#answers.sayWhenSafe("queue.bind-ok", {});
  }

  onQueueUnbind(args: Arguments<"queue.unbind">): void {
    refuseDefault(args.exchange);
    const queue = this.queueNamed(args.queue);
    const key = args.queue === "" && args.routingKey === "" ? queue : args.routingKey;
    this.#connection.client.unbindQueue(queueAddress(queue), bindingOf(args.exchange, key, args.arguments));
    this.#answers.sayWhenSafe("queue.unbind-ok", {});
  }

  onQueuePurge({ queue, noWait }: Arguments<"queue.purge">): void {
    const messageCount = this.#connection.client.purgeQueue(queueAddress(this.queueNamed(queue)));
    if (!noWait) this.#answers.sayWhenSafe("queue.purge-ok", { messageCount });
  }

  onQueueDelete({ queue, ifUnused, ifEmpty, noWait }: Arguments<"queue.delete">): void {
    const address = queueAddress(this.queueNamed(queue));
    const messageCount = this.#connection.client.deleteQueue(address, { ifUnused, ifEmpty });
    if (!noWait) this.#answers.sayWhenSafe("queue.delete-ok", { messageCount });
  }

  #exchangeOf(args: Arguments<"exchange.declare">): ExchangeDeclaration {
    const { exchange: name, durable, autoDelete, internal, arguments: table } = args;
    const delayed = args.type === DELAYED;
    const type = delayed ? textArgument(table, "x-delayed-type", name) : args.type;
    if (!isExchangeType(type)) {
      throw new AmqpError(
        "COMMAND_INVALID",
        `unknown exchange type '${type ?? DELAYED}'; expected one of ${TYPES.join(", ")}, ${DELAYED}`,
      );
    }
    const alternate = textArgument(table, "alternate-exchange", name);
    return { name, type, durable, autoDelete, internal, alternate, delayed, arguments: readArguments(table) };
  }

  #declaredName({ queue, passive }: Arguments<"queue.declare">): string {
    if (queue !== "") return queue;
    return passive ? this.queueNamed("") : `${RESERVED}gen-${this.#connection.random.token()}`;
  }

  #declare(name: string, args: Arguments<"queue.declare">): Pick<QueueStatus, "messages" | "consumers"> {
    if (name === DIRECT_REPLY_TO) return { messages: 0, consumers: 1 };
    const { client, hostName } = this.#connection;
    const address = queueAddress(name);
    if (args.passive) return this.#repliesTo(address) ?? client.checkQueue(address);
    const where = `queue '${name}' in vhost '${hostName}'`;
    if (args.queue.startsWith(RESERVED) && !client.host.queues.has(address.name)) {
      throw new AmqpError("ACCESS_REFUSED", `queue name '${name}' contains reserved prefix '${RESERVED}*'`);
    }
    const { policy, expiresMs, given } = readQueueArguments(args.arguments, where);
    const { durable, exclusive, autoDelete } = args;
    return client.declareQueue({ address, durable, exclusive, autoDelete, policy, expiresMs, arguments: given });
  }

  /** Whoever answers a request asks so whether there still is somebody to be answered, whose queue that is alone. */
  #repliesTo(address: Address): Pick<QueueStatus, "messages" | "consumers"> | undefined {
    if (!isTemporary(address)) return undefined;
    const queue = this.#connection.client.host.queues.get(address.name);
    return queue === undefined ? undefined : { messages: queue.count, consumers: queue.consumerCount };
  }
}

function refuseDefault(exchange: string): void {
  if (exchange !== "") return;
  throw new AmqpError("ACCESS_REFUSED", "operation not permitted on the default exchange");
}

function isExchangeType(type: string | undefined): type is ExchangeType {
  return type !== undefined && TYPES.includes(type);
}

function textArgument(table: FieldTable, name: string, exchange: string): string | undefined {
  const value = table.get(name);
  if (value === undefined) return undefined;
  const text = plain(value);
  if (typeof text === "string") return text;
  throw new AmqpError("PRECONDITION_FAILED", `invalid arg '${name}' for exchange '${exchange}': expected a text`);
}

function bindingOf(source: string, key: string, table: FieldTable): BindingDeclaration {
  const given = new Map<string, PropertyValue>();
  for (const [name, value] of table) {
    const known = plain(value);
    if (known instanceof Date) given.set(name, known.getTime());
    else if (known === null || typeof known !== "object" || Buffer.isBuffer(known)) given.set(name, known);
  }
  return { source, key, arguments: given };
}
