import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { hex, MqttWire, type ReceivedAs } from "../support/mqtt-wire.ts";

/** A PUBLISH of 5.0 to topic `t`, with these properties and no payload. */
function publish(properties: Buffer, qos: 0 | 1 | 2 = 0): Buffer {
  const id = qos === 0 ? Buffer.alloc(0) : Buffer.from([0, 9]);
  const body = Buffer.concat([hex("0001't'"), id, Buffer.from([properties.length]), properties]);
  return Buffer.concat([Buffer.from([0x30 | (qos << 1), body.length]), body]);
}

/** The properties of a PUBLISH to topic `t`, which are shorter than 128 bytes. */
function propertiesOf({ bytes, qos }: ReceivedAs<"publish">): Buffer {
  const at = 2 + 3 + (qos > 0 ? 2 : 0);
  return bytes.subarray(at + 1, at + 1 + (bytes[at] ?? 0));
}

const KINDS: readonly (readonly [string, string])[] = [
  ["payload format indicator [MQTT-3.3.2-4]", "01 01"],
  ["payload format indicator of 0 [MQTT-3.3.2-4]", "01 00"],
  ["content type [MQTT-3.3.2-20]", "03 0009'text/html'"],
  ["response topic [MQTT-3.3.2-15]", "08 0003'r/1'"],
  ["correlation data [MQTT-3.3.2-16]", "09 0004 00ff0a80"],
  [
    "user properties, in their order [MQTT-3.3.2-17] [MQTT-3.3.2-18]",
    "26 0001'b'0001'1' 26 0001'a'0001'2' 26 0001'b'0000 26 0000 0001'1'",
  ],
];

describe("the properties of a message", () => {
  it.each(KINDS)("are forwarded as they came: %s", async (_what, text) => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    const properties = hex(text);
    for (const granted of [0, 2] as const) {
      await subscriber.subscribe("t", { qos: granted });
      for (const qos of [0, 1, 2] as const) {
        await client.wire.send(publish(properties, qos));
        if (qos === 2) await client.acknowledge("pubrel", 9);
        expect(propertiesOf(await subscriber.expect("publish")).toString("hex")).toBe(properties.toString("hex"));
      }
    }
  });

  it.each(KINDS)("stay the same in a retained message and for an identified subscription: %s", async (_what, text) => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    const properties = hex(text);
    await client.subscribe("t", { subscriptionIdentifier: 200 });
    const packet = publish(properties);
    packet[0] = 0x31;
    // An empty payload would remove it.
    packet[1] = (packet[1] ?? 0) + 1;
    await client.wire.send(Buffer.concat([packet, Buffer.from("x")]));
    const sent = await client.expect("publish");
    const both = propertiesOf(sent).toString("hex");
    expect([`${properties.toString("hex")}0bc801`, `0bc801${properties.toString("hex")}`]).toContain(both);
    using late = await MqttWire.connect(port, { clientId: "l" });
    await late.subscribe("t");
    expect(propertiesOf(await late.message("x")).toString("hex")).toBe(properties.toString("hex"));
  });

  it.each(KINDS)("are kept with the will: %s [MQTT-3.1.3-10]", async (_what, text) => {
    const { port } = await startBroker();
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe("t", { qos: 2 });
    const properties = hex(text);
    using client = await MqttWire.open(port, 5);
    const body = Buffer.concat([
      hex("0004'MQTT' 05 0e 0000 00 0001'c'"),
      Buffer.from([properties.length]),
      properties,
      hex("0001't' 0001'w'"),
    ]);
    await client.wire.send(Buffer.concat([Buffer.from([0x10, body.length]), body]));
    await client.expect("connack");
    await client.vanish();
    expect(propertiesOf(await subscriber.message("w")).toString("hex")).toBe(properties.toString("hex"));
  });

  it("do not come to clients of 3.1.1", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    using old = await MqttWire.connect(port, { version: 4, clientId: "s" });
    await old.subscribe("t");
    await client.wire.send(publish(hex("03 0001'x'")));
    expect((await old.expect("publish")).bytes.toString("hex")).toBe("3003000174");
  });

  it.each([
    ["a response topic with a wildcard [MQTT-3.3.2-14]", "08 0003'r/+'", 0x82],
    ["a response topic that is not UTF-8 [MQTT-3.3.2-13]", "08 0002 c328", 0x81],
    ["a content type that is not UTF-8 [MQTT-3.3.2-19]", "03 0002 c328", 0x81],
    ["a user property that is not UTF-8 [MQTT-1.5.7-1]", "26 0001'a' 0002 c328", 0x81],
    ["a subscription identifier from a client [MQTT-3.3.4-6]", "0b 01", 0x81],
    ["a payload format indicator of 2", "01 02", 0x82],
    ["a property twice", "01 01 01 01", 0x82],
    ["a property that is none", "7f 01", 0x81],
  ])("may not be %s", async (_what, text, code) => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.wire.send(publish(hex(text)));
    expect(await client.dismissed()).toBe(code);
  });
});

describe("the message expiry interval", () => {
  it("is sent as what is left of it [MQTT-3.3.2-6]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    const keep = { clientId: "s", clean: false, properties: { sessionExpiryInterval: 1000 } };
    using first = await MqttWire.connect(port, keep);
    await first.subscribe("t", { qos: 1 });
    await first.disconnect();
    using client = await MqttWire.connect(port, { clientId: "c" });
    const properties = { messageExpiryInterval: 100, contentType: "text/plain" };
    await client.publish("t", "x", { qos: 1, properties });
    await client.publish("r", "x", { qos: 1, retain: true, properties });
    clock.leap(40_000);
    using second = await MqttWire.connect(port, keep);
    const packet = await second.message("x");
    expect(packet.properties?.messageExpiryInterval).toBeLessThanOrEqual(60);
    expect(packet.properties?.messageExpiryInterval).toBeGreaterThan(50);
    expect(packet.properties?.contentType).toBe("text/plain");
    await client.subscribe("r");
    const retained = await client.message("x");
    expect(retained.properties?.messageExpiryInterval).toBeLessThanOrEqual(60);
    expect(retained.properties?.messageExpiryInterval).toBeGreaterThan(50);
  });

  it("once it is over, a message that was not sent is gone, and so is a retained one [MQTT-3.3.2-5]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    const keep = { clientId: "s", clean: false, properties: { sessionExpiryInterval: 1000 } };
    using first = await MqttWire.connect(port, keep);
    await first.subscribe("t", { qos: 1 });
    await first.disconnect();
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.publish("t", "short", { qos: 1, properties: { messageExpiryInterval: 10 } });
    await client.publish("t", "long", { qos: 1, properties: { messageExpiryInterval: 100 } });
    await client.publish("t", "for ever", { qos: 1 });
    await client.publish("r", "x", { retain: true, properties: { messageExpiryInterval: 10 } });
    clock.leap(11_000);
    using second = await MqttWire.connect(port, keep);
    await second.message("long");
    expect((await second.message("for ever")).properties?.messageExpiryInterval).toBeUndefined();
    await second.nothing();
    await client.subscribe("r");
    await client.nothing();
  });

  it("is not sent to clients of 3.1.1, for whom it counts all the same", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    const keep = { version: 4, clientId: "s", clean: false } as const;
    using first = await MqttWire.connect(port, keep);
    await first.subscribe("t", { qos: 1 });
    await first.disconnect();
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.publish("t", "short", { qos: 1, properties: { messageExpiryInterval: 10 } });
    await client.publish("t", "long", { qos: 1, properties: { messageExpiryInterval: 100 } });
    clock.leap(11_000);
    using second = await MqttWire.connect(port, keep);
    const { bytes } = await second.message("long");
    expect(bytes.length).toBe(2 + 3 + 2 + 4);
    await second.nothing();
  });
});

describe("a topic alias", () => {
  it("stands for the topic that it was last given to, on its connection alone [MQTT-3.3.2-7] [MQTT-3.3.2-12]", async () => {
    const { port } = await startBroker();
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe("#", { qos: 1 });
    using client = await MqttWire.connect(port, { clientId: "c" });
    const most = client.connack.properties?.topicAliasMaximum ?? 0;
    expect(most).toBeGreaterThan(1);
    using other = await MqttWire.connect(port, { clientId: "o" });
    const topics = [
      [client, "a/b", 1, "a/b"],
      [client, "", 1, "a/b"],
      [client, "c", most, "c"],
      [other, "d", 1, "d"],
      [client, "", most, "c"],
      [client, "", 1, "a/b"],
      [client, "e", 1, "e"],
      [client, "", 1, "e"],
      [other, "", 1, "d"],
    ] as const;
    for (const [sender, topic, topicAlias, expected] of topics) {
      for (const qos of [0, 1] as const) {
        await sender.publish(topic, "x", { qos, properties: { topicAlias } });
        const packet = await subscriber.message("x");
        expect(packet.topic).toBe(expected);
        expect(packet.properties?.topicAlias).toBeUndefined();
      }
    }
  });

  it("is forgotten with the connection [MQTT-3.3.2-7]", async () => {
    const { port } = await startBroker();
    const keep = { clientId: "c", clean: false, properties: { sessionExpiryInterval: 100 } };
    using first = await MqttWire.connect(port, keep);
    await first.publish("a", "x", { properties: { topicAlias: 1 } });
    await first.disconnect();
    using second = await MqttWire.connect(port, keep);
    await second.sendPublish("", "x", { properties: { topicAlias: 1 } });
    expect(await second.dismissed()).toBe(0x82);
  });

  it("of 0, or over the maximum, ends the connection [MQTT-3.3.2-8] [MQTT-3.3.2-9] [MQTT-3.2.2-17]", async () => {
    const { port } = await startBroker(["mqtt.topic_alias_maximum=5"]);
    for (const alias of ["0000", "0006", "ffff"]) {
      using client = await MqttWire.connect(port, { clientId: "c" });
      await client.wire.send(publish(hex(`23 ${alias}`)));
      expect(await client.dismissed()).toBe(0x94);
    }
  });

  it("ends the connection where the server allows none [MQTT-3.2.2-18]", async () => {
    const { port } = await startBroker(["mqtt.topic_alias_maximum=0"]);
    using client = await MqttWire.connect(port, { clientId: "c" });
    expect(client.connack.properties?.topicAliasMaximum ?? 0).toBe(0);
    await client.wire.send(publish(hex("23 0001")));
    expect(await client.dismissed()).toBe(0x94);
  });

  it("is not sent to a client that allows none, nor over what it allows [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]", async () => {
    const { port } = await startBroker();
    for (const properties of [{}, { topicAliasMaximum: 0 }, { topicAliasMaximum: 2 }]) {
      using client = await MqttWire.connect(port, { clientId: "c", properties });
      const most = "topicAliasMaximum" in properties ? properties.topicAliasMaximum : 0;
      await client.subscribe("#");
      const known = new Map<number, string>();
      for (const topic of ["a", "b", "c", "d", "a", "b", "c", "d", "a"]) {
        await client.sendPublish(topic, "x");
        const packet = await client.message("x");
        const alias = packet.properties?.topicAlias;
        if (alias !== undefined) {
          expect(alias).toBeGreaterThan(0);
          expect(alias).toBeLessThanOrEqual(most);
          if (packet.topic !== "") known.set(alias, packet.topic);
        }
        expect(packet.topic === "" ? known.get(alias ?? 0) : packet.topic).toBe(topic);
      }
    }
  });

  it("does not change the order of what is sent with and without it", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.subscribe("#");
    for (let i = 0; i < 50; i++) {
      const topic = i === 0 || i % 3 !== 0 ? "t" : "";
      void client.sendPublish(topic, `${i}`, i % 3 === 0 ? { properties: { topicAlias: 3 } } : {});
    }
    for (let i = 0; i < 50; i++) expect((await client.message(`${i}`)).topic).toBe("t");
  });
});
