import { describe, expect, it } from "vitest";
import { compileSelector } from "../../core/selector/selector.ts";
import { coreBroker, parsePattern, testStore } from "../support/core-broker.ts";
import { consume, coreWith, numbers, queueOf, settleAll, settleOne } from "../support/core-queue.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** Where `priority:number` belongs. */
function placeOf(body: string): number {
  const [priority, number] = body.split(":");
  return Number(number) - 1000 * Number(priority);
}

describe("priorities of messages", () => {
  it("are served from high to low, in order within each", async () => {
    const core = await coreWith({});
    const client = core.client();
    for (let i = 0; i < 100; i++) client.send("queue:a", `${(i * 7) % 10}:${i}`, { priority: (i * 7) % 10 });
    const bodies = settleAll(consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } }));
    expect(bodies).toEqual(bodies.toSorted((a, b) => placeOf(a) - placeOf(b)));
    expect(bodies.length).toBe(100);
  });

  it("let an important message overtake those that wait, not one that a consumer has", async () => {
    const core = await coreWith({});
    const consumer = consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } });
    const client = core.client();
    for (const body of ["1", "2", "3"]) client.send("queue:a", body);
    client.send("queue:a", "important", { priority: 9 });
    client.send("queue:a", "idle", { priority: 0 });
    expect(settleAll(consumer)).toEqual(["1", "important", "2", "3", "idle"]);
  });

  it("are all one where the policy says so", async () => {
    const core = await coreWith({ priorities: false });
    const client = core.client();
    for (const priority of [4, 9, 0, 7]) client.send("queue:a", String(priority), { priority });
    expect(settleAll(consume(core, "queue:a"))).toEqual(["4", "9", "0", "7"]);
  });

  it("keep their place when messages come back", async () => {
    const core = await coreWith({});
    const consumer = consume(core, "queue:a", { credit: { messages: 3, bytes: 0 } });
    const client = core.client();
    for (const priority of [1, 5, 9]) client.send("queue:a", String(priority), { priority });
    client.send("queue:a", "8", { priority: 8 });
    expect(consumer.got.bodies).toEqual(["1", "5", "9"]);
    consumer.subscription.close();
    expect(settleAll(consume(core, "queue:a"))).toEqual(["9", "8", "5", "1"]);
  });

  it.each([true, false])("hold for what is only in the store (late: %s)", async (late) => {
    const core = await coreWith({ memoryBytes: 500 }, { late });
    const client = core.client();
    for (let i = 0; i < 600; i++) {
      client.send("queue:a", String(i), { durable: true, priority: i % 3 === 0 ? 8 : 2 });
      if (i % 20 === 0) core.settle();
    }
    core.settle();
    const consumer = consume(core, "queue:a", { settling: false });
    core.clock.advance(10);
    const high = numbers(600).filter((body) => Number(body) % 3 === 0);
    const low = numbers(600).filter((body) => Number(body) % 3 !== 0);
    expect(consumer.got.bodies).toEqual([...high, ...low]);
  });

  it("let a consumer that wants nothing important have the rest", async () => {
    const core = await coreWith({});
    const client = core.client();
    for (let i = 0; i < 20; i++) {
      client.send("queue:a", String(i), { priority: i % 2 === 0 ? 9 : 0, properties: { n: String(i % 2) } });
    }
    expect(settleAll(consume(core, "queue:a", { selector: compileSelector("n = 1") })).length).toBe(10);
    expect(settleAll(consume(core, "queue:a")).length).toBe(10);
  });

  it("are served in turn to equal consumers", async () => {
    const core = await coreWith({});
    const consumers = [consume(core, "queue:a"), consume(core, "queue:a"), consume(core, "queue:a")];
    const client = core.client();
    for (let i = 0; i < 30; i++) client.send("queue:a", String(i), { priority: i % 10 });
    expect(consumers.map(({ got }) => got.taken.length)).toEqual([10, 10, 10]);
  });

  it.each([true, false])(
    "are purged, the held ones kept in their places (priorities count: %s)",
    async (priorities) => {
      const core = await coreWith({ priorities });
      const consumer = consume(core, "queue:a", { credit: { messages: 2, bytes: 0 } });
      const client = core.client();
      for (const priority of [3, 8, 3, 8]) client.send("queue:a", String(priority), { durable: true, priority });
      core.settle();
      expect(queueOf(core, "a").purge()).toBe(2);
      settleOne(consumer, "failed");
      expect(queueOf(core, "a").count).toBe(2);
      consumer.subscription.close();
      expect(settleAll(consume(core, "queue:a"))).toEqual(priorities ? ["8", "3"] : ["3", "8"]);
    },
  );

  it("survive a restart", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const host = { policies: [{ pattern: parsePattern("queue:**") }] };
    const first = await coreBroker({ clock, store, host });
    for (let i = 0; i < 30; i++) first.client().send("queue:a", String(i), { durable: true, priority: i % 10 });
    first.settle();
    await first.broker.close();
    const second = await coreBroker({ clock, store, host });
    second.client().send("queue:a", "30", { priority: 9 });
    const consumer = consume(second, "queue:a");
    expect(settleAll(consumer)).toEqual([
      "9",
      "19",
      "29",
      "30",
      ...[8, 7, 6, 5, 4, 3, 2, 1, 0].flatMap((priority) => [0, 10, 20].map((tens) => String(tens + priority))),
    ]);
    expect(queueOf(second, "a").count).toBe(0);
  });

  it("expire each on its own", async () => {
    const core = await coreWith({ memoryBytes: 200 });
    const client = core.client();
    const expiresAt = core.clock.now() + 1000;
    for (let i = 0; i < 100; i++) {
      client.send("queue:a", String(i), {
        durable: true,
        priority: i % 2 === 0 ? 9 : 0,
        expiresAt: i < 50 ? expiresAt : 0,
      });
      core.settle();
    }
    core.clock.advance(5000);
    expect(queueOf(core, "a").count).toBe(50);
    expect(settleAll(consume(core, "queue:a")).slice(0, 2)).toEqual(["50", "52"]);
  });
});
