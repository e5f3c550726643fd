import { describe, expect, it } from "vitest";
import { type BrokerProcess, startBroker, startBrokerProcess, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { type ConnectOptions, MqttWire } from "../support/mqtt-wire.ts";

async function restart(broker: BrokerProcess, directory: string, signal: NodeJS.Signals): Promise<BrokerProcess> {
  await broker.end(signal);
  return startBrokerProcess(directory);
}

const KEPT: ConnectOptions = { clientId: "c", clean: false, properties: { sessionExpiryInterval: 1000 } };

const keep = (clientId: string, seconds: number): ConnectOptions => ({
  clientId,
  clean: false,
  properties: { sessionExpiryInterval: seconds },
});

describe.each<NodeJS.Signals>(["SIGTERM", "SIGKILL"])("after %s and a new start", (signal) => {
  it("a session goes on: its subscriptions, messages under way with their identifiers, PUBREL [MQTT-4.4.0-1] [MQTT-3.1.2-23] [MQTT-4.1.0-1] mqtt311 [MQTT-4.4.0-1] mqtt311 [MQTT-3.1.2-4] mqtt311 [MQTT-4.1.0-1]", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using publisher = await MqttWire.connect(first.port, { clientId: "p" });
    using client = await MqttWire.connect(first.port, KEPT);
    await client.subscribe("a", { qos: 2, subscriptionIdentifier: 5 });
    const ids: (number | undefined)[] = [];
    for (const payload of ["released", "acknowledged", "open 1", "open 2"]) {
      await publisher.publish("a", payload, { qos: payload === "open 1" ? 1 : 2 });
      ids.push((await client.message(payload)).messageId);
    }
    await client.acknowledge("pubrec", ids[0]);
    await client.expect("pubrel");
    await client.acknowledge("pubrec", ids[1]);
    await client.expect("pubrel");
    await client.acknowledge("pubcomp", ids[1]);
    // What is answered after it tells that PUBCOMP was stored.
    await client.publish("other", "x", { qos: 1 });
    const second = await restart(first, directory, signal);
    using back = await MqttWire.connect(second.port, KEPT);
    expect(back.connack.sessionPresent).toBe(true);
    expect((await back.expect("pubrel")).messageId).toBe(ids[0]);
    for (const at of [2, 3]) {
      const packet = await back.message(`open ${at - 1}`);
      expect(packet.messageId).toBe(ids[at]);
      expect(packet.properties?.subscriptionIdentifier).toBe(5);
    }
    await back.nothing();
  });

  it("a message at QoS 2 that is sent again before its PUBREL is not taken twice [MQTT-4.3.3-10] mqtt311 [MQTT-4.3.3-2]", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using subscriber = await MqttWire.connect(first.port, { ...KEPT, clientId: "s" });
    await subscriber.subscribe("a", { qos: 2 });
    using client = await MqttWire.connect(first.port, KEPT);
    await client.sendPublish("a", "x", { qos: 2, messageId: 9 });
    await client.acknowledged("pubrec", 9);
    const second = await restart(first, directory, signal);
    using back = await MqttWire.connect(second.port, KEPT);
    await back.sendPublish("a", "x", { qos: 2, messageId: 9, dup: true });
    await back.acknowledged("pubrec", 9);
    await back.acknowledge("pubrel", 9);
    expect(await back.acknowledged("pubcomp", 9)).toBe(0);
    using late = await MqttWire.connect(second.port, { ...KEPT, clientId: "s" });
    await late.message("x");
    await late.nothing();
  });

  it("what was acknowledged with PUBACK is there, for sessions and as retained [MQTT-4.3.2-4] [MQTT-4.5.0-1] mqtt311 [MQTT-4.3.2-2]", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using client = await MqttWire.connect(first.port, KEPT);
    await client.subscribe("a/#", { qos: 1 });
    await client.disconnect();
    using publisher = await MqttWire.connect(first.port, { clientId: "p" });
    const properties = { contentType: "text/plain", userProperties: { k: ["1", "2"] } };
    await publisher.publish("a/r", "kept", { qos: 1, retain: true, properties });
    for (let i = 0; i < 100; i++) await publisher.publish("a", `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
    const second = await restart(first, directory, signal);
    using back = await MqttWire.connect(second.port, KEPT);
    expect((await back.message("kept")).retain).toBe(false);
    for (let i = 0; i < 100; i++) expect((await back.message(`${i}`)).dup).toBe(false);
    await back.nothing();
    using late = await MqttWire.connect(second.port, { clientId: "l" });
    await late.subscribe("a/r", { qos: 1 });
    const retained = await late.message("kept");
    expect(retained.retain).toBe(true);
    expect(retained.properties).toMatchObject({ contentType: "text/plain" });
  });

  it("what was subscribed and unsubscribed is so, with its options", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using client = await MqttWire.connect(first.port, KEPT);
    await client.subscribe([
      { topic: "a", qos: 1, nl: true },
      { topic: "b", qos: 1, rap: true },
      { topic: "c", qos: 1 },
      { topic: "$share/g/d", qos: 1 },
    ]);
    await client.unsubscribe("c");
    const second = await restart(first, directory, signal);
    using back = await MqttWire.connect(second.port, KEPT);
    for (const topic of ["a", "c"]) await back.publish(topic, "not for me", { qos: 1 });
    using publisher = await MqttWire.connect(second.port, { clientId: "p" });
    await publisher.publish("b", "b", { qos: 1, retain: true });
    await publisher.publish("d", "d", { qos: 1 });
    expect((await back.message("b")).retain).toBe(true);
    await back.message("d");
    await back.nothing();
  });
});

describe("after a restart", () => {
  it("a will comes whose broker died before its client, and one that waited for its delay", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    const will = { topic: "w/died", payload: "x", qos: 1, retain: true } as const;
    using client = await MqttWire.connect(first.port, { ...KEPT, will });
    await client.nothing();
    const second = await restart(first, directory, "SIGKILL");
    using watching = await MqttWire.connect(second.port, { clientId: "w" });
    await watching.subscribe("w/#", { qos: 1 });
    await watching.message("x");
  });

  it("a session that expired meanwhile is gone, one that did not is there", async () => {
    const directory = temporaryFolder();
    const clock = new LeapingClock();
    const settings = ["store.kind=lmdb", `store.directory=${directory}`];
    const first = await startBroker(settings, { clock });
    using short = await MqttWire.connect(first.port, keep("short", 10));
    using long = await MqttWire.connect(first.port, keep("long", 1000));
    await short.disconnect();
    await long.disconnect();
    await first.stop();
    clock.leap(60_000);
    const second = await startBroker(settings, { clock });
    await eventually(() => {
      const ids = [...(second.server.broker.host(undefined)?.sessions.list() ?? [])].map(({ id }) => id);
      expect(ids).toEqual(["mqtt/long"]);
    });
    using back = await MqttWire.connect(second.port, keep("long", 0));
    expect(back.connack.sessionPresent).toBe(true);
    using gone = await MqttWire.connect(second.port, keep("short", 0));
    expect(gone.connack.sessionPresent).toBe(false);
  });

  it("a session that was not kept is gone", async () => {
    const directory = temporaryFolder();
    const first = await startBrokerProcess(directory);
    using client = await MqttWire.connect(first.port, { clientId: "c", clean: false });
    await client.subscribe("a", { qos: 2 });
    const second = await restart(first, directory, "SIGKILL");
    using back = await MqttWire.connect(second.port, KEPT);
    expect(back.connack.sessionPresent).toBe(false);
  });
});
