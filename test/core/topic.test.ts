import { describe, expect, it } from "vitest";
import { compileSelector } from "../../core/selector/selector.ts";
import { coreBroker, parse, parsePattern, plainMessage } from "../support/core-broker.ts";

describe("a topic", () => {
  it("gives every subscriber every message, wildcards included, and nobody what came before", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("topic:a.b", "early");
    const [exact, one, rest] = ["topic:a.b", "topic:a.*", "topic:**"].map((pattern) =>
      client.subscribe(pattern, { settling: false }),
    );
    core.settle();
    client.send("topic:a.b", "1");
    client.send("topic:a.c", "2");
    client.send("topic:b.c.d", "3");
    expect(exact?.got.bodies).toEqual(["1"]);
    expect(one?.got.bodies).toEqual(["1", "2"]);
    expect(rest?.got.bodies).toEqual(["1", "2", "3"]);
  });

  it("gives a composite subscriber each message once, although two of its patterns match", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { got, subscription } = client.subscribe("topic:a.* topic:*.b", { settling: false });
    core.settle();
    client.send("topic:a.b", "1");
    expect(got.bodies).toEqual(["1"]);
    subscription.close();
    client.send("topic:a.b", "2");
    expect(got.bodies).toEqual(["1"]);
    const topic = core.broker.host(undefined)?.topics.get("a.b");
    expect(topic?.ledger.lost.get("no-subscriber")).toBe(1);
  });

  it("leaves out what a selector does not want, and a client's own messages with no-local", async () => {
    const core = await coreBroker();
    const [one, two] = [core.client(), core.client()];
    const selective = one.subscribe("topic:a", { settling: false, selector: compileSelector("n > 1") });
    const others = one.subscribe("topic:a", { settling: false, noLocal: true });
    core.settle();
    one.send("topic:a", "own", { properties: { n: "2" } });
    two.send("topic:a", "other", { properties: { n: "1" } });
    expect(selective.got.bodies).toEqual(["own"]);
    expect(others.got.bodies).toEqual(["other"]);
  });

  it("does not deliver what had expired when it came", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { got } = client.subscribe("topic:a", { settling: false });
    core.settle();
    client.send("topic:a", "late", { expiresAt: core.clock.now() - 1 });
    expect(got.bodies).toEqual([]);
  });

  it("holds a slow subscriber's messages, then makes publishers wait, then disconnects it", async () => {
    const policies = [{ pattern: parsePattern("topic:**"), subscriberBytes: 100, slowSubscriberDeadlineMs: 5000 }];
    const core = await coreBroker({ host: { policies } });
    const [publisher, slow, quick] = [core.client(), core.client(), core.client()];
    const stuck = slow.subscribe("topic:a", { settling: false });
    stuck.got.room = 1;
    const free = quick.subscribe("topic:a", { settling: false });
    core.settle();
    for (let i = 0; !publisher.core.blocked; i++) {
      if (i > 100) throw new Error("The publisher was never blocked");
      publisher.send("topic:a", "123456789");
    }
    expect(free.got.taken.length).toBe(12);
    expect(stuck.got.taken.length).toBe(1);
    core.clock.advance(6000);
    expect(slow.evictedFor).toContain("slow_subscriber_deadline");
    slow.core.close();
    core.settle();
    expect(publisher.unblocks).toBe(1);
  });

  it("lets publishers go on when the slow subscriber catches up in time", async () => {
    const policies = [{ pattern: parsePattern("topic:**"), subscriberBytes: 100, slowSubscriberDeadlineMs: 5000 }];
    const core = await coreBroker({ host: { policies } });
    const [publisher, slow] = [core.client(), core.client()];
    const { got, subscription } = slow.subscribe("topic:a", { settling: false });
    got.room = 1;
    core.settle();
    while (!publisher.core.blocked) publisher.send("topic:a", "123456789");
    got.room = 1000;
    subscription.ready();
    core.clock.advance(10_000);
    expect(got.taken.length).toBe(12);
    expect(slow.evictedFor).toBeUndefined();
    expect(publisher.unblocks).toBe(1);
  });

  it.each([
    ["drop-newest", ["0", "1", "2", "3", "4", "5"]],
    ["drop-oldest", ["0", "15", "16", "17", "18", "19"]],
    ["spill", Array.from({ length: 20 }, (_, i) => String(i))],
  ] as const)("follows the policy %s for a slow subscriber", async (slowSubscriber, expected) => {
    const policies = [{ pattern: parsePattern("topic:**"), subscriberBytes: 5 * 3, slowSubscriber }];
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    const { got, subscription } = client.subscribe("topic:a", { settling: false });
    got.room = 1;
    core.settle();
    for (let i = 0; i < 20; i++) client.send("topic:a", String(i).padStart(2));
    expect(client.core.blocked).toBe(false);
    got.room = 1000;
    subscription.ready();
    expect(got.bodies.map((body) => body.trim())).toEqual(expected);
    client.send("topic:a", "20");
    expect(got.bodies.at(-1)).toBe("20");
  });
});

describe("a retained message", () => {
  it("comes first to who subscribes later, by wildcard too, until it is removed or expires", async () => {
    const core = await coreBroker();
    const client = core.client();
    const retain = (name: string, body: string, expiresAt = 0): void => {
      const address = parse(name);
      client.core.retain(client.core.route([address]), plainMessage(address, body, { expiresAt }));
    };
    retain("topic:a.1", "one");
    retain("topic:a.1", "one again");
    retain("topic:a.2", "two");
    retain("topic:a.3", "brief", core.clock.now() + 1000);
    const first = client.subscribe("topic:a.*", { settling: false });
    core.settle();
    expect(first.got.bodies.sort()).toEqual(["brief", "one again", "two"]);
    client.core.retain(client.core.route([parse("topic:a.2")]), undefined);
    core.clock.advance(2000);
    const second = client.subscribe("topic:**", { settling: false });
    core.settle();
    expect(second.got.bodies).toEqual(["one again"]);
  });

  it("does not come with thousands of others in one turn, nor twice when it is replaced meanwhile", async () => {
    const core = await coreBroker();
    const client = core.client();
    const retain = (name: string, body: string): void => {
      const address = parse(name);
      client.core.retain(client.core.route([address]), plainMessage(address, body));
    };
    for (let i = 0; i < 600; i++) retain(`topic:a.${i}`, String(i));
    const { got } = client.subscribe("topic:a.*", { settling: false });
    core.clock.settle();
    expect(got.bodies).toHaveLength(256);
    client.send("topic:a.new", "live");
    expect(got.bodies.at(-1)).toBe("live");
    retain("topic:a.0", "0 again");
    core.clock.advance(0);
    expect(got.bodies).toHaveLength(601);
    expect(new Set(got.bodies).size).toBe(601);
  });
});

describe("a durable subscription", () => {
  it("gathers while nobody is there and is shared by all who are", async () => {
    const core = await coreBroker();
    const client = core.client();
    const first = client.subscribe("topic:a.*", { durable: "d" });
    core.settle();
    first.subscription.close();
    for (const body of ["1", "2", "3", "4"]) client.send("topic:a.b", body);
    client.send("topic:other", "no");
    const [one, two] = [
      client.subscribe("", { attachDurable: "d", credit: { messages: 2, bytes: 0 } }),
      client.subscribe("topic:a.*", { durable: "d", credit: { messages: 2, bytes: 0 } }),
    ];
    core.settle();
    expect([...one.got.bodies, ...two.got.bodies].sort()).toEqual(["1", "2", "3", "4"]);
    expect(one.got.taken.length).toBe(2);
  });

  it("keeps only what its selector wants and can be changed in place", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.subscribe("topic:a", { durable: "d", selector: compileSelector("n = 1") }).subscription.close();
    client.send("topic:a", "yes", { properties: { n: "1" } });
    client.send("topic:a", "no", { properties: { n: "2" } });
    client.subscribe("topic:b", { durable: "d" }).subscription.close();
    client.send("topic:a", "no longer", { properties: { n: "1" } });
    client.send("topic:b", "now");
    const { got } = client.subscribe("", { attachDurable: "d" });
    core.settle();
    expect(got.bodies).toEqual(["yes", "now"]);
  });

  it("has the retained messages of filters that it is given in place, and those of its old ones once", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (const name of ["a", "b", "c"]) {
      const address = parse(`topic:${name}`);
      client.core.retain(client.core.route([address]), plainMessage(address, `retained ${name}`));
    }
    client.subscribe("topic:a", { durable: "d" }).subscription.close();
    client.subscribe("topic:a topic:b", { durable: "d" }).subscription.close();
    client.subscribe("topic:a topic:b topic:c", { durable: "d", retained: false }).subscription.close();
    const { got } = client.subscribe("", { attachDurable: "d" });
    core.settle();
    expect(got.bodies).toEqual(["retained a", "retained b"]);
  });

  it("has very many retained messages in slices, as long as it keeps its filters", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (let i = 0; i < 2500; i++) {
      const address = parse(`topic:a.${i}`);
      client.core.retain(client.core.route([address]), plainMessage(address, ""));
    }
    const counts: number[] = [];
    for (const id of ["all", "some"]) client.subscribe("topic:a.*", { durable: id }).subscription.close();
    const [all, some] = ["all", "some"].map((id) => core.broker.host(undefined)?.durables.get(id)?.queue);
    counts.push(all?.count ?? -1);
    client.subscribe("topic:b", { durable: "some" }).subscription.close();
    core.clock.advance(1);
    counts.push(all?.count ?? -1, some?.count ?? -1);
    expect(counts).toEqual([1000, 2500, 1000]);
  });

  it("is deleted with what it holds, and its consumers are told", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { got } = client.subscribe("topic:a", { durable: "d" });
    core.settle();
    client.core.deleteDurable("d");
    expect(got.cancelReason).toContain("d was deleted");
    expect(() => client.core.deleteDurable("d")).toThrow("There is no durable subscription d");
    expect(() => client.subscribe("", { attachDurable: "d" })).toThrow("There is no durable subscription d");
    expect(() => client.subscribe("queue:a", { durable: "d" })).toThrow("is a queue");
  });
});
