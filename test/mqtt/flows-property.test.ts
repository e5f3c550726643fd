import fc from "fast-check";
import type { Packet } from "mqtt-packet";
import { expect, it } from "vitest";
import { complaints, Publishing, Reading, sharedComplaints } from "./flow-clients.ts";
import { FlowWorld, type Wire, words } from "./flow-world.ts";

const MAX_INFLIGHT = 4;

/** One step; numbers are taken modulo what there is. */
type Step =
  | { readonly do: "publish"; readonly who: number; readonly qos: 1 | 2; readonly topic: string }
  | { readonly do: "hear"; readonly who: number; readonly packets: number }
  | { readonly do: "answer"; readonly who: number; readonly which: number }
  | { readonly do: "repeat"; readonly who: number; readonly which: number }
  | { readonly do: "lose" | "return"; readonly who: number }
  | { readonly do: "round" | "hold" | "letGo" | "crash" };

const who = fc.nat(6);
const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("publish" as const),
        who,
        qos: fc.constantFrom<1 | 2>(1, 2),
        topic: fc.constantFrom("a", "b"),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({ do: fc.constant("hear" as const), who, packets: fc.integer({ min: 1, max: 4 }) }),
    },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("answer" as const), who, which: fc.nat(5) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("repeat" as const), who, which: fc.nat(5) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("lose" as const), who }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("return" as const), who }) },
    { weight: 6, arbitrary: fc.constant({ do: "round" as const }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("hold" as const, "letGo" as const, "crash" as const) }) },
  ),
  { minLength: 30, maxLength: 200, size: "max" },
) satisfies fc.Arbitrary<Step[]>;

/** Two messages by a share of which the first would have an identifier that is still in use, after a crash. */
const OVERTAKING: Step[] = [
  { do: "publish", who: 0, qos: 2, topic: "a" },
  { do: "round" },
  { do: "hold" },
  { do: "publish", who: 1, qos: 2, topic: "a" },
  { do: "publish", who: 1, qos: 2, topic: "a" },
  { do: "crash" },
  { do: "letGo" },
  { do: "round" },
  { do: "hold" },
  { do: "round" },
];

/** A client with its connection, and what has arrived there and was not looked at yet. */
class Seat {
  readonly client: Publishing | Reading;
  readonly #version: 4 | 5;
  #wire: Wire | undefined = undefined;
  #arrived: Packet[] = [];
  #greeted = false;

  constructor(client: Publishing | Reading, version: 4 | 5) {
    this.client = client;
    this.#version = version;
  }

  async connect(world: FlowWorld): Promise<void> {
    this.lose();
    const version = this.#version;
    const options = version === 5 ? { receiveMaximum: MAX_INFLIGHT } : {};
    this.#wire = await world.connecting(this.client.name, { version, ...options });
  }

  get connected(): boolean {
    return this.#wire !== undefined;
  }

  /** Handles so many of the packets that have arrived; returns how many there were. */
  hear(packets: number): number {
    if (this.#wire === undefined) return 0;
    this.#arrived.push(...this.#wire.read());
    const heard = this.#arrived.splice(0, packets);
    for (const packet of heard) {
      if (packet.cmd === "suback") continue;
      if (packet.cmd !== "connack") {
        if (!this.#greeted || packet.cmd === "disconnect") throw new Error(`${this.client.name}: ${words(packet)}`);
        this.client.handle(packet);
        continue;
      }
      this.#greeted = true;
      this.client.up(this.#wire);
    }
    return heard.length;
  }

  lose(): void {
    this.#wire?.lose();
    this.forget();
  }

  /** The broker is gone, and with it the connection. */
  forget(): void {
    this.#wire = undefined;
    this.#arrived = [];
    this.#greeted = false;
    this.client.down();
  }

  get greeted(): boolean {
    return this.#greeted;
  }

  subscribe(filter: string, qos: 1 | 2): void {
    this.#wire?.subscribe(filter, qos);
    this.hear(10);
  }
}

/** Two that publish and five that read, one of them by a share and two by another one, and a broker that may crash. */
class Play {
  readonly senders = [new Publishing("sender-1"), new Publishing("sender-2")];
  readonly sure = new Reading("sure");
  readonly plain = new Reading("plain");
  readonly alone = new Reading("alone");
  readonly group = [new Reading("left"), new Reading("right")];
  world: FlowWorld;
  readonly #seats: readonly Seat[];
  #held = false;

  constructor(world: FlowWorld, version: 4 | 5) {
    this.world = world;
    const clients = [...this.senders, this.sure, this.plain, this.alone, ...this.group];
    this.#seats = clients.map((client) => new Seat(client, version));
  }

  async begin(): Promise<void> {
    for (const seat of this.#seats) {
      await seat.connect(this.world);
      seat.hear(1);
      if (seat.client === this.sure) seat.subscribe("#", 2);
      if (seat.client === this.plain) seat.subscribe("#", 1);
      if (seat.client === this.alone) seat.subscribe("$share/g/#", 2);
      if (this.group.some((member) => member === seat.client)) seat.subscribe("$share/h/#", 2);
    }
  }

  async step(step: Step): Promise<void> {
    const seat = "who" in step ? this.#seats[step.who] : undefined;
    const client = seat?.greeted === true ? seat.client : undefined;
    switch (step.do) {
      case "publish":
        if (client instanceof Publishing && client.unfinished < 20) client.publish(step.topic, step.qos);
        return;
      case "hear":
        seat?.hear(step.packets);
        return;
      case "answer":
        if (client instanceof Reading) client.answer(step.which);
        return;
      case "repeat":
        client?.repeat(step.which);
        return;
      case "lose":
        seat?.lose();
        return;
      case "return":
        if (seat?.connected === false) await seat.connect(this.world);
        return;
      case "round":
        await this.#round();
        return;
      case "hold":
        this.#held = true;
        this.world.gate.hold();
        return;
      case "letGo":
        this.#held = false;
        this.world.gate.letGo();
        return;
      case "crash":
        for (const one of this.#seats) one.forget();
        this.world = await this.world.crash();
        if (this.#held) this.world.gate.hold();
        return;
    }
  }

  /** Everybody is there, hears something and answers something. */
  async #round(): Promise<void> {
    for (const seat of this.#seats) {
      if (!seat.connected) await seat.connect(this.world);
      seat.hear(3);
      if (seat.client instanceof Reading) seat.client.answer(0);
    }
  }

  /** Lets everything come to its end. */
  async finish(): Promise<void> {
    this.world.gate.letGo();
    for (const seat of this.#seats) if (!seat.connected) await seat.connect(this.world);
    for (let quiet = false, rounds = 0; !quiet; rounds++) {
      if (rounds > 10_000) throw new Error("It never ends");
      quiet = true;
      for (const seat of this.#seats) {
        if (seat.hear(100) > 0) quiet = false;
        for (; seat.client instanceof Reading && seat.client.open > 0; quiet = false) seat.client.answer(0);
      }
    }
  }
}

it("QoS 2 is exactly once and QoS 1 at least once, in order, whatever is lost, repeated or crashes, and nothing is left", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom<4 | 5>(4, 5), async (script, version) => {
      const play = new Play(await FlowWorld.open({ mqtt: { maxInflight: MAX_INFLIGHT } }), version);
      await play.begin();
      for (const step of script) await play.step(step);
      await play.finish();
      const { senders, sure, plain, alone, group, world } = play;
      const readers = [sure, plain, alone];
      expect(senders.map(({ unfinished }) => unfinished)).toEqual([0, 0]);
      expect(readers.flatMap((reader) => complaints(reader, reader === plain ? 1 : 2, senders))).toEqual([]);
      expect(sharedComplaints(group, senders)).toEqual([]);
      readers.push(...group);
      expect(readers.map(({ unreleased }) => unreleased)).toEqual([0, 0, 0, 0, 0]);
      expect(Math.max(...readers.map(({ mostUnderWay }) => mostUnderWay))).toBeLessThanOrEqual(MAX_INFLIGHT);
      expect(world.entries).toEqual([]);
      expect([...world.host.sessions.list()].map(({ messages }) => messages)).toEqual([0, 0, 0, 0, 0, 0, 0]);
      expect(world.core.broker.engine.memoryBytes).toBe(0);
    }),
    { numRuns: Number(process.env["DELOS_RUNS"] ?? 150), examples: [[OVERTAKING, 4]] },
  );
});
