import { describe, expect, it } from "vitest";
import type { Browser } from "../../core/queue/browser.ts";
import { Message, TRAIT, type WireFormat } from "../../core/message.ts";
import type { Policy } from "../../core/policy.ts";
import type { Queue } from "../../core/queue/queue.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import type { Store } from "../../core/store.ts";
import { Subscription } from "../../core/subscription.ts";
import {
  Collector,
  type CoreBroker,
  coreBroker,
  parse,
  parsePattern,
  plainFormat,
  plainMessage,
  type TestClient,
  testStore,
} from "../support/core-broker.ts";
import { queueOf } from "../support/core-operations.ts";
import { lateStore } from "../support/store-late.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

async function withQueue(policy: Partial<Policy>): Promise<{ core: CoreBroker; client: TestClient; queue: Queue }> {
  const core = await coreBroker({ host: { policies: [{ pattern: parsePattern("queue:q"), ...policy }] } });
  return { core, client: core.client(), queue: queueOf(core.broker, "q") };
}

function send(client: TestClient, ...bodies: string[]): void {
  for (const body of bodies) client.send("queue:q", body, { durable: true });
}

/** A browser that may see one message until it is given more credit. */
function browseOne(
  { core }: TestClient,
  queue: Queue,
  end: boolean,
): { subscription: Subscription; browser: Browser; got: Collector } {
  const got = new Collector();
  const browse = { end, fromSequence: 0 };
  const credit = { messages: 1, bytes: 0 };
  const subscription = new Subscription(1, core, { patterns: [], settling: true, credit, browse, consumer: got });
  const browser = queue.browse(subscription, undefined, browse);
  subscription.browsers.push(browser);
  subscription.start();
  return { subscription, browser, got };
}

describe("a browser", () => {
  it("comes to its end within a piece of the store that has grown beyond it", async () => {
    const { core, client, queue } = await withQueue({ memoryBytes: 1 });
    send(client, "1", "2", "3");
    core.settle();
    const { subscription, browser, got } = browseOne(client, queue, true);
    send(client, "4");
    core.settle();
    subscription.setCredit(10, 0);
    expect(got.bodies).toEqual(["1", "2", "3"]);
    expect(browser.finished).toBe(true);
  });

  it("sees what consumers hold also when the queue was purged in between", async () => {
    const { core, client, queue } = await withQueue({});
    client.subscribe("queue:q", { credit: { messages: 2, bytes: 0 } });
    core.settle();
    send(client, "1", "2", "3");
    const { subscription, got } = browseOne(client, queue, false);
    queue.purge();
    subscription.setCredit(10, 0);
    expect(got.bodies).toEqual(["1", "2"]);
  });
});

describe("a purge", () => {
  it("leaves what consumers hold where it is, also in a queue without priorities", async () => {
    const { core, client, queue } = await withQueue({ priorities: false });
    const { subscription, got } = client.subscribe("queue:q", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    client.send("queue:q", "held", { priority: 9 });
    queue.purge();
    client.core.settle(subscription, got.next(), "accepted");
    expect([queue.count, queue.memoryBytes, core.broker.engine.memoryBytes]).toEqual([0, 0, 0]);
  });

  it("knows the value of what consumers hold: a newer message replaces it when it comes back", async () => {
    const { core, client, queue } = await withQueue({ lastValueKey: "key" });
    const { subscription, got } = client.subscribe("queue:q", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    client.send("queue:q", "old", { properties: { key: "a" } });
    queue.purge();
    client.send("queue:q", "new", { properties: { key: "a" } });
    client.core.settle(subscription, got.next(), "released");
    expect(got.bodies).toEqual(["new"]);
  });
});

describe("a queue of last values, after a restart", () => {
  it.each([false, true])(
    "has only the newest of each value, whoever held one before (store late: %s)",
    async (late) => {
      const clock = new VirtualClock();
      const store = testStore(clock);
      const policies = [{ pattern: parsePattern("queue:q"), lastValueKey: "key" }];
      const first = await coreBroker({ clock, store, host: { policies } });
      const client = first.client();
      client.subscribe("queue:q", { credit: { messages: 2, bytes: 0 } });
      first.settle();
      for (const [priority, body, key] of [
        [4, "old", "a"],
        [9, "older than what comes", "b"],
        [5, "new", "a"],
      ] as const) {
        client.send("queue:q", body, { durable: true, priority, properties: { key } });
      }
      first.settle();
      const second = await coreBroker({ clock, store: late ? lateStore(store, clock) : store, host: { policies } });
      const again = second.client();
      again.send("queue:q", "came", { properties: { key: "b" } });
      second.settle();
      const { got } = again.subscribe("queue:q", { settling: false });
      second.settle();
      expect(got.bodies.toSorted()).toEqual(["came", "new"]);
    },
  );
});

/** A store that never answers at once. */
function slowStore(store: Store, clock: VirtualClock): Store {
  const load: Store["load"] = (key, from, to, maxBytes, done) => {
    store.load(key, from, to, maxBytes, (loaded) => clock.endOfTurn(() => done(loaded)));
  };
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = name === "load" ? load : Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("a queue of last values that is swapped out", () => {
  it("delivers the highest priority first, though it has to be read while another is at hand", async () => {
    const clock = new VirtualClock();
    const policies = [{ pattern: parsePattern("queue:q"), lastValueKey: "key", memoryBytes: 30 }];
    const core = await coreBroker({ clock, store: slowStore(testStore(clock), clock), host: { policies } });
    const client = core.client();
    for (const key of ["a", "b", "c", "d"]) {
      client.send("queue:q", key, { durable: true, priority: 9, properties: { key } });
      core.settle();
    }
    client.send("queue:q", "e", { durable: true, properties: { key: "e" } });
    core.settle();
    const { got } = client.subscribe("queue:q", { settling: false });
    core.settle();
    expect(got.bodies).toEqual(["a", "b", "c", "d", "e"]);
  });
});

describe("a queue with message groups", () => {
  const format: WireFormat = {
    name: "grouped",
    open: (message) => ({ ...plainFormat.open(message), groupId: message.body.toString("utf8", 0, 1) }),
  };

  /** Its group is the first letter of its body. */
  function sendGrouped({ core }: TestClient, body: string): void {
    const address = parse("queue:q");
    const plain = plainMessage(address, body, { properties: { group: body.slice(0, 1) } });
    const envelope = { address, durable: false, priority: 4, expiresAt: 0, receivedAt: 0, traits: TRAIT.grouped };
    const { data, start, end, bodyStart, bodyEnd } = plain;
    core.publish(core.route([address]), new Message(format, envelope, data, start, end, bodyStart, bodyEnd));
  }

  it("serves a consumer that waited while messages came of groups that nobody wants", async () => {
    const { core, client } = await withQueue({});
    const { got } = client.subscribe("queue:q", { selector: compileSelector("group = 'a'") });
    core.settle();
    for (const body of ["b1", "b2", "a1"]) sendGrouped(client, body);
    expect(got.bodies).toEqual(["a1"]);
  });

  it("goes on with a consumer that stood by for another one while it held some of a group", async () => {
    const { core, client } = await withQueue({});
    const { got } = client.subscribe("queue:q");
    core.settle();
    sendGrouped(client, "a1");
    client.subscribe("queue:q", { exclusive: true }).subscription.close();
    sendGrouped(client, "a2");
    expect(got.bodies).toEqual(["a1", "a2"]);
  });
});
