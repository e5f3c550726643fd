import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { MqttWire } from "../support/mqtt-wire.ts";

describe("the receive maximum of a client", () => {
  it.each([{}, { sessionExpiryInterval: 100 }])(
    "bounds the messages at QoS 1 and 2 under way, not those at QoS 0, in a session with %j [MQTT-3.3.4-9] [MQTT-4.9.0-2]",
    async (more) => {
      const { port } = await startBroker();
      using publisher = await MqttWire.connect(port, { clientId: "p" });
      using client = await MqttWire.connect(port, { clientId: "c", properties: { ...more, receiveMaximum: 2 } });
      await client.subscribe("a", { qos: 2 });
      for (const payload of ["1", "2", "3", "4", "5"]) await publisher.publish("a", payload, { qos: 2 });
      const one = await client.message("1");
      const two = await client.message("2");
      await client.nothing();
      // PUBREC alone gives nothing back.
      await client.acknowledge("pubrec", one.messageId);
      await client.expect("pubrel");
      await client.nothing();
      await client.acknowledge("pubcomp", one.messageId);
      const three = await client.message("3");
      await client.nothing();
      // A refusing PUBREC does.
      await client.acknowledge("pubrec", two.messageId, 0x80);
      await client.message("4");
      await client.nothing();
      await client.acknowledge("pubrec", three.messageId);
      await client.expect("pubrel");
      await client.acknowledge("pubcomp", three.messageId);
      await client.message("5");
      await client.nothing();
    },
  );

  it("counts what is sent again after a reconnect [MQTT-3.3.4-9]", async () => {
    const { port } = await startBroker();
    const keep = { clientId: "c", clean: false };
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using first = await MqttWire.connect(port, { ...keep, properties: { sessionExpiryInterval: 100 } });
    await first.subscribe("a", { qos: 1 });
    for (const payload of ["1", "2", "3"]) {
      await publisher.publish("a", payload, { qos: 1 });
      await first.message(payload);
    }
    await first.vanish();
    using second = await MqttWire.connect(port, {
      ...keep,
      properties: { sessionExpiryInterval: 100, receiveMaximum: 1 },
    });
    for (const payload of ["1", "2", "3"]) {
      const { messageId, dup } = await second.message(payload);
      expect(dup).toBe(true);
      await second.nothing();
      await second.acknowledge("puback", messageId);
    }
  });

  it("holds for shared subscriptions too [MQTT-3.3.4-9]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using client = await MqttWire.connect(port, { clientId: "c", properties: { receiveMaximum: 1 } });
    await client.subscribe(["$share/g/a", "b"], { qos: 1 });
    for (const payload of ["1", "2", "3"]) await publisher.publish("a", payload, { qos: 1 });
    await publisher.publish("b", "b", { qos: 1 });
    const seen: string[] = [];
    for (let i = 0; i < 4; i++) {
      const packet = await client.expect("publish");
      seen.push(packet.payload.toString());
      await client.nothing();
      await client.acknowledge("puback", packet.messageId);
    }
    expect(seen.sort()).toEqual(["1", "2", "3", "b"]);
  });

  it("of 0 is a protocol error", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.open(port);
    await client.sendHex("10 11 0004'MQTT' 05 02 0000 03 21 0000 0001'c'");
    expect((await client.expect("connack")).reasonCode).toBe(0x82);
  });

  it("does not hold up other packets: PINGREQ, SUBSCRIBE and what the client publishes are answered [MQTT-4.9.0-3] [MQTT-3.3.4-10]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c", properties: { receiveMaximum: 1 } });
    await client.subscribe("a", { qos: 1 });
    await client.sendPublish("a", "1", { qos: 1 });
    const packets = [await client.next(), await client.next()];
    expect(packets.map(({ cmd }) => cmd).sort()).toEqual(["puback", "publish"]);
    await client.publish("a", "2", { qos: 1 });
    await client.subscribe("b");
    await client.publish("c", "x", { qos: 2 });
    await client.nothing();
  });
});

describe("the receive maximum of the broker", () => {
  it("is told, and more than that ends the connection with 147 [MQTT-3.3.4-7] [MQTT-4.9.0-1]", async () => {
    const { port } = await startBroker(["mqtt.receive_maximum=3"]);
    using client = await MqttWire.connect(port, { clientId: "c" });
    expect(client.connack.properties?.receiveMaximum).toBe(3);
    for (const messageId of [1, 2, 3]) {
      await client.sendPublish("a", "x", { qos: 2, messageId });
      await client.acknowledged("pubrec", messageId);
    }
    // Sent again, it is no further one.
    await client.sendPublish("a", "x", { qos: 2, messageId: 3, dup: true });
    await client.acknowledged("pubrec", 3);
    await client.acknowledge("pubrel", 2);
    await client.acknowledged("pubcomp", 2);
    await client.sendPublish("a", "x", { qos: 2, messageId: 4 });
    await client.acknowledged("pubrec", 4);
    await client.sendPublish("a", "x", { qos: 2, messageId: 5 });
    expect(await client.dismissed()).toBe(0x93);
  });

  it("does not stop thousands of messages one after the other", async () => {
    const { port } = await startBroker(["mqtt.receive_maximum=1"]);
    using client = await MqttWire.connect(port, { clientId: "c" });
    for (let i = 0; i < 300; i++) await client.publish("a", "x", { qos: i % 2 === 0 ? 1 : 2 });
  });
});

describe("more messages than there are packet identifiers", () => {
  it("wait, and all come in order with identifiers that are free", async () => {
    const { port } = await startBroker(["mqtt.max_inflight=20"]);
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    using client = await MqttWire.connect(port, { version: 4, clientId: "c" });
    await client.subscribe("a", { qos: 1 });
    for (let i = 0; i < 50; i++) await publisher.publish("a", `${i}`, { qos: 1 });
    const open: number[] = [];
    for (let i = 0; i < 50; i++) {
      const { messageId = 0 } = await client.message(`${i}`);
      expect(open).not.toContain(messageId);
      open.push(messageId);
      if (open.length === 20) await client.acknowledge("puback", open.shift());
    }
  });
});

describe("the maximum packet size of a client", () => {
  it("leaves out what is larger, as if it had been delivered [MQTT-3.1.2-24] [MQTT-3.1.2-25]", async () => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    for (const more of [{}, { sessionExpiryInterval: 100 }]) {
      using client = await MqttWire.connect(port, { clientId: "c", properties: { ...more, maximumPacketSize: 30 } });
      await client.subscribe("a", { qos: 2 });
      for (const qos of [0, 1, 2] as const) {
        await publisher.publish("a", "x".repeat(100), { qos });
        await publisher.publish("a", "y".repeat(22), { qos });
        const packet = await client.message("y".repeat(22));
        expect(packet.bytes.length).toBeLessThanOrEqual(30);
        // One byte more than is allowed.
        await publisher.publish("a", "z".repeat(31 - 2 - 3 - 1 - (qos > 0 ? 2 : 0)), { qos });
        await publisher.publish("a", "w".repeat(30 - 2 - 3 - 1 - (qos > 0 ? 2 : 0)), { qos });
        expect((await client.expect("publish")).bytes.length).toBe(30);
      }
      await client.nothing();
      await client.disconnect();
      if (!("sessionExpiryInterval" in more)) continue;
      // They are not waiting for a client that takes more.
      using again = await MqttWire.connect(port, { clientId: "c", clean: false });
      expect(again.connack.sessionPresent).toBe(true);
      await again.send({ cmd: "pingreq" });
      const payloads: string[] = [];
      for (let packet = await again.next(); packet.cmd !== "pingresp"; packet = await again.next()) {
        if (packet.cmd === "publish") payloads.push(packet.payload.toString());
      }
      expect(payloads.filter((payload) => /[xz]/.test(payload))).toEqual([]);
    }
  });

  it("of 0 is a protocol error", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.open(port);
    await client.sendHex("10 13 0004'MQTT' 05 02 0000 05 27 00000000 0001'c'");
    expect((await client.expect("connack")).reasonCode).toBe(0x82);
  });
});

describe("the maximum packet size of the broker", () => {
  it("is told, and a larger packet ends the connection with 149 [MQTT-3.2.2-15]", async () => {
    const { port } = await startBroker(["mqtt.max_packet_bytes=1024"]);
    for (const version of [4, 5] as const) {
      using client = await MqttWire.connect(port, { version, clientId: "c" });
      if (version === 5) expect(client.connack.properties?.maximumPacketSize).toBe(1024);
      await client.subscribe("a");
      await client.sendPublish("a", "x".repeat(900));
      await client.message("x".repeat(900));
      await client.sendPublish("a", "x".repeat(1020));
      expect(await client.dismissed()).toBe(version === 5 ? 0x95 : undefined);
    }
  });
});
