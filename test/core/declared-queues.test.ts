import { describe, expect, it } from "vitest";
import type { QueueDeclaration } from "../../core/queue/queue-declaration.ts";
import {
  Collector,
  type CoreBroker,
  coreBroker,
  parse,
  plainMessage,
  type TestClient,
  testStore,
} from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function declaration(name: string, change: Partial<QueueDeclaration> = {}): QueueDeclaration {
  return {
    address: parse(`queue:${name}`),
    durable: true,
    exclusive: false,
    autoDelete: false,
    policy: {},
    expiresMs: 0,
    arguments: new Map(),
    ...change,
  };
}

function queueOf(core: CoreBroker, name: string) {
  return core.broker.host(undefined)?.queues.get(name);
}

function pull(client: TestClient, name: string, settling = true): Collector & { empty: boolean } {
  const got = Object.assign(new Collector(), { empty: false });
  const consumer = Object.assign(got, {
    exhausted: () => {
      got.empty = true;
    },
  });
  client.core.pull({ address: parse(`queue:${name}`), settling, consumer });
  return got;
}

describe("a declared queue", () => {
  it("says what it has, and is the same for whoever declares it alike", async () => {
    const core = await coreBroker();
    const client = core.client();
    expect(client.core.declareQueue(declaration("a"))).toMatchObject({ messages: 0, consumers: 0 });
    client.send("queue:a", "1");
    client.subscribe("queue:a", { credit: { messages: 0, bytes: 0 } });
    core.settle();
    expect(core.client().core.declareQueue(declaration("a"))).toMatchObject({ messages: 1, consumers: 1 });
  });

  it.each<[string, Partial<QueueDeclaration>, Partial<QueueDeclaration>, RegExp]>([
    [
      "flag",
      { durable: true },
      { durable: false },
      /inequivalent arg 'durable' for queue 'a' in vhost .*: received 'false' but current is 'true'/,
    ],
    [
      "argument",
      { arguments: new Map([["x", 1]]) },
      { arguments: new Map([["x", 2]]) },
      /arg 'x'.*received '2' but current is '1'/,
    ],
    ["argument left out", { arguments: new Map([["x", 1]]) }, {}, /arg 'x'.*received none but current is '1'/],
  ])("refuses another %s", async (_what, first, second, text) => {
    const core = await coreBroker();
    const client = core.client();
    client.core.declareQueue(declaration("a", first));
    expect(() => client.core.declareQueue(declaration("a", second))).toThrow(text);
  });

  it("of which nothing special is said may have been made by using it, and is kept from now on", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:a", "1");
    client.core.declareQueue(declaration("a"));
    client.core.purgeQueue(parse("queue:a"));
    core.clock.advance(100_000);
    expect(queueOf(core, "a")).toBeDefined();
    client.send("queue:b", "1");
    expect(() => client.core.declareQueue(declaration("b", { arguments: new Map([["x-max-length", 1]]) }))).toThrow(
      /'x-max-length'.*current is none/,
    );
  });

  it("is there after a restart with its policy, empty as it is; one that is not durable is not", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const first = await coreBroker({ clock, store });
    const client = first.client();
    client.core.declareQueue(declaration("kept", { policy: { maxMessages: 2, full: "drop-head" } }));
    client.core.declareQueue(declaration("gone", { durable: false }));
    client.send("queue:gone", "1", { durable: true });
    client.core.declareQueue(declaration("deleted"));
    client.core.deleteQueue(parse("queue:deleted"), { ifUnused: true, ifEmpty: true });
    first.settle();
    await first.broker.close();
    const second = await coreBroker({ clock, store });
    expect([queueOf(second, "kept")?.policy.maxMessages, queueOf(second, "gone"), queueOf(second, "deleted")]).toEqual([
      2,
      undefined,
      undefined,
    ]);
    second.clock.advance(100_000);
    expect(queueOf(second, "kept")).toBeDefined();
  });

  it("that was exclusive and is gone leaves its name to others, whose queue outlives its owner", async () => {
    const core = await coreBroker();
    const owner = core.client();
    const other = core.client();
    owner.core.declareQueue(declaration("x", { exclusive: true, autoDelete: true }));
    owner.subscribe("queue:x").subscription.close();
    owner.core.declareQueue(declaration("y", { exclusive: true, expiresMs: 1000 }));
    core.clock.advance(100_000);
    expect([queueOf(core, "x"), queueOf(core, "y")]).toEqual([undefined, undefined]);
    for (const name of ["x", "y"]) {
      other.core.declareQueue(declaration(name));
      other.send(`queue:${name}`, "1");
    }
    owner.core.close();
    core.settle();
    for (const name of ["x", "y"]) expect(other.core.checkQueue(parse(`queue:${name}`))).toMatchObject({ messages: 1 });
  });

  it("that is exclusive is for its connection alone, and goes with it", async () => {
    const core = await coreBroker();
    const owner = core.client();
    const other = core.client();
    owner.core.declareQueue(declaration("x", { exclusive: true }));
    const refused = /exclusive access to locked queue 'x'/;
    expect(() => other.core.declareQueue(declaration("x", { exclusive: true }))).toThrow(refused);
    expect(() => other.core.checkQueue(parse("queue:x"))).toThrow(refused);
    expect(() => other.core.purgeQueue(parse("queue:x"))).toThrow(refused);
    expect(() => other.subscribe("queue:x")).toThrow(refused);
    expect(() => pull(other, "x")).toThrow(refused);
    other.send("queue:x", "1");
    const { got } = owner.subscribe("queue:x");
    core.settle();
    expect(got.bodies).toEqual(["1"]);
    owner.core.close();
    core.settle();
    expect(queueOf(core, "x")).toBeUndefined();
    expect(() => other.core.checkQueue(parse("queue:x"))).toThrow(/no queue 'x'/);
  });

  it("that is auto-delete goes with its last consumer, not before there was one", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.core.declareQueue(declaration("a", { autoDelete: true }));
    core.clock.advance(100_000);
    const first = client.subscribe("queue:a").subscription;
    const second = client.subscribe("queue:a").subscription;
    first.close();
    expect(queueOf(core, "a")).toBeDefined();
    second.stop();
    expect(queueOf(core, "a")).toBeUndefined();
  });

  it("expires with what it holds when nobody uses it", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.core.declareQueue(declaration("a", { expiresMs: 5000 }));
    client.send("queue:a", "1");
    const { subscription } = client.subscribe("queue:a");
    core.clock.advance(20_000);
    expect(queueOf(core, "a")).toBeDefined();
    subscription.close();
    core.clock.advance(3000);
    client.core.checkQueue(parse("queue:a"));
    core.clock.advance(3000);
    expect(queueOf(core, "a")).toBeDefined();
    core.clock.advance(4000);
    expect(queueOf(core, "a")).toBeUndefined();
  });

  it("is deleted only as it was asked for", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.core.declareQueue(declaration("a"));
    client.send("queue:a", "1");
    const { subscription } = client.subscribe("queue:a", { credit: { messages: 0, bytes: 0 } });
    const address = parse("queue:a");
    expect(() => client.core.deleteQueue(address, { ifUnused: true, ifEmpty: false })).toThrow(/in use/);
    expect(() => client.core.deleteQueue(address, { ifUnused: false, ifEmpty: true })).toThrow(/not empty/);
    subscription.close();
    expect(client.core.deleteQueue(address, { ifUnused: true, ifEmpty: false })).toBe(1);
    expect(client.core.deleteQueue(address, { ifUnused: true, ifEmpty: true })).toBe(0);
  });

  it("with a highest priority tells priorities apart from 0, that of messages that say none in their protocol", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.core.declareQueue(declaration("a", { policy: { maxPriority: 5 } }));
    for (const priority of [1, 9, 3, 5]) client.send("queue:a", String(priority), { priority });
    const { got } = client.subscribe("queue:a");
    core.settle();
    expect(got.bodies).toEqual(["9", "5", "3", "1"]);
  });
});

describe("a pull", () => {
  it("leaves nothing behind once it has what it was for, settled or not, or its queue is gone", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.core.declareQueue(declaration("a"));
    client.send("queue:a", "1");
    client.send("queue:a", "2");
    expect([pull(client, "a", false).bodies, client.core.subscriptions.size]).toEqual([["1"], 0]);
    const got = new Collector();
    const subscription = client.core.pull({ address: parse("queue:a"), settling: true, consumer: got });
    client.core.deleteQueue(parse("queue:a"), { ifUnused: false, ifEmpty: false });
    client.core.settle(subscription, got.next(), "accepted");
    expect(client.core.subscriptions.size).toBe(0);
  });

  it("is given nothing that has expired, however much of that comes first", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.core.declareQueue(declaration("a"));
    const expiresAt = core.clock.now() + 10;
    for (let number = 0; number < 5000; number++) client.send("queue:a", "expired", { expiresAt });
    client.send("queue:a", "lasting");
    core.clock.advance(20);
    const got = pull(client, "a");
    core.clock.advance(20);
    expect(got.bodies).toEqual(["lasting"]);
  });

  it("gets one message after the other, and is told when there is none", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (const body of ["1", "2", "3"]) client.send("queue:a", body);
    const first = pull(client, "a");
    const second = pull(client, "a", false);
    client.send("queue:a", "4");
    expect([first.bodies, second.bodies, queueOf(core, "a")?.count]).toEqual([["1"], ["2"], 3]);
    expect([pull(client, "a").bodies, pull(client, "a").bodies, pull(client, "a").empty]).toEqual([["3"], ["4"], true]);
    client.send("queue:a", "5");
    expect(pull(client, "a").bodies).toEqual(["5"]);
  });

  it("settles what it got, or it comes back in its place", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (const body of ["1", "2"]) client.send("queue:a", body);
    const got = new Collector();
    const subscription = client.core.pull({ address: parse("queue:a"), settling: true, consumer: got });
    client.core.settle(subscription, got.next(), "failed");
    const again = pull(client, "a");
    expect([again.bodies, again.taken[0]?.deliveries]).toEqual([["1"], 1]);
    expect(client.core.subscriptions.size).toBe(1);
    client.core.close();
    expect([queueOf(core, "a")?.count, queueOf(core, "a")?.held]).toEqual([2, 0]);
  });

  it("is no consumer, and goes past those who have no room", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { got } = client.subscribe("queue:a", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    for (const body of ["1", "2"]) client.send("queue:a", body);
    expect([got.bodies, pull(client, "a").bodies, queueOf(core, "a")?.consumerCount]).toEqual([["1"], ["2"], 1]);
  });

  it("passes what has expired", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:a", "1", { expiresAt: core.clock.now() + 10 });
    client.send("queue:a", "2");
    core.clock.advance(20);
    expect(pull(client, "a").bodies).toEqual(["2"]);
  });

  it("gets one message, also when others waited with it and what comes next is read at once", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const core = await coreBroker({ clock, store });
    const client = core.client();
    client.core.declareQueue(declaration("a", { policy: { memoryBytes: 2000 } }));
    const count = 200;
    for (let i = 0; i < count; i++) client.send("queue:a", `${i} ${"x".repeat(2000)}`, { durable: true });
    core.settle();
    clock.advance(2000);
    const load = store.load.bind(store);
    let late = true;
    store.load = (...args) => {
      if (late) clock.after(1, () => load(...args));
      else load(...args);
      late = false;
    };
    const got = Array.from({ length: count }, () => pull(client, "a"));
    clock.advance(10);
    expect(got.map(({ bodies }) => bodies.length)).toEqual(got.map(() => 1));
  });

  it("waits for what is only in the store", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.core.declareQueue(declaration("a", { policy: { memoryBytes: 2000 } }));
    for (let i = 0; i < 200; i++) client.send("queue:a", `${i} ${"x".repeat(200)}`, { durable: true });
    core.settle();
    core.clock.advance(2000);
    const numbers: number[] = [];
    for (let i = 0; i < 200; i++) {
      const got = pull(client, "a", false);
      core.settle();
      core.clock.advance(1);
      numbers.push(Number.parseInt(got.bodies[0] ?? "-1", 10));
    }
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(pull(client, "a").empty).toBe(true);
  });
});

describe("a subscription that stops", () => {
  it("keeps what it has, to be settled, and is no consumer", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (const body of ["1", "2", "3"]) client.send("queue:a", body);
    const { subscription, got } = client.subscribe("queue:a", { credit: { messages: 2, bytes: 0 } });
    core.settle();
    const [first, second] = [got.next(), got.next()];
    subscription.stop();
    core.settle();
    expect([queueOf(core, "a")?.consumerCount, queueOf(core, "a")?.held, got.bodies]).toEqual([0, 2, []]);
    client.core.settle(subscription, first, "accepted");
    expect([queueOf(core, "a")?.count, subscription.closed]).toEqual([2, false]);
    client.core.settle(subscription, second, "failed");
    expect([queueOf(core, "a")?.held, subscription.closed]).toEqual([0, true]);
    const { got: again } = core.client().subscribe("queue:a");
    core.settle();
    expect(again.bodies).toEqual(["2", "3"]);
  });

  it("gives back what it has when its client goes", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:a", "1");
    const { subscription } = client.subscribe("queue:a");
    core.settle();
    subscription.stop();
    client.core.close();
    core.settle();
    expect([queueOf(core, "a")?.count, queueOf(core, "a")?.held]).toEqual([1, 0]);
  });
});

function drained(core: CoreBroker, destination: string, credit: number) {
  const client = core.client();
  const left: number[] = [];
  const got = Object.assign(new Collector(), { drained: (unused: number) => left.push(unused) });
  const { subscription } = client.subscribe(destination, { credit: { messages: credit, bytes: 0 }, consumer: got });
  subscription.autoRefill = false;
  core.settle();
  return { subscription, got, left };
}

describe("a subscription that is drained", () => {
  it("uses its credit for what there is, and gives back the rest", async () => {
    const core = await coreBroker();
    core.client().send("queue:a", "1");
    const { subscription, got, left } = drained(core, "queue:a", 3);
    subscription.drain();
    core.clock.advance(10);
    core.client().send("queue:a", "2");
    core.settle();
    expect([got.bodies, left]).toEqual([["1"], [2]]);
    subscription.grant(1, 0);
    core.settle();
    expect(got.bodies).toEqual(["1", "2"]);
  });

  it("of a topic has nothing to wait for", async () => {
    const core = await coreBroker();
    const { subscription, left } = drained(core, "topic:t", 5);
    subscription.drain();
    core.clock.advance(10);
    expect(left).toEqual([5]);
  });
});

async function withDeadLetters(policy: QueueDeclaration["policy"]) {
  const core = await coreBroker();
  const client = core.client();
  client.core.declareQueue(declaration("dead"));
  client.core.declareQueue(
    declaration("work", { policy: { deadLetterExchange: "", deadLetterRoutingKey: "dead", ...policy } }),
  );
  const history = (): unknown => {
    const got = pull(client, "dead");
    const text = got.taken[0]?.message.annotations.get("dead_letter_history");
    return { body: got.bodies[0], history: typeof text === "string" ? JSON.parse(text) : undefined };
  };
  return { core, client, history };
}

describe("dead letters to an exchange", () => {
  it("whose key makes no address there are lost, and nothing else", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.core.declareQueue(declaration("q", { policy: { deadLetterExchange: "amq.topic", maxTtlMs: 1000 } }));
    client.core.bindQueue(parse("queue:q"), { source: "amq.fanout", key: "", arguments: new Map() });
    const route = client.core.exchangeRoute("amq.fanout", ".".repeat(200));
    const [address] = route.addresses;
    if (address === undefined) throw new Error("The route leads to no address");
    client.core.publish(route, plainMessage(address, "1"));
    core.clock.advance(10_000);
    expect(queueOf(core, "q")?.ledger.lost).toEqual(new Map([["expired", 1]]));
    const { subscription, got } = client.subscribe("queue:q");
    client.core.publish(route, plainMessage(address, "2"));
    core.settle();
    client.core.settle(subscription, got.next(), "rejected");
    expect(queueOf(core, "q")?.count).toBe(0);
  });

  it("are what is rejected, with its history and its new address", async () => {
    const { core, client, history } = await withDeadLetters({});
    client.send("queue:work", "1");
    const { subscription, got } = client.subscribe("queue:work");
    core.settle();
    client.core.settle(subscription, got.next(), "rejected");
    expect(history()).toMatchObject({
      body: "1",
      history: [{ queue: "work", reason: "rejected", count: 1, exchange: "", key: "work" }],
    });
  });

  it("are what expires, and what a full queue drops or refuses", async () => {
    const { core, client, history } = await withDeadLetters({ maxMessages: 1, full: "drop-head" });
    client.send("queue:work", "1");
    client.send("queue:work", "2", { expiresAt: core.clock.now() + 10 });
    expect(history()).toMatchObject({ body: "1", history: [{ reason: "overflow" }] });
    core.clock.advance(2000);
    expect(history()).toMatchObject({ body: "2", history: [{ reason: "expired" }] });
    client.core.declareQueue(
      declaration("full", {
        policy: { maxMessages: 1, full: "reject-dead-letter", deadLetterExchange: "", deadLetterRoutingKey: "dead" },
      }),
    );
    client.send("queue:full", "3");
    expect(() => client.send("queue:full", "4")).toThrow(/holds 1 messages/);
    expect(history()).toMatchObject({ body: "4", history: [{ queue: "full", reason: "overflow" }] });
  });

  it("do not go round for ever when nobody rejects them", async () => {
    const core = await coreBroker();
    const client = core.client();
    const policy = { deadLetterExchange: "", maxTtlMs: 1000 };
    client.core.declareQueue(declaration("a", { policy: { ...policy, deadLetterRoutingKey: "b" } }));
    client.core.declareQueue(declaration("b", { policy: { ...policy, deadLetterRoutingKey: "a" } }));
    client.send("queue:a", "1");
    core.clock.advance(20_000);
    expect([queueOf(core, "a")?.count, queueOf(core, "b")?.count]).toEqual([0, 0]);
    expect(queueOf(core, "a")?.ledger.lost).toEqual(new Map([["expired", 2]]));
  });
});
