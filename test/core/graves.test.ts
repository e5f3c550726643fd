import { describe, expect, it } from "vitest";
import type { PolicyRule } from "../../core/policy.ts";
import {
  type CoreBroker,
  coreBroker,
  parse,
  parsePattern,
  type TestClient,
  testStore,
} from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function policies(rules: Readonly<Record<string, Omit<PolicyRule, "pattern">>>): PolicyRule[] {
  return Object.entries(rules).map(([pattern, rule]) => ({ pattern: parsePattern(pattern), ...rule }));
}

function reject(core: CoreBroker, client: TestClient, queue: string): void {
  const { subscription, got } = client.subscribe(queue);
  core.settle();
  client.core.settle(subscription, got.next(), "rejected");
  subscription.close();
  core.settle();
}

function graves(core: CoreBroker): Record<string, (number | undefined)[]> {
  const { graves: found } = core.broker.hosts.get("default") ?? {};
  return Object.fromEntries(Array.from(found ?? [], ([name, { since, lastAt }]) => [name, [since, lastAt]]));
}

describe("a queue that dead letters come to", () => {
  it("is known from then on, and others are not", async () => {
    const core = await coreBroker({ host: { policies: policies({ "queue:*": { deadLetterQueue: "DLQ" } }) } });
    const client = core.client();
    const first = core.clock.now();
    client.send("queue:a", "1");
    client.send("queue:DLQ", "sent there by hand");
    expect(graves(core)).toEqual({});
    reject(core, client, "queue:a");
    core.clock.advance(1000);
    client.send("queue:a", "2");
    reject(core, client, "queue:a");
    expect(graves(core)).toEqual({ DLQ: [first, first + 1000] });
  });

  it("is known when they come over an exchange, with all the queues that it leads to", async () => {
    const policy = { deadLetterExchange: "dlx", deadLetterRoutingKey: "k" };
    const core = await coreBroker({ host: { policies: policies({ "queue:a": policy }) } });
    const client = core.client();
    client.core.declareExchange({
      name: "dlx",
      type: "fanout",
      durable: true,
      autoDelete: false,
      internal: false,
      arguments: new Map(),
    });
    for (const name of ["one", "two"]) {
      client.send(`queue:${name}`, "before");
      client.core.bindQueue(parse(`queue:${name}`), { source: "dlx", key: "", arguments: new Map() });
    }
    client.send("queue:a", "1");
    reject(core, client, "queue:a");
    expect(Object.keys(graves(core))).toEqual(["one", "two"]);
  });

  it("is known when it is one with a topic", async () => {
    const rules = { "queue:a": { deadLetterQueue: "DLQ" }, "queue:DLQ": { mirrored: true } };
    const core = await coreBroker({ host: { policies: policies(rules) } });
    const client = core.client();
    client.send("queue:a", "1");
    reject(core, client, "queue:a");
    expect(Object.keys(graves(core))).toEqual(["DLQ"]);
  });

  it("is not the one that an expelled message leaves to make room for another", async () => {
    const rules = {
      "queue:a": { deadLetterQueue: "ring" },
      "queue:plain": { maxMessages: 10, full: "reject" },
      "queue:ring": { maxMessages: 1, full: "drop-head", deadLetterExchange: "", deadLetterRoutingKey: "rest" },
    } as const;
    const core = await coreBroker({ host: { policies: policies(rules) } });
    const client = core.client();
    client.send("queue:rest", "before");
    for (const body of ["1", "2"]) {
      client.send("queue:a", body);
      reject(core, client, "queue:a");
    }
    expect(Object.keys(graves(core)).sort()).toEqual(["rest", "ring"]);
    client.send("queue:plain", "1");
    expect(Object.keys(graves(core))).not.toContain("plain");
  });

  it("is known after a restart, until it is deleted", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const host = { policies: policies({ "queue:*": { deadLetterQueue: "DLQ" } }) };
    const first = await coreBroker({ clock, store, host });
    const client = first.client();
    const since = clock.now();
    client.send("queue:a", "1", { durable: true });
    reject(first, client, "queue:a");
    await first.broker.close();
    const second = await coreBroker({ clock, store, host });
    expect(graves(second)).toEqual({ DLQ: [since, undefined] });
    second.broker.hosts.get("default")?.deleteQueue(parse("queue:DLQ"));
    expect(graves(second)).toEqual({});
    expect([...second.store.keys("grave")]).toEqual([]);
  });

  it("is forgotten when it is not there after a restart", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const host = { policies: policies({ "queue:*": { deadLetterQueue: "DLQ" } }) };
    const first = await coreBroker({ clock, store, host });
    const client = first.client();
    client.send("queue:a", "not durable");
    reject(first, client, "queue:a");
    await first.broker.close();
    const second = await coreBroker({ clock, store, host });
    expect(graves(second)).toEqual({});
    expect([...second.store.keys("grave")]).toEqual([]);
  });
});
