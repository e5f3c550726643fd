import { describe, expect, it } from "vitest";
import { compileSelector } from "../../core/selector/selector.ts";
import type { CoreBroker } from "../support/core-broker.ts";
import { consume, coreWith, numbers, queueOf, settleAll, settleOne } from "../support/core-queue.ts";

function send(core: CoreBroker, count: number, from = 0): void {
  const client = core.client();
  for (let i = from; i < from + count; i++) client.send("queue:a", String(i));
  core.settle();
}

describe("an exclusive consumer", () => {
  it("has the queue alone from when it comes until it goes", async () => {
    const core = await coreWith({});
    const ordinary = consume(core, "queue:a");
    send(core, 2);
    const exclusive = consume(core, "queue:a", { exclusive: true });
    send(core, 3, 2);
    expect(ordinary.got.bodies).toEqual(["0", "1"]);
    expect(exclusive.got.bodies).toEqual(["2", "3", "4"]);
    expect(ordinary.subscription.waitingOn).toBe("standby");
    exclusive.subscription.close();
    expect(ordinary.got.bodies).toEqual(numbers(5));
    expect(ordinary.subscription.waitingOn).toBe("producer");
  });

  it("gets what those before it give back", async () => {
    const core = await coreWith({});
    const ordinary = consume(core, "queue:a");
    send(core, 2);
    const exclusive = consume(core, "queue:a", { exclusive: true });
    settleOne(ordinary, "failed");
    expect(exclusive.got.bodies).toEqual(["0"]);
    settleOne(ordinary, "accepted");
    ordinary.subscription.close();
    expect(exclusive.got.bodies).toEqual(["0"]);
  });

  it("is followed by the next exclusive one, of the highest priority and then the first that came", async () => {
    const core = await coreWith({});
    const options = [0, 1, 3, 3, 2].map((priority) => ({ priority, exclusive: true }));
    const consumers = options.map((option) => consume(core, "queue:a", option));
    const ordinary = consume(core, "queue:a", { priority: 100 });
    const order: number[] = [];
    for (let i = 0; i < 5; i++) {
      send(core, 1, i);
      const index = consumers.findIndex(({ got }) => got.taken.length > 0);
      order.push(index);
      const active = consumers[index];
      if (active === undefined) break;
      settleAll(active);
      active.subscription.close();
    }
    expect(order).toEqual([0, 2, 3, 4, 1]);
    send(core, 1, 5);
    expect(ordinary.got.bodies).toEqual(["5"]);
  });

  it("leaves to nobody what it does not want", async () => {
    const core = await coreWith({});
    const ordinary = consume(core, "queue:a");
    const exclusive = consume(core, "queue:a", { exclusive: true, selector: compileSelector("n = 1") });
    const client = core.client();
    for (const n of ["1", "2", "1"]) client.send("queue:a", n, { properties: { n } });
    expect(exclusive.got.bodies).toEqual(["1", "1"]);
    expect(ordinary.got.bodies).toEqual([]);
    exclusive.subscription.close();
    expect(ordinary.got.bodies).toEqual(["1", "2", "1"]);
  });

  it("goes with all others of its client, and leaves the queue to everybody", async () => {
    const core = await coreWith({});
    const ordinary = consume(core, "queue:a");
    const client = core.client();
    const exclusive = [0, 1, 2].map(() => consume(core, "queue:a", { exclusive: true }, client));
    send(core, 4);
    expect(exclusive.map(({ got }) => got.taken.length)).toEqual([4, 0, 0]);
    client.core.close();
    core.settle();
    expect(ordinary.got.bodies).toEqual(numbers(4));
    expect(exclusive.map(({ got }) => got.taken.length)).toEqual([4, 0, 0]);
  });

  it("on standby may leave without a trace", async () => {
    const core = await coreWith({});
    const [first, second] = [
      consume(core, "queue:a", { exclusive: true }),
      consume(core, "queue:a", { exclusive: true }),
    ];
    second.subscription.close();
    send(core, 2);
    expect(first.got.bodies).toEqual(["0", "1"]);
    first.subscription.close();
    expect(settleAll(consume(core, "queue:a"))).toEqual(["0", "1"]);
  });
});

describe("a queue with a single active consumer", () => {
  it("gives everything to one until it goes, then all that it had to the next, in order", async () => {
    const core = await coreWith({ singleActiveConsumer: true });
    const consumers = [consume(core, "queue:a"), consume(core, "queue:a"), consume(core, "queue:a")] as const;
    send(core, 6);
    expect(consumers.map(({ got }) => got.taken.length)).toEqual([6, 0, 0]);
    settleOne(consumers[0], "accepted");
    consumers[0].client.core.close();
    core.settle();
    expect(consumers[1].got.bodies).toEqual(numbers(5, 1));
    expect(consumers[1].got.taken.map(({ deliveries }) => deliveries)).toEqual([1, 1, 1, 1, 1]);
    consumers[1].subscription.close();
    expect(consumers[2].got.bodies).toEqual(numbers(5, 1));
  });

  it("gives nothing to others while the active one has no credit", async () => {
    const core = await coreWith({ singleActiveConsumer: true });
    const active = consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } });
    const other = consume(core, "queue:a");
    send(core, 5);
    expect([active.got.taken.length, other.got.taken.length]).toEqual([1, 0]);
    expect(settleAll(active)).toEqual(numbers(5));
  });

  it("lets no newcomer push the active one aside, whatever its priority", async () => {
    const core = await coreWith({ singleActiveConsumer: true });
    const active = consume(core, "queue:a");
    const high = consume(core, "queue:a", { priority: 9 });
    const exclusive = consume(core, "queue:a", { exclusive: true });
    send(core, 3);
    expect([active, high, exclusive].map(({ got }) => got.taken.length)).toEqual([3, 0, 0]);
    active.subscription.close();
    expect([high, exclusive].map(({ got }) => got.taken.length)).toEqual([0, 3]);
    exclusive.subscription.close();
    expect(high.got.taken.length).toBe(3);
  });

  it("hands on quickly among very many that come and go", async () => {
    const core = await coreWith({ singleActiveConsumer: true });
    send(core, 10);
    const consumers = Array.from({ length: 2000 }, () =>
      consume(core, "queue:a", { credit: { messages: 3, bytes: 0 } }),
    );
    for (const { subscription } of consumers) subscription.close();
    expect(consumers.every(({ got }) => got.bodies.join() === "0,1,2")).toBe(true);
    expect(queueOf(core, "a").consumerCount).toBe(0);
  });

  it("is left quickly by very many consumers of one client", async () => {
    const core = await coreWith({ singleActiveConsumer: true });
    send(core, 10);
    const client = core.client();
    for (let i = 0; i < 20_000; i++) client.subscribe("queue:a");
    core.settle();
    client.core.close();
    core.settle();
    expect(queueOf(core, "a").consumerCount).toBe(0);
    expect(settleAll(consume(core, "queue:a"))).toEqual(numbers(10));
  });
});

describe("consumers of different priorities", () => {
  it("get what those before them have no credit for", async () => {
    const core = await coreWith({});
    const low = consume(core, "queue:a", { priority: -1 });
    const high = consume(core, "queue:a", { priority: 5, credit: { messages: 2, bytes: 0 } });
    const middle = consume(core, "queue:a", { credit: { messages: 3, bytes: 0 } });
    send(core, 7);
    expect([high, middle, low].map(({ got }) => got.bodies)).toEqual([
      ["0", "1"],
      ["2", "3", "4"],
      ["5", "6"],
    ]);
    settleOne(high, "accepted");
    send(core, 2, 7);
    expect(high.got.bodies).toEqual(["1", "7"]);
    expect(low.got.bodies).toEqual(["5", "6", "8"]);
  });

  it("take turns where they are equal", async () => {
    const core = await coreWith({});
    const high = [consume(core, "queue:a", { priority: 1 }), consume(core, "queue:a", { priority: 1 })];
    const low = consume(core, "queue:a");
    send(core, 10);
    expect(high.map(({ got }) => got.taken.length)).toEqual([5, 5]);
    expect(low.got.taken).toEqual([]);
  });

  it("leave to lower ones what they do not want", async () => {
    const core = await coreWith({});
    const high = consume(core, "queue:a", { priority: 1, selector: compileSelector("n = 1") });
    const low = consume(core, "queue:a");
    const client = core.client();
    for (const n of ["1", "2", "1", "3"]) client.send("queue:a", n, { properties: { n } });
    expect(high.got.bodies).toEqual(["1", "1"]);
    expect(low.got.bodies).toEqual(["2", "3"]);
  });

  it("count for a backlog as for what comes, swapped out or not", async () => {
    const core = await coreWith({ memoryBytes: 300 });
    const client = core.client();
    for (let i = 0; i < 300; i++) {
      client.send("queue:a", String(i), { durable: true });
      core.settle();
    }
    const high = client.subscribe("queue:a", { priority: 1, credit: { messages: 200, bytes: 0 } });
    const low = client.subscribe("queue:a");
    core.settle();
    core.clock.advance(10);
    expect(high.got.bodies).toEqual(numbers(200));
    expect(low.got.bodies).toEqual(numbers(100, 200));
  });

  it("get back first what they failed to handle, while they have credit", async () => {
    const core = await coreWith({});
    const high = consume(core, "queue:a", { priority: 1 });
    const low = consume(core, "queue:a");
    send(core, 1);
    settleOne(high, "failed");
    expect(high.got.taken.map(({ deliveries }) => deliveries)).toEqual([1]);
    high.subscription.close();
    expect(low.got.taken.map(({ deliveries }) => deliveries)).toEqual([2]);
  });
});

describe("a queue that prefers who was attached first", () => {
  it("gives to the next only what those before have no credit for", async () => {
    const core = await coreWith({ distribution: "first-attached" });
    const credit = { messages: 2, bytes: 0 };
    const consumers = [1, 2, 3].map(() => consume(core, "queue:a", { credit }));
    send(core, 5);
    expect(consumers.map(({ got }) => got.bodies)).toEqual([["0", "1"], ["2", "3"], ["4"]]);
    const [first, second, third] = consumers;
    if (first === undefined || second === undefined || third === undefined) return expect.fail();
    settleOne(second, "accepted");
    settleOne(first, "accepted");
    send(core, 2, 5);
    expect(consumers.map(({ got }) => got.bodies)).toEqual([["1", "5"], ["3", "6"], ["4"]]);
    first.subscription.close();
    expect(third.got.bodies).toEqual(["4", "1"]);
    settleOne(second, "accepted");
    expect(second.got.bodies).toEqual(["6", "5"]);
  });
});
