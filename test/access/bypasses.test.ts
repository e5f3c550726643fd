import { describe, expect, it } from "vitest";
import type { Policy } from "../../core/policy.ts";
import type { QueueDeclaration } from "../../core/queue/queue-declaration.ts";
import { ALL, type GivenRule, type GuardedCore, guardedCore } from "../support/access.ts";
import { parse, plainMessage, TestClient } from "../support/core-broker.ts";
import { bind, counts, exchange, publish, queueOf } from "../support/core-exchanges.ts";

/** What the user mallory may not do; everybody else may do everything. */
function mallory(rule: GivenRule): Promise<GuardedCore> {
  return guardedCore([{ ...rule, deny: ["mallory"], principalKinds: ["user"] }, ALL]);
}

function asMallory({ core }: GuardedCore): TestClient {
  return new TestClient(core.broker, { user: "mallory", groups: [] });
}

function declare(client: TestClient, name: string, more: Partial<QueueDeclaration> = {}, policy: Partial<Policy> = {}) {
  const flags = { durable: true, exclusive: false, autoDelete: false, expiresMs: 0, arguments: new Map() };
  return client.core.declareQueue({ address: parse(`queue:${name}`), ...flags, policy, ...more });
}

const NO_SENDING = { actions: ["send" as const], id: "payroll" };

describe("who may not receive from a virtual topic", () => {
  it("may not declare a queue that gets it either", async () => {
    const guarded = await mallory({ actions: ["receive"], kinds: ["topic"], id: "VirtualTopic.orders" });
    const queue = "Consumer.m.VirtualTopic.orders";
    expect(() => declare(asMallory(guarded), queue)).toThrow(/may not receive the topic VirtualTopic\.orders/);
    expect(() => asMallory(guarded).send(`queue:${queue}`, "x")).toThrow(/may not receive/);
    expect(() => declare(guarded.core.client(), queue)).not.toThrow();
  });
});

describe("who may not send to a queue", () => {
  it("does not get there by dead letters that keep their routing keys", async () => {
    const guarded = await mallory(NO_SENDING);
    const { core } = guarded;
    core.client().send("queue:payroll", "right");
    const client = asMallory(guarded);
    client.core.declareExchange(exchange("mine", "fanout"));
    expect(() => declare(client, "mine.q", {}, { deadLetterExchange: "", maxMessages: 1, full: "drop-head" })).toThrow(
      /nothing can be left out of what is shared, bound or led on/,
    );
    expect(() =>
      declare(client, "mine.q", {}, { deadLetterExchange: "", deadLetterRoutingKey: "mine.r" }),
    ).not.toThrow();
  });

  it("does not get there by dead letters of a queue declared by somebody else, whose key is the sender's", async () => {
    const { core } = await guardedCore([]);
    const client = core.client();
    client.send("queue:other", "right");
    client.core.declareExchange(exchange("mine", "fanout"));
    declare(client, "mine.q", {}, { deadLetterExchange: "", maxMessages: 1, full: "drop-head" });
    bind(client, "mine", "queue:mine.q");
    publish(client, "mine", "other", "1");
    publish(client, "mine", "other", "2");
    core.settle();
    // Who may do everything may do that as well.
    expect(counts(core, "other")).toEqual([2]);
  });
});

describe("system topics", () => {
  it("are closed to dead letters, whoever declares where they go", async () => {
    const { core } = await guardedCore([]);
    const watcher = core.client().subscribe("topic:$SYS.**");
    const client = core.client();
    const grave = { deadLetterExchange: "amq.topic", deadLetterRoutingKey: "$SYS.broker.version" };
    declare(client, "q", {}, { ...grave, maxMessages: 1, full: "drop-head" });
    for (const body of ["1", "2"]) client.send("queue:q", body);
    core.settle();
    expect(watcher.got.bodies).toEqual([]);
    expect(queueOf(core, "q").count).toBe(1);
  });
});

describe("temporary destinations", () => {
  it("cannot be declared beforehand by somebody who guesses their names", async () => {
    const { core } = await guardedCore([]);
    const victim = core.client();
    const spy = core.client();
    const name = `temp.${victim.core.id}.reply`;
    expect(() => declare(spy, name)).toThrow(/temporary/);
    expect(() => declare(spy, name, { durable: false, exclusive: true })).toThrow(/temporary/);
  });

  it("show nobody else what they retain", async () => {
    const { core } = await guardedCore([]);
    const owner = core.client();
    const address = owner.core.temporary("topic", "mine");
    owner.core.retain(owner.core.route([address]), plainMessage(address, "private"));
    const spy = core.client().subscribe("topic:temp.**");
    const durable = core.client().subscribe("topic:temp.#", { durable: "d" });
    const own = owner.subscribe("topic:temp.**");
    core.settle();
    expect([...spy.got.bodies, ...durable.got.bodies]).toEqual([]);
    expect(own.got.bodies).toEqual(["private"]);
  });
});

describe("who may not create a queue", () => {
  it("cannot make one last that is there by use, but may go on to use it", async () => {
    const guarded = await mallory({ actions: ["create"], id: "q" });
    const { core } = guarded;
    core.client().send("queue:q", "x");
    const isDeclared = (): boolean =>
      core.broker.host(undefined)?.requests.declarationOf(parse("queue:q")) !== undefined;
    expect(declare(asMallory(guarded), "q").messages).toBe(1);
    expect(isDeclared()).toBe(false);
    declare(core.client(), "q");
    expect(isDeclared()).toBe(true);
    expect(declare(asMallory(guarded), "q").messages).toBe(1);
  });
});

describe("a rule that denies with a placeholder", () => {
  it("holds for names so long that its expression grows too large", async () => {
    const id = "{[^]{900}|[^]*}%c";
    const guarded = await guardedCore([{ deny: ["*"], actions: ["send"], id }, ALL]);
    const host = guarded.core.broker.host(undefined);
    const clientId = "c".repeat(200);
    const connecting = { login: { user: "u", groups: [] }, protocol: "test", clientId };
    const listener = { confirmed: () => {}, unblocked: () => {}, evicted: () => {} };
    const peer = new TestClient(guarded.core.broker).core.peer;
    const client = host?.connect({ ...connecting, peer, listener });
    expect(() => client?.route([parse(`queue:a${clientId}`)])).toThrow(/may not send/);
  });
});

describe("who may do nothing with a queue or an exchange", () => {
  it("does not learn whether it is there, nor what it holds", async () => {
    const guarded = await mallory({ id: "secret" });
    const { core } = guarded;
    core.client().send("queue:secret", "x");
    core.client().core.declareExchange(exchange("secret", "fanout"));
    const spy = asMallory(guarded);
    expect(() => spy.core.checkQueue(parse("queue:secret"))).toThrow(/may not receive the queue secret/);
    expect(() => declare(spy, "secret", { durable: false })).toThrow(/may not/);
    expect(() => spy.core.checkExchange("secret")).toThrow(/may not receive the exchange secret/);
    expect(core.client().core.checkQueue(parse("queue:secret")).messages).toBe(1);
  });

  it("does, who may do one thing with it", async () => {
    const guarded = await mallory({ id: "secret", actions: ["receive", "consume", "create", "destroy"] });
    guarded.core.client().send("queue:secret", "x");
    expect(asMallory(guarded).core.checkQueue(parse("queue:secret")).messages).toBe(1);
  });
});
