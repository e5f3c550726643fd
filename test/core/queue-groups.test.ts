import { describe, expect, it } from "vitest";
import { compileSelector } from "../../core/selector/selector.ts";
import type { CoreBroker, Taken } from "../support/core-broker.ts";
import { consume, coreWith, numbers, queueOf, settleAll, settleOne, type TestConsumer } from "../support/core-queue.ts";

/** Sends one message for each group, `rounds` times: bodies are `group:round`. */
function send(core: CoreBroker, groups: readonly string[], rounds = 1, { from = 0, durable = false } = {}): void {
  const client = core.client();
  for (let round = from; round < from + rounds; round++) {
    for (const group of groups) client.send("queue:a", `${group}:${round}`, { group, durable });
    core.settle();
  }
}

function groupOf(body: string): string {
  return body.slice(0, body.indexOf(":"));
}

/** Which consumers got messages of each group. */
function owners(consumers: readonly TestConsumer[]): Map<string, Set<number>> {
  const found = new Map<string, Set<number>>();
  for (const [index, { got }] of consumers.entries()) {
    for (const { body } of got.taken) found.set(groupOf(body), (found.get(groupOf(body)) ?? new Set()).add(index));
  }
  return found;
}

function expectOrder(taken: readonly Taken[]): void {
  const last = new Map<string, number>();
  for (const { body } of taken) {
    const round = Number(body.slice(body.indexOf(":") + 1));
    expect(round, body).toBe((last.get(groupOf(body)) ?? -1) + 1);
    last.set(groupOf(body), round);
  }
}

/** What a consumer was given, and whether it was the first of its group. */
function marks({ got }: TestConsumer): [string, boolean][] {
  return got.taken.map(({ body, firstOfGroup }) => [body, firstOfGroup]);
}

const groups = numbers(40).map((n) => `g${n}`);

describe("message groups", () => {
  it.each([true, false])("each have one consumer, and their order (settling: %s)", async (settling) => {
    const core = await coreWith({});
    const consumers = [0, 1, 2, 3].map(() => consume(core, "queue:a", { settling }));
    send(core, groups, 5);
    const found = owners(consumers);
    expect(found.size).toBe(40);
    expect([...found.values()].every(({ size }) => size === 1)).toBe(true);
    for (const { got } of consumers) {
      expect(got.taken.length).toBeGreaterThan(0);
      expectOrder(got.taken);
    }
    expect(queueOf(core, "a").groupCount).toBe(40);
  });

  it("are divided over consumers that come when the messages are there", async () => {
    const core = await coreWith({});
    send(core, groups, 5);
    const client = core.client();
    const consumers = [0, 1, 2].map(() => ({ client, ...client.subscribe("queue:a") }));
    core.settle();
    expect([...owners(consumers).values()].map(({ size }) => size)).toEqual(groups.map(() => 1));
    expect(consumers.map(({ got }) => got.taken.length).reduce((a, b) => a + b)).toBe(200);
    for (const { got } of consumers) expectOrder(got.taken);
  });

  it("leave messages without a group to everybody in turn", async () => {
    const core = await coreWith({});
    const consumers = [consume(core, "queue:a"), consume(core, "queue:a")];
    send(core, ["g"], 1);
    const client = core.client();
    for (const body of numbers(40)) client.send("queue:a", body);
    for (const { got } of consumers) expect(got.taken.length).toBeGreaterThanOrEqual(15);
  });

  it("go to others when their consumer goes, with what it held, in order", async () => {
    const core = await coreWith({});
    const consumers = [0, 1, 2].map(() => consume(core, "queue:a"));
    send(core, groups, 3);
    const [gone, ...rest] = consumers;
    const lost = new Set(gone?.got.bodies.map(groupOf));
    gone?.subscription.close();
    send(core, groups, 2, { from: 3 });
    const found = owners(rest);
    expect(found.size).toBe(40);
    expect([...found.values()].every(({ size }) => size === 1)).toBe(true);
    for (const { got } of rest) expectOrder(got.taken);
    for (const { body, deliveries } of rest.flatMap(({ got }) => got.taken)) {
      const again = lost.has(groupOf(body)) && Number(body.slice(-1)) < 3;
      expect(deliveries, body).toBe(again ? 1 : 0);
    }
  });

  it("go to a newcomer only once their consumer has nothing of them any more", async () => {
    const core = await coreWith({});
    const first = consume(core, "queue:a");
    send(core, groups);
    const second = consume(core, "queue:a");
    send(core, groups, 1, { from: 1 });
    expect(second.got.bodies).toEqual([]);
    expect(new Set(first.got.bodies.map((body) => body.slice(-1)))).toEqual(new Set(["0", "1"]));
    const stayed = new Set(first.got.bodies.filter((body) => body.endsWith(":1")).map(groupOf));
    expect(stayed.size).toBeLessThan(40);
    settleAll(first);
    core.clock.advance(10);
    expect(new Set(second.got.bodies)).toEqual(
      new Set(groups.filter((group) => !stayed.has(group)).map((group) => `${group}:1`)),
    );
  });

  it("stay with their consumer where the policy says so", async () => {
    const core = await coreWith({ groupRebalance: false });
    const first = consume(core, "queue:a");
    send(core, groups);
    const second = consume(core, "queue:a");
    settleAll(first);
    send(core, groups, 1, { from: 1 });
    expect([first.got.taken.length, second.got.taken.length]).toEqual([40, 0]);
  });

  it("wait for their consumer while it has no credit", async () => {
    const core = await coreWith({});
    const consumers = [0, 1].map(() => consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } }));
    send(core, ["g"], 5);
    const [owner] = consumers.filter(({ got }) => got.taken.length > 0);
    expect(consumers.map(({ got }) => got.taken.length).toSorted((a, b) => a - b)).toEqual([0, 1]);
    expect(owner === undefined ? [] : settleAll(owner)).toEqual(numbers(5).map((round) => `g:${round}`));
  });

  it("go only to consumers that want their messages", async () => {
    const core = await coreWith({});
    const red = consume(core, "queue:a", { selector: compileSelector("colour = 'red'") });
    const blue = consume(core, "queue:a", { selector: compileSelector("colour = 'blue'") });
    const client = core.client();
    for (const [index, group] of groups.entries()) {
      client.send("queue:a", `${group}:0`, { group, properties: { colour: index % 2 === 0 ? "red" : "blue" } });
    }
    expect([red.got.taken.length, blue.got.taken.length]).toEqual([20, 20]);
    client.send("queue:a", "g:0", { group: "g", properties: { colour: "green" } });
    expect(queueOf(core, "a").count - queueOf(core, "a").held).toBe(1);
    expect(consume(core, "queue:a").got.bodies).toContain("g:0");
  });

  it("begin anew after they were closed", async () => {
    const core = await coreWith({});
    const consumer = consume(core, "queue:a");
    const client = core.client();
    client.send("queue:a", "1", { group: "g" });
    client.send("queue:a", "2", { group: "g" });
    client.send("queue:a", "last", { group: "g", properties: { "group-sequence": "-1" } });
    client.send("queue:a", "3", { group: "g" });
    expect(consumer.got.taken.map(({ body, firstOfGroup }) => [body, firstOfGroup])).toEqual([
      ["1", true],
      ["2", false],
      ["last", false],
      ["3", true],
    ]);
  });

  it("are forgotten when they are closed and consumed", async () => {
    const core = await coreWith({});
    const consumer = consume(core, "queue:a", { settling: false });
    const client = core.client();
    for (const group of groups) client.send("queue:a", group, { group, properties: { "group-sequence": "-1" } });
    expect(consumer.got.taken.length).toBe(40);
    expect(queueOf(core, "a").groupCount).toBe(0);
  });

  it("say what is the first of them for a consumer, again when another one has them", async () => {
    const core = await coreWith({});
    const first = consume(core, "queue:a");
    send(core, ["g", "h"], 2);
    const expected = [
      ["g:0", true],
      ["h:0", true],
      ["g:1", false],
      ["h:1", false],
    ];
    expect(marks(first)).toEqual(expected);
    const second = consume(core, "queue:a");
    first.subscription.close();
    expect(marks(second)).toEqual(expected);
  });

  it("keep their order within each priority", async () => {
    const core = await coreWith({});
    const client = core.client();
    for (let i = 0; i < 200; i++) {
      const priority = i % 2 === 0 ? 2 : 7;
      client.send("queue:a", `${groups[i % 20]}p${priority}:${Math.floor(i / 20)}`, {
        group: groups[i % 20] ?? "",
        priority,
      });
    }
    const consumers = [0, 1, 2].map(() => consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } }));
    const all: Taken[] = [];
    for (let left = 200; left > 0; ) {
      const before = left;
      for (const consumer of consumers) {
        const [first] = consumer.got.taken;
        if (first === undefined) continue;
        all.push(first);
        settleOne(consumer, "accepted");
        left--;
      }
      core.clock.advance(1);
      expect(left, "messages left").toBeLessThan(before);
    }
    expectOrder(all);
    expect(queueOf(core, "a").count).toBe(0);
  });

  it("hold nobody up who waits behind one that was going to it and expired", async () => {
    const core = await coreWith({});
    const first = consume(core, "queue:a");
    send(core, groups);
    const second = consume(core, "queue:a");
    const client = core.client();
    const expiresAt = core.clock.now() + 500;
    for (const group of groups) client.send("queue:a", `${group}:1`, { group, expiresAt });
    client.send("queue:a", "n1:0", { group: "n1" });
    for (const group of numbers(20, 100)) client.send("queue:a", `${group}:0`, { group });
    core.clock.advance(3000);
    const got = [...first.got.bodies, ...second.got.bodies];
    expect(got).toEqual(expect.arrayContaining(numbers(20, 100).map((group) => `${group}:0`)));
    expect(second.got.taken.length).toBeGreaterThan(0);
  });

  it("are not lost with a purge, nor with a consumer whose transaction still has some", async () => {
    const core = await coreWith({});
    const first = consume(core, "queue:a");
    send(core, ["g"], 4);
    const transaction = first.client.core.begin();
    first.client.core.settle(first.subscription, first.got.next(), "accepted", transaction);
    const second = consume(core, "queue:a");
    first.subscription.close();
    expect(second.got.bodies).toEqual([]);
    transaction.commit();
    core.clock.advance(10);
    expect(second.got.bodies).toEqual(["g:1", "g:2", "g:3"]);
    queueOf(core, "a").purge();
    send(core, ["g"], 1, { from: 4 });
    expect(settleAll(second)).toEqual(["g:1", "g:2", "g:3", "g:4"]);
  });

  it("go on with the rest while one message of them waits for its redelivery", async () => {
    const core = await coreWith({ redeliveryDelayMs: 100 });
    const consumer = consume(core, "queue:a");
    send(core, ["g"], 2);
    settleOne(consumer, "failed");
    core.clock.advance(100);
    expect(settleAll(consumer)).toEqual(["g:1", "g:0"]);
  });

  it("are all one consumer's when it is exclusive, once the others have settled", async () => {
    const core = await coreWith({});
    const others = [consume(core, "queue:a"), consume(core, "queue:a")];
    send(core, groups);
    const exclusive = consume(core, "queue:a", { exclusive: true });
    send(core, groups, 1, { from: 1 });
    for (const other of others) settleAll(other);
    core.clock.advance(10);
    expect(new Set(exclusive.got.bodies)).toEqual(new Set(groups.map((group) => `${group}:1`)));
  });
});

describe("very many message groups", () => {
  const many = numbers(10_000).map((n) => `g${n}`);

  it.each([
    { limit: "all remembered", maxGroups: 100_000 },
    { limit: "few remembered", maxGroups: 100 },
  ])("are each one consumer's, in order, out of the store ($limit)", async ({ maxGroups }) => {
    const core = await coreWith({ memoryBytes: 50_000, maxGroups });
    send(core, many, 2, { durable: true });
    core.clock.advance(2000);
    const queue = queueOf(core, "a");
    expect(queue.memoryBytes).toBeLessThan(100_000);
    const client = core.client();
    const credit = { messages: 100, bytes: 0 };
    const consumers = [0, 1, 2, 3].map(() => ({ client, ...client.subscribe("queue:a", { credit }) }));
    core.settle();
    const bodies: string[][] = consumers.map(() => []);
    for (let rounds = 0; queue.count > 0; rounds++) {
      expect(rounds, "rounds").toBeLessThan(2000);
      for (const [index, consumer] of consumers.entries()) bodies[index]?.push(...settleAll(consumer));
      core.clock.advance(1);
    }
    for (const seen of bodies) {
      expect(seen.length).toBeGreaterThan(3000);
      const rounds = new Map<string, string>();
      for (const body of seen) {
        expect(rounds.get(groupOf(body)), body).toBe(body.endsWith(":0") ? undefined : "0");
        rounds.set(groupOf(body), body.slice(-1));
      }
    }
    expect(queue.groupCount).toBeLessThanOrEqual(maxGroups);
  });

  it("are looked through by consumers that come and go without end", async () => {
    const core = await coreWith({});
    send(core, many.slice(0, 2000));
    const credit = { messages: 3, bytes: 0 };
    const stays = consume(core, "queue:a", { credit });
    for (let i = 0; i < 100; i++) {
      const passes = consume(core, "queue:a", { credit });
      core.clock.advance(1);
      if (passes.got.taken.length > 0) settleOne(passes, "accepted");
      passes.subscription.close();
      core.clock.advance(1);
    }
    settleAll(stays);
    for (let i = 0; i < 100 && queueOf(core, "a").count > 0; i++) {
      core.clock.advance(1);
      settleAll(stays);
    }
    expect(queueOf(core, "a").count).toBe(0);
  });
});

describe("very many consumers of a queue with message groups", () => {
  it("come and go without a stop", async () => {
    const core = await coreWith({});
    send(core, groups);
    const client = core.client();
    for (let i = 0; i < 3000; i++) client.subscribe("queue:a", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    core.clock.advance(100);
    client.core.close();
    core.settle();
    core.clock.advance(100);
    const last = consume(core, "queue:a");
    core.clock.advance(10);
    expect(settleAll(last).length).toBe(40);
    expect(queueOf(core, "a").consumerCount).toBe(1);
  });
});
