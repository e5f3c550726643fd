import { describe, expect, it } from "vitest";
import type { Store } from "../../core/store.ts";
import { coreBroker, parsePattern, testStore } from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

describe("a broker with little memory", () => {
  it("takes a backlog in many queues without ever holding publishers up for good", async () => {
    const memoryBytes = 1 << 20;
    const core = await coreBroker({ broker: { memoryBytes } });
    const client = core.client();
    const body = "x".repeat(1000);
    for (let i = 0; i < 100; i++) {
      for (let n = 0; n < 50; n++) client.send(`queue:q${n}`, body, { durable: true });
      core.settle();
      core.clock.advance(100);
      expect(core.broker.engine.memoryBytes).toBeLessThan(memoryBytes * 1.1);
      expect(client.core.blocked).toBe(false);
    }
    const readers = Array.from({ length: 50 }, (_, n) =>
      core.client().subscribe(`queue:q${n}`, { settling: true, credit: { messages: 1, bytes: 0 } }),
    );
    core.settle();
    expect(readers.map(({ got }) => got.taken.length)).toEqual(readers.map(() => 1));
    expect(core.broker.engine.memoryBytes).toBeLessThan(memoryBytes * 1.5);
  });

  it("opens a queue that may not store as soon as there is memory again, although nothing was consumed from it", async () => {
    const policies = [{ pattern: parsePattern("queue:live"), persistent: false }];
    const core = await coreBroker({ host: { policies }, broker: { memoryBytes: 1 << 20 } });
    const [filler, client] = [core.client(), core.client()];
    const body = "x".repeat(1000);
    const { got, subscription } = client.subscribe("queue:live");
    core.settle();
    for (let i = 0; i < 780; i++) filler.send("queue:other", body);
    for (let i = 0; !client.core.blocked && i < 100; i++) client.send("queue:live", body);
    expect(client.core.blocked).toBe(true);
    expect(got.taken.length).toBeGreaterThan(0);
    subscription.close();
    core.broker.host(undefined)?.queues.get("other")?.purge();
    core.clock.advance(2000);
    expect(client.unblocks).toBe(1);
  });
});

describe("messages that the store had set aside", () => {
  it("are missed as damaged as soon as the last one that a consumer holds is settled", async () => {
    const clock = new VirtualClock();
    const inner = testStore(clock);
    let damaged = false;
    const load: Store["load"] = (key, from, to, maxBytes, done) =>
      inner.load(key, from, to, maxBytes, (loaded) => done(damaged ? { entries: [], next: undefined } : loaded));
    const store = new Proxy<Store>(inner, {
      get(target, name) {
        const value: unknown = name === "load" ? load : Reflect.get(target, name, target);
        return typeof value === "function" && name !== "load" ? value.bind(target) : value;
      },
    });
    const policies = [{ pattern: parsePattern("queue:**"), memoryBytes: 1000, autoDeleteAfterMs: 0 }];
    const core = await coreBroker({ clock, store, host: { policies } });
    const client = core.client();
    const { got, subscription } = client.subscribe("queue:a", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    for (let i = 0; i < 200; i++) client.send("queue:a", "x".repeat(20), { durable: true });
    core.settle();
    damaged = true;
    subscription.autoRefill = false;
    subscription.grant(1000, 0);
    core.settle();
    while (got.taken.length > 0) client.core.settle(subscription, got.next(), "accepted");
    const queue = core.broker.host(undefined)?.queues.get("a");
    expect(queue?.count).toBe(0);
    expect(queue?.ledger.lost.get("damaged")).toBeGreaterThan(0);
  });
});
