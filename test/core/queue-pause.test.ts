import { describe, expect, it } from "vitest";
import { browse, consume, coreWith, numbers, queueOf, settleAll, settleOne } from "../support/core-queue.ts";

describe("a paused queue", () => {
  it("takes messages, delivers none, and goes on in order", async () => {
    const core = await coreWith({});
    const consumer = consume(core, "queue:a");
    const client = core.client();
    client.send("queue:a", "0");
    const queue = queueOf(core, "a");
    queue.pause();
    expect(queue.paused).toBe(true);
    for (const body of numbers(5, 1)) client.send("queue:a", body);
    core.clock.advance(2000);
    expect(consumer.got.bodies).toEqual(["0"]);
    queue.resume();
    expect(queue.paused).toBe(false);
    expect(consumer.got.bodies).toEqual(numbers(6));
  });

  it("delivers nothing to who comes, to who gets credit, or again", async () => {
    const core = await coreWith({ redeliveryDelayMs: 10 });
    const early = consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } });
    const client = core.client();
    for (const body of numbers(3)) client.send("queue:a", body);
    const queue = queueOf(core, "a");
    queue.pause();
    const late = consume(core, "queue:a");
    settleOne(early, "failed");
    early.subscription.grant(10, 0);
    core.clock.advance(100);
    expect([...early.got.bodies, ...late.got.bodies]).toEqual([]);
    expect(queue.count).toBe(3);
    queue.resume();
    expect([...early.got.bodies, ...late.got.bodies].sort()).toEqual(numbers(3));
  });

  it("lets consumers settle what they have", async () => {
    const core = await coreWith({});
    const consumer = consume(core, "queue:a");
    const client = core.client();
    for (const body of numbers(3)) client.send("queue:a", body);
    queueOf(core, "a").pause();
    expect(settleAll(consumer)).toEqual(numbers(3));
    expect(queueOf(core, "a").count).toBe(0);
  });

  it.each([{ group: "g" }, { priority: 9 }, { durable: true }])(
    "holds for every kind of message: %o",
    async (options) => {
      const core = await coreWith({ memoryBytes: 100 });
      const consumer = consume(core, "queue:a", { settling: false });
      const client = core.client();
      client.send("queue:a", "0", options);
      queueOf(core, "a").pause();
      for (const body of numbers(50, 1)) {
        client.send("queue:a", body, options);
        core.settle();
      }
      expect(consumer.got.bodies).toEqual(["0"]);
      queueOf(core, "a").resume();
      core.clock.advance(10);
      expect(consumer.got.bodies).toEqual(numbers(51));
    },
  );

  it("goes on being browsed and walked through", async () => {
    const core = await coreWith({});
    const client = core.client();
    for (const body of numbers(3)) client.send("queue:a", body);
    const queue = queueOf(core, "a");
    queue.pause();
    const { got } = browse(core, queue, { end: false });
    client.send("queue:a", "3");
    expect(got.bodies).toEqual(numbers(4));
    const walk = queue.walk({ visit: () => "moved" });
    core.clock.advance(10);
    expect((await walk.finished).removed).toBe(4);
  });

  it("takes the next consumer's turn when the one that had it alone goes", async () => {
    const core = await coreWith({ singleActiveConsumer: true });
    const [first, second] = [consume(core, "queue:a"), consume(core, "queue:a")];
    core.client().send("queue:a", "0");
    const queue = queueOf(core, "a");
    queue.pause();
    first.subscription.close();
    expect(second.got.bodies).toEqual([]);
    queue.resume();
    expect(second.got.bodies).toEqual(["0"]);
  });
});
