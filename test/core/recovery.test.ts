import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Address, AddressKind } from "../../core/addresses/address.ts";
import type { BrokerOptions } from "../../core/broker.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import type { HostSettings } from "../../core/virtual-host.ts";
import { LmdbStore } from "../../store/lmdb/store.ts";
import {
  type CoreBroker,
  coreBroker,
  parse,
  parsePattern,
  plainMessage,
  testFormats,
  testStore,
} from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "delos-recovery-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

function addresses(name: string, kind: AddressKind): Address {
  return canonical.parse(kind, name);
}

function start(directory: string): Promise<CoreBroker> {
  const clock = new VirtualClock();
  return coreBroker({ clock, store: new LmdbStore({ directory, formats: testFormats, addresses, clock }) });
}

describe("a broker that starts again over its files", () => {
  it("has its queues, durable subscriptions with filters and selector, and retained messages as they were", async () => {
    const directory = await scratch();
    const first = await start(directory);
    const client = first.client();
    for (const body of ["1", "2", "3"]) client.send("queue:a", body, { durable: true });
    client.send("queue:a", "gone");
    const selector = compileSelector("n = 1");
    client.subscribe("topic:t.* topic:u", { durable: "d", selector }).subscription.close();
    client.send("topic:t.x", "yes", { durable: true, properties: { n: "1" } });
    client.send("topic:u", "no", { durable: true, properties: { n: "2" } });
    client.core.retain(client.core.route([parse("topic:r")]), plainMessage(parse("topic:r"), "kept"));
    client.core.temporary("queue", "t");
    const id = client.core.id;
    client.core.close();
    await first.broker.close();

    const second = await start(directory);
    const again = second.client();
    expect(again.core.id).not.toBe(id);
    const queue = again.subscribe("queue:a", { settling: false });
    again.send("topic:u", "also", { durable: true, properties: { n: "1" } });
    again.send("topic:other", "no", { durable: true, properties: { n: "1" } });
    const durable = again.subscribe("", { attachDurable: "d", settling: false });
    const retained = again.subscribe("topic:r", { settling: false });
    second.settle();
    expect(queue.got.bodies).toEqual(["1", "2", "3"]);
    expect(durable.got.bodies).toEqual(["yes", "also"]);
    expect(retained.got.bodies).toEqual(["kept"]);
    expect(second.broker.engine.memoryBytes).toBe(0);
    await second.broker.close();

    const third = await start(directory);
    const host = third.broker.host(undefined);
    expect([host?.queues.get("a")?.count, host?.durables.get("d")?.queue.count]).toEqual([0, 0]);
    await third.broker.close();
  });
});

async function open(
  fill: (store: ReturnType<typeof testStore>) => void,
  host: Partial<HostSettings> = {},
): Promise<{ core: CoreBroker; reports: string[] }> {
  const clock = new VirtualClock();
  const store = testStore(clock);
  const reports: string[] = [];
  fill(store);
  const broker: Partial<BrokerOptions> = { report: (sentence) => reports.push(sentence) };
  return { core: await coreBroker({ clock, store, host, broker }), reports };
}

function describedQueue(name: string): string {
  return JSON.stringify({ kind: "queue", host: "default", levels: [name] });
}

describe("a broker whose store holds what it does not know", () => {
  it.each([
    ["a damaged description", "{", "stays there untouched"],
    ["a virtual host that is not configured", '{"kind":"queue","host":"other","levels":["a"]}', "not configured"],
  ])("starts and says so: %s", async (_what, description, sentence) => {
    const { core, reports } = await open((store) => store.putQueue(7, description));
    expect(reports.join()).toContain(sentence);
    const client = core.client();
    client.send("queue:a", "1", { durable: true });
    expect(core.broker.host(undefined)?.queues.get("a")?.storeKey).toBe(8);
  });

  it("starts and says so: a retained message whose topic cannot be read", async () => {
    const name = `default\0${"x".repeat(100_000)}`;
    const { core, reports } = await open((store) => store.put("retained", name, Buffer.alloc(1)));
    expect(reports.join()).toContain("its topic cannot be read");
    expect(core.broker.host(undefined)?.retained.count).toBe(0);
  });

  it("starts with more queues than it may have, and makes the configured ones", async () => {
    const { core } = await open(
      (store) => {
        store.putQueue(1, describedQueue("a"));
        store.putQueue(2, describedQueue("b"));
      },
      { maxDestinations: 1, policies: [{ pattern: parsePattern("queue:fixed") }] },
    );
    expect([...(core.broker.host(undefined)?.queues.keys() ?? [])]).toEqual(["a", "b", "fixed"]);
  });
});

describe("messages of several priorities", () => {
  it("are in one queue after a restart, and in one durable subscription", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const first = await coreBroker({ clock, store });
    const client = first.client();
    client.subscribe("topic:t", { durable: "d" }).subscription.close();
    for (const to of ["queue:a", "topic:t"]) {
      for (const priority of [9, 0, 4]) client.send(to, `${priority}`, { priority, durable: true });
    }
    first.settle();
    await first.broker.close();
    const second = await coreBroker({ clock, store });
    const consumer = second.client();
    const queue = consumer.subscribe("queue:a", { settling: false });
    const durable = consumer.subscribe("", { attachDurable: "d", settling: false });
    second.settle();
    expect([queue.got.bodies, durable.got.bodies]).toEqual([
      ["9", "4", "0"],
      ["9", "4", "0"],
    ]);
  });
});
