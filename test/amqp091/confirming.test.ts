import { describe, expect, it, onTestFinished } from "vitest";
import { canonical } from "../../core/addresses/spelling.ts";
import { MemoryStore } from "../../store/memory/store.ts";
import { amqp091Format } from "../../protocols/amqp091/convert.ts";
import { systemClock } from "../../src/clock.ts";
import { AmqpWire, published, spoken } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";
import { DurabilityGate } from "../support/store-held.ts";

async function open(): Promise<{ client: AmqpWire; disk: DurabilityGate; port: number }> {
  const disk = new DurabilityGate();
  const store = new MemoryStore({
    formats: new Map([[amqp091Format.name, amqp091Format]]),
    addresses: (name, kind) => canonical.parse(kind, name),
    clock: systemClock,
  });
  const { port } = await startBroker([], { store: disk.under(store) });
  const client = await AmqpWire.channel(port);
  onTestFinished(() => client[Symbol.dispose]());
  return { client, disk, port };
}

describe("publisher confirms", () => {
  it("come when the disk has the messages, many at once", async () => {
    const { client, disk } = await open();
    await client.declare("q", { durable: true });
    await client.ask(1, "confirm.select", {}, "confirm.select-ok");
    disk.hold();
    const message = published("", "q", "a", { deliveryMode: 2 });
    await client.wire.send(Buffer.concat(Array.from({ length: 100 }, () => message)));
    await client.quiet();
    disk.letGo();
    expect(await client.expect("basic.ack", 1)).toEqual({ deliveryTag: 100, multiple: true });
    await client.publish("", "q", "a", { deliveryMode: 2 });
    expect(await client.expect("basic.ack", 1)).toEqual({ deliveryTag: 101, multiple: false });
  });

  it("of messages that need no disk do not wait for it", async () => {
    const { client, disk } = await open();
    await client.declare("q", { durable: true });
    await client.ask(1, "confirm.select", {}, "confirm.select-ok");
    disk.hold();
    await client.publish("", "q", "a");
    expect(await client.expect("basic.ack", 1)).toEqual({ deliveryTag: 1, multiple: false });
    disk.letGo();
  });

  it("of several channels are told apart", async () => {
    const { client, disk } = await open();
    await client.openChannel(2);
    await client.declare("q", { durable: true });
    for (const channel of [1, 2]) await client.ask(channel, "confirm.select", {}, "confirm.select-ok");
    disk.hold();
    const sends = [1, 2, 2, 1, 2].map((channel) => published("", "q", "a", { deliveryMode: 2 }, channel));
    await client.wire.send(Buffer.concat(sends));
    await client.quiet();
    disk.letGo();
    expect(await client.expect("basic.ack", 1)).toEqual({ deliveryTag: 2, multiple: true });
    expect(await client.expect("basic.ack", 2)).toEqual({ deliveryTag: 3, multiple: true });
  });

  it("of a channel that was closed meanwhile are not said to the next one of its number", async () => {
    const { client, disk } = await open();
    await client.declare("q", { durable: true });
    await client.ask(1, "confirm.select", {}, "confirm.select-ok");
    disk.hold();
    await client.publish("", "q", "a", { deliveryMode: 2 });
    await client.ask(1, "channel.close", {}, "channel.close-ok");
    await client.openChannel(1);
    await client.ask(1, "confirm.select", {}, "confirm.select-ok");
    const next = published("", "q", "b", { deliveryMode: 2 });
    await client.wire.send(Buffer.concat([next, next]));
    await client.quiet();
    disk.letGo();
    expect(await client.expect("basic.ack", 1)).toEqual({ deliveryTag: 2, multiple: true });
    await client.quiet();
  });

  it("of a message that was consumed before the disk had it do not wait", async () => {
    const { client, disk } = await open();
    await client.declare("q", { durable: true });
    await client.ask(1, "confirm.select", {}, "confirm.select-ok");
    await client.consume("q", { noAck: true });
    await client.publish("", "q", "a", { deliveryMode: 2 });
    const names = [];
    while (names.length < 4) {
      const frame = await client.next();
      names.push(frame.type === "method" ? frame.method.name : frame.type);
    }
    expect(names.sort()).toEqual(["basic.ack", "basic.deliver", "body", "header"]);
    disk.letGo();
  });

  it("do not go with transactions", async () => {
    const { client } = await open();
    await client.ask(1, "confirm.select", {}, "confirm.select-ok");
    await client.say("tx.select");
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: "PRECONDITION_FAILED - cannot switch from confirm to tx mode",
    });
    await client.say("channel.close-ok");
    await client.openChannel(1);
    await client.ask(1, "tx.select", {}, "tx.select-ok");
    await client.say("confirm.select");
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: "PRECONDITION_FAILED - cannot switch from tx to confirm mode",
    });
  });
});

describe("an answer", () => {
  it("to what has to be kept comes when the disk has it, those behind it after it", async () => {
    const { client, disk } = await open();
    disk.hold();
    await client.say("queue.declare", { queue: "kept", durable: true });
    await client.say("basic.qos");
    // Other channels do not wait.
    await client.openChannel(2);
    disk.letGo();
    await client.expect("queue.declare-ok", 1);
    await client.expect("basic.qos-ok", 1);
  });

  it("that lets deliveries begin comes before them, also when it waits for another one", async () => {
    const { client, disk } = await open();
    await client.declare("q");
    await client.publish("", "q", "a");
    await client.publish("", "q", "b");
    disk.hold();
    await client.wire.send(
      Buffer.concat([
        spoken("queue.declare", { queue: "kept", durable: true }),
        spoken("basic.get", { queue: "q", noAck: true }),
        spoken("basic.consume", { queue: "q", noAck: true }),
        spoken("basic.qos", {}),
      ]),
    );
    disk.letGo();
    await client.expect("queue.declare-ok", 1);
    expect((await client.content("basic.get-ok", 1)).body).toBe("a");
    await client.expect("basic.consume-ok", 1);
    await client.expect("basic.qos-ok", 1);
    expect((await client.delivery(1)).body).toBe("b");
  });

  it("to connection.close comes when the disk has all that was sent", async () => {
    const { client, disk, port } = await open();
    using other = await AmqpWire.channel(port);
    await client.declare("q", { durable: true });
    disk.hold();
    await client.publish("", "q", "a", { deliveryMode: 2 });
    await client.quiet();
    await client.send(0, "connection.close", { replyCode: 200, replyText: "", classId: 0, methodId: 0 });
    for (let turns = 0; turns < 5; turns++) await other.quiet();
    expect(client.wire.collected).toHaveLength(0);
    disk.letGo();
    await client.expect("connection.close-ok", 0);
    await client.wire.closed();
  });
});
