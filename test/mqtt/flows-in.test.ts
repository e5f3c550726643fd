import { describe, expect, it } from "vitest";
import { FlowWorld, type Wire } from "./flow-world.ts";

/** A world in which what is published to `t` gathers for a session that is not connected. */
async function gathering(): Promise<FlowWorld> {
  const world = await FlowWorld.open();
  const wire = await world.connect("reader");
  wire.subscribe("t", 2);
  wire.lose();
  return world;
}

/** What has gathered, read at QoS 2 and answered. */
async function gathered(world: FlowWorld): Promise<string[]> {
  const wire = await world.connect("reader");
  const bodies: string[] = [];
  for (let packets = wire.read(); packets.length > 0; packets = wire.read()) {
    for (const packet of packets) {
      if (packet.cmd === "publish") {
        bodies.push(packet.payload.toString());
        wire.ack(packet.qos === 2 ? "pubrec" : "puback", Number(packet.messageId));
      } else if (packet.cmd === "pubrel") wire.ack("pubcomp", Number(packet.messageId));
    }
  }
  return bodies;
}

describe("a message that a client publishes at QoS 1", () => {
  it("is acknowledged with its packet identifier", async () => {
    const world = await gathering();
    const wire = await world.connect("sender");
    expect(wire.publish(1, 7, "a").said).toEqual(["puback 7"]);
    expect(await gathered(world)).toEqual(["a"]);
  });

  it("is a new message each time it is sent, DUP or not", async () => {
    const world = await gathering();
    const wire = await world.connect("sender");
    wire.publish(1, 7, "a").publish(1, 7, "a", { dup: true });
    expect(wire.said).toEqual(["puback 7", "puback 7"]);
    expect(await gathered(world)).toEqual(["a", "a"]);
  });

  it("goes out without DUP although it came with it", async () => {
    const world = await FlowWorld.open();
    const reader = await world.connect("reader");
    reader.subscribe("t", 1).read();
    const wire = await world.connect("sender");
    wire.publish(1, 7, "a", { dup: true });
    expect(reader.said).toEqual([expect.stringMatching(/^publish \d+ q1: a$/)]);
  });

  it("is not acknowledged before it is on disk, and all are in the order in which they came", async () => {
    const world = await gathering();
    const wire = await world.connect("sender");
    world.gate.hold();
    wire.publish(1, 7, "a").publish(2, 8, "b").publish(1, 9, "c");
    expect(wire.said).toEqual([]);
    world.gate.letGo();
    expect(wire.said).toEqual(["puback 7", "pubrec 8", "puback 9"]);
  });

  it("is there after a crash once it was acknowledged", async () => {
    const world = await gathering();
    const wire = await world.connect("sender");
    wire.publish(1, 7, "a").read();
    world.gate.hold();
    wire.publish(1, 8, "b");
    expect(wire.said).toEqual([]);
    expect(await gathered(await world.crash())).toEqual(["a"]);
  });
});

describe("a message that a client publishes at QoS 2", () => {
  it("goes through PUBREC, PUBREL and PUBCOMP, and nothing of it is left", async () => {
    const world = await gathering();
    const wire = await world.connect("sender");
    expect(wire.publish(2, 7, "a").said).toEqual(["pubrec 7"]);
    expect(world.entries).toHaveLength(1);
    expect(wire.ack("pubrel", 7).said).toEqual(["pubcomp 7"]);
    expect(world.entries).toEqual([]);
    expect(await gathered(world)).toEqual(["a"]);
  });

  it("is published once however often it is sent before PUBREL, and again afterwards", async () => {
    const world = await gathering();
    const wire = await world.connect("sender");
    wire.publish(2, 7, "a").publish(2, 7, "a", { dup: true }).publish(2, 7, "a", { dup: true });
    expect(wire.said).toEqual(["pubrec 7", "pubrec 7", "pubrec 7"]);
    expect(wire.ack("pubrel", 7).ack("pubrel", 7).said).toEqual(["pubcomp 7", "pubcomp 7"]);
    wire.publish(2, 7, "b").ack("pubrel", 7).read();
    expect(await gathered(world)).toEqual(["a", "b"]);
  });

  it("is not answered at any step before that is on disk", async () => {
    const world = await gathering();
    const wire = await world.connect("sender");
    world.gate.hold();
    expect(wire.publish(2, 7, "a").said).toEqual([]);
    world.gate.letGo();
    expect(wire.said).toEqual(["pubrec 7"]);
    world.gate.hold();
    expect(wire.ack("pubrel", 7).said).toEqual([]);
    world.gate.letGo();
    expect(wire.said).toEqual(["pubcomp 7"]);
  });

  it("gets the answers in order when client and disk are at different steps", async () => {
    const world = await gathering();
    const wire = await world.connect("sender");
    world.gate.hold();
    wire.publish(2, 1, "a").publish(2, 2, "b").publish(2, 1, "a", { dup: true }).ack("pubrel", 1).publish(2, 1, "c");
    expect(wire.said).toEqual([]);
    world.gate.letGo();
    expect(wire.said).toEqual(["pubrec 1", "pubrec 2", "pubrec 1", "pubcomp 1", "pubrec 1"]);
    expect(await gathered(world)).toEqual(["a", "b", "c"]);
  });

  it("is acknowledged to a client of MQTT 5.0 that it does not know of with what it lacks", async () => {
    const world = await gathering();
    const wire = await world.connect("sender", { version: 5 });
    expect(wire.ack("pubrel", 7).said).toEqual(["pubcomp 7 0x92"]);
  });

  it("keeps its identifier from being taken for another message only as long as the session lasts", async () => {
    const world = await gathering();
    const wire = await world.connect("sender");
    wire.publish(2, 7, "a").lose();
    (await world.connect("sender", { clean: true })).lose();
    expect(world.entries).toEqual([]);
    const again = await world.connect("sender");
    expect(again.present).toBe(false);
    again.publish(2, 7, "b");
    expect(await gathered(world)).toEqual(["a", "b"]);
  });
});

/** How a connection ends between two steps. */
const ENDINGS = ["lost", "taken over", "crash", "crash before anything is on disk"] as const;
type Ending = (typeof ENDINGS)[number];

/** Ends the sender's connection and lets it come back, maybe to another broker over the same disk. */
async function comeBack(world: FlowWorld, wire: Wire, ending: Ending): Promise<{ world: FlowWorld; wire: Wire }> {
  if (ending === "lost") wire.lose();
  const next = ending.startsWith("crash") ? await world.crash() : world;
  const again = await next.connect("sender", { version: wire.version });
  if (ending === "taken over") expect(wire.peer.closedFor).toMatch(/opened by another connection/);
  expect(again.present).toBe(true);
  return { world: next, wire: again };
}

/** What a client has heard so far of a message at QoS 2 that it sends. */
type Heard = "nothing" | "pubrec" | "pubcomp";

function sayNext(wire: Wire, heard: Heard, dup: boolean): Heard {
  if (heard === "nothing") wire.publish(2, 7, "a", { dup });
  else wire.ack("pubrel", 7);
  const said = wire.said;
  if (said.length === 0) return heard;
  // [MQTT-4.3.3-11]: a PUBREL that comes again is answered with "not found" in MQTT 5.0, and the flow is over all the same.
  expect(said).toEqual([expect.stringMatching(heard === "nothing" ? /^pubrec 7$/ : /^pubcomp 7( 0x92)?$/)]);
  return heard === "nothing" ? "pubrec" : "pubcomp";
}

const CUTS = [0, 1, 2, 3].flatMap((bits) => ENDINGS.map((ending) => ({ ending, deaf: bits & 1, step: bits >> 1 })));

describe.each([4, 5] as const)("the flow of QoS 2 from a client of version %i", (version) => {
  it.each(CUTS)(
    "brings the message once when the connection ends ($ending) at step $step, the answer unread: $deaf",
    async ({ ending, deaf, step }) => {
      let world = await gathering();
      let wire = await world.connect("sender", { version });
      let heard: Heard = "nothing";
      let cut = false;
      for (let i = 0; heard !== "pubcomp"; i++) {
        expect(i).toBeLessThan(10);
        if (i !== step) {
          heard = sayNext(wire, heard, cut);
          continue;
        }
        if (ending === "crash before anything is on disk") world.gate.hold();
        const next = sayNext(wire, heard, cut);
        if (deaf === 0) heard = next;
        cut = true;
        ({ world, wire } = await comeBack(world, wire, ending));
      }
      expect(await gathered(world)).toEqual(["a"]);
      expect(world.entries).toEqual([]);
    },
  );
});
