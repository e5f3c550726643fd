import { describe, expect, it } from "vitest";
import { ALL, denied, guardedCore, ruleSet } from "../support/access.ts";
import { type CoreBroker, parse, plainMessage, TestClient } from "../support/core-broker.ts";
import { connect, interest } from "../support/core-sessions.ts";

const NO_A = [denied("a.#"), ALL];
const NO_SENDING = [{ deny: ["*"], actions: ["send" as const] }, ALL];

function sendBoth({ broker }: CoreBroker): void {
  const sender = new TestClient(broker);
  for (const name of ["a.x", "a.y"]) sender.send(`topic:${name}`, "x", { durable: true });
}

describe("when rules change, whoever may not", () => {
  it.each(["topic", "queue"])("receive from a %s any more loses the subscription, and is told why", async (kind) => {
    const { core, change } = await guardedCore([]);
    const lost = core.client().subscribe(`${kind}:a.x`);
    const kept = core.client().subscribe(`${kind}:b.x`);
    core.settle();
    change(...NO_A);
    const right = kind === "topic" ? "receive" : "consume";
    expect(lost.got.cancelReason).toBe(
      `User tester may not ${right} the ${kind} a.x: rule 0 denies it (address 127.0.0.1)`,
    );
    expect(kept.got.cancelReason).toBeUndefined();
    core.client().send(`${kind}:a.x`, "1");
    core.client().send(`${kind}:b.x`, "2");
    core.settle();
    expect(lost.got.bodies).toEqual([]);
    expect(kept.got.bodies).toEqual(["2"]);
  });

  it("consume a durable subscription any more loses it, though it stays", async () => {
    const { core, change } = await guardedCore([]);
    const { got } = core.client().subscribe("topic:b", { durable: "d" });
    change({ deny: ["*"], actions: ["consume"], kinds: ["dsub"], id: "d" }, ALL);
    expect(got.cancelReason).toMatch(/may not consume the dsub d: rule 0 denies it/);
    expect(core.broker.host(undefined)?.durables.has("d")).toBe(true);
  });

  it("receive from an exchange any more loses that subscription", async () => {
    const { core, change } = await guardedCore([]);
    const { got } = core.client().subscribe("exchange:amq%2Efanout.key");
    change({ deny: ["*"], actions: ["receive"], kinds: ["exchange"], id: "amq.fanout" }, ALL);
    expect(got.cancelReason).toMatch(/may not receive the exchange amq.fanout: rule 0/);
  });

  it("have a part of a wildcard any more goes on without it, and gets it back", async () => {
    const { core, change } = await guardedCore([]);
    const topics = core.client().subscribe("topic:*.x");
    const queues = core.client().subscribe("queue:*.x", { settling: false });
    const both = core.client().subscribe("queue:*.y queue:b.y", { settling: false });
    core.settle();
    const sendAll = (body: string): void => {
      for (const name of ["a.x", "b.x"])
        for (const kind of ["topic", "queue"]) core.client().send(`${kind}:${name}`, body);
      core.client().send("queue:b.y", body);
      core.settle();
    };
    sendAll("1");
    change(...NO_A);
    sendAll("2");
    expect(topics.got.bodies).toEqual(["1", "1", "2"]);
    expect(queues.got.bodies).toEqual(["1", "1", "2"]);
    change(ALL);
    expect(queues.got.bodies).toEqual(["1", "1", "2", "2"]);
    sendAll("3");
    expect(topics.got.bodies).toEqual(["1", "1", "2", "3", "3"]);
    expect(queues.got.bodies).toEqual(["1", "1", "2", "2", "3", "3"]);
    expect(both.got.bodies).toEqual(["1", "2", "3"]);
  });

  it("be connected any more is told to go", async () => {
    const { core, change } = await guardedCore([]);
    const client = connect(core);
    change({ deny: ["*"], actions: ["connect"], kinds: ["virtual-host"] }, ALL);
    expect(client.evictedFor).toMatch(/may not connect to virtual host default: rule 0/);
    expect(client.evictedAs).toBe("not-authorized");
  });

  it("send any more is refused with the next message, on routes that are open", async () => {
    const { core, change } = await guardedCore([]);
    const client = core.client();
    const address = parse("queue:a");
    const route = client.core.route([address]);
    const send = (): void => client.core.publish(route, plainMessage(address, "x"));
    send();
    change(...NO_SENDING);
    expect(send).toThrow(/may not send the queue a: rule 0 denies it/);
    expect(send).toThrow(/may not send/);
    change(ALL);
    expect(send).not.toThrow();
    expect(core.broker.host(undefined)?.queues.get("a")?.count).toBe(2);
  });

  it("send to one of several addresses any more reaches none of them", async () => {
    const { core, change } = await guardedCore([]);
    const client = core.client();
    const route = client.core.route([parse("queue:a"), parse("queue:b")]);
    change({ deny: ["*"], actions: ["send"], id: "b" }, ALL);
    expect(() => client.core.publish(route, plainMessage(parse("queue:a"), "x"))).toThrow(/send the queue b/);
    expect(core.broker.host(undefined)?.queues.get("a")?.count).toBe(0);
  });

  it("send any more does not commit, and retains nothing", async () => {
    const { core, change } = await guardedCore([]);
    const client = core.client();
    const address = parse("topic:a");
    const route = client.core.route([address]);
    const message = plainMessage(address, "x");
    const transaction = client.core.begin();
    const other = parse("queue:b");
    client.core.publish(client.core.route([other]), plainMessage(other, "y"), transaction);
    client.core.retain(route, message, transaction);
    change({ deny: ["*"], actions: ["send"], id: "a" }, ALL);
    expect(() => transaction.commit()).toThrow(/may not send the topic a/);
    expect(core.broker.host(undefined)?.queues.get("b")?.count).toBe(0);
    expect(() => client.core.retain(route, message)).toThrow(/may not send the topic a/);
    expect(core.broker.host(undefined)?.retained.count).toBe(0);
  });

  it("send any more leaves a will that nobody gets", async () => {
    const { core, change } = await guardedCore([]);
    const client = connect(core, { expiryMs: 0 }).will("topic:w", "gone");
    change(...NO_SENDING);
    client.core.close();
    expect(core.broker.host(undefined)?.wills).toMatchObject({ published: 0, refused: 1 });
  });
});

describe("when rules change, a session", () => {
  it("that may not have one of its interests any more is ended for now, and comes back without it", async () => {
    const { core, change } = await guardedCore([]);
    const first = connect(core).want("topic:a.x").want("topic:b.x");
    change(...NO_A);
    expect(first.evictedFor).toMatch(/may not receive the topic a.x: rule 0/);
    expect(first.evictedAs).toBe("not-authorized");
    first.core.close();
    for (const name of ["a.x", "b.x"]) core.client().send(`topic:${name}`, name, { durable: true });
    const second = connect(core);
    core.settle();
    expect(second.got.bodies).toEqual(["b.x"]);
    expect(Array.from(second.session.interests.all(), ({ pattern }) => pattern.text)).toEqual(["b.x"]);
  });

  it("that may not be kept any more is ended, and one that goes with its connection is not", async () => {
    const { core, change } = await guardedCore([]);
    const kept = connect(core, { id: "kept" }).want("topic:b");
    const passing = connect(core, { id: "passing", expiryMs: 0 }).want("topic:b");
    change({ deny: ["*"], actions: ["consume"], kinds: ["dsub"] }, ALL);
    expect(kept.evictedFor).toMatch(/may not consume the dsub kept: rule 0/);
    expect(passing.evictedFor).toBeUndefined();
    kept.core.close();
    expect(() => connect(core, { id: "kept" })).toThrow(/may not consume the dsub kept/);
  });

  it("that shares what it may not have any more is ended, too", async () => {
    const { core, change } = await guardedCore([]);
    const client = connect(core);
    client.session.share("g", interest("topic:a.x"));
    change(...NO_A);
    expect(client.evictedFor).toMatch(/may not receive the topic a.x/);
  });

  it.each([0, Number.POSITIVE_INFINITY])("goes on without a part of a wildcard (kept for %d ms)", async (expiryMs) => {
    const { core, change } = await guardedCore([]);
    const client = connect(core, { expiryMs }).want("topic:*.x").want("queue:*.y");
    core.settle();
    change(...NO_A);
    for (const name of ["topic:a.x", "topic:b.x", "queue:a.y", "queue:b.y"]) core.client().send(name, name);
    core.settle();
    expect(client.evictedFor).toBeUndefined();
    expect(client.got.bodies).toEqual(["topic:b.x", "queue:b.y"]);
  });

  it("that is away gathers no more of what it may not have", async () => {
    const { core, change } = await guardedCore([]);
    connect(core).want("topic:*.x").want("topic:a.y").core.close();
    const send = (): void => {
      for (const name of ["a.x", "b.x", "a.y"]) core.client().send(`topic:${name}`, name, { durable: true });
    };
    const count = (): number | undefined => core.broker.host(undefined)?.durables.get("s")?.queue.count;
    send();
    expect(count()).toBe(3);
    change(...NO_A);
    send();
    expect(count()).toBe(4);
  });

  it("gathers by the rights of whoever had it last", async () => {
    const { core } = await guardedCore([{ allow: ["chiefs"] }, denied("a.#"), ALL]);
    const send = (): void => core.client().send("topic:a.x", "secret", { durable: true });
    connect(core, { login: { user: "ann", groups: ["chiefs"] } })
      .want("topic:**")
      .core.close();
    send();
    const again = connect(core, { login: { user: "ann", groups: [] } });
    core.settle();
    // What was gathered rightly is still hers.
    expect(again.got.bodies).toEqual(["secret"]);
    send();
    core.settle();
    expect(again.got.bodies).toEqual(["secret"]);
  });
});

describe("a client that logs in again with other groups", () => {
  const rules = [{ deny: ["demoted"], actions: ["receive" as const, "send" as const], id: "a.x" }, ALL];

  it("loses what it may not have any more", async () => {
    const { core } = await guardedCore(rules);
    const client = new TestClient(core.broker, { user: "ann", groups: [] });
    const { got } = client.subscribe("topic:a.x");
    const route = client.core.route([parse("topic:a.x")]);
    client.core.renewLogin({ user: "ann", groups: ["demoted"] });
    core.settle();
    expect(got.cancelReason).toMatch(/may not receive the topic a.x: rule 0 denies it \(group demoted/);
    expect(() => client.core.publish(route, plainMessage(parse("topic:a.x"), "x"))).toThrow(/may not send/);
  });

  it("gathers no more than it may have then in a durable subscription, nor after a restart", async () => {
    const { core } = await guardedCore(rules);
    const client = new TestClient(core.broker, { user: "ann", groups: [] });
    client.subscribe("topic:a.*", { durable: "d", credit: { messages: 0, bytes: 0 } });
    sendBoth(core);
    client.core.renewLogin({ user: "ann", groups: ["demoted"] });
    core.settle();
    sendBoth(core);
    expect(core.broker.host(undefined)?.durables.get("d")?.queue.count).toBe(3);
    client.core.close();
    await core.broker.close();
    const again = await guardedCore(rules, { clock: core.clock, store: core.store });
    sendBoth(again.core);
    expect(again.core.broker.host(undefined)?.durables.get("d")?.queue.count).toBe(4);
  });

  it("has the rights of its durable subscription change with it", async () => {
    const { core } = await guardedCore(rules);
    const subscribe = (groups: string[]): void => {
      const client = new TestClient(core.broker, { user: "ann", groups });
      client.subscribe("topic:a.*", { durable: "d" });
      client.core.close();
    };
    const count = (): number | undefined => core.broker.host(undefined)?.durables.get("d")?.queue.count;
    const send = (): void => core.client().send("topic:a.x", "x", { durable: true });
    subscribe([]);
    send();
    expect(count()).toBe(1);
    subscribe(["demoted"]);
    send();
    expect(count()).toBe(1);
  });
});

describe("a review of very many clients", () => {
  it("lets others have their turn, and looks at all of them", async () => {
    const { core, change } = await guardedCore([]);
    const all = Array.from({ length: 250 }, () => core.client().subscribe("topic:a.x"));
    change(...NO_A);
    core.clock.advance(10);
    expect(all.filter(({ got }) => got.cancelReason === undefined)).toEqual([]);
  });

  it.each([
    ["subscriptions", (client: TestClient, i: number) => void client.subscribe(`topic:a.x${i}`)],
    ["queues of a wildcard", (client: TestClient, i: number) => client.send(`queue:a.x${i}`, "x")],
  ])("lets others have their turn in between of %s of one client", async (_what, add) => {
    const { core, access } = await guardedCore([]);
    const client = core.client();
    const wild = client.subscribe("queue:*.*", { settling: false }).subscription;
    for (let i = 0; i < 5000; i++) add(client, i);
    core.settle();
    const count = (): number => client.core.subscriptions.size + wild.links.length;
    access.replace(ruleSet(...NO_A));
    core.broker.reviewAccess();
    const seen: number[] = [];
    core.clock.after(0, () => seen.push(count()));
    core.clock.advance(1);
    expect(seen[0]).toBeGreaterThan(1000);
    expect(count()).toBe(1);
  });

  it("looks at whoever has little before it is done with those who have much, and at everything in the end", async () => {
    const { core, access } = await guardedCore([]);
    const first = connect(core, { id: "first" });
    for (let i = 0; i < 5000; i++) first.session.share("g", interest(`topic:b.${i}`));
    first.session.share("g", interest("topic:a.last"));
    const { got } = core.client().subscribe("topic:a.x");
    core.settle();
    access.replace(ruleSet(...NO_A));
    core.broker.reviewAccess();
    const order: string[] = [];
    const look = (): void => {
      if (got.cancelReason !== undefined && !order.includes("little")) order.push("little");
      if (first.evictedFor !== undefined && !order.includes("much")) order.push("much");
      if (order.length < 2) core.clock.after(0, look);
    };
    core.clock.after(0, look);
    core.clock.advance(1);
    expect(order).toEqual(["little", "much"]);
  });
});
