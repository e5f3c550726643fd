import type * as mqttjs from "mqtt";
import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { MqttjsClient } from "./mqttjs-client.ts";
import { BROWSER_MISSING, usePages } from "./page.ts";

declare global {
  /** What mqtt.min.js makes in a page. */
  var mqtt: typeof mqttjs;
}

/** What a scenario in the page received. */
interface Outcome {
  readonly bodies: readonly string[];
  readonly present?: boolean;
}

const LEVELS = [3, 4, 5] as const;

/** In a page: keeps its session; subscribes when nothing is wanted yet, else waits for so many messages. */
const visit = async ([url, protocolVersion, wanted]: readonly [string, 3 | 4 | 5, number]): Promise<Outcome> => {
  const client = mqtt.connect(url, {
    protocolVersion,
    protocolId: protocolVersion === 3 ? "MQIsdp" : "MQTT",
    clientId: "page",
    clean: false,
    reconnectPeriod: 0,
    ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 1000 } } : {}),
  });
  const bodies: string[] = [];
  client.on("message", (_topic, body) => void bodies.push(body.toString()));
  const present = await new Promise<boolean>((resolve) => {
    client.on("connect", ({ sessionPresent }) => resolve(sessionPresent));
  });
  if (wanted === 0) await client.subscribeAsync("news", { qos: 1 });
  while (bodies.length < wanted) await new Promise((resolve) => setTimeout(resolve, 5));
  return { bodies, present };
};

describe.skipIf(BROWSER_MISSING !== "")(`MQTT.js in Chromium${BROWSER_MISSING}`, () => {
  const pages = usePages("mqtt/dist/mqtt.min.js");
  const allowed = (): string => `listeners.stomp.websocket.origins=[${pages().origin}]`;

  it.each(LEVELS)(
    "with protocol version %i sends and receives text, bytes and a megabyte at every QoS",
    async (level) => {
      const { port } = await startQueueBroker(allowed(), "security.users.alice.password=secret");
      const page = await pages().open();
      const outcome = await page.evaluate(
        async ([url, protocolVersion]): Promise<Outcome> => {
          const protocolId = protocolVersion === 3 ? "MQIsdp" : "MQTT";
          const login = { username: "alice", password: "secret" };
          const client = await mqtt.connectAsync(url, { ...login, protocolVersion, protocolId, reconnectPeriod: 0 });
          const bodies: string[] = [];
          const all = new Promise<void>((resolve) => {
            client.on("message", (topic, body, { qos }) => {
              bodies.push(`${topic} ${qos} ${body.length > 100 ? body.length : [...body].join(" ")}`);
              if (bodies.length === 9) resolve();
            });
          });
          for (const qos of [0, 1, 2] as const) {
            await client.subscribeAsync(`q${qos}`, { qos });
            await client.publishAsync(`q${qos}`, "ü", { qos });
            await client.publishAsync(`q${qos}`, "\0\n", { qos });
            await client.publishAsync(`q${qos}`, "x".repeat(1 << 20), { qos });
          }
          await all;
          await client.endAsync();
          return { bodies };
        },
        [`ws://127.0.0.1:${port}/`, level] as const,
      );
      const expected = [0, 1, 2].flatMap((qos) => ["195 188", "0 10", 1 << 20].map((body) => `q${qos} ${qos} ${body}`));
      expect(outcome.bodies.toSorted()).toEqual(expected.toSorted());
    },
  );

  it.each(LEVELS)("with protocol version %i comes back to its session after its page was closed", async (level) => {
    const { port } = await startQueueBroker(allowed());
    const first = await pages().open();
    await first.evaluate(visit, [`ws://127.0.0.1:${port}/`, level, 0] as const);
    await first.close();
    const sender = await MqttjsClient.connect(port, 4);
    await sender.mqtt.publishAsync("news", "1", { qos: 1 });
    await sender.mqtt.publishAsync("news", "2", { qos: 2 });
    const second = await pages().open();
    const outcome = await second.evaluate(visit, [`ws://127.0.0.1:${port}/`, level, 2] as const);
    expect(outcome).toEqual({ bodies: ["1", "2"], present: level !== 3 });
  });

  it("leaves its will when its page is closed", async () => {
    const { port } = await startQueueBroker(allowed());
    const watcher = await MqttjsClient.connect(port, 5);
    await watcher.mqtt.subscribeAsync("will", { qos: 1 });
    const page = await pages().open();
    await page.evaluate(async (url) => {
      const payload = "closed";
      await mqtt.connectAsync(url, { will: { topic: "will", payload, qos: 1, retain: false } });
    }, `ws://127.0.0.1:${port}/`);
    await page.close();
    await eventually(() => expect(watcher.bodies).toEqual(["closed"]));
  });

  it("is told that its password is wrong", async () => {
    const { port } = await startQueueBroker(allowed(), "security.users.alice.password=secret");
    const page = await pages().open();
    const error = await page.evaluate(
      (url) =>
        new Promise<string>((resolve) => {
          const client = mqtt.connect(url, { username: "alice", password: "guess", reconnectPeriod: 0 });
          client.on("error", ({ message }) => resolve(message));
        }),
      `ws://127.0.0.1:${port}/`,
    );
    expect(error).toMatch(/Bad username or password/);
  });
});
