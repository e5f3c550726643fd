import { describe, expect, it } from "vitest";
import type { Message } from "../../core/message.ts";
import type { PolicyRule } from "../../core/policy.ts";
import { coreBroker, parse, parsePattern, plainMessage, testStore } from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

type Rule = Omit<PolicyRule, "pattern">;

function policies(...rules: [string, Rule][]): { host: { policies: PolicyRule[] } } {
  return { host: { policies: rules.map(([pattern, rule]) => ({ pattern: parsePattern(pattern), ...rule })) } };
}

describe("a message that is too large", () => {
  it("is refused, and no destination of a composite has it", async () => {
    const core = await coreBroker(policies(["queue:small", { maxMessageBytes: 10 }]));
    const client = core.client();
    const route = client.core.route([parse("queue:any"), parse("queue:small")]);
    const send = (body: string): void => client.core.publish(route, plainMessage(parse("queue:any"), body));
    send("123456789");
    expect(() => send("1234567890")).toThrow(
      "The queue small takes at most 10 bytes (max_message_size), the message has 11",
    );
    const host = core.broker.host(undefined);
    expect([host?.queues.get("any")?.count, host?.queues.get("small")?.count]).toEqual([1, 1]);
  });

  it("is not retained either", async () => {
    const core = await coreBroker(policies(["topic:small", { maxMessageBytes: 10 }]));
    const client = core.client();
    const address = parse("topic:small");
    const route = client.core.route([address]);
    const retain = (body: string): void => client.core.retain(route, plainMessage(address, body));
    retain("123456789");
    expect(() => retain("1234567890")).toThrow(/takes at most 10 bytes/);
    const retained = core.broker.host(undefined)?.retained;
    expect(retained?.get(address)?.body.toString()).toBe("123456789");
    client.core.retain(route, undefined);
    expect(retained?.count).toBe(0);
  });

  it("has a whole transaction refused", async () => {
    const core = await coreBroker(policies(["topic:small", { maxMessageBytes: 10 }]));
    const client = core.client();
    const transaction = client.core.begin();
    for (const [to, body] of [
      ["queue:any", "1"],
      ["topic:small", "much too large"],
    ] as const) {
      client.core.publish(client.core.route([parse(to)]), plainMessage(parse(to), body), transaction);
    }
    expect(() => transaction.commit()).toThrow("max_message_size");
    expect(core.broker.host(undefined)?.queues.get("any")?.count).toBe(0);
  });
});

/** What a message for several destinations has left to live at each, in milliseconds; 0 for ever. */
async function remaining(rule: Rule, options: { ttl?: number; to?: string[] }): Promise<number[]> {
  const core = await coreBroker(policies(["queue:a", rule]));
  const client = core.client();
  const now = core.clock.now();
  const { ttl, to = ["queue:a"] } = options;
  const addresses = to.map(parse);
  const message = plainMessage(parse("queue:a"), "1", ttl === undefined ? {} : { expiresAt: now + ttl });
  client.core.publish(client.core.route(addresses), message);
  const got = to.map((name) => client.subscribe(name).got);
  core.settle();
  return got.map(({ taken }) => taken[0]?.message.expiresAt ?? -1).map((at) => (at === 0 ? 0 : at - now));
}

describe("the time to live", () => {
  const minute = 60_000;

  it("is the policy's where the sender said nothing", async () => {
    expect(await remaining({ defaultTtlMs: minute }, {})).toEqual([minute]);
    expect(await remaining({ defaultTtlMs: minute }, { ttl: 5 })).toEqual([5]);
  });

  it("is held within the policy's bounds, no expiry being for ever", async () => {
    const bounds = { minTtlMs: 10, maxTtlMs: minute };
    expect(await remaining(bounds, { ttl: 5 })).toEqual([10]);
    expect(await remaining(bounds, { ttl: 20 })).toEqual([20]);
    expect(await remaining(bounds, { ttl: 2 * minute })).toEqual([minute]);
    expect(await remaining(bounds, {})).toEqual([minute]);
  });

  it("is bounded in one destination of a composite without a change to the others", async () => {
    expect(await remaining({ maxTtlMs: minute }, { to: ["queue:a", "queue:b"] })).toEqual([minute, 0]);
  });

  it("is none for what had expired when it came", async () => {
    const core = await coreBroker(policies(["queue:a", { minTtlMs: minute }]));
    core.client().send("queue:a", "late", { expiresAt: core.clock.now() - 1 });
    expect(core.broker.host(undefined)?.queues.get("a")?.ledger.lost.get("expired")).toBe(1);
  });
});

describe("a queue that refuses what it has no room for", () => {
  const full = { maxMessages: 1, full: "reject" } as const;

  it("tells the sender, and no destination of a composite has the message", async () => {
    const core = await coreBroker(policies(["queue:full", full]));
    const client = core.client();
    const route = client.core.route([parse("queue:any"), parse("queue:full")]);
    const send = (): void => client.core.publish(route, plainMessage(parse("queue:any"), "1"));
    send();
    expect(send).toThrow("at most 1 messages (max_messages) are allowed");
    const host = core.broker.host(undefined);
    expect([host?.queues.get("any")?.count, host?.queues.get("full")?.count]).toEqual([1, 1]);
  });

  it("has a transaction refused before anything is carried out, and takes one whole that it let in", async () => {
    const core = await coreBroker(policies(["queue:full", full]));
    const client = core.client();
    const host = core.broker.host(undefined);
    const commit = (): void => {
      const transaction = client.core.begin();
      for (const to of ["queue:any", "queue:full", "queue:full"].map(parse)) {
        client.core.publish(client.core.route([to]), plainMessage(to, "1"), transaction);
      }
      transaction.commit();
    };
    commit();
    expect(commit).toThrow("max_messages");
    expect([host?.queues.get("any")?.count, host?.queues.get("full")?.count]).toEqual([1, 2]);
  });
});

describe("a durable subscription", () => {
  it("has a policy of its own for what it takes, other than its topics'", async () => {
    const durablePolicies = [
      { match: parsePattern("queue:small.*"), maxMessageBytes: 5, defaultTtlMs: 1000 },
      { match: parsePattern("queue:full"), maxMessages: 1, full: "reject" },
    ] as const;
    const core = await coreBroker({ host: { durablePolicies } });
    const client = core.client();
    const patterns = [parsePattern("topic:t")];
    for (const durable of ["small.1", "full", "any"]) client.subscribe("", { patterns, durable }).subscription.close();
    for (const body of ["1", "more than five bytes"]) client.send("topic:t", body);
    const durables = core.broker.host(undefined)?.durables;
    const lost = ["small.1", "full", "any"].map((id) => [...(durables?.get(id)?.queue.ledger.lost ?? [])]);
    expect(lost).toEqual([[["refused", 1]], [["dropped-newest", 1]], []]);
    core.clock.advance(5000);
    expect(durables?.get("small.1")?.queue.ledger.lost.get("expired")).toBe(1);
  });
});

describe("a repeated send", () => {
  it("is counted and delivered to nobody", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { got } = client.subscribe("topic:t", { settling: false });
    core.settle();
    for (const id of ["1", "2", "1"]) {
      client.send("topic:t", id, { duplicateId: id });
      client.send("queue:q", id, { duplicateId: id });
    }
    const host = core.broker.host(undefined);
    expect(got.bodies).toEqual(["1", "2"]);
    expect(host?.queues.get("q")?.count).toBe(2);
    expect(host?.queues.get("q")?.ledger.lost.get("duplicate")).toBe(1);
    expect(host?.topics.get("t")?.ledger.lost.get("duplicate")).toBe(1);
  });

  it("is confirmed when the first one is safe", async () => {
    const core = await coreBroker();
    const [first, second] = [core.client(), core.client()];
    first.send("queue:q", "1", { duplicateId: "1", durable: true });
    second.send("queue:q", "1", { duplicateId: "1", durable: true });
    second.core.confirm("again");
    expect(second.confirms).toEqual([]);
    core.settle();
    expect(second.confirms).toEqual(["again"]);
  });

  it("is found after a restart, and not any more when the address was deleted", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const before = await coreBroker({ clock, store });
    before.client().send("queue:q", "1", { duplicateId: "1", durable: true });
    before.settle();
    await before.broker.close();
    const after = await coreBroker({ clock, store });
    const host = after.broker.host(undefined);
    const client = after.client();
    client.send("queue:q", "1", { duplicateId: "1", durable: true });
    expect(host?.queues.get("q")?.count).toBe(1);
    host?.deleteQueue(parse("queue:q"));
    client.send("queue:q", "1", { duplicateId: "1", durable: true });
    expect(host?.queues.get("q")?.count).toBe(1);
    expect(host?.queues.get("q")?.ledger.lost.size).toBe(0);
  });

  it("is found after a restart as long as anybody uses the address, which leaves nothing behind then", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const addresses = ["topic:a b", "topic:a", "queue:a", "queue:a.b"];
    const before = await coreBroker({ clock, store });
    const consumer = before.client();
    consumer.subscribe("queue:**", { settling: false });
    before.settle();
    for (const to of addresses) before.client().send(to, "1", { duplicateId: "1", durable: true });
    for (let i = 0; i < 3; i++) before.client().send("queue:a", "2", { duplicateId: `${i}`, durable: true });
    before.settle();
    await before.broker.close();
    const after = await coreBroker({ clock, store });
    const host = after.broker.host(undefined);
    expect([host?.queues.size, ...(host?.topics.keys() ?? [])]).toEqual([2, "a", "a b"]);
    for (const to of addresses) after.client().send(to, "1", { duplicateId: "1", durable: true });
    const all = [...(host?.queues.values() ?? []), ...(host?.topics.values() ?? [])];
    expect(all.map(({ ledger }) => ledger.lost.get("duplicate"))).toEqual([1, 1, 1, 1]);
    // Longer than for other destinations that nobody uses: who missed a confirmation may come back late.
    clock.advance(500_000);
    expect([host?.queues.size, host?.topics.size]).toEqual([2, 2]);
    clock.advance(200_000);
    expect([host?.queues.size, host?.topics.size, [...store.keys("duplicates")]]).toEqual([0, 0, []]);
  });

  it("is as good as any where no ids are remembered", async () => {
    const core = await coreBroker(policies(["queue:q", { duplicateWindow: 0 }]));
    const client = core.client();
    for (const id of ["1", "1"]) client.send("queue:q", id, { duplicateId: id });
    expect(core.broker.host(undefined)?.queues.get("q")?.count).toBe(2);
  });

  it("is looked for when the transaction commits", async () => {
    const core = await coreBroker();
    const client = core.client();
    const address = parse("queue:q");
    const route = client.core.route([address]);
    const message = (): Message => plainMessage(address, "1", { duplicateId: "1" });
    const aborted = client.core.begin();
    client.core.publish(route, message(), aborted);
    aborted.abort();
    const transaction = client.core.begin();
    client.core.publish(route, message(), transaction);
    client.core.publish(route, message(), transaction);
    transaction.commit();
    expect(core.broker.host(undefined)?.queues.get("q")?.count).toBe(1);
  });

  it("with an id that cannot be kept is refused before any destination has it", async () => {
    const core = await coreBroker(policies(["queue:a", { duplicateWindow: 0 }]));
    const client = core.client();
    const route = client.core.route([parse("queue:a"), parse("queue:b")]);
    const message = plainMessage(parse("queue:a"), "1", { duplicateId: "x".repeat(300) });
    expect(() => client.core.publish(route, message)).toThrow("The duplicate id has 300 bytes");
    expect(core.broker.host(undefined)?.queues.get("a")?.ledger.received).toBe(0);
  });
});
