import { describe, expect, it } from "vitest";
import type { Access } from "../../core/access/access.ts";
import {
  coreBroker,
  type CoreBroker,
  parse,
  parsePattern,
  plainMessage,
  type TestClient,
} from "../support/core-broker.ts";
import { bind, counts, declareQueue, exchange, publish, queueOf, unbind } from "../support/core-exchanges.ts";

async function start(queues = ["a", "b", "c"]): Promise<{ core: CoreBroker; client: TestClient }> {
  const core = await coreBroker();
  const client = core.client();
  for (const name of queues) declareQueue(client, name);
  return { core, client };
}

function lost(core: CoreBroker, name: string): number | undefined {
  return core.broker.host(undefined)?.exchanges.get(name).ledger.lost.get("unroutable");
}

describe("an exchange", () => {
  it("of the type direct leads to the queues bound with the very key", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "direct"));
    bind(client, "x", "queue:a", "k");
    bind(client, "x", "queue:b", "k");
    bind(client, "x", "queue:c", "k.k");
    publish(client, "x", "k", "1");
    publish(client, "x", "k.k", "2");
    publish(client, "x", "K", "3");
    expect(counts(core, "a", "b", "c")).toEqual([1, 1, 1]);
    expect(lost(core, "x")).toBe(1);
  });

  it("of the type fanout leads to all, whatever the key", async () => {
    const { core, client } = await start();
    bind(client, "amq.fanout", "queue:a", "k");
    bind(client, "amq.fanout", "queue:b");
    publish(client, "amq.fanout", "other", "1");
    expect(counts(core, "a", "b", "c")).toEqual([1, 1, 0]);
  });

  it.each([
    ["a.b", ["a.b"], ["a", "a.b.c", "b.a", ""]],
    ["*.b", ["a.b", ".b"], ["b", "a.a.b", ""]],
    ["*", ["a"], ["", "a.b"]],
    ["#", ["", "a", "a.b.c"], []],
    ["a.#", ["a", "a.b", "a.b.c"], ["", "b", "ab"]],
    ["#.z", ["z", "a.z", "a.b.z"], ["a", "z.a"]],
    ["a.#.z", ["a.z", "a.b.c.z"], ["a", "z"]],
    ["#.*", ["a", "a.b"], [""]],
    ["", [""], ["a"]],
    ["a*", ["a*"], ["ab"]],
    ["a..b", ["a..b"], ["a.b"]],
    ["*.*", ["."], ["a", ""]],
  ])("of the type topic bound with %j wants %j and not %j", async (key, wanted, unwanted) => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "topic"));
    bind(client, "x", "queue:a", key);
    for (const each of wanted) publish(client, "x", each, each);
    expect(counts(core, "a")).toEqual([wanted.length]);
    for (const each of unwanted) publish(client, "x", each, each);
    expect(counts(core, "a")).toEqual([wanted.length]);
  });

  it.each([
    [{}, {}, true],
    [{ "x-match": "all", n: "1", m: "2" }, { n: "1", m: "2", o: "3" }, true],
    [{ "x-match": "all", n: "1", m: "2" }, { n: "1" }, false],
    [{ n: "1", m: "2" }, { n: "1", m: "3" }, false],
    [{ "x-match": "any", n: "1", m: "2" }, { m: "2" }, true],
    [{ "x-match": "any", n: "1" }, { n: "2" }, false],
    [{ "x-match": "any" }, { n: "2" }, false],
    [{ n: null }, { n: "whatever" }, true],
    [{ n: null }, {}, false],
    [{ "x-n": "1" }, {}, true],
    [{ "x-match": "all-with-x", "x-n": "1" }, {}, false],
    [{ "x-match": "any-with-x", "x-n": "1", m: "1" }, { "x-n": "1" }, true],
    [{ n: 1 }, { n: "1" }, false],
  ])("of the type headers bound with %j, given %j: %j", async (given, properties, wanted) => {
    const { core, client } = await start();
    bind(client, "amq.headers", "queue:a", "", given);
    publish(client, "amq.headers", "", "1", { properties });
    expect(counts(core, "a")).toEqual([wanted ? 1 : 0]);
    expect(lost(core, "amq.headers")).toBe(wanted ? undefined : 1);
  });

  it("of the type headers refuses a binding with an unknown x-match, and keeps nothing of it", async () => {
    const { core, client } = await start();
    expect(() => bind(client, "amq.match", "queue:a", "", { "x-match": "some" })).toThrow(
      "Invalid x-match field value",
    );
    publish(client, "amq.match", "", "1");
    expect(counts(core, "a")).toEqual([0]);
    bind(client, "amq.match", "queue:a");
    publish(client, "amq.match", "", "1");
    expect(counts(core, "a")).toEqual([1]);
  });

  it("gives a queue a message once, however many bindings and exchanges lead to it", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "topic"));
    client.core.declareExchange(exchange("y", "fanout"));
    client.core.declareExchange(exchange("h", "headers"));
    for (const key of ["#", "k.*", "k.l"]) bind(client, "x", "queue:a", key);
    bind(client, "x", "exchange:y", "#");
    bind(client, "x", "exchange:h", "#");
    bind(client, "x", "exchange:amq.topic", "#");
    for (const source of ["y", "h", "amq.topic"]) bind(client, source, "queue:a", source === "amq.topic" ? "k.#" : "");
    bind(client, "h", "queue:b", "", { n: "1" });
    bind(client, "y", "exchange:x");
    publish(client, "x", "k.l", "1", { properties: { n: "1" } });
    expect(counts(core, "a", "b")).toEqual([1, 1]);
  });

  it("that wants a message for nobody leaves it to its alternate, and that to its own", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "direct", { alternate: "y" }));
    client.core.declareExchange(exchange("y", "direct", { alternate: "z" }));
    bind(client, "x", "queue:a", "1");
    bind(client, "y", "queue:b", "2");
    const routes = ["1", "2", "3"].map((key) => publish(client, "x", key, key));
    expect(counts(core, "a", "b", "c")).toEqual([1, 1, 0]);
    client.core.declareExchange(exchange("z", "fanout"));
    bind(client, "z", "queue:c");
    for (const route of routes) publish(client, route, "", "again");
    expect(counts(core, "a", "b", "c")).toEqual([2, 2, 1]);
    client.core.deleteExchange("z", { ifUnused: false });
    for (const route of routes) publish(client, route, "", "again");
    expect(counts(core, "a", "b", "c")).toEqual([3, 3, 1]);
    expect(lost(core, "x")).toBe(2);
  });

  it("says before a message is published whether anybody would get it", async () => {
    const { core, client } = await start();
    bind(client, "amq.headers", "queue:a", "", { n: "1" });
    const { core: connection } = client;
    const reaches = (name: string, key: string, properties = {}): boolean => {
      const route = connection.exchangeRoute(name, key);
      const [address = parse("queue:none")] = route.addresses;
      return route.reaches(plainMessage(address, "", { properties }));
    };
    expect(reaches("amq.headers", "")).toBe(false);
    expect(reaches("amq.headers", "", { n: "1" })).toBe(true);
    expect(reaches("", "a")).toBe(true);
    expect(reaches("", "none")).toBe(false);
    expect(reaches("amq.topic", "t")).toBe(false);
    bind(client, "amq.topic", "queue:a", "#");
    expect(reaches("amq.topic", "t")).toBe(true);
    expect(counts(core, "a")).toEqual([0]);
  });

  it("is found by a route that was made before its bindings changed", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "topic"));
    const route = publish(client, "x", "k", "lost");
    bind(client, "x", "queue:a", "*");
    publish(client, route, "", "1");
    unbind(client, "x", "queue:a", "*");
    publish(client, route, "", "lost");
    expect(counts(core, "a")).toEqual([1]);
    expect(lost(core, "x")).toBe(2);
    client.core.deleteExchange("x", { ifUnused: false });
    expect(() => publish(client, route, "", "2")).toThrow("no exchange 'x' in vhost 'default'");
  });

  it("keeps a message with a time until then, and routes it by the bindings there are by then", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "direct", { delayed: true }));
    publish(client, "x", "k", "1", { timing: { deliverAt: core.clock.now() + 5000 } });
    publish(client, "", "later", "2", { timing: { deliverAt: core.clock.now() + 5000 } });
    publish(client, "", "never", "3", { timing: { deliverAt: core.clock.now() + 5000 } });
    expect(core.broker.host(undefined)?.schedule.count).toBe(3);
    bind(client, "x", "queue:a", "k");
    declareQueue(client, "later");
    core.clock.advance(5000);
    core.settle();
    expect(counts(core, "a", "later")).toEqual([1, 1]);
    expect(lost(core, "")).toBe(1);
    expect(core.broker.host(undefined)?.queues.has("never")).toBe(false);
  });

  it("loses by name what is due when it is gone itself", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "direct"));
    publish(client, "x", "k", "1", { timing: { deliverAt: core.clock.now() + 5000 } });
    client.core.deleteExchange("x", { ifUnused: false });
    core.clock.advance(5000);
    core.settle();
    expect(core.broker.host(undefined)?.unroutable.lost.get("no-subscriber")).toBe(1);
  });

  it("finds repeated sends by their ids, whatever their key and its bindings", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "fanout"));
    bind(client, "x", "queue:a");
    publish(client, "x", "k", "1", { duplicateId: "i" });
    bind(client, "x", "queue:b");
    publish(client, "x", "l", "1", { duplicateId: "i" });
    expect(counts(core, "a", "b")).toEqual([1, 0]);
  });

  it("refuses what one of its queues refuses, and then nobody has it", async () => {
    const policies = [{ pattern: parsePattern("queue:full"), maxMessages: 1, full: "reject" as const }];
    const core = await coreBroker({ host: { policies } });
    const client = core.client();
    declareQueue(client, "full");
    declareQueue(client, "b");
    for (const name of ["full", "b"]) bind(client, "amq.fanout", `queue:${name}`);
    const route = publish(client, "amq.fanout", "", "1");
    expect(() => publish(client, route, "", "2")).toThrow("full");
    expect(counts(core, "full", "b")).toEqual([1, 1]);
  });
});

describe("declaring exchanges", () => {
  it("again is nothing if they are the same, and refused in RabbitMQ's words if not", async () => {
    const { client } = await start();
    const declared = exchange("x", "direct", { durable: true, alternate: "y" });
    client.core.declareExchange(declared);
    client.core.declareExchange(declared);
    expect(client.core.checkExchange("x")).toMatchObject(declared);
    expect(() => client.core.declareExchange({ ...declared, type: "fanout" })).toThrow(
      "inequivalent arg 'type' for exchange 'x' in vhost 'default': received 'fanout' but current is 'direct'",
    );
    expect(() => client.core.declareExchange({ ...declared, durable: false })).toThrow("inequivalent arg 'durable'");
    expect(() => client.core.declareExchange({ ...declared, alternate: undefined })).toThrow("'alternate-exchange'");
    expect(() => client.core.declareExchange({ ...declared, delayed: true })).toThrow("received 'x-delayed-message'");
  });

  it("leaves those of the broker as they are", async () => {
    const { client } = await start();
    client.core.declareExchange(exchange("amq.direct", "direct", { durable: true }));
    expect(() => client.core.declareExchange(exchange("amq.new", "direct"))).toThrow("reserved prefix 'amq.*'");
    expect(() => client.core.declareExchange(exchange("", "direct"))).toThrow("not permitted on the default exchange");
    expect(() => bind(client, "", "queue:a", "k")).toThrow("not permitted on the default exchange");
    expect(() => client.core.deleteExchange("amq.direct", { ifUnused: false })).toThrow("the broker's own");
    expect(() => client.core.deleteExchange("", { ifUnused: false })).toThrow("not permitted on the default exchange");
  });

  it("says what is missing for a binding", async () => {
    const { client } = await start();
    expect(() => bind(client, "x", "queue:a")).toThrow("no exchange 'x' in vhost 'default'");
    expect(() => bind(client, "amq.direct", "queue:none")).toThrow("no queue 'none' in vhost 'default'");
    expect(() => bind(client, "amq.direct", "exchange:none")).toThrow("no exchange 'none' in vhost 'default'");
    expect(() => client.core.exchangeRoute("x", "k")).toThrow("no exchange 'x' in vhost 'default'");
    unbind(client, "amq.direct", "queue:a", "never bound");
  });

  it("keeps queues of other connections out of bindings", async () => {
    const { core, client } = await start();
    const flags = { durable: false, exclusive: true, autoDelete: false };
    const address = parse("queue:own");
    client.core.declareQueue({ address, ...flags, policy: {}, expiresMs: 0, arguments: new Map() });
    expect(() => bind(core.client(), "amq.fanout", "queue:own")).toThrow("exclusive");
    bind(client, "amq.fanout", "queue:own");
    client.core.close();
    expect(core.broker.host(undefined)?.exchanges.get("amq.fanout").bindings.size).toBe(0);
  });

  it("keeps clients from sending to internal ones", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "fanout", { internal: true }));
    bind(client, "x", "queue:a");
    bind(client, "amq.direct", "exchange:x", "k");
    expect(() => client.core.exchangeRoute("x", "")).toThrow("cannot publish to internal exchange 'x'");
    publish(client, "amq.direct", "k", "1");
    expect(counts(core, "a")).toEqual([1]);
  });

  it("with auto-delete lets them go with the last of their bindings, and what leads to nothing but them", async () => {
    const { core, client } = await start();
    const names = (): string[] => Array.from(core.broker.host(undefined)?.exchanges.all() ?? [], ({ name }) => name);
    for (const name of ["x", "y"]) client.core.declareExchange(exchange(name, "direct", { autoDelete: true }));
    bind(client, "x", "exchange:y", "k");
    for (const queue of ["a", "b"]) bind(client, "y", `queue:${queue}`, "k");
    unbind(client, "y", "queue:a", "k");
    expect(names()).toContain("y");
    core.broker.host(undefined)?.deleteQueue(parse("queue:b"));
    expect(names()).not.toContain("y");
    expect(names()).not.toContain("x");
  });

  it("refuses to delete one in use if so asked", async () => {
    const { client } = await start();
    client.core.declareExchange(exchange("x", "direct"));
    bind(client, "x", "queue:a", "k");
    expect(() => client.core.deleteExchange("x", { ifUnused: true })).toThrow("exchange 'x' in vhost 'default' in use");
    unbind(client, "x", "queue:a", "k");
    client.core.deleteExchange("x", { ifUnused: true });
    client.core.deleteExchange("x", { ifUnused: true });
    expect(() => client.core.checkExchange("x")).toThrow("no exchange 'x'");
  });

  it("asks for the rights to do so", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "direct"));
    const may = new Set<string>();
    const access: Access = { allows: (_login, action, kind, name) => may.has(`${action} ${kind} ${name}`) };
    may.add("connect virtual-host default").add("connect connector test");
    const guarded = await coreBroker({ store: core.store, clock: core.clock, broker: { access } });
    const other = guarded.client();
    const refused = (act: () => void, ...rights: string[]): void => {
      for (const right of rights) {
        expect(act).toThrow(`may not ${right.split(" ")[0]} the ${right.split(" ").slice(1).join(" ")}`);
        may.add(right);
      }
      act();
    };
    may.add("create queue q");
    declareQueue(other, "q");
    refused(() => other.core.declareExchange(exchange("n", "direct")), "create exchange n");
    refused(() => bind(other, "n", "queue:q", "k"), "send queue q", "receive exchange n");
    refused(() => bind(other, "amq.topic", "queue:q", "t.*"), "receive topic t.*");
    refused(() => bind(other, "n", "exchange:amq.fanout", "k"), "send exchange amq.fanout");
    refused(() => other.core.exchangeRoute("n", "k"), "send exchange n");
    may.delete("send queue q");
    refused(() => other.core.exchangeRoute("", "q"), "send queue q");
    refused(() => other.core.exchangeRoute("amq.topic", "t"), "send topic t", "create topic t");
    refused(() => other.core.deleteExchange("n", { ifUnused: false }), "destroy exchange n");
  });
});

describe("the default exchange", () => {
  it("leads to the queue that the key names, and makes none", async () => {
    const { core, client } = await start(["a.b"]);
    const route = publish(client, "", "a.b", "1");
    const nowhere = publish(client, "", "c", "lost");
    expect(counts(core, "a.b")).toEqual([1]);
    expect(lost(core, "")).toBe(1);
    expect(core.broker.host(undefined)?.queues.has("c")).toBe(false);
    declareQueue(client, "c");
    publish(client, nowhere, "", "2");
    expect(counts(core, "c")).toEqual([1]);
    core.broker.host(undefined)?.deleteQueue(parse("queue:a.b"));
    publish(client, route, "", "lost");
    expect(lost(core, "")).toBe(2);
  });
});

describe("amq.topic", () => {
  it("is the topics: what is published to either reaches the queues bound and the subscribers", async () => {
    const { core, client } = await start();
    const plain = client.subscribe("topic:t.*", { settling: false });
    bind(client, "amq.topic", "queue:a", "t.#");
    bind(client, "amq.topic", "queue:a", "*.u");
    bind(client, "amq.topic", "queue:b", "t");
    core.settle();
    client.send("topic:t.u", "1");
    publish(client, "amq.topic", "t.u", "2");
    publish(client, "amq.topic", "t", "3");
    core.settle();
    expect(plain.got.bodies).toEqual(["1", "2"]);
    expect(counts(core, "a", "b")).toEqual([3, 1]);
    unbind(client, "amq.topic", "queue:a", "*.u");
    client.send("topic:t.u", "4");
    client.send("topic:v.u", "5");
    expect(counts(core, "a")).toEqual([4]);
  });

  it("still leads to a queue that leaves by one of two bindings, of whatever kind", async () => {
    const { core, client } = await start(["a", "Consumer.A.VirtualTopic.t"]);
    const consumer = "queue:Consumer.A.VirtualTopic.t";
    bind(client, "amq.topic", consumer, "VirtualTopic.t");
    unbind(client, "amq.topic", consumer, "VirtualTopic.t");
    client.send("topic:VirtualTopic.t", "1");
    expect(counts(core, "Consumer.A.VirtualTopic.t")).toEqual([1]);
    bind(client, "amq.topic", "queue:a", "t", { n: "1" });
    bind(client, "amq.topic", "queue:a", "t", { n: "2" });
    unbind(client, "amq.topic", "queue:a", "t", { n: "1" });
    client.send("topic:t", "2");
    expect(counts(core, "a")).toEqual([1]);
    bind(client, "amq.topic", "exchange:amq.fanout", "#");
    bind(client, "amq.fanout", "queue:a");
    client.send("topic:t", "3");
    unbind(client, "amq.topic", "exchange:amq.fanout", "#");
    client.send("topic:t", "4");
    expect(counts(core, "a")).toEqual([3]);
  });

  it("leads to exchanges bound to it, those of headers too, and each queue gets a message once", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "topic"));
    client.core.declareExchange(exchange("h", "headers"));
    client.send("topic:t.u", "before");
    bind(client, "amq.topic", "exchange:x", "t.#");
    bind(client, "x", "exchange:h", "#");
    bind(client, "x", "queue:a", "*.u");
    bind(client, "amq.topic", "queue:a", "t.u");
    bind(client, "h", "queue:a", "", { n: "1" });
    bind(client, "h", "queue:b", "", { n: "1" });
    client.send("topic:t.u", "1", { properties: { n: "1" } });
    client.send("topic:t.v", "2");
    expect(counts(core, "a", "b")).toEqual([1, 1]);
    unbind(client, "amq.topic", "queue:a", "t.u");
    client.send("topic:t.u", "3");
    expect(counts(core, "a", "b")).toEqual([2, 1]);
    unbind(client, "amq.topic", "exchange:x", "t.#");
    client.send("topic:t.u", "4", { properties: { n: "1" } });
    expect(counts(core, "a", "b")).toEqual([2, 1]);
  });

  it("leads nowhere any more when a headers exchange bound to it is deleted that led to an alternate", async () => {
    const { core, client } = await start();
    client.send("topic:t", "before");
    client.core.declareExchange(exchange("h", "headers", { alternate: "amq.fanout" }));
    bind(client, "amq.fanout", "queue:a");
    bind(client, "amq.topic", "exchange:h", "t");
    client.send("topic:t", "1");
    client.core.deleteExchange("h", { ifUnused: false });
    client.send("topic:t", "2");
    expect(counts(core, "a")).toEqual([1]);
  });

  it("as the end of a binding gives its subscribers the topic they asked for, and queues what was sent", async () => {
    const { core, client } = await start();
    bind(client, "amq.direct", "exchange:amq.topic", "t.u");
    const first = client.subscribe("topic:t.*", { settling: false });
    bind(client, "amq.topic", "queue:a", "t.#");
    core.settle();
    const route = publish(client, "amq.direct", "t.u", "1");
    const second = client.subscribe("topic:t.u", { settling: false });
    core.settle();
    publish(client, route, "", "2");
    core.settle();
    expect(first.got.bodies).toEqual(["1", "2"]);
    expect(second.got.bodies).toEqual(["2"]);
    expect(first.got.taken[0]?.message.address).toMatchObject({ kind: "topic", name: "t.u" });
    expect(counts(core, "a")).toEqual([2]);
    second.subscription.close();
    first.subscription.close();
    publish(client, route, "", "3");
    expect(counts(core, "a")).toEqual([3]);
    const taken = client.subscribe("queue:a", { settling: false });
    core.settle();
    expect(taken.got.taken[0]?.message.address).toMatchObject({ kind: "exchange", levels: ["amq.direct", "t.u"] });
  });

  it("lets nobody speak for the broker on system topics by way of another exchange", async () => {
    const { core, client } = await start();
    bind(client, "amq.fanout", "exchange:amq.topic");
    const { got } = client.subscribe("topic:$SYS.x", { settling: false });
    core.settle();
    publish(client, "amq.fanout", "$SYS.x", "forged");
    core.settle();
    expect(got.bodies).toEqual([]);
  });
});

describe("a subscriber of an exchange", () => {
  it("gets what the exchange leads on with its key, until it leaves", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "topic", { autoDelete: true }));
    const { got, subscription } = client.subscribe("exchange:x.k%2E%2A", { settling: false });
    core.settle();
    publish(client, "x", "k.l", "1");
    publish(client, "x", "other", "2");
    core.settle();
    expect(got.bodies).toEqual(["1"]);
    subscription.close();
    expect(() => client.core.checkExchange("x")).toThrow("no exchange 'x'");
  });

  it("is told when the exchange is deleted", async () => {
    const { core, client } = await start();
    client.core.declareExchange(exchange("x", "fanout"));
    const { got } = client.subscribe("exchange:x.k", { settling: false });
    core.settle();
    client.core.deleteExchange("x", { ifUnused: false });
    expect(got.cancelReason).toBe("the exchange x was deleted");
    expect(() => client.subscribe("exchange:x.k")).toThrow("no exchange 'x'");
  });

  it("makes no durable subscription, and looks at nothing", async () => {
    const { client } = await start();
    expect(() => client.subscribe("exchange:amq%2Efanout.k", { durable: "d" })).toThrow("is an exchange");
    const browse = { end: true, fromSequence: 0 };
    expect(() => client.subscribe("exchange:amq%2Efanout.k", { browse })).toThrow(
      "is an exchange, which holds nothing",
    );
  });
});

describe("a queue that is bound", () => {
  it("is not swept away while nobody uses it, and is when it is bound no more", async () => {
    const { core, client } = await start([]);
    const { subscription } = client.subscribe("queue:auto");
    bind(client, "amq.fanout", "queue:auto");
    subscription.close();
    core.clock.advance(1_000_000);
    publish(client, "amq.fanout", "", "1");
    expect(counts(core, "auto")).toEqual([1]);
    queueOf(core, "auto").purge();
    unbind(client, "amq.fanout", "queue:auto");
    core.clock.advance(1_000_000);
    expect(core.broker.host(undefined)?.queues.has("auto")).toBe(false);
  });
});
