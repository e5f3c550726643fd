import { describe, expect, it } from "vitest";
import { coreBroker, parse, testStore } from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

describe("a paused queue", () => {
  it("takes messages and delivers none until it is resumed", async () => {
    const core = await coreBroker();
    const client = core.client();
    const host = core.broker.host(undefined);
    const { got } = client.subscribe("queue:a", { settling: false });
    core.settle();
    host?.pauseQueue(parse("queue:a"));
    client.send("queue:a", "1");
    core.settle();
    expect(got.bodies).toEqual([]);
    host?.resumeQueue(parse("queue:a"));
    core.settle();
    expect(got.bodies).toEqual(["1"]);
  });

  it("is still paused after a restart, empty as it is, and a durable subscription too", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const first = await coreBroker({ clock, store });
    first.client().subscribe("queue:a");
    first.client().subscribe("queue:b");
    first.client().subscribe("topic:t", { durable: "d" });
    const before = first.broker.host(undefined);
    for (const name of ["queue:a", "queue:b"]) before?.pauseQueue(parse(name));
    before?.resumeQueue(parse("queue:b"));
    before?.pauseDurable("d");
    first.settle();
    await first.broker.close();
    const second = await coreBroker({ clock, store });
    second.clock.advance(20_000);
    const host = second.broker.host(undefined);
    const paused = [host?.queues.get("a"), host?.queues.get("b"), host?.durables.get("d")?.queue];
    expect(paused.map((queue) => queue?.paused)).toEqual([true, false, true]);
    second.clock.advance(100_000);
    expect([host?.queues.has("a"), host?.queues.has("b")]).toEqual([true, false]);
    host?.resumeDurable("d");
    expect(host?.durables.get("d")?.queue.paused).toBe(false);
  });

  it("that is deleted leaves nothing behind", async () => {
    const core = await coreBroker();
    const client = core.client();
    const host = core.broker.host(undefined);
    client.subscribe("queue:a");
    client.subscribe("topic:t", { durable: "d" });
    host?.pauseQueue(parse("queue:a"));
    host?.pauseDurable("d");
    host?.deleteQueue(parse("queue:a"));
    client.core.deleteDurable("d");
    expect([...core.store.keys("paused")]).toEqual([]);
    client.send("queue:a", "1");
    expect(host?.queues.get("a")?.paused).toBe(false);
  });

  it("has to be there", async () => {
    const core = await coreBroker();
    expect(() => core.broker.host(undefined)?.pauseQueue(parse("queue:a"))).toThrow("There is no queue a");
    expect(() => core.broker.host(undefined)?.resumeDurable("d")).toThrow("There is no durable subscription d");
  });
});
