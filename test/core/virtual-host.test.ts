import { describe, expect, it } from "vitest";
import type { Access } from "../../core/access/access.ts";
import { coreBroker, parse, parsePattern, plainMessage, testStore } from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

describe("a queue that was deleted under its consumers", () => {
  it("does not take a later one of its name along when the idle ones are swept", async () => {
    const core = await coreBroker();
    const host = core.broker.host(undefined);
    const client = core.client();
    client.subscribe("queue:a");
    core.settle();
    host?.deleteQueue(parse("queue:a"));
    client.send("queue:a", "1");
    const later = client.subscribe("queue:a", { credit: { messages: 0, bytes: 0 } });
    core.clock.advance(60_000);
    expect(later.got.cancelReason).toBeUndefined();
    expect(host?.queues.get("a")?.count).toBe(1);
  });
});

describe("a consumer of queues by wildcard", () => {
  it("loses the only one that was there and gets those that come", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:a", "1");
    const { got } = client.subscribe("queue:*", { settling: false });
    core.settle();
    core.broker.host(undefined)?.deleteQueue(parse("queue:a"));
    client.send("queue:b", "2");
    core.settle();
    expect([got.cancelReason, got.bodies]).toEqual([undefined, ["1", "2"]]);
  });
});

describe("a configured queue", () => {
  it("stays after a restart, however long nobody uses it", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const host = { policies: [{ pattern: parsePattern("queue:fixed") }] };
    const first = await coreBroker({ clock, store, host });
    const client = first.client();
    client.send("queue:fixed", "1", { durable: true });
    first.settle();
    client.subscribe("queue:fixed", { settling: false });
    first.settle();
    client.core.close();
    await first.broker.close();
    const second = await coreBroker({ clock, store, host });
    second.clock.advance(100_000);
    expect(second.broker.host(undefined)?.queues.has("fixed")).toBe(true);
  });
});

describe("a temporary destination", () => {
  it.each(["queue", "topic"] as const)("is not seen by wildcards of other sessions (%s)", async (kind) => {
    const core = await coreBroker();
    const [owner, early, late] = [core.client(), core.client(), core.client()];
    const before = early.subscribe(`${kind}:**`, { settling: false });
    const own = owner.subscribe(`${kind}:temp.**`, { settling: false });
    core.settle();
    const address = owner.core.temporary(kind, "reply");
    const after = late.subscribe(`${kind}:temp.**`, { settling: false });
    core.settle();
    for (const body of ["1", "2", "3"]) early.send(`${kind}:${address.name}`, body);
    expect([before.got.bodies, own.got.bodies, after.got.bodies]).toEqual([[], ["1", "2", "3"], []]);
  });

  it("can be asked for again after there was no room", async () => {
    const core = await coreBroker({ host: { maxDestinations: 1 } });
    const client = core.client();
    client.send("queue:a", "1");
    expect(() => client.core.temporary("queue", "t")).toThrow("max_destinations");
    expect(() => client.core.temporary("queue", "t")).toThrow("max_destinations");
  });
});

describe("a composite subscription that is refused", () => {
  it("leaves no consumer behind", async () => {
    const core = await coreBroker({ host: { maxDestinations: 1 } });
    const client = core.client();
    client.send("queue:a", "1");
    expect(() => client.subscribe("queue:a topic:t queue:b")).toThrow("max_destinations");
    expect(core.broker.host(undefined)?.queues.get("a")?.consumerCount).toBe(0);
  });
});

describe("a topic's delivery that a transaction settles after its subscriber is gone", () => {
  it("is accounted for once", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { subscription, got } = client.subscribe("topic:a");
    core.settle();
    client.send("topic:a", "1");
    const transaction = client.core.begin();
    client.core.settle(subscription, got.next(), "accepted", transaction);
    subscription.close();
    transaction.commit();
    expect(subscription.feed?.stored).toBe(0);
    expect(subscription.feed?.ledger.consumed).toBe(0);
    expect(subscription.feed?.ledger.lost.get("subscriber-gone")).toBe(1);
  });
});

describe("a send to several destinations", () => {
  it("reaches none when one of them is gone and may not be made again", async () => {
    let frozen = false;
    const access: Access = { allows: (_login, action) => action !== "create" || !frozen };
    const core = await coreBroker({ broker: { access } });
    const client = core.client();
    const addresses = [parse("queue:a"), parse("queue:b")];
    const route = client.core.route(addresses);
    core.broker.host(undefined)?.deleteQueue(parse("queue:b"));
    frozen = true;
    expect(() => client.core.publish(route, plainMessage(parse("queue:a"), "1"))).toThrow("may not create the queue b");
    expect(core.broker.host(undefined)?.queues.get("a")?.count).toBe(0);
  });
});
