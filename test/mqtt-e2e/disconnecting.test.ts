import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { MqttWire } from "../support/mqtt-wire.ts";

describe.each([3, 4, 5] as const)("DISCONNECT of level %s", (version) => {
  it("is followed by nothing: the broker closes, and does what came before and nothing that came after [MQTT-3.14.4-1] [MQTT-3.14.4-2] mqtt311 [MQTT-3.14.4-1] mqtt311 [MQTT-3.14.4-2]", async () => {
    const { port } = await startBroker();
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe("a");
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    const publish = (payload: string): Buffer =>
      client.encode({ cmd: "publish", topic: "a", payload, qos: 0, dup: false, retain: false });
    await client.wire.send(Buffer.concat([publish("1"), client.encode({ cmd: "disconnect" }), publish("2")]));
    // The broker closes of its own accord.
    expect((await client.wire.closed()).length).toBe(0);
    await subscriber.message("1");
    await subscriber.nothing();
  });

  it("comes from the broker when it stops, if the version has it", async () => {
    const broker = await startBroker();
    using client = await MqttWire.connect(broker.port, { version, clientId: "c" });
    void broker.stop();
    expect(await client.dismissed()).toBe(version === 5 ? 0x8b : undefined);
  });
});

describe("DISCONNECT", () => {
  it.each([
    ["reserved flags [MQTT-3.14.1-1] mqtt311 [MQTT-3.14.1-1]", "e1 00", 0x81],
    ["a reason code that only a server has [MQTT-3.14.2-1]", "e0 01 8b", 0x82],
    ["a reason code that there is none [MQTT-3.14.2-1]", "e0 01 7f", 0x82],
  ])("with %s is malformed or a protocol error", async (_what, bytes, code) => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c" });
    await client.sendHex(bytes);
    expect(await client.dismissed()).toBe(code);
  });

  it("from the broker has no session expiry interval [MQTT-3.14.2-2]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c", properties: { sessionExpiryInterval: 10 } });
    await client.sendHex("36 00");
    const { reasonCode, properties } = await client.expect("disconnect");
    expect(reasonCode).toBe(0x81);
    expect(properties?.sessionExpiryInterval).toBeUndefined();
    expect(properties?.reasonString).toMatch(/QoS 3/);
  });

  it("with a reason string is left without it when the client takes no such packet [MQTT-3.14.2-3] [MQTT-3.1.2-24]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { clientId: "c", properties: { maximumPacketSize: 30 } });
    await client.sendHex("36 00");
    const { reasonCode, properties, bytes } = await client.expect("disconnect");
    expect(reasonCode).toBe(0x81);
    expect(bytes.length).toBeLessThanOrEqual(30);
    expect(properties?.reasonString).toBeUndefined();
  });

  it("with a reason code that is an error keeps the session as it was asked for", async () => {
    const { port } = await startBroker();
    const keep = { clientId: "c", clean: false, properties: { sessionExpiryInterval: 100 } };
    using first = await MqttWire.connect(port, keep);
    await first.disconnect(0x80);
    using second = await MqttWire.connect(port, keep);
    expect(second.connack.sessionPresent).toBe(true);
  });
});
