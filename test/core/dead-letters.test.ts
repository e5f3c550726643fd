import { describe, expect, it } from "vitest";
import type { Annotation } from "../../core/message.ts";
import type { PolicyRule } from "../../core/policy.ts";
import {
  type CoreBroker,
  coreBroker,
  type MessageOptions,
  parse,
  parsePattern,
  plainMessage,
  type TestClient,
  testStore,
} from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

type Rules = Readonly<Record<string, Omit<PolicyRule, "pattern">>>;

function policies(rules: Rules): PolicyRule[] {
  return Object.entries(rules).map(([pattern, rule]) => ({ pattern: parsePattern(pattern), ...rule }));
}

/** Settles the next message of a queue as rejected. */
function reject(core: CoreBroker, client: TestClient, queue: string): void {
  const { subscription, got } = client.subscribe(queue);
  core.settle();
  client.core.settle(subscription, got.next(), "rejected");
  subscription.close();
  core.settle();
}

function annotations(core: CoreBroker, client: TestClient, queue: string): Record<string, unknown> | undefined {
  const { subscription, got } = client.subscribe(queue);
  core.settle();
  const message = got.taken[0]?.message;
  client.core.settle(subscription, got.next(), "released");
  subscription.close();
  core.settle();
  return message && { ...Object.fromEntries(message.annotations), expiresAt: message.expiresAt };
}

function count(core: CoreBroker, queue: string): number | undefined {
  return core.broker.host(undefined)?.queues.get(queue)?.count;
}

describe("a message that is rejected", () => {
  it("goes to the dead-letter queue of its queue, made for it, and says why and whence", async () => {
    const core = await coreBroker({ host: { policies: policies({ "queue:orders.*": { deadLetterQueue: "DLQ.*" } }) } });
    const client = core.client();
    const now = core.clock.now();
    client.send("queue:orders.eu", "1", { expiresAt: now + 1000 });
    reject(core, client, "queue:orders.eu");
    expect(annotations(core, client, "queue:DLQ.orders.eu")).toEqual({
      dead_letter_reason: "rejected",
      dead_letter_origin: "queue:orders.eu",
      dead_letter_sequence: 1,
      dead_letter_deliveries: 1,
      dead_letter_count: 1,
      dead_letter_at: now,
      dead_letter_first_at: now,
      dead_letter_expires_at: now + 1000,
      dead_letter_history: JSON.stringify([
        {
          queue: "orders.eu",
          reason: "rejected",
          count: 1,
          exchange: "",
          key: "orders.eu",
          at: now,
          expiration: now + 1000,
        },
      ]),
      expiresAt: 0,
    });
    expect(core.broker.host(undefined)?.queues.get("orders.eu")?.ledger.lost.get("dead-lettered")).toBe(1);
  });

  it("is lost by that name where there are no dead letters", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:a", "1");
    reject(core, client, "queue:a");
    expect(core.broker.host(undefined)?.queues.get("a")?.ledger.lost).toEqual(new Map([["rejected", 1]]));
  });

  it("stays where dead letters go already, whatever policy matches there", async () => {
    const everywhere = { "queue:**": { deadLetterQueue: "DLQ.*" }, "queue:all": { deadLetterQueue: "all" } };
    const core = await coreBroker({ host: { policies: policies(everywhere) } });
    const client = core.client();
    client.send("queue:a", "1");
    client.send("queue:all", "2");
    reject(core, client, "queue:a");
    reject(core, client, "queue:DLQ.a");
    reject(core, client, "queue:all");
    expect([count(core, "DLQ.a"), count(core, "all"), count(core, "DLQ.DLQ.a")]).toEqual([1, 1, undefined]);
    expect(core.broker.host(undefined)?.queues.get("all")?.ledger.lost.size).toBe(0);
  });

  it("keeps count of its deaths and the time of the first one", async () => {
    const core = await coreBroker({ host: { policies: policies({ "queue:a": { deadLetterQueue: "dead" } }) } });
    const client = core.client();
    const first = core.clock.now();
    client.send("queue:a", "1");
    reject(core, client, "queue:a");
    const { got } = client.subscribe("queue:dead", { settling: false });
    core.settle();
    const dead = got.taken[0]?.message ?? plainMessage(parse("queue:a"), "none");
    client.core.publish(client.core.route([parse("queue:a")]), dead);
    core.clock.advance(500);
    reject(core, client, "queue:a");
    expect(got.taken[1]?.message.annotations).toEqual(
      new Map<string, Annotation>([
        ...dead.annotations,
        ["dead_letter_sequence", 2],
        ["dead_letter_count", 2],
        ["dead_letter_first_at", first],
        ["dead_letter_at", first + 500],
        [
          "dead_letter_history",
          JSON.stringify([{ queue: "a", reason: "rejected", count: 2, exchange: "", key: "a", at: first }]),
        ],
      ]),
    );
  });

  it("from a durable subscription goes where the subscription's policy says", async () => {
    const durablePolicies = [{ match: parsePattern("queue:billing.*"), deadLetterQueue: "dead.*" }];
    const core = await coreBroker({ host: { durablePolicies } });
    const client = core.client();
    const { subscription, got } = client.subscribe("topic:t", { durable: "billing.e*u" });
    core.settle();
    client.send("topic:t", "1");
    client.core.settle(subscription, got.next(), "rejected");
    core.settle();
    expect(annotations(core, client, "queue:dead.billing.e%2Au")).toMatchObject({
      dead_letter_origin: "dsub:billing.e*u",
    });
  });

  it("is taken by a full dead-letter queue that would refuse others, and what is too large for it too", async () => {
    const dead = { maxMessages: 1, full: "reject" as const, maxMessageBytes: 1 };
    const core = await coreBroker({
      host: { policies: policies({ "queue:a": { deadLetterQueue: "dead" }, "queue:dead": dead }) },
    });
    const client = core.client();
    for (const body of ["1", "2"]) client.send("queue:a", body);
    for (let i = 0; i < 2; i++) reject(core, client, "queue:a");
    expect(count(core, "dead")).toBe(2);
    expect(() => client.send("queue:dead", "")).toThrow("max_messages");
  });

  it("makes room in a dead-letter queue that is a ring, and has the time to live that the queue gives", async () => {
    const ring = { maxMessages: 1, full: "drop-head" as const, defaultTtlMs: 1000 };
    const core = await coreBroker({
      host: { policies: policies({ "queue:a": { deadLetterQueue: "dead" }, "queue:dead": ring }) },
    });
    const client = core.client();
    for (const body of ["1", "2"]) client.send("queue:a", body);
    for (let i = 0; i < 2; i++) reject(core, client, "queue:a");
    expect(count(core, "dead")).toBe(1);
    core.clock.advance(5000);
    expect(core.broker.host(undefined)?.queues.get("dead")?.ledger.lost).toEqual(
      new Map([
        ["dropped-oldest", 1],
        ["expired", 1],
      ]),
    );
  });

  it("is at its queue or among the dead letters after a restart, with all it says", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const host = { policies: policies({ "queue:a": { deadLetterQueue: "dead" } }) };
    const first = await coreBroker({ clock, store, host });
    first.client().send("queue:a", "1", { durable: true });
    reject(first, first.client(), "queue:a");
    await first.broker.close();
    const second = await coreBroker({ clock, store, host });
    expect([count(second, "a"), count(second, "dead")]).toEqual([0, 1]);
    expect(annotations(second, second.client(), "queue:dead")).toMatchObject({ dead_letter_origin: "queue:a" });
  });

  it("is lost by that name where the dead-letter queue's name would be too long", async () => {
    const core = await coreBroker({ host: { policies: policies({ "queue:**": { deadLetterQueue: "DLQ.*" } }) } });
    const client = core.client();
    const name = "x".repeat(1022);
    client.send(`queue:${name}`, "1");
    reject(core, client, `queue:${name}`);
    expect(core.broker.host(undefined)?.queues.get(name)?.ledger.lost).toEqual(new Map([["rejected", 1]]));
  });
});

async function expire(rules: Rules, options: MessageOptions = {}): Promise<CoreBroker> {
  const core = await coreBroker({ host: { policies: policies(rules) } });
  core.client().send("queue:a", "1", { expiresAt: core.clock.now() + 100, ...options });
  core.clock.advance(5000);
  return core;
}

describe("a message that expires", () => {
  it("goes to the expiry queue, for good", async () => {
    const core = await expire({ "queue:**": { expiryQueue: "expired" } });
    expect(annotations(core, core.client(), "queue:expired")).toMatchObject({
      dead_letter_reason: "expired",
      dead_letter_origin: "queue:a",
      expiresAt: 0,
    });
  });

  it("goes there at once when it had expired on its way", async () => {
    const core = await expire({ "queue:a": { expiryQueue: "expired" } }, { expiresAt: 1 });
    expect(count(core, "expired")).toBe(1);
  });

  it("is not one of the dead letters without an expiry queue", async () => {
    const core = await expire({ "queue:a": { deadLetterQueue: "dead" } });
    expect(count(core, "dead")).toBeUndefined();
  });

  it("among the expired ones is gone", async () => {
    const core = await expire({ "queue:**": { expiryQueue: "expired" }, "queue:expired": { defaultTtlMs: 100 } });
    expect(count(core, "expired")).toBe(0);
  });
});
