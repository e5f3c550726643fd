import { describe, expect, it } from "vitest";
import { compileSelector } from "../../core/selector/selector.ts";
import { type CoreBroker, coreBroker, parse, parsePattern, type TestClient } from "../support/core-broker.ts";

function queueOf(core: CoreBroker, name: string) {
  const queue = core.broker.host(undefined)?.queues.get(name);
  if (queue === undefined) throw new Error(`There is no queue ${name}`);
  return queue;
}

function expectBalance(core: CoreBroker, name: string): void {
  const { ledger, count } = queueOf(core, name);
  expect(ledger.received, `${name}: received = consumed + stored + lost`).toBe(
    ledger.consumed + count + ledger.lostTotal,
  );
}

function settleAll(client: TestClient, { subscription, got }: ReturnType<TestClient["subscribe"]>): string[] {
  const bodies: string[] = [];
  while (got.taken.length > 0) {
    bodies.push(got.taken[0]?.body ?? "");
    client.core.settle(subscription, got.next(), "accepted");
  }
  return bodies;
}

describe("a queue", () => {
  it("keeps messages in order for a consumer that comes later", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (const body of ["1", "2", "3"]) client.send("queue:a", body);
    const consumer = client.subscribe("queue:a");
    core.settle();
    expect(settleAll(client, consumer)).toEqual(["1", "2", "3"]);
    expect(queueOf(core, "a").count).toBe(0);
    expectBalance(core, "a");
  });

  it("gives each message to one consumer, in turn", async () => {
    const core = await coreBroker();
    const client = core.client();
    const consumers = [client.subscribe("queue:a"), client.subscribe("queue:a"), client.subscribe("queue:a")];
    core.settle();
    for (let i = 0; i < 9; i++) client.send("queue:a", String(i));
    expect(consumers.map(({ got }) => got.taken.length)).toEqual([3, 3, 3]);
    expect(consumers.flatMap(({ got }) => got.bodies).sort()).toEqual("012345678".split(""));
  });

  it("gives a message that was refused back in its place, with a grown delivery count", async () => {
    const core = await coreBroker();
    const client = core.client();
    const consumer = client.subscribe("queue:a", { credit: { messages: 2, bytes: 0 } });
    core.settle();
    for (const body of ["1", "2", "3"]) client.send("queue:a", body);
    expect(consumer.got.bodies).toEqual(["1", "2"]);
    const first = consumer.got.next();
    client.core.settle(consumer.subscription, first, "failed");
    expect(consumer.got.bodies).toEqual(["2", "1"]);
    expect(consumer.got.taken.map((item) => item.deliveries)).toEqual([0, 1]);
    expectBalance(core, "a");
  });

  it("does not count a release as a delivery", async () => {
    const core = await coreBroker();
    const client = core.client();
    const consumer = client.subscribe("queue:a", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    client.send("queue:a", "1");
    client.core.settle(consumer.subscription, consumer.got.next(), "released");
    expect(consumer.got.taken.map((item) => item.deliveries)).toEqual([0]);
  });

  it("gives a gone consumer's messages to the next one, in order and marked as delivered before", async () => {
    const core = await coreBroker();
    const [one, two] = [core.client(), core.client()];
    const first = one.subscribe("queue:a");
    core.settle();
    for (const body of ["1", "2", "3", "4"]) one.send("queue:a", body);
    one.core.settle(first.subscription, first.got.next(), "accepted");
    const second = two.subscribe("queue:a");
    core.settle();
    one.core.close();
    core.settle();
    expect(second.got.bodies).toEqual(["2", "3", "4"]);
    expect(second.got.taken.map((item) => item.deliveries)).toEqual([1, 1, 1]);
    expectBalance(core, "a");
  });

  it("delivers only what a selector wants and keeps the rest for others", async () => {
    const core = await coreBroker();
    const client = core.client();
    const red = client.subscribe("queue:a", { selector: compileSelector("colour = 'red'") });
    core.settle();
    for (const [body, colour] of [
      ["1", "red"],
      ["2", "blue"],
      ["3", "red"],
      ["4", "blue"],
    ] as const) {
      client.send("queue:a", body, { properties: { colour } });
    }
    expect(settleAll(client, red)).toEqual(["1", "3"]);
    const any = client.subscribe("queue:a");
    core.settle();
    expect(settleAll(client, any)).toEqual(["2", "4"]);
    expectBalance(core, "a");
  });

  it("goes on while either credit window is positive", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { got } = client.subscribe("queue:a", { credit: { messages: 1, bytes: 30 } });
    core.settle();
    for (let i = 0; i < 9; i++) client.send("queue:a", "123456789");
    // Ten bytes each: the message window ends after one, the byte window after three.
    expect(got.taken.length).toBe(3);
  });

  it("stops at a full consumer and goes on when it is ready", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { subscription, got } = client.subscribe("queue:a", { settling: false });
    got.room = 2;
    core.settle();
    for (const body of ["1", "2", "3"]) client.send("queue:a", body);
    expect(got.bodies).toEqual(["1", "2"]);
    got.room = 10;
    subscription.ready();
    expect(got.bodies).toEqual(["1", "2", "3"]);
  });

  it("drops what expired, when it comes, when it is served and by the sweep", async () => {
    const core = await coreBroker();
    const client = core.client();
    const now = core.clock.now();
    client.send("queue:a", "late", { expiresAt: now - 1 });
    client.send("queue:a", "soon", { expiresAt: now + 500 });
    client.send("queue:a", "swept", { expiresAt: now + 5000 });
    client.send("queue:a", "stays", { expiresAt: now + 60_000 });
    core.clock.advance(600);
    const consumer = client.subscribe("queue:a", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    expect(consumer.got.bodies).toEqual(["swept"]);
    consumer.subscription.close();
    core.settle();
    core.clock.advance(7000);
    expect(queueOf(core, "a").count).toBe(1);
    expect(queueOf(core, "a").ledger.lost.get("expired")).toBe(3);
    expectBalance(core, "a");
  });

  it("does not expire what a consumer holds", async () => {
    const core = await coreBroker();
    const client = core.client();
    const consumer = client.subscribe("queue:a");
    core.settle();
    client.send("queue:a", "1", { expiresAt: core.clock.now() + 500 });
    core.clock.advance(5000);
    expect(settleAll(client, consumer)).toEqual(["1"]);
    expect(queueOf(core, "a").ledger.consumed).toBe(1);
    expectBalance(core, "a");
  });

  it("lets a wildcard consumer have queues that come later", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:a.1", "1");
    const { got } = client.subscribe("queue:a.*");
    core.settle();
    client.send("queue:a.2", "2");
    client.send("queue:b.1", "3");
    expect(got.bodies.sort()).toEqual(["1", "2"]);
  });

  it("is deleted when nobody used it for a while, and made again when needed", async () => {
    const core = await coreBroker();
    const client = core.client();
    const route = client.core.route([parse("queue:a")]);
    client.send("queue:a", "1");
    const consumer = client.subscribe("queue:a", { settling: false });
    core.settle();
    consumer.subscription.close();
    core.clock.advance(40_000);
    expect(core.broker.host(undefined)?.queues.has("a")).toBe(false);
    expect(route.addresses).toEqual([parse("queue:a")]);
    client.send("queue:a", "2");
    expect(queueOf(core, "a").count).toBe(1);
  });

  it("keeps a configured queue for ever", async () => {
    const core = await coreBroker({ host: { policies: [{ pattern: parsePattern("queue:fixed") }] } });
    core.clock.advance(100_000);
    expect(core.broker.host(undefined)?.queues.has("fixed")).toBe(true);
  });

  it("purges what nobody holds and keeps what somebody does", async () => {
    const core = await coreBroker();
    const client = core.client();
    const consumer = client.subscribe("queue:a", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    for (const body of ["1", "2", "3"]) client.send("queue:a", body, { durable: true });
    core.settle();
    expect(queueOf(core, "a").purge()).toBe(2);
    expect(settleAll(client, consumer)).toEqual(["1"]);
    core.settle();
    expect(queueOf(core, "a").count).toBe(0);
    expectBalance(core, "a");
  });

  it("makes publishers wait when it may not store and its memory is full", async () => {
    const policies = [{ pattern: parsePattern("queue:**"), persistent: false, memoryBytes: 100 }];
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    for (let i = 0; !client.core.blocked; i++) {
      if (i > 100) throw new Error("It never filled up");
      client.send("queue:a", "123456789");
    }
    expect(queueOf(core, "a").count).toBe(11);
    expect(client.core.waitingOn).toContain("queue a");
    const consumer = core.client().subscribe("queue:a", { settling: false });
    core.settle();
    expect(consumer.got.taken.length).toBe(11);
    expect(client.unblocks).toBe(1);
    expect(client.core.blocked).toBe(false);
  });
});

describe("a queue with more than its memory", () => {
  const policies = [{ pattern: parsePattern("queue:**"), memoryBytes: 10_000 }];

  it.each([true, false])(
    "keeps the rest in the store and delivers all of it in order (durable: %s)",
    async (durable) => {
      const core = await coreBroker({ host: { policies } });
      const client = core.client();
      for (let i = 0; i < 5000; i++) {
        client.send("queue:a", String(i), { durable });
        if (i % 100 === 0) core.settle();
      }
      core.settle();
      const queue = queueOf(core, "a");
      expect(queue.count).toBe(5000);
      expect(queue.memoryBytes).toBeLessThan(12_000);
      const consumer = client.subscribe("queue:a", { credit: { messages: 10, bytes: 0 } });
      core.settle();
      const seen: string[] = [];
      while (consumer.got.taken.length > 0) {
        seen.push(...settleAll(client, consumer));
        core.settle();
        expect(queue.memoryBytes).toBeLessThan(16_000);
      }
      expect(seen).toEqual(Array.from({ length: 5000 }, (_, i) => String(i)));
      expect(queue.count).toBe(0);
      expectBalance(core, "a");
    },
  );

  it("lets a selective consumer look through all of it in bounded memory", async () => {
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    for (let i = 0; i < 3000; i++) {
      client.send("queue:a", String(i), { durable: true, properties: { n: String(i % 1000) } });
      if (i % 100 === 0) core.settle();
    }
    core.settle();
    const consumer = client.subscribe("queue:a", { selector: compileSelector("n = 999") });
    core.settle();
    expect(settleAll(client, consumer)).toEqual(["999", "1999", "2999"]);
    expect(queueOf(core, "a").memoryBytes).toBeLessThan(16_000);
    const rest = client.subscribe("queue:a", { settling: false });
    core.settle();
    expect(rest.got.taken.length).toBe(2997);
    expectBalance(core, "a");
  });

  it("drops the bodies of messages that consumers hold for long, and delivers them again when they come back", async () => {
    const core = await coreBroker({ host: { policies } });
    const [one, two] = [core.client(), core.client()];
    const holder = one.subscribe("queue:a", { credit: { messages: 5000, bytes: 0 } });
    core.settle();
    for (let i = 0; i < 3000; i++) {
      one.send("queue:a", String(i), { durable: true });
      if (i % 100 === 0) core.settle();
    }
    core.settle();
    expect(holder.got.taken.length).toBe(3000);
    expect(queueOf(core, "a").memoryBytes).toBeLessThan(12_000);
    one.core.close();
    const next = two.subscribe("queue:a", { settling: false });
    core.settle();
    expect(next.got.bodies).toEqual(Array.from({ length: 3000 }, (_, i) => String(i)));
    expect(new Set(next.got.taken.map((item) => item.deliveries))).toEqual(new Set([1]));
    expectBalance(core, "a");
  });

  it("expires what is only in the store", async () => {
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    const now = core.clock.now();
    for (let i = 0; i < 2000; i++) {
      client.send("queue:a", String(i), { durable: true, expiresAt: i % 2 === 0 ? now + 10_000 : 0 });
      if (i % 100 === 0) core.settle();
    }
    core.clock.advance(30_000);
    expect(queueOf(core, "a").count).toBe(1000);
    expect(queueOf(core, "a").memoryBytes).toBeLessThan(16_000);
    expectBalance(core, "a");
  });
});

describe("a search through a long queue", () => {
  it("goes on over several turns until it finds what a selector wants", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (let i = 0; i < 20_000; i++) client.send("queue:a", String(i), { properties: { n: String(i) } });
    const { got } = client.subscribe("queue:a", { selector: compileSelector("n = 19999") });
    core.settle();
    expect(got.bodies).toEqual([]);
    core.clock.advance(10);
    expect(got.bodies).toEqual(["19999"]);
  });
});

describe("a consumer that throws", () => {
  it.each([
    { settling: true, later: ["2", "3", "1"] },
    { settling: false, later: ["2", "3"] },
  ])("does not stop the queue for everybody else (settling: $settling)", async ({ settling, later }) => {
    const core = await coreBroker();
    const client = core.client();
    const none = { messages: 0, bytes: 0 };
    const good = client.subscribe("queue:a", { credit: none });
    const consumer = {
      deliver(): boolean {
        good.subscription.grant(10, 0);
        throw new Error("broken");
      },
      cancelled(): void {},
    };
    const bad = client.subscribe("queue:a", { settling, credit: none, consumer });
    bad.subscription.autoRefill = false;
    core.settle();
    for (const body of ["1", "2", "3"]) client.send("queue:a", body);
    expect(() => bad.subscription.grant(10, 0)).toThrow("broken");
    core.clock.advance(10);
    expect(good.got.bodies).toEqual(["2", "3"]);
    bad.subscription.close();
    expect(good.got.bodies).toEqual(later);
    expectBalance(core, "a");
  });
});

describe("very many consumers of one client", () => {
  it("give back all they hold, in order and each once, when the client closes, and nothing of anybody else's", async () => {
    const core = await coreBroker();
    const [many, other, later] = [core.client(), core.client(), core.client()];
    const credit = { messages: 2, bytes: 0 };
    for (let i = 0; i < 300; i++) many.subscribe("queue:a", { credit });
    const kept = other.subscribe("queue:a", { credit });
    core.settle();
    for (let i = 0; i < 602; i++) many.send("queue:a", String(i));
    expect(queueOf(core, "a").held).toBe(602);
    many.core.close();
    expect(queueOf(core, "a").held).toBe(2);
    const { got } = later.subscribe("queue:a");
    core.settle();
    const expected = Array.from({ length: 602 }, (_, i) => String(i)).filter((body) => !kept.got.bodies.includes(body));
    expect(got.bodies).toEqual(expected);
    expect(new Set(got.taken.map(({ deliveries }) => deliveries))).toEqual(new Set([1]));
  });

  it("are still served in turn after some in the middle have gone", async () => {
    const core = await coreBroker();
    const client = core.client();
    const consumers = Array.from({ length: 6 }, () => client.subscribe("queue:a"));
    core.settle();
    for (const index of [1, 5, 0]) consumers[index]?.subscription.close();
    for (let i = 0; i < 9; i++) client.send("queue:a", String(i));
    expect(consumers.map(({ got }) => got.taken.length)).toEqual([0, 0, 3, 3, 3, 0]);
    const left = [...queueOf(core, "a").links()].map(({ subscription }) => subscription);
    expect(new Set(left)).toEqual(new Set(consumers.slice(2, 5).map(({ subscription }) => subscription)));
    expect(left.length).toBe(3);
  });
});
