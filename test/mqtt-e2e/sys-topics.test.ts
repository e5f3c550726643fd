import { describe, expect, it } from "vitest";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

/** What the retained messages of all $SYS topics say, by topic below $SYS/broker/. */
async function told(port: number): Promise<Map<string, string>> {
  using client = await MqttWire.connect(port);
  await client.subscribe("$SYS/broker/#");
  await client.send({ cmd: "pingreq" });
  const values = new Map<string, string>();
  for (;;) {
    const packet = await client.next();
    if (packet.cmd === "pingresp") return values;
    if (packet.cmd !== "publish") throw new Error(`Expected publish, received ${packet.cmd}`);
    expect([packet.retain, packet.qos]).toEqual([true, 0]);
    values.set(packet.topic.slice("$SYS/broker/".length), packet.payload.toString());
  }
}

describe("$SYS topics", () => {
  it("tell of the broker under the names that Mosquitto has", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker(["broker.name=delos"], { clock });
    using away = await MqttWire.connect(port, {
      clientId: "away",
      clean: false,
      properties: { sessionExpiryInterval: 1000 },
    });
    await away.subscribe(["a", "b"], { qos: 1 });
    await away.disconnect();
    using subscriber = await MqttWire.connect(port, { clientId: "s" });
    await subscriber.subscribe(["a", "$share/g/b"]);
    using client = await MqttWire.connect(port, { clientId: "p" });
    for (let i = 0; i < 10; i++) await client.publish("a", "12345", { qos: 1, retain: i === 0 });
    clock.leap(10_000);
    const values = await told(port);
    expect(values.get("version")).toMatch(/^delos version \d/);
    expect(values.get("uptime")).toMatch(/^1\d seconds$/);
    expect(Object.fromEntries(values)).toMatchObject({
      "clients/total": "3",
      "clients/connected": "2",
      "clients/disconnected": "1",
      "clients/maximum": "2",
      "clients/expired": "0",
      "publish/messages/received": "10",
      "publish/messages/sent": "10",
      "publish/messages/dropped": "0",
      "messages/received": "10",
      "messages/sent": "10",
      "messages/inflight": "0",
      "messages/stored": "11",
      "store/messages/count": "11",
      "retained messages/count": "1",
      "subscriptions/count": "4",
      "shared_subscriptions/count": "1",
    });
    for (const name of ["bytes/received", "bytes/sent", "store/messages/bytes", "heap/current", "heap/maximum"]) {
      expect(Number(values.get(name))).toBeGreaterThan(0);
    }
    expect(Number(values.get("publish/bytes/received"))).toBeGreaterThanOrEqual(50);
    expect(values.get("publish/bytes/sent")).toBe(values.get("publish/bytes/received"));
    for (const kind of ["messages/received", "messages/sent", "publish/received", "publish/sent", "bytes/received"]) {
      for (const window of ["1min", "5min", "15min"]) {
        expect(Number(values.get(`load/${kind}/${window}`))).toBeGreaterThan(0);
      }
    }
    for (const kind of ["publish/dropped", "bytes/sent", "connections", "sockets"]) {
      expect(values.get(`load/${kind}/5min`)).toMatch(/^\d+\.\d\d$/);
    }
    await client.disconnect();
    await subscriber.disconnect();
    clock.leap(2_000_000);
    clock.leap(10_000);
    const later = await told(port);
    expect([later.get("clients/expired"), later.get("clients/disconnected")]).toEqual(["1", "0"]);
    expect(later.get("publish/messages/received")).toBe("10");
    // What is said here is sent, too.
    for (const name of ["publish/messages/sent", "bytes/received", "bytes/sent"]) {
      expect(Number(later.get(name))).toBeGreaterThanOrEqual(Number(values.get(name)));
    }
    expect(Number(later.get("load/publish/received/1min"))).toBe(0);
  });

  it("are sent again when they have changed, to who is subscribed to them by name", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker(["mqtt.sys_interval=1m"], { clock });
    using client = await MqttWire.connect(port);
    using everything = await MqttWire.connect(port);
    await everything.subscribe(["#", "+/broker/uptime", "+/#"]);
    await client.subscribe("$SYS/+/clients/connected");
    const first = await client.expect("publish");
    expect([first.retain, first.payload.toString()]).toEqual([true, "0"]);
    clock.leap(60_000);
    const second = await client.expect("publish");
    expect([second.retain, second.payload.toString()]).toEqual([false, "2"]);
    clock.leap(60_000);
    await client.nothing();
    await everything.nothing();
  });

  it("can be read by STOMP, and are not among what a wildcard for everything gets", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    using everything = await StompWire.connect(port);
    for (const [id, destination] of ["/topic/**", "/topic/*.broker.uptime", "/topic/#"].entries()) {
      await everything.request("SUBSCRIBE", { destination, id: String(id) });
    }
    using client = await StompWire.connect(port);
    await client.request("SUBSCRIBE", { destination: "/topic/**,/topic/$SYS.broker.uptime", id: "1" });
    const first = await client.message();
    expect([first.headers.get("destination"), first.body.toString()]).toEqual([
      "/topic/$SYS.broker.uptime",
      "0 seconds",
    ]);
    clock.leap(10_000);
    expect((await client.message()).body.toString()).toBe("10 seconds");
    await everything.request("SEND", { destination: "/topic/x" }, "1");
    for (let i = 0; i < 2; i++) {
      expect((await everything.message()).headers.get("destination")).toBe("/topic/x");
    }
  });

  it("are not published to by clients", async () => {
    const { port } = await startBroker();
    using five = await MqttWire.connect(port);
    await five.subscribe("$SYS/broker/mine");
    await five.sendPublish("$SYS/broker/mine", "1", { qos: 1, messageId: 7, retain: true });
    expect(await five.acknowledged("puback", 7)).toBe(0x87);
    using old = await MqttWire.connect(port, { version: 4 });
    await old.publish("$SYS/broker/mine", "1", { qos: 1 });
    await five.nothing();
    using stomp = await StompWire.connect(port);
    await stomp.send("SEND", { destination: "/topic/$SYS.broker.mine" }, "1");
    expect(await stomp.refused()).toContain("system topic");
  });

  it("are neither stored nor destinations", async () => {
    const clock = new LeapingClock();
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`];
    const before = await startBroker(settings, { clock });
    expect((await told(before.port)).size).toBeGreaterThan(40);
    expect(before.server.broker.host(undefined)?.topics.size).toBe(0);
    await before.stop();
    const { server, port } = await startBroker([...settings, "mqtt.sys_interval=0"], { clock });
    expect(server.broker.host(undefined)?.retained.count).toBe(0);
    expect((await told(port)).size).toBe(0);
  });

  it("come to sessions that are kept while these are connected", async () => {
    const clock = new LeapingClock();
    const { port } = await startBroker([], { clock });
    const options = { clientId: "c", clean: false, properties: { sessionExpiryInterval: 1000 } };
    using client = await MqttWire.connect(port, options);
    await client.subscribe("$SYS/broker/uptime", { qos: 2 });
    await client.message("0 seconds");
    clock.leap(10_000);
    expect((await client.message("10 seconds")).qos).toBe(0);
    await client.vanish();
    clock.leap(10_000);
    using again = await MqttWire.connect(port, options);
    await again.nothing();
  });
});
