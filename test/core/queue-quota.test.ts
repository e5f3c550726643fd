import { describe, expect, it } from "vitest";
import type { CoreBroker, TestClient } from "../support/core-broker.ts";
import { consume, coreWith, numbers, queueOf, settleAll, settleOne } from "../support/core-queue.ts";

function sendUntilBlocked(client: TestClient, body = "123456789"): number {
  for (let sent = 0; ; sent++) {
    if (client.core.blocked) return sent;
    if (sent > 10_000) throw new Error("It never filled up");
    client.send("queue:a", body);
  }
}

function send(core: CoreBroker, count: number, { from = 0, durable = false, priority = 4 } = {}): TestClient {
  const client = core.client();
  for (let i = from; i < from + count; i++) {
    client.send("queue:a", String(i), { durable, priority });
    if (i % 50 === 0) core.settle();
  }
  core.settle();
  return client;
}

function lost(core: CoreBroker): Record<string, number> {
  return Object.fromEntries(queueOf(core, "a").ledger.lost);
}

describe("a queue that has publishers wait", () => {
  it.each([
    { maxMessages: 1, taken: 1, free: 1 },
    { maxMessages: 3, taken: 3, free: 1 },
    { maxMessages: 100, taken: 100, free: 6 },
  ])("has them wait at $maxMessages messages, until $free are gone", async ({ maxMessages, taken, free }) => {
    const core = await coreWith({ maxMessages });
    const client = core.client();
    expect(sendUntilBlocked(client)).toBe(taken);
    expect(client.core.waitingOn).toContain("queue a");
    const consumer = consume(core, "queue:a");
    for (let gone = 1; gone <= free; gone++) {
      expect(client.unblocks).toBe(0);
      settleOne(consumer, "accepted");
      core.settle();
    }
    expect(client.unblocks).toBe(1);
  });

  it("has them wait at its bytes", async () => {
    const core = await coreWith({ maxBytes: 100 });
    const client = core.client();
    expect(sendUntilBlocked(client)).toBe(10);
    const consumer = consume(core, "queue:a");
    settleOne(consumer, "accepted");
    core.settle();
    expect(client.unblocks).toBe(1);
  });

  it("takes a message that is larger than all it may hold, and has the next one wait", async () => {
    const core = await coreWith({ maxBytes: 5 });
    const client = core.client();
    expect(sendUntilBlocked(client)).toBe(1);
    expect(settleAll(consume(core, "queue:a"))).toEqual(["123456789"]);
    core.settle();
    expect(client.core.blocked).toBe(false);
  });

  it.each(["purge", "expiry", "deletion"] as const)("lets them go on after a %s", async (way) => {
    const core = await coreWith({ maxMessages: 5 });
    const client = core.client();
    const expiresAt = core.clock.now() + 500;
    for (let i = 0; i < 5; i++) client.send("queue:a", String(i), { expiresAt });
    expect(client.core.blocked).toBe(true);
    if (way === "purge") queueOf(core, "a").purge();
    else if (way === "deletion") core.broker.host(undefined)?.deleteQueue(queueOf(core, "a").address ?? expect.fail());
    else core.clock.advance(3000);
    core.settle();
    expect(client.unblocks).toBe(1);
  });

  it("lets them go on when there is room in the quota, although most of its memory is in use", async () => {
    const core = await coreWith({ memoryBytes: 1000, maxMessages: 95 });
    const client = core.client();
    expect(sendUntilBlocked(client)).toBe(95);
    expect(queueOf(core, "a").memoryBytes).toBe(950);
    const consumer = consume(core, "queue:a");
    for (let i = 0; i < 10; i++) settleOne(consumer, "accepted");
    core.settle();
    expect(client.unblocks).toBe(1);
  });

  it("lets one after the other go on, as long as there is room", async () => {
    const core = await coreWith({ maxMessages: 2 });
    const clients = [core.client(), core.client(), core.client()];
    for (const [index, client] of clients.entries()) {
      client.send("queue:a", `${index}a`);
      client.send("queue:a", `${index}b`);
    }
    expect(clients.map((client) => client.core.blocked)).toEqual([true, true, true]);
    settleAll(consume(core, "queue:a"));
    core.settle();
    expect(clients.map((client) => client.unblocks)).toEqual([1, 1, 1]);
    expect(queueOf(core, "a").gate.waiting).toBe(0);
  });

  it("has them wait for what consumers do not hold, if that alone counts", async () => {
    const core = await coreWith({ maxMessages: 3, countsHeld: false });
    const consumer = consume(core, "queue:a", { credit: { messages: 2, bytes: 0 } });
    const client = core.client();
    expect(sendUntilBlocked(client)).toBe(5);
    settleOne(consumer, "accepted");
    core.settle();
    expect(client.unblocks).toBe(1);
    expect(sendUntilBlocked(client)).toBe(1);
  });

  it("waits for the bytes of what waits in the same way", async () => {
    const core = await coreWith({ maxBytes: 30, countsHeld: false });
    const consumer = consume(core, "queue:a", { credit: { messages: 2, bytes: 0 } });
    const client = core.client();
    expect(sendUntilBlocked(client)).toBe(5);
    settleOne(consumer, "accepted");
    core.settle();
    expect(client.unblocks).toBe(1);
  });

  it("counts what consumers hold", async () => {
    const core = await coreWith({ maxMessages: 3 });
    const consumer = consume(core, "queue:a");
    const client = core.client();
    expect(sendUntilBlocked(client)).toBe(3);
    expect(consumer.got.taken.length).toBe(3);
    settleOne(consumer, "failed");
    core.settle();
    expect(client.unblocks).toBe(0);
    settleAll(consumer);
    core.settle();
    expect(client.unblocks).toBe(1);
  });

  it("never has them wait while consumers take everything at once", async () => {
    const core = await coreWith({ maxMessages: 2 });
    const consumer = consume(core, "queue:a", { settling: false });
    const client = send(core, 100);
    expect(client.core.blocked).toBe(false);
    expect(consumer.got.bodies).toEqual(numbers(100));
  });
});

describe("a queue that drops its oldest messages", () => {
  it.each([
    { what: "messages", policy: { maxMessages: 10 } },
    { what: "bytes", policy: { maxBytes: 40 } },
  ])("keeps the newest ones that fit in its $what", async ({ policy }) => {
    const core = await coreWith({ ...policy, full: "drop-head" });
    const client = send(core, 100, { from: 100 });
    expect(client.core.blocked).toBe(false);
    expect(settleAll(consume(core, "queue:a"))).toEqual(numbers(10, 190));
    expect(lost(core)).toEqual({ "dropped-oldest": 90 });
  });

  it.each([true, false])("drops them where they are: in the store (late: %s)", async (late) => {
    const core = await coreWith({ maxMessages: 500, full: "drop-head", memoryBytes: 1000 }, { late });
    send(core, 2000, { durable: true });
    const queue = queueOf(core, "a");
    expect(queue.count).toBeLessThanOrEqual(late ? 550 : 500);
    expect(queue.memoryBytes).toBeLessThan(5000);
    const consumer = consume(core, "queue:a", { settling: false });
    core.clock.advance(10);
    expect(consumer.got.bodies).toEqual(numbers(consumer.got.bodies.length, 2000 - consumer.got.bodies.length));
    expect(lost(core)).toEqual({ "dropped-oldest": 2000 - consumer.got.bodies.length });
  });

  it("drops the oldest of several when one large message comes", async () => {
    const core = await coreWith({ maxBytes: 40, full: "drop-head" });
    const client = send(core, 10, { from: 100 });
    client.send("queue:a", "x".repeat(20));
    expect(settleAll(consume(core, "queue:a"))).toEqual(["106", "107", "108", "109", "x".repeat(20)]);
  });

  it("drops a message that is larger than all it may hold, and keeps the others", async () => {
    const core = await coreWith({ maxBytes: 40, full: "drop-head" });
    const client = send(core, 10, { from: 100 });
    client.send("queue:a", "x".repeat(50));
    expect(settleAll(consume(core, "queue:a"))).toEqual(numbers(10, 100));
    expect(lost(core)).toEqual({ "dropped-newest": 1 });
  });

  it("leaves consumers what they hold, and holds so many more", async () => {
    const core = await coreWith({ maxMessages: 5, full: "drop-head" });
    const consumer = consume(core, "queue:a", { credit: { messages: 5, bytes: 0 } });
    send(core, 20);
    expect(consumer.got.bodies).toEqual(numbers(5));
    const queue = queueOf(core, "a");
    expect(queue.count).toBeLessThanOrEqual(6);
    consumer.subscription.close();
    expect(settleAll(consume(core, "queue:a"))).toEqual([...numbers(5), "19"]);
  });

  it("drops what came back before what is newer", async () => {
    const core = await coreWith({ maxMessages: 4, full: "drop-head" });
    const consumer = consume(core, "queue:a", { credit: { messages: 2, bytes: 0 } });
    send(core, 4);
    send(core, 2, { from: 4 });
    consumer.subscription.close();
    send(core, 1, { from: 6 });
    expect(settleAll(consume(core, "queue:a"))).toEqual(["1", "4", "5", "6"]);
  });

  it("drops the least important first", async () => {
    const core = await coreWith({ maxMessages: 4, full: "drop-head" });
    send(core, 2, { priority: 9 });
    send(core, 4, { from: 2, priority: 1 });
    expect(settleAll(consume(core, "queue:a"))).toEqual(["0", "1", "4", "5"]);
  });

  it("costs the same for each message, however many consumers hold", async () => {
    const core = await coreWith({ maxMessages: 20_000, full: "drop-head" });
    const consumer = consume(core, "queue:a", { credit: { messages: 20_000, bytes: 0 } });
    const client = core.client();
    const size = 20_000;
    for (let i = 0; i < size * 2; i++) client.send("queue:a", "x");
    expect(consumer.got.taken.length).toBe(size);
    expect(queueOf(core, "a").count).toBe(size + 1);
    consumer.subscription.close();
  });

  it("drops from the front while a consumer takes from there", async () => {
    const core = await coreWith({ maxMessages: 50, full: "drop-head", memoryBytes: 100 });
    const consumer = consume(core, "queue:a", { credit: { messages: 3, bytes: 0 } });
    const got: string[] = [];
    for (let round = 0; round < 50; round++) {
      send(core, 30, { from: round * 30, durable: true });
      settleOne(consumer, "failed");
      got.push(...settleAll(consumer).slice(0, 2));
    }
    core.settle();
    expect(queueOf(core, "a").count).toBeLessThanOrEqual(53);
  });
});

describe("a queue that drops new messages", () => {
  it.each([
    { what: "messages", policy: { maxMessages: 10 } },
    { what: "bytes", policy: { maxBytes: 40 } },
  ])("keeps the oldest ones that fit in its $what", async ({ policy }) => {
    const core = await coreWith({ ...policy, full: "drop-tail" });
    const client = send(core, 100, { from: 100 });
    expect(client.core.blocked).toBe(false);
    expect(lost(core)).toEqual({ "dropped-newest": 90 });
    const consumer = consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } });
    settleOne(consumer, "accepted");
    client.send("queue:a", "new");
    expect(settleAll(consumer)).toEqual([...numbers(9, 101), "new"]);
  });
});

describe("a queue that refuses", () => {
  it("says why, takes what it must all the same, and takes more when there is room", async () => {
    const core = await coreWith({ maxMessages: 2, maxBytes: 1000, full: "reject" });
    const client = core.client();
    client.send("queue:a", "1");
    const queue = queueOf(core, "a");
    client.send("queue:a", "2");
    expect(() => client.send("queue:a", "3")).toThrow(
      "The queue a holds 2 messages with 4 bytes, at most 2 messages (max_messages) and 1000 bytes (max_bytes) are allowed",
    );
    expect(queue.count).toBe(2);
    const consumer = consume(core, "queue:a");
    settleOne(consumer, "accepted");
    client.send("queue:a", "4");
    expect(settleAll(consumer)).toEqual(["2", "4"]);
  });
});

describe("a ring of what waits", () => {
  it("does not lose what comes while consumers hold the rest, and makes room when they give it back", async () => {
    const core = await coreWith({ maxMessages: 2, full: "drop-head", countsHeld: false });
    const consumer = consume(core, "queue:a", { credit: { messages: 2, bytes: 0 } });
    send(core, 4);
    expect(consumer.got.bodies).toEqual(["0", "1"]);
    expect(lost(core)).toEqual({});
    consumer.subscription.close();
    core.settle();
    expect(lost(core)).toEqual({ "dropped-oldest": 2 });
    expect(settleAll(consume(core, "queue:a"))).toEqual(["2", "3"]);
  });

  it("lets a message go that is given back when others have come", async () => {
    const core = await coreWith({ maxMessages: 2, full: "drop-head", countsHeld: false });
    const consumer = consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } });
    send(core, 3);
    settleOne(consumer, "released");
    core.settle();
    expect(lost(core)).toEqual({ "dropped-oldest": 1 });
    expect(consumer.got.bodies).toEqual(["1"]);
  });
});
