import { describe, expect, it } from "vitest";
import type { PropertyValue } from "../../core/message.ts";
import type { BrokerOptions } from "../../core/broker.ts";
import { type CoreBroker, coreBroker, parse, testStore } from "../support/core-broker.ts";
import { bind, counts, declareQueue, exchange, publish, unbind } from "../support/core-exchanges.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** A broker that starts again over what another one left. */
async function restarted(core: CoreBroker, broker: Partial<BrokerOptions> = {}): Promise<CoreBroker> {
  core.settle();
  await core.broker.close();
  return coreBroker({ clock: core.clock, store: core.store, broker });
}

async function start(): Promise<CoreBroker> {
  const clock = new VirtualClock();
  return coreBroker({ clock, store: testStore(clock) });
}

function bindingsOf({ broker }: CoreBroker, name: string): string[] {
  const found = broker.host(undefined)?.exchanges.get(name).bindings.values() ?? [];
  return Array.from(found, ({ key }) => key).sort();
}

describe("after a restart", () => {
  it("durable exchanges are as they were declared, and others are gone", async () => {
    const first = await start();
    const client = first.client();
    const given = new Map<string, string | number | boolean>([["alternate-exchange", "y"]]);
    const declared = exchange("x.y", "headers", {
      durable: true,
      autoDelete: true,
      internal: true,
      alternate: "y",
      delayed: true,
      arguments: given,
    });
    client.core.declareExchange(declared);
    client.core.declareExchange(exchange("gone", "direct"));
    const second = await restarted(first);
    const again = second.client();
    expect(again.core.checkExchange("x.y")).toMatchObject(declared);
    again.core.declareExchange(declared);
    expect(() => again.core.checkExchange("gone")).toThrow("no exchange");
  });

  it("bindings are there between what is, each once, and lead on", async () => {
    const first = await start();
    const client = first.client();
    declareQueue(client, "a");
    declareQueue(client, "transient", false);
    client.core.declareExchange(exchange("x", "topic", { durable: true }));
    client.core.declareExchange(exchange("t", "topic"));
    for (const source of ["x", "t", "amq.topic"]) {
      for (const queue of ["a", "transient"]) bind(client, source, `queue:${queue}`, "k.*");
    }
    bind(client, "x", "queue:a", "k.*");
    bind(client, "amq.direct", "exchange:x", "k.l");
    bind(client, "amq.topic", "exchange:x", "#.z");
    bind(client, "x", "queue:a", "k.z");
    unbind(client, "x", "queue:a", "k.z");
    const second = await restarted(first);
    expect(bindingsOf(second, "x")).toEqual(["k.*"]);
    expect(bindingsOf(second, "amq.topic")).toEqual(["#.z", "k.*"]);
    const again = second.client();
    publish(again, "amq.direct", "k.l", "1");
    publish(again, "amq.topic", "k.m", "2");
    publish(again, "amq.topic", "k.z", "3");
    expect(counts(second, "a")).toEqual([3]);
    bind(again, "x", "queue:a", "new");
    unbind(again, "x", "queue:a", "k.*");
    const third = await restarted(second);
    expect(bindingsOf(third, "x")).toEqual(["new"]);
  });

  it("what a headers exchange asks for is asked for again, whatever its type", async () => {
    const first = await start();
    const client = first.client();
    declareQueue(client, "a");
    const given: Record<string, PropertyValue> = {
      text: "t",
      small: 1.5,
      nothing: null,
      endless: Number.POSITIVE_INFINITY,
      large: 2n ** 60n,
      yes: true,
      bytes: Buffer.from([0, 255]),
      "x-match": "any",
    };
    bind(client, "amq.headers", "queue:a", "", given);
    const second = await restarted(first);
    const [binding] = second.broker.host(undefined)?.exchanges.get("amq.headers").bindings.values() ?? [];
    expect(binding?.arguments).toEqual(new Map(Object.entries(given)));
    // The same binding: no second one is made, and it can be taken back.
    bind(second.client(), "amq.headers", "queue:a", "", given);
    expect(bindingsOf(second, "amq.headers")).toHaveLength(1);
    unbind(second.client(), "amq.headers", "queue:a", "", given);
    expect(bindingsOf(second, "amq.headers")).toHaveLength(0);
  });

  it("a queue that was made by using it is there with its bindings, empty as it is", async () => {
    const first = await start();
    const client = first.client();
    client.subscribe("queue:auto").subscription.close();
    bind(client, "amq.fanout", "queue:auto");
    client.core.close();
    const second = await restarted(first);
    second.clock.advance(1_000_000);
    publish(second.client(), "amq.fanout", "", "1");
    expect(counts(second, "auto")).toEqual([1]);
  });

  it("nothing is left of what was deleted", async () => {
    const first = await start();
    const client = first.client();
    declareQueue(client, "a");
    client.core.declareExchange(exchange("x", "direct", { durable: true }));
    bind(client, "x", "queue:a", "k");
    bind(client, "amq.topic", "queue:a", "k");
    publish(client, "x", "k", "1", { duplicateId: "i", durable: true });
    first.broker.host(undefined)?.deleteQueue(parse("queue:a"));
    client.core.deleteExchange("x", { ifUnused: false });
    for (const kind of ["exchange", "binding", "duplicates"]) expect([...first.store.keys(kind)], kind).toEqual([]);
  });

  it("a repeated send to an exchange is found out, unless the exchange did not survive", async () => {
    const first = await start();
    const client = first.client();
    declareQueue(client, "a");
    for (const name of ["kept", "gone"]) {
      client.core.declareExchange(exchange(name, "fanout", { durable: name === "kept" }));
      bind(client, name, "queue:a");
      publish(client, name, "", name, { durable: true, duplicateId: "i" });
    }
    const second = await restarted(first);
    const again = second.client();
    again.core.declareExchange(exchange("gone", "fanout"));
    bind(again, "gone", "queue:a");
    expect(counts(second, "a")).toEqual([2]);
    publish(again, "kept", "", "kept", { durable: true, duplicateId: "i" });
    expect(counts(second, "a")).toEqual([2]);
    publish(again, "gone", "", "gone", { durable: true, duplicateId: "i" });
    expect(counts(second, "a")).toEqual([3]);
  });

  it("what waits for its time at an exchange is led on when it is due", async () => {
    const first = await start();
    const client = first.client();
    declareQueue(client, "a");
    bind(client, "amq.direct", "queue:a", "k");
    publish(client, "amq.direct", "k", "1", { durable: true, timing: { deliverAt: first.clock.now() + 5000 } });
    const second = await restarted(first);
    second.clock.advance(10_000);
    second.settle();
    expect(counts(second, "a")).toEqual([1]);
  });

  it("a record that cannot be read is reported and left where it is", async () => {
    const first = await start();
    first.store.put("exchange", "default\0odd", Buffer.from("{}"));
    first.store.put("binding", "default\x000000000007", Buffer.from("?"));
    const reports: string[] = [];
    const second = await restarted(first, { report: (sentence) => reports.push(sentence) });
    expect(reports).toEqual([
      "The store has a record of the kind exchange that this version cannot read; it is left out: {}",
      "The store has a record of the kind binding that this version cannot read; it is left out: ?",
    ]);
    expect([...second.store.keys("exchange")]).toHaveLength(1);
  });
});

describe("a declaration", () => {
  it("is confirmed when it is on disk", async () => {
    const core = await start();
    const client = core.client();
    core.settle();
    client.core.declareExchange(exchange("x", "direct", { durable: true }));
    client.core.confirm("written");
    expect(client.confirms).toEqual([]);
    core.settle();
    expect(client.confirms).toEqual(["written"]);
    client.core.declareExchange(exchange("y", "direct"));
    client.core.confirm("nothing to write");
    expect(client.confirms).toEqual(["written", "nothing to write"]);
  });
});
