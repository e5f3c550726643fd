import { describe, expect, it } from "vitest";
import type { Access } from "../../core/access/access.ts";
import { coreBroker, parse, parsePattern, testStore } from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

describe("a virtual topic", () => {
  it("gives each group of consumers all it gets, and each message to one of the group", async () => {
    const core = await coreBroker();
    const client = core.client();
    const plain = client.subscribe("topic:VirtualTopic.Orders", { settling: false });
    const a = ["1", "2"].map(() => client.subscribe("queue:Consumer.A.VirtualTopic.Orders", { settling: false }));
    const b = client.subscribe("queue:Consumer.B.VirtualTopic.Orders", { settling: false });
    client.subscribe("queue:Consumer.A.Other", { settling: false });
    core.settle();
    for (const body of ["1", "2", "3", "4"]) client.send("topic:VirtualTopic.Orders", body);
    client.send("topic:VirtualTopic.Others", "5");
    client.send("topic:Other", "6");
    core.settle();
    expect(a.flatMap(({ got }) => got.bodies).sort()).toEqual(["1", "2", "3", "4"]);
    expect(a.map(({ got }) => got.bodies.length)).toEqual([2, 2]);
    expect(b.got.bodies).toEqual(["1", "2", "3", "4"]);
    expect(plain.got.bodies).toEqual(["1", "2", "3", "4"]);
  });

  it("keeps for a group that is away, after a restart too, however long it is away", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const first = await coreBroker({ clock, store });
    const client = first.client();
    client.subscribe("queue:Consumer.A.VirtualTopic.Orders");
    first.settle();
    client.core.close();
    await first.broker.close();
    const second = await coreBroker({ clock, store });
    second.clock.advance(1_000_000);
    second.client().send("topic:VirtualTopic.Orders", "1", { durable: true });
    const { got } = second.client().subscribe("queue:Consumer.A.VirtualTopic.Orders");
    second.settle();
    expect(got.bodies).toEqual(["1"]);
  });

  it("is called and consumed as the configuration says", async () => {
    const virtualTopics = [{ topics: parsePattern("topic:events.*"), consumers: "groups.*.of" }];
    const core = await coreBroker({ host: { virtualTopics } });
    const client = core.client();
    for (const name of ["groups.a.of.events.x", "groups.a.of.events.x.y", "Consumer.A.VirtualTopic.x"]) {
      client.subscribe(`queue:${name}`, { credit: { messages: 0, bytes: 0 } });
    }
    for (const name of ["events.x", "events.x.y", "VirtualTopic.x"]) client.send(`topic:${name}`, name);
    const host = core.broker.host(undefined);
    expect([...(host?.queues.values() ?? [])].map(({ count }) => count)).toEqual([1, 0, 0]);
  });

  it("gives nothing any more to a queue that was deleted", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.subscribe("queue:Consumer.A.VirtualTopic.Orders");
    core.settle();
    const host = core.broker.host(undefined);
    host?.deleteQueue(parse("queue:Consumer.A.VirtualTopic.Orders"));
    client.send("topic:VirtualTopic.Orders", "1");
    expect(host?.topics.get("VirtualTopic.Orders")?.ledger.lost.get("no-subscriber")).toBe(1);
  });

  it("has the sender wait while a group's queue is full", async () => {
    const policies = [{ pattern: parsePattern("queue:Consumer.**"), persistent: false, memoryBytes: 10 }];
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    client.subscribe("queue:Consumer.A.VirtualTopic.x", { credit: { messages: 0, bytes: 0 } });
    client.send("topic:VirtualTopic.x", "more than ten bytes");
    expect(client.core.blocked).toBe(true);
  });

  it("bounds the time to live in a group's queue without a change to what others get", async () => {
    const policies = [{ pattern: parsePattern("queue:Consumer.**"), maxTtlMs: 1000 }];
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    const plain = client.subscribe("topic:VirtualTopic.x", { settling: false });
    const bounded = client.subscribe("queue:Consumer.A.VirtualTopic.x", { settling: false });
    core.settle();
    client.send("topic:VirtualTopic.x", "1");
    expect(plain.got.taken[0]?.message.expiresAt).toBe(0);
    expect(bounded.got.taken[0]?.message.expiresAt).toBe(core.clock.now() + 1000);
  });

  it("takes the right to receive from it to make a queue for a group", async () => {
    const access: Access = { allows: (_login, action, kind) => !(action === "receive" && kind === "topic") };
    const core = await coreBroker({ broker: { access } });
    const client = core.client();
    expect(() => client.subscribe("queue:Consumer.A.VirtualTopic.x")).toThrow(
      "may not receive the topic VirtualTopic.x",
    );
    expect(() => client.send("queue:Consumer.A.VirtualTopic.x", "1")).toThrow("may not receive");
    client.subscribe("queue:Consumer.A.Other");
  });
});
