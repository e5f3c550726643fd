import { describe, expect, it } from "vitest";
import { AmqpWire, HEADER } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { Wire } from "../support/wire.ts";

describe("the beginning of an AMQP 0-9-1 connection", () => {
  it.each([
    ["0-8", "AMQP\x01\x01\x08\x00"],
    ["0-9", "AMQP\x01\x01\x00\x09"],
    ["0-10", "AMQP\x01\x01\x00\x0a"],
    ["nothing there ever was", "AMQP\x00\x00\x09\x02"],
  ])("by version %s is answered with the header that is spoken, and closed", async (_version, header) => {
    const { port } = await startBroker();
    using wire = await Wire.connect(port);
    await wire.send(Buffer.from(header, "latin1"));
    expect(await wire.closed()).toEqual(HEADER);
  });

  it("names the mechanisms, what the broker can, and who it is", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.connect(port);
    await client.wire.send(HEADER);
    const start = await client.expect("connection.start", 0);
    expect(start).toMatchObject({ versionMajor: 0, versionMinor: 9 });
    expect(start.mechanisms.toString()).toBe("PLAIN AMQPLAIN");
    expect(start.serverProperties.get("product")).toBe("Delos");
    const capabilities = start.serverProperties.get("capabilities");
    expect(capabilities).toBeInstanceOf(Map);
    expect(capabilities).toEqual(expect.objectContaining({ size: 9 }));
  });

  it("that stops there ends after amqp.connect_timeout", async () => {
    const { port } = await startBroker(["amqp.connect_timeout=50ms", "amqp.close_timeout=50ms"]);
    using client = await AmqpWire.greeted(port);
    expect(await client.expect("connection.close", 0)).toMatchObject({
      replyCode: 320,
      replyText: expect.stringContaining("amqp.connect_timeout"),
    });
    await client.wire.closed();
  });
});

describe("a login by AMQP 0-9-1", () => {
  it("by PLAIN and by AMQPLAIN opens the virtual host", async () => {
    const { port } = await startBroker(["security.users.alice.password=secret"]);
    using plain = await AmqpWire.open(port, { user: "alice", password: "secret" });
    await plain.openChannel(1);
    using amqplain = await AmqpWire.greeted(port);
    const login = Buffer.from("\x05LOGINS\0\0\0\x05alice\x08PASSWORDS\0\0\0\x06secret", "latin1");
    await amqplain.send(0, "connection.start-ok", {
      clientProperties: new Map(),
      mechanism: "AMQPLAIN",
      response: login,
      locale: "en_US",
    });
    expect(await amqplain.expect("connection.tune")).toEqual({ channelMax: 2047, frameMax: 131_072, heartbeat: 60 });
  });

  it("with a wrong password is told so if it can understand that, and else just cut off", async () => {
    const { port } = await startBroker();
    using told = await AmqpWire.greeted(port);
    await told.startOk({ password: "wrong", capabilities: ["authentication_failure_close"] });
    expect(await told.expect("connection.close", 0)).toMatchObject({
      replyCode: 403,
      replyText: expect.stringMatching(/^ACCESS_REFUSED - .*password/),
    });
    using cut = await AmqpWire.greeted(port);
    await cut.startOk({ password: "wrong" });
    expect(await cut.wire.closed()).toHaveLength(0);
  });

  it("by a mechanism that was not offered is refused", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.greeted(port);
    await client.send(0, "connection.start-ok", {
      clientProperties: new Map(),
      mechanism: "EXTERNAL",
      response: Buffer.alloc(0),
      locale: "en_US",
    });
    expect(await client.expect("connection.close")).toMatchObject({
      replyCode: 503,
      replyText: expect.stringContaining("unknown authentication mechanism 'EXTERNAL'"),
      classId: 10,
      methodId: 11,
    });
  });

  it.each([
    ["a response that is none of PLAIN", "PLAIN", "guest"],
    ["a response that is no table", "AMQPLAIN", "guest"],
  ])("with %s is a syntax error", async (_what, mechanism, response) => {
    const { port } = await startBroker();
    using client = await AmqpWire.greeted(port);
    await client.send(0, "connection.start-ok", {
      clientProperties: new Map(),
      mechanism,
      response: Buffer.from(response),
      locale: "en_US",
    });
    expect(await client.expect("connection.close")).toMatchObject({ replyCode: 502 });
  });

  it("is renewed by update-secret; a wrong secret ends the connection", async () => {
    const { port } = await startBroker(["security.users.alice.password=secret"]);
    using client = await AmqpWire.channel(port, { user: "alice", password: "secret" });
    await client.send(0, "connection.update-secret", { newSecret: Buffer.from("secret"), reason: "renewed" });
    await client.expect("connection.update-secret-ok", 0);
    await client.declare("renewed");
    await client.publish("", "renewed", "a");
    await client.send(0, "connection.update-secret", { newSecret: Buffer.from("wrong"), reason: "renewed" });
    expect(await client.expect("connection.close", 0)).toMatchObject({
      replyCode: 530,
      replyText: expect.stringContaining("new secret was refused"),
    });
  });
});

describe("tuning", () => {
  it.each([
    ["a larger frame", { frameMax: 131_073, channelMax: 2047 }, "negotiated frame_max = 131073 is higher"],
    [
      "a smaller frame than any peer must take",
      { frameMax: 4095, channelMax: 2047 },
      "negotiated frame_max = 4095 is lower",
    ],
    ["more channels", { frameMax: 131_072, channelMax: 2048 }, "negotiated channel_max = 2048 is higher"],
  ])("to %s is refused", async (_what, tuning, text) => {
    const { port } = await startBroker();
    using client = await AmqpWire.loggedIn(port);
    await client.send(0, "connection.tune-ok", { ...tuning, heartbeat: 0 });
    expect(await client.expect("connection.close")).toMatchObject({
      replyCode: 530,
      replyText: expect.stringContaining(text),
    });
  });

  it("to 0 leaves it to the broker, which keeps to smaller frames than it would take", async () => {
    const { port } = await startBroker();
    using all = await AmqpWire.open(port, { frameMax: 0, channelMax: 0 });
    await all.openChannel(2047);
    using small = await AmqpWire.channel(port, { frameMax: 4096 });
    await small.declare("small");
    const frames = Buffer.concat([Buffer.alloc(4000, "a"), Buffer.alloc(6000, "b")]);
    using sender = await AmqpWire.channel(port);
    await sender.publish("", "small", frames);
    await small.consume("small", { noAck: true });
    await small.expect("basic.deliver");
    const header = await small.next();
    expect(header).toMatchObject({ type: "header", size: 10_000 });
    const sizes = [];
    for (let bytes = 0; bytes < 10_000; ) {
      const body = await small.next();
      if (body.type !== "body") throw new Error(body.type);
      sizes.push(body.data.length);
      bytes += body.data.length;
    }
    expect(sizes).toEqual([4088, 4088, 1824]);
    // A frame of one byte more than was agreed on.
    await small.wire.send(Buffer.from([3, 0, 1, 0, 0, 0x0f, 0xf9]));
    expect(await small.expect("connection.close")).toMatchObject({ replyCode: 501 });
  });

  it("proposes and bounds what the configuration says", async () => {
    const { port } = await startBroker(["amqp.channel_max=3", "amqp.frame_max=8k", "amqp.heartbeat=7s"]);
    using client = await AmqpWire.greeted(port);
    await client.startOk();
    expect(await client.expect("connection.tune")).toEqual({ channelMax: 3, frameMax: 8192, heartbeat: 7 });
  });
});

describe("opening a virtual host", () => {
  it("that there is not is refused where the configuration says so", async () => {
    const { port } = await startBroker(["unknown_host=refuse", "hosts.shop.aliases=[market]"]);
    using client = await AmqpWire.loggedIn(port);
    await client.send(0, "connection.tune-ok", { channelMax: 1, frameMax: 4096, heartbeat: 0 });
    await client.send(0, "connection.open", { virtualHost: "nowhere" });
    expect(await client.expect("connection.close")).toMatchObject({
      replyCode: 530,
      replyText: "NOT_ALLOWED - vhost 'nowhere' not found (hosts)",
      classId: 10,
      methodId: 40,
    });
    using market = await AmqpWire.open(port, { virtualHost: "market" });
    await market.openChannel(1);
  });

  it("before the login is a method out of order", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.greeted(port);
    await client.send(0, "connection.open", { virtualHost: "/" });
    expect(await client.expect("connection.close")).toMatchObject({ replyCode: 503 });
  });

  it("comes before channels", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.greeted(port);
    await client.say("channel.open");
    expect(await client.expect("connection.close")).toMatchObject({ replyCode: 503, classId: 20, methodId: 10 });
  });
});

describe("the end of an AMQP 0-9-1 connection", () => {
  it("by the client is agreed to, and what it sent is kept", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.declare("kept", { durable: true });
    await client.publish("", "kept", "a", { deliveryMode: 2 });
    await client.send(0, "connection.close", { replyCode: 200, replyText: "bye", classId: 0, methodId: 0 });
    await client.expect("connection.close-ok", 0);
    expect(await client.wire.closed()).toHaveLength(0);
    using next = await AmqpWire.channel(port);
    expect((await next.get("kept"))?.body).toBe("a");
  });

  it("by the broker waits for the client to agree, and takes nothing else meanwhile", async () => {
    const { port, server } = await startBroker(["amqp.close_timeout=1h"]);
    using client = await AmqpWire.channel(port);
    await client.declare("late");
    await client.say("channel.open");
    expect(await client.expect("connection.close")).toMatchObject({
      replyCode: 504,
      replyText: "CHANNEL_ERROR - second 'channel.open' seen on channel 1",
    });
    await client.publish("", "late", "too late");
    await client.send(0, "connection.close-ok", {});
    await client.wire.closed();
    expect(server.broker.host(undefined)?.queues.get("late")?.count).toBe(0);
  });

  it("by the broker comes to pass when the client does not agree in time", async () => {
    const { port } = await startBroker(["amqp.close_timeout=30ms"]);
    using client = await AmqpWire.channel(port);
    await client.say("channel.open");
    await client.expect("connection.close");
    await client.wire.closed();
  });

  it("by a shutdown is forced in the protocol's words", async () => {
    const broker = await startBroker(["amqp.close_timeout=30ms"]);
    using client = await AmqpWire.channel(broker.port);
    const stopped = broker.stop();
    expect(await client.expect("connection.close", 0)).toMatchObject({ replyCode: 320 });
    await stopped;
  });

  it("both sides at once is answered", async () => {
    const { port } = await startBroker(["amqp.close_timeout=1h"]);
    using client = await AmqpWire.channel(port);
    await client.say("channel.open");
    await client.send(0, "connection.close", { replyCode: 200, replyText: "", classId: 0, methodId: 0 });
    await client.expect("connection.close");
    await client.expect("connection.close-ok");
    await client.wire.closed();
  });

  it("gives what was not acknowledged to others, redelivered", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.channel(port);
    await client.declare("work");
    await client.publish("", "work", "a");
    await client.consume("work");
    expect((await client.delivery()).method.redelivered).toBe(false);
    client.wire.reset();
    using next = await AmqpWire.channel(port);
    const again = await eventually(async () => (await next.get("work")) ?? false);
    expect(again).toMatchObject({ body: "a", method: { redelivered: true } });
  });
});

describe("heartbeats", () => {
  it("come when there is nothing else to say, and a client that says nothing is given up", async () => {
    const { port, log } = await startBroker();
    using client = await AmqpWire.open(port, { heartbeat: 1 });
    expect(await client.frame()).toEqual({ type: "heartbeat" });
    await client.wire.closed();
    await eventually(() => expect(log.join("")).toContain("no heartbeat for"));
  });

  it("are not awaited from a client that is not read from", async () => {
    const { port } = await startBroker(['queues=[{"match":"full","max_messages":1}]']);
    using client = await AmqpWire.channel(port, { heartbeat: 1 });
    await client.declare("full");
    for (const body of ["a", "b"]) await client.publish("", "full", body);
    await client.say("basic.qos");
    for (let beats = 0; beats < 6; beats++) expect(await client.frame()).toEqual({ type: "heartbeat" });
    using consumer = await AmqpWire.channel(port);
    await consumer.consume("full", { noAck: true });
    await client.expect("basic.qos-ok");
  });

  it("keep a connection that says nothing else", async () => {
    const { port } = await startBroker();
    using client = await AmqpWire.open(port, { heartbeat: 1 });
    for (let beats = 0; beats < 6; beats++) {
      expect(await client.frame()).toEqual({ type: "heartbeat" });
      await client.wire.send(Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]));
    }
    await client.openChannel(1);
  });
});

describe("a publisher that the broker holds up", () => {
  const settings = ['queues=[{"match":"full","max_messages":1}]'];

  it("is told so, and when it may go on, if it understands that", async () => {
    const { port } = await startBroker(settings);
    using client = await AmqpWire.channel(port, { capabilities: ["connection.blocked"] });
    await client.declare("full");
    for (const body of ["a", "b", "c"]) await client.publish("", "full", body);
    expect((await client.expect("connection.blocked", 0)).reason).toContain("full");
    using consumer = await AmqpWire.channel(port);
    await consumer.consume("full", { noAck: true });
    const bodies = [];
    for (let count = 0; count < 3; count++) bodies.push((await consumer.delivery()).body);
    expect(bodies).toEqual(["a", "b", "c"]);
    await client.expect("connection.unblocked", 0);
    await client.quiet();
  });

  it("is just not read from otherwise", async () => {
    const { port } = await startBroker(settings);
    using client = await AmqpWire.channel(port);
    await client.declare("full");
    for (const body of ["a", "b", "c"]) await client.publish("", "full", body);
    await client.say("basic.qos");
    using consumer = await AmqpWire.channel(port);
    await consumer.consume("full", { noAck: true });
    for (let count = 0; count < 3; count++) await consumer.delivery();
    await client.expect("basic.qos-ok");
  });
});
