import type { IClientOptions } from "mqtt";
import { describe, expect, it } from "vitest";
import { startBroker, startBrokerProcess, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { type Level, MqttjsClient } from "./mqttjs-client.ts";

const LEVELS: readonly Level[] = [3, 4, 5];

/** A client whose session outlives its connections. */
function kept(level: Level, clientId: string): IClientOptions {
  const options: IClientOptions = { clientId, clean: false };
  return level === 5 ? { ...options, properties: { sessionExpiryInterval: 1000 } } : options;
}

const COUNT = 10_000;
/** Publishes waiting for their acknowledgement. */
const WINDOW = 200;

/** Publishes 0 to COUNT - 1 and loses its connection every `step` messages. */
async function publishLosing(sender: MqttjsClient, qos: 1 | 2, step: number): Promise<void> {
  let next = 0;
  let lost = 0;
  const one = async (): Promise<void> => {
    while (next < COUNT) {
      await sender.mqtt.publishAsync("flow", String(next++), { qos });
      if (next / step > lost + 1) {
        lost++;
        sender.crash();
      }
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, one));
}

describe.each(LEVELS)("MQTT.js with protocol version %s that loses its connections", (level) => {
  it.each([1, 2] as const)(
    "loses none of 10,000 messages at QoS %i (and doubles none at 2)",
    async (qos) => {
      const { port } = await startQueueBroker();
      const returning = { reconnectPeriod: 1 };
      const receiver = await MqttjsClient.connect(port, level, { ...kept(level, "receiver"), ...returning });
      await receiver.mqtt.subscribeAsync("flow", { qos });
      let seen = 0;
      receiver.mqtt.on("message", () => {
        if (++seen % 1700 === 0) receiver.crash();
      });
      const sender = await MqttjsClient.connect(port, level, { ...kept(level, "sender"), ...returning });
      await publishLosing(sender, qos, 1300);
      const numbers = Array.from({ length: COUNT }, (_, i) => i);
      await eventually(() => expect(new Set(receiver.bodies).size).toBe(COUNT), 20_000);
      const got = receiver.bodies.map(Number).toSorted((a, b) => a - b);
      if (qos === 2) expect(got).toEqual(numbers);
      else expect([...new Set(got)]).toEqual(numbers);
      for (const { connections } of [sender, receiver]) expect(connections).toBeGreaterThan(5);
    },
    60_000,
  );

  it("comes back by itself after the broker stopped and started, to its session and what waits in it", async () => {
    const directory = temporaryFolder();
    const settings = ["store.kind=lmdb", `store.directory=${directory}`];
    const first = await startBroker(settings);
    const receiver = await MqttjsClient.connect(first.port, level, {
      ...kept(level, "receiver"),
      reconnectPeriod: 20,
      will: { topic: "will", payload: Buffer.from("gone"), qos: 1, retain: false },
    });
    await receiver.mqtt.subscribeAsync({ "a/#": { qos: 1 }, b: { qos: 2 }, will: { qos: 1 } });
    await first.stop();
    await eventually(() => !receiver.mqtt.connected);
    const second = await startBroker([...settings, `listeners.stomp.port=${first.port}`]);
    await eventually(() => receiver.mqtt.connected);
    expect(receiver.present).toBe(level !== 3);
    const sender = await MqttjsClient.connect(second.port, level);
    await sender.mqtt.publishAsync("a/b", "1", { qos: 1 });
    await sender.mqtt.publishAsync("b", "2", { qos: 2 });
    await eventually(() => expect(receiver.bodies.filter((body) => body !== "gone")).toEqual(["1", "2"]));
  });

  it("goes on by itself after the broker was killed, and loses nothing that was acknowledged", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    const offline = await MqttjsClient.connect(first.port, level, kept(level, "offline"));
    await offline.mqtt.subscribeAsync("flow", { qos: 2 });
    await offline.mqtt.endAsync();
    const sender = await MqttjsClient.connect(first.port, level, { ...kept(level, "sender"), reconnectPeriod: 20 });
    let acknowledged = 0;
    const sent = Array.from({ length: 300 }, async (_, i) => {
      await sender.mqtt.publishAsync("flow", String(i), { qos: 2 });
      acknowledged++;
    });
    await eventually(() => acknowledged > 20);
    await first.end("SIGKILL");
    const second = await startBrokerProcess(directory, [`listeners.stomp.port=${first.port}`]);
    await Promise.all(sent);
    const receiver = await MqttjsClient.connect(second.port, level, kept(level, "offline"));
    await eventually(() => expect(receiver.got.length).toBe(300));
    const numbers = receiver.bodies.map(Number).toSorted((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });
});

it("MQTT.js subscribes anew by itself where its session was not kept", async () => {
  const first = await startBroker();
  const client = await MqttjsClient.connect(first.port, 4, { reconnectPeriod: 20, resubscribe: true });
  await client.mqtt.subscribeAsync("a", { qos: 1 });
  await first.stop();
  await eventually(() => !client.mqtt.connected);
  const { server } = await startBroker([`listeners.stomp.port=${first.port}`]);
  await eventually(() => [...(server.broker.host(undefined)?.sessions.list() ?? [])][0]?.interests.length === 1);
  await client.mqtt.publishAsync("a", "1", { qos: 1 });
  await eventually(() => expect(client.bodies).toEqual(["1"]));
});
