import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { MqttjsClient } from "./mqttjs-client.ts";

describe("MQTT.js by MQTT 5.0", () => {
  it("sends and receives every property that travels with a message", async () => {
    const { port } = await startQueueBroker();
    const client = await MqttjsClient.connect(port, 5);
    await client.mqtt.subscribeAsync("a", { qos: 2, properties: { subscriptionIdentifier: 7 } });
    const properties = {
      payloadFormatIndicator: true,
      contentType: "text/plain; charset=utf-8",
      responseTopic: "answers/\u{1f30a}",
      correlationData: Buffer.from([0, 255, 1]),
      userProperties: { colour: ["red", "blue"], "": "", "\u{1f30a}": "a: b\n" },
    };
    for (const qos of [0, 1, 2] as const) await client.mqtt.publishAsync("a", "x", { qos, properties });
    await eventually(() => expect(client.got.length).toBe(3));
    for (const { packet } of client.got) {
      expect(packet.properties).toEqual({ ...properties, subscriptionIdentifier: 7 });
    }
  });

  it("asks and is answered by response topic and correlation data", async () => {
    const { port } = await startQueueBroker();
    const server = await MqttjsClient.connect(port, 5);
    await server.mqtt.subscribeAsync("upper", { qos: 1 });
    server.mqtt.on("message", (_topic, body, { properties }) => {
      const { responseTopic = "", correlationData } = properties ?? {};
      const answer = correlationData === undefined ? {} : { properties: { correlationData } };
      server.mqtt.publish(responseTopic, body.toString().toUpperCase(), { qos: 1, ...answer });
    });
    const client = await MqttjsClient.connect(port, 5);
    await client.mqtt.subscribeAsync("answers/me", { qos: 1 });
    for (const [i, body] of ["a", "b"].entries()) {
      const properties = { responseTopic: "answers/me", correlationData: Buffer.from([i]) };
      await client.mqtt.publishAsync("upper", body, { qos: 1, properties });
    }
    await eventually(() => expect(client.bodies).toEqual(["A", "B"]));
    expect(client.got.map(({ packet }) => packet.properties?.correlationData?.[0])).toEqual([0, 1]);
  });

  it.each([0, 1, 2] as const)("shares a subscription of QoS %i: each message goes to one member", async (qos) => {
    const { port } = await startQueueBroker();
    const members = [await MqttjsClient.connect(port, 5), await MqttjsClient.connect(port, 5)];
    for (const { mqtt } of members) await mqtt.subscribeAsync("$share/crew/jobs/#", { qos });
    const everybody = await MqttjsClient.connect(port, 5);
    await everybody.mqtt.subscribeAsync("jobs/#", { qos });
    const sent = Array.from({ length: 100 }, (_, i) => String(i));
    await Promise.all(sent.map((body) => everybody.mqtt.publishAsync("jobs/a", body, { qos })));
    const shared = (): string[] => members.flatMap(({ bodies }) => bodies);
    await eventually(() => expect(shared().length).toBe(100));
    expect(shared().toSorted()).toEqual(sent.toSorted());
    for (const { got } of members) expect(got.length).toBeGreaterThan(0);
    await eventually(() => expect(everybody.bodies).toEqual(sent));
  });

  it("gives what a member of a share did not acknowledge to another one", async () => {
    const { port } = await startQueueBroker();
    const dying = await MqttjsClient.connect(port, 5);
    // Where it would acknowledge.
    dying.mqtt.handleMessage = () => {};
    await dying.mqtt.subscribeAsync("$share/crew/jobs", { qos: 1 });
    const other = await MqttjsClient.connect(port, 5);
    await other.mqtt.publishAsync("jobs", "1", { qos: 1 });
    await eventually(() => expect(dying.bodies).toEqual(["1"]));
    await other.mqtt.subscribeAsync("$share/crew/jobs", { qos: 1 });
    dying.crash();
    await eventually(() => expect(other.bodies).toEqual(["1"]));
  });

  it("hears nothing of its own where it asked not to, and what is retained as it asked", async () => {
    const { port } = await startQueueBroker();
    const other = await MqttjsClient.connect(port, 5);
    await other.mqtt.publishAsync("state", "on", { qos: 1, retain: true });
    const client = await MqttjsClient.connect(port, 5);
    await client.mqtt.subscribeAsync("state", { qos: 1, nl: true, rap: true, rh: 2 });
    await client.mqtt.publishAsync("state", "mine", { qos: 1 });
    await other.mqtt.publishAsync("state", "off", { qos: 1, retain: true });
    await eventually(() => expect(client.bodies).toEqual(["off"]));
    expect(client.got[0]?.packet.retain).toBe(true);
    await client.mqtt.subscribeAsync("state", { qos: 1, rh: 1 });
    await client.mqtt.subscribeAsync("state", { qos: 1, rh: 0 });
    await eventually(() => expect(client.bodies).toEqual(["off", "off"]));
  });

  it("uses topic aliases, and goes on with none left from before when it comes back", async () => {
    const { port } = await startQueueBroker();
    const receiver = await MqttjsClient.connect(port, 5);
    await receiver.mqtt.subscribeAsync("long/#", { qos: 1 });
    const sender = await MqttjsClient.connect(port, 5, { autoAssignTopicAlias: true, reconnectPeriod: 1 });
    expect(sender.mqtt.serverProperties?.topicAliasMaximum).toBe(100);
    const topics = Array.from({ length: 150 }, (_, i) => `long/${i}`);
    const rounds = [...topics, ...topics, ...topics.slice(0, 50)];
    for (const topic of rounds) sender.mqtt.publish(topic, topic, { qos: 1 });
    await eventually(() => expect(receiver.bodies).toEqual(rounds));
    sender.crash();
    await sender.mqtt.publishAsync("long/149", "after", { qos: 1 });
    await eventually(() => expect(receiver.bodies.at(-1)).toBe("after"));
    expect(receiver.got.every(({ topic, body }) => body.toString() === topic || topic === "long/149")).toBe(true);
  });

  it("is told what is left of a message's time, and nothing of one whose time is over", async () => {
    const { port, host } = await startQueueBroker();
    const kept = { clientId: "late", clean: false, properties: { sessionExpiryInterval: 100 } };
    const first = await MqttjsClient.connect(port, 5, kept);
    await first.mqtt.subscribeAsync("a", { qos: 1 });
    await first.mqtt.endAsync();
    const sender = await MqttjsClient.connect(port, 5);
    for (const [body, messageExpiryInterval] of [
      ["gone", 1],
      ["there", 1000],
    ] as const) {
      await sender.mqtt.publishAsync("a", body, { qos: 1, properties: { messageExpiryInterval } });
    }
    await eventually(() => [...host.sessions.list()].find(({ id }) => id === "mqtt/late")?.messages === 1);
    const again = await MqttjsClient.connect(port, 5, kept);
    await eventually(() => expect(again.bodies).toEqual(["there"]));
    const left = again.got[0]?.packet.properties?.messageExpiryInterval;
    expect(left).toBeLessThan(1000);
    expect(left).toBeGreaterThan(900);
  });

  it("is called by the name it is given when it has none", async () => {
    const { port, host } = await startQueueBroker();
    const client = await MqttjsClient.connect(port, 5, { clientId: "" });
    const ids = [...host.sessions.list()].map(({ id }) => id);
    expect(ids).toEqual([`mqtt/${client.mqtt.serverProperties?.assignedClientIdentifier}`]);
  });

  it("gets no packet larger than it takes; what is too large is passed over", async () => {
    const { port } = await startQueueBroker();
    const client = await MqttjsClient.connect(port, 5, { properties: { maximumPacketSize: 1000 } });
    await client.mqtt.subscribeAsync({ a: { qos: 1 }, b: { qos: 2 }, c: { qos: 0 } });
    const sender = await MqttjsClient.connect(port, 5);
    for (const [topic, qos] of [
      ["a", 1],
      ["b", 2],
      ["c", 0],
    ] as const) {
      await sender.mqtt.publishAsync(topic, Buffer.alloc(2000), { qos });
      await sender.mqtt.publishAsync(topic, topic, { qos });
    }
    await eventually(() => expect(client.bodies.toSorted()).toEqual(["a", "b", "c"]));
  });

  it.each([1, 10])("gets everything although it takes no more than %i at a time", async (receiveMaximum) => {
    const { port } = await startQueueBroker();
    const client = await MqttjsClient.connect(port, 5, { properties: { receiveMaximum } });
    await client.mqtt.subscribeAsync({ a: { qos: 2 } });
    const sender = await MqttjsClient.connect(port, 5);
    const sent = Array.from({ length: 100 }, (_, i) => String(i));
    await Promise.all(sent.map((body, i) => sender.mqtt.publishAsync("a", body, { qos: i % 3 === 0 ? 1 : 2 })));
    await eventually(() => expect(client.bodies.toSorted()).toEqual(sent.toSorted()));
  });
});
