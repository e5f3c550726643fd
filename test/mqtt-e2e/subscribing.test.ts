import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { MqttWire } from "../support/mqtt-wire.ts";

describe.each([3, 4, 5] as const)("SUBSCRIBE of level %s", (version) => {
  it("is answered by SUBACK with its identifier and a code for each filter, in their order [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-2.2.1-6] mqtt311 [MQTT-3.8.4-1] mqtt311 [MQTT-3.8.4-2] mqtt311 [MQTT-3.8.4-4] mqtt311 [MQTT-3.8.4-5] mqtt311 [MQTT-3.9.3-1] mqtt311 [MQTT-3.9.3-2] mqtt311 [MQTT-2.3.1-7]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    const filters = [
      { topic: "a", qos: 2 },
      { topic: "a/#/b", qos: 1 },
      { topic: "b/+", qos: 0 },
      { topic: "b+", qos: 0 },
      { topic: "#", qos: 1 },
    ] as const;
    const wrong = version === 5 ? 0x8f : 0x80;
    expect(await client.subscribe(filters)).toEqual([2, wrong, 0, wrong, 1]);
    await client.send({ cmd: "subscribe", messageId: 0xfffe, subscriptions: [{ topic: "x", qos: 0 }] });
    expect((await client.expect("suback")).messageId).toBe(0xfffe);
  });

  it("with several filters that match gives one message, at the highest QoS [MQTT-3.3.4-2] mqtt311 [MQTT-3.3.5-1]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await client.subscribe([
      { topic: "a/#", qos: 0 },
      { topic: "a/b", qos: 2 },
      { topic: "+/b", qos: 1 },
    ]);
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish("a/b", "x", { qos });
      expect((await client.message("x")).qos).toBe(qos);
    }
    await client.nothing();
  });

  it("again for the same filter replaces the QoS, up and down [MQTT-3.8.4-3] mqtt311 [MQTT-3.8.4-3]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    for (const qos of [0, 2, 1, 0] as const) {
      await client.subscribe([{ topic: "a/+", qos }]);
      await publisher.publish("a/b", "x", { qos: 2 });
      expect((await client.message("x")).qos).toBe(qos);
      await client.nothing();
    }
  });

  it("for thousands of filters in one packet does all of them", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    const filters = Array.from({ length: 3000 }, (_, at) => `f/${at}`);
    expect(await client.subscribe(filters, { qos: 1 })).toEqual(filters.map(() => 1));
    await client.sendPublish("f/2999", "x");
    await client.message("x");
  });
});

describe.each([3, 4, 5] as const)("UNSUBSCRIBE of level %s", (version) => {
  it("ends a subscription, is answered with its identifier, also when there was none [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2] [MQTT-2.2.1-6] mqtt311 [MQTT-3.10.4-1] mqtt311 [MQTT-3.10.4-2] mqtt311 [MQTT-3.10.4-4] mqtt311 [MQTT-3.10.4-5] mqtt311 [MQTT-3.10.4-6] mqtt311 [MQTT-2.3.1-7]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await client.subscribe(["a/+", "a/b", "c"]);
    // Character by character: none of these is "a/+" or "a/b".
    const codes = await client.unsubscribe("a/#", "A/b", "a/b/", "c", "c");
    if (version === 5) expect(codes).toEqual([0x11, 0x11, 0x11, 0, 0x11]);
    else expect(codes).toEqual([]);
    await publisher.publish("c", "gone", { qos: 1 });
    await publisher.publish("a/b", "1", { qos: 1 });
    await client.message("1");
    await client.unsubscribe("a/b");
    await publisher.publish("a/b", "2", { qos: 1 });
    await client.message("2");
    await client.unsubscribe("a/+");
    await publisher.publish("a/b", "3", { qos: 1 });
    await client.nothing();
  });

  it("leaves messages under way to be finished [MQTT-3.10.4-3] mqtt311 [MQTT-3.10.4-3]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await client.subscribe("a", { qos: 2 });
    await publisher.publish("a", "x", { qos: 2 });
    const { messageId } = await client.message("x");
    await client.unsubscribe("a");
    await client.acknowledge("pubrec", messageId);
    expect((await client.expect("pubrel")).messageId).toBe(messageId);
    await client.acknowledge("pubcomp", messageId);
    await client.nothing();
  });
});

describe("no local", () => {
  it("leaves out what the client itself publishes, and nothing else [MQTT-3.8.3-3]", async () => {
    const { port } = await startBroker();
    using other = await MqttWire.connect(port, { clientId: "o" });
    for (const properties of [{}, { sessionExpiryInterval: 100 }]) {
      using client = await MqttWire.connect(port, { clientId: "c", properties });
      await client.subscribe([{ topic: "a", nl: true, qos: 1 }]);
      for (const qos of [0, 1, 2] as const) await client.publish("a", "own", { qos });
      await other.publish("a", "x", { qos: 1 });
      await client.acknowledge("puback", (await client.message("x")).messageId);
      await client.nothing();
      // Another filter that matches wants it.
      await client.subscribe("+");
      await client.sendPublish("a", "y");
      await client.message("y");
      await client.disconnect();
    }
  });

  it("holds after the session came back on another connection [MQTT-3.8.3-3]", async () => {
    const { port } = await startBroker();
    const keep = { clientId: "c", clean: false, properties: { sessionExpiryInterval: 100 } };
    using first = await MqttWire.connect(port, keep);
    await first.subscribe([{ topic: "a", nl: true, qos: 1 }]);
    await first.disconnect();
    using second = await MqttWire.connect(port, keep);
    await second.publish("a", "own", { qos: 1 });
    await second.nothing();
  });

  it("for a shared subscription ends the connection [MQTT-3.8.3-4]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "$share/g/a", qos: 0, nl: true }] });
    expect(await client.dismissed()).toBe(0x82);
  });
});

describe("a subscription identifier", () => {
  it("comes with what its subscription matched, all of them in one message [MQTT-3.3.4-3] [MQTT-3.3.4-4]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    for (const properties of [{}, { sessionExpiryInterval: 100 }]) {
      using client = await MqttWire.connect(port, { clientId: "c", properties });
      await client.subscribe(["a/#", "a/x"], { qos: 2, subscriptionIdentifier: 268_435_455 });
      await client.subscribe("a/b", { qos: 1, subscriptionIdentifier: 1 });
      await client.subscribe("+/b", { qos: 0, subscriptionIdentifier: 128 });
      await client.subscribe("a/+", { qos: 0 });
      for (const qos of [0, 1, 2] as const) {
        await publisher.publish("a/b", "x", { qos });
        const ids = [(await client.message("x")).properties?.subscriptionIdentifier].flat();
        expect(new Set(ids)).toEqual(new Set([1, 128, 268_435_455]));
        expect(ids.length).toBe(3);
        await publisher.publish("a/x", "y", { qos });
        expect((await client.message("y")).properties?.subscriptionIdentifier).toEqual(268_435_455);
        await publisher.publish("c/b", "z", { qos });
        expect((await client.message("z")).properties?.subscriptionIdentifier).toEqual(128);
      }
      await client.unsubscribe("a/#", "a/x");
      await publisher.publish("a/x", "y");
      expect((await client.message("y")).properties?.subscriptionIdentifier).toBeUndefined();
      await client.disconnect();
    }
  });

  it("is replaced with its subscription, or taken away [MQTT-3.8.4-3]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    for (const subscriptionIdentifier of [5, 6, undefined]) {
      await client.subscribe("a", subscriptionIdentifier === undefined ? {} : { subscriptionIdentifier });
      await client.sendPublish("a", "x");
      expect((await client.message("x")).properties?.subscriptionIdentifier).toBe(subscriptionIdentifier);
    }
  });

  it("is part of the session [MQTT-3.3.4-3] [MQTT-4.1.0-1]", async () => {
    const { port } = await startBroker();
    const keep = { clientId: "c", clean: false, properties: { sessionExpiryInterval: 100 } };
    using first = await MqttWire.connect(port, keep);
    await first.subscribe("a", { qos: 1, subscriptionIdentifier: 7 });
    await first.disconnect();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await publisher.publish("a", "x", { qos: 1 });
    using second = await MqttWire.connect(port, keep);
    expect((await second.message("x")).properties?.subscriptionIdentifier).toBe(7);
  });

  it("comes with retained messages [MQTT-3.3.4-3]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.publish("a", "x", { retain: true });
    await client.subscribe("a", { subscriptionIdentifier: 7 });
    expect((await client.message("x")).properties?.subscriptionIdentifier).toBe(7);
  });

  it("of 0, or two of them, ends the connection", async () => {
    const { port } = await startBroker();
    for (const properties of ["02 0b 00", "04 0b 01 0b 02"]) {
      using client = await MqttWire.connect(port, { clientId: "c" });
      const length = (6 + properties.replaceAll(" ", "").length / 2).toString(16).padStart(2, "0");
      await client.sendHex(`82 ${length} 0001 ${properties} 0001'a' 00`);
      expect(await client.dismissed()).toBe(0x82);
    }
  });
});

describe("a session with more subscriptions than mqtt.max_subscriptions", () => {
  it("is refused each further one, plain or shared, and may still change those it has", async () => {
    const { port } = await startBroker(["mqtt.max_subscriptions=2"]);
    for (const version of [4, 5] as const) {
      using client = await MqttWire.connect(port, { version, clientId: "c" });
      const full = version === 5 ? 0x97 : 0x80;
      expect(await client.subscribe(["a", "$share/g/b", "c", "$share/g/d", "a"])).toEqual([0, 0, full, full, 0]);
      await client.unsubscribe("a");
      expect(await client.subscribe(["c"], { qos: 1 })).toEqual([1]);
    }
  });
});
