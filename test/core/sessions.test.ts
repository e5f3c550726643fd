import { describe, expect, it } from "vitest";
import { BrokerError } from "../../core/errors.ts";
import { TRAIT } from "../../core/message.ts";
import { type CoreBroker, coreBroker, parse, parsePattern, plainMessage } from "../support/core-broker.ts";
import { connect, sessionsOf } from "../support/core-sessions.ts";

function retain(core: CoreBroker, name: string, body: string, durable = true): void {
  const client = core.client();
  const address = parse(name);
  client.core.retain(client.core.route([address]), plainMessage(address, body, { durable }));
}

describe("a session that outlives its connection", () => {
  it("gets in order what came while it was away, and before that what it had not settled", async () => {
    const core = await coreBroker();
    const publisher = core.client();
    const first = connect(core).want("topic:a.*");
    publisher.send("topic:a.x", "1", { durable: true });
    publisher.send("topic:a.y", "2", { durable: true });
    core.settle();
    expect(first.got.bodies).toEqual(["1", "2"]);
    first.core.settle(first.session.subscription, first.got.next(), "accepted");
    first.core.close();
    publisher.send("topic:a.z", "3", { durable: true });
    publisher.send("topic:b", "not wanted", { durable: true });

    const second = connect(core);
    core.settle();
    expect(second.present).toBe(true);
    expect(second.got.taken.map(({ body, deliveries }) => [body, deliveries])).toEqual([
      ["2", 1],
      ["3", 0],
    ]);
  });

  it("is not kept anything for that need not come surely: neither sent nor wanted so", async () => {
    const core = await coreBroker();
    const publisher = core.client();
    connect(core).want("topic:a").want("topic:b", { quality: 0 }).core.close();
    publisher.send("topic:a", "sent unsurely");
    publisher.send("topic:b", "wanted unsurely", { durable: true });
    publisher.send("topic:a", "sure", { durable: true });
    const again = connect(core);
    core.settle();
    expect(again.got.bodies).toEqual(["sure"]);
    expect(core.broker.host(undefined)?.durables.get("s")?.queue.ledger.lost.get("no-subscriber")).toBe(2);
  });

  it("is handed without a trace in the store what it does not want surely", async () => {
    const core = await coreBroker();
    const client = connect(core).want("topic:a", { quality: 0 }).want("topic:b");
    core.settle();
    const { enqueued } = core.store.statistics();
    const publisher = core.client();
    publisher.send("topic:a", "1", { durable: true });
    client.session.subscription.hold();
    publisher.send("topic:a", "2", { durable: true });
    core.settle();
    client.session.subscription.ready();
    core.settle();
    expect(client.got.taken.map(({ body, delivery }) => [body, delivery])).toEqual([
      ["1", undefined],
      ["2", undefined],
    ]);
    expect(core.store.statistics().enqueued).toBe(enqueued);
    publisher.send("topic:b", "3", { durable: true });
    core.settle();
    expect(core.store.statistics().enqueued).toBe(enqueued + 1);
    expect(client.got.taken[2]?.delivery?.sequence).toBeGreaterThan(0);
  });

  it("begins anew when its client asks for that", async () => {
    const core = await coreBroker();
    const publisher = core.client();
    const first = connect(core).want("topic:a");
    first.session.put("key", Buffer.from("value"));
    first.core.close();
    publisher.send("topic:a", "old", { durable: true });
    const second = connect(core, { clean: true });
    publisher.send("topic:a", "not wanted any more", { durable: true });
    core.settle();
    expect([second.present, second.got.bodies, [...second.session.entries()]]).toEqual([false, [], []]);
    expect(second.session.interests.size).toBe(0);
  });

  it("ends so long after its connection, and not before", async () => {
    const core = await coreBroker();
    connect(core, { expiryMs: 5000 }).want("topic:a").core.close();
    core.clock.advance(4999);
    const again = connect(core, { expiryMs: 5000 });
    expect(again.present).toBe(true);
    core.clock.advance(60_000);
    expect([...sessionsOf(core).list()]).toMatchObject([{ id: "s", connected: true }]);
    again.core.close();
    core.clock.advance(5000);
    expect([...sessionsOf(core).list()]).toEqual([]);
    expect(core.broker.host(undefined)?.durables.size).toBe(0);
    expect(connect(core).present).toBe(false);
  });

  it("ends so long after its last connection, however many there were before", async () => {
    const core = await coreBroker();
    for (let i = 0; i < 3; i++) {
      connect(core, { expiryMs: 5000 }).core.close();
      core.clock.advance(3000);
    }
    expect(sessionsOf(core).count).toBe(1);
    core.clock.advance(1999);
    expect(sessionsOf(core).count).toBe(1);
    core.clock.advance(1);
    expect(sessionsOf(core).count).toBe(0);
  });

  it("has to settle what waits for it, though it wants nothing surely any more", async () => {
    const core = await coreBroker();
    const first = connect(core).want("topic:a");
    first.session.subscription.hold();
    core.client().send("topic:a", "1", { durable: true });
    first.want("topic:a", { quality: 0 }).core.close();
    expect(connect(core).session.subscription.settling).toBe(true);
  });

  it("ends when its client has changed its mind about how long", async () => {
    const core = await coreBroker();
    const first = connect(core, { expiryMs: 1000 });
    first.session.expiryMs = 9000;
    first.core.close();
    core.clock.advance(8999);
    const second = connect(core, { expiryMs: 9000 });
    expect(second.present).toBe(true);
    second.session.expiryMs = 0;
    second.core.close();
    expect(sessionsOf(core).count).toBe(0);
  });

  it("that ends with its connection cannot be made to last", async () => {
    const core = await coreBroker();
    const client = connect(core, { expiryMs: 0 }).want("topic:a");
    expect(() => {
      client.session.expiryMs = 1000;
    }).toThrow(BrokerError);
    client.core.close();
    expect(sessionsOf(core).count).toBe(0);
    expect(connect(core, { expiryMs: 0 }).present).toBe(false);
  });

  it("is taken over: who had it is told and closed before the other has anything", async () => {
    const core = await coreBroker();
    const first = connect(core).want("topic:a");
    core.client().send("topic:a", "1", { durable: true });
    core.settle();
    expect(first.got.bodies).toEqual(["1"]);
    const second = connect(core);
    expect([first.evictedAs, first.core.closed, first.session.closed]).toEqual(["taken-over", true, true]);
    expect(second.got.bodies).toEqual([]);
    core.settle();
    expect(second.got.taken.map(({ body, deliveries }) => [body, deliveries])).toEqual([["1", 1]]);
    expect(() => first.session.put("late", Buffer.from("1"))).toThrow(BrokerError);
    first.core.close();
    expect(second.session.closed).toBe(false);
  });

  it("is not for another user", async () => {
    const core = await coreBroker();
    connect(core, { login: { user: "ann", groups: [] } }).want("topic:a");
    expect(() => connect(core, { login: { user: "bob", groups: [] } })).toThrow("belongs to another user");
    expect(connect(core, { login: { user: "ann", groups: [] } }).present).toBe(true);
  });

  it("is ended by an operator, and its client told", async () => {
    const core = await coreBroker();
    const client = connect(core).want("topic:a");
    expect(sessionsOf(core).remove("s")).toBe(true);
    expect([client.evictedAs, client.core.closed]).toEqual(["administrative", true]);
    expect(sessionsOf(core).remove("s")).toBe(false);
    expect(core.broker.host(undefined)?.durables.size).toBe(0);
  });

  it("does not give its name or its filters to somebody's durable subscription", async () => {
    const core = await coreBroker();
    connect(core, { id: "s" });
    const other = core.client();
    expect(() => other.subscribe("topic:a", { durable: "s" })).toThrow("session's");
    other.subscribe("topic:a", { durable: "d" });
    expect(() => connect(core, { id: "d" })).toThrow("There is a durable subscription d");
    other.core.deleteDurable("s");
    expect(sessionsOf(core).count).toBe(0);
  });

  it("is not for a connection that has ended, nor two for one", async () => {
    const core = await coreBroker();
    const client = connect(core, { id: "one" });
    expect(() => client.open(sessionsOf(core), { id: "two", clean: true, expiryMs: 0 })).toThrow("cannot have two");
    client.core.close();
    expect(() => client.open(sessionsOf(core), { id: "two", clean: true, expiryMs: 0 })).toThrow("has ended");
    expect(() => connect(core, { id: "" })).toThrow("expected are 1 to 512");
    expect(() => connect(core, { id: "x".repeat(513) })).toThrow("expected are 1 to 512");
    expect(sessionsOf(core).count).toBe(1);
  });

  it("is refused to whoever may not have it, without a change to who has it", async () => {
    let allowed = true;
    const core = await coreBroker({
      broker: { access: { allows: (_login, action, kind) => allowed || kind !== "dsub" || action !== "consume" } },
    });
    const first = connect(core);
    allowed = false;
    expect(() => connect(core)).toThrow("may not consume");
    expect(first.session.closed).toBe(false);
    expect(first.evictedFor).toBeUndefined();
  });

  it("loses interests that its user may not have any more when it comes back", async () => {
    let allowed = true;
    const core = await coreBroker({
      broker: { access: { allows: (_login, action, _kind, name) => allowed || action !== "receive" || name !== "a" } },
    });
    connect(core).want("topic:a").want("topic:*").core.close();
    allowed = false;
    const again = connect(core);
    expect(Array.from(again.session.interests.all(), ({ pattern }) => pattern.text)).toEqual(["*"]);
    expect(() => again.want("topic:a")).toThrow("may not receive");
  });
});

describe("what a session is interested in", () => {
  it.each([0, Number.POSITIVE_INFINITY])(
    "may change while it is connected (outliving that by %d ms)",
    async (expiryMs) => {
      const core = await coreBroker();
      const publisher = core.client();
      const client = connect(core, { expiryMs });
      for (const name of ["topic:a", "topic:b.x", "queue:q"]) publisher.send(name, "0");
      client.want("topic:a").want("topic:b.*").want("queue:q");
      core.settle();
      for (const name of ["topic:a", "topic:b.x", "queue:q"]) publisher.send(name, `1 ${name}`);
      core.settle();
      expect(client.got.bodies).toEqual(["0", "1 topic:a", "1 topic:b.x", "1 queue:q"]);
      expect(client.session.remove(parsePattern("topic:a"))).toBe(true);
      expect(client.session.remove(parsePattern("topic:a"))).toBe(false);
      expect(client.session.remove(parsePattern("queue:q"))).toBe(true);
      for (const name of ["topic:a", "topic:b.x", "queue:q"]) publisher.send(name, `2 ${name}`);
      core.settle();
      expect(client.got.bodies.slice(4)).toEqual(["2 topic:b.x"]);
      expect(core.broker.host(undefined)?.queues.get("q")?.count).toBe(1);
    },
  );

  it.each([0, Number.POSITIVE_INFINITY])("comes once though patterns overlap (%d ms)", async (expiryMs) => {
    const core = await coreBroker();
    const publisher = core.client();
    const client = connect(core, { expiryMs });
    client.want("topic:a.*", { quality: 0, tag: 1 }).want("topic:a.b", { tag: 2 }).want("topic:**", { tag: 3 });
    publisher.send("topic:a.b", "1", { durable: true });
    core.settle();
    expect(client.got.taken.map(({ body, delivery }) => [body, delivery !== undefined])).toEqual([["1", true]]);
    expect(client.session.interests.grantOf(parse("topic:a.b"))?.tags).toEqual([1, 2, 3]);
    client.session.remove(parsePattern("topic:a.b"));
    client.session.remove(parsePattern("topic:**"));
    publisher.send("topic:a.b", "2", { durable: true });
    publisher.send("topic:c", "3", { durable: true });
    core.settle();
    expect(client.got.taken.slice(1).map(({ body, delivery }) => [body, delivery])).toEqual([["2", undefined]]);
  });

  it.each([0, Number.POSITIVE_INFINITY])(
    "leaves out what it sends itself, where all that match say so (%d ms)",
    async (expiryMs) => {
      const core = await coreBroker();
      const client = connect(core, { expiryMs });
      client.want("topic:*", { noLocal: true }).want("topic:b");
      for (const sender of [client, core.client()]) {
        sender.send("topic:a", `a of ${sender === client ? "its own" : "another"}`);
        sender.send("topic:b", `b of ${sender === client ? "its own" : "another"}`);
      }
      core.settle();
      expect(client.got.bodies).toEqual(["b of its own", "a of another", "b of another"]);
    },
  );

  it("is attached once to a queue that several patterns match, and until the last of them is removed", async () => {
    const core = await coreBroker();
    const publisher = core.client();
    for (const name of ["queue:q.a", "queue:q.b"]) publisher.send(name, "0");
    const client = connect(core).want("queue:q.*").want("queue:q.a").want("queue:**");
    core.settle();
    expect(core.broker.host(undefined)?.queues.get("q.a")?.consumerCount).toBe(1);
    client.session.remove(parsePattern("queue:q.*"));
    client.session.remove(parsePattern("queue:**"));
    for (const name of ["queue:q.a", "queue:q.b", "queue:q.c"]) publisher.send(name, `1 ${name}`);
    core.settle();
    expect(client.got.bodies).toEqual(["0", "0", "1 queue:q.a"]);
  });

  it("is given nothing of a queue before the turn in which it asked is over", async () => {
    const core = await coreBroker();
    for (const name of ["queue:a.x", "queue:b"]) core.client().send(name, name);
    core.settle();
    const client = connect(core);
    core.settle();
    client.want("queue:a.*").want("queue:b");
    expect(client.got.bodies).toEqual([]);
    core.settle();
    expect(client.got.bodies).toEqual(["queue:a.x", "queue:b"]);
  });

  it("does not settle anything until something is wanted surely", async () => {
    const core = await coreBroker();
    const client = connect(core, { expiryMs: 0 }).want("topic:a", { quality: 0 });
    expect([client.session.subscription.settling, client.session.subscription.direct]).toEqual([false, true]);
    client.want("topic:b", { quality: 2 });
    expect([client.session.subscription.settling, client.session.subscription.direct]).toEqual([true, false]);
  });

  it("comes back with the queues that it consumes from", async () => {
    const core = await coreBroker();
    connect(core).want("queue:q").core.close();
    core.client().send("queue:q", "1");
    const again = connect(core);
    core.settle();
    expect(again.got.bodies).toEqual(["1"]);
  });
});

describe("retained messages come to a session", () => {
  it.each([0, Number.POSITIVE_INFINITY])("marked as such, when asked for (%d ms)", async (expiryMs) => {
    const core = await coreBroker();
    retain(core, "topic:a.x", "kept");
    retain(core, "topic:a.y", "kept unsurely", false);
    const client = connect(core, { expiryMs }).want("topic:a.*", {}, "always");
    core.settle();
    expect(client.got.bodies.sort()).toEqual(["kept", "kept unsurely"]);
    expect(client.got.taken.every(({ message }) => (message.traits & TRAIT.retained) !== 0)).toBe(true);
    core.client().send("topic:a.x", "live");
    client.want("topic:a.*", {}, "if-new").want("topic:*.x", {}, "never");
    core.settle();
    expect(client.got.taken.slice(2).map(({ body, message }) => [body, message.traits])).toEqual([["live", 0]]);
    client.want("topic:a.*", {}, "always").want("topic:a.x", {}, "if-new");
    core.settle();
    expect(client.got.bodies.slice(3).sort()).toEqual(["kept", "kept", "kept unsurely"]);
  });

  it("a slice at a time, when there are very many", async () => {
    const core = await coreBroker();
    for (let i = 0; i < 2500; i++) retain(core, `topic:r.${i}`, String(i));
    const client = connect(core).want("topic:r.*", {}, "always");
    core.clock.settle();
    expect(client.got.taken).toHaveLength(1000);
    core.clock.advance(0);
    expect(new Set(client.got.bodies).size).toBe(2500);
  });

  it("no more of them once they are not wanted any more", async () => {
    const core = await coreBroker();
    for (let i = 0; i < 1500; i++) retain(core, `topic:r.${i}`, String(i));
    const client = connect(core).want("topic:r.*", {}, "always");
    core.clock.settle();
    client.session.remove(parsePattern("topic:r.*"));
    core.clock.advance(1000);
    expect(client.got.taken).toHaveLength(1000);
  });

  it("and still say what they are when they waited for it", async () => {
    const core = await coreBroker();
    retain(core, "topic:a", "kept");
    const client = connect(core).want("topic:a", {}, "always");
    client.session.subscription.hold();
    core.settle();
    client.core.close();
    const again = connect(core);
    core.settle();
    expect(again.got.taken.map(({ body, message }) => [body, message.traits])).toEqual([["kept", TRAIT.retained]]);
  });
});
