import { describe, expect, it } from "vitest";
import { type CoreBroker, coreBroker, parsePattern, testStore } from "../support/core-broker.ts";
import { browse, consume, coreWith, numbers, queueOf, settleAll, settleOne } from "../support/core-queue.ts";
import { lateStore } from "../support/store-late.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** Sends `count` rounds of a message for each key. */
function send(core: CoreBroker, keys: readonly string[], count = 1, from = 0): void {
  const client = core.client();
  for (let i = from; i < from + count; i++) {
    for (const key of keys) client.send("queue:a", `${key}${i}`, { durable: true, properties: { key } });
    core.settle();
  }
}

const policy = { lastValueKey: "key" };

describe("a queue that keeps the last value of each key", () => {
  it("keeps one message for each, in the order of the last ones", async () => {
    const core = await coreWith(policy);
    send(core, ["a", "b", "c"], 5);
    send(core, ["a"], 1, 9);
    expect(queueOf(core, "a").count).toBe(3);
    expect(settleAll(consume(core, "queue:a"))).toEqual(["b4", "c4", "a9"]);
    expect(Object.fromEntries(queueOf(core, "a").ledger.lost)).toEqual({ replaced: 13 });
  });

  it("keeps every message that has no key", async () => {
    const core = await coreWith(policy);
    const client = core.client();
    for (const body of numbers(3)) client.send("queue:a", body);
    expect(settleAll(consume(core, "queue:a"))).toEqual(numbers(3));
  });

  it.each([false, true])("replaces what is only in the store (late: %s)", async (late) => {
    const core = await coreWith({ ...policy, memoryBytes: 500 }, { late });
    const keys = numbers(200).map((n) => `k${n}.`);
    send(core, keys, 3);
    const queue = queueOf(core, "a");
    core.clock.advance(2000);
    expect(queue.count).toBe(200);
    expect(queue.memoryBytes).toBeLessThan(1000);
    const consumer = consume(core, "queue:a");
    core.clock.advance(10);
    expect(settleAll(consumer)).toEqual(keys.map((key) => `${key}2`));
  });

  it("leaves a consumer what it has, and forgets it when it comes back", async () => {
    const core = await coreWith(policy);
    const consumer = consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } });
    send(core, ["a"], 3);
    expect(queueOf(core, "a").count).toBe(2);
    settleOne(consumer, "failed");
    expect(consumer.got.bodies).toEqual(["a2"]);
    expect(queueOf(core, "a").count).toBe(1);
  });

  it("lets a consumer have what came back when nothing newer came", async () => {
    const core = await coreWith(policy);
    const consumer = consume(core, "queue:a");
    send(core, ["a", "b"]);
    settleOne(consumer, "failed");
    expect(consumer.got.bodies).toEqual(["b0", "a0"]);
    settleAll(consumer);
    send(core, ["a"], 1, 1);
    expect(consumer.got.bodies).toEqual(["a1"]);
  });

  it("replaces what rests until its next delivery", async () => {
    const core = await coreWith({ ...policy, redeliveryDelayMs: 1000 });
    const consumer = consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } });
    send(core, ["a"]);
    settleOne(consumer, "failed");
    consumer.subscription.setCredit(0, 0);
    send(core, ["a"], 1, 1);
    expect([queueOf(core, "a").count, queueOf(core, "a").resting]).toEqual([1, 0]);
    consumer.subscription.setCredit(5, 0);
    core.clock.advance(2000);
    expect(consumer.got.bodies).toEqual(["a1"]);
  });

  it("replaces across priorities", async () => {
    const core = await coreWith(policy);
    const client = core.client();
    client.send("queue:a", "high", { priority: 9, properties: { key: "a" } });
    client.send("queue:a", "low", { priority: 0, properties: { key: "a" } });
    expect(settleAll(consume(core, "queue:a"))).toEqual(["low"]);
  });

  it.each([false, true])("knows all of them after a restart (late: %s)", async (late) => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const host = { policies: [{ pattern: parsePattern("queue:a"), ...policy, memoryBytes: 500 }] };
    const first = await coreBroker({ clock, store, host });
    const keys = numbers(2000).map((n) => `k${n}.`);
    send(first, keys);
    await first.broker.close();
    const second = await coreBroker({ clock, store: late ? lateStore(store, clock) : store, host });
    second.clock.advance(100);
    send(second, keys.slice(0, 1000), 1, 1);
    expect(queueOf(second, "a").count).toBe(2000);
    const consumer = consume(second, "queue:a", { settling: false });
    second.clock.advance(100);
    expect(consumer.got.bodies).toEqual([
      ...keys.slice(1000).map((key) => `${key}0`),
      ...keys.slice(0, 1000).map((key) => `${key}1`),
    ]);
  });

  it("has but one of each after a restart, although a consumer held an older one", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const host = { policies: [{ pattern: parsePattern("queue:a"), ...policy }] };
    const first = await coreBroker({ clock, store, host });
    consume(first, "queue:a", { credit: { messages: 1, bytes: 0 } });
    send(first, ["a", "b"], 2);
    expect(queueOf(first, "a").count).toBe(3);
    await first.broker.close();
    const second = await coreBroker({ clock, store, host });
    expect(queueOf(second, "a").count).toBe(2);
    expect(settleAll(consume(second, "queue:a"))).toEqual(["a1", "b1"]);
  });

  it("knows what is held after a purge", async () => {
    const core = await coreWith(policy);
    const consumer = consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } });
    send(core, ["a", "b"]);
    expect(queueOf(core, "a").purge()).toBe(1);
    send(core, ["a"], 1, 1);
    settleOne(consumer, "failed");
    expect(consumer.got.bodies).toEqual(["a1"]);
    expect(queueOf(core, "a").count).toBe(1);
  });

  it.each(["drop-head", "drop-tail", "reject"] as const)(
    "has room for what replaces when it is full (%s)",
    async (full) => {
      const core = await coreWith({ ...policy, maxMessages: 3, full });
      send(core, ["a", "b", "c"]);
      send(core, ["c", "a"], 1, 1);
      expect(settleAll(consume(core, "queue:a"))).toEqual(["b0", "c1", "a1"]);
      expect(Object.fromEntries(queueOf(core, "a").ledger.lost)).toEqual({ replaced: 2 });
    },
  );

  it("drops the oldest for a key that is new, and forgets it", async () => {
    const core = await coreWith({ ...policy, maxMessages: 2, full: "drop-head" });
    send(core, ["a", "b", "c", "a"]);
    expect(settleAll(consume(core, "queue:a"))).toEqual(["c0", "a0"]);
    expect(Object.fromEntries(queueOf(core, "a").ledger.lost)).toEqual({ "dropped-oldest": 2 });
  });

  it("forgets a key whose message was consumed, expired or taken out", async () => {
    const core = await coreWith(policy);
    const client = core.client();
    client.send("queue:a", "dies", { properties: { key: "a" }, expiresAt: core.clock.now() + 100 });
    core.clock.advance(3000);
    send(core, ["a"]);
    const walk = queueOf(core, "a").walk({ visit: () => "moved" });
    core.clock.advance(10);
    await walk.finished;
    send(core, ["a"], 1, 1);
    settleAll(consume(core, "queue:a"));
    expect(Object.fromEntries(queueOf(core, "a").ledger.lost)).toEqual({ expired: 1, moved: 1 });
  });

  it("is browsed and walked through in bounded memory", async () => {
    const core = await coreWith({ ...policy, memoryBytes: 2000 });
    const keys = numbers(3000).map((n) => `k${n}.`);
    send(core, keys);
    core.clock.advance(2000);
    const queue = queueOf(core, "a");
    let most = 0;
    const walk = queue.walk({
      visit: () => {
        most = Math.max(most, queue.memoryBytes);
        return undefined;
      },
    });
    core.clock.advance(100);
    expect((await walk.finished).seen).toBe(3000);
    expect(most).toBeLessThan(4000);
    const { got } = browse(core, queue);
    core.clock.advance(10);
    expect(got.bodies).toEqual(keys.map((key) => `${key}0`));
    expect(queue.memoryBytes).toBeLessThan(4000);
  });
});
