import { describe, expect, it } from "vitest";
import { coreBroker, parsePattern } from "../support/core-broker.ts";

const policies = [{ pattern: parsePattern("queue:**"), memoryBytes: 2000, autoDeleteAfterMs: 0 }];

describe("what expires in the store", () => {
  it("expires when there is more of it than one sweep takes, although memory is trimmed in between", async () => {
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    const expiresAt = core.clock.now() + 10_000;
    for (let i = 0; i < 6000; i++) {
      client.send("queue:a", String(i), { durable: true, expiresAt });
      if (i % 100 === 0) core.settle();
    }
    core.clock.advance(30_000);
    expect(core.broker.host(undefined)?.queues.get("a")?.count).toBe(0);
  });

  it("expires on both sides of what a consumer holds", async () => {
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    const expiresAt = core.clock.now() + 10_000;
    const first = client.subscribe("queue:a", { credit: { messages: 250, bytes: 0 } });
    core.settle();
    for (let i = 0; i < 500; i++) {
      client.send("queue:a", String(i).padStart(20), { durable: true, expiresAt });
      if (i % 50 === 0) core.settle();
    }
    first.subscription.autoRefill = false;
    for (let i = 0; i < 250; i++) {
      const delivery = first.got.next();
      if (i % 20 !== 0) client.core.settle(first.subscription, delivery, "released");
    }
    core.clock.advance(30_000);
    expect(core.broker.host(undefined)?.queues.get("a")?.count).toBe(13);
    client.core.close();
    expect(core.broker.host(undefined)?.queues.get("a")?.count).toBe(0);
  });
});

describe("a delivery that comes back after it expired", () => {
  it("expires although its body had left memory", async () => {
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    client.subscribe("queue:a", { credit: { messages: 1000, bytes: 0 } });
    core.settle();
    for (let i = 0; i < 500; i++) {
      client.send("queue:a", String(i).padStart(20), { durable: true, expiresAt: core.clock.now() + 10_000 });
      if (i % 50 === 0) core.settle();
    }
    core.clock.advance(30_000);
    const queue = core.broker.host(undefined)?.queues.get("a");
    expect(queue?.held).toBe(500);
    client.core.close();
    core.settle();
    expect(queue?.count).toBe(0);
    expect(queue?.ledger.lost.get("expired")).toBe(500);
  });
});
