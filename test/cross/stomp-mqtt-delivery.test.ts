import { describe, expect, it } from "vitest";
import { MqttjsClient } from "../clients/mqttjs-client.ts";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { StompWire } from "../support/stomp-wire.ts";

const LEVELS = [4, 5] as const;

/** Subscribes without ever acknowledging. */
async function silent(port: number, level: 4 | 5, filter: string, qos: 1 | 2): Promise<MqttjsClient> {
  const client = await MqttjsClient.connect(port, level);
  // Where it would say PUBACK or PUBREC.
  client.mqtt.handleMessage = () => {};
  await client.mqtt.subscribeAsync(filter, { qos });
  return client;
}

describe.each(LEVELS)("a queue and MQTT.js with protocol version %i", (level) => {
  it("a message is in the queue until its PUBACK", async () => {
    const { port, queue } = await startQueueBroker();
    using stomp = await StompWire.connect(port);
    await stomp.request("SEND", { destination: "/queue/work", persistent: "true" }, "1");
    const client = await MqttjsClient.connect(port, level);
    const acknowledge: (() => void)[] = [];
    client.mqtt.handleMessage = (_packet, done) => void acknowledge.push(() => done());
    await client.mqtt.subscribeAsync("$queue/work", { qos: 1 });
    await eventually(() => expect(client.bodies).toEqual(["1"]));
    expect(queue("work").count).toBe(1);
    acknowledge[0]?.();
    await eventually(() => expect(queue("work").count).toBe(0));
  });

  it.each(["true", "false"])(
    "what an MQTT client died with goes to STOMP, redelivered (persistent:%s)",
    async (persistent) => {
      const { port, queue } = await startQueueBroker();
      using stomp = await StompWire.connect(port);
      const dying = await silent(port, level, "$queue/work", 1);
      await stomp.request("SEND", { destination: "/queue/work", persistent: "true" }, "1");
      await stomp.request("SEND", { destination: "/queue/work", persistent }, "2");
      await eventually(() => expect(dying.bodies[0]).toBe("1"));
      await stomp.request("SUBSCRIBE", { id: "1", destination: "/queue/work", ack: "client-individual" });
      dying.crash();
      const again = await stomp.message();
      expect([again.body.toString(), again.headers.get("redelivered")]).toEqual(["1", "true"]);
      await stomp.ack(again);
      if (persistent === "true") await stomp.ack(await stomp.message());
      await eventually(() => expect(queue("work").count).toBe(0));
    },
  );

  it.each([1, 2] as const)("what an MQTT client died with at QoS %i goes to another one", async (qos) => {
    const { port, queue } = await startQueueBroker();
    const dying = await silent(port, level, "$queue/work", qos);
    const sender = await MqttjsClient.connect(port, level);
    await sender.mqtt.publishAsync("$queue/work", "1", { qos: 1 });
    await eventually(() => expect(dying.bodies).toEqual(["1"]));
    const other = await MqttjsClient.connect(port, level);
    await other.mqtt.subscribeAsync("$queue/work", { qos });
    dying.crash();
    await eventually(() => expect(other.bodies).toEqual(["1"]));
    await eventually(() => expect(queue("work").count).toBe(0));
  });

  it("what a STOMP client died with goes to MQTT", async () => {
    const { port, queue } = await startQueueBroker();
    const dying = await StompWire.connect(port);
    await dying.request("SUBSCRIBE", { id: "1", destination: "/queue/work", ack: "client" });
    const client = await MqttjsClient.connect(port, level);
    await client.mqtt.publishAsync("$queue/work", "1", { qos: 2 });
    await dying.message();
    await client.mqtt.subscribeAsync("$queue/work", { qos: 1 });
    dying.wire.reset();
    await eventually(() => expect(client.bodies).toEqual(["1"]));
    await eventually(() => expect(queue("work").count).toBe(0));
  });

  it("consumers of both protocols share a queue", async () => {
    const { port, queue } = await startQueueBroker();
    using stomp = await StompWire.connect(port);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/queue/work", ack: "auto" });
    const mqtt = await MqttjsClient.connect(port, level);
    await mqtt.mqtt.subscribeAsync("$queue/work", { qos: 1 });
    const sent = Array.from({ length: 40 }, (_, i) => String(i));
    for (const [i, body] of sent.entries()) {
      if (i % 2 === 0) await stomp.send("SEND", { destination: "/queue/work" }, body);
      else await mqtt.mqtt.publishAsync("$queue/work", body, { qos: 1 });
    }
    await eventually(() => expect(queue("work").count).toBe(0));
    await eventually(() => expect(mqtt.got.length).toBe(20));
    const all = [...(await stomp.bodies(20)), ...mqtt.bodies];
    expect(all.toSorted()).toEqual(sent.toSorted());
  });

  it("STOMP's priority decides what MQTT gets first", async () => {
    const { port } = await startQueueBroker();
    using stomp = await StompWire.connect(port);
    for (const priority of ["1", "9", "4"]) {
      await stomp.request("SEND", { destination: "/queue/work", priority, persistent: "true" }, priority);
    }
    const mqtt = await MqttjsClient.connect(port, level);
    await mqtt.mqtt.subscribeAsync("$queue/work", { qos: 1 });
    await eventually(() => expect(mqtt.bodies).toEqual(["9", "4", "1"]));
  });

  it("what STOMP had retained is marked so for who subscribes later, and not for who was there", async () => {
    const { port } = await startQueueBroker();
    const early = await MqttjsClient.connect(port, level);
    await early.mqtt.subscribeAsync("state/#", { qos: 1 });
    using stomp = await StompWire.connect(port);
    for (const persistent of ["true", "false"]) {
      await stomp.request("SEND", { destination: `/topic/state.${persistent}`, retain: "set", persistent }, persistent);
    }
    const late = await MqttjsClient.connect(port, level);
    await late.mqtt.subscribeAsync("state/#", { qos: 1 });
    for (const client of [early, late]) {
      await eventually(() => expect(client.bodies.toSorted()).toEqual(["false", "true"]));
      for (const { topic, packet } of client.got) {
        expect(packet).toMatchObject({ qos: topic === "state/true" ? 1 : 0, retain: client === late });
      }
    }
  });

  it("a session of MQTT gets from STOMP what is persistent at QoS 1 and the rest at QoS 0", async () => {
    const { port } = await startQueueBroker();
    const mqtt = await MqttjsClient.connect(port, level);
    await mqtt.mqtt.subscribeAsync("a", { qos: 2 });
    using stomp = await StompWire.connect(port);
    await stomp.request("SEND", { destination: "/topic/a", persistent: "true" }, "kept");
    await stomp.request("SEND", { destination: "/topic/a" }, "loose");
    await eventually(() => expect(mqtt.bodies).toEqual(["kept", "loose"]));
    expect(mqtt.got.map(({ packet }) => packet.qos)).toEqual([1, 0]);
  });
});

describe("MQTT 5.0 seen by STOMP", () => {
  it("user properties are what a selector looks at", async () => {
    const { port } = await startQueueBroker();
    using stomp = await StompWire.connect(port);
    const selector = "colour = 'red' AND weight > 3";
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/topic/fruit", selector });
    await stomp.request("SUBSCRIBE", { id: "2", destination: "/queue/fruit", selector });
    const mqtt = await MqttjsClient.connect(port, 5);
    const send = (topic: string, body: string, userProperties: Record<string, string>): Promise<unknown> =>
      mqtt.mqtt.publishAsync(topic, body, { qos: 1, properties: { userProperties } });
    for (const topic of ["fruit", "$queue/fruit"]) {
      await send(topic, "green", { colour: "green", weight: "5" });
      await send(topic, "light", { colour: "red", weight: "2" });
      await send(topic, "right", { colour: "red", weight: "5" });
      expect((await stomp.message()).body.toString()).toBe("right");
    }
  });

  it("the time a message has is in `expires`", async () => {
    const { port } = await startQueueBroker();
    using stomp = await StompWire.connect(port);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/topic/a" });
    const mqtt = await MqttjsClient.connect(port, 5);
    const before = Date.now();
    await mqtt.mqtt.publishAsync("a", "x", { qos: 1, properties: { messageExpiryInterval: 1000 } });
    const expires = Number((await stomp.message()).headers.get("expires"));
    expect(expires).toBeGreaterThanOrEqual(before + 1_000_000 - 1);
    expect(expires).toBeLessThanOrEqual(Date.now() + 1_000_000);
  });

  it("user properties cannot pass for what the broker says", async () => {
    const { port } = await startQueueBroker();
    using stomp = await StompWire.connect(port);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client-individual" });
    const mqtt = await MqttjsClient.connect(port, 5);
    const names = ["subscription", "destination", "message-id", "ack", "content-length", "redelivered", "JMSXUserID"];
    const userProperties = Object.fromEntries(names.map((name) => [name, "forged"]));
    await mqtt.mqtt.publishAsync("$queue/a", "x", { qos: 1, properties: { userProperties } });
    const { headers, lines } = await stomp.message();
    expect(lines.filter((line) => line.includes("forged"))).toEqual([]);
    expect(headers.get("destination")).toBe("/queue/a");
  });

  it("correlation data that is no text comes back as it was", async () => {
    const { port } = await startQueueBroker();
    using server = await StompWire.connect(port);
    await server.request("SUBSCRIBE", { id: "1", destination: "/queue/service" });
    const client = await MqttjsClient.connect(port, 5);
    await client.mqtt.subscribeAsync("answers", { qos: 1 });
    const asked = [[0, 255, 128], [], [...Buffer.from("base64:AAAA")], [...Buffer.from("plain")]].map((bytes) =>
      Buffer.from(bytes),
    );
    for (const correlationData of asked) {
      await client.mqtt.publishAsync("$queue/service", "?", {
        qos: 1,
        properties: { responseTopic: "answers", correlationData },
      });
      const { headers } = await server.message();
      const correlation = headers.get("correlation-id") ?? "";
      await server.send("SEND", { destination: headers.get("reply-to") ?? "", "correlation-id": correlation }, "!");
    }
    await eventually(() => expect(client.got.length).toBe(asked.length));
    expect(client.got.map(({ packet }) => packet.properties?.correlationData)).toEqual(asked);
  });
});

describe("STOMP seen by MQTT 5.0", () => {
  it("text is marked as such, bytes are not", async () => {
    const { port } = await startQueueBroker();
    const mqtt = await MqttjsClient.connect(port, 5);
    await mqtt.mqtt.subscribeAsync("a", { qos: 1 });
    using stomp = await StompWire.connect(port);
    await stomp.request("SEND", { destination: "/topic/a", "content-type": "text/plain" }, "grüße");
    await stomp.request("SEND", { destination: "/topic/a", "content-length": "2" }, Buffer.from([0, 255]));
    await eventually(() => expect(mqtt.got.length).toBe(2));
    expect(mqtt.got.map(({ packet }) => packet.properties?.payloadFormatIndicator)).toEqual([true, undefined]);
  });

  it("what MQTT has no place for is in user properties", async () => {
    const { port } = await startQueueBroker();
    const mqtt = await MqttjsClient.connect(port, 5);
    await mqtt.mqtt.subscribeAsync("a", { qos: 1 });
    using stomp = await StompWire.connect(port);
    const headers = { type: "order", "content-encoding": "gzip", JMSXGroupID: "g", priority: "7" };
    await stomp.request("SEND", { destination: "/topic/a", ...headers }, "x");
    await eventually(() => expect(mqtt.got.length).toBe(1));
    expect(mqtt.got[0]?.packet.properties?.userProperties).toMatchObject({
      subject: "order",
      "content-encoding": "gzip",
      "group-id": "g",
    });
  });

  it("the time a message has is its expiry interval", async () => {
    const { port } = await startQueueBroker();
    const mqtt = await MqttjsClient.connect(port, 5);
    await mqtt.mqtt.subscribeAsync("a", { qos: 1 });
    using stomp = await StompWire.connect(port);
    await stomp.request("SEND", { destination: "/topic/a", ttl: "100000" }, "x");
    await stomp.request("SEND", { destination: "/topic/a", expires: String(Date.now() + 200_000) }, "x");
    await eventually(() => expect(mqtt.got.length).toBe(2));
    const intervals = mqtt.got.map(({ packet }) => packet.properties?.messageExpiryInterval ?? 0);
    for (const [i, most] of [100, 200].entries()) {
      expect(intervals[i]).toBeLessThanOrEqual(most);
      expect(intervals[i]).toBeGreaterThan(most - 50);
    }
  });

  it("a temporary queue to answer to is a response topic, and answers to it arrive", async () => {
    const { port } = await startQueueBroker();
    const server = await MqttjsClient.connect(port, 5);
    await server.mqtt.subscribeAsync("$queue/service", { qos: 1 });
    server.mqtt.on("message", (_topic, body, { properties }) => {
      server.mqtt.publish(properties?.responseTopic ?? "", body.toString().toUpperCase(), { qos: 1 });
    });
    using stomp = await StompWire.connect(port);
    for (const kind of ["queue", "topic"]) {
      const replyTo = `/temp-${kind}/mine`;
      await stomp.request("SUBSCRIBE", { id: kind, destination: replyTo });
      await stomp.request("SEND", { destination: "/queue/service", "reply-to": replyTo }, "abc");
      expect(await stomp.bodies(1)).toEqual(["ABC"]);
    }
  });
});
