import { describe, expect, it } from "vitest";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

describe("$delayed/SECONDS/TOPIC", () => {
  it.each([
    [4, 0],
    [4, 1],
    [5, 0],
    [5, 2],
  ] as const)("in version %s at QoS %s comes to TOPIC, so many seconds later", async (version, qos) => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using subscriber = await MqttWire.connect(port, { version, clientId: "s" });
    await subscriber.subscribe("a/b", { qos });
    using client = await MqttWire.connect(port, { version, clientId: "p" });
    await client.publish("$delayed/60/a/b", "later", { qos });
    await client.publish("a/b", "now");
    await subscriber.message("now");
    clock.leap(59_000);
    await subscriber.nothing();
    clock.leap(2000);
    const { topic, qos: received } = await subscriber.message("later");
    expect([topic, received]).toEqual(["a/b", qos]);
  });

  it("of 0 seconds comes at once", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port);
    await client.subscribe("a");
    await client.sendPublish("$delayed/0/a", "1");
    expect((await client.message("1")).topic).toBe("a");
  });

  it("may be a topic alias, and has the properties of its message, its expiry from the delivery on", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using client = await MqttWire.connect(port);
    await client.subscribe("a");
    const properties = { contentType: "x/y", messageExpiryInterval: 30, topicAlias: 1 };
    await client.sendPublish("$delayed/100/a", "1", { properties });
    await client.sendPublish("", "2", { properties: { topicAlias: 1 } });
    await client.nothing();
    clock.leap(101_000);
    const first = await client.message("1");
    expect(first.properties?.contentType).toBe("x/y");
    expect([29, 30]).toContain(first.properties?.messageExpiryInterval);
    expect((await client.message("2")).topic).toBe("a");
  });

  it("is retained when it is delivered, and takes away what is retained when it is empty", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using client = await MqttWire.connect(port);
    await client.publish("$delayed/10/a", "kept", { retain: true });
    await client.publish("$delayed/20/a", "", { retain: true });
    using early = await MqttWire.connect(port);
    await early.subscribe("a");
    await early.nothing();
    clock.leap(11_000);
    expect((await early.message("kept")).retain).toBe(false);
    using between = await MqttWire.connect(port);
    await between.subscribe("a");
    expect((await between.message("kept")).retain).toBe(true);
    clock.leap(10_000);
    await between.message("");
    using late = await MqttWire.connect(port);
    await late.subscribe("a");
    await late.nothing();
  });

  it("comes after a restart, retained", async () => {
    const clock = new LeapingClock();
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`];
    const before = await startBroker(settings, { clock });
    using client = await MqttWire.connect(before.port);
    await client.publish("$delayed/60/a", "1", { qos: 1, retain: true });
    await before.stop();
    const { port } = await startBroker(settings, { clock });
    using subscriber = await MqttWire.connect(port);
    await subscriber.subscribe("a");
    await subscriber.nothing();
    clock.leap(61_000);
    await subscriber.message("1");
    using late = await MqttWire.connect(port);
    await late.subscribe("a");
    await late.message("1");
  });

  it("may lead to a queue, and to subscribers of STOMP", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using stomp = await StompWire.connect(port);
    await stomp.send("SUBSCRIBE", { destination: "/queue/q", id: "1", receipt: "r" });
    await stomp.expect("RECEIPT");
    using client = await MqttWire.connect(port);
    await client.publish("$delayed/5/$queue/q", "1", { qos: 1 });
    clock.leap(6000);
    const { headers, body } = await stomp.expect("MESSAGE");
    expect([headers.get("destination"), body.toString()]).toEqual(["/queue/q", "1"]);
  });

  it.each([
    "$delayed/x/a",
    "$delayed/-1/a",
    "$delayed/1",
    "$delayed/1/",
    "$delayed/4294967296/a",
    "$delayed/1/$delayed/1/a",
  ])("is refused as %s", async (topic) => {
    const { port } = await startBroker();
    for (const version of [4, 5] as const) {
      using client = await MqttWire.connect(port, { version });
      await client.sendPublish(topic, "1", { qos: 1 });
      expect(await client.dismissed()).toBe(version === 5 ? 0x90 : undefined);
    }
  });

  it("can neither be subscribed to nor be the topic of a will", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port);
    expect(await client.subscribe(["$delayed/1/a", "$delayed/#"])).toEqual([0x8f, 0x8f]);
    using dying = await MqttWire.open(port);
    await dying.sendConnect({ will: { topic: "$delayed/1/a", payload: Buffer.from("x"), qos: 0, retain: false } });
    expect((await dying.expect("connack")).reasonCode).toBe(0x90);
  });

  it("is refused when the schedule is full", async () => {
    const { port } = await startBroker(["schedule.max_messages=1"]);
    using client = await MqttWire.connect(port);
    await client.sendPublish("$delayed/1000/a", "1", { qos: 1, messageId: 1 });
    expect(await client.acknowledged("puback", 1)).toBe(0);
    await client.sendPublish("$delayed/1000/a", "2", { qos: 1, messageId: 2 });
    expect(await client.acknowledged("puback", 2)).toBe(0x97);
  });
});

describe("topics", () => {
  it("may have as many bytes and levels as the configuration says", async () => {
    const { port } = await startBroker(["mqtt.max_topic_bytes=5", "mqtt.max_topic_levels=2"]);
    using client = await MqttWire.connect(port);
    expect(await client.subscribe(["a/b", "a/b/#", "aaaaaa", "$share/group/aa/bb", "$share/g/aa/bbb"])).toEqual([
      0, 0x8f, 0x8f, 0, 0x8f,
    ]);
    await client.sendPublish("a/b", "1");
    await client.message("1");
    await client.sendPublish("a/b/c", "1");
    expect(await client.dismissed()).toBe(0x90);
    using other = await MqttWire.connect(port);
    await other.sendPublish("aaaaaa", "1");
    expect(await other.dismissed()).toBe(0x90);
    using old = await MqttWire.connect(port, { version: 4 });
    expect(await old.subscribe("a/b/c")).toEqual([0x80]);
  });
});
