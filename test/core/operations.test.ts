import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Annotation } from "../../core/message.ts";
import type { Choice, Operation, OperationResult } from "../../core/operations/operation.ts";
import type { Queue } from "../../core/queue/queue.ts";
import { compileSelector, Selector } from "../../core/selector/selector.ts";
import { TRUE } from "../../core/selector/truth.ts";
import type { HostSettings } from "../../core/virtual-host.ts";
import {
  type CoreBroker,
  coreBroker,
  type MessageOptions,
  parse,
  parsePattern,
  plainMessage,
  testStore,
} from "../support/core-broker.ts";
import { endOf, hostOf, operationsOf, pass, queueOf } from "../support/core-operations.ts";
import { lateStore } from "../support/store-late.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** Everything that waits in a queue, consumed. */
function drain(core: CoreBroker, destination: string): string[] {
  const { subscription, got } = core.client().subscribe(destination, { settling: false });
  core.settle();
  subscription.close();
  core.settle();
  return got.bodies;
}

function odd(): Choice {
  return { selector: compileSelector("parity = 'odd'") };
}

function sendNumbers(core: CoreBroker, destination: string, count: number, options: MessageOptions = {}): void {
  const client = core.client();
  for (let i = 1; i <= count; i++) {
    const properties = { parity: i % 2 === 0 ? "even" : "odd" };
    client.send(destination, String(i), { durable: true, properties, ...options });
  }
  core.settle();
}

/** Puts a dead letter into a queue, as whoever takes them would. */
function bury(core: CoreBroker, name: string, body: string, annotations: Readonly<Record<string, Annotation>>): void {
  const all = new Map(Object.entries({ dead_letter_reason: "rejected", dead_letter_count: 1, ...annotations }));
  const message = plainMessage(parse("queue:orders"), body, { durable: true });
  queueOf(core.broker, name).publish(message.with({ annotations: all }));
  core.settle();
}

const POLICIES: HostSettings["policies"] = [
  { pattern: parsePattern("queue:**"), autoDeleteAfterMs: 0 },
  { pattern: parsePattern("queue:few"), maxMessages: 3, full: "block" },
  { pattern: parsePattern("queue:strict"), maxMessages: 3, full: "reject" },
];

function broker(host: Partial<HostSettings> = {}): Promise<CoreBroker> {
  return coreBroker({ host: { policies: POLICIES, ...host } });
}

describe("moving messages", () => {
  it("takes what a selector chooses to the other queue, in order, and leaves the rest", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 6);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:b"), odd());
    expect(await endOf(core, move)).toEqual({ ended: "finished", moved: 3, skipped: new Map() });
    expect(queueOf(core.broker, "a").ledger.lost).toEqual(new Map([["moved", 3]]));
    expect(queueOf(core.broker, "b").ledger.received).toBe(3);
    expect(drain(core, "queue:a")).toEqual(["2", "4", "6"]);
    expect(drain(core, "queue:b")).toEqual(["1", "3", "5"]);
  });

  it("takes those at the given positions", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 5);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:b"), {
      sequences: new Set([2, 4]),
    });
    expect(await endOf(core, move)).toMatchObject({ ended: "finished", moved: 2 });
    expect(drain(core, "queue:b")).toEqual(["2", "4"]);
  });

  it("takes no more than it was told to", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 5);
    const operations = operationsOf(core.broker);
    const move = operations.move(queueOf(core.broker, "a"), parse("queue:b"), { max: 2 });
    expect(await endOf(core, move)).toMatchObject({ ended: "finished", moved: 2 });
    expect(drain(core, "queue:b")).toEqual(["1", "2"]);
    const none = operations.move(queueOf(core.broker, "a"), parse("queue:b"), { max: 0 });
    expect(await endOf(core, none)).toMatchObject({ ended: "finished", moved: 0 });
    const nothing = operations.move(queueOf(core.broker, "a"), parse("queue:b"), { sequences: new Set() });
    expect(await endOf(core, nothing)).toMatchObject({ ended: "finished", moved: 0 });
    expect(queueOf(core.broker, "a").count).toBe(3);
  });

  it("keeps to the given rate", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 50);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:b"), { perSecond: 10 });
    await pass(core, 1000);
    expect(move.moved).toBeGreaterThan(8);
    expect(move.moved).toBeLessThan(13);
    expect(await endOf(core, move)).toMatchObject({ ended: "finished", moved: 50 });
  });

  it("leaves what a consumer holds, and what comes after it began", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 3);
    const { got } = core.client().subscribe("queue:a", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:b"));
    core.client().send("queue:a", "later");
    expect(await endOf(core, move)).toMatchObject({ ended: "finished", moved: 2 });
    expect(got.bodies).toEqual(["1"]);
    expect(queueOf(core.broker, "a").count).toBe(2);
    expect(drain(core, "queue:b")).toEqual(["2", "3"]);
  });

  it("waits for room while the target is full, and never overfills it", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 10);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:few"));
    const got: string[] = [];
    for (let rounds = 0; rounds < 4; rounds++) {
      await pass(core, 200);
      expect(queueOf(core.broker, "few").count).toBe(Math.min(3, 10 - got.length));
      expect(move.waitingOn).toBe(rounds < 3 ? "queue few" : undefined);
      got.push(...drain(core, "queue:few"));
    }
    expect(got).toEqual(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    expect(await endOf(core, move)).toMatchObject({ ended: "finished", moved: 10 });
  });

  it("leaves what a full target refuses, and says how many", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 5);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:strict"));
    expect(await endOf(core, move)).toEqual({ ended: "finished", moved: 3, skipped: new Map([["refused", 2]]) });
    expect(move.skipped).toBe(2);
    expect(drain(core, "queue:a")).toEqual(["4", "5"]);
  });

  it("gives a topic's subscribers what it moves there", async () => {
    const core = await broker();
    const { got } = core.client().subscribe("topic:t", { settling: false });
    sendNumbers(core, "queue:a", 3);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("topic:t"));
    expect(await endOf(core, move)).toMatchObject({ moved: 3 });
    expect(got.bodies).toEqual(["1", "2", "3"]);
  });

  it("waits for a topic's slow subscriber", async () => {
    const policies = [{ pattern: parsePattern("topic:t"), subscriberBytes: 10, slowSubscriberDeadlineMs: 0 }];
    const core = await broker({ policies });
    const { subscription, got } = core.client().subscribe("topic:t", { credit: { messages: 1, bytes: 0 } });
    sendNumbers(core, "queue:a", 5);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("topic:t"));
    await pass(core, 200);
    expect(move.moved).toBeLessThan(5);
    expect(move.waitingOn).toContain("subscriber");
    subscription.setCredit(10, 0);
    expect(await endOf(core, move)).toMatchObject({ moved: 5 });
    expect(got.bodies).toEqual(["1", "2", "3", "4", "5"]);
  });

  it("is refused to where it comes from, and to what may not be made", async () => {
    const core = await broker({ autoCreate: false, policies: [{ pattern: parsePattern("queue:a") }] });
    const operations = operationsOf(core.broker);
    expect(() => operations.move(queueOf(core.broker, "a"), parse("queue:a"))).toThrow(BrokerError);
    expect(() => operations.copy(queueOf(core.broker, "a"), parse("queue:b"))).toThrow(/queue b/);
  });

  it("goes through what is only in the store", async () => {
    const clock = new VirtualClock();
    const policies = [{ pattern: parsePattern("queue:**"), memoryBytes: 300, autoDeleteAfterMs: 0 }];
    const core = await coreBroker({ clock, store: lateStore(testStore(clock), clock), host: { policies } });
    sendNumbers(core, "queue:a", 200);
    await pass(core, 2000);
    expect(queueOf(core.broker, "a").memoryBytes).toBeLessThan(queueOf(core.broker, "a").bytes / 2);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:b"), odd());
    expect(await endOf(core, move)).toMatchObject({ ended: "finished", moved: 100 });
    expect([queueOf(core.broker, "a").count, queueOf(core.broker, "b").count]).toEqual([100, 100]);
  });
});

describe("copying messages", () => {
  it("has them in both queues", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 5);
    const copy = operationsOf(core.broker).copy(queueOf(core.broker, "a"), parse("queue:b"), { ...odd(), max: 2 });
    expect(await endOf(core, copy)).toMatchObject({ ended: "finished", moved: 2 });
    expect(drain(core, "queue:a")).toEqual(["1", "2", "3", "4", "5"]);
    expect(drain(core, "queue:b")).toEqual(["1", "3"]);
  });

  it("copies each once, however often it had to wait", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 7);
    const copy = operationsOf(core.broker).copy(queueOf(core.broker, "a"), parse("queue:few"));
    const got: string[] = [];
    for (let rounds = 0; rounds < 3; rounds++) {
      await pass(core, 200);
      got.push(...drain(core, "queue:few"));
    }
    expect(got).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
    expect(await endOf(core, copy)).toMatchObject({ moved: 7 });
  });
});

describe("purging", () => {
  it("throws away what a selector chooses", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 5);
    expect(await endOf(core, operationsOf(core.broker).purge(queueOf(core.broker, "a"), odd()))).toMatchObject({
      moved: 3,
    });
    expect(queueOf(core.broker, "a").ledger.lost).toEqual(new Map([["purged", 3]]));
    expect(drain(core, "queue:a")).toEqual(["2", "4"]);
  });

  it("throws away at once everything that nobody holds", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 5);
    core.client().subscribe("queue:a", { credit: { messages: 2, bytes: 0 } });
    core.settle();
    const purge = operationsOf(core.broker).purge(queueOf(core.broker, "a"));
    expect(purge.moved).toBe(3);
    expect(await endOf(core, purge)).toMatchObject({ ended: "finished", moved: 3 });
    expect(queueOf(core.broker, "a").count).toBe(2);
  });
});

describe("redriving dead letters", () => {
  it("takes each back to where it came from, and notes how often and when", async () => {
    const core = await broker();
    const durable = core.client();
    durable.subscribe("topic:t", { durable: "billing", patterns: [parsePattern("topic:t")] }).subscription.close();
    bury(core, "dead", "1", { dead_letter_origin: "queue:orders.eu" });
    bury(core, "dead", "2", { dead_letter_origin: "dsub:billing", redriven_count: 2 });
    const redrive = operationsOf(core.broker).redrive(queueOf(core.broker, "dead"));
    expect(await endOf(core, redrive)).toEqual({ ended: "finished", moved: 2, skipped: new Map() });
    const { got } = core.client().subscribe("queue:orders.eu");
    const { got: billed } = core.client().subscribe("", { attachDurable: "billing" });
    core.settle();
    expect([...got.bodies, ...billed.bodies]).toEqual(["1", "2"]);
    expect(Object.fromEntries(got.taken[0]?.message.annotations ?? [])).toMatchObject({
      dead_letter_reason: "rejected",
      dead_letter_origin: "queue:orders.eu",
      redriven_count: 1,
      redriven_at: expect.closeTo(core.clock.now(), -3) as unknown,
    });
    expect(billed.taken[0]?.message.annotations.get("redriven_count")).toBe(3);
  });

  it("leaves those that cannot go back, and says why", async () => {
    const core = await broker();
    bury(core, "dead", "1", { dead_letter_origin: "dsub:nobody" });
    bury(core, "dead", "2", { dead_letter_origin: "queue:temp.default-9-1f.y" });
    bury(core, "dead", "3", {});
    bury(core, "dead", "4", { dead_letter_origin: "queue:dead" });
    bury(core, "dead", "5", { dead_letter_origin: "nonsense" });
    bury(core, "dead", "6", { dead_letter_origin: "queue:" + "x".repeat(2000) });
    bury(core, "dead", "7", { dead_letter_origin: "queue:orders" });
    expect(await endOf(core, operationsOf(core.broker).redrive(queueOf(core.broker, "dead")))).toEqual({
      ended: "finished",
      moved: 1,
      skipped: new Map([
        ["origin-gone", 4],
        ["no-origin", 1],
        ["already-there", 1],
      ]),
    });
    expect(queueOf(core.broker, "dead").count).toBe(6);
    expect(queueOf(core.broker, "orders").count).toBe(1);
  });

  it("takes back a single one by its position", async () => {
    const core = await broker();
    for (const body of ["1", "2", "3"]) bury(core, "dead", body, { dead_letter_origin: "queue:orders" });
    const redrive = operationsOf(core.broker).redrive(queueOf(core.broker, "dead"), { sequences: new Set([2]) });
    expect(await endOf(core, redrive)).toMatchObject({ moved: 1 });
    expect(drain(core, "queue:orders")).toEqual(["2"]);
    expect(drain(core, "queue:dead")).toEqual(["1", "3"]);
  });

  it("chooses by what is known of how they died", async () => {
    const core = await broker();
    bury(core, "dead", "1", { dead_letter_origin: "queue:orders" });
    bury(core, "dead", "2", { dead_letter_origin: "queue:orders", dead_letter_reason: "expired" });
    const selector = compileSelector("dead_letter_reason = 'expired'");
    expect(
      await endOf(core, operationsOf(core.broker).redrive(queueOf(core.broker, "dead"), { selector })),
    ).toMatchObject({
      moved: 1,
    });
    expect(drain(core, "queue:orders")).toEqual(["2"]);
  });

  it("gives back the time at which a message expires, unless that is over", async () => {
    const core = await broker();
    const now = core.clock.now();
    bury(core, "dead", "1", { dead_letter_origin: "queue:orders", dead_letter_expires_at: now + 60_000 });
    bury(core, "dead", "2", { dead_letter_origin: "queue:orders", dead_letter_expires_at: now - 60_000 });
    await endOf(core, operationsOf(core.broker).redrive(queueOf(core.broker, "dead")));
    const { got } = core.client().subscribe("queue:orders");
    core.settle();
    expect(got.taken.map(({ message }) => message.expiresAt)).toEqual([now + 60_000, 0]);
  });
});

describe("an operation", () => {
  it("that is cancelled stops, and what is done stays done", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 8);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:few"));
    await pass(core, 200);
    move.cancel();
    move.cancel();
    expect(await endOf(core, move)).toMatchObject({ ended: "cancelled", moved: 3 });
    expect(drain(core, "queue:few")).toHaveLength(3);
    await pass(core, 500);
    expect([queueOf(core.broker, "a").count, queueOf(core.broker, "few").count]).toEqual([5, 0]);
    expect(drain(core, "queue:a")).toHaveLength(5);
  });

  it("ends when its queue is deleted, even while it waits", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 8);
    const source = queueOf(core.broker, "a");
    const move = operationsOf(core.broker).move(source, parse("queue:few"));
    await pass(core, 200);
    hostOf(core.broker).deleteQueue(new Address("queue", ["a"]));
    expect(await endOf(core, move)).toMatchObject({ ended: "source-deleted", moved: 3 });
    expect(source.ledger.lost).toEqual(
      new Map([
        ["moved", 3],
        ["deleted", 5],
      ]),
    );
  });

  it("ends when its target is deleted, and does not make it again", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 8);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:few"));
    await pass(core, 200);
    hostOf(core.broker).deleteQueue(new Address("queue", ["few"]));
    expect(await endOf(core, move)).toMatchObject({ ended: "target-deleted", moved: 3 });
    expect(queueOf(core.broker, "a").count).toBe(5);
    expect(hostOf(core.broker).queues.has("few")).toBe(false);
  });

  it("does not get in the way of others on the same queue", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 3000);
    const operations = operationsOf(core.broker);
    const a = queueOf(core.broker, "a");
    const all: Operation[] = [
      operations.move(a, parse("queue:b"), odd()),
      operations.move(a, parse("queue:c")),
      operations.purge(a, { max: 700 }),
      operations.move(a, parse("queue:few"), { max: 2 }),
    ];
    await pass(core, 1);
    sendNumbers(core, "queue:a", 10);
    const results: OperationResult[] = [];
    for (const operation of all) results.push(await endOf(core, operation));
    expect(results.map(({ ended }) => ended)).toEqual(["finished", "finished", "finished", "finished"]);
    expect(results.reduce((sum, { moved }) => sum + moved, 0)).toBe(3000);
    expect(a.count).toBe(10);
  });

  it("waits while the broker's memory is full", async () => {
    const core = await coreBroker({ host: { policies: POLICIES }, broker: { memoryBytes: 20_000 } });
    sendNumbers(core, "queue:a", 2);
    core.broker.engine.account(30_000);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:b"));
    await pass(core, 200);
    expect([move.moved, move.waitingOn]).toEqual([0, "the broker's memory (memory.messages)"]);
    core.broker.engine.account(-30_000);
    expect(await endOf(core, move)).toMatchObject({ moved: 2 });
  });

  it("waits while the store has too much to write", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 2);
    core.broker.engine.storeGate.close();
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:b"));
    await pass(core, 200);
    expect([move.moved, move.waitingOn]).toEqual([0, "the store"]);
    core.broker.engine.storeGate.open();
    expect(await endOf(core, move)).toMatchObject({ moved: 2 });
  });

  it("looks no further once it has all that it was to take", async () => {
    const core = await broker();
    sendNumbers(core, "queue:a", 100);
    let asked = 0;
    const selector = new Selector("counted", () => {
      asked++;
      return TRUE;
    });
    const choice = { selector, sequences: new Set([3, 5]) };
    expect(
      await endOf(core, operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:b"), choice)),
    ).toMatchObject({
      moved: 2,
    });
    expect(asked).toBeLessThan(10);
  });

  it("ends, and keeps the message, when a consumer of the target fails to take it", async () => {
    const core = await broker();
    const failure = new Error("no");
    const consumer = {
      deliver: () => {
        throw failure;
      },
      cancelled: () => {},
    };
    core.client().subscribe("queue:b", { consumer });
    core.settle();
    sendNumbers(core, "queue:a", 2);
    const move = operationsOf(core.broker).move(queueOf(core.broker, "a"), parse("queue:b"));
    const refused = expect(move.finished).rejects.toBe(failure);
    await pass(core, 200);
    await refused;
    expect(queueOf(core.broker, "a").count).toBe(2);
  });
});

describe("a message on its way", () => {
  it.each(["move", "redrive"] as const)(
    "is in one queue or in the other whenever the process dies (%s)",
    async (what) => {
      const core = await broker();
      const from: Queue = queueOf(core.broker, "a");
      for (let i = 0; i < 50; i++) bury(core, "a", String(i), { dead_letter_origin: "queue:b" });
      const operations = operationsOf(core.broker);
      const { engine } = core.broker;
      const batches = new Map<number, number>();
      const publish = engine.enqueue.bind(engine);
      const remove = engine.dequeue.bind(engine);
      const count = (by: number): void => {
        const { gathering } = engine.store;
        batches.set(gathering, (batches.get(gathering) ?? 0) + by);
      };
      engine.enqueue = (key, entry) => {
        publish(key, entry);
        count(1);
      };
      engine.dequeue = (key, entry) => {
        count(-1);
        remove(key, entry);
      };
      const choice = { perSecond: 100 };
      await endOf(
        core,
        what === "move" ? operations.move(from, parse("queue:b"), choice) : operations.redrive(from, choice),
      );
      expect(batches.size).toBeGreaterThan(10);
      expect(new Set(batches.values())).toEqual(new Set([0]));
    },
  );
});
