import { describe, expect, it } from "vitest";
import { MqttjsClient } from "../clients/mqttjs-client.ts";
import { TestClient } from "../support/core-broker.ts";
import { bind, declareQueue, exchange } from "../support/core-exchanges.ts";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker, type QueueBroker } from "../support/queue-broker.ts";
import { StompWire } from "../support/stomp-wire.ts";

/** A broker with the exchange `x`, of the type topic, bound to queue `q` with `a.*`. */
async function start(): Promise<QueueBroker & { admin: TestClient }> {
  const started = await startQueueBroker();
  const admin = new TestClient(started.server.broker);
  declareQueue(admin, "q");
  admin.core.declareExchange(exchange("x", "topic"));
  bind(admin, "x", "queue:q", "a.*");
  return { ...started, admin };
}

describe("STOMP and MQTT clients", () => {
  it("reach the queues bound to amq.topic by its name, or as topics", async () => {
    const { port, queue, admin } = await start();
    bind(admin, "amq.topic", "queue:q", "a.#");
    using stomp = await StompWire.connect(port);
    const mqtt = await MqttjsClient.connect(port, 5);
    await mqtt.mqtt.subscribeAsync("a/+", { qos: 1 });
    await stomp.request("SEND", { destination: "/topic/a.b" }, "1");
    await stomp.request("SEND", { destination: "/exchange/amq.topic/a.b" }, "2");
    await mqtt.mqtt.publishAsync("a/b", "3", { qos: 1 });
    await mqtt.mqtt.publishAsync("$exchange/amq.topic/a.b", "4", { qos: 1 });
    await eventually(() => expect(mqtt.bodies).toEqual(["1", "2", "3", "4"]));
    expect(mqtt.got.map(({ topic }) => topic)).toEqual(["a/b", "a/b", "a/b", "a/b"]);
    expect(queue("q").count).toBe(4);
  });

  it("send to any exchange, and are told the exchange and the key of what came by one", async () => {
    const { port } = await start();
    using stomp = await StompWire.connect(port);
    const mqtt = await MqttjsClient.connect(port, 4);
    await stomp.request("SEND", { destination: "/exchange/x/a.b" }, "1");
    await mqtt.mqtt.publishAsync("$exchange/x/a.c", "2", { qos: 1 });
    await stomp.request("SEND", { destination: "/exchange/x/none" }, "lost");
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/queue/q" });
    const messages = [await stomp.message(), await stomp.message()];
    expect(messages.map(({ headers }) => headers.get("destination"))).toEqual(["/exchange/x/a.b", "/exchange/x/a.c"]);
    await stomp.request("UNSUBSCRIBE", { id: "1" });
    await mqtt.mqtt.subscribeAsync("$queue/q", { qos: 1 });
    await stomp.request("SEND", { destination: "/exchange/x/a.d" }, "3");
    await eventually(() => expect(mqtt.got.map(({ topic }) => topic)).toEqual(["$exchange/x/a.d"]));
  });

  it("are chosen from by their headers and user properties", async () => {
    const { port, queue, admin } = await start();
    bind(admin, "amq.headers", "queue:q", "", { colour: "red" });
    using stomp = await StompWire.connect(port);
    const mqtt = await MqttjsClient.connect(port, 5);
    for (const colour of ["red", "blue"]) {
      await stomp.request("SEND", { destination: "/exchange/amq.headers", colour }, colour);
      const properties = { userProperties: { colour } };
      await mqtt.mqtt.publishAsync("$exchange/amq.headers/", colour, { qos: 1, properties });
    }
    expect(queue("q").count).toBe(2);
  });

  it.each([0, 1] as const)(
    "get by the name of their topic what comes there through an exchange (QoS %i)",
    async (qos) => {
      const { port, admin } = await start();
      bind(admin, "x", "exchange:amq.topic", "t.#");
      using stomp = await StompWire.connect(port);
      await stomp.request("SUBSCRIBE", { id: "1", destination: "/topic/t.*" });
      const clients = [await MqttjsClient.connect(port, 4), await MqttjsClient.connect(port, 5)];
      for (const { mqtt } of clients) await mqtt.subscribeAsync("t/u", { qos });
      const durably = { id: "d", destination: "/topic/t.u", persistent: "true" };
      await stomp.request("SUBSCRIBE", durably);
      await stomp.request("UNSUBSCRIBE", { id: "d" });
      for (const { mqtt } of clients) await mqtt.publishAsync("$exchange/x/t.u", "mqtt", { qos });
      await eventually(() => clients.every(({ got }) => got.length === 2));
      await stomp.request("SEND", { destination: "/exchange/x/t.u" }, "stomp");
      for (const { got } of clients) {
        await eventually(() => expect(got.map(({ body }) => body.toString())).toEqual(["mqtt", "mqtt", "stomp"]));
        expect(got.map(({ topic }) => topic)).toEqual(["t/u", "t/u", "t/u"]);
      }
      const messages = [await stomp.message(), await stomp.message(), await stomp.message()];
      expect(messages.map(({ headers }) => headers.get("destination"))).toEqual([
        "/topic/t.u",
        "/topic/t.u",
        "/topic/t.u",
      ]);
    },
  );

  it("are refused what exchanges cannot do", async () => {
    const { port } = await start();
    using stomp = await StompWire.connect(port);
    const mqtt = await MqttjsClient.connect(port, 5);
    await expect(mqtt.mqtt.subscribeAsync("$exchange/x/a.b", { qos: 1 })).rejects.toThrow(/./);
    await expect(mqtt.mqtt.publishAsync("$exchange/none/k", "1", { qos: 1 })).rejects.toThrow(/./);
    await stomp.send("SEND", { destination: "/exchange/none/k" }, "1");
    expect(await stomp.refused()).toMatch(/no exchange 'none'/);
  });
});

describe("a STOMP subscription to an exchange", () => {
  it("gets what the exchange leads on with its key, from whatever protocol", async () => {
    const { port } = await start();
    using stomp = await StompWire.connect(port);
    const mqtt = await MqttjsClient.connect(port, 4);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/exchange/x/a.*.#" });
    await mqtt.mqtt.publishAsync("$exchange/x/a.b", "1", { qos: 1 });
    await mqtt.mqtt.publishAsync("$exchange/x/b", "not this", { qos: 1 });
    await stomp.request("SEND", { destination: "/exchange/x/a.b.c" }, "2");
    expect(await stomp.bodies(2)).toEqual(["1", "2"]);
  });
});
