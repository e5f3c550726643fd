import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { type ConnectOptions, MqttWire, type MqttVersion } from "../support/mqtt-wire.ts";

/** How a client of a version asks for a session that is kept. */
function kept(version: MqttVersion, clientId = "c"): ConnectOptions {
  const base = { version, clientId, clean: false };
  return version === 5 ? { ...base, properties: { sessionExpiryInterval: 1000 } } : base;
}

const connect = (port: number, seconds: number, clean = false): Promise<MqttWire> =>
  MqttWire.connect(port, { clientId: "c", clean, properties: { sessionExpiryInterval: seconds } });

describe.each([3, 4, 5] as const)("a kept session of level %s", (version) => {
  it("is said to be present from the second time on [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.2.2-2] [MQTT-3.2.2-3] mqtt311 [MQTT-3.1.2-4] mqtt311 [MQTT-3.2.2-2] mqtt311 [MQTT-3.2.2-3]", async () => {
    const { port } = await startBroker();
    using first = await MqttWire.connect(port, kept(version));
    expect(first.connack.sessionPresent).toBe(false);
    await first.disconnect();
    using second = await MqttWire.connect(port, kept(version));
    // 3.1 has no such flag.
    expect(second.connack.sessionPresent).toBe(version !== 3);
    await second.disconnect();
  });

  it("is another one for another client identifier, to the letter [MQTT-3.1.3-2] mqtt311 [MQTT-3.1.3-2]", async () => {
    const { port } = await startBroker();
    using first = await MqttWire.connect(port, kept(version, "sensor"));
    await first.disconnect();
    for (const clientId of ["Sensor", "sensor ", "senso", "sensor/", "%73ensor"]) {
      using other = await MqttWire.connect(port, kept(version, clientId));
      expect(other.connack.sessionPresent).toBe(false);
    }
  });

  it("keeps subscriptions and messages at QoS 1 and 2 for a client that is away, in their order [MQTT-3.1.2-23] [MQTT-4.1.0-1] [MQTT-4.5.0-1] mqtt311 [MQTT-3.1.2-4] mqtt311 [MQTT-3.1.2-5] mqtt311 [MQTT-4.1.0-1]", async () => {
    const { port } = await startBroker();
    using first = await MqttWire.connect(port, kept(version));
    await first.subscribe(["a/#", "b"], { qos: 2 });
    await first.disconnect();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    const qualities = [1, 2, 2, 1, 1, 2] as const;
    for (const [at, qos] of qualities.entries()) await publisher.publish(at % 2 === 0 ? "a/x" : "b", `${at}`, { qos });
    using second = await MqttWire.connect(port, kept(version));
    for (const [at, qos] of qualities.entries()) {
      const packet = await second.message(`${at}`);
      expect([packet.qos, packet.dup, packet.topic]).toEqual([qos, false, at % 2 === 0 ? "a/x" : "b"]);
    }
    await publisher.publish("a", "new", { qos: 1 });
    await second.message("new");
  });

  it("sends again what was not acknowledged, with its identifier and DUP, before anything new [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.6.0-5] mqtt311 [MQTT-4.6.0-1] mqtt311 [MQTT-4.4.0-1] mqtt311 [MQTT-3.3.1-1] mqtt311 [MQTT-2.3.1-4]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using first = await MqttWire.connect(port, kept(version));
    await first.subscribe("a", { qos: 2 });
    const sent: [string, number, number | undefined][] = [];
    for (let i = 0; i < 6; i++) {
      const qos = i % 2 === 0 ? 1 : 2;
      await publisher.publish("a", `${i}`, { qos });
      sent.push([`${i}`, qos, (await first.message(`${i}`)).messageId]);
    }
    // The third one is settled.
    await first.acknowledge("puback", sent[2]?.[2]);
    await first.nothing();
    await first.vanish();
    await publisher.publish("a", "new", { qos: 1 });
    for (let again = 0; again < 2; again++) {
      using next = await MqttWire.connect(port, kept(version));
      for (const [payload, qos, id] of sent.filter((_, at) => at !== 2)) {
        const packet = await next.message(payload);
        expect([packet.qos, packet.messageId, packet.dup]).toEqual([qos, id, true]);
      }
      expect((await next.message("new")).dup).toBe(again > 0);
      await next.nothing();
      await next.vanish();
    }
  });

  it("sends PUBREL again until PUBCOMP, and never the message [MQTT-4.4.0-1] [MQTT-4.3.3-5] [MQTT-4.3.3-6] mqtt311 [MQTT-4.4.0-1] mqtt311 [MQTT-4.3.3-1]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using first = await MqttWire.connect(port, kept(version));
    await first.subscribe("a", { qos: 2 });
    const ids: (number | undefined)[] = [];
    for (const payload of ["1", "2", "3"]) {
      await publisher.publish("a", payload, { qos: 2 });
      ids.push((await first.message(payload)).messageId);
    }
    await first.acknowledge("pubrec", ids[0]);
    await first.expect("pubrel");
    await first.acknowledge("pubrec", ids[1]);
    await first.expect("pubrel");
    await first.vanish();
    for (let again = 0; again < 2; again++) {
      using next = await MqttWire.connect(port, kept(version));
      for (const id of ids.slice(0, 2)) expect((await next.expect("pubrel")).messageId).toBe(id);
      expect((await next.message("3")).messageId).toBe(ids[2]);
      await next.nothing();
      await next.vanish();
    }
    using last = await MqttWire.connect(port, kept(version));
    for (let i = 0; i < 2; i++) await last.acknowledge("pubcomp", (await last.expect("pubrel")).messageId);
    await last.message("3");
    await last.nothing();
    await last.vanish();
    using after = await MqttWire.connect(port, kept(version));
    await after.message("3");
    await after.nothing();
  });

  it("takes a message at QoS 2 once although the client sends it again on the next connection [MQTT-4.3.3-10] [MQTT-4.3.3-12] mqtt311 [MQTT-4.3.3-2]", async () => {
    const { port } = await startBroker();
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe("a");
    using first = await MqttWire.connect(port, kept(version));
    await first.sendPublish("a", "x", { qos: 2, messageId: 3 });
    await first.acknowledged("pubrec", 3);
    await first.vanish();
    using second = await MqttWire.connect(port, kept(version));
    await second.sendPublish("a", "x", { qos: 2, messageId: 3, dup: true });
    await second.acknowledged("pubrec", 3);
    await second.vanish();
    using third = await MqttWire.connect(port, kept(version));
    await third.acknowledge("pubrel", 3);
    expect(await third.acknowledged("pubcomp", 3)).toBe(0);
    await subscriber.message("x");
    await third.publish("a", "y", { qos: 2, messageId: 3 });
    await subscriber.message("y");
    await subscriber.nothing();
  });

  it("gives a client that is back all of its receive maximum [MQTT-4.9.0-1]", async () => {
    const { port } = await startBroker(["mqtt.receive_maximum=2"]);
    using first = await MqttWire.connect(port, kept(version));
    for (const id of [1, 2]) {
      await first.sendPublish("a", "x", { qos: 2, messageId: id });
      await first.acknowledged("pubrec", id);
    }
    await first.vanish();
    using second = await MqttWire.connect(port, kept(version));
    for (const id of [1, 2]) await second.acknowledge("pubrel", id);
    for (const id of [3, 4]) await second.sendPublish("a", "x", { qos: 2, messageId: id });
    for (const id of [1, 2]) await second.acknowledged("pubcomp", id);
    for (const id of [3, 4]) await second.acknowledged("pubrec", id);
    await second.nothing();
    await second.vanish();
    using third = await MqttWire.connect(port, kept(version));
    for (const id of [5, 6]) await third.sendPublish("a", "x", { qos: 2, messageId: id });
    for (const id of [5, 6]) await third.acknowledged("pubrec", id);
  });

  it("is gone after a clean start, with its messages [MQTT-3.1.2-4] [MQTT-3.1.4-4] [MQTT-3.2.2-3] mqtt311 [MQTT-3.1.2-6] mqtt311 [MQTT-3.2.2-1] mqtt311 [MQTT-3.1.4-3]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using first = await MqttWire.connect(port, kept(version));
    await first.subscribe("a", { qos: 1 });
    await first.sendPublish("b", "x", { qos: 2, messageId: 3 });
    await first.acknowledged("pubrec", 3);
    await first.disconnect();
    await publisher.publish("a", "x", { qos: 1 });
    using second = await MqttWire.connect(port, { ...kept(version), clean: true });
    expect(second.connack.sessionPresent).toBe(false);
    await second.nothing();
    await publisher.publish("a", "x", { qos: 1 });
    await second.nothing();
    await second.disconnect();
  });

  it("goes over to a new connection, and the old one is told and closed [MQTT-3.1.4-3] mqtt311 [MQTT-3.1.4-2]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using first = await MqttWire.connect(port, kept(version));
    await first.subscribe("a", { qos: 1 });
    await publisher.publish("a", "x", { qos: 1 });
    const { messageId } = await first.message("x");
    using second = await MqttWire.connect(port, kept(version));
    expect(second.connack.sessionPresent).toBe(version !== 3);
    expect(await first.dismissed()).toBe(version === 5 ? 0x8e : undefined);
    const again = await second.message("x");
    expect([again.messageId, again.dup]).toEqual([messageId, true]);
    await second.acknowledge("puback", messageId);
    await second.nothing();
  });

  it("stays when other filters are left by UNSUBSCRIBE [MQTT-4.1.0-1] mqtt311 [MQTT-4.1.0-1]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using first = await MqttWire.connect(port, kept(version));
    await first.subscribe(["a/1", "a/2", "a/+"], { qos: 1 });
    await first.unsubscribe("a/+", "a/1");
    await first.disconnect();
    for (const topic of ["a/1", "a/2", "a/3"]) await publisher.publish(topic, topic, { qos: 1 });
    using second = await MqttWire.connect(port, kept(version));
    await second.message("a/2");
    await second.nothing();
  });
});

describe.each([3, 4, 5] as const)("a session of level %s that is not kept", (version) => {
  it("ends with its connection [MQTT-4.1.0-2] mqtt311 [MQTT-3.1.2-6]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using first = await MqttWire.connect(port, { version, clientId: "c", clean: true });
    await first.subscribe("a", { qos: 1 });
    await first.disconnect();
    await publisher.publish("a", "x", { qos: 1 });
    using second = await MqttWire.connect(port, kept(version));
    expect(second.connack.sessionPresent).toBe(false);
    await second.nothing();
  });

  it("lasts as long as its connection [MQTT-4.1.0-1] mqtt311 [MQTT-4.1.0-2]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using client = await MqttWire.connect(port, { version, clientId: "c", clean: true });
    await client.subscribe("a", { qos: 1 });
    clock.leap(365 * 24 * 3_600_000);
    await client.sendPublish("a", "x");
    await client.message("x");
  });

  it("is taken over as well [MQTT-3.1.4-3] mqtt311 [MQTT-3.1.4-2]", async () => {
    const { port } = await startBroker();
    using first = await MqttWire.connect(port, { version, clientId: "c" });
    await first.subscribe("a");
    using second = await MqttWire.connect(port, { version, clientId: "c" });
    expect(second.connack.sessionPresent).toBe(false);
    expect(await first.dismissed()).toBe(version === 5 ? 0x8e : undefined);
    await second.sendPublish("a", "x");
    await second.nothing();
  });
});

describe("the session expiry interval", () => {
  it("counts from the end of the connection [MQTT-3.1.2-23] [MQTT-4.1.0-2]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using first = await connect(port, 100);
    clock.leap(200_000);
    await first.disconnect();
    clock.leap(90_000);
    using second = await connect(port, 100);
    expect(second.connack.sessionPresent).toBe(true);
    await second.vanish();
    clock.leap(101_000);
    using third = await connect(port, 100);
    expect(third.connack.sessionPresent).toBe(false);
  });

  it("of 0xffffffff is for ever", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using first = await connect(port, 0xffff_ffff);
    await first.disconnect();
    clock.leap(300 * 365 * 24 * 3_600_000);
    using second = await connect(port, 0);
    expect(second.connack.sessionPresent).toBe(true);
  });

  it("of 0 ends a session with the connection that asks for it", async () => {
    const { port } = await startBroker();
    using first = await connect(port, 100);
    await first.disconnect();
    using second = await connect(port, 0);
    expect(second.connack.sessionPresent).toBe(true);
    await second.disconnect();
    using third = await connect(port, 0);
    expect(third.connack.sessionPresent).toBe(false);
  });

  it("is changed by DISCONNECT", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using first = await connect(port, 10);
    await first.disconnect(0, { sessionExpiryInterval: 1000 });
    clock.leap(500_000);
    using second = await connect(port, 10);
    expect(second.connack.sessionPresent).toBe(true);
    await second.disconnect(0, { sessionExpiryInterval: 0 });
    using third = await connect(port, 10);
    expect(third.connack.sessionPresent).toBe(false);
  });

  it("that was 0 may not be another one in DISCONNECT", async () => {
    const { port } = await startBroker();
    for (const seconds of [1, 0xffff_ffff]) {
      using client = await connect(port, 0, true);
      await client.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: seconds } });
      expect(await client.dismissed()).toBe(0x82);
    }
    using client = await connect(port, 0, true);
    await client.disconnect(0, { sessionExpiryInterval: 0 });
  });

  it("that the server shortens is told", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker(["mqtt.max_session_expiry=60s"], { clock });
    using client = await connect(port, 3600);
    expect(client.connack.properties?.sessionExpiryInterval).toBe(60);
    await client.disconnect(0, { sessionExpiryInterval: 7200 });
    clock.leap(61_000);
    using second = await connect(port, 30);
    expect(second.connack.sessionPresent).toBe(false);
    expect(second.connack.properties?.sessionExpiryInterval).toBeUndefined();
  });

  it("drops messages and subscriptions when it is over", async () => {
    const clock = new LeapingClock();
    const { port, server } = await startBroker([], { clock });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using first = await connect(port, 10);
    await first.subscribe("a", { qos: 1 });
    await first.disconnect();
    await publisher.publish("a", "x", { qos: 1 });
    clock.leap(11_000);
    await publisher.publish("a", "y", { qos: 1 });
    const host = server.broker.host(undefined);
    expect([...(host?.sessions.list() ?? [])].map(({ id }) => id)).toEqual(["mqtt/p"]);
  });
});
