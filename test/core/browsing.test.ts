import { describe, expect, it } from "vitest";
import type { Access } from "../../core/access/access.ts";
import { Collector, coreBroker, parse, parsePattern } from "../support/core-broker.ts";

const toEnd = { end: true, fromSequence: 0 };
const onward = { end: false, fromSequence: 0 };

class BrowsingCollector extends Collector {
  ends = 0;

  exhausted(): void {
    this.ends++;
  }
}

describe("a browser", () => {
  it("of queues by wildcard sees what each holds, to the end, and takes nothing", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (const name of ["a.1", "a.2", "b"]) client.send(`queue:${name}`, name);
    const consumer = new BrowsingCollector();
    client.subscribe("queue:a.*", { browse: toEnd, consumer });
    core.settle();
    client.send("queue:a.3", "late");
    core.settle();
    expect(consumer.bodies.sort()).toEqual(["a.1", "a.2"]);
    expect(consumer.ends).toBe(1);
    const queues = core.broker.host(undefined)?.queues;
    expect([queues?.get("a.1")?.count, queues?.get("a.3")?.browserCount]).toEqual([1, 0]);
  });

  it("without an end sees queues and messages that come later", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { got } = client.subscribe("queue:**", { browse: onward });
    core.settle();
    for (const body of ["1", "2"]) client.send("queue:a", body);
    core.settle();
    expect(got.bodies).toEqual(["1", "2"]);
  });

  it("takes the right to receive and not the one to consume", async () => {
    const access: Access = { allows: (_login, action) => action !== "consume" };
    const core = await coreBroker({ broker: { access } });
    const client = core.client();
    client.send("queue:a", "1");
    expect(() => client.subscribe("queue:a")).toThrow("may not consume");
    const { got } = client.subscribe("queue:a", { browse: toEnd });
    core.settle();
    expect(got.bodies).toEqual(["1"]);
  });

  it("of a topic is refused", async () => {
    const core = await coreBroker();
    expect(() => core.client().subscribe("topic:a", { browse: toEnd })).toThrow("a is a topic, which holds nothing");
  });

  it.each(["durable", "attachDurable"] as const)("sees what a durable subscription holds (%s)", async (by) => {
    const core = await coreBroker();
    const client = core.client();
    client.subscribe("topic:t", { durable: "d" }).subscription.close();
    client.send("topic:t", "1");
    const { got } = client.subscribe(by === "durable" ? "topic:other" : "", { [by]: "d", browse: toEnd });
    core.settle();
    const durable = core.broker.host(undefined)?.durables.get("d");
    expect(got.bodies).toEqual(["1"]);
    expect(durable?.patterns.map(({ text }) => text)).toEqual(["t"]);
    expect(() => client.subscribe("topic:t", { durable: "none", browse: toEnd })).toThrow(
      "no durable subscription none",
    );
  });

  it("is told that its queue was deleted, and at the end of what is left of several", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (const body of ["1", "2"]) client.send("queue:a", body);
    const one = client.subscribe("queue:a", { browse: onward });
    const several = new BrowsingCollector();
    client.subscribe("queue:b queue:a", { browse: toEnd, consumer: several, credit: { messages: 1, bytes: 0 } });
    core.settle();
    expect([several.bodies, several.ends]).toEqual([["1"], 0]);
    core.broker.host(undefined)?.deleteQueue(parse("queue:a"));
    expect(one.got.cancelReason).toBe("the queue a was deleted");
    expect([several.cancelReason, several.ends]).toEqual([undefined, 1]);
  });

  it("keeps an empty queue from being deleted until it goes", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { subscription } = client.subscribe("queue:a", { browse: onward });
    core.clock.advance(100_000);
    expect(core.broker.host(undefined)?.queues.has("a")).toBe(true);
    subscription.close();
    core.clock.advance(100_000);
    expect(core.broker.host(undefined)?.queues.has("a")).toBe(false);
  });
});

describe("a queue that gives nothing away", () => {
  it("shows everything to every consumer, whatever they settle", async () => {
    const policies = [{ pattern: parsePattern("queue:state"), nonDestructive: true }];
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    client.send("queue:state", "1");
    const first = client.subscribe("queue:state");
    const second = client.subscribe("queue:state", { settling: false });
    core.settle();
    client.core.settle(first.subscription, first.got.next(), "accepted");
    client.send("queue:state", "2");
    core.settle();
    const third = client.subscribe("queue:state");
    core.settle();
    expect([first.got.bodies, second.got.bodies, third.got.bodies]).toEqual([["2"], ["1", "2"], ["1", "2"]]);
    expect(core.broker.host(undefined)?.queues.get("state")?.count).toBe(2);
  });
});
