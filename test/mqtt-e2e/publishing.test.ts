import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { MqttWire } from "../support/mqtt-wire.ts";

describe.each([3, 4, 5] as const)("a message published by a client of level %s", (version) => {
  it("at QoS 0 goes out once, without a packet identifier, and is not answered [MQTT-4.3.1-1] [MQTT-2.2.1-2] [MQTT-3.3.1-2] mqtt311 [MQTT-4.3.1-1] mqtt311 [MQTT-2.3.1-5] mqtt311 [MQTT-3.3.1-2]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("a", { qos: 2 });
    await client.sendPublish("a", "x");
    const { bytes } = await client.message("x");
    const properties = version === 5 ? "00" : "";
    expect(bytes.toString("hex")).toBe(`30${version === 5 ? "05" : "04"}000161${properties}78`);
    await client.nothing();
  });

  it("at QoS 1 is answered by PUBACK with its packet identifier [MQTT-3.3.4-1] [MQTT-4.3.2-4] [MQTT-2.2.1-5] mqtt311 [MQTT-3.3.4-1] mqtt311 [MQTT-4.3.2-2] mqtt311 [MQTT-2.3.1-6]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.sendPublish("a", "x", { qos: 1, messageId: 0x1234 });
    expect((await client.next()).bytes.toString("hex")).toBe("40021234");
    await client.nothing();
  });

  it("at QoS 1 is taken anew when it is sent again after PUBACK [MQTT-4.3.2-5]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("a", { qos: 0 });
    for (const payload of ["x", "y"]) {
      await client.sendPublish("a", payload, { qos: 1, messageId: 7, dup: payload === "y" });
      const packets = [await client.next(), await client.next()];
      expect(packets.map(({ cmd }) => cmd).sort()).toEqual(["puback", "publish"]);
    }
  });

  it("at QoS 2 is answered by PUBREC and PUBCOMP with its packet identifier [MQTT-4.3.3-8] [MQTT-4.3.3-11] [MQTT-2.2.1-5] mqtt311 [MQTT-4.3.3-2] mqtt311 [MQTT-2.3.1-6]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.sendPublish("a", "x", { qos: 2, messageId: 0x1234 });
    expect((await client.next()).bytes.toString("hex")).toBe("50021234");
    await client.acknowledge("pubrel", 0x1234);
    expect((await client.next()).bytes.toString("hex")).toBe("70021234");
    await client.nothing();
  });

  it("at QoS 2 goes out once although it is sent again before PUBREL, each time answered by PUBREC [MQTT-4.3.3-10] mqtt311 [MQTT-4.3.3-2]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe("a");
    for (const dup of [false, true, false]) {
      await client.sendPublish("a", "x", { qos: 2, messageId: 5, dup });
      expect(await client.acknowledged("pubrec", 5)).toBe(0);
    }
    await client.acknowledge("pubrel", 5);
    await client.acknowledged("pubcomp", 5);
    await subscriber.message("x");
    await subscriber.nothing();
  });

  it("at QoS 2 is another one when its identifier comes again after PUBREL [MQTT-4.3.3-12] mqtt311 [MQTT-4.3.3-2]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe("a");
    for (const payload of ["x", "y"]) await client.publish("a", payload, { qos: 2, messageId: 5 });
    await subscriber.message("x");
    await subscriber.message("y");
    await subscriber.nothing();
  });

  it("at QoS 2 goes out before its PUBREL comes", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe("a");
    await client.sendPublish("a", "x", { qos: 2 });
    await subscriber.message("x");
  });

  it("gets each answer in the order of the messages, whatever their QoS", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    for (let id = 1; id <= 40; id++) void client.sendPublish("a", "x", { qos: id % 2 === 0 ? 1 : 2, messageId: id });
    for (let id = 1; id <= 40; id++) await client.acknowledged(id % 2 === 0 ? "puback" : "pubrec", id);
    for (let id = 39; id > 0; id -= 2) void client.acknowledge("pubrel", id);
    for (let id = 39; id > 0; id -= 2) await client.acknowledged("pubcomp", id);
  });

  it("goes out without DUP although it came with it [MQTT-3.3.1-3] mqtt311 [MQTT-3.3.1-3]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using subscriber = await MqttWire.connect(port, { version, clientId: "s" });
    await subscriber.subscribe("a", { qos: 2 });
    for (const qos of [1, 2] as const) {
      await client.publish("a", "x", { qos, dup: true });
      expect((await subscriber.message("x")).dup).toBe(false);
    }
  });

  it("may be empty", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("a", { qos: 2 });
    for (const qos of [0, 1, 2] as const) {
      await client.sendPublish("a", "", { qos });
      let packet = await client.next();
      while (packet.cmd !== "publish") packet = await client.next();
      expect(packet.payload.length).toBe(0);
      if (qos === 1) await client.acknowledge("puback", packet.messageId);
    }
  });

  it("answers a PUBREL for nothing with PUBCOMP", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.acknowledge("pubrel", 77);
    expect(await client.acknowledged("pubcomp", 77)).toBe(version === 5 ? 0x92 : 0);
  });
});

describe.each([3, 4, 5] as const)("a message delivered to a client of level %s", (version) => {
  it("at QoS 1 has a packet identifier, is sent once and its identifier is free after PUBACK [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.2-3] [MQTT-2.2.1-4] mqtt311 [MQTT-4.3.2-1] mqtt311 [MQTT-2.3.1-4]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await client.subscribe("a", { qos: 1 });
    const ids: (number | undefined)[] = [];
    for (let i = 0; i < 5; i++) {
      await publisher.publish("a", `${i}`, { qos: 1 });
      const packet = await client.message(`${i}`);
      expect([packet.qos, packet.dup, packet.retain]).toEqual([1, false, false]);
      expect(packet.messageId).toBeGreaterThan(0);
      expect(ids).not.toContain(packet.messageId);
      ids.push(packet.messageId);
    }
    for (const id of ids) await client.acknowledge("puback", id);
    await client.nothing();
  });

  it("at QoS 2 is released with the identifier of its PUBREC, each time [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-4.3.3-3] [MQTT-4.3.3-4] [MQTT-4.3.3-5] mqtt311 [MQTT-4.3.3-1] mqtt311 [MQTT-2.3.1-6]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await client.subscribe("a", { qos: 2 });
    await publisher.publish("a", "x", { qos: 2 });
    const { messageId = 0, qos, dup } = await client.message("x");
    expect([qos, dup]).toEqual([2, false]);
    for (let i = 0; i < 2; i++) {
      await client.acknowledge("pubrec", messageId);
      const { bytes } = await client.expect("pubrel");
      // [MQTT-3.6.1-1]
      expect(bytes.readUInt16BE()).toBe(0x6202);
      expect(bytes.readUInt16BE(2)).toBe(messageId);
    }
    await client.acknowledge("pubcomp", messageId);
    await client.nothing();
    await client.acknowledge("pubcomp", messageId);
    await client.nothing();
  });

  it("has flags 0010 in its PUBREL [MQTT-3.6.1-1] mqtt311 [MQTT-3.6.1-1]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("a", { qos: 2 });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    await publisher.publish("a", "x", { qos: 2 });
    await client.acknowledge("pubrec", (await client.message("x")).messageId);
    expect((await client.expect("pubrel")).bytes[0]).toBe(0x62);
  });

  it("comes at the lower of the two QoS [MQTT-3.8.4-8] mqtt311 [MQTT-3.8.4-6]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    for (const qos of [0, 1, 2] as const) await client.subscribe(`t/${qos}`, { qos });
    for (const granted of [0, 1, 2] as const) {
      for (const published of [0, 1, 2] as const) {
        await publisher.publish(`t/${granted}`, "x", { qos: published });
        const packet = await client.message("x");
        expect([granted, published, packet.qos]).toEqual([granted, published, Math.min(granted, published)]);
      }
    }
  });

  it("has the topic and the payload it was published with, byte by byte [MQTT-3.3.2-1] [MQTT-1.5.4-3] [MQTT-4.7.3-4] mqtt311 [MQTT-3.3.2-1] mqtt311 [MQTT-1.5.3-3] mqtt311 [MQTT-4.7.3-4]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using publisher = await MqttWire.connect(port, { version: 4, clientId: "p" });
    await client.subscribe("#");
    const payload = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
    for (const topic of ["a", "/", "//a/", "ä/漢/\u{1f30a}", "a b/%41", "\ufeffa", "A"]) {
      await publisher.sendPublish(topic, payload);
      const received = await client.expect("publish");
      expect(received.topic).toBe(topic);
      expect(payload.equals(Buffer.from(received.payload))).toBe(true);
    }
  });

  it("comes in the order of its topic at each QoS [MQTT-4.6.0-5] [MQTT-4.6.0-6] [MQTT-4.5.0-1] mqtt311 [MQTT-4.6.0-5] mqtt311 [MQTT-4.6.0-6] mqtt311 [MQTT-4.5.0-1]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    for (const qos of [0, 1, 2] as const) {
      await client.subscribe(`o/${qos}`, { qos });
      for (let i = 0; i < 100; i++) void publisher.sendPublish(`o/${qos}`, `${i}`, { qos: qos === 2 ? 1 : qos });
      for (let i = 0; i < 100; i++) await client.message(`${i}`);
    }
  });
});

describe("a message", () => {
  it("of every length of its remaining length goes through", async () => {
    const { port } = await startBroker();
    for (const version of [4, 5] as const) {
      using client = await MqttWire.connect(port, { version, clientId: "c" });
      await client.subscribe("a", { qos: 1 });
      for (const size of [
        0, 120, 121, 122, 123, 124, 125, 16_376, 16_377, 16_378, 16_379, 16_380, 200_000, 2_000_000,
      ]) {
        for (const qos of [0, 1] as const) {
          void client.sendPublish("a", Buffer.alloc(size, "x"), { qos });
          let packet = await client.next();
          if (packet.cmd === "puback") packet = await client.next();
          expect(packet.cmd === "publish" && packet.payload.length).toBe(size);
          if (packet.cmd === "publish" && qos === 1) await client.acknowledge("puback", packet.messageId);
        }
        await client.send({ cmd: "pingreq" });
        while ((await client.next()).cmd !== "pingresp");
      }
    }
  });

  it("that comes byte by byte is one message", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.subscribe("a");
    const bytes = client.encode({ cmd: "publish", topic: "a", payload: "xyz", qos: 0, dup: false, retain: false });
    for (const byte of bytes) await client.wire.send(Buffer.from([byte]));
    await client.message("xyz");
  });
});

describe("a client that refuses a message with PUBACK or PUBREC", () => {
  it("does not get it again, and no PUBREL [MQTT-4.3.3-4] [MQTT-4.4.0-2]", async () => {
    const { port } = await startBroker();
    const keep = { clientId: "c", properties: { sessionExpiryInterval: 100 } };
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using first = await MqttWire.connect(port, keep);
    await first.subscribe("a", { qos: 2 });
    await publisher.publish("a", "1", { qos: 1 });
    await first.acknowledge("puback", (await first.message("1")).messageId, 0x80);
    await publisher.publish("a", "2", { qos: 2 });
    await first.acknowledge("pubrec", (await first.message("2")).messageId, 0x97);
    await first.nothing();
    await first.disconnect();
    using second = await MqttWire.connect(port, { ...keep, clean: false });
    expect(second.connack.sessionPresent).toBe(true);
    await second.nothing();
  });

  it("with PUBREC for a QoS 2 message nobody sent hears PUBREL with 146", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.acknowledge("pubrec", 99);
    expect(await client.acknowledged("pubrel", 99)).toBe(0x92);
  });
});

describe("a message at QoS 2 whose expiry interval passes on its way", () => {
  it("is finished by who sent it and who received it [MQTT-4.3.3-7] [MQTT-4.3.3-13]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    const properties = { messageExpiryInterval: 10 };
    const keep = { clientId: "s", clean: false, properties: { sessionExpiryInterval: 1000 } };
    using subscriber = await MqttWire.connect(port, keep);
    await subscriber.subscribe("a", { qos: 2 });
    using client = await MqttWire.connect(port, { clientId: "c" });
    for (const payload of ["1", "2"]) {
      await client.sendPublish("a", payload, { qos: 2, messageId: Number(payload), properties });
      await client.acknowledged("pubrec", Number(payload));
    }
    const one = await subscriber.message("1");
    const two = await subscriber.message("2");
    clock.leap(11_000);
    await client.acknowledge("pubrel", 1);
    expect(await client.acknowledged("pubcomp", 1)).toBe(0);
    await subscriber.acknowledge("pubrec", one.messageId);
    expect(await subscriber.acknowledged("pubrel", one.messageId ?? 0)).toBe(0);
    await subscriber.vanish();
    using back = await MqttWire.connect(port, keep);
    expect(await back.acknowledged("pubrel", one.messageId ?? 0)).toBe(0);
    const again = await back.message("2");
    expect([again.messageId, again.dup]).toEqual([two.messageId, true]);
  });
});

describe("a message that the broker refuses", () => {
  it("is told so in PUBACK and PUBREC, and its identifier is free [MQTT-4.3.3-9] [MQTT-3.4.2-1] [MQTT-3.5.2-1]", async () => {
    const { port } = await startBroker(["queues=[{match: small, max_messages: 1, full: reject}]"]);
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.publish("$queue/small", "1", { qos: 1 });
    await client.sendPublish("$queue/small", "2", { qos: 1, messageId: 9 });
    expect(await client.acknowledged("puback", 9)).toBe(0x97);
    await client.sendPublish("$queue/small", "3", { qos: 2, messageId: 9 });
    expect(await client.acknowledged("pubrec", 9)).toBe(0x97);
    await client.subscribe("a");
    await client.sendPublish("a", "4", { qos: 2, messageId: 9 });
    const packets = [await client.next(), await client.next()];
    expect(packets.map(({ cmd }) => cmd).sort()).toEqual(["publish", "pubrec"]);
  });
});
