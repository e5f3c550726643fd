import { describe, expect, it, vi } from "vitest";
import type { LossReason } from "../../core/ledger.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import { coreBroker, type CoreBroker, parse, plainMessage } from "../support/core-broker.ts";
import { consume, coreWith, numbers, queueOf, settleAll } from "../support/core-queue.ts";

async function filled(core: CoreBroker, count: number, durable = false) {
  const client = core.client();
  for (let i = 0; i < count; i++) {
    client.send("queue:a", String(i), { durable, properties: { n: String(i % 10) } });
    if (i % 100 === 0) core.settle();
  }
  core.settle();
  return queueOf(core, "a");
}

describe.each([
  { where: "in memory", memoryBytes: 1 << 20, late: false },
  { where: "swapped out", memoryBytes: 5000, late: false },
  { where: "swapped out and slow to come back", memoryBytes: 5000, late: true },
])("a walk through a queue that is $where", ({ memoryBytes, late }) => {
  it("visits every message once, in order, and leaves what it is not told to take out", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    const queue = await filled(core, 3000);
    const seen: string[] = [];
    const walk = queue.walk({
      visit: (message) => {
        seen.push(message.body.toString());
        return Number(message.body.toString()) % 3 === 0 ? "moved" : undefined;
      },
    });
    core.clock.advance(100);
    expect(await walk.finished).toEqual({ seen: 3000, removed: 1000 });
    expect(seen).toEqual(numbers(3000));
    expect(queue.ledger.lost.get("moved")).toBe(1000);
    expect(queue.memoryBytes).toBeLessThan(memoryBytes * 2 + 5000);
    const consumer = consume(core, "queue:a", { settling: false });
    core.clock.advance(10);
    expect(consumer.got.bodies).toEqual(numbers(3000).filter((body) => Number(body) % 3 !== 0));
  });

  it("ends when the queue is purged while it is on its way", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    const queue = await filled(core, 3000, true);
    const walk = queue.walk({
      visit: () => {
        core.clock.endOfTurn(() => queue.purge());
        return undefined;
      },
    });
    core.clock.advance(100);
    expect(queue.count).toBe(0);
    expect((await walk.finished).removed).toBe(0);
  });

  it("ends when the queue is deleted while it is on its way", async () => {
    const core = await coreWith({ memoryBytes }, { late });
    const queue = await filled(core, 3000, true);
    const walk = queue.walk({
      visit: () => {
        core.clock.endOfTurn(() => core.broker.host(undefined)?.deleteQueue(parse("queue:a")));
        return undefined;
      },
    });
    core.clock.advance(100);
    expect(queue.deleted).toBe(true);
    expect((await walk.finished).removed).toBe(0);
  });
});

describe("a walk", () => {
  it("goes on in slices, so that no turn is long", async () => {
    const core = await coreWith({ memoryBytes: 4000 });
    const queue = await filled(core, 5000);
    let most = 0;
    let now = 0;
    const visit = (): undefined => {
      if (now === 0) core.clock.endOfTurn(() => (now = 0));
      most = Math.max(most, ++now);
    };
    const walk = queue.walk({ visit });
    core.clock.advance(100);
    expect(most).toBeLessThanOrEqual(1024);
    expect((await walk.finished).seen).toBe(5000);
  });

  it("passes what somebody holds and what came after it began", async () => {
    const core = await coreBroker();
    const queue = await filled(core, 5);
    const consumer = consume(core, "queue:a", { credit: { messages: 2, bytes: 0 } });
    const seen: string[] = [];
    const walk = queue.walk({
      visit: (message) => {
        seen.push(message.body.toString());
        return "purged";
      },
    });
    core.client().send("queue:a", "new");
    core.clock.advance(100);
    expect(await walk.finished).toEqual({ seen: 3, removed: 3 });
    expect(seen).toEqual(["2", "3", "4"]);
    expect(settleAll(consumer)).toEqual(["0", "1", "new"]);
  });

  it("visits what a selector wants, in all priorities, the highest first", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (let i = 0; i < 20; i++) {
      client.send("queue:a", String(i), { priority: i % 2 === 0 ? 2 : 7, properties: { n: String(i % 5) } });
    }
    const seen: string[] = [];
    const walk = queueOf(core, "a").walk({
      selector: compileSelector("n = 3"),
      visit: (message) => {
        seen.push(message.body.toString());
        return undefined;
      },
    });
    core.clock.advance(100);
    await walk.finished;
    expect(seen).toEqual(["3", "13", "8", "18"]);
  });

  it("takes out no more than it is told to", async () => {
    const core = await coreBroker();
    const queue = await filled(core, 50);
    const walk = queue.walk({ max: 7, visit: () => "moved" });
    core.clock.advance(100);
    expect(await walk.finished).toEqual({ seen: 7, removed: 7 });
    expect(queue.count).toBe(43);
  });

  it("takes out no more in a second than it is told to", async () => {
    const core = await coreBroker();
    const queue = await filled(core, 50);
    const walk = queue.walk({ perSecond: 10, visit: () => "moved" });
    core.clock.advance(1000);
    expect(walk.removed).toBe(11);
    core.clock.advance(1000);
    expect(walk.removed).toBe(21);
    core.clock.advance(10_000);
    expect((await walk.finished).removed).toBe(50);
  });

  it("visits again what had to wait", async () => {
    const core = await coreBroker();
    const queue = await filled(core, 3);
    const answers: ("wait" | LossReason)[] = ["wait", "wait", "moved", "moved", "wait", "moved"];
    const asked: string[] = [];
    const walk = queue.walk({
      visit: (message) => {
        asked.push(message.body.toString());
        return answers.shift();
      },
    });
    core.clock.advance(1000);
    expect(await walk.finished).toEqual({ seen: 3, removed: 3 });
    expect(asked).toEqual(["0", "0", "0", "1", "2", "2"]);
  });

  it("stops when it is cancelled", async () => {
    const core = await coreBroker();
    const queue = await filled(core, 50);
    const walk = queue.walk({ perSecond: 10, visit: () => "moved" });
    core.clock.advance(500);
    walk.cancel();
    core.clock.advance(5000);
    expect((await walk.finished).removed).toBe(6);
    expect(queue.count).toBe(44);
  });

  it("does not visit what expires on the way", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:a", "dies", { expiresAt: core.clock.now() + 50 });
    client.send("queue:a", "lives");
    const seen: string[] = [];
    core.clock.advance(60);
    const walk = queueOf(core, "a").walk({
      visit: (message) => {
        seen.push(message.body.toString());
        return undefined;
      },
    });
    core.clock.advance(1);
    await walk.finished;
    expect(seen).toEqual(["lives"]);
    expect(queueOf(core, "a").ledger.lost.get("expired")).toBe(1);
  });

  it.each([
    { policy: { maxMessages: 3, full: "drop-head" as const }, lost: "dropped-oldest" as const },
    { policy: { lastValueKey: "n" }, lost: "replaced" as const },
  ])("counts once what its own sends push out of the queue ($lost)", async ({ policy, lost }) => {
    const core = await coreWith(policy);
    const queue = await filled(core, 3);
    const walk = queue.walk({
      visit: (message) => {
        queue.publish(
          plainMessage(parse("queue:a"), "again", { properties: { n: String(message.content.properties.get("n")) } }),
        );
        return "moved";
      },
    });
    core.clock.advance(100);
    await walk.finished;
    expect(queue.count).toBe(3);
    expect(queue.ledger.lost.get(lost)).toBe(3);
    expect(settleAll(consume(core, "queue:a"))).toEqual(["again", "again", "again"]);
  });

  it("lets the others of a queue have what they want meanwhile", async () => {
    const core = await coreWith({ memoryBytes: 5000 });
    const queue = await filled(core, 2000);
    const walk = queue.walk({ visit: () => undefined });
    const consumer = consume(core, "queue:a", { settling: false });
    core.clock.advance(100);
    await walk.finished;
    expect(consumer.got.bodies).toEqual(numbers(2000));
  });
});

it("a walk that takes long for each message lets others have their turn more often", async () => {
  const core = await coreBroker();
  const queue = await filled(core, 3000);
  const pieces = async (): Promise<number> => {
    const later = vi.spyOn(core.clock, "after");
    const walk = queue.walk({ visit: () => undefined });
    core.clock.advance(1);
    expect(await walk.finished).toEqual({ seen: 3000, removed: 0 });
    const { length } = later.mock.calls;
    later.mockRestore();
    return length;
  };
  expect(await pieces()).toBeLessThan(10);
  let now = core.clock.now();
  vi.spyOn(core.clock, "now").mockImplementation(() => now++);
  expect(await pieces()).toBeGreaterThan(25);
});
