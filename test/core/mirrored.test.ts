import { describe, expect, it } from "vitest";
import { coreBroker, parse, parsePattern, plainMessage, testStore } from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const host = { policies: [{ pattern: parsePattern("queue:m.*"), mirrored: true }] };

describe("a mirrored queue", () => {
  it("is one with the topic of its name: what is sent to either goes to both, once", async () => {
    const core = await coreBroker({ host });
    const client = core.client();
    const topic = client.subscribe("topic:m.a", { settling: false });
    const queue = client.subscribe("queue:m.a", { settling: false });
    core.settle();
    client.send("queue:m.a", "1");
    client.send("topic:m.a", "2");
    expect([topic.got.bodies, queue.got.bodies]).toEqual([
      ["1", "2"],
      ["1", "2"],
    ]);
    const made = core.broker.host(undefined);
    expect([made?.queues.get("m.a")?.ledger.received, made?.topics.get("m.a")?.ledger.received]).toEqual([2, 2]);
  });

  it("gets nothing before it exists, and from then on all, however long nobody uses it", async () => {
    const core = await coreBroker({ host });
    const client = core.client();
    client.send("topic:m.a", "before");
    client.subscribe("queue:m.a").subscription.close();
    core.clock.advance(1_000_000);
    client.send("topic:m.a", "after");
    expect(core.broker.host(undefined)?.queues.get("m.a")?.count).toBe(1);
  });

  it("is there after a restart although it was empty", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const first = await coreBroker({ clock, store, host });
    first.client().subscribe("queue:m.a").subscription.close();
    first.settle();
    await first.broker.close();
    const second = await coreBroker({ clock, store, host });
    second.client().send("topic:m.a", "1");
    expect(second.broker.host(undefined)?.queues.get("m.a")?.count).toBe(1);
  });

  it("is one with its topic from the start when it is configured by name", async () => {
    const core = await coreBroker({ host: { policies: [{ pattern: parsePattern("queue:m"), mirrored: true }] } });
    core.client().send("topic:m", "1");
    expect(core.broker.host(undefined)?.queues.get("m")?.count).toBe(1);
  });

  it("is made again by the next send after it was deleted", async () => {
    const core = await coreBroker({ host });
    const client = core.client();
    const address = parse("queue:m.a");
    const route = client.core.route([address]);
    const made = core.broker.host(undefined);
    for (const body of ["1", "2"]) {
      client.core.publish(route, plainMessage(address, body));
      expect(made?.queues.get("m.a")?.count).toBe(1);
      made?.deleteQueue(address);
    }
  });

  it("finds a repeated send once for the two of them", async () => {
    const core = await coreBroker({ host });
    const client = core.client();
    const { got } = client.subscribe("topic:m.a", { settling: false });
    core.settle();
    for (const id of ["1", "1"]) client.send("queue:m.a", id, { duplicateId: id });
    expect(got.bodies).toEqual(["1"]);
    expect(core.broker.host(undefined)?.queues.get("m.a")?.ledger.lost.get("duplicate")).toBe(1);
  });
});
