import { describe, expect, it } from "vitest";
import { AmqpWire, contentHeader, frameBytes, methodBytes, published, spoken } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";

const PUBLISH = methodBytes(1, "basic.publish", { exchange: "", routingKey: "q", mandatory: false, immediate: false });

describe("a channel", () => {
  it("is closed by its client, and its number used again", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.declare("q");
    await client.ask(1, "channel.close", {}, "channel.close-ok");
    await client.openChannel(1);
    // It knows nothing of what its number was used for before.
    await client.say("basic.consume");
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 404,
      replyText: "NOT_FOUND - no previously declared queue",
      classId: 60,
      methodId: 20,
    });
  });

  it("that is closed over an error takes nothing until its client agrees, while others go on", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.openChannel(2);
    await client.declare("q");
    await client.say("queue.declare", { queue: "missing", passive: true });
    await client.publish("", "q", "dropped");
    await client.say("queue.purge", { queue: "missing" });
    expect(await client.expect("channel.close", 1)).toMatchObject({ replyCode: 404, classId: 50, methodId: 10 });
    expect(await client.ask(2, "queue.declare", { queue: "q" }, "queue.declare-ok")).toMatchObject({ messageCount: 0 });
    await client.say("channel.close-ok");
    await client.openChannel(1);
    await client.publish("", "q", "kept");
    expect((await client.get("q"))?.body).toBe("kept");
  });

  it("that both sides close at once is answered", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.say("queue.purge", { queue: "missing" });
    await client.say("channel.close");
    await client.expect("channel.close");
    await client.expect("channel.close-ok");
    await client.say("channel.close-ok");
    await client.openChannel(1);
  });

  it("that closes gives what it had to others", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.openChannel(2);
    await client.declare("q");
    await client.publish("", "q", "a");
    await client.consume("q", {}, 2);
    await client.delivery(2);
    await client.ask(2, "channel.close", {}, "channel.close-ok");
    expect(await client.get("q")).toMatchObject({ body: "a", method: { redelivered: true } });
  });

  it("that closes gives what it had to none of its own consumers, nor does a connection that closes", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.declare("q", { arguments: new Map([["x-delivery-limit", 2]]) });
    for (const consumerTag of ["1", "2", "3", "4"]) await client.consume("q", { consumerTag });
    await client.publish("", "q", "a");
    await client.delivery();
    await client.ask(1, "channel.close", {}, "channel.close-ok");
    await client.openChannel(1);
    await client.consume("q");
    expect((await client.delivery(1)).method.redelivered).toBe(true);
    for (const channel of [2, 3, 4]) {
      await client.openChannel(channel);
      await client.consume("q", {}, channel);
    }
    await client.send(0, "connection.close", { replyCode: 200, replyText: "", classId: 0, methodId: 0 });
    await client.expect("connection.close-ok", 0);
    using other = await AmqpWire.channel(port);
    expect((await other.get("q"))?.body).toBe("a");
  });

  it("that is closed over an error gives what it had to others", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.openChannel(2);
    await client.declare("q");
    await client.publish("", "q", "a");
    await client.consume("q", {}, 2);
    await client.delivery(2);
    await client.say("basic.ack", { deliveryTag: 5 }, 2);
    await client.expect("channel.close", 2);
    expect(await client.get("q")).toMatchObject({ body: "a", method: { redelivered: true } });
  });

  it("that its client stops is sent nothing until it goes on", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.declare("q");
    await client.consume("q", { noAck: true });
    expect(await client.ask(1, "channel.flow", { active: false }, "channel.flow-ok")).toEqual({ active: false });
    await client.publish("", "q", "a");
    // Also to one that comes meanwhile.
    await client.consume("q", { noAck: true });
    await client.quiet();
    await client.quiet();
    await client.ask(1, "channel.flow", { active: true }, "channel.flow-ok");
    expect((await client.delivery()).body).toBe("a");
  });
});

describe("what makes no sense on a channel ends the connection:", () => {
  it.each([
    ["a method on a channel that is not open", spoken("basic.qos", {}, 7), 504, "expected 'channel.open' on channel 7"],
    ["a publish on a channel that is not open", published("", "q", "a", {}, 7), 504, "expected 'channel.open'"],
    [
      "an ack on a channel that is not open",
      spoken("basic.ack", { deliveryTag: 1 }, 7),
      504,
      "expected 'channel.open'",
    ],
    ["a channel.close-ok nobody waits for", spoken("channel.close-ok", {}), 504, "which is not closing"],
    ["a channel beyond the highest", spoken("channel.open", {}, 2048), 530, "amqp.channel_max"],
    ["a content header without a method", contentHeader(1, 1), 505, "content header"],
    ["a body without a method", frameBytes("body", 1, Buffer.from("a")), 505, "body frame"],
    ["a content header on channel 0", contentHeader(0, 1), 504, "channel 0"],
    [
      "a method instead of a content header",
      Buffer.concat([PUBLISH, spoken("basic.qos", {})]),
      505,
      "got a method frame",
    ],
    [
      "an ack instead of a content header",
      Buffer.concat([PUBLISH, spoken("basic.ack", {})]),
      505,
      "got a method frame",
    ],
    ["a second publish instead of a content header", Buffer.concat([PUBLISH, PUBLISH]), 505, "got a method frame"],
    [
      "a method instead of a body",
      Buffer.concat([PUBLISH, contentHeader(1, 5), spoken("basic.qos", {})]),
      505,
      "expected content body",
    ],
    [
      "more body than was announced",
      Buffer.concat([PUBLISH, contentHeader(1, 1), frameBytes("body", 1, Buffer.from("ab"))]),
      505,
      "more than the content header says",
    ],
    ["a method of servers", methodBytes(1, "basic.get-empty", {}), 503, "not a method for a client"],
    [
      "a method of connections",
      methodBytes(1, "connection.open", { virtualHost: "/" }),
      503,
      "not a method for a client",
    ],
    ["a method of channels on channel 0", spoken("basic.qos", {}, 0), 503, "unexpected method basic.qos"],
    ["a method that does not exist", frameBytes("method", 1, Buffer.from([0, 60, 0, 222])), 503, "there is no method"],
    ["arguments that are cut off", frameBytes("method", 1, Buffer.from([0, 50, 0, 10, 0])), 502, "queue.declare"],
    ["a frame without its end", frameBytes("method", 1, Buffer.from([0, 60, 0, 10]), 0), 501, "expected 0xce"],
    ["a frame of an unknown type", frameBytes(9, 1, Buffer.alloc(1)), 501, "type 9"],
  ])("%s", async (_what, bytes, replyCode, text) => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.wire.send(bytes);
    expect(await client.expect("connection.close", 0)).toMatchObject({
      replyCode,
      replyText: expect.stringContaining(text),
    });
  });
});

describe("unfinished messages", () => {
  it("are bounded for a connection, whatever their headers announce", async () => {
    const { port } = await startBroker(["amqp.max_unfinished=100k"]);
    using client = await AmqpWire.channel(port);
    for (const channel of [2, 3]) {
      await client.openChannel(channel);
      const method = methodBytes(channel, "basic.publish", {
        exchange: "",
        routingKey: "q",
        mandatory: false,
        immediate: false,
      });
      const body = frameBytes("body", channel, Buffer.alloc(60_000));
      await client.wire.send(Buffer.concat([method, contentHeader(channel, 1 << 27), body]));
    }
    expect(await client.expect("connection.close", 0)).toMatchObject({
      replyCode: 506,
      replyText: expect.stringContaining("amqp.max_unfinished"),
    });
  });

  it("are bounded also when there is nothing but their headers", async () => {
    const { port } = await startBroker(["amqp.max_unfinished=100k"]);
    using client = await AmqpWire.channel(port);
    const headers = new Map([["filler", "x".repeat(60_000)]]);
    for (const channel of [2, 3]) {
      await client.openChannel(channel);
      const method = methodBytes(channel, "basic.publish", {
        exchange: "",
        routingKey: "q",
        mandatory: false,
        immediate: false,
      });
      await client.wire.send(Buffer.concat([method, contentHeader(channel, 1, { headers })]));
    }
    expect(await client.expect("connection.close", 0)).toMatchObject({
      replyCode: 506,
      replyText: expect.stringContaining("amqp.max_unfinished"),
    });
  });

  it("count no more when they are whole, or their channel is closed", async () => {
    const { port } = await startBroker(["amqp.max_unfinished=100k"]);
    using client = await AmqpWire.channel(port);
    await client.declare("q");
    const begun = Buffer.concat([PUBLISH, contentHeader(1, 90_001), frameBytes("body", 1, Buffer.alloc(90_000))]);
    for (let round = 0; round < 3; round++) {
      await client.wire.send(Buffer.concat([begun, frameBytes("body", 1, Buffer.alloc(1))]));
      expect((await client.get("q"))?.body).toHaveLength(90_001);
    }
    await client.openChannel(2);
    const tooLarge = contentHeader(2, 2 ** 40);
    const publish = methodBytes(2, "basic.publish", {
      exchange: "",
      routingKey: "q",
      mandatory: false,
      immediate: false,
    });
    for (let round = 0; round < 3; round++) {
      await client.wire.send(Buffer.concat([publish, tooLarge]));
      await client.expect("channel.close", 2);
      await client.say("channel.close-ok", {}, 2);
      await client.openChannel(2);
    }
    await client.quiet();
  });

  it("of several channels come in turns", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.openChannel(2);
    await client.declare("q");
    await client.wire.send(
      Buffer.concat([begin(1), begin(2), part(1, "a"), part(2, "bb"), part(1, "aaa"), part(2, "bb")]),
    );
    expect((await client.get("q"))?.body).toBe("aaaa");
    expect((await client.get("q"))?.body).toBe("bbbb");
  });
});

function begin(channel: number): Buffer {
  const publish = { exchange: "", routingKey: "q", mandatory: false, immediate: false };
  return Buffer.concat([methodBytes(channel, "basic.publish", publish), contentHeader(channel, 4)]);
}

function part(channel: number, text: string): Buffer {
  return frameBytes("body", channel, Buffer.from(text));
}
