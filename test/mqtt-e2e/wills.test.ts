import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { type ConnectOptions, MqttWire, type MqttVersion } from "../support/mqtt-wire.ts";

const will = (payload = "gone"): { topic: string; payload: string; qos: 1 } => ({ topic: "w", payload, qos: 1 });

async function watcher(port: number, version: MqttVersion = 5): Promise<MqttWire> {
  const client = await MqttWire.connect(port, { version, clientId: "watcher" });
  await client.subscribe("w", { qos: 2 });
  return client;
}

const delayed = (seconds: number, expiry: number, more: ConnectOptions = {}): ConnectOptions => ({
  clientId: "c",
  clean: false,
  properties: { sessionExpiryInterval: expiry },
  will: { ...will(), properties: { willDelayInterval: seconds } },
  ...more,
});

it("a will for amq.topic goes to the subscribers of its topic, by that topic's name", async () => {
  const { port } = await startBroker();
  using watching = await MqttWire.connect(port, { clientId: "watcher" });
  await watching.subscribe("a/b", { qos: 1 });
  using client = await MqttWire.connect(port, { will: { ...will(), topic: "$exchange/amq.topic/a.b" } });
  client.wire.reset();
  expect((await watching.message("gone")).topic).toBe("a/b");
});

describe.each([3, 4, 5] as const)("the will of a client of level %s", (version) => {
  it("is published when the connection ends without DISCONNECT [MQTT-3.1.2-7] [MQTT-3.1.2-8] mqtt311 [MQTT-3.1.2-8]", async () => {
    const { port } = await startBroker();
    using watching = await watcher(port, version);
    for (const end of ["finish", "reset"] as const) {
      using client = await MqttWire.connect(port, { version, clientId: "c", will: will() });
      client.wire[end]();
      const packet = await watching.message("gone");
      expect([packet.topic, packet.qos, packet.retain, packet.dup]).toEqual(["w", 1, false, false]);
    }
  });

  it("is published when the broker closes for what the client did [MQTT-3.1.2-8] mqtt311 [MQTT-3.1.2-8]", async () => {
    const { port } = await startBroker();
    using watching = await watcher(port);
    using client = await MqttWire.connect(port, { version, clientId: "c", will: will() });
    await client.sendHex("36 00");
    await client.dismissed();
    await watching.message("gone");
  });

  it("is published when its keep alive is over [MQTT-3.1.2-8] mqtt311 [MQTT-3.1.2-8]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using watching = await watcher(port);
    using client = await MqttWire.connect(port, { version, clientId: "c", keepalive: 10, will: will() });
    clock.leap(16_000);
    await client.dismissed();
    await watching.message("gone");
  });

  it("is published once when another connection takes over", async () => {
    const { port } = await startBroker();
    using watching = await watcher(port);
    using first = await MqttWire.connect(port, { version, clientId: "c", will: will() });
    using second = await MqttWire.connect(port, { version, clientId: "c" });
    await first.dismissed();
    await watching.message("gone");
    await second.vanish();
    await watching.nothing();
  });

  it("is not published after DISCONNECT [MQTT-3.1.2-10] [MQTT-3.14.4-3] mqtt311 [MQTT-3.1.2-10] mqtt311 [MQTT-3.1.2-12] mqtt311 [MQTT-3.14.4-3]", async () => {
    const { port } = await startBroker();
    using watching = await watcher(port);
    using client = await MqttWire.connect(port, { version, clientId: "c", will: will() });
    await client.disconnect();
    using none = await MqttWire.connect(port, { version, clientId: "c" });
    await none.vanish();
    await watching.nothing();
  });

  it("comes at its QoS and is retained if it says so, and is not otherwise [MQTT-3.1.2-14] [MQTT-3.1.2-15] mqtt311 [MQTT-3.1.2-16] mqtt311 [MQTT-3.1.2-17]", async () => {
    const { port } = await startBroker();
    using watching = await watcher(port);
    for (const retain of [true, false]) {
      for (const qos of [0, 1, 2] as const) {
        const topic = `w/${retain}/${qos}`;
        await watching.subscribe(topic, { qos: 2 });
        using client = await MqttWire.connect(port, {
          version,
          clientId: "c",
          will: { ...will(), topic, retain, qos },
        });
        await client.vanish();
        const packet = await watching.message("gone");
        expect([packet.retain, packet.qos]).toEqual([false, qos]);
        using late = await MqttWire.connect(port, { clientId: "late" });
        await late.subscribe(topic, { qos: 2 });
        if (retain) expect((await late.message("gone")).qos).toBe(qos);
        else await late.nothing();
      }
    }
  });

  it("may be empty, and then removes what is retained if it says so", async () => {
    const { port } = await startBroker();
    using watching = await watcher(port);
    await watching.sendPublish("w", "kept", { retain: true });
    const fields = version === 5 ? "05 26 0000 00 0001'c' 00 0001'w' 0000" : "04 26 0000 0001'c' 0001'w' 0000";
    using client = await MqttWire.open(port, version === 5 ? 5 : 4);
    await client.sendHex(`10 ${version === 5 ? "14" : "12"} 0004'MQTT' ${fields}`);
    await client.expect("connack");
    await client.vanish();
    const seen: string[] = [];
    for (let packet = await watching.next(); ; packet = await watching.next()) {
      if (packet.cmd !== "publish") continue;
      seen.push(packet.payload.toString());
      if (packet.payload.length === 0) break;
    }
    using late = await MqttWire.connect(port, { clientId: "late" });
    await late.subscribe("w");
    await late.nothing();
  });
});

describe("a will of 5.0", () => {
  it("is published after DISCONNECT with reason code 4, or one that is an error [MQTT-3.1.2-8] [MQTT-3.14.4-3]", async () => {
    const { port } = await startBroker();
    using watching = await watcher(port);
    for (const code of [0x04, 0x80, 0x98]) {
      using client = await MqttWire.connect(port, { clientId: "c", will: will() });
      await client.disconnect(code);
      await watching.message("gone");
    }
  });

  it("waits for its delay [MQTT-3.1.2-8]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using watching = await watcher(port);
    using client = await MqttWire.connect(port, delayed(60, 1000));
    await client.vanish();
    clock.leap(50_000);
    await watching.nothing();
    clock.leap(11_000);
    await watching.message("gone");
  });

  it("does not wait longer than its session lives [MQTT-3.1.2-8]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using watching = await watcher(port);
    using client = await MqttWire.connect(port, delayed(60, 10));
    await client.vanish();
    clock.leap(11_000);
    await watching.message("gone");
    using short = await MqttWire.connect(port, delayed(60, 0));
    await short.vanish();
    await watching.message("gone");
    clock.leap(100_000);
    await watching.nothing();
  });

  it("does not come when its session comes back in time [MQTT-3.1.3-9]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using watching = await watcher(port);
    using client = await MqttWire.connect(port, delayed(60, 1000));
    await client.vanish();
    clock.leap(30_000);
    using back = await MqttWire.connect(port, {
      clientId: "c",
      clean: false,
      properties: { sessionExpiryInterval: 1000 },
    });
    expect(back.connack.sessionPresent).toBe(true);
    clock.leap(100_000);
    await watching.nothing();
    await back.disconnect();
    clock.leap(100_000);
    await watching.nothing();
  });

  it("does not come when another connection takes over in time [MQTT-3.1.3-9]", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using watching = await watcher(port);
    using first = await MqttWire.connect(port, delayed(60, 1000));
    using second = await MqttWire.connect(port, { ...delayed(60, 1000), will: { ...will("second") } });
    await first.dismissed();
    clock.leap(100_000);
    await watching.nothing();
    await second.vanish();
    await watching.message("second");
  });

  it("comes at once when a clean start ends its session [MQTT-3.1.2-8]", async () => {
    const { port } = await startBroker();
    using watching = await watcher(port);
    using client = await MqttWire.connect(port, delayed(60, 1000));
    await client.vanish();
    await watching.nothing();
    using clean = await MqttWire.connect(port, { clientId: "c", clean: true });
    await watching.message("gone");
    await clean.nothing();
  });

  it("has its message expiry counted from when it is published", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using watching = await watcher(port);
    const properties = { willDelayInterval: 60, messageExpiryInterval: 30 };
    using client = await MqttWire.connect(port, { ...delayed(60, 1000), will: { ...will(), properties } });
    await client.vanish();
    clock.leap(61_000);
    const packet = await watching.message("gone");
    expect(packet.properties?.messageExpiryInterval).toBeGreaterThan(25);
    expect(packet.properties?.messageExpiryInterval).toBeLessThanOrEqual(30);
    // The delay itself is not a property of messages.
    expect(packet.bytes.includes(Buffer.from([0x18, 0, 0, 0, 60]))).toBe(false);
  });
});
