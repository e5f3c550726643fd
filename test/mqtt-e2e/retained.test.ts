import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { MqttWire } from "../support/mqtt-wire.ts";

describe.each([3, 4, 5] as const)("a retained message of level %s", (version) => {
  it("comes to those who subscribe later, with the retain flag [MQTT-3.3.1-5] [MQTT-3.3.1-9] mqtt311 [MQTT-3.3.1-5] mqtt311 [MQTT-3.3.1-6] mqtt311 [MQTT-3.3.1-8]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { version, clientId: "p" });
    for (const qos of [0, 1, 2] as const) await publisher.publish(`r/${qos}`, `${qos}`, { qos, retain: true });
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    for (const granted of [0, 1, 2] as const) {
      for (const qos of [0, 1, 2] as const) {
        await client.subscribe(`r/${qos}`, { qos: granted });
        const packet = await client.message(`${qos}`);
        expect([packet.topic, packet.retain, packet.dup, packet.qos]).toEqual([
          `r/${qos}`,
          true,
          false,
          Math.min(granted, qos),
        ]);
        if (packet.qos === 1) await client.acknowledge("puback", packet.messageId);
        if (packet.qos === 2) {
          await client.acknowledge("pubrec", packet.messageId);
          await client.expect("pubrel");
          await client.acknowledge("pubcomp", packet.messageId);
        }
      }
    }
    await client.nothing();
  });

  it("goes without the flag to those who had subscribed [MQTT-3.3.1-12] mqtt311 [MQTT-3.3.1-9]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { version, clientId: "p" });
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("r", { qos: 2 });
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish("r", "x", { qos, retain: true });
      expect((await client.message("x")).retain).toBe(false);
    }
  });

  it("replaces the one before, also at QoS 0 [MQTT-3.3.1-5] mqtt311 [MQTT-3.3.1-7]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { version, clientId: "p" });
    await publisher.publish("r", "1", { qos: 2, retain: true });
    await publisher.publish("r", "2", { qos: 0, retain: true });
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("r", { qos: 2 });
    const { qos } = await client.message("2");
    expect(qos).toBe(0);
    await client.nothing();
  });

  it("is removed by an empty one, which goes to the subscribers and is not retained [MQTT-3.3.1-6] [MQTT-3.3.1-7] mqtt311 [MQTT-3.3.1-10] mqtt311 [MQTT-3.3.1-11]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { version, clientId: "p" });
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish("r", "x", { qos, retain: true });
      await client.subscribe("r", { qos: 0 });
      await client.message("x");
      await publisher.publish("r", "", { qos, retain: true });
      expect((await client.message("")).retain).toBe(false);
      await client.unsubscribe("r");
      using late = await MqttWire.connect(port, { version, clientId: "l" });
      await late.subscribe("r");
      await late.nothing();
    }
  });

  it("is neither replaced nor removed by messages without the flag [MQTT-3.3.1-8] mqtt311 [MQTT-3.3.1-12]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { version, clientId: "p" });
    await publisher.publish("r", "1", { retain: true });
    await publisher.publish("r", "2");
    await publisher.publish("r", "");
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("r");
    await client.message("1");
    await client.nothing();
  });

  it("does not go with the session of who published it mqtt311 [MQTT-3.1.2-7]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { version, clientId: "p" });
    await publisher.publish("r", "1", { retain: true });
    await publisher.disconnect();
    using client = await MqttWire.connect(port, { version, clientId: "p" });
    await client.subscribe("r");
    await client.message("1");
  });

  it("comes by a wildcard, of each topic one", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { version, clientId: "p" });
    const topics = ["r", "r/1", "r/1/x", "r/2", "s"];
    for (const topic of topics) await publisher.publish(topic, topic, { retain: true });
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("r/#");
    const found: string[] = [];
    for (let i = 0; i < 4; i++) found.push((await client.expect("publish")).topic);
    expect(found.sort()).toEqual(topics.slice(0, 4));
    await client.nothing();
  });

  it("comes again each time the same filter is subscribed to, and nothing is lost by that [MQTT-3.8.4-3] [MQTT-3.8.4-4] mqtt311 [MQTT-3.8.4-3]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { version, clientId: "p" });
    await publisher.publish("r/x", "kept", { retain: true });
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("r/+", { qos: 0 });
    await client.message("kept");
    await client.subscribe("r/+", { qos: 1 });
    await client.message("kept");
    await publisher.publish("r/x", "new", { qos: 1 });
    // The subscription was replaced: one message, and at the new QoS.
    expect((await client.message("new")).qos).toBe(1);
    await client.nothing();
  });
});

describe("the retain handling of a subscription", () => {
  it.each([
    [0, "always [MQTT-3.3.1-9]", [true, true]],
    [1, "only to a new subscription [MQTT-3.3.1-10]", [true, false]],
    [2, "never [MQTT-3.3.1-11]", [false, false]],
  ] as const)("of %s sends what is retained %s", async (rh, _what, comes) => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await publisher.publish("r/1", "x", { retain: true, qos: 1 });
    const keep = { clientId: "c", clean: false, properties: { sessionExpiryInterval: 100 } };
    for (const options of [{ clientId: "d" }, keep]) {
      using client = await MqttWire.connect(port, options);
      for (const filter of ["r/1", "r/+"]) {
        for (const expected of comes) {
          await client.subscribe([{ topic: filter, rh, qos: 1 }]);
          if (expected) await client.acknowledge("puback", (await client.message("x")).messageId);
          await client.nothing();
        }
      }
      await client.unsubscribe("r/1");
      await client.subscribe([{ topic: "r/1", rh }]);
      if (comes[0]) await client.message("x");
      await client.nothing();
    }
  });

  it("of 1 counts a subscription as there after a reconnect [MQTT-3.3.1-10]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await publisher.publish("r", "x", { retain: true });
    const keep = { clientId: "c", clean: false, properties: { sessionExpiryInterval: 100 } };
    using first = await MqttWire.connect(port, keep);
    await first.subscribe([{ topic: "r", rh: 1 }]);
    await first.message("x");
    await first.disconnect();
    using second = await MqttWire.connect(port, keep);
    await second.subscribe([{ topic: "r", rh: 1 }]);
    await second.nothing();
  });
});

describe("retain as published", () => {
  it("of 0 takes the flag away, of 1 leaves it as it was [MQTT-3.3.1-12] [MQTT-3.3.1-13]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    for (const properties of [{}, { sessionExpiryInterval: 100 }]) {
      using client = await MqttWire.connect(port, { clientId: "c", properties });
      for (const rap of [false, true]) {
        await client.subscribe([{ topic: "r", rap, rh: 2, qos: 1 }]);
        for (const retain of [false, true]) {
          for (const qos of [0, 1, 2] as const) {
            await publisher.publish("r", "x", { retain, qos });
            expect([rap, retain, qos, (await client.message("x")).retain]).toEqual([rap, retain, qos, rap && retain]);
          }
        }
      }
      await client.disconnect();
    }
  });

  it("holds for messages published by clients of 3.1.1 and with an alias [MQTT-3.3.1-13]", async () => {
    const { port } = await startBroker();
    using old = await MqttWire.connect(port, { version: 4, clientId: "p" });
    using publisher = await MqttWire.connect(port, { clientId: "q" });
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.subscribe([{ topic: "r", rap: true }]);
    await old.publish("r", "x", { retain: true });
    expect((await client.message("x")).retain).toBe(true);
    await publisher.publish("r", "y", { retain: true, properties: { topicAlias: 1 } });
    expect((await client.message("y")).retain).toBe(true);
    await publisher.publish("", "z", { properties: { topicAlias: 1 } });
    expect((await client.message("z")).retain).toBe(false);
  });

  it("does not change that what is retained comes with the flag", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await publisher.publish("r", "x", { retain: true });
    using client = await MqttWire.connect(port, { clientId: "c" });
    for (const rap of [false, true]) {
      await client.subscribe([{ topic: "r", rap }]);
      expect((await client.message("x")).retain).toBe(true);
    }
  });
});
