import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { MqttWire } from "../support/mqtt-wire.ts";

/** More in all than the buffers of both sockets, of the connection and of the subscriber together. */
const PAYLOAD = Buffer.alloc(64 * 1024, "x");
const MESSAGES = 1000;
const SETTINGS = ["mqtt.slow_subscriber_grace=300ms"];

describe.each([
  { clean: true, most: MESSAGES - 1 },
  // Its queue takes them until the grace is over, and holds up nobody.
  { clean: false, most: MESSAGES },
])("a subscriber at QoS 0 that stops reading (clean session: $clean)", ({ clean, most }) => {
  const session = { version: 4, clientId: "slow", clean } as const;

  it("does not keep others from getting what comes, and gets what comes once it reads again", async () => {
    const { port } = await startBroker(SETTINGS);
    using slow = await MqttWire.connect(port, session);
    await slow.subscribe("a");
    slow.wire.pause();
    using quick = await MqttWire.connect(port, { clientId: "quick" });
    await quick.subscribe("a");
    using publisher = await MqttWire.connect(port, { clientId: "publisher" });
    const sending = (async () => {
      for (let i = 0; i < MESSAGES; i++) await publisher.sendPublish("a", PAYLOAD);
      await publisher.nothing();
    })();
    for (let i = 0; i < MESSAGES; i++) await quick.expect("publish");
    await sending;
    slow.wire.resume();
    // What comes before it has caught up may be dropped.
    const sayingEnd = setInterval(() => void publisher.sendPublish("a", "end"), 20);
    let got = 0;
    while ((await slow.expect("publish")).payload.toString() !== "end") got++;
    clearInterval(sayingEnd);
    expect(got).toBeGreaterThan(0);
    expect(got).toBeLessThanOrEqual(most);
  });
});

describe("a subscriber at QoS 1 that stops reading", () => {
  it("loses nothing of what its kept session has", async () => {
    const { port } = await startBroker(SETTINGS);
    using slow = await MqttWire.connect(port, { version: 4, clientId: "slow", clean: false });
    await slow.subscribe("a", { qos: 1 });
    slow.wire.pause();
    using publisher = await MqttWire.connect(port, { clientId: "publisher" });
    for (let i = 0; i < MESSAGES / 4; i++) await publisher.publish("a", PAYLOAD, { qos: 1 });
    slow.wire.resume();
    for (let i = 0; i < MESSAGES / 4; i++) {
      const { messageId } = await slow.expect("publish");
      await slow.acknowledge("puback", messageId);
    }
    await slow.nothing();
  });
});
