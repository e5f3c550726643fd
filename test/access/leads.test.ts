import { describe, expect, it } from "vitest";
import type { Policy } from "../../core/policy.ts";
import { ALL, type GivenRule, guardedCore } from "../support/access.ts";
import { type CoreBroker, parse, TestClient } from "../support/core-broker.ts";
import { bind, counts, declareQueue, exchange, publish, unbind } from "../support/core-exchanges.ts";

const NO_RECEIVING: GivenRule = { deny: ["clerks"], actions: ["receive"], id: "secret.#" };
const NO_SENDING: GivenRule = { deny: ["clerks"], actions: ["send"], id: "payroll" };

function clerk({ broker }: CoreBroker, user = "ann"): TestClient {
  return new TestClient(broker, { user, groups: ["clerks"] });
}

/** Declares a queue that gives up every message but the newest. */
function declareSmall(client: TestClient, name: string, policy: Partial<Policy>): void {
  client.core.declareQueue({
    address: parse(`queue:${name}`),
    durable: true,
    exclusive: false,
    autoDelete: false,
    expiresMs: 0,
    arguments: new Map(),
    policy: { maxMessages: 1, full: "drop-head", ...policy },
  });
}

describe("a binding whose maker may not have it any more", () => {
  it("of topics leads nowhere, and on again when it may", async () => {
    const { core, change } = await guardedCore([ALL]);
    const ann = clerk(core);
    declareQueue(ann, "q");
    bind(ann, "amq.topic", "queue:q", "secret.#");
    bind(ann, "amq.topic", "queue:q", "open.#");
    const sendBoth = (): void => {
      for (const name of ["secret.x", "open.x"]) core.client().send(`topic:${name}`, name);
    };
    sendBoth();
    expect(counts(core, "q")).toEqual([2]);
    ann.core.close();
    change(NO_RECEIVING, ALL);
    sendBoth();
    expect(counts(core, "q")).toEqual([3]);
    change(ALL);
    sendBoth();
    expect(counts(core, "q")).toEqual([5]);
  });

  it("keeps to itself what another binding of the same queue leads there", async () => {
    const { core, change } = await guardedCore([ALL]);
    declareQueue(core.client(), "q");
    bind(clerk(core), "amq.topic", "queue:q", "secret.*");
    bind(core.client(), "amq.topic", "queue:q", "*.x");
    change(NO_RECEIVING, ALL);
    for (const name of ["secret.x", "secret.y"]) core.client().send(`topic:${name}`, name);
    expect(counts(core, "q")).toEqual([1]);
    unbind(core.client(), "amq.topic", "queue:q", "*.x");
    core.client().send("topic:secret.x", "1");
    change(ALL);
    core.client().send("topic:secret.x", "2");
    expect(counts(core, "q")).toEqual([2]);
  });

  it.each(["direct", "topic", "fanout", "headers"] as const)("of a %s exchange does the same", async (type) => {
    const { core, change } = await guardedCore([ALL]);
    const ann = clerk(core);
    ann.core.declareExchange(exchange("secret", type));
    declareQueue(ann, "q");
    bind(ann, "secret", "queue:q", "k");
    const route = publish(core.client(), "secret", "k", "1");
    change(NO_RECEIVING, ALL);
    publish(core.client(), "secret", "k", "2");
    change(ALL);
    publish(core.client(), "secret", "k", "3");
    expect(counts(core, "q")).toEqual([2]);
    expect(route.addresses).toHaveLength(1);
  });

  it("to a queue or an exchange that its maker may not send to does the same", async () => {
    const { core, change } = await guardedCore([ALL]);
    const ann = clerk(core);
    core.client().core.declareExchange(exchange("payroll", "fanout"));
    ann.core.declareExchange(exchange("mine", "fanout"));
    for (const name of ["payroll", "q"]) declareQueue(core.client(), name);
    bind(core.client(), "payroll", "queue:q");
    bind(ann, "mine", "queue:payroll");
    bind(ann, "mine", "exchange:payroll");
    publish(ann, "mine", "", "1");
    change(NO_SENDING, ALL);
    publish(ann, "mine", "", "2");
    expect(counts(core, "payroll", "q")).toEqual([1, 1]);
    unbind(core.client(), "mine", "queue:payroll");
    change(ALL);
    publish(ann, "mine", "", "3");
    expect(counts(core, "payroll", "q")).toEqual([1, 2]);
  });

  it("is somebody else's who may have it and makes it again, and not before", async () => {
    const { core, change } = await guardedCore([ALL]);
    const chief = core.client();
    const secret = (): void => {
      core.client().send("topic:secret.x", "x");
    };
    declareQueue(chief, "q");
    bind(clerk(core), "amq.topic", "queue:q", "secret.#");
    bind(chief, "amq.topic", "queue:q", "secret.#");
    change(NO_RECEIVING, ALL);
    secret();
    expect(counts(core, "q")).toEqual([0]);
    expect(() => bind(clerk(core), "amq.topic", "queue:q", "secret.#")).toThrow(/may not receive/);
    bind(chief, "amq.topic", "queue:q", "secret.#");
    change(NO_RECEIVING, ALL);
    secret();
    expect(counts(core, "q")).toEqual([1]);
  });

  it("leads nowhere after a restart, too, whenever the rules were changed, and is never lost", async () => {
    const first = await guardedCore([ALL]);
    const ann = clerk(first.core);
    declareQueue(ann, "q");
    bind(ann, "amq.topic", "queue:q", "secret.#");
    bind(ann, "amq.topic", "queue:q", "open.#");
    await first.core.broker.close();
    const { clock, store } = first.core;
    const second = await guardedCore([NO_RECEIVING, ALL], { clock, store });
    for (const name of ["secret.x", "open.x"]) second.core.client().send(`topic:${name}`, name);
    expect(counts(second.core, "q")).toEqual([1]);
    await second.core.broker.close();
    const third = await guardedCore([ALL], { clock, store });
    third.core.client().send("topic:secret.x", "x");
    expect(counts(third.core, "q")).toEqual([1]);
  });

  it("of a queue for one connection alone goes by the groups of that connection's newest login", async () => {
    const { core } = await guardedCore([NO_RECEIVING, ALL]);
    const client = new TestClient(core.broker, { user: "ann", groups: [] });
    const flags = { durable: false, exclusive: true, autoDelete: false, expiresMs: 0, arguments: new Map() };
    client.core.declareQueue({ address: parse("queue:own"), ...flags, policy: {} });
    bind(client, "amq.topic", "queue:own", "secret.#");
    const send = (): void => core.client().send("topic:secret.x", "x");
    send();
    client.core.renewLogin({ user: "ann", groups: ["clerks"] });
    core.settle();
    send();
    expect(counts(core, "own")).toEqual([1]);
    client.core.renewLogin({ user: "ann", groups: [] });
    core.settle();
    send();
    expect(counts(core, "own")).toEqual([2]);
  });

  it("is told of in the log, once", async () => {
    const told: string[] = [];
    const { core, change } = await guardedCore([ALL], { broker: { report: (sentence) => told.push(sentence) } });
    declareQueue(clerk(core), "q");
    bind(clerk(core), "amq.topic", "queue:q", "secret.#");
    change(NO_RECEIVING, ALL);
    change(NO_RECEIVING, ALL);
    expect(told).toEqual([
      expect.stringMatching(/^By the access rules.* 1 bindings.* lead nowhere any more, and 0 lead on/),
    ]);
  });
});

describe("whoever may not send somewhere any more", () => {
  it("does not get there by the alternate of an exchange", async () => {
    const { core, change } = await guardedCore([ALL]);
    const ann = clerk(core);
    core.client().core.declareExchange(exchange("payroll", "fanout"));
    declareQueue(core.client(), "q");
    bind(core.client(), "payroll", "queue:q");
    ann.core.declareExchange(exchange("mine", "direct", { alternate: "payroll" }));
    publish(ann, "mine", "", "1");
    change(NO_SENDING, ALL);
    publish(ann, "mine", "", "2");
    change(ALL);
    publish(ann, "mine", "", "3");
    expect(counts(core, "q")).toEqual([2]);
  });

  it("does not get there by dead letters, over a restart either, and what the configuration says of them holds", async () => {
    const grave = { deadLetterExchange: "", deadLetterRoutingKey: "payroll" };
    const first = await guardedCore([ALL]);
    declareQueue(first.core.client(), "payroll");
    declareSmall(clerk(first.core), "mine", { ...grave, deadLetterQueue: "dlq" });
    const send = (core: CoreBroker): void => clerk(core).send("queue:mine", "x", { durable: true });
    for (let i = 0; i < 2; i++) send(first.core);
    expect(counts(first.core, "payroll")).toEqual([1]);
    first.change(NO_SENDING, ALL);
    send(first.core);
    expect(counts(first.core, "payroll", "dlq")).toEqual([1, 1]);
    await first.core.broker.close();
    const { clock, store } = first.core;
    const second = await guardedCore([NO_SENDING, ALL], { clock, store });
    send(second.core);
    expect(counts(second.core, "dlq")).toEqual([2]);
  });
});

describe("leading to the topics", () => {
  const closed: GivenRule = { deny: ["clerks"], actions: ["send"], kinds: ["topic"], id: "closed.#" };

  it.each([
    ["direct", "open.a", true],
    ["direct", "closed.a", false],
    ["topic", "open.#", true],
    ["topic", "*.a", false],
    ["fanout", "open.a", false],
    ["headers", "open.a", false],
    ["direct", `${"%2E".repeat(90)}${".".repeat(200)}`, false],
  ] as const)("by a %s exchange with the key %s takes the right to send to these: %s", async (type, key, allowed) => {
    const { core } = await guardedCore([closed, ALL]);
    const ann = clerk(core);
    ann.core.declareExchange(exchange("mine", type));
    const make = (): void => bind(ann, "mine", "exchange:amq.topic", key);
    if (allowed) expect(make).not.toThrow();
    else expect(make).toThrow(/send the topic/);
  });

  it("by dead letters, or as an alternate, does so", async () => {
    const { core } = await guardedCore([closed, ALL]);
    const ann = clerk(core);
    const grave = { deadLetterExchange: "amq.topic" };
    expect(() => declareSmall(ann, "q", grave)).toThrow(/send the topic \*\*/);
    expect(() => declareSmall(ann, "q", { ...grave, deadLetterRoutingKey: "closed.a" })).toThrow(
      /send the topic closed\.a/,
    );
    expect(() => declareSmall(ann, "q", { ...grave, deadLetterRoutingKey: "open.a" })).not.toThrow();
    expect(() => ann.core.declareExchange(exchange("x", "direct", { alternate: "amq.topic" }))).toThrow(
      /send the topic/,
    );
  });
});
