import type { IPublishPacket, Packet } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { expectEvenAccounts } from "../support/core-accounts.ts";
import { type Connecting, FlowWorld, type Wire, words } from "./flow-world.ts";

interface Scene {
  world: FlowWorld;
  sender: Wire;
  reader: Wire;
}

/** A reader of `t` with a session, and somebody who publishes to it. */
async function scene(qos: 1 | 2, connecting: Connecting = {}): Promise<Scene> {
  const world = await FlowWorld.open();
  const reader = await world.connect("reader", connecting);
  reader.subscribe("t", qos).read();
  return { world, reader, sender: await world.connect("sender") };
}

function onlyPublish(packets: readonly Packet[]): IPublishPacket & { messageId: number } {
  const [packet] = packets;
  if (packets.length !== 1 || packet?.cmd !== "publish" || packet.messageId === undefined) {
    throw new Error(`Not one PUBLISH with an identifier but: ${packets.map(words).join(", ")}`);
  }
  return { ...packet, messageId: packet.messageId };
}

describe("a message at QoS 1 to a client", () => {
  it("is gone with its PUBACK, which may come twice", async () => {
    const { world, reader, sender } = await scene(1);
    sender.publish(1, 1, "a");
    const { messageId } = onlyPublish(reader.read());
    reader.ack("puback", messageId).ack("puback", messageId);
    expect(reader.said).toEqual([]);
    expect(world.sessionOf("reader")?.messages).toBe(0);
    expect(world.core.broker.engine.memoryBytes).toBe(0);
  });

  it("is not sent again on the same connection", async () => {
    const { world, reader, sender } = await scene(1);
    sender.publish(1, 1, "a");
    expect(reader.said).toHaveLength(1);
    world.clock.advance(3_600_000);
    expect(reader.said).toEqual([]);
  });

  it.each([4, 5] as const)(
    "is gone as well when a client of version %i says that it failed: it has it",
    async (version) => {
      const { world, reader, sender } = await scene(1, { version });
      sender.publish(1, 1, "a");
      reader.ack("puback", onlyPublish(reader.read()).messageId, 0x80);
      reader.lose();
      reader.lose();
      expect((await world.connect("reader", { version })).said).toEqual([]);
      expect(world.sessionOf("reader")?.messages).toBe(0);
    },
  );

  it("comes again with the same identifier and DUP to a client that comes back, in its order", async () => {
    const { world, reader, sender } = await scene(1);
    for (const [index, body] of ["a", "b", "c", "d"].entries()) sender.publish(1, index + 1, body);
    const first = reader.read();
    expect(first.map(words)).toEqual(["publish 2 q1: a", "publish 3 q1: b", "publish 4 q1: c", "publish 5 q1: d"]);
    reader.ack("puback", 3).lose();
    const again = await world.connect("reader");
    sender.publish(1, 5, "e");
    expect(again.said).toEqual([
      "publish 2 q1 dup: a",
      "publish 4 q1 dup: c",
      "publish 5 q1 dup: d",
      "publish 6 q1: e",
    ]);
  });

  it("comes with the same identifier after a crash, in its order", async () => {
    const { world, reader, sender } = await scene(1);
    for (const [index, body] of ["a", "b", "c"].entries()) sender.publish(1, index + 1, body);
    expect(reader.said).toHaveLength(3);
    reader.ack("puback", 3);
    const next = await world.crash();
    const again = await next.connect("reader");
    expect(again.present).toBe(true);
    expect(again.said).toEqual(["publish 2 q1 dup: a", "publish 4 q1 dup: c"]);
  });

  it("has DUP after a crash only if it may have come before, however often the broker crashes [MQTT-3.3.1-1]", async () => {
    const { world, reader, sender } = await scene(1);
    sender.publish(1, 1, "a");
    expect(reader.said).toHaveLength(1);
    const second = await world.crash();
    (await second.connect("sender")).publish(1, 2, "b");
    const third = await second.crash();
    (await third.connect("sender")).publish(1, 3, "c");
    const again = await third.connect("reader");
    expect(again.said).toEqual(["publish 2 q1 dup: a", "publish 3 q1: b", "publish 4 q1: c"]);
    for (const id of [2, 3, 4]) again.ack("puback", id);
    const fourth = await third.crash();
    const last = await fourth.connect("reader");
    (await fourth.connect("sender")).publish(1, 4, "d");
    expect(last.said).toEqual([expect.stringMatching(/q1: d$/)]);
  });
});

describe("a message at QoS 2 to a client", () => {
  it("goes through PUBREC, PUBREL and PUBCOMP, and nothing of it is left", async () => {
    const { world, reader, sender } = await scene(2);
    sender.publish(2, 1, "a").ack("pubrel", 1).read();
    const { messageId, qos } = onlyPublish(reader.read());
    expect(qos).toBe(2);
    expect(reader.ack("pubrec", messageId).said).toEqual([`pubrel ${messageId}`]);
    expect(world.entries).toHaveLength(1);
    expect(reader.ack("pubcomp", messageId).said).toEqual([]);
    expect(world.entries).toEqual([]);
    expect(world.sessionOf("reader")?.messages).toBe(0);
    expect(world.core.broker.engine.memoryBytes).toBe(0);
  });

  it.each(["t", "$share/g/t"])("is not sent to a session that is kept before it is on disk (%s)", async (filter) => {
    const world = await FlowWorld.open();
    const reader = await world.connect("reader");
    reader.subscribe(filter, 2).read();
    const clean = await world.connect("clean", { clean: true });
    clean.subscribe("t", 2).read();
    const sender = await world.connect("sender");
    world.gate.hold();
    sender.publish(2, 1, "a").publish(1, 2, "b").publish(2, 3, "c");
    expect(reader.said).toEqual([expect.stringMatching(/q1: b$/)]);
    expect(clean.said).toHaveLength(3);
    world.gate.letGo();
    expect(reader.said).toEqual([expect.stringMatching(/q2: a$/), expect.stringMatching(/q2: c$/)]);
  });

  it("of a share is not sent to a session that ends with its connection before it is nobody else's on disk", async () => {
    const world = await FlowWorld.open();
    (await world.connect("kept")).subscribe("$share/g/t", 2).lose();
    (await world.connect("sender")).publish(2, 1, "a").ack("pubrel", 1);
    world.gate.hold();
    const clean = await world.connect("clean", { clean: true });
    expect(clean.subscribe("$share/g/t", 2).said).toEqual(["suback"]);
    world.gate.letGo();
    expect(clean.said).toEqual(["publish 1 q2: a"]);
  });

  it("is another one's after a crash whose message never got to the disk, and its identifier too", async () => {
    const { world, reader, sender } = await scene(2);
    world.gate.hold();
    sender.publish(2, 1, "a");
    const receiver = new Receiver();
    receiver.step(reader, true);
    const next = await world.crash();
    const again = await next.connect("reader");
    const other = await next.connect("other");
    other.publish(2, 1, "b").ack("pubrel", 1);
    const resent = await next.connect("sender");
    resent.publish(2, 1, "a", { dup: true }).ack("pubrel", 1);
    while (receiver.step(again, true)) expect(receiver.got.length).toBeLessThanOrEqual(2);
    expect(receiver.got).toEqual(["b", "a"]);
  });

  it("bears every answer twice", async () => {
    const { world, reader, sender } = await scene(2);
    sender.publish(2, 1, "a").ack("pubrel", 1);
    const { messageId: id } = onlyPublish(reader.read());
    expect(reader.ack("pubrec", id).ack("pubrec", id).said).toEqual([`pubrel ${id}`, `pubrel ${id}`]);
    expect(reader.ack("pubcomp", id).ack("pubcomp", id).said).toEqual([]);
    expect(world.entries).toEqual([]);
    // A late PUBREC of what is over is released, so that the client is done with it too.
    expect(reader.ack("pubrec", id).said).toEqual([`pubrel ${id}`]);
  });

  it("a PUBREC of nothing is answered to a client of MQTT 5.0 with what the broker lacks", async () => {
    const { reader } = await scene(2, { version: 5 });
    expect(reader.ack("pubrec", 77).said).toEqual(["pubrel 77 0x92"]);
  });

  it("is released only when that is on disk", async () => {
    const { world, reader, sender } = await scene(2);
    sender.publish(2, 1, "a").ack("pubrel", 1);
    const { messageId: id } = onlyPublish(reader.read());
    world.gate.hold();
    expect(reader.ack("pubrec", id).ack("pubrec", id).said).toEqual([]);
    world.gate.letGo();
    expect(reader.said).toEqual([`pubrel ${id}`, `pubrel ${id}`]);
  });

  it("comes again whole after a crash before its PUBREC was on disk, and as PUBREL after that", async () => {
    const { world, reader, sender } = await scene(2);
    sender.publish(2, 1, "a").ack("pubrel", 1);
    const { messageId: id } = onlyPublish(reader.read());
    world.gate.hold();
    reader.ack("pubrec", id);
    const second = await world.crash();
    const again = await second.connect("reader");
    expect(onlyPublish(again.read()).messageId).toBe(id);
    expect(again.ack("pubrec", id).said).toEqual([`pubrel ${id}`]);
    const third = await second.crash();
    const last = await third.connect("reader");
    expect(last.said).toEqual([`pubrel ${id}`]);
    expect(last.ack("pubcomp", id).said).toEqual([]);
    expect(third.entries).toEqual([]);
  });

  it("is over with a PUBREC that says it failed, also when one that did not say so came before", async () => {
    const { world, reader, sender } = await scene(2, { version: 5 });
    sender.publish(2, 1, "a").ack("pubrel", 1).publish(2, 2, "b").ack("pubrel", 2);
    const ids = reader.read().map(({ messageId }) => Number(messageId));
    expect(ids).toHaveLength(2);
    const [one = 0, two = 0] = ids;
    expect(reader.ack("pubrec", one, 0x80).said).toEqual([]);
    reader.ack("pubrec", two);
    expect(reader.ack("pubrec", two, 0x80).said).toEqual([`pubrel ${two}`]);
    expect(world.entries).toEqual([]);
    reader.lose();
    expect((await world.connect("reader", { version: 5 })).said).toEqual([]);
  });

  it("those that are released come before those that are sent again, each in the order of before", async () => {
    const { world, reader, sender } = await scene(2);
    for (let id = 1; id <= 12; id++) sender.publish(2, id, `m${id}`).ack("pubrel", id);
    const ids = reader.read().map(({ messageId }) => Number(messageId));
    expect(ids).toHaveLength(12);
    const early = ids.slice(0, 10);
    for (const id of early) reader.ack("pubrec", id);
    const expected = [...early.map((id) => `pubrel ${id}`), `publish ${ids[10]} q2: m11`, `publish ${ids[11]} q2: m12`];
    reader.lose();
    const again = await world.connect("reader");
    expect(again.said.map((line) => line.replace(" dup", ""))).toEqual(expected);
    // [MQTT-4.6.0-4]: a client may hand its messages on when they are released.
    const next = await world.crash();
    const last = await next.connect("reader");
    expect(last.said.map((line) => line.replace(" dup", ""))).toEqual(expected);
  });

  it("is sent at QoS 1 when it was published so, or is wanted so", async () => {
    const { reader, sender } = await scene(2);
    sender.publish(1, 1, "a");
    expect(onlyPublish(reader.read()).qos).toBe(1);
    reader.subscribe("t", 1).read();
    sender.publish(2, 2, "b");
    expect(onlyPublish(reader.read().filter(({ cmd }) => cmd === "publish")).qos).toBe(1);
  });
});

/** A reader that has `t` for itself, and something else besides, both at QoS 2. */
async function besides(filter: string): Promise<Scene> {
  const now = await scene(2);
  now.reader.subscribe(filter, 2).read();
  return now;
}

function inTurn(now: Scene, first: number, ...topics: readonly string[]): void {
  for (const [index, topic] of topics.entries()) {
    const id = first + index;
    now.sender.publish(2, id, `${topic.at(-1)}${id}`, { topic }).ack("pubrel", id);
  }
}

/** Handles all that comes, until nothing does. */
function drain(receiver: Receiver, wire: Wire): void {
  for (let i = 0; receiver.step(wire, true); i++) expect(i).toBeLessThan(1000);
}

describe.each(["lost", "crash"] as const)("to a session that is kept (%s), a message at QoS 2", (ending) => {
  it.each([
    ["$share/g/s", "s"],
    ["$queue/s", "$queue/s"],
  ])("of %s comes again with its identifier to the client that had it, which hands it on once", async (filter, s) => {
    let now = await besides(filter);
    inTurn(now, 1, s, s, "t", s);
    const receiver = new Receiver();
    receiver.step(now.reader, false);
    expect(receiver.got.toSorted()).toEqual(["s1", "s2", "s4", "t3"]);
    now = await comeBack(ending, now);
    drain(receiver, now.reader);
    expect(receiver.got.toSorted()).toEqual(["s1", "s2", "s4", "t3"]);
    expect(now.world.entries).toEqual([]);
  });

  it("of a queue that went to somebody else keeps no other message from coming", async () => {
    let now = await besides("$queue/s");
    inTurn(now, 1, "$queue/s", "$queue/s", "$queue/s");
    const receiver = new Receiver();
    receiver.step(now.reader, false);
    expect(receiver.got).toEqual(["s1", "s2", "s3"]);
    now.reader.lose();
    const other = await now.world.connect("other");
    other.subscribe("$queue/s", 2);
    const elsewhere = new Receiver();
    drain(elsewhere, other);
    expect(elsewhere.got).toEqual(["s1", "s2", "s3"]);
    other.send({ cmd: "unsubscribe", messageId: 5, unsubscriptions: ["$queue/s"] });
    now.world.clock.advance(1);
    now = await comeBack(ending, now);
    now = { ...now, sender: await now.world.connect("another") };
    inTurn(now, 4, "t", "t", "t", "$queue/s", "$queue/s", "$queue/s");
    drain(receiver, now.reader);
    expect(receiver.got.slice(3).toSorted()).toEqual(["s7", "s8", "s9", "t4", "t5", "t6"]);
    expect(now.world.entries).toEqual([]);
  });

  it("of a share comes to the client that had it, and to no other member [MQTT-4.8.2-4]", async () => {
    let now = await besides("$share/g/s");
    inTurn(now, 1, "s", "s", "s");
    const receiver = new Receiver();
    receiver.step(now.reader, false);
    const { ids } = receiver;
    now.reader.lose();
    const other = await now.world.connect("other");
    expect(other.subscribe("$share/g/s", 2).said).toEqual(["suback"]);
    now = await comeBack(ending, now);
    const elsewhere = ending === "crash" ? await now.world.connect("other") : other;
    expect(elsewhere.said).toEqual([]);
    expect(now.reader.said).toEqual(ids.map((id, index) => `publish ${id} q2 dup s: s${index + 1}`));
    for (const id of ids) now.reader.ack("pubrec", id).ack("pubcomp", id);
    expect(now.world.entries).toEqual([]);
    expect(now.world.sessionOf("reader")?.messages).toBe(0);
    expectEvenAccounts(now.world.core.broker);
  });

  it("of a share comes to nobody once the session has ended [MQTT-4.8.2-5]", async () => {
    let now = await besides("$share/g/s");
    const other = await now.world.connect("other");
    other.subscribe("$share/g/s", 2).read();
    inTurn(now, 1, "s", "s");
    expect(other.read()).toHaveLength(1);
    expect(now.reader.read()).toHaveLength(1);
    now = await comeBack(ending, now);
    now.reader.lose();
    (await now.world.connect("reader", { clean: true })).lose();
    const again = await now.world.connect("other");
    expect(again.read()).toHaveLength(1);
    expectEvenAccounts(now.world.core.broker);
  });

  it("of a share comes again before what waits for the session alone", async () => {
    let now = await scene(2, { version: 5, receiveMaximum: 3 });
    now.reader.subscribe("$share/g/s", 2).read();
    inTurn(now, 1, "t", "t", "s", "t", "t");
    expect(now.reader.read()).toHaveLength(3);
    now = await comeBack(ending, now);
    expect(now.reader.said.map((line) => line.replace(/ \d+ q2/, ""))).toEqual([
      "publish dup s: s3",
      "publish dup: t1",
      "publish dup: t2",
      ...["t4", "t5"].map((body) => `publish${ending === "crash" ? " dup" : ""}: ${body}`),
    ]);
  });

  it("of a share that waits for room in the window goes to another member", async () => {
    const options = { version: 5, receiveMaximum: 2 } as const;
    const now = await scene(2, options);
    now.reader.subscribe("$share/g/s", 2).read();
    const burst = [1, 2, 3, 4, 5].map((messageId) => ({ messageId, topic: "s", payload: `s${messageId}` }));
    now.sender.send(
      ...burst.map((message) => ({ cmd: "publish", qos: 2, dup: false, retain: false, ...message }) as const),
    );
    expect(now.reader.read()).toHaveLength(2);
    now.reader.lose();
    const other = await now.world.connect("other");
    other.subscribe("$share/g/s", 2);
    const elsewhere = new Receiver();
    drain(elsewhere, other);
    const next = ending === "crash" ? await now.world.crash() : now.world;
    const again = await next.connect("reader", options);
    const receiver = new Receiver();
    drain(receiver, again);
    expect([...elsewhere.got, ...receiver.got].toSorted()).toEqual(["s1", "s2", "s3", "s4", "s5"]);
    expect(receiver.got).toEqual(["s1", "s2"]);
  });

  it("of a share carries the subscription's identifier and retain flag also when it comes again", async () => {
    let now = await scene(2, { version: 5 });
    now.reader
      .send({
        cmd: "subscribe",
        messageId: 1,
        subscriptions: [{ topic: "$share/g/s", qos: 2, rap: true }],
        properties: { subscriptionIdentifier: 7 },
      })
      .read();
    now.sender.send({ cmd: "publish", topic: "s", payload: "a", qos: 2, messageId: 1, dup: false, retain: true });
    const first = onlyPublish(now.reader.read());
    now = await comeBack(ending, now);
    const second = onlyPublish(now.reader.read());
    for (const { retain, properties } of [first, second]) {
      expect(retain).toBe(true);
      expect(properties).toEqual({ subscriptionIdentifier: 7 });
    }
    expect(second.messageId).toBe(first.messageId);
  });
});

describe("a message at QoS 2 of a share", () => {
  it("is lost with a session that ends with its connection, and that is accounted for [MQTT-4.8.2-5]", async () => {
    const { world, sender } = await scene(2);
    const reader = await world.connect("one", { clean: true });
    reader.subscribe("$share/g/s", 2).read();
    sender.publish(2, 1, "a", { topic: "s" });
    expect(reader.read()).toHaveLength(1);
    const other = await world.connect("two", { clean: true });
    other.subscribe("$share/g/s", 2).read();
    reader.lose();
    expect(other.said).toEqual([]);
    expectEvenAccounts(world.core.broker);
  });

  it("goes to nobody else when the broker crashes with the session that ends with its connection [MQTT-4.8.2-5]", async () => {
    const { world, sender } = await scene(2);
    const other = await world.connect("other");
    other.subscribe("$share/g/s", 2).read();
    const reader = await world.connect("one", { clean: true });
    reader.subscribe("$share/g/s", 2).read();
    for (const id of [1, 2]) sender.publish(2, id, `m${id}`, { topic: "s" });
    const { payload } = onlyPublish(reader.read());
    const next = await world.crash();
    const again = await next.connect("other");
    expect(onlyPublish(again.read()).payload.toString()).not.toBe(payload.toString());
    expectEvenAccounts(next.core.broker);
  });

  it("goes to nobody else once it was refused [MQTT-4.8.2-6]", async () => {
    const { world, reader, sender } = await scene(2, { version: 5 });
    reader.subscribe("$share/g/s", 2).read();
    sender.publish(2, 1, "a", { topic: "s" });
    const { messageId } = onlyPublish(reader.read());
    expect(reader.ack("pubrec", messageId, 0x83).said).toEqual([]);
    const other = await world.connect("other");
    expect(other.subscribe("$share/g/s", 2).said).toEqual(["suback"]);
    reader.lose();
    expect(other.said).toEqual([]);
    expect((await world.connect("reader", { version: 5 })).said).toEqual([]);
    expect(world.sessionOf("reader")?.messages).toBe(0);
    expectEvenAccounts(world.core.broker);
  });

  it("is finished although its client unsubscribes meanwhile [MQTT-3.10.4-3]", async () => {
    const { world, reader, sender } = await scene(2);
    reader.subscribe("$share/g/s", 2).read();
    sender.publish(2, 1, "a", { topic: "s" }).ack("pubrel", 1);
    const { messageId: id } = onlyPublish(reader.read());
    reader.send({ cmd: "unsubscribe", messageId: 5, unsubscriptions: ["$share/g/s"] });
    expect(reader.said).toEqual(["unsuback"]);
    expect(reader.ack("pubrec", id).said).toEqual([`pubrel ${id}`]);
    reader.ack("pubcomp", id);
    expect(world.entries).toEqual([]);
  });
});

/** How a connection ends between two steps. */
const ENDINGS = ["lost", "taken over", "crash", "crash before anything is on disk"] as const;
type Ending = (typeof ENDINGS)[number];

/** A client that keeps what it must of QoS 2, and hands on what comes. */
class Receiver {
  readonly got: string[] = [];
  /** Of the messages, in the order in which they first came. */
  readonly ids: number[] = [];
  readonly #unreleased = new Set<number>();
  done = false;

  /** Handles one packet; false when there is none, or it is not answered. */
  step(wire: Wire, answers: boolean): boolean {
    const packets = wire.read();
    for (const packet of packets) {
      if (packet.cmd === "publish") {
        const id = Number(packet.messageId);
        if (packet.qos !== 2 || !this.#unreleased.has(id)) {
          this.got.push(packet.payload.toString());
          this.ids.push(id);
        }
        if (packet.qos === 2) this.#unreleased.add(id);
        if (answers) wire.ack(packet.qos === 2 ? "pubrec" : "puback", id);
        this.done ||= answers && packet.qos === 1;
      } else if (packet.cmd === "pubrel") {
        const id = Number(packet.messageId);
        this.#unreleased.delete(id);
        if (answers) wire.ack("pubcomp", id);
        this.done ||= answers;
      } else if (packet.cmd !== "suback" && packet.cmd !== "unsuback") throw new Error(words(packet));
    }
    return packets.length > 0;
  }
}

const CUTS = [0, 1, 2, 3].flatMap((bits) => ENDINGS.map((ending) => ({ ending, mute: bits & 1, step: bits >> 1 })));

async function comeBack(ending: Ending, { world, reader, ...rest }: Scene): Promise<Scene> {
  if (ending === "lost") reader.lose();
  const next = ending.startsWith("crash") ? await world.crash() : world;
  const again = await next.connect("reader", { version: reader.version });
  if (ending === "taken over") expect(reader.peer.closedFor).toMatch(/opened by another connection/);
  expect(again.present).toBe(true);
  return { ...rest, world: next, reader: again };
}

describe.each([4, 5] as const)("the flow of QoS 2 to a client of version %i", (version) => {
  it.each(CUTS)(
    "brings the message once when the connection ends ($ending) at step $step, answer not sent: $mute",
    async ({ ending, mute, step }) => {
      let now = await scene(2, { version });
      now.sender.publish(2, 1, "a").ack("pubrel", 1);
      const receiver = new Receiver();
      for (let i = 0; !receiver.done || i <= step; i++) {
        expect(i).toBeLessThan(10);
        if (i !== step) {
          receiver.step(now.reader, true);
          continue;
        }
        if (ending === "crash before anything is on disk") now.world.gate.hold();
        receiver.step(now.reader, mute === 0);
        now = await comeBack(ending, now);
      }
      while (receiver.step(now.reader, true)) expect(receiver.got).toEqual(["a"]);
      expect(receiver.got).toEqual(["a"]);
      expect(now.world.sessionOf("reader")?.messages).toBe(0);
      expect(now.world.entries).toEqual([]);
    },
  );
});
