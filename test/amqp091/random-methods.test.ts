import { array, assert, asyncProperty, boolean, constant, constantFrom, integer, nat, oneof, record } from "fast-check";
import { describe, expect, it } from "vitest";
import { AmqpWire, contentHeader, frameBytes, methodBytes, published, spoken } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

const channel = integer({ min: 1, max: 3 });
const queue = oneof({ weight: 20, arbitrary: constantFrom("a", "b") }, constantFrom("", "missing"));
const exchange = oneof({ weight: 20, arbitrary: constantFrom("", "amq.topic", "x") }, constant("missing"));
const key = constantFrom("a", "b", "#", "nowhere");
const tag = constantFrom("", "", "", "c");
const noWait = constantFrom(false, false, true);

/** What sensible clients say, in an order that makes no sense. */
const said = oneof(
  record({ channel, queue, autoDelete: constantFrom(false, false, false, true), noWait }).map(
    ({ channel: on, ...args }) => spoken("queue.declare", args, on),
  ),
  record({ channel, queue, ifUnused: boolean(), ifEmpty: boolean(), noWait }).map(({ channel: on, ...args }) =>
    spoken("queue.delete", args, on),
  ),
  record({ channel, queue, exchange, routingKey: key, noWait }).map(({ channel: on, ...args }) =>
    spoken("queue.bind", args, on),
  ),
  record({
    channel,
    exchange: constantFrom("x", "y"),
    type: constantFrom("direct", "topic"),
    autoDelete: boolean(),
    noWait,
  }).map(({ channel: on, ...args }) => spoken("exchange.declare", args, on)),
  record({ channel, exchange, ifUnused: boolean() }).map(({ channel: on, ...args }) =>
    spoken("exchange.delete", args, on),
  ),
  record({
    channel,
    queue,
    consumerTag: tag,
    noAck: boolean(),
    exclusive: constantFrom(false, false, true),
    noWait,
  }).map(({ channel: on, ...args }) => spoken("basic.consume", args, on)),
  record({ channel, consumerTag: tag, noWait }).map(({ channel: on, ...args }) => spoken("basic.cancel", args, on)),
  record({ channel, queue, noAck: boolean() }).map(({ channel: on, ...args }) => spoken("basic.get", args, on)),
  record({ channel, prefetchCount: nat(3), global: boolean() }).map(({ channel: on, ...args }) =>
    spoken("basic.qos", args, on),
  ),
  record({ channel, deliveryTag: nat(6), multiple: boolean() }).map(({ channel: on, ...args }) =>
    spoken("basic.ack", args, on),
  ),
  record({ channel, deliveryTag: nat(6), multiple: boolean(), requeue: boolean() }).map(({ channel: on, ...args }) =>
    spoken("basic.nack", args, on),
  ),
  record({ channel, active: boolean() }).map(({ channel: on, ...args }) => spoken("channel.flow", args, on)),
  record({ channel, exchange, key, size: nat(50), mandatory: boolean(), deliveryMode: constantFrom(1, 2) }).map(
    ({ channel: on, exchange: to, key: by, size, ...options }) => published(to, by, "x".repeat(size), options, on),
  ),
  channel.map((on) => spoken("basic.recover", {}, on)),
  channel.map((on) => spoken("confirm.select", {}, on)),
  channel.map((on) => spoken("tx.select", {}, on)),
  channel.map((on) => spoken("tx.commit", {}, on)),
  channel.map((on) => spoken("tx.rollback", {}, on)),
  channel.map((on) => spoken("channel.close", {}, on)),
);

/** Frames that are out of order where they come. */
const odd = oneof(
  channel.map((on) => spoken("channel.close-ok", {}, on)),
  channel.map((on) => spoken("channel.open", {}, on)),
  channel.map((on) => contentHeader(on, 5)),
  channel.map((on) => frameBytes("body", on, Buffer.from("abc"))),
  channel.map((on) =>
    methodBytes(on, "basic.publish", { exchange: "", routingKey: "a", mandatory: false, immediate: false }),
  ),
  constant(methodBytes(0, "connection.close", { replyCode: 200, replyText: "", classId: 0, methodId: 0 })),
  nat(255).map((byte) => Buffer.from([byte])),
);

describe("whatever frames a client sends", () => {
  it("the broker answers in the protocol's words, serves others, and lets go of everything", async () => {
    const { port, server, log } = await startBroker(["amqp.close_timeout=20ms", "connection.close_timeout=20ms"]);
    using other = await AmqpWire.channel(port);
    await assert(
      asyncProperty(
        array(oneof({ weight: 100, arbitrary: said }, { weight: 1, arbitrary: odd }), { maxLength: 100 }),
        async (frames) => {
          using client = await AmqpWire.open(port);
          for (const on of [1, 2, 3]) await client.openChannel(on);
          for (const name of ["a", "b"]) await client.declare(name);
          await client.ask(1, "exchange.declare", { exchange: "x" }, "exchange.declare-ok");
          await client.wire.send(Buffer.concat(frames));
          client.wire.finish();
          await client.wire.closed();
          for (const name of ["a", "b"]) await other.ask(1, "queue.delete", { queue: name }, "queue.delete-ok");
          await other.ask(1, "exchange.delete", { exchange: "x" }, "exchange.delete-ok");
        },
      ),
      { numRuns: 300 },
    );
    const host = server.broker.host(undefined);
    await eventually(() => host?.clients.size === 1);
    expect(log.filter((line) => /the broker failed|TypeError|RangeError/.test(line))).toEqual([]);
    const [connected] = host?.clients ?? [];
    expect(connected?.subscriptions.size).toBe(0);
  });
});
