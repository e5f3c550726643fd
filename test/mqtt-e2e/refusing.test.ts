import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

describe("a broker that sends its clients elsewhere", () => {
  it.each([
    ["use_another_server", 0x9c],
    ["server_moved", 0x9d],
  ])("as %s refuses them with %i and where to go, before it asks who they are", async (use, code) => {
    const { port } = await startBroker([`mqtt.redirect.use=${use}`, "mqtt.redirect.reference=other.example:1883"]);
    using client = await MqttWire.open(port);
    await client.sendConnect({ username: "nobody", password: "wrong" });
    const { reasonCode, properties } = await client.expect("connack");
    expect([reasonCode, properties?.serverReference]).toEqual([code, "other.example:1883"]);
    client.wire.finish();
    expect((await client.wire.closed()).length).toBe(0);
    using old = await MqttWire.open(port, 4);
    await old.sendConnect({});
    expect((await old.expect("connack")).returnCode).toBe(3);
  });

  it("names no place when the configuration has none", async () => {
    const { port } = await startBroker(["mqtt.redirect.use=server_moved"]);
    using client = await MqttWire.open(port);
    await client.sendConnect({ properties: { requestProblemInformation: false } });
    const { reasonCode, properties } = await client.expect("connack");
    expect([reasonCode, properties]).toEqual([0x9d, undefined]);
  });
});

describe("a listener's connect_rate", () => {
  it("has more connections refused in their protocol's words, until time has passed", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker(["listeners.stomp.connect_rate=2"], { clock });
    using first = await MqttWire.connect(port);
    using second = await StompWire.connect(port);
    using five = await MqttWire.open(port);
    await five.sendConnect({});
    const { reasonCode, properties } = await five.expect("connack");
    expect(reasonCode).toBe(0x9f);
    expect(properties?.reasonString).toContain("listeners.stomp.connect_rate");
    using old = await MqttWire.open(port, 4);
    await old.sendConnect({});
    expect((await old.expect("connack")).returnCode).toBe(3);
    using stomp = await StompWire.open(port);
    await stomp.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost" });
    expect(await stomp.refused()).toContain("listeners.stomp.connect_rate");
    clock.leap(500);
    using third = await MqttWire.connect(port);
    await third.nothing();
    await first.nothing();
    await second.request("SEND", { destination: "/queue/a" }, "x");
  });
});

describe("response information", () => {
  it("is a topic of the client's own, if it asks for one", async () => {
    const { port } = await startBroker(["mqtt.response_prefix=answers/"]);
    const asking = { properties: { requestResponseInformation: true } };
    using client = await MqttWire.connect(port, { clientId: "a/b+", ...asking });
    const topic = client.connack.properties?.responseInformation ?? "";
    expect(topic).toBe("answers/a%2Fb%2B/");
    expect(await client.subscribe(`${topic}#`)).toEqual([0]);
    await client.sendPublish(`${topic}1`, "x");
    expect((await client.message("x")).topic).toBe(`${topic}1`);
    using silent = await MqttWire.connect(port, { clientId: "c" });
    expect(silent.connack.properties?.responseInformation).toBeUndefined();
    using nameless = await MqttWire.connect(port, asking);
    const { responseInformation, assignedClientIdentifier } = nameless.connack.properties ?? {};
    expect(responseInformation).toBe(`answers/${assignedClientIdentifier}/`);
  });

  it("is not given where there is no prefix", async () => {
    const { port } = await startBroker(["mqtt.response_prefix="]);
    using client = await MqttWire.connect(port, { properties: { requestResponseInformation: true } });
    expect(client.connack.properties?.responseInformation).toBeUndefined();
  });
});

describe("durable_subscriptions", () => {
  it("bound what waits for sessions, which are found by their ids with slashes", async () => {
    const { port, server } = await startBroker([
      "durable_subscriptions[0].match=mqtt/**",
      "durable_subscriptions[0].max_bytes=1k",
      "durable_subscriptions[0].full=drop-head",
      "durable_subscriptions[1].match=mqtt/plant/*",
      "durable_subscriptions[1].max_messages=2",
      "durable_subscriptions[1].full=drop-tail",
    ]);
    const properties = { sessionExpiryInterval: 1000 };
    for (const clientId of ["plain", "dotted.name", "plant/7"]) {
      using client = await MqttWire.connect(port, { clientId, clean: false, properties });
      await client.subscribe("a", { qos: 1 });
      await client.disconnect();
    }
    using sender = await MqttWire.connect(port);
    for (let i = 0; i < 5; i++) await sender.publish("a", `${i}${"x".repeat(400)}`, { qos: 1 });
    const waiting = [...(server.broker.host(undefined)?.sessions.list() ?? [])].filter(({ connected }) => !connected);
    expect(Object.fromEntries(waiting.map(({ id, messages }) => [id, messages]))).toEqual({
      "mqtt/plain": 2,
      "mqtt/dotted.name": 2,
      "mqtt/plant/7": 2,
    });
    using plain = await MqttWire.connect(port, { clientId: "plain", clean: false, properties });
    expect((await plain.expect("publish")).payload.toString()[0]).toBe("3");
    using plant = await MqttWire.connect(port, { clientId: "plant/7", clean: false, properties });
    expect((await plant.expect("publish")).payload.toString()[0]).toBe("0");
  });
});
