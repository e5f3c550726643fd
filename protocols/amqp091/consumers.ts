import type { Address } from "../../core/addresses/address.ts";
import { Pattern } from "../../core/addresses/pattern.ts";
import type { CancelCause } from "../../core/protocol.ts";
import type { Subscription } from "../../core/subscription.ts";
import type { Answers } from "./answers.ts";
import type { Connection } from "./connection.ts";
import { Consumer, type ConsumerOwner } from "./consumer.ts";
import type { Clock } from "../../core/time/clock.ts";
import { AmqpError } from "./errors.ts";
import { type FieldTable, plain } from "./field-table.ts";
import { Getter } from "./getter.ts";
import type { Arguments } from "./methods.ts";
import { Prefetch } from "./prefetch.ts";
import { DIRECT_REPLY_TO, queueAddress, queueName } from "./queue-name.ts";
import type { Unacked } from "./unacked.ts";

/** What the consumers of a channel need of it. */
export interface ConsumersOwner {
  readonly number: number;
  readonly connection: Connection;
  readonly clock: Clock;
  readonly answers: Answers;
  readonly unacked: Unacked;
  /** The channel is to close. Not from within the core. */
  fail(error: AmqpError): void;
  /** The queue of this name; "" is the one declared last. Throws `AmqpError`. */
  queueNamed(name: string): string;
}

/** What is consumed from, and where answers lead that name `amq.rabbitmq.reply-to`. */
interface Source {
  readonly name: string;
  readonly address: Address;
}

/** The consumers of one channel. */
export class Consumers implements ConsumerOwner {
  readonly number: number;
  readonly connection: Connection;
  readonly unacked: Unacked;
  readonly prefetch: Prefetch;
  /** The name of the queue that answers go to, while it is consumed from. */
  replyTo: string | undefined = undefined;
  readonly #owner: ConsumersOwner;
  readonly #byTag = new Map<string, Consumer>();
  #replyConsumer: Consumer | undefined = undefined;
  #replyAddress: Address | undefined = undefined;
  /** The basic.get that was not answered yet, and what to call when it needs no answer any more. */
  #getting: { readonly getter: Getter; readonly done: () => void } | undefined = undefined;
  #replyQueues = 0;
  /** What each further consumer may be sent ahead of its acknowledgements; 0: what the configuration says. */
  #prefetchCount = 0;

  constructor(owner: ConsumersOwner) {
    this.#owner = owner;
    this.number = owner.number;
    this.connection = owner.connection;
    this.unacked = owner.unacked;
    this.prefetch = new Prefetch(() => this.#byTag.values(), owner.connection.options.maxUnacked);
  }

  /** basic.qos. */
  onBasicQos({ prefetchSize, prefetchCount, global }: Arguments<"basic.qos">): void {
    if (prefetchSize !== 0) throw new AmqpError("NOT_IMPLEMENTED", `prefetch_size!=0 (${prefetchSize})`);
    // First, for more may be delivered at once.
    this.#owner.answers.say("basic.qos-ok", {});
    // As RabbitMQ reads it: the channel with all its consumers, or each further consumer.
    if (global) this.prefetch.limit = prefetchCount;
    else this.#prefetchCount = prefetchCount;
  }

  /** channel.flow. */
  onChannelFlow({ active }: Arguments<"channel.flow">): void {
    this.#owner.answers.say("channel.flow-ok", { active });
    this.prefetch.flow(active);
  }

  /** basic.consume. */
  onBasicConsume(args: Arguments<"basic.consume">): void {
    const { connection } = this;
    const tag = args.consumerTag === "" ? `amq.ctag-${connection.random.token()}` : args.consumerTag;
    if (this.#byTag.has(tag)) throw new AmqpError("NOT_ALLOWED", `attempt to reuse consumer tag '${tag}'`);
    const { maxConsumers } = connection.options;
    if (connection.consumers >= maxConsumers) {
      throw new AmqpError(
        "PRECONDITION_FAILED",
        `this connection has ${maxConsumers} consumers; no more are allowed (amqp.max_consumers)`,
      );
    }
    const source = args.queue === DIRECT_REPLY_TO ? this.#openReplyQueue(args) : this.#source(args);
    const consumer = new Consumer(this, tag, args.noAck);
    consumer.core = this.#subscribe(consumer, source.address, args);
    this.#byTag.set(tag, consumer);
    connection.consumers++;
    if (args.queue === DIRECT_REPLY_TO) {
      this.#replyConsumer = consumer;
      this.#replyAddress = source.address;
      this.replyTo = source.name;
    }
    if (!args.noWait) this.#owner.answers.say("basic.consume-ok", { consumerTag: tag });
  }

  /** basic.cancel: what was delivered stays with the client, to be acknowledged. */
  onBasicCancel({ consumerTag, noWait }: Arguments<"basic.cancel">): void {
    const consumer = this.#byTag.get(consumerTag);
    if (consumer !== undefined) {
      this.#forget(consumer);
      consumer.core?.stop();
    }
    if (!noWait) this.#owner.answers.say("basic.cancel-ok", { consumerTag });
  }

  /** basic.get. */
  onBasicGet({ queue, noAck }: Arguments<"basic.get">): void {
    const { number, connection, unacked } = this;
    const { answers, clock } = this.#owner;
    const { maxUnacked } = connection.options;
    if (!noAck && unacked.count >= maxUnacked) {
      throw new AmqpError(
        "PRECONDITION_FAILED",
        `this channel has ${unacked.count} deliveries to acknowledge; no more can be had (amqp.max_unacked)`,
      );
    }
    const address = queueAddress(this.#owner.queueNamed(queue));
    const said = answers.expect(() => undefined);
    const done = (): void => {
      this.#getting = undefined;
      said();
    };
    // What the core calls must not call back into it.
    const answered = (): void =>
      clock.endOfTurn(() => {
        done();
        connection.relieve();
      });
    const getter = new Getter({ channel: number, connection, unacked, address, noAck, answered });
    this.#getting = { getter, done };
    try {
      getter.core = connection.client.pull({ address, settling: !noAck, consumer: getter });
      if (getter.answered) done();
    } catch (refusal) {
      done();
      throw refusal;
    }
  }

  cancelled(consumer: Consumer, reason: string, cause: CancelCause | undefined): void {
    this.#forget(consumer);
    if (cause === "not-authorized") {
      // basic.cancel has no room for a reason, and not every client is told of it.
      this.#owner.clock.endOfTurn(() => this.#owner.fail(new AmqpError("ACCESS_REFUSED", reason)));
      return;
    }
    if (!this.connection.capabilities.cancelNotify) return;
    this.#owner.answers.say("basic.cancel", { consumerTag: consumer.tag, noWait: true });
  }

  /** Nothing more is delivered: its consumers are about to go. */
  hold(): void {
    for (const { core } of this.#byTag.values()) core?.hold();
  }

  /** The channel closes: what was delivered and not acknowledged goes to others. */
  close(): void {
    // What one of them gives back is not for the next one.
    this.hold();
    this.#getting?.getter.core?.close();
    this.#getting?.done();
    for (const consumer of this.#byTag.values()) {
      this.#forget(consumer);
      consumer.core?.close();
    }
  }

  #source({ queue, exclusive }: Arguments<"basic.consume">): Source {
    const name = this.#owner.queueNamed(queue);
    const address = queueAddress(name);
    const { client, hostName } = this.connection;
    client.checkQueue(address);
    for (const { subscription } of client.host.queues.get(address.name)?.links() ?? []) {
      if (!exclusive && !subscription.exclusive) continue;
      throw new AmqpError("ACCESS_REFUSED", `queue '${name}' in vhost '${hostName}' in exclusive use`);
    }
    return { name, address };
  }

  /** RabbitMQ's direct reply-to: a queue that lives with the connection, known by a name that nobody can guess. */
  #openReplyQueue({ noAck }: Arguments<"basic.consume">): Source {
    if (!noAck) throw new AmqpError("PRECONDITION_FAILED", "reply consumer cannot acknowledge");
    if (this.#replyConsumer !== undefined) throw new AmqpError("PRECONDITION_FAILED", "reply consumer already set");
    const { client, random } = this.connection;
    const address = client.temporary("queue", `reply-${this.number}-${++this.#replyQueues}-${random.token()}`);
    return { name: queueName(address), address };
  }

  #subscribe(consumer: Consumer, address: Address, args: Arguments<"basic.consume">): Subscription {
    const { client, options } = this.connection;
    const count = this.#prefetchCount;
    const credit =
      count > 0 ? { messages: count, bytes: 0 } : { messages: options.creditMessages, bytes: options.creditBytes };
    const admitted = this.prefetch.admits(consumer);
    const core = client.subscribe({
      patterns: [Pattern.of(address)],
      settling: !args.noAck,
      credit: admitted ? credit : { messages: 0, bytes: 0 },
      exclusive: args.exclusive,
      priority: priorityOf(args.arguments),
      noLocal: args.noLocal,
      consumer,
    });
    if (!admitted) {
      core.autoRefill = false;
      // When it has begun, and could have been given something.
      this.#owner.clock.endOfTurn(() => {
        if (!this.prefetch.admits(consumer)) core.hold();
        core.autoRefill = true;
        core.setCredit(credit.messages, credit.bytes);
      });
    }
    return core;
  }

  #forget(consumer: Consumer): void {
    if (!this.#byTag.delete(consumer.tag)) return;
    this.connection.consumers--;
    if (consumer !== this.#replyConsumer) return;
    this.#dropReplyQueue();
  }

  #dropReplyQueue(): void {
    const { client } = this.connection;
    const address = this.#replyAddress;
    this.#replyConsumer = undefined;
    this.#replyAddress = undefined;
    this.replyTo = undefined;
    // Later, as the core may be at work on it.
    if (address !== undefined) this.#owner.clock.endOfTurn(() => client.dropTemporary(address));
  }
}

function priorityOf(table: FieldTable): number {
  const value = table.get("x-priority");
  if (value === undefined) return 0;
  const priority = plain(value);
  if (typeof priority === "number" && Number.isInteger(priority)) return priority;
  throw new AmqpError("PRECONDITION_FAILED", "invalid arg 'x-priority' for a consumer: expected an integer");
}
