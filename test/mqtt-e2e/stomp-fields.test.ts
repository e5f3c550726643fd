import { describe, expect, it } from "vitest";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

const PRIORITY = "message-priority";

describe("the priority of a message", () => {
  it("is a user property to MQTT 5.0, unless it is the ordinary one", async () => {
    const { port } = await startBroker();
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe("a", { qos: 1 });
    using stomp = await StompWire.connect(port);
    for (const priority of ["7", "0", "4"]) {
      await stomp.request("SEND", { destination: "/topic/a", priority, persistent: "true", colour: "red" }, priority);
      const { userProperties } = (await subscriber.message(priority)).properties ?? {};
      expect(userProperties?.["colour"]).toBe("red");
      expect(userProperties?.[PRIORITY]).toBe(priority === "4" ? undefined : priority);
    }
  });

  it.each([0, 1] as const)("is read from a user property of MQTT 5.0 (QoS %i)", async (qos) => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    for (const digit of ["1", "9", "4"]) {
      const userProperties = { colour: ["red"], [PRIORITY]: [digit, "5"] };
      await publisher.publish("$queue/work", digit, { qos, properties: { userProperties } });
    }
    using stomp = await StompWire.connect(port);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/queue/work" });
    for (const digit of ["9", "4", "1"]) {
      const { body, headers } = await stomp.message();
      expect(body.toString()).toBe(digit);
      expect(headers.get("colour")).toBe("red");
      if (digit !== "4") expect([headers.get("priority"), headers.get(PRIORITY)]).toEqual([digit, undefined]);
    }
  });

  it.each(["", "10", "-1", "high", ":"])("is not read from a user property that says %j", async (value) => {
    const { port } = await startBroker();
    using publisher = await MqttWire.connect(port, { clientId: "p" });
    const properties = { userProperties: { [PRIORITY]: value } };
    await publisher.publish("$queue/work", "x", { properties });
    await publisher.publish("$queue/work", "y", { properties: { userProperties: { "message-prioritx": "9" } } });
    using stomp = await StompWire.connect(port);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/queue/work" });
    const { body, headers } = await stomp.message();
    expect([body.toString(), headers.get("priority") ?? "4", headers.get(PRIORITY)]).toEqual(["x", "4", value]);
  });

  it("is that of a will, too", async () => {
    const { port } = await startBroker();
    using stomp = await StompWire.connect(port);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/topic/a" });
    const properties = { userProperties: { [PRIORITY]: "8" } };
    using client = await MqttWire.connect(port, {
      clientId: "c",
      will: { topic: "a", payload: Buffer.from("x"), qos: 1, retain: false, properties },
    });
    await client.vanish();
    expect((await stomp.message()).headers.get("priority")).toBe("8");
  });
});

describe("what STOMP has its topic retain", () => {
  it.each([0, 1] as const)(
    "comes with RETAIN to who asked to see it as published [MQTT-3.3.1-13] (QoS %i)",
    async (qos) => {
      const { port } = await startBroker();
      using subscriber = await MqttWire.connect(port, { clientId: "s" });
      using other = await MqttWire.connect(port, { clientId: "o" });
      await subscriber.subscribe([{ topic: "a", qos, rap: true }]);
      await other.subscribe([{ topic: "a", qos, rap: false }]);
      using stomp = await StompWire.connect(port);
      for (const retain of ["set", undefined, "remove"]) {
        await stomp.request("SEND", { destination: "/topic/a", persistent: "true", ...(retain && { retain }) }, "x");
        expect((await subscriber.message("x")).retain).toBe(retain === "set");
        expect((await other.message("x")).retain).toBe(false);
      }
    },
  );

  it("does so to a session that was away, after a restart", async () => {
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`];
    const first = await startBroker(settings);
    const keep = { clientId: "s", clean: false, properties: { sessionExpiryInterval: 1000 } };
    const before = await MqttWire.connect(first.port, keep);
    await before.subscribe([{ topic: "a", qos: 1, rap: true }]);
    await before.disconnect();
    using stomp = await StompWire.connect(first.port);
    await stomp.request("SEND", { destination: "/topic/a", persistent: "true", retain: "set" }, "x");
    await stomp.request("SEND", { destination: "/topic/a", persistent: "true" }, "y");
    await first.stop();
    const { port } = await startBroker(settings);
    using subscriber = await MqttWire.connect(port, keep);
    expect((await subscriber.message("x")).retain).toBe(true);
    expect((await subscriber.message("y")).retain).toBe(false);
  });
});
