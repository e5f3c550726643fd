import { describe, expect, it } from "vitest";
import { parsePattern } from "../support/core-broker.ts";
import { type Connecting, FlowWorld, Wire } from "./flow-world.ts";

async function readerOf(world: FlowWorld, filter: string, qos: 0 | 1 | 2, connecting: Connecting = {}): Promise<Wire> {
  const reader = await world.connect("reader", connecting);
  reader.subscribe(filter, qos).read();
  return reader;
}

/** Publishes so many numbered messages at QoS 1. */
function publishMany(wire: Wire, count: number, options: { topic?: string; from?: number; qos?: 1 | 2 } = {}): void {
  const { from = 1, topic = "t", qos = 1 } = options;
  for (let i = from; i < from + count; i++) {
    wire.publish(qos, i, `m${i}`, { topic });
    if (qos === 2) wire.ack("pubrel", i);
  }
  wire.read();
}

function idsOf(wire: Wire): number[] {
  return wire.read().flatMap((packet) => (packet.cmd === "publish" ? [Number(packet.messageId)] : []));
}

const KINDS = [
  { what: "a kept session", connecting: {} },
  { what: "a clean session", connecting: { clean: true } },
] as const;

describe.each(KINDS)("deliveries under way to $what", ({ connecting }) => {
  it("are at most as many as the broker allows, and go on with each answer", async () => {
    const world = await FlowWorld.open({ mqtt: { maxInflight: 3 } });
    const reader = await readerOf(world, "t", 1, connecting);
    publishMany(await world.connect("sender"), 5);
    const ids = idsOf(reader);
    expect(ids).toHaveLength(3);
    expect(idsOf(reader.ack("puback", Number(ids[1])))).toHaveLength(1);
    expect(idsOf(reader.ack("puback", Number(ids[0])))).toHaveLength(1);
    expect(idsOf(reader.ack("puback", Number(ids[2])))).toEqual([]);
  });

  it("are at most as many as the client allows, whatever the broker would", async () => {
    const world = await FlowWorld.open();
    const reader = await readerOf(world, "t", 2, {
      version: 5,
      receiveMaximum: 2,
      ...(connecting === KINDS[1].connecting ? { clean: true, expiry: 0 } : {}),
    });
    publishMany(await world.connect("sender"), 5, { qos: 2 });
    const [one = 0, two = 0, ...others] = idsOf(reader);
    expect(others).toEqual([]);
    // [MQTT-4.9.0-2]: PUBREC alone makes no room, PUBCOMP does, and so does a PUBREC that says it failed.
    expect(reader.ack("pubrec", one).said).toEqual([`pubrel ${one}`]);
    expect(idsOf(reader.ack("pubcomp", one))).toHaveLength(1);
    expect(idsOf(reader.ack("pubrec", two, 0x80))).toHaveLength(1);
  });

  it("are counted over all subscriptions, the shared ones too", async () => {
    const world = await FlowWorld.open({ mqtt: { maxInflight: 3 } });
    const reader = await readerOf(world, "own", 1, connecting);
    reader.subscribe("$share/g/one", 1).subscribe("$share/h/two", 1).read();
    const sender = await world.connect("sender");
    for (const topic of ["own", "one", "two"]) publishMany(sender, 4, { topic });
    let ids = idsOf(reader);
    expect(ids).toHaveLength(3);
    let got = ids.length;
    for (; ids.length > 0; got += ids.length) {
      const [first = 0, ...others] = ids;
      reader.ack("puback", first);
      ids = [...others, ...idsOf(reader)];
      got -= others.length;
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.length).toBeLessThanOrEqual(3);
    }
    expect(got).toBe(12);
  });

  it("do not become more by a subscription that is made while there are as many as may be", async () => {
    const world = await FlowWorld.open({ mqtt: { maxInflight: 2 } });
    const other = await world.connect("other");
    other.subscribe("$share/g/late", 1).read();
    const reader = await readerOf(world, "t", 1, connecting);
    const sender = await world.connect("sender");
    publishMany(sender, 3);
    const [one = 0, ...others] = idsOf(reader);
    expect(others).toHaveLength(1);
    reader.subscribe("$share/g/late", 1).read();
    other.lose();
    publishMany(sender, 3, { topic: "late" });
    expect(idsOf(reader)).toEqual([]);
    expect(idsOf(reader.ack("puback", one))).toHaveLength(1);
  });

  it("do not keep the client from anything else", async () => {
    const world = await FlowWorld.open({ mqtt: { maxInflight: 1 } });
    const reader = await readerOf(world, "t", 1, connecting);
    publishMany(await world.connect("sender"), 2);
    expect(idsOf(reader)).toHaveLength(1);
    expect(reader.send({ cmd: "pingreq" }).publish(1, 5, "a", { topic: "u" }).said).toEqual(["pingresp", "puback 5"]);
  });
});

describe("packet identifiers", () => {
  it("one that a flow of before still uses is waited for, and what waits behind it keeps its order", async () => {
    const world = await FlowWorld.open();
    const reader = await readerOf(world, "t", 2);
    const sender = await world.connect("sender");
    sender.publish(2, 1, "a").ack("pubrel", 1);
    const [first = 0] = idsOf(reader);
    reader.ack("pubrec", first).read();
    // As many as there are identifiers for messages of its own go by while the client keeps the flow open.
    for (let i = 0; i < 49_150; i++) {
      sender.session.receive(Buffer.from([0x32, 6, 0, 1, 0x74, 0, 1, 0x62]));
      if (i % 50 !== 49) continue;
      for (const id of idsOf(reader)) reader.ack("puback", id);
    }
    for (let ids = idsOf(reader); ids.length > 0; ids = idsOf(reader)) for (const id of ids) reader.ack("puback", id);
    sender.read();
    sender.publish(1, 2, "same").publish(1, 3, "next");
    expect(reader.said).toEqual([]);
    reader.ack("pubcomp", first);
    expect(reader.said).toEqual([`publish ${first} q1: same`, `publish ${first + 1} q1: next`]);
  });

  it("of a kept session and of its shares are never the same at a time", async () => {
    const world = await FlowWorld.open();
    const reader = await readerOf(world, "own", 2);
    reader.subscribe("$share/g/shared", 2).read();
    const sender = await world.connect("sender");
    for (let round = 0; round < 5; round++) {
      publishMany(sender, 5, { topic: "shared", qos: 2 });
      publishMany(sender, 5, { topic: "own", qos: 2 });
    }
    const seen = new Set<number>();
    let got = 0;
    const open: number[] = [];
    for (let ids = idsOf(reader); ids.length > 0 || open.length > 0; ids = idsOf(reader)) {
      for (const id of ids) {
        expect(seen.has(id)).toBe(false);
        seen.add(id);
        open.push(id);
        got++;
      }
      const id = open.shift();
      if (id === undefined) continue;
      seen.delete(id);
      reader.ack("pubrec", id).ack("pubcomp", id);
    }
    expect(got).toBe(50);
  });
});

describe("a client that does not read", () => {
  it.each([0, 1] as const)(
    "is given no more at QoS %i than its output holds, and the rest when it reads",
    async (qos) => {
      const world = await FlowWorld.open({ highWater: 200 });
      const reader = await readerOf(world, "t", qos);
      const sender = await world.connect("sender");
      for (let i = 1; i <= 50; i++) {
        sender.publish(qos, i, "x".repeat(50));
        sender.read();
      }
      expect(reader.peer.output.full).toBe(true);
      expect(reader.peer.output.waiting).toBeLessThan(400);
      expect(reader.read()).toHaveLength(50);
    },
  );

  it("is given the rest also when answers filled its output while too many deliveries were under way", async () => {
    const world = await FlowWorld.open({ highWater: 200, mqtt: { maxInflight: 1, maxAcksWaiting: 1000 } });
    const reader = await readerOf(world, "t", 1);
    const sender = await world.connect("sender");
    publishMany(sender, 2);
    const [first = 0] = idsOf(reader);
    for (let i = 1; i <= 60; i++) reader.publish(1, i, "a", { topic: "u" });
    expect(reader.peer.output.full).toBe(true);
    reader.ack("puback", first);
    expect(reader.read().filter(({ cmd }) => cmd === "publish")).toHaveLength(1);
  });

  it("is not read from either once too many answers wait for it, and is again when it has read them", async () => {
    const world = await FlowWorld.open({ highWater: 100, mqtt: { maxAcksWaiting: 5 } });
    const sender = await world.connect("sender");
    for (let i = 1; i <= 60; i++) sender.publish(1, i, "a");
    expect(sender.peer.paused).toBe(true);
    expect(sender.read()).toHaveLength(60);
    expect(sender.peer.paused).toBe(false);
  });
});

describe("a message larger than its client takes", () => {
  it.each(KINDS)("is left out as if it had been delivered, for $what [MQTT-3.1.2-25]", async ({ connecting }) => {
    const world = await FlowWorld.open();
    const reader = await readerOf(world, "t", 2, { version: 5, maximumPacketSize: 60, ...connecting, expiry: 60 });
    const sender = await world.connect("sender");
    sender.publish(1, 1, "a").publish(1, 2, "x".repeat(100)).publish(2, 3, "y".repeat(100)).ack("pubrel", 3);
    sender.publish(0, 0, "z".repeat(100)).publish(1, 4, "b");
    const packets = reader.read();
    expect(packets.map((packet) => (packet.cmd === "publish" ? packet.payload.toString() : packet.cmd))).toEqual([
      "a",
      "b",
    ]);
    for (const { messageId } of packets) reader.ack("puback", Number(messageId));
    expect(world.sessionOf("reader")?.messages).toBe(0);
    reader.lose();
    expect((await world.connect("reader", { version: 5 })).said).toEqual([]);
  });
});

describe("what a client may have under way to the broker", () => {
  it("is bounded for MQTT 5.0, and more ends the connection", async () => {
    const world = await FlowWorld.open({ mqtt: { receiveMaximum: 2 } });
    (await readerOf(world, "t", 2)).lose();
    const sender = await world.connect("sender", { version: 5 });
    sender.publish(2, 1, "a").publish(2, 2, "b");
    expect(sender.said).toEqual(["pubrec 1", "pubrec 2"]);
    // One that comes again is not one more.
    expect(sender.publish(2, 2, "b", { dup: true }).said).toEqual(["pubrec 2"]);
    expect(sender.ack("pubrel", 1).publish(1, 3, "c").said).toEqual(["pubcomp 1", "puback 3"]);
    world.gate.hold();
    sender.publish(1, 4, "d").publish(1, 5, "e");
    expect(sender.said).toEqual(["disconnect 0x93"]);
    expect(sender.peer.closedFor).toMatch(/mqtt\.receive_maximum/);
  });

  it("begins anew with each connection, whatever flows the session still has [MQTT-4.9.0-1]", async () => {
    const world = await FlowWorld.open({ mqtt: { receiveMaximum: 2 } });
    const sender = await world.connect("sender", { version: 5 });
    sender.publish(2, 1, "a").publish(2, 2, "b").read();
    sender.lose();
    const again = await world.connect("sender", { version: 5 });
    expect(again.publish(2, 3, "c").publish(2, 4, "d").said).toEqual(["pubrec 3", "pubrec 4"]);
    again.ack("pubrel", 1).ack("pubrel", 2).ack("pubrel", 3).ack("pubrel", 4);
    expect(again.said).toEqual(["pubcomp 1", "pubcomp 2", "pubcomp 3", "pubcomp 4"]);
    expect(world.entries).toEqual([]);
  });

  it("is not bounded that way before MQTT 5.0, which has no words for it", async () => {
    const world = await FlowWorld.open({ mqtt: { receiveMaximum: 2 } });
    const sender = await world.connect("sender");
    for (let id = 1; id <= 5; id++) sender.publish(2, id, "a");
    expect(sender.said).toHaveLength(5);
  });
});

/** A queue that holds two messages; `$queue/q` for MQTT. */
const SMALL_QUEUE = {
  core: { host: { policies: [{ pattern: parsePattern("queue:q"), maxMessages: 2, full: "block" as const }] } },
};

describe("a publisher into a queue that is full", () => {
  it("is not read from until there is room; what it said by then is handled in its order and answered", async () => {
    const world = await FlowWorld.open(SMALL_QUEUE);
    const sender = await world.connect("sender");
    for (let id = 1; id <= 5; id++) sender.publish(id % 2 === 0 ? 2 : 1, id, `m${id}`, { topic: "$queue/q" });
    sender.send({ cmd: "pingreq" });
    expect(sender.peer.paused).toBe(true);
    const before = sender.said;
    expect(before.length).toBeLessThan(5);
    const reader = await world.connect("reader");
    reader.subscribe("$queue/q", 1);
    const bodies: string[] = [];
    for (let packets = reader.read(); packets.length > 0; packets = reader.read()) {
      for (const packet of packets) {
        if (packet.cmd !== "publish") continue;
        bodies.push(packet.payload.toString());
        reader.ack("puback", Number(packet.messageId));
      }
    }
    expect(bodies).toEqual(["m1", "m2", "m3", "m4", "m5"]);
    expect(sender.peer.paused).toBe(false);
    expect([...before, ...sender.said]).toEqual([
      "puback 1",
      "pubrec 2",
      "puback 3",
      "pubrec 4",
      "puback 5",
      "pingresp",
    ]);
  });

  it("is not taken for dead while nobody listens to it, but is when it is silent afterwards", async () => {
    const world = await FlowWorld.open(SMALL_QUEUE);
    const sender = await world.connect("sender", { keepAlive: 10 });
    for (let id = 1; id <= 3; id++) sender.publish(1, id, "a", { topic: "$queue/q" });
    expect(sender.peer.paused).toBe(true);
    world.clock.advance(3_600_000);
    expect(sender.peer.closedFor).toBeUndefined();
    const reader = await world.connect("reader");
    reader.subscribe("$queue/q", 0).read();
    expect(sender.peer.paused).toBe(false);
    world.clock.advance(14_000);
    expect(sender.peer.closedFor).toBeUndefined();
    world.clock.advance(2000);
    expect(sender.peer.closedFor).toMatch(/keep alive/);
  });

  it("is not taken for dead either when it is blocked by what it sent along with its CONNECT", async () => {
    const world = await FlowWorld.open(SMALL_QUEUE);
    const sender = new Wire(world, 4);
    const topic = "$queue/q";
    sender.send(
      { cmd: "connect", clientId: "sender", clean: true, keepalive: 10, protocolId: "MQTT", protocolVersion: 4 },
      ...[1, 2, 3].map((messageId) => ({
        cmd: "publish" as const,
        topic,
        payload: "a",
        qos: 1 as const,
        messageId,
        dup: false,
        retain: false,
      })),
    );
    await new Promise(setImmediate);
    expect(sender.readConnack()).toBe(false);
    expect(sender.peer.paused).toBe(true);
    world.clock.advance(3_600_000);
    expect(sender.peer.closedFor).toBeUndefined();
  });
});

describe("what waits for the disk", () => {
  it("CONNACK of a session that is kept, and with it all that was to come", async () => {
    const world = await FlowWorld.open();
    world.gate.hold();
    const wire = await world.connecting("reader");
    wire.subscribe("t", 1);
    expect(wire.said).toEqual([]);
    world.gate.letGo();
    expect(wire.said).toEqual(["connack", "suback"]);
  });

  it("SUBACK and UNSUBACK of a session that is kept, in the order in which they were asked for", async () => {
    const world = await FlowWorld.open();
    const wire = await world.connect("reader");
    world.gate.hold();
    wire.subscribe("t", 1).send({ cmd: "unsubscribe", messageId: 5, unsubscriptions: ["t"] });
    expect(wire.said).toEqual([]);
    world.gate.letGo();
    expect(wire.said).toEqual(["suback", "unsuback"]);
  });

  it("nothing of a session that ends with its connection, but for what it publishes", async () => {
    const world = await FlowWorld.open();
    (await readerOf(world, "t", 2)).lose();
    world.gate.hold();
    const wire = await world.connecting("other", { clean: true });
    expect(wire.subscribe("u", 1).said).toEqual(["connack", "suback"]);
    expect(wire.publish(0, 0, "now", { topic: "u" }).said).toEqual(["publish q0 u: now"]);
    expect(wire.publish(1, 1, "a").said).toEqual([]);
    world.gate.letGo();
    expect(wire.said).toEqual(["puback 1"]);
  });

  it("is not said to a client that is gone by then", async () => {
    const world = await FlowWorld.open();
    const wire = await world.connect("reader");
    world.gate.hold();
    wire.subscribe("t", 1).lose();
    world.gate.letGo();
    expect(wire.said).toEqual([]);
  });
});

describe("a client whose session is refused", () => {
  it("is told so, and nothing of it is left", async () => {
    const world = await FlowWorld.open();
    const other = world.core.client();
    other.subscribe("topic:t", { durable: "mqtt/reader" });
    const before = world.host.clients.size;
    const wire = await world.connecting("reader", { version: 5 });
    expect(wire.said).toEqual(["connack"]);
    expect(wire.peer.closedFor).toMatch(/durable subscription mqtt\/reader/);
    expect(world.host.clients.size).toBe(before);
  });
});
