import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

/** What the next PUBLISH says of its topic. */
async function told(client: MqttWire, payload: string): Promise<[topic: string, alias: number | undefined]> {
  const { topic, properties } = await client.message(payload);
  return [topic, properties?.topicAlias];
}

describe("a client that takes topic aliases", () => {
  it("is sent the first topics by alias, as many as it takes, and the others by name [MQTT-3.1.2-26] [MQTT-3.1.2-27]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { properties: { topicAliasMaximum: 2 } });
    await client.subscribe("#");
    using other = await MqttWire.connect(port);
    await other.subscribe("#");
    const seen = [];
    for (const topic of ["a", "b", "a", "c", "b", "c", "a"]) {
      await client.sendPublish(topic, topic);
      seen.push(await told(client, topic));
      expect(await told(other, topic)).toEqual([topic, undefined]);
    }
    expect(seen).toEqual([
      ["a", 1],
      ["b", 2],
      ["", 1],
      ["c", undefined],
      ["", 2],
      ["c", undefined],
      ["", 1],
    ]);
  });

  it("is not sent any where the configuration says so, nor is one that takes none", async () => {
    const { port } = await startBroker(["mqtt.client_topic_aliases=1"]);
    const none = await startBroker(["mqtt.client_topic_aliases=0"]);
    using one = await MqttWire.connect(port, { properties: { topicAliasMaximum: 10 } });
    await one.subscribe("#");
    for (const [topic, expected] of [
      ["a", ["a", 1]],
      ["b", ["b", undefined]],
      ["a", ["", 1]],
    ] as const) {
      await one.sendPublish(topic, "x");
      expect(await told(one, "x")).toEqual(expected);
    }
    using other = await MqttWire.connect(none.port, { properties: { topicAliasMaximum: 10 } });
    await other.subscribe("#");
    for (let i = 0; i < 2; i++) {
      await other.sendPublish("a", "x");
      expect(await told(other, "x")).toEqual(["a", undefined]);
    }
  });

  it("gets them at every QoS with all properties, and anew on each connection [MQTT-3.3.2-7]", async () => {
    const { port } = await startBroker();
    const options = { clientId: "c", clean: false, properties: { topicAliasMaximum: 5, sessionExpiryInterval: 100 } };
    using client = await MqttWire.connect(port, options);
    await client.subscribe("a", { qos: 2, subscriptionIdentifier: 9 });
    using sender = await MqttWire.connect(port);
    const properties = { contentType: "x/y", messageExpiryInterval: 100 };
    for (const [place, qos] of ([0, 1, 2] as const).entries()) {
      await sender.publish("a", "x", { qos, properties });
      const packet = await client.message("x");
      expect([packet.qos, packet.topic]).toEqual([qos, place === 0 ? "a" : ""]);
      expect(packet.properties).toMatchObject({ contentType: "x/y", subscriptionIdentifier: 9, topicAlias: 1 });
      if (qos === 1) await client.acknowledge("puback", packet.messageId);
    }
    await client.vanish();
    using again = await MqttWire.connect(port, options);
    const packet = await again.message("x");
    expect([packet.topic, packet.dup, packet.properties?.topicAlias]).toEqual(["a", true, 1]);
  });

  it("gets them for messages of other protocols, and for queues", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { properties: { topicAliasMaximum: 5 } });
    await client.subscribe(["$queue/a", "a"]);
    using stomp = await StompWire.connect(port);
    for (const destination of ["/topic/a", "/queue/a", "/topic/a", "/queue/a"]) {
      await stomp.request("SEND", { destination }, destination);
    }
    expect(await told(client, "/topic/a")).toEqual(["a", 1]);
    expect(await told(client, "/queue/a")).toEqual(["$queue/a", 2]);
    expect(await told(client, "/topic/a")).toEqual(["", 1]);
    expect(await told(client, "/queue/a")).toEqual(["", 2]);
  });

  it("gets a message without one that would be too large with it [MQTT-3.1.2-24]", async () => {
    const { port } = await startBroker();
    const body = "x".repeat(100);
    const bytes = 2 + 3 + 1 + body.length;
    using client = await MqttWire.connect(port, { properties: { topicAliasMaximum: 5, maximumPacketSize: bytes } });
    await client.subscribe("a");
    for (let i = 0; i < 2; i++) {
      await client.sendPublish("a", body);
      expect(await told(client, body)).toEqual(["a", undefined]);
    }
    await client.sendPublish("a", "y");
    expect(await told(client, "y")).toEqual(["a", 1]);
  });
});
