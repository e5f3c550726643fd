import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { MqttWire } from "../support/mqtt-wire.ts";

describe.each([4, 5] as const)("a shared subscription of level %s", (version) => {
  it("gives each message to one of its members, and to other subscriptions besides", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using one = await MqttWire.connect(port, { version, clientId: "1" });
    using two = await MqttWire.connect(port, { version, clientId: "2" });
    using other = await MqttWire.connect(port, { version, clientId: "3" });
    using plain = await MqttWire.connect(port, { version, clientId: "4" });
    for (const member of [one, two]) await member.subscribe("$share/g/a/+", { qos: 1 });
    await other.subscribe("$share/h/a/+", { qos: 1 });
    await plain.subscribe("a/+", { qos: 1 });
    const sent = Array.from({ length: 40 }, (_, at) => `${at}`);
    for (const payload of sent) await publisher.publish("a/b", payload, { qos: 1 });
    for (const payload of sent) await plain.message(payload);
    for (const payload of sent) await other.message(payload);
    const got = await Promise.all(
      [one, two].map(async (member) => {
        const payloads: string[] = [];
        await member.send({ cmd: "pingreq" });
        for (let packet = await member.next(); packet.cmd !== "pingresp"; packet = await member.next()) {
          if (packet.cmd === "publish") payloads.push(packet.payload.toString());
        }
        return payloads;
      }),
    );
    expect(got.flat().sort()).toEqual([...sent].sort());
    expect(got.every((payloads) => payloads.length > 0)).toBe(true);
  });

  it("and a plain one of the same client both get a message", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe(["a", "$share/g/a"]);
    await client.sendPublish("a", "x");
    await client.message("x");
    await client.message("x");
    await client.nothing();
  });

  it("delivers at the QoS granted to the member [MQTT-4.8.2-3]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    for (const granted of [0, 1, 2] as const) {
      using client = await MqttWire.connect(port, { version, clientId: "c" });
      expect(await client.subscribe("$share/g/a", { qos: granted })).toEqual([granted]);
      for (const qos of [0, 1, 2] as const) {
        await publisher.publish("a", "x", { qos });
        expect((await client.message("x")).qos).toBe(Math.min(granted, qos));
      }
    }
  });

  it("does not send what is retained", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.publish("a", "x", { retain: true });
    await client.subscribe("$share/g/a");
    await client.nothing();
  });

  it("goes to another member at QoS 1 when one is gone for good with a message it did not acknowledge", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using one = await MqttWire.connect(port, { version, clientId: "1" });
    await one.subscribe("$share/g/a", { qos: 1 });
    await publisher.publish("a", "x", { qos: 1 });
    await one.message("x");
    using two = await MqttWire.connect(port, { version, clientId: "2" });
    await two.subscribe("$share/g/a", { qos: 1 });
    await one.vanish();
    await two.message("x");
  });

  it("does not send a message that a member refused to another one [MQTT-4.8.2-6]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using one = await MqttWire.connect(port, { clientId: "1" });
    using two = await MqttWire.connect(port, { clientId: "2" });
    for (const member of [one, two]) await member.subscribe("$share/g/a", { qos: 1 });
    await publisher.publish("a", "x", { qos: 1 });
    await Promise.all([one, two].map((member) => member.send({ cmd: "pingreq" })));
    for (const member of [one, two]) {
      const packet = await member.next();
      if (packet.cmd !== "publish") continue;
      await member.expect("pingresp");
      await member.acknowledge("puback", packet.messageId, 0x83);
      await member.nothing();
    }
    await Promise.all([one, two].map((member) => member.nothing()));
  });

  it("ends with UNSUBSCRIBE of the same filter", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("$share/g/a");
    const codes = await client.unsubscribe("$share/h/a", "a", "$share/g/a", "$share/g/a");
    if (version === 5) expect(codes).toEqual([0x11, 0x11, 0, 0x11]);
    await client.sendPublish("a", "x");
    await client.nothing();
  });

  it("keeps messages for a member whose session is kept, if there is no other", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    const keep = { version, clientId: "c", clean: false, properties: { sessionExpiryInterval: 100 } };
    using first = await MqttWire.connect(port, keep);
    await first.subscribe("$share/g/a", { qos: 1 });
    await first.disconnect();
    await publisher.publish("a", "x", { qos: 1 });
    using second = await MqttWire.connect(port, keep);
    expect(second.connack.sessionPresent).toBe(true);
    await second.message("x");
  });

  it.each(["$share//a", "$share/g", "$share/g/", "$share/+/a", "$share/#/a", "$share/g+/a", "$share"])(
    "of the filter %s is refused [MQTT-4.8.2-1] [MQTT-4.8.2-2]",
    async (filter) => {
      const { port } = await startBroker();
      using client = await MqttWire.connect(port, { version, clientId: "c" });
      expect(await client.subscribe(filter)).toEqual([version === 5 ? 0x8f : 0x80]);
    },
  );
});

describe("a shared subscription", () => {
  it("carries the identifier that the member gave it", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.subscribe("$share/g/a", { qos: 1, subscriptionIdentifier: 9 });
    await client.subscribe("b", { qos: 1, subscriptionIdentifier: 8 });
    for (const qos of [0, 1] as const) {
      await client.sendPublish("b", "x");
      await client.sendPublish("a", "y", { qos });
      let packet = await client.next();
      while (packet.cmd !== "publish" || packet.topic !== "a") packet = await client.next();
      expect(packet.properties?.subscriptionIdentifier).toBe(9);
    }
  });

  it("gives what a member at QoS 1 did not acknowledge to others once its kept session has expired", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using one = await MqttWire.connect(port, { clientId: "1", properties: { sessionExpiryInterval: 100 } });
    await one.subscribe("$share/g/a", { qos: 1 });
    await publisher.publish("a", "x", { qos: 1 });
    await one.message("x");
    await one.vanish();
    using two = await MqttWire.connect(port, { clientId: "2" });
    await two.subscribe("$share/g/a", { qos: 1 });
    clock.leap(101_000);
    await two.message("x");
  });
});
