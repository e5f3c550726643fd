import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { Amqp10Wire, messageBytes } from "../support/amqp10-wire.ts";
import { ROOT, startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

const GUEST = { principal_kind: ["user"], deny: ["guest"] };
const EVERYBODY = { allow: ["*"] };
/** Guests may not send to what is closed, nor have what is secret. */
const STRICT = [
  { ...GUEST, action: ["send"], id: "closed" },
  { ...GUEST, action: ["receive", "consume"], id: "secret.#" },
  EVERYBODY,
];
const WHY_CLOSED = /^User guest may not send the (topic|queue) closed: access_rules\[0\] denies it/;

function setting(rules: readonly object[]): string {
  return `access_rules=${JSON.stringify(rules)}`;
}

function start(rules: readonly object[] = STRICT): Promise<TestBroker> {
  return startBroker([setting(rules)]);
}

/** Has a broker read its configuration again, with other rules in it. */
async function change({ server }: TestBroker, rules: readonly object[]): Promise<void> {
  const loaded = loadConfig({ sets: ["store.kind=memory", setting(rules)], directory: ROOT });
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  expect((await server.reload(loaded.config)).applied).toContain("access_rules");
}

describe("STOMP", () => {
  it("says in an ERROR who may not do what, and by which rule", async () => {
    const { port } = await start();
    using sender = await StompWire.connect(port);
    await sender.send("SEND", { destination: "/topic/closed" }, "x");
    const { headers, body } = await sender.expect("ERROR");
    expect(headers.get("message")).toMatch(WHY_CLOSED);
    expect(body.toString()).toMatch(/^Not allowed: User guest/);
    using reader = await StompWire.connect(port);
    await reader.send("SUBSCRIBE", { destination: "/queue/secret", id: "1" });
    expect((await reader.expect("ERROR")).headers.get("message")).toMatch(/may not consume the queue secret: access_/);
  });

  it("ends a subscription that is not allowed any more with an ERROR", async () => {
    const broker = await start([]);
    using reader = await StompWire.connect(broker.port);
    await reader.request("SUBSCRIBE", { destination: "/topic/secret.x", id: "1" });
    await change(broker, STRICT);
    const { headers, body } = await reader.expect("ERROR");
    expect(headers.get("message")).toMatch(
      /^Subscription "1" was ended: User guest may not receive the topic secret\.x/,
    );
    expect(body.toString()).toMatch(/^Not allowed: /);
  });
});

describe("MQTT", () => {
  it.each([1, 2] as const)("5.0 refuses with 0x87 at QoS %d, and filters as well", async (qos) => {
    const { port } = await start();
    using client = await MqttWire.connect(port);
    expect(await client.subscribe(["secret", "secret/#", "+/x", "#", "open"], { qos: 1 })).toEqual([
      0x87, 0x87, 1, 1, 1,
    ]);
    await client.send({ cmd: "publish", topic: "closed", payload: "x", qos, messageId: 7, dup: false, retain: true });
    expect(await client.expect(qos === 1 ? "puback" : "pubrec")).toMatchObject({ messageId: 7, reasonCode: 0x87 });
    await client.nothing();
    using later = await MqttWire.connect(port);
    await later.subscribe("closed");
    await later.nothing();
  });

  it("3.1.1 acknowledges what it drops, and refuses filters with 0x80", async () => {
    const { port } = await start();
    using client = await MqttWire.connect(port, { version: 4 });
    expect(await client.subscribe(["secret", "#"])).toEqual([0x80, 0]);
    await client.send({
      cmd: "publish",
      topic: "closed",
      payload: "x",
      qos: 1,
      messageId: 7,
      dup: false,
      retain: false,
    });
    await client.expect("puback");
    await client.nothing();
  });

  it("5.0 says in DISCONNECT that a filter is not allowed any more", async () => {
    const broker = await start([]);
    using client = await MqttWire.connect(broker.port);
    await client.subscribe(["a", "secret/x"]);
    await change(broker, STRICT);
    const { reasonCode, properties } = await client.expect("disconnect");
    expect(reasonCode).toBe(0x87);
    expect(properties?.reasonString).toMatch(/^User guest may not receive the topic secret\.x: access_rules\[1\]/);
  });

  it("3.1.1 closes the connection then", async () => {
    const broker = await start([]);
    using client = await MqttWire.connect(broker.port, { version: 4 });
    await client.subscribe("secret/x");
    await change(broker, STRICT);
    await client.wire.closed();
  });

  it("knows clients by their ids in rules", async () => {
    const { port } = await start([
      { allow: ["*"], action: ["connect", "create", "consume"] },
      { allow: ["*"], action: ["send", "receive"], kind: ["topic"], id: "clients.%c.#" },
    ]);
    using client = await MqttWire.connect(port, { clientId: "pump-7", properties: { sessionExpiryInterval: 60 } });
    expect(await client.subscribe(["clients/pump-7/#", "clients/pump-8/#", "clients/+/x"])).toEqual([0, 0x87, 0x87]);
    await client.send({ cmd: "publish", topic: "clients/pump-7", payload: "x", qos: 0, dup: false, retain: false });
    await client.message("x");
  });

  it("closes who may not connect by this listener with the code for that", async () => {
    const { port } = await start([{ deny: ["*"], connector: "stomp", action: ["connect"] }, EVERYBODY]);
    using client = await MqttWire.open(port);
    await client.sendConnect();
    expect(await client.expect("connack")).toMatchObject({ reasonCode: 0x87 });
  });
});

describe("AMQP 0-9-1", () => {
  it("closes the channel with 403", async () => {
    const { port } = await start();
    using client = await AmqpWire.channel(port);
    await client.publish("", "closed", "x");
    const closed = await client.expect("channel.close", 1);
    expect(closed).toMatchObject({ replyCode: 403 });
    expect(closed.replyText).toMatch(/^ACCESS_REFUSED - User guest may not send the queue closed: access_rules\[0\]/);
    await client.openChannel(2);
    await client.say("queue.declare", { queue: "secret" }, 2);
    await client.expect("queue.declare-ok", 2);
    await client.say("basic.consume", { queue: "secret" }, 2);
    expect(await client.expect("channel.close", 2)).toMatchObject({ replyCode: 403 });
    await client.openChannel(3);
    await client.say("queue.declare", { queue: "q" }, 3);
    await client.expect("queue.declare-ok", 3);
    await client.say("queue.bind", { queue: "q", exchange: "amq.topic", routingKey: "#" }, 3);
    expect(await client.expect("channel.close", 3)).toMatchObject({ replyCode: 403 });
  });

  it("closes the channel of a consumer that is not allowed any more, and only that", async () => {
    const broker = await start([]);
    using client = await AmqpWire.channel(broker.port);
    await client.declare("secret");
    await client.consume("secret");
    await client.openChannel(2);
    await client.consume("secret", { queue: await client.declare("open") }, 2);
    await change(broker, STRICT);
    const closed = await client.expect("channel.close", 1);
    expect(closed).toMatchObject({ replyCode: 403, classId: 0, methodId: 0 });
    expect(closed.replyText).toMatch(/may not consume the queue secret: access_rules\[1\]/);
    await client.publish("", "open", "still there", {}, 2);
    await client.expect("basic.deliver", 2);
  });

  it("closes a connection that is not allowed any more with 403", async () => {
    const broker = await start([]);
    using client = await AmqpWire.channel(broker.port);
    await change(broker, [{ ...GUEST, action: ["connect"] }, EVERYBODY]);
    expect(await client.expect("connection.close", 0)).toMatchObject({ replyCode: 403 });
  });
});

describe("AMQP 1.0", () => {
  const refused = { error: { condition: "amqp:unauthorized-access" } };

  it("detaches links with amqp:unauthorized-access", async () => {
    const { port } = await start();
    using client = await Amqp10Wire.connect(port);
    await client.sender("closed");
    const { performative } = await client.expect("detach");
    expect(performative).toMatchObject(refused);
    expect(performative.error?.description).toMatch(WHY_CLOSED);
    await client.receiver("secret");
    expect((await client.expect("detach")).performative).toMatchObject(refused);
  });

  it("detaches a link that is not allowed any more, and refuses what comes on another one", async () => {
    const broker = await start([]);
    using client = await Amqp10Wire.connect(broker.port);
    await client.receiver("secret");
    await client.sender("closed");
    await change(broker, STRICT);
    const { performative } = await client.expect("detach");
    expect(performative).toMatchObject({ handle: expect.any(Number), ...refused });
    expect(performative.error?.description).toMatch(/may not consume the queue secret: access_rules\[1\]/);
    await client.transfer(messageBytes("x"));
    const { performative: answer } = await client.expect("disposition");
    expect(answer.state).toMatchObject({ type: "rejected", error: { condition: "amqp:unauthorized-access" } });
  });
});

describe("whoever is told that rules are broken", () => {
  it("is on record", async () => {
    const { port, log } = await start();
    using sender = await StompWire.connect(port);
    await sender.send("SEND", { destination: "/queue/closed" }, "x");
    await sender.expect("ERROR");
    const record = { action: "queue.send", user: "guest", result: "refused", resource: "default/queue/closed" };
    await eventually(() =>
      expect(log.map((line): unknown => JSON.parse(line))).toContainEqual(expect.objectContaining(record)),
    );
  });
});
