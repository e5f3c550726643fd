import { describe, expect, it, onTestFinished } from "vitest";
import type { AddressKind } from "../../core/addresses/address.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { amqp091Format } from "../../protocols/amqp091/convert.ts";
import { systemClock } from "../../src/clock.ts";
import { MemoryStore } from "../../store/memory/store.ts";
import { AmqpWire, spoken } from "../support/amqp091-wire.ts";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { lateStore } from "../support/store-late.ts";

async function open(settings: readonly string[] = [], capabilities: readonly string[] = []): Promise<AmqpWire> {
  const { port } = await startBroker(settings);
  return another(port, capabilities);
}

async function another(port: number, capabilities: readonly string[] = []): Promise<AmqpWire> {
  const client = await AmqpWire.channel(port, { capabilities });
  onTestFinished(() => client[Symbol.dispose]());
  return client;
}

async function fill(client: AmqpWire, queue: string, count: number): Promise<void> {
  for (let number = 1; number <= count; number++) await client.publish("", queue, `${number}`);
}

async function bodies(client: AmqpWire, count: number): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) found.push((await client.delivery()).body);
  return found;
}

describe("a consumer", () => {
  it("is given messages under its own tag or one that the broker makes, numbered through the channel", async () => {
    const client = await open();
    await client.declare("a");
    await client.declare("b");
    await fill(client, "a", 1);
    const tag = await client.consume("a");
    expect(tag).toMatch(/^amq\.ctag-/);
    expect((await client.delivery()).method).toMatchObject({ consumerTag: tag, deliveryTag: 1, routingKey: "a" });
    await client.consume("b", { consumerTag: "mine", noAck: true });
    await fill(client, "b", 1);
    expect((await client.delivery()).method).toMatchObject({ consumerTag: "mine", deliveryTag: 2, routingKey: "b" });
  });

  it("is told that it consumes before it is given anything", async () => {
    const client = await open();
    await client.declare("q", { durable: true });
    await client.publish("", "q", "a", { deliveryMode: 2 });
    // Each answer but the last waits for the disk.
    await client.wire.send(
      Buffer.concat([
        spoken("queue.declare", { queue: "other", durable: true }),
        spoken("basic.qos", { prefetchCount: 1 }),
        spoken("basic.consume", { queue: "q", consumerTag: "c" }),
        spoken("basic.qos", { prefetchCount: 2 }),
      ]),
    );
    await client.expect("queue.declare-ok");
    await client.expect("basic.qos-ok");
    await client.expect("basic.consume-ok");
    await client.expect("basic.qos-ok");
    expect((await client.delivery()).body).toBe("a");
  });

  it("under a tag that is in use is a mistake of the connection", async () => {
    const client = await open();
    await client.declare("q");
    await client.consume("q", { consumerTag: "c" });
    await client.say("basic.consume", { queue: "q", consumerTag: "c" });
    expect(await client.expect("connection.close")).toMatchObject({
      replyCode: 530,
      replyText: "NOT_ALLOWED - attempt to reuse consumer tag 'c'",
    });
  });

  it("of a queue that there is not closes the channel", async () => {
    const client = await open();
    await client.say("basic.consume", { queue: "missing" });
    expect(await client.expect("channel.close")).toMatchObject({ replyCode: 404, classId: 60, methodId: 20 });
  });

  it("that wants a queue alone gets it when nobody else has it, and keeps others out", async () => {
    const { port } = await startBroker();
    const client = await another(port);
    const other = await another(port);
    await client.declare("q");
    const tag = await client.consume("q", { exclusive: true });
    for (const exclusive of [false, true]) {
      await other.say("basic.consume", { queue: "q", exclusive });
      expect(await other.expect("channel.close")).toMatchObject({
        replyCode: 403,
        replyText: "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use",
      });
      await other.say("channel.close-ok");
      await other.openChannel(1);
    }
    await client.ask(1, "basic.cancel", { consumerTag: tag }, "basic.cancel-ok");
    await other.consume("q");
    await client.say("basic.consume", { queue: "q", exclusive: true });
    expect(await client.expect("channel.close")).toMatchObject({ replyCode: 403 });
  });

  it("of a higher priority is served first", async () => {
    const client = await open();
    await client.declare("q");
    await client.consume("q", { consumerTag: "low", noAck: true, arguments: new Map([["x-priority", -1]]) });
    await client.consume("q", { consumerTag: "high", noAck: true, arguments: new Map([["x-priority", 5]]) });
    await fill(client, "q", 3);
    for (let count = 0; count < 3; count++) expect((await client.delivery()).method.consumerTag).toBe("high");
    await client.say("basic.consume", { queue: "q", arguments: new Map([["x-priority", "high"]]) });
    expect(await client.expect("channel.close")).toMatchObject({ replyCode: 406 });
  });

  it("that is cancelled keeps what it was given until that is acknowledged", async () => {
    const client = await open();
    await client.declare("q");
    await fill(client, "q", 2);
    await client.consume("q", { consumerTag: "c" });
    await bodies(client, 2);
    await client.ask(1, "basic.cancel", { consumerTag: "c" }, "basic.cancel-ok");
    await fill(client, "q", 1);
    expect(await client.get("q")).toMatchObject({ method: { deliveryTag: 3 } });
    await client.say("basic.ack", { deliveryTag: 1 });
    await client.say("basic.nack", { deliveryTag: 2, requeue: true });
    expect(await client.get("q")).toMatchObject({ body: "2", method: { redelivered: true } });
    expect(await client.get("q")).toBeUndefined();
    expect(await client.ask(1, "basic.cancel", { consumerTag: "unknown" }, "basic.cancel-ok")).toEqual({
      consumerTag: "unknown",
    });
  });

  it("is told when its queue is deleted, if it understands that", async () => {
    const { port } = await startBroker();
    const knowing = await another(port, ["consumer_cancel_notify"]);
    const other = await another(port);
    await knowing.declare("q");
    await knowing.consume("q", { consumerTag: "c" });
    await other.consume("q");
    await other.ask(1, "queue.delete", { queue: "q" }, "queue.delete-ok");
    expect(await knowing.expect("basic.cancel", 1)).toEqual({ consumerTag: "c", noWait: true });
    await other.quiet();
    await knowing.declare("q");
    await knowing.consume("q", { consumerTag: "c" });
  });

  it("beyond amqp.max_consumers is refused", async () => {
    const client = await open(["amqp.max_consumers=2"]);
    await client.declare("q");
    await client.consume("q");
    const tag = await client.consume("q");
    await client.ask(1, "basic.cancel", { consumerTag: tag }, "basic.cancel-ok");
    await client.consume("q");
    await client.say("basic.consume", { queue: "q" });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: expect.stringContaining("amqp.max_consumers"),
    });
  });

  it("that does not read is given no more than fits, and everything in the end", async () => {
    const { port, server } = await startBroker();
    const client = await another(port);
    await client.declare("q");
    await client.consume("q", { noAck: true });
    client.wire.pause();
    const sender = await another(port);
    const body = Buffer.alloc(50_000);
    for (let count = 0; count < 300; count++) await sender.publish("", "q", body);
    const queue = server.broker.host(undefined)?.queues.get("q");
    await eventually(() => (queue?.count ?? 0) > 0);
    client.wire.resume();
    for (let count = 0; count < 300; count++) await client.delivery();
    expect(queue?.count).toBe(0);
  });
});

describe("the prefetch count", () => {
  it("is for each further consumer", async () => {
    const client = await open();
    for (const queue of ["a", "b"]) await client.declare(queue);
    await client.ask(1, "basic.qos", { prefetchCount: 2 }, "basic.qos-ok");
    await client.consume("a", { consumerTag: "a" });
    await client.ask(1, "basic.qos", { prefetchCount: 1 }, "basic.qos-ok");
    await client.consume("b", { consumerTag: "b" });
    for (const queue of ["a", "b"]) await fill(client, queue, 5);
    const given = [await client.delivery(), await client.delivery(), await client.delivery()];
    expect(given.map(({ method }) => method.consumerTag).sort()).toEqual(["a", "a", "b"]);
    await client.quiet();
    const ofB = given.find(({ method }) => method.consumerTag === "b");
    await client.say("basic.ack", { deliveryTag: ofB?.method.deliveryTag ?? 0 });
    expect(await client.delivery()).toMatchObject({ body: "2", method: { consumerTag: "b" } });
    await client.quiet();
  });

  it("that is global is for the whole channel, but not for what needs no acknowledgement", async () => {
    const client = await open();
    for (const queue of ["a", "b", "c"]) await client.declare(queue);
    await client.ask(1, "basic.qos", { prefetchCount: 3, global: true }, "basic.qos-ok");
    await client.consume("a", { consumerTag: "a" });
    await client.consume("b", { consumerTag: "b" });
    for (const queue of ["a", "b"]) await fill(client, queue, 5);
    const given = [await client.delivery(), await client.delivery(), await client.delivery()];
    await client.quiet();
    await client.consume("c", { consumerTag: "c", noAck: true });
    await fill(client, "c", 2);
    for (let count = 0; count < 2; count++) expect((await client.delivery()).method.consumerTag).toBe("c");
    // One that comes while the channel has all it may have.
    await client.consume("a", { consumerTag: "late" });
    await client.quiet();
    await client.say("basic.ack", { deliveryTag: given[1]?.method.deliveryTag ?? 0 });
    await client.delivery();
    await client.quiet();
    await client.ask(1, "basic.qos", { prefetchCount: 5, global: true }, "basic.qos-ok");
    await client.delivery();
    await client.delivery();
    await client.quiet();
    await client.ask(1, "basic.qos", { prefetchCount: 0, global: true }, "basic.qos-ok");
    for (let rest = 0; rest < 4; rest++) await client.delivery();
    await client.quiet();
  });

  it("of 0 leaves it to amqp.credit", async () => {
    const client = await open(["amqp.credit.messages=3", "amqp.credit.bytes=0"]);
    await client.declare("q");
    await client.consume("q");
    await fill(client, "q", 5);
    expect(await bodies(client, 3)).toEqual(["1", "2", "3"]);
    await client.quiet();
    await client.say("basic.ack", { deliveryTag: 2, multiple: true });
    expect(await bodies(client, 2)).toEqual(["4", "5"]);
  });

  it("in bytes is more than the broker does", async () => {
    const client = await open();
    await client.say("basic.qos", { prefetchSize: 1 });
    expect(await client.expect("connection.close")).toMatchObject({ replyCode: 540 });
  });
});

/** A client, and so many messages in a queue `q` whose store answers in a later turn. */
async function withMessagesThatAreReadLate(count: number): Promise<AmqpWire> {
  const options = {
    formats: new Map([[amqp091Format.name, amqp091Format]]),
    addresses: (name: string, kind: AddressKind) => canonical.parse(kind, name),
    clock: systemClock,
  };
  const store = lateStore(new MemoryStore(options), systemClock);
  const { port } = await startBroker(['queues=[{"match":"**","memory":1024}]'], { store });
  const client = await another(port);
  await client.declare("q", { durable: true });
  await client.ask(1, "confirm.select", {}, "confirm.select-ok");
  for (let number = 0; number < count; number++) {
    await client.publish("", "q", `${number}`.padEnd(500), { deliveryMode: 2 });
  }
  for (let confirmed = 0; confirmed < count; ) confirmed = (await client.expect("basic.ack")).deliveryTag;
  return client;
}

describe("basic.get", () => {
  it("takes one message, or says that there is none", async () => {
    const client = await open();
    await client.declare("q");
    expect(await client.get("q")).toBeUndefined();
    await fill(client, "q", 3);
    expect(await client.get("q")).toMatchObject({
      body: "1",
      method: { deliveryTag: 1, redelivered: false, exchange: "", routingKey: "q", messageCount: 2 },
    });
    expect(await client.get("q", false)).toMatchObject({ body: "2", method: { deliveryTag: 2, messageCount: 1 } });
    await client.say("basic.reject", { deliveryTag: 2, requeue: true });
    expect(await client.get("q", false)).toMatchObject({ body: "2", method: { deliveryTag: 3, redelivered: true } });
    await client.say("basic.ack", { deliveryTag: 3 });
    expect((await client.get("q"))?.body).toBe("3");
  });

  it("of a queue that there is not closes the channel", async () => {
    const client = await open();
    await client.say("basic.get", { queue: "missing" });
    expect(await client.expect("channel.close")).toMatchObject({ replyCode: 404, classId: 60, methodId: 70 });
  });

  it("of a channel that closes before there is an answer takes nothing", async () => {
    const count = 100;
    const client = await withMessagesThatAreReadLate(count);
    await client.openChannel(2);
    // One of them has to be read first.
    let got = 0;
    for (let asked = 0; asked < 20; asked++) {
      await client.say("basic.get", { queue: "q" }, 2);
      await client.say("channel.close", {}, 2);
      const frame = await client.next();
      if (frame.type === "method" && frame.method.name === "basic.get-ok") {
        got++;
        await client.next();
        await client.next();
        await client.expect("channel.close-ok", 2);
      }
      await client.openChannel(2);
      await client.get("q");
    }
    expect(got).toBeLessThan(20);
    await client.consume("q", { noAck: true });
    expect(await bodies(client, count - 20)).toHaveLength(count - 20);
  });

  it("many times without waiting is answered when the store answers late", async () => {
    const count = 40;
    const client = await withMessagesThatAreReadLate(count);
    for (let number = 0; number < count; number += 4) {
      await client.wire.send(Buffer.concat(Array.from({ length: 4 }, () => spoken("basic.get", { queue: "q" }))));
      for (let left = 0; left < 4; left++) {
        expect((await client.content("basic.get-ok")).body.trim()).toBe(`${number + left}`);
      }
    }
  });

  it("many times without waiting is answered in order, also of what must be read from the disk", async () => {
    const { port } = await startBroker([
      "store.kind=lmdb",
      `store.directory=${temporaryFolder()}`,
      'queues=[{"match":"**","memory":1024}]',
    ]);
    const client = await another(port);
    await client.declare("q", { durable: true });
    await client.ask(1, "confirm.select", {}, "confirm.select-ok");
    const count = 300;
    for (let number = 0; number < count; number++) {
      await client.publish("", "q", `${number}`.padEnd(500), { deliveryMode: 2 });
    }
    for (let confirmed = 0; confirmed < count; ) confirmed = (await client.expect("basic.ack")).deliveryTag;
    const gets = Buffer.concat(Array.from({ length: count }, () => spoken("basic.get", { queue: "q", noAck: true })));
    await client.wire.send(Buffer.concat([gets, spoken("basic.qos", {})]));
    for (let number = 0; number < count; number++) {
      expect((await client.content("basic.get-ok")).body.trim()).toBe(`${number}`);
    }
    await client.expect("basic.qos-ok");
  });
});

describe("deliveries that wait to be acknowledged", () => {
  it("are at most amqp.max_unacked in a channel, whatever its consumers may have", async () => {
    const client = await open(["amqp.max_unacked=3"]);
    await client.declare("q");
    await client.consume("q", { consumerTag: "a" });
    await client.consume("q", { consumerTag: "b" });
    await fill(client, "q", 5);
    const given = [await client.delivery(), await client.delivery(), await client.delivery()];
    expect(given.map(({ body }) => body)).toEqual(["1", "2", "3"]);
    await client.quiet();
    await client.say("basic.get", { queue: "q" });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: expect.stringContaining("amqp.max_unacked"),
    });
  });
});
