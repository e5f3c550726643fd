import { describe, expect, it, onTestFinished } from "vitest";
import type { FieldValue } from "../../protocols/amqp091/field-table.ts";
import type { Arguments } from "../../protocols/amqp091/methods.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

function table(entries: Readonly<Record<string, FieldValue>>): ReadonlyMap<string, FieldValue> {
  return new Map(Object.entries(entries));
}

async function open(): Promise<{ client: AmqpWire; port: number }> {
  const { port } = await startBroker();
  const client = await AmqpWire.channel(port);
  onTestFinished(() => client[Symbol.dispose]());
  return { client, port };
}

describe("declaring a queue", () => {
  it("answers with its name and what it has", async () => {
    const { client } = await open();
    await client.declare("q");
    await client.publish("", "q", "a");
    await client.publish("", "q", "b");
    await client.consume("q", { exclusive: false }, 1);
    await client.delivery();
    await client.delivery();
    const ok = await client.ask(1, "queue.declare", { queue: "q", passive: true }, "queue.declare-ok");
    expect(ok).toEqual({ queue: "q", messageCount: 0, consumerCount: 1 });
  });

  it("without a name gives it one, which stands for itself until another is declared", async () => {
    const { client } = await open();
    const name = await client.declare("");
    expect(name).toMatch(/^amq\.gen-/);
    expect(await client.declare("")).not.toBe(name);
    await client.declare(name);
    await client.publish("", name, "a");
    expect((await client.get(""))?.body).toBe("a");
    expect(await client.ask(1, "queue.purge", {}, "queue.purge-ok")).toEqual({ messageCount: 0 });
    expect(await client.ask(1, "queue.declare", { passive: true }, "queue.declare-ok")).toMatchObject({ queue: name });
  });

  it("without waiting for an answer gets none", async () => {
    const { client } = await open();
    await client.say("queue.declare", { queue: "q", noWait: true });
    await client.say("queue.bind", { queue: "q", exchange: "amq.fanout", noWait: true });
    await client.say("exchange.declare", { exchange: "x", noWait: true });
    await client.say("exchange.bind", { destination: "x", source: "amq.fanout", noWait: true });
    await client.say("exchange.unbind", { destination: "x", source: "amq.fanout", noWait: true });
    await client.say("exchange.delete", { exchange: "x", noWait: true });
    await client.say("basic.consume", { queue: "q", consumerTag: "c", noWait: true });
    await client.say("basic.cancel", { consumerTag: "c", noWait: true });
    await client.say("queue.purge", { queue: "q", noWait: true });
    await client.say("queue.delete", { queue: "q", noWait: true });
    await client.say("confirm.select", { noWait: true });
    await client.quiet();
  });

  it("that is another connection's alone is refused, until that has gone", async () => {
    const { client, port } = await open();
    await client.declare("mine", { exclusive: true });
    using other = await AmqpWire.channel(port);
    await other.say("queue.declare", { queue: "mine", passive: true });
    expect(await other.expect("channel.close")).toMatchObject({
      replyCode: 405,
      replyText: expect.stringContaining("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine'"),
    });
    client.wire.reset();
    using last = await AmqpWire.channel(port);
    await eventually(async () => {
      await last.say("queue.declare", { queue: "mine", passive: true });
      const answer = await last.expect("channel.close");
      await last.say("channel.close-ok");
      await last.openChannel(1);
      expect(answer.replyCode).toBe(404);
    });
  });

  it("that deletes itself is gone with its last consumer", async () => {
    const { client } = await open();
    await client.declare("brief", { autoDelete: true });
    const tag = await client.consume("brief");
    await client.ask(1, "basic.cancel", { consumerTag: tag }, "basic.cancel-ok");
    await client.say("queue.declare", { queue: "brief", passive: true });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 404,
      replyText: expect.stringMatching(/^NOT_FOUND - .*'?brief'?/),
    });
  });

  it.each<[string, Partial<Arguments<"queue.declare">>, string]>([
    ["durability", { durable: true }, "inequivalent arg 'durable' for queue 'q'"],
    ["deletion", { autoDelete: true }, "inequivalent arg 'auto_delete' for queue 'q'"],
    ["an argument", { arguments: table({ "x-max-length": 6 }) }, "inequivalent arg 'x-max-length' for queue 'q'"],
  ])("again with another %s is refused", async (_what, args, text) => {
    const { client } = await open();
    const same = { arguments: table({ "x-max-length": 5 }) };
    await client.declare("q", same);
    await client.declare("q", same);
    await client.say("queue.declare", { queue: "q", ...same, ...args });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: expect.stringContaining(text),
      classId: 50,
      methodId: 10,
    });
  });

  it.each<[string, FieldValue, string]>([
    ["x-message-ttl", "1000", "expected an integer, found a string"],
    ["x-message-ttl", -1, "found -1"],
    ["x-expires", 0, "expected 1 or more"],
    ["x-max-length", true, "expected an integer, found a boolean"],
    ["x-max-length-bytes", -5, "found -5"],
    ["x-overflow", "explode", "expected one of drop-head, reject-publish, reject-publish-dlx"],
    ["x-dead-letter-exchange", 1, "expected a text"],
    ["x-dead-letter-routing-key", "key", "expected x-dead-letter-exchange beside it"],
    ["x-max-priority", 256, "expected 0 to 255"],
    ["x-single-active-consumer", "yes", "expected true or false"],
    ["x-delivery-limit", null, "expected an integer, found nothing"],
    ["x-queue-type", "stream", "expected one of classic, quorum"],
  ])("with %s = %s is refused", async (name, value, text) => {
    const { client } = await open();
    await client.say("queue.declare", { queue: "q", arguments: table({ [name]: value }) });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: expect.stringMatching(
        `^PRECONDITION_FAILED - invalid arg '${name}' for queue 'q' in vhost '/': .*${text}`,
      ),
    });
  });

  it("with a reserved name that there is not is refused", async () => {
    const { client } = await open();
    await client.say("queue.declare", { queue: "amq.mine" });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 403,
      replyText: "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
    });
  });
});

describe("what a queue is declared with", () => {
  it("x-message-ttl has messages expire, to a dead-letter exchange with x-death", async () => {
    const { client } = await open();
    await client.declare("dead");
    await client.ask(1, "exchange.declare", { exchange: "dlx", type: "fanout" }, "exchange.declare-ok");
    await client.ask(1, "queue.bind", { queue: "dead", exchange: "dlx" }, "queue.bind-ok");
    await client.declare("q", { arguments: table({ "x-message-ttl": 1, "x-dead-letter-exchange": "dlx" }) });
    await client.publish("", "q", "a");
    await client.consume("dead", { noAck: true });
    const { body, properties, method } = await client.delivery();
    expect(body).toBe("a");
    expect(method).toMatchObject({ exchange: "dlx", routingKey: "q" });
    expect(properties.headers?.get("x-first-death-queue")).toBe("q");
    expect(properties.headers?.get("x-first-death-reason")).toBe("expired");
  });

  it("x-max-length drops the oldest, or with x-overflow refuses the newest", async () => {
    const { client } = await open();
    await client.declare("ring", { arguments: table({ "x-max-length": 2 }) });
    for (const body of ["a", "b", "c"]) await client.publish("", "ring", body);
    expect([(await client.get("ring"))?.body, (await client.get("ring"))?.body]).toEqual(["b", "c"]);
    await client.declare("full", { arguments: table({ "x-max-length": 1, "x-overflow": "reject-publish" }) });
    await client.ask(1, "confirm.select", {}, "confirm.select-ok");
    await client.publish("", "full", "a");
    expect(await client.expect("basic.ack")).toEqual({ deliveryTag: 1, multiple: false });
    await client.publish("", "full", "b");
    expect(await client.expect("basic.nack")).toMatchObject({ deliveryTag: 2, multiple: false });
    expect((await client.get("full"))?.body).toBe("a");
  });

  it("x-max-length counts what waits, not what consumers have", async () => {
    const { client } = await open();
    await client.declare("ring", { arguments: table({ "x-max-length": 2 }) });
    const consumerTag = await client.consume("ring", { noAck: false });
    for (const body of ["a", "b", "c"]) await client.publish("", "ring", body);
    const bodies = [];
    for (let count = 0; count < 3; count++) bodies.push((await client.delivery()).body);
    expect(bodies).toEqual(["a", "b", "c"]);
    await client.ask(1, "basic.cancel", { consumerTag }, "basic.cancel-ok");
    await client.say("basic.nack", { deliveryTag: 0, multiple: true, requeue: true });
    expect([(await client.get("ring"))?.body, (await client.get("ring"))?.body]).toEqual(["b", "c"]);
  });

  it("x-overflow=reject-publish-dlx refuses the newest, which goes to the dead letters", async () => {
    const { client } = await open();
    await client.declare("dead");
    await client.declare("full", {
      arguments: table({
        "x-max-length": 1,
        "x-overflow": "reject-publish-dlx",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "dead",
      }),
    });
    for (const body of ["a", "b"]) await client.publish("", "full", body);
    expect((await client.get("full"))?.body).toBe("a");
    const { body, properties } = (await client.get("dead")) ?? {};
    expect(body).toBe("b");
    expect(properties?.headers?.get("x-first-death-reason")).toBe("maxlen");
  });

  it("x-max-priority has more urgent messages overtake", async () => {
    const { client } = await open();
    await client.declare("urgent", { arguments: table({ "x-max-priority": 10 }) });
    for (const priority of [0, 5, 10, 2]) await client.publish("", "urgent", `${priority}`, { priority });
    const bodies = [];
    for (let count = 0; count < 4; count++) bodies.push((await client.get("urgent"))?.body);
    expect(bodies).toEqual(["10", "5", "2", "0"]);
  });

  it("x-single-active-consumer has one consumer at a time", async () => {
    const { client } = await open();
    await client.declare("q", { arguments: table({ "x-single-active-consumer": true }) });
    await client.consume("q", { consumerTag: "first", noAck: true });
    await client.consume("q", { consumerTag: "second", noAck: true });
    for (const body of ["a", "b"]) await client.publish("", "q", body);
    expect((await client.delivery()).method.consumerTag).toBe("first");
    expect((await client.delivery()).method.consumerTag).toBe("first");
    await client.ask(1, "basic.cancel", { consumerTag: "first" }, "basic.cancel-ok");
    await client.publish("", "q", "c");
    expect((await client.delivery()).method.consumerTag).toBe("second");
  });

  it("x-delivery-limit has a message that keeps coming back given up", async () => {
    const { client } = await open();
    await client.declare("q", { arguments: table({ "x-delivery-limit": 1 }) });
    await client.publish("", "q", "a");
    await client.consume("q");
    for (const redelivered of [false, true]) {
      const { method } = await client.delivery();
      expect(method.redelivered).toBe(redelivered);
      await client.say("basic.nack", { deliveryTag: method.deliveryTag });
    }
    await client.quiet();
    expect(await client.ask(1, "queue.delete", { queue: "q" }, "queue.delete-ok")).toEqual({ messageCount: 0 });
  });

  it("is kept over a restart with what is durable, and with its bindings", async () => {
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`];
    const first = await startBroker(settings);
    {
      using client = await AmqpWire.channel(first.port);
      await client.ask(1, "exchange.declare", { exchange: "x", durable: true }, "exchange.declare-ok");
      const args = { durable: true, arguments: table({ "x-max-length": 5 }) };
      await client.declare("kept", args);
      await client.declare("gone");
      await client.ask(1, "queue.bind", { queue: "kept", exchange: "x", routingKey: "k" }, "queue.bind-ok");
      await client.ask(1, "confirm.select", {}, "confirm.select-ok");
      await client.publish("x", "k", "a", { deliveryMode: 2 });
      await client.expect("basic.ack");
    }
    await first.stop();
    const second = await startBroker(settings);
    using client = await AmqpWire.channel(second.port);
    await client.declare("kept", { durable: true, arguments: table({ "x-max-length": 5 }) });
    await client.publish("x", "k", "b");
    expect((await client.get("kept"))?.body).toBe("a");
    expect((await client.get("kept"))?.body).toBe("b");
    await client.say("queue.declare", { queue: "gone", passive: true });
    expect(await client.expect("channel.close")).toMatchObject({ replyCode: 404 });
  });
});

describe("deleting and purging a queue", () => {
  it("says how many messages went", async () => {
    const { client } = await open();
    await client.declare("q");
    for (const body of ["a", "b", "c"]) await client.publish("", "q", body);
    expect(await client.ask(1, "queue.purge", { queue: "q" }, "queue.purge-ok")).toEqual({ messageCount: 3 });
    await client.publish("", "q", "d");
    expect(await client.ask(1, "queue.delete", { queue: "q" }, "queue.delete-ok")).toEqual({ messageCount: 1 });
    expect(await client.ask(1, "queue.delete", { queue: "q" }, "queue.delete-ok")).toEqual({ messageCount: 0 });
  });

  it("that is in use or not empty is refused where the client says so", async () => {
    const { client } = await open();
    await client.openChannel(2);
    await client.declare("q");
    await client.publish("", "q", "a");
    await client.say("queue.delete", { queue: "q", ifEmpty: true });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: expect.stringContaining("queue 'q' in vhost"),
    });
    await client.consume("q", {}, 2);
    await client.delivery(2);
    await client.say("queue.delete", { queue: "q", ifUnused: true }, 2);
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: expect.stringContaining("in use"),
    });
  });
});

describe("exchanges and bindings", () => {
  it("of each type lead where they should", async () => {
    const { client } = await open();
    for (const queue of ["direct", "fanout", "topic", "headers"]) await client.declare(queue);
    await client.ask(1, "queue.bind", { queue: "direct", exchange: "amq.direct", routingKey: "k" }, "queue.bind-ok");
    await client.ask(1, "queue.bind", { queue: "fanout", exchange: "amq.fanout" }, "queue.bind-ok");
    await client.ask(1, "queue.bind", { queue: "topic", exchange: "amq.topic", routingKey: "a.*.#" }, "queue.bind-ok");
    const match = table({ "x-match": "all", color: "red" });
    await client.ask(1, "queue.bind", { queue: "headers", exchange: "amq.headers", arguments: match }, "queue.bind-ok");
    await client.publish("amq.direct", "k", "direct");
    await client.publish("amq.direct", "other", "nowhere");
    await client.publish("amq.fanout", "whatever", "fanout");
    await client.publish("amq.topic", "a.b.c", "topic");
    await client.publish("amq.topic", "b.b.c", "nowhere");
    await client.publish("amq.headers", "", "headers", { headers: table({ color: "red" }) });
    await client.publish("amq.headers", "", "nowhere", { headers: table({ color: "blue" }) });
    for (const queue of ["direct", "fanout", "topic", "headers"]) {
      const got = await client.get(queue);
      expect(got).toMatchObject({ body: queue, method: { exchange: `amq.${queue}`, messageCount: 0 } });
    }
  });

  it("lead on from one exchange to another, and to an alternate when nobody wants a message", async () => {
    const { client } = await open();
    await client.declare("q");
    await client.ask(
      1,
      "exchange.declare",
      { exchange: "last", type: "fanout", internal: true },
      "exchange.declare-ok",
    );
    const args = table({ "alternate-exchange": "last" });
    await client.ask(1, "exchange.declare", { exchange: "first", arguments: args }, "exchange.declare-ok");
    await client.ask(1, "queue.bind", { queue: "q", exchange: "last" }, "queue.bind-ok");
    await client.publish("first", "unknown", "alternate");
    expect((await client.get("q"))?.body).toBe("alternate");
    await client.ask(
      1,
      "exchange.bind",
      { destination: "last", source: "amq.direct", routingKey: "k" },
      "exchange.bind-ok",
    );
    await client.publish("amq.direct", "k", "bound");
    expect(await client.get("q")).toMatchObject({ body: "bound", method: { exchange: "amq.direct", routingKey: "k" } });
    await client.ask(
      1,
      "exchange.unbind",
      { destination: "last", source: "amq.direct", routingKey: "k" },
      "exchange.unbind-ok",
    );
    await client.publish("amq.direct", "k", "unbound");
    expect(await client.get("q")).toBeUndefined();
    await client.publish("last", "", "refused");
    expect(await client.expect("channel.close")).toMatchObject({ replyCode: 403, classId: 60, methodId: 40 });
  });

  it("are taken back", async () => {
    const { client } = await open();
    await client.declare("q");
    await client.ask(1, "queue.bind", { exchange: "amq.direct" }, "queue.bind-ok");
    await client.publish("amq.direct", "q", "a");
    expect((await client.get("q"))?.body).toBe("a");
    await client.ask(1, "queue.unbind", { exchange: "amq.direct" }, "queue.unbind-ok");
    await client.publish("amq.direct", "q", "b");
    expect(await client.get("q")).toBeUndefined();
  });

  it.each<[string, (client: AmqpWire) => Promise<void>, number, RegExp]>([
    [
      "an unknown type",
      (client) => client.say("exchange.declare", { exchange: "x", type: "round" }),
      503,
      /^COMMAND_INVALID - unknown exchange type 'round'/,
    ],
    [
      "the default exchange",
      (client) => client.say("exchange.declare", { exchange: "" }),
      403,
      /operation not permitted on the default exchange/,
    ],
    ["a reserved name", (client) => client.say("exchange.declare", { exchange: "amq.x" }), 403, /amq\./],
    [
      "another type",
      (client) => client.say("exchange.declare", { exchange: "amq.topic", durable: true }),
      406,
      /'type'/,
    ],
    ["one that is not there", (client) => client.say("exchange.declare", { exchange: "x", passive: true }), 404, /'x'/],
    ["a binding from nowhere", (client) => client.say("queue.bind", { queue: "q", exchange: "x" }), 404, /'x'/],
    [
      "a binding to nowhere",
      (client) => client.say("queue.bind", { queue: "none", exchange: "amq.topic" }),
      404,
      /'none'/,
    ],
    [
      "the end of what is predeclared",
      (client) => client.say("exchange.delete", { exchange: "amq.topic" }),
      403,
      /amq/,
    ],
  ])("over %s are refused", async (_what, act, replyCode, text) => {
    const { client } = await open();
    await client.declare("q");
    await act(client);
    const { name, arguments: args } = await nextMethod(client);
    expect(name).toBe(replyCode === 503 ? "connection.close" : "channel.close");
    expect(args).toMatchObject({ replyCode, replyText: expect.stringMatching(text) });
  });

  it("that delay have messages wait for their time", async () => {
    const { client } = await open();
    await client.declare("q");
    const args = { exchange: "later", type: "x-delayed-message", arguments: table({ "x-delayed-type": "direct" }) };
    await client.ask(1, "exchange.declare", args, "exchange.declare-ok");
    await client.ask(1, "queue.bind", { queue: "q", exchange: "later", routingKey: "k" }, "queue.bind-ok");
    await client.publish("later", "k", "late", { headers: table({ "x-delay": 200 }) });
    await client.publish("later", "k", "soon");
    await client.consume("q", { noAck: true });
    expect([(await client.delivery()).body, (await client.delivery()).body]).toEqual(["soon", "late"]);
  });
});

async function nextMethod(client: AmqpWire): Promise<{ name: string; arguments: object }> {
  const frame = await client.next();
  if (frame.type !== "method") throw new Error(`Expected a method, received a ${frame.type}`);
  return frame.method;
}
