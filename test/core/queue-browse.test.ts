import { describe, expect, it } from "vitest";
import { compileSelector } from "../../core/selector/selector.ts";
import type { CoreBroker } from "../support/core-broker.ts";
import { browse, consume, coreWith, numbers, queueOf, settleAll, settleOne } from "../support/core-queue.ts";

function fill(core: CoreBroker, count: number, from = 0): void {
  const client = core.client();
  for (let i = from; i < from + count; i++) {
    client.send("queue:a", String(i), { durable: true, properties: { n: String(i % 10) } });
    if (i % 50 === 0) core.settle();
  }
  core.settle();
}

const places = [
  { where: "in memory", memoryBytes: 1 << 20, late: false },
  { where: "swapped out", memoryBytes: 2000, late: false },
  { where: "swapped out and slow to come back", memoryBytes: 2000, late: true },
];

describe.each(places)("a browser of a queue that is $where", ({ memoryBytes, late }) => {
  it("sees every message once and in order, is told when it has, and alters nothing", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    fill(core, 1500);
    const queue = queueOf(core, "a");
    const before = { count: queue.count, bytes: queue.bytes, delivered: queue.ledger.delivered };
    const { got } = browse(core, queue);
    core.clock.advance(10);
    expect(got.bodies).toEqual(numbers(1500));
    expect(got.ends).toBe(1);
    expect({ count: queue.count, bytes: queue.bytes, delivered: queue.ledger.delivered }).toEqual(before);
    expect(queue.memoryBytes).toBeLessThan(memoryBytes * 2);
    const consumer = consume(core, "queue:a", { settling: false });
    core.clock.advance(10);
    expect(consumer.got.bodies).toEqual(numbers(1500));
    expect(consumer.got.taken.every(({ deliveries }) => deliveries === 0)).toBe(true);
  });

  it("sees the messages that consumers hold as well", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    fill(core, 500);
    const consumer = consume(core, "queue:a", { credit: { messages: 20, bytes: 0 } });
    core.clock.advance(2000);
    const { got } = browse(core, queueOf(core, "a"));
    core.clock.advance(10);
    expect(got.bodies).toEqual(numbers(500));
    expect(consumer.got.taken.length).toBe(20);
  });

  it("does not see what came after it began, and ends all the same", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    fill(core, 500);
    const { got, subscription } = browse(core, queueOf(core, "a"), {
      settling: true,
      credit: { messages: 10, bytes: 0 },
    });
    fill(core, 500, 500);
    core.clock.advance(2000);
    expect(got.bodies).toEqual(numbers(10));
    subscription.grant(1000, 0);
    core.clock.advance(100);
    expect(got.bodies).toEqual(numbers(500));
    expect(got.ends).toBe(1);
  });

  it("goes on with what comes when it has no end", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    fill(core, 300);
    const { got } = browse(core, queueOf(core, "a"), { end: false });
    core.clock.advance(10);
    fill(core, 300, 300);
    core.clock.advance(10);
    expect(got.bodies).toEqual(numbers(600));
    expect(got.ends).toBe(0);
  });

  it("begins at a sequence", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    fill(core, 400);
    const { got } = browse(core, queueOf(core, "a"), { fromSequence: 251 });
    core.clock.advance(10);
    expect(got.bodies).toEqual(numbers(150, 250));
    expect(got.taken.map(({ delivery }) => delivery?.sequence)).toEqual(numbers(150, 251).map(Number));
    expect(got.ends).toBe(1);
  });

  it("is told at once that this was all when it begins behind the last message", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    fill(core, 400);
    const { got } = browse(core, queueOf(core, "a"), { fromSequence: 401 });
    core.clock.advance(10);
    expect([got.bodies, got.ends]).toEqual([[], 1]);
  });

  it("sees each message at most once, and all that stay, while consumers take and give back others", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    fill(core, 600);
    const { got, subscription } = browse(core, queueOf(core, "a"), {
      settling: true,
      credit: { messages: 5, bytes: 0 },
    });
    const selector = compileSelector("n = 1 OR n = 2");
    const consumer = consume(core, "queue:a", { selector, credit: { messages: 30, bytes: 0 } });
    for (let round = 0; round < 200; round++) {
      subscription.grant(7, 0);
      core.clock.advance(1);
      if (consumer.got.taken.length > 3) {
        settleOne(consumer, "accepted");
        settleOne(consumer, "failed");
        settleOne(consumer, "accepted");
      }
      core.clock.advance(1);
    }
    expect(new Set(got.bodies).size).toBe(got.bodies.length);
    expect(got.bodies).toEqual(got.bodies.toSorted((a, b) => Number(a) - Number(b)));
    const stay = numbers(600).filter((body) => !["1", "2"].includes(body.slice(-1)));
    expect(got.bodies).toEqual(expect.arrayContaining(stay));
    expect(got.ends).toBe(1);
  });

  it("ends when the queue is purged under it", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    fill(core, 400);
    const queue = queueOf(core, "a");
    const { got, subscription } = browse(core, queue, { settling: true, credit: { messages: 10, bytes: 0 } });
    core.clock.endOfTurn(() => queue.purge());
    subscription.grant(5, 0);
    core.settle();
    subscription.grant(1000, 0);
    core.clock.advance(10);
    expect(got.bodies).toEqual(numbers(got.bodies.length));
    expect(got.ends).toBe(1);
    expect(queue.count).toBe(0);
  });
});

describe("a browser", () => {
  it("sees no more than it has credit for, also when it settles nothing", async () => {
    const core = await coreWith({});
    fill(core, 30);
    const { got, subscription } = browse(core, queueOf(core, "a"), {
      settling: true,
      credit: { messages: 4, bytes: 0 },
    });
    expect(got.bodies).toEqual(numbers(4));
    subscription.grant(3, 0);
    expect(got.bodies).toEqual(numbers(7));
    expect(got.ends).toBe(0);
  });

  it("stops while its connection is full", async () => {
    const core = await coreWith({});
    const { got, subscription } = browse(core, queueOfNew(core), { end: false });
    got.room = 3;
    fill(core, 10);
    expect(got.bodies).toEqual(numbers(3));
    got.room = 100;
    subscription.ready();
    expect(got.bodies).toEqual(numbers(10));
  });

  it("sees messages in the order of their priorities, those of a priority that comes later included", async () => {
    const core = await coreWith({});
    const client = core.client();
    for (const priority of [4, 9, 0, 9]) client.send("queue:a", `${priority}`, { priority });
    const running = browse(core, queueOf(core, "a"), { end: false });
    const ending = browse(core, queueOf(core, "a"));
    expect(ending.got.bodies).toEqual(["9", "9", "4", "0"]);
    for (const priority of [2, 6]) client.send("queue:a", `${priority}`, { priority });
    expect(running.got.bodies).toEqual(["9", "9", "4", "0", "2", "6"]);
    expect(ending.got.bodies.length).toBe(4);
  });

  it("sees only what its selector wants", async () => {
    const core = await coreWith({ memoryBytes: 1000 });
    fill(core, 200);
    const { got } = browse(core, queueOf(core, "a"), { selector: compileSelector("n = 7") });
    core.clock.advance(10);
    expect(got.bodies).toEqual(numbers(20).map((tens) => `${tens === "0" ? "" : tens}7`));
    expect(got.ends).toBe(1);
  });

  it("sees nothing that has expired", async () => {
    const core = await coreWith({});
    const client = core.client();
    client.send("queue:a", "stays");
    const consumer = consume(core, "queue:a");
    client.send("queue:a", "held", { expiresAt: core.clock.now() + 100 });
    core.clock.advance(200);
    const { got } = browse(core, queueOf(core, "a"));
    expect(got.bodies).toEqual(["stays"]);
    expect(settleAll(consumer)).toEqual(["stays", "held"]);
  });

  it("sees every message of an empty queue: none", async () => {
    const core = await coreWith({});
    const { got } = browse(core, queueOfNew(core));
    expect([got.bodies, got.ends]).toEqual([[], 1]);
  });

  it("sees what is sent while consumers wait, before they have it", async () => {
    const core = await coreWith({});
    const consumer = consume(core, "queue:a", { settling: false });
    const { got } = browse(core, queueOf(core, "a"), { end: false });
    fill(core, 20);
    expect(got.bodies).toEqual(numbers(20));
    expect(consumer.got.bodies).toEqual(numbers(20));
    expect(queueOf(core, "a").count).toBe(0);
  });

  it("has no part in what others see", async () => {
    const core = await coreWith({ memoryBytes: 1000 });
    fill(core, 300);
    const queue = queueOf(core, "a");
    const credit = { messages: 3, bytes: 0 };
    const slow = browse(core, queue, { settling: true, credit });
    const quick = browse(core, queue);
    const late = browse(core, queue, { fromSequence: 201 });
    core.clock.advance(10);
    expect(quick.got.bodies).toEqual(numbers(300));
    expect(late.got.bodies).toEqual(numbers(100, 200));
    expect(slow.got.bodies).toEqual(numbers(3));
    slow.subscription.grant(1000, 0);
    core.clock.advance(10);
    expect(slow.got.bodies).toEqual(numbers(300));
  });

  it("says how often a message was delivered before", async () => {
    const core = await coreWith({});
    fill(core, 2);
    const consumer = consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } });
    settleOne(consumer, "failed");
    const { got } = browse(core, queueOf(core, "a"));
    expect(got.taken.map(({ deliveries, delivery }) => [deliveries, delivery?.deliveries])).toEqual([
      [1, 1],
      [0, 0],
    ]);
  });

  it("changes nothing when it settles what it saw", async () => {
    const core = await coreWith({});
    fill(core, 3);
    const queue = queueOf(core, "a");
    const client = core.client();
    const viewer = browse(core, queue, { settling: true });
    for (const outcome of ["accepted", "failed", "rejected"] as const) {
      client.core.settle(viewer.subscription, viewer.got.next(), outcome);
    }
    expect([queue.count, queue.ledger.consumed, queue.ledger.returned]).toEqual([3, 0, 0]);
  });

  it("looks at very many messages in several turns", async () => {
    const core = await coreWith({});
    fill(core, 10_000);
    const queue = queueOf(core, "a");
    const { got } = browse(core, queue, { selector: compileSelector("n = 0") });
    expect(got.taken.length).toBeLessThan(1000);
    core.clock.advance(10);
    expect(got.taken.length).toBe(1000);
    expect(got.ends).toBe(1);
  });

  it("leaves a queue to the short way again when it is gone", async () => {
    const core = await coreWith({});
    fill(core, 3);
    const queue = queueOf(core, "a");
    const { subscription, browser } = browse(core, queue, { end: false });
    expect(queue.browserCount).toBe(1);
    subscription.close();
    browser.close();
    expect(queue.browserCount).toBe(0);
    expect(settleAll(consume(core, "queue:a"))).toEqual(numbers(3));
  });
});

function queueOfNew(core: CoreBroker) {
  core.client().send("queue:a", "first");
  settleAll(consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } }));
  const queue = queueOf(core, "a");
  for (const { subscription } of Array.from(queue.links())) subscription.close();
  return queue;
}
