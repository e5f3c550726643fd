import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { hex, MqttWire } from "../support/mqtt-wire.ts";

/** Filters, topics that they match, topics that they do not. */
const MATCHES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["sport/tennis/#", ["sport/tennis", "sport/tennis/p1", "sport/tennis/p1/rank"], ["sport", "sport/tennis2"]],
  ["#", ["a", "/a", "a/b/c", "/"], ["$a", "$a/b"]],
  ["sport/+", ["sport/a", "sport/"], ["sport", "sport/a/b"]],
  ["+/+", ["/finance", "a/b", "/"], ["a", "a/b/c", "$a/b"]],
  ["/+", ["/finance", "/"], ["finance", "//", "$a/"]],
  ["+", ["finance", "A"], ["/finance", "$a", "a/"]],
  ["+/tennis/#", ["a/tennis", "/tennis", "a/tennis/b/c"], ["$a/tennis", "a/b/tennis"]],
  ["$a/#", ["$a", "$a/b", "$a/b/c"], ["a", "$b/a"]],
  ["$a/+", ["$a/b"], ["$a", "$a/b/c"]],
  ["a//+", ["a//", "a//b"], ["a/b", "a/b/c"]],
  ["a/b", ["a/b"], ["a/B", "A/b", "/a/b", "a/b/", "a//b"]],
  ["\u00e4/+", ["\u00e4/x"], ["a\u0308/x"]],
];

describe.each([4, 5] as const)("a filter of level %s", (version) => {
  it.each(MATCHES)(
    "%s matches what the specification says [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1] [MQTT-4.7.3-4] [MQTT-3.3.2-3] mqtt311 [MQTT-4.7.1-2] mqtt311 [MQTT-4.7.1-3] mqtt311 [MQTT-4.7.2-1] mqtt311 [MQTT-4.7.3-4] mqtt311 [MQTT-3.3.2-3]",
    async (filter, matching, others) => {
      const { port } = await startBroker();
      using client = await MqttWire.connect(port, { version, clientId: "c" });
      expect(await client.subscribe(filter)).toEqual([0]);
      for (const topic of [...others, ...matching]) await client.sendPublish(topic, topic);
      for (const topic of matching) expect((await client.message(topic)).topic).toBe(topic);
      await client.nothing();
    },
  );

  it.each(MATCHES)(
    "%s finds the same among retained messages [MQTT-4.7.2-1] mqtt311 [MQTT-4.7.2-1]",
    async (filter, matching, others) => {
      const { port } = await startBroker();
      using client = await MqttWire.connect(port, { version, clientId: "c" });
      for (const topic of [...others, ...matching]) await client.publish(topic, topic, { retain: true });
      await client.subscribe(filter);
      const found: string[] = [];
      while (found.length < matching.length) found.push((await client.expect("publish")).topic);
      expect(found.sort()).toEqual([...matching].sort());
      await client.nothing();
    },
  );

  it.each(["a/#/b", "a#", "#a", "a/+b", "a+/b", "++", "##"])(
    "%s is refused in SUBACK [MQTT-4.7.1-1] [MQTT-4.7.1-2] mqtt311 [MQTT-4.7.1-2] mqtt311 [MQTT-4.7.1-3]",
    async (filter) => {
      const { port } = await startBroker();
      using client = await MqttWire.connect(port, { version, clientId: "c" });
      expect(await client.subscribe(filter)).toEqual([version === 5 ? 0x8f : 0x80]);
    },
  );

  it("that is empty is refused [MQTT-4.7.3-1] mqtt311 [MQTT-4.7.3-1]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.sendHex(version === 5 ? "82 06 0001 00 0000 00" : "82 05 0001 0000 00");
    const { granted } = await client.expect("suback");
    expect(granted).toEqual([version === 5 ? 0x8f : 0x80]);
  });

  it("may have 65535 bytes, or as many levels as the broker takes, or is refused [MQTT-4.7.3-3] mqtt311 [MQTT-4.7.3-3]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    for (const filter of ["x".repeat(65_535), "/".repeat(65_535)]) {
      const [code = -1] = await client.subscribe(filter);
      expect(code === 0 || code >= 0x80).toBe(true);
    }
    await client.nothing();
  });
});

describe.each([4, 5] as const)("a topic of level %s that is published to", (version) => {
  it.each(["a/+", "+", "a/#", "#", "a+b"])(
    "%s has a wildcard, and the connection ends [MQTT-3.3.2-2] [MQTT-4.7.0-1] mqtt311 [MQTT-3.3.2-2] mqtt311 [MQTT-4.7.1-1]",
    async (topic) => {
      const { port } = await startBroker();
      using client = await MqttWire.connect(port, { version, clientId: "c" });
      const fields = Buffer.concat([
        Buffer.from([0, topic.length]),
        Buffer.from(topic),
        Buffer.alloc(version === 5 ? 1 : 0),
      ]);
      await client.wire.send(Buffer.concat([Buffer.from([0x30, fields.length]), fields]));
      expect(await client.dismissed()).toBe(version === 5 ? 0x90 : undefined);
    },
  );

  it("is empty, and the connection ends [MQTT-4.7.3-1] mqtt311 [MQTT-4.7.3-1]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.wire.send(hex(version === 5 ? "30 04 0000 00 78" : "30 03 0000 78"));
    expect(await client.dismissed()).toBe(version === 5 ? 0x82 : undefined);
  });

  it("is 65535 bytes long, and comes or is refused, and the connection stays or ends with a reason [MQTT-4.7.3-3] mqtt311 [MQTT-4.7.3-3]", async () => {
    const { port } = await startBroker();
    const topic = `t/${"x".repeat(65_533)}`;
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    await client.subscribe("t/#");
    await client.sendPublish(topic, "x");
    const packet = version === 5 ? await client.next() : await client.wire.closed();
    expect("cmd" in packet ? packet.cmd : packet.length).toBeDefined();
    using other = await MqttWire.connect(port, { version, clientId: "d" });
    await other.nothing();
  });

  it("has what other protocols would take for a wildcard or an escape, and is that very topic [MQTT-4.7.3-4] mqtt311 [MQTT-4.7.3-4]", async () => {
    const { port } = await startBroker();
    using client = await MqttWire.connect(port, { version, clientId: "c" });
    const topics = ["a.b", "a.*", "a/**", "{x}", "%2B", "%252B", "a,b", "a/%2Fb", "a>", "*", "..", "%"];
    for (const topic of topics) await client.subscribe(topic);
    for (const topic of topics) {
      await client.sendPublish(topic, topic);
      expect((await client.message(topic)).topic).toBe(topic);
    }
    await client.nothing();
  });
});
