/* Clients of AMQP 0-9-1 that work until the broker is killed. */
import { AmqpWire, published, spoken } from "../support/amqp091-wire.ts";
import type { Random } from "../support/crash-random.ts";
import type { QueueRecord, Transfers } from "./amqp-record.ts";

/** Messages that wait for their confirmation, or to be acknowledged. */
const WINDOW = 30;
/** What is published at most in one life: what is left over must not grow without end. */
const MOST = 300;
const DURABLE = { deliveryMode: 2 } as const;

/** The exchanges, queues and bindings that everybody uses. */
export async function declareAll(port: number): Promise<void> {
  using wire = await AmqpWire.channel(port);
  const exchange = async (name: string, type: string): Promise<void> => {
    await wire.ask(1, "exchange.declare", { exchange: name, type, durable: true }, "exchange.declare-ok");
  };
  await exchange("crash.direct", "direct");
  await exchange("crash.topic", "topic");
  await exchange("crash.both", "fanout");
  for (const queue of ["a", "b1", "b2", "b.moved", "c", "d", "d.moved"]) await wire.declare(queue, { durable: true });
  await wire.declare("marks", { durable: true, arguments: new Map([["x-max-length", 10]]) });
  // From exchange to exchange, so that the binding of two exchanges is needed for every message.
  const onwards = { destination: "crash.direct", source: "crash.topic", routingKey: "to.*" };
  await wire.ask(1, "exchange.bind", onwards, "exchange.bind-ok");
  await wire.ask(1, "queue.bind", { queue: "a", exchange: "crash.direct", routingKey: "to.a" }, "queue.bind-ok");
  for (const queue of ["b1", "b2"]) await wire.ask(1, "queue.bind", { queue, exchange: "crash.both" }, "queue.bind-ok");
}

/** Publishes numbers with confirms, mandatory, by two exchanges. */
export async function publishConfirmed(port: number, record: QueueRecord, random: Random): Promise<void> {
  using wire = await AmqpWire.channel(port);
  await wire.ask(1, "confirm.select", {}, "confirm.select-ok");
  const first = record.sent;
  for (let confirmed = 0; confirmed < MOST; ) {
    const count = Math.min(
      1 + random.below(WINDOW),
      first + confirmed + WINDOW - record.sent,
      first + MOST - record.sent,
    );
    const sends = Array.from({ length: Math.max(0, count) }, () =>
      published("crash.topic", "to.a", `${++record.sent}`, { ...DURABLE, mandatory: true }),
    );
    if (sends.length > 0) await wire.wire.send(Buffer.concat(sends));
    // A message that reaches no queue would come back before this: its binding would be lost.
    const { deliveryTag } = await wire.expect("basic.ack");
    for (; confirmed < deliveryTag; confirmed++) record.confirmed.add(first + confirmed + 1);
  }
}

/**
 * Consumes and acknowledges, one by one or all up to one, not always in order. Acknowledgements are not answered: what is
 * confirmed of what is published behind them on the same connection says that they are kept.
 */
export async function acknowledge(port: number, record: QueueRecord, random: Random): Promise<void> {
  using wire = await AmqpWire.channel(port);
  await wire.ask(1, "confirm.select", {}, "confirm.select-ok");
  await wire.ask(1, "basic.qos", { prefetchCount: WINDOW }, "basic.qos-ok");
  record.begin();
  await wire.say("basic.consume", { queue: record.queue });
  const held: { tag: number; number: number }[] = [];
  const marks: number[][] = [];
  let confirmed = 0;
  for (;;) {
    const frame = await wire.peek();
    if (frame.type !== "method") throw new Error(`Expected a method, received a ${frame.type} frame`);
    if (frame.method.name === "basic.consume-ok") {
      await wire.next();
    } else if (frame.method.name === "basic.ack") {
      const { deliveryTag } = await wire.expect("basic.ack");
      for (; confirmed < deliveryTag; confirmed++)
        for (const number of marks[confirmed] ?? []) record.settled.add(number);
    } else {
      const { method, body } = await wire.delivery();
      record.give(Number(body));
      held.push({ tag: method.deliveryTag, number: Number(body) });
      if (held.length < WINDOW / 2 && random.chance(0.7)) continue;
      const at = random.below(held.length);
      const multiple = random.chance(0.5);
      const now = multiple ? held.splice(0, at + 1) : held.splice(at, 1);
      for (const { number } of now) record.released.add(number);
      marks.push(now.map(({ number }) => number));
      const ack = spoken("basic.ack", { deliveryTag: now.at(-1)?.tag ?? 0, multiple });
      await wire.wire.send(Buffer.concat([ack, published("", "marks", "mark", DURABLE)]));
    }
  }
}

/** Publishes in transactions, each to two queues. */
export async function publishInTransactions(port: number, transfers: Transfers): Promise<void> {
  using wire = await AmqpWire.channel(port);
  await wire.ask(1, "tx.select", {}, "tx.select-ok");
  for (let count = 0; count < MOST / transfers.size; count += 2) {
    // Two at a time, so that one is under way while the other is kept.
    const first = transfers.sent + 1;
    const sends = [first, first + 1].flatMap((transaction) => [
      ...transfers.numbersOf(transaction).map((number) => published("crash.both", "", `${number}`, DURABLE)),
      spoken("tx.commit", {}),
    ]);
    transfers.sent += 2;
    await wire.wire.send(Buffer.concat(sends));
    for (const transaction of [first, first + 1]) {
      await wire.expect("tx.commit-ok");
      transfers.confirmed.add(transaction);
    }
  }
}

/** Moves from one queue to another, in transactions of an acknowledgement and sends. */
export async function moveInTransactions(port: number, transfers: Transfers, random: Random): Promise<void> {
  using wire = await AmqpWire.channel(port);
  await wire.ask(1, "tx.select", {}, "tx.select-ok");
  await wire.ask(1, "basic.qos", { prefetchCount: WINDOW }, "basic.qos-ok");
  await wire.say("basic.consume", { queue: "b1" });
  const held: { tag: number; number: number }[] = [];
  const committing: number[][] = [];
  for (;;) {
    const frame = await wire.peek();
    if (frame.type !== "method") throw new Error(`Expected a method, received a ${frame.type} frame`);
    if (frame.method.name === "basic.consume-ok") {
      await wire.next();
    } else if (frame.method.name === "tx.commit-ok") {
      await wire.next();
      for (const number of committing.shift() ?? []) transfers.moved.add(number);
    } else {
      const { method, body } = await wire.delivery();
      held.push({ tag: method.deliveryTag, number: Number(body) });
      if (held.length < WINDOW / 2 && random.chance(0.8)) continue;
      const now = held.splice(0);
      const sends = now.map(({ number }) => published("", "b.moved", `${number}`, DURABLE));
      const ack = spoken("basic.ack", { deliveryTag: now.at(-1)?.tag ?? 0, multiple: true });
      committing.push(now.map(({ number }) => number));
      await wire.wire.send(Buffer.concat([...sends, ack, spoken("tx.commit", {})]));
    }
  }
}

/** What was declared in lives before, each an exchange with a queue of its own. */
export class Declarations {
  readonly wrong: string[] = [];
  readonly #there: string[] = [];
  readonly #gone: string[] = [];
  #made = 0;
  /** Sees what is there of earlier lives, makes more, and deletes some. */
  async live(port: number): Promise<void> {
    using wire = await AmqpWire.channel(port);
    await wire.ask(1, "confirm.select", {}, "confirm.select-ok");
    for (const name of this.#there) {
      await wire.publish(name, "key", "x", { ...DURABLE, mandatory: true });
      // A basic.return, or the channel's end, would come before.
      await wire.expect("basic.ack");
    }
    for (const [index, name] of this.#gone.entries()) {
      const channel = index + 2;
      await wire.openChannel(channel);
      const { replyCode } = await wire.ask(channel, "queue.declare", { queue: name, passive: true }, "channel.close");
      if (replyCode !== 404) this.wrong.push(`Queue ${name} is there again: ${replyCode}`);
      await wire.say("channel.close-ok", {}, channel);
    }
    for (;;) {
      const name = `made.${++this.#made}`;
      await wire.ask(1, "exchange.declare", { exchange: name, type: "topic", durable: true }, "exchange.declare-ok");
      await wire.declare(name, { durable: true });
      await wire.ask(1, "queue.bind", { queue: name, exchange: name, routingKey: "#" }, "queue.bind-ok");
      this.#there.push(name);
      if (this.#there.length <= 4) continue;
      const [old] = this.#there.splice(0, 1);
      if (old === undefined) return;
      await wire.ask(1, "queue.delete", { queue: old }, "queue.delete-ok");
      await wire.ask(1, "exchange.delete", { exchange: old }, "exchange.delete-ok");
      this.#gone.push(old);
      if (this.#gone.length > 2) this.#gone.shift();
      if (this.#made % 10 === 0) return;
    }
  }
}

/** Everything in a queue, in order. */
export async function drain(port: number, queue: string): Promise<number[]> {
  using wire = await AmqpWire.channel(port);
  const { messageCount } = await wire.ask(1, "queue.declare", { queue, passive: true }, "queue.declare-ok");
  await wire.consume(queue, { noAck: true });
  const numbers: number[] = [];
  while (numbers.length < messageCount) numbers.push(Number((await wire.delivery()).body));
  await wire.quiet();
  return numbers;
}
