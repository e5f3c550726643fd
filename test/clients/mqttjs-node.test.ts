import type { IClientOptions, IDisconnectPacket } from "mqtt";
import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { type Level, MqttjsClient } from "./mqttjs-client.ts";

type QoS = 0 | 1 | 2;
type Connect = (port: number, options?: IClientOptions) => Promise<MqttjsClient>;

const FORMS = ([3, 4, 5] as const).flatMap((level): [string, Level, Connect][] => [
  [`${level} by TCP`, level, (port, options) => MqttjsClient.connect(port, level, options)],
  [
    `${level} by WebSocket`,
    level,
    (port, options) => MqttjsClient.connect(port, level, options, `ws://127.0.0.1:${port}/`),
  ],
]);

const QUALITIES: readonly (readonly [QoS, QoS])[] = [
  [0, 0],
  [0, 2],
  [1, 0],
  [1, 1],
  [1, 2],
  [2, 0],
  [2, 1],
  [2, 2],
];

function withWill(name: string): IClientOptions {
  return { will: { topic: `will/${name}`, payload: Buffer.from(name), qos: 2, retain: true } };
}

describe.each(FORMS)("MQTT.js with protocol version %s", (_name, level, connect) => {
  it.each(QUALITIES)("publishes at QoS %i to a subscription of QoS %i", async (published, subscribed) => {
    const { port } = await startQueueBroker();
    const [sender, receiver] = [await connect(port), await connect(port)];
    const granted = await receiver.mqtt.subscribeAsync("a/+", { qos: subscribed });
    expect(granted[0]?.qos).toBe(subscribed);
    const bodies = [Buffer.from("grüße \u{1f30a}"), Buffer.from([0, 255, 10, 0]), Buffer.alloc(0)];
    for (const body of bodies) await sender.mqtt.publishAsync("a/b", body, { qos: published });
    await eventually(() => expect(receiver.got.length).toBe(3));
    expect(receiver.got.map(({ body }) => body)).toEqual(bodies);
    const { topic, packet } = receiver.got[0] ?? {};
    expect(topic).toBe("a/b");
    expect(packet).toMatchObject({ qos: Math.min(published, subscribed), retain: false, dup: false });
  });

  it.each<QoS>([0, 1, 2])("sends and receives a megabyte at QoS %i", async (qos) => {
    const { port } = await startQueueBroker();
    const client = await connect(port);
    await client.mqtt.subscribeAsync("big", { qos });
    const body = Buffer.alloc(1 << 20, "0123456789abcde\0");
    await client.mqtt.publishAsync("big", body, { qos });
    await client.mqtt.publishAsync("big", "after it", { qos });
    await eventually(() => expect(client.got.length).toBe(2));
    expect(client.got[0]?.body.equals(body)).toBe(true);
    expect(client.got[1]?.body.toString()).toBe("after it");
  });

  it("gets what a topic retains when it subscribes, and not when that was taken away", async () => {
    const { port } = await startQueueBroker();
    const sender = await connect(port);
    await sender.mqtt.publishAsync("state/a", "old", { qos: 1, retain: true });
    await sender.mqtt.publishAsync("state/a", "on", { qos: 1, retain: true });
    await sender.mqtt.publishAsync("state/b", "off", { qos: 1, retain: true });
    await sender.mqtt.publishAsync("state/b", "", { qos: 1, retain: true });
    const receiver = await connect(port);
    await receiver.mqtt.subscribeAsync("state/#", { qos: 1 });
    await sender.mqtt.publishAsync("state/a", "now", { qos: 1, retain: true });
    await eventually(() => expect(receiver.bodies).toEqual(["on", "now"]));
    expect(receiver.got.map(({ packet }) => packet.retain)).toEqual([true, false]);
  });

  it("leaves its will when it crashes, and none when it disconnects", async () => {
    const { port } = await startQueueBroker();
    const watcher = await connect(port);
    await watcher.mqtt.subscribeAsync("will/+", { qos: 2 });
    const leaving = await connect(port, withWill("left"));
    await leaving.mqtt.endAsync();
    const crashing = await connect(port, withWill("crashed"));
    crashing.crash();
    await eventually(() => expect(watcher.bodies).toEqual(["crashed"]));
    expect(watcher.got[0]?.packet).toMatchObject({ qos: 2, retain: false });
    const late = await connect(port);
    await late.mqtt.subscribeAsync("will/+", { qos: 0 });
    await eventually(() => expect(late.bodies).toEqual(["crashed"]));
    expect(late.got[0]?.packet).toMatchObject({ qos: 0, retain: true });
  });

  it.each<QoS>([1, 2])("gets what was sent at QoS %i while it was away", async (qos) => {
    const { port } = await startQueueBroker();
    const kept: IClientOptions = { clientId: "sensor", clean: false };
    if (level === 5) kept.properties = { sessionExpiryInterval: 100 };
    const sender = await connect(port);
    const first = await connect(port, kept);
    expect(first.present).toBe(false);
    await first.mqtt.subscribeAsync({ "a/#": { qos }, loose: { qos: 0 } });
    await first.mqtt.endAsync();
    for (const body of ["1", "2", "3"]) await sender.mqtt.publishAsync("a/b", body, { qos });
    await sender.mqtt.publishAsync("loose", "nobody keeps this", { qos });
    const again = await connect(port, kept);
    // A SUBACK of 3.1 does not tell.
    expect(again.present).toBe(level !== 3);
    await eventually(() => expect(again.bodies).toEqual(["1", "2", "3"]));
    expect(again.got.map(({ packet }) => packet.qos)).toEqual([qos, qos, qos]);
    await again.mqtt.endAsync();
    const clean = await connect(port, { clientId: "sensor", clean: true });
    expect(clean.present).toBe(false);
    await sender.mqtt.publishAsync("a/b", "4", { qos });
    await clean.mqtt.subscribeAsync("end", { qos });
    await sender.mqtt.publishAsync("end", "end", { qos });
    await eventually(() => expect(clean.bodies).toEqual(["end"]));
  });

  it("takes the session over from a client of the same name", async () => {
    const { port, host } = await startQueueBroker();
    const first = await connect(port, { clientId: "twin" });
    const said: IDisconnectPacket[] = [];
    let closed = false;
    first.mqtt.on("disconnect", (packet) => void said.push(packet));
    first.mqtt.on("close", () => {
      closed = true;
    });
    const second = await connect(port, { clientId: "twin" });
    await eventually(() => closed);
    expect(said.map(({ reasonCode }) => reasonCode)).toEqual(level === 5 ? [0x8e] : []);
    expect(second.mqtt.connected).toBe(true);
    expect(host.clients.size).toBe(1);
  });

  it("unsubscribes", async () => {
    const { port } = await startQueueBroker();
    const client = await connect(port);
    await client.mqtt.subscribeAsync(["a/#", "b"], { qos: 1 });
    await client.mqtt.unsubscribeAsync("a/#");
    await client.mqtt.publishAsync("a/b", "unheard", { qos: 1 });
    await client.mqtt.publishAsync("b", "heard", { qos: 1 });
    await eventually(() => expect(client.bodies).toEqual(["heard"]));
  });

  it("is refused with a wrong password and let in with the right one", async () => {
    const { port } = await startQueueBroker("security.users.alice.password=secret");
    const code = level === 5 ? 0x86 : 4;
    await expect(connect(port, { username: "alice", password: "guess" })).rejects.toMatchObject({ code });
    const client = await connect(port, { username: "alice", password: "secret" });
    expect(client.mqtt.connected).toBe(true);
  });

  it("keeps its connection by PINGREQ alone", async () => {
    const { port } = await startQueueBroker();
    const client = await connect(port, { keepalive: 1 });
    let pongs = 0;
    client.mqtt.on("packetreceive", ({ cmd }) => {
      if (cmd === "pingresp") pongs++;
    });
    await eventually(() => expect(pongs).toBeGreaterThan(0));
    expect(client.mqtt.connected).toBe(true);
  });
});
