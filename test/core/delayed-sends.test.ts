import { describe, expect, it } from "vitest";
import type { HostSettings } from "../../core/virtual-host.ts";
import { type CoreBroker, coreBroker, parse, parsePattern, plainMessage, testStore } from "../support/core-broker.ts";
import { everyCron } from "../support/core-schedule.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function count(core: CoreBroker, queue: string): number | undefined {
  return core.broker.host(undefined)?.queues.get(queue)?.count;
}

function scheduled(core: CoreBroker): number | undefined {
  return core.broker.host(undefined)?.schedule.count;
}

describe("a message that is to be delivered later", () => {
  it("comes to each of its destinations at its time, and is in the accounts of both until then", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { got } = client.subscribe("topic:t", { settling: false });
    core.settle();
    const message = plainMessage(parse("queue:a"), "1", { timing: { deliverAt: core.clock.now() + 1000 } });
    client.core.publish(client.core.route([parse("queue:a"), parse("topic:t")]), message);
    core.clock.advance(900);
    expect([count(core, "a"), got.bodies, scheduled(core)]).toEqual([0, [], 2]);
    core.clock.advance(100);
    expect([count(core, "a"), got.bodies, scheduled(core)]).toEqual([1, ["1"], 0]);
    const ledger = core.broker.host(undefined)?.queues.get("a")?.ledger;
    expect([ledger?.received, ledger?.lost]).toEqual([2, new Map([["scheduled", 1]])]);
  });

  it("comes at cron times where the broker knows them", async () => {
    const core = await coreBroker({ broker: { cron: everyCron } });
    core.client().send("queue:a", "1", { timing: { cron: "every 60000" } });
    core.clock.advance(180_000);
    expect(count(core, "a")).toBe(3);
  });

  it("comes after a restart, to a queue that is made for it", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const first = await coreBroker({ clock, store });
    first.client().send("queue:a", "1", { durable: true, timing: { deliverAt: clock.now() + 100_000 } });
    first.settle();
    await first.broker.close();
    const second = await coreBroker({ clock, store });
    clock.advance(50_000);
    expect(count(second, "a")).toBeUndefined();
    clock.advance(50_000);
    expect(count(second, "a")).toBe(1);
  });

  it("is refused before any destination has it when its time makes no sense", async () => {
    const core = await coreBroker();
    const client = core.client();
    const message = plainMessage(parse("queue:a"), "1", { timing: { deliverAt: -1 } });
    const route = client.core.route([parse("queue:a"), parse("queue:b")]);
    expect(() => client.core.publish(route, message)).toThrow("the delivery time is -1 ms");
    expect(core.broker.host(undefined)?.queues.get("a")?.ledger.received).toBe(0);
  });

  it("has a transaction refused as a whole by a full schedule, and comes when one is committed", async () => {
    const core = await coreBroker({ host: { schedule: { catchUpPerSecond: 0, maxMessages: 1 } } });
    const client = core.client();
    const commit = (): void => {
      const transaction = client.core.begin();
      const timing = { deliverAt: core.clock.now() + 1000 };
      for (const to of ["queue:now", "queue:a", "queue:b"].map(parse)) {
        const message = plainMessage(to, "1", to.name === "now" ? {} : { timing });
        client.core.publish(client.core.route([to]), message, transaction);
      }
      expect(scheduled(core)).toBe(count(core, "now") === 0 ? 0 : 2);
      transaction.commit();
    };
    commit();
    expect(commit).toThrow("the schedule holds 2 messages");
    core.clock.advance(1000);
    expect(["now", "a", "b"].map((queue) => count(core, queue))).toEqual([1, 1, 1]);
  });

  it.each(["reject", "block"] as const)("waits for room in a queue that is full (%s)", async (full) => {
    const policies = [{ pattern: parsePattern("queue:a"), maxMessages: 1, full }];
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    client.send("queue:a", "1");
    client.send("queue:a", "2", { timing: { deliverAt: core.clock.now() + 1000 } });
    core.clock.advance(10_000);
    expect([count(core, "a"), scheduled(core)]).toEqual([1, 1]);
    const { got } = client.subscribe("queue:a", { settling: false });
    core.clock.advance(10_000);
    expect(got.bodies).toEqual(["1", "2"]);
  });

  it("lives as long as the policy says from when it comes", async () => {
    const policies = [{ pattern: parsePattern("queue:a"), defaultTtlMs: 1000 }];
    const core = await coreBroker({ host: { policies } });
    core.client().send("queue:a", "1", { timing: { deliverAt: core.clock.now() + 5000 } });
    core.clock.advance(5500);
    expect(count(core, "a")).toBe(1);
    core.clock.advance(5000);
    expect(count(core, "a")).toBe(0);
  });

  it("and was sent twice comes once", async () => {
    const core = await coreBroker();
    const options = { duplicateId: "1", timing: { deliverAt: core.clock.now() + 1000 } };
    for (const client of [core.client(), core.client()]) client.send("queue:a", "1", options);
    core.clock.advance(1000);
    expect(count(core, "a")).toBe(1);
  });

  it("is diverted, and mirrored, when it comes", async () => {
    const host: Partial<HostSettings> = {
      policies: [{ pattern: parsePattern("queue:m"), mirrored: true }],
      diverts: [
        { from: parsePattern("queue:a"), to: [{ kind: "queue", name: "m" }], selector: undefined, exclusive: true },
      ],
    };
    const core = await coreBroker({ host });
    const client = core.client();
    const { got } = client.subscribe("topic:m", { settling: false });
    core.settle();
    for (const to of ["queue:a", "queue:m"]) client.send(to, to, { timing: { deliverAt: core.clock.now() + 1000 } });
    expect(got.bodies).toEqual([]);
    core.clock.advance(1000);
    expect(got.bodies).toEqual(["queue:a", "queue:m"]);
    expect([count(core, "a"), count(core, "m")]).toEqual([0, 2]);
  });

  it("to a temporary queue whose owner has gone by then is unroutable", async () => {
    const core = await coreBroker();
    const [owner, server] = [core.client(), core.client()];
    const { name } = owner.core.temporary("queue", "reply");
    server.send(`queue:${name}`, "1", { timing: { deliverAt: core.clock.now() + 1000 } });
    owner.core.close();
    core.clock.advance(1000);
    expect(core.broker.host(undefined)?.unroutable.lost.get("no-subscriber")).toBe(1);
  });
});
