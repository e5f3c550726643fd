import type { Route } from "../../core/routing/route.ts";
import type { Clock } from "../../core/time/clock.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { Answers } from "./answers.ts";
import { Confirms } from "./confirms.ts";
import type { Connection } from "./connection.ts";
import { Consumers, type ConsumersOwner } from "./consumers.ts";
import { Declaring } from "./declaring.ts";
import { AmqpError, unexpectedFrame } from "./errors.ts";
import { LocalTransaction } from "./local-transaction.ts";
import type { Method } from "./methods.ts";
import { Publisher } from "./publisher.ts";
import { Assembly, type Publish } from "./publish.ts";
import { Unacked } from "./unacked.ts";

/** One channel of a connection: its methods, each to whoever it is for. */
export class Channel implements ConsumersOwner {
  readonly number: number;
  readonly connection: Connection;
  readonly clock: Clock;
  readonly answers: Answers;
  readonly fail: (error: AmqpError) => void;
  readonly unacked = new Unacked();
  /** True from the server's channel.close until the client's answer: what comes until then is dropped. */
  closing = false;
  readonly #declaring: Declaring;
  readonly #consumers: Consumers;
  readonly #acknowledgements: Acknowledgements;
  readonly #publisher: Publisher;
  readonly #assembly = new Assembly();
  /** Bytes of the content that is not there as a whole. */
  #unfinishedBytes = 0;
  #confirms: Confirms | undefined = undefined;
  #transaction: LocalTransaction | undefined = undefined;

  /** `fail`: the channel is to close over an error that no frame of the client's has caused. Not from within the core. */
  constructor(number: number, connection: Connection, clock: Clock, fail: (error: AmqpError) => void) {
    this.fail = fail;
    this.number = number;
    this.connection = connection;
    this.clock = clock;
    this.answers = new Answers(connection, number);
    this.#declaring = new Declaring(connection, this.answers);
    this.#consumers = new Consumers(this);
    this.#acknowledgements = new Acknowledgements(connection.client, this.unacked, this.#consumers.prefetch);
    this.#publisher = new Publisher(connection, number);
  }

  queueNamed(name: string): string {
    return this.#declaring.queueNamed(name);
  }

  /** Whether a method may be handled now: one that has something delivered waits until what was asked before is answered. */
  admits({ name }: Method): boolean {
    return this.answers.idle || (name !== "basic.consume" && name !== "basic.get");
  }

  /** The ways to where it sends. */
  routes(): Iterable<Route> {
    return this.#publisher.routes();
  }

  /** A basic.publish with its content. */
  onPublish(publish: Publish): void {
    this.#expectMethod();
    this.#publish(publish);
  }

  onBasicAck(deliveryTag: number, multiple: boolean): void {
    this.#expectMethod();
    this.#acknowledgements.onBasicAck(deliveryTag, multiple);
  }

  /** A basic.publish whose content comes in frames of its own. */
  onPublishMethod(data: Buffer, start: number, end: number): void {
    this.#expectMethod();
    this.#assembly.begin(data, start, end);
  }

  onHeader(data: Buffer, start: number, end: number): void {
    const whole = this.#assembly.header(data, start, end, this.connection.options.maxBodyBytes);
    if (whole) this.#publish(this.#assembly.publish);
    else this.#countUnfinished(end - start);
  }

  onBody(data: Buffer, start: number, end: number, left: number): void {
    if (this.#assembly.body(data, start, end, left)) {
      this.#forgetUnfinished();
      this.#publish(this.#assembly.publish);
      return;
    }
    this.#countUnfinished(end - start);
  }

  /** Any other method of a channel. Throws `AmqpError` or BrokerError. */
  onMethod(method: Method): void {
    this.#expectMethod();
    if (method.name.startsWith("basic.")) this.#onBasic(method);
    else if (method.name.startsWith("queue.")) this.#onQueue(method);
    else if (method.name.startsWith("exchange.")) this.#onExchange(method);
    else this.#onMode(method);
  }

  /** The client closes the channel: it is told so when all it asked for is answered. */
  leave(): void {
    this.#letGo();
    this.answers.say("channel.close-ok", {});
  }

  /** Delivers nothing more: it is about to end. */
  hold(): void {
    this.#consumers.hold();
  }

  /** Ends at once: nothing more is answered. */
  end(): void {
    this.answers.end();
    this.#letGo();
  }

  #publish(publish: Publish): void {
    this.#publisher.replyTo = this.#consumers.replyTo;
    this.#publisher.onBasicPublish(publish);
  }

  /** Lets everything go: deliveries that were not acknowledged go to others, what was not committed is forgotten. */
  #letGo(): void {
    if (this.#confirms !== undefined) this.#confirms.ended = true;
    this.#assembly.drop();
    this.#forgetUnfinished();
    this.#transaction?.rollback();
    this.#consumers.close();
    this.#acknowledgements.close();
  }

  /** amqp091 4.2.6: between a basic.publish and the end of its content nothing else comes on its channel. */
  #expectMethod(): void {
    const { awaits } = this.#assembly;
    if (awaits !== "method")
      throw unexpectedFrame(`expected content ${awaits} for class 60, got a method frame instead`);
  }

  #countUnfinished(bytes: number): void {
    const { connection } = this;
    this.#unfinishedBytes += bytes;
    connection.unfinishedBytes += bytes;
    const { maxUnfinishedBytes } = connection.options;
    if (connection.unfinishedBytes <= maxUnfinishedBytes) return;
    throw new AmqpError(
      "RESOURCE_ERROR",
      `the unfinished messages of this connection have ${connection.unfinishedBytes} bytes; ` +
        `at most ${maxUnfinishedBytes} are allowed (amqp.max_unfinished)`,
    );
  }

  #forgetUnfinished(): void {
    this.connection.unfinishedBytes -= this.#unfinishedBytes;
    this.#unfinishedBytes = 0;
  }

  #onBasic(method: Method): void {
    switch (method.name) {
      case "basic.qos":
        this.#consumers.onBasicQos(method.arguments);
        return;
      case "basic.consume":
        this.#consumers.onBasicConsume(method.arguments);
        return;
      case "basic.cancel":
        this.#consumers.onBasicCancel(method.arguments);
        return;
      case "basic.get":
        this.#consumers.onBasicGet(method.arguments);
        return;
      case "basic.reject":
        this.#acknowledgements.onBasicReject(method.arguments.deliveryTag, method.arguments.requeue);
        return;
      case "basic.nack":
        this.#onBasicNack(method.arguments);
        return;
      case "basic.recover":
        this.#recover(method.arguments.requeue);
        this.answers.say("basic.recover-ok", {});
        return;
      case "basic.recover-async":
        this.#recover(method.arguments.requeue);
        return;
      // A client's answer to the server's basic.cancel, which asks for none.
      case "basic.cancel-ok":
        return;
      default:
        throw ofServers(method);
    }
  }

  #onBasicNack({ deliveryTag, multiple, requeue }: { deliveryTag: number; multiple: boolean; requeue: boolean }): void {
    this.#acknowledgements.onBasicNack(deliveryTag, multiple, requeue);
  }

  /** To the same consumer alone it cannot come again, whoever else consumes from the queue. */
  #recover(requeue: boolean): void {
    if (!requeue) throw new AmqpError("NOT_IMPLEMENTED", "requeue=false");
    this.#acknowledgements.recover();
  }

  #onQueue(method: Method): void {
    switch (method.name) {
      case "queue.declare":
        this.#declaring.onQueueDeclare(method.arguments);
        return;
      case "queue.bind":
        this.#declaring.onQueueBind(method.arguments);
        return;
      case "queue.unbind":
        this.#declaring.onQueueUnbind(method.arguments);
        return;
      case "queue.purge":
        this.#declaring.onQueuePurge(method.arguments);
        return;
      case "queue.delete":
        this.#declaring.onQueueDelete(method.arguments);
        return;
      default:
        throw ofServers(method);
    }
  }

  #onExchange(method: Method): void {
    switch (method.name) {
      case "exchange.declare":
        this.#declaring.onExchangeDeclare(method.arguments);
        return;
      case "exchange.delete":
        this.#declaring.onExchangeDelete(method.arguments);
        return;
      case "exchange.bind":
        this.#declaring.onExchangeBind(method.arguments);
        return;
      case "exchange.unbind":
        this.#declaring.onExchangeUnbind(method.arguments);
        return;
      default:
        throw ofServers(method);
    }
  }

  #onMode(method: Method): void {
    switch (method.name) {
      case "channel.flow":
        this.#consumers.onChannelFlow(method.arguments);
        return;
      case "channel.flow-ok":
        return;
      case "confirm.select":
        this.#onConfirmSelect(method.arguments.noWait);
        return;
      case "tx.select":
        this.#onTxSelect();
        return;
      case "tx.commit":
        this.#onTxCommit();
        return;
      case "tx.rollback":
        this.#onTxRollback();
        return;
      // Rights are checked where something is done.
      case "access.request":
        this.answers.say("access.request-ok", { ticket: 1 });
        return;
      default:
        throw ofServers(method);
    }
  }

  #onConfirmSelect(noWait: boolean): void {
    if (this.#transaction !== undefined) {
      throw new AmqpError("PRECONDITION_FAILED", "cannot switch from tx to confirm mode");
    }
    this.#confirms ??= new Confirms(this.connection.output, this.number);
    this.#publisher.confirms = this.#confirms;
    if (!noWait) this.answers.say("confirm.select-ok", {});
  }

  #onTxSelect(): void {
    if (this.#confirms !== undefined) {
      throw new AmqpError("PRECONDITION_FAILED", "cannot switch from confirm to tx mode");
    }
    this.#transaction ??= new LocalTransaction(this.connection.client);
    this.#publisher.transaction = this.#transaction;
    this.#acknowledgements.transaction = this.#transaction;
    this.answers.say("tx.select-ok", {});
  }

  #onTxCommit(): void {
    const transaction = this.#selected();
    this.#acknowledgements.commit(transaction);
    const unroutable = transaction.takeUnroutable();
    transaction.commit();
    for (const { message } of unroutable) this.#publisher.giveBack(message);
    this.answers.sayWhenSafe("tx.commit-ok", {});
  }

  #onTxRollback(): void {
    const transaction = this.#selected();
    transaction.rollback();
    this.#acknowledgements.rollback(transaction);
    this.answers.say("tx.rollback-ok", {});
  }

  #selected(): LocalTransaction {
    if (this.#transaction !== undefined) return this.#transaction;
    throw new AmqpError("PRECONDITION_FAILED", "channel is not transactional");
  }
}

function ofServers({ name }: Method): AmqpError {
  return new AmqpError("COMMAND_INVALID", `${name} is not a method for a client to send on a channel`);
}
