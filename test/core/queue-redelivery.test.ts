import { describe, expect, it } from "vitest";
import type { Policy } from "../../core/policy.ts";
import type { Outcome } from "../../core/protocol.ts";
import type { DeadLetters, Death } from "../../core/queue/departures.ts";
import type { Queue } from "../../core/queue/queue.ts";
import { type CoreBroker, coreBroker, parse, plainMessage } from "../support/core-broker.ts";
import {
  consume,
  consumeLoose,
  coreWith,
  looseQueue,
  numbers,
  queueOf,
  settleAll,
  settleOne,
  type TestConsumer,
} from "../support/core-queue.ts";

/** Notes what it is given and says what becomes of it. */
class DeadLetterList implements DeadLetters {
  readonly taken: { body: string; death: Death }[] = [];
  private readonly fate: "moved" | "stays" | "nowhere";
  private readonly taking: () => void;

  constructor(fate: "moved" | "stays" | "nowhere" = "moved", taking: () => void = () => {}) {
    this.fate = fate;
    this.taking = taking;
  }

  take(_queue: Queue, message: Parameters<DeadLetters["take"]>[1], death: Death): "moved" | "stays" | "nowhere" {
    this.taken.push({ body: message.body.toString(), death });
    this.taking();
    return this.fate;
  }
}

async function loose(
  policy: Partial<Policy>,
  deadLetters?: DeadLetters,
): Promise<{ core: CoreBroker; queue: Queue; send: (...bodies: string[]) => void }> {
  const core = await coreBroker();
  const queue = looseQueue(core, policy, deadLetters);
  const send = (...bodies: string[]): void => {
    for (const body of bodies) queue.publish(plainMessage(parse("queue:loose"), body, { durable: true }));
    core.settle();
  };
  return { core, queue, send };
}

/** When a consumer that fails every time is given a message: milliseconds from one delivery to the next. */
function gaps(core: CoreBroker, consumer: TestConsumer, count: number): number[] {
  const found: number[] = [];
  let since = core.clock.now();
  settleOne(consumer, "failed");
  for (let waited = 0; found.length < count && waited < 200_000; waited += 10) {
    core.clock.advance(10);
    if (consumer.got.taken.length === 0) continue;
    found.push(core.clock.now() - since);
    since = core.clock.now();
    settleOne(consumer, "failed");
  }
  return found;
}

describe("a message that a consumer failed to handle", () => {
  it("is delivered again after a delay that grows up to a maximum", async () => {
    const core = await coreWith({ redeliveryDelayMs: 100, redeliveryMultiplier: 3, redeliveryMaxDelayMs: 2000 });
    const consumer = consume(core, "queue:a");
    core.client().send("queue:a", "1");
    expect(gaps(core, consumer, 6)).toEqual([100, 300, 900, 2000, 2000, 2000]);
    expect(queueOf(core, "a").resting).toBe(1);
  });

  it("has its delay shortened or lengthened at random, within bounds", async () => {
    const core = await coreWith({ redeliveryDelayMs: 1000, redeliveryJitter: 0.3 });
    const consumer = consume(core, "queue:a");
    core.client().send("queue:a", "1");
    const found = gaps(core, consumer, 20);
    expect(Math.min(...found)).toBeGreaterThanOrEqual(700);
    expect(Math.max(...found)).toBeLessThanOrEqual(1310);
    expect(new Set(found).size).toBeGreaterThan(10);
  });

  it("lets the others pass while it rests, and is in its place again afterwards", async () => {
    const core = await coreWith({ redeliveryDelayMs: 100 });
    const consumer = consume(core, "queue:a", { credit: { messages: 1, bytes: 0 } });
    const client = core.client();
    for (const body of numbers(4)) client.send("queue:a", body);
    settleOne(consumer, "failed");
    expect(consumer.got.bodies).toEqual(["1"]);
    core.clock.advance(100);
    expect(settleAll(consumer)).toEqual(["1", "0", "2", "3"]);
    expect(queueOf(core, "a").resting).toBe(0);
  });

  it("is not delayed when it was never handled", async () => {
    const core = await coreWith({ redeliveryDelayMs: 100, maxDeliveries: 1 });
    const consumer = consume(core, "queue:a");
    core.client().send("queue:a", "1");
    for (let i = 0; i < 5; i++) settleOne(consumer, "released");
    expect(consumer.got.taken.map(({ deliveries }) => deliveries)).toEqual([0]);
  });

  it("does not expire while it rests, but then", async () => {
    const core = await coreWith({ redeliveryDelayMs: 5000 });
    const consumer = consume(core, "queue:a");
    core.client().send("queue:a", "1", { expiresAt: core.clock.now() + 1000 });
    settleOne(consumer, "failed");
    core.clock.advance(4000);
    expect(queueOf(core, "a").count).toBe(1);
    core.clock.advance(4000);
    expect(queueOf(core, "a").ledger.lost.get("expired")).toBe(1);
    expect(consumer.got.taken).toEqual([]);
  });

  it("is delivered at once after a restart, with its count", async () => {
    const first = await coreWith({ redeliveryDelayMs: 60_000 });
    const consumer = consume(first, "queue:a");
    first.client().send("queue:a", "1", { durable: true });
    settleOne(consumer, "failed");
    first.settle();
    await first.broker.close();
    const second = await coreBroker({ clock: first.clock, store: first.store });
    expect(consume(second, "queue:a").got.taken.map(({ body, deliveries }) => [body, deliveries])).toEqual([["1", 1]]);
  });

  it("leaves with a purge while it rests, and never comes back", async () => {
    const core = await coreWith({ redeliveryDelayMs: 100 });
    const consumer = consume(core, "queue:a");
    core.client().send("queue:a", "1");
    settleOne(consumer, "failed");
    expect(queueOf(core, "a").purge()).toBe(1);
    core.clock.advance(1000);
    expect(consumer.got.taken).toEqual([]);
    expect([queueOf(core, "a").count, queueOf(core, "a").resting]).toEqual([0, 0]);
  });

  it("may rest with very many others; they all come back in order", async () => {
    const core = await coreWith({ redeliveryDelayMs: 1000 });
    const consumer = consume(core, "queue:a", { credit: { messages: 5000, bytes: 0 } });
    const client = core.client();
    for (const body of numbers(5000)) client.send("queue:a", body);
    consumer.subscription.close();
    const next = consume(core, "queue:a", { credit: { messages: 5000, bytes: 0 } });
    expect(queueOf(core, "a").resting).toBe(5000);
    core.clock.advance(1100);
    expect(next.got.bodies).toEqual(numbers(5000));
    expect(queueOf(core, "a").resting).toBe(0);
  });

  it("comes back from disk after its rest", async () => {
    const core = await coreWith({ redeliveryDelayMs: 1000, memoryBytes: 200 }, { late: true });
    const consumer = consume(core, "queue:a", { credit: { messages: 300, bytes: 0 } });
    const client = core.client();
    for (const body of numbers(300)) client.send("queue:a", body, { durable: true });
    core.clock.advance(1500);
    consumer.subscription.close();
    const next = consume(core, "queue:a", { credit: { messages: 300, bytes: 0 } });
    core.clock.advance(1500);
    expect(next.got.bodies).toEqual(numbers(300));
    expect(new Set(next.got.taken.map(({ deliveries }) => deliveries))).toEqual(new Set([1]));
  });
});

describe("very many clients that go at once", () => {
  it("give back all they hold, in order and each once, and nothing of anybody else's", async () => {
    const core = await coreWith({});
    const credit = { messages: 5, bytes: 0 };
    const consumers = Array.from({ length: 4000 }, () => consume(core, "queue:a", { credit }));
    const client = core.client();
    for (const body of numbers(20_000)) client.send("queue:a", body);
    expect(queueOf(core, "a").held).toBe(20_000);
    const [kept, ...gone] = consumers;
    for (const { client: going } of gone.toReversed()) going.core.close();
    core.settle();
    expect(queueOf(core, "a").held).toBe(5);
    const next = consume(core, "queue:a", { credit: { messages: 20_000, bytes: 0 } });
    core.clock.advance(100);
    expect(next.got.bodies).toEqual(numbers(20_000).filter((body) => kept?.got.bodies.includes(body) === false));
    expect(new Set(next.got.taken.map(({ deliveries }) => deliveries))).toEqual(new Set([1]));
  });
});

describe("a message that was delivered as often as it may", () => {
  it("becomes a dead letter when it is refused once more", async () => {
    const deadLetters = new DeadLetterList();
    const { core, queue, send } = await loose({ maxDeliveries: 3 }, deadLetters);
    send("1", "2");
    const consumer = consumeLoose(core, queue, { credit: { messages: 1, bytes: 0 } });
    for (let i = 0; i < 3; i++) {
      expect(consumer.got.taken.map(({ body, deliveries }) => [body, deliveries])).toEqual([["1", i]]);
      settleOne(consumer, "failed");
    }
    expect(consumer.got.bodies).toEqual(["2"]);
    expect(deadLetters.taken).toEqual([{ body: "1", death: { reason: "delivery-limit", sequence: 1, deliveries: 3 } }]);
    expect(Object.fromEntries(queue.ledger.lost)).toEqual({ "dead-lettered": 1 });
  });

  it.each(["consumer", "client"] as const)("becomes a dead letter when one more %s dies of it", async (who) => {
    const deadLetters = new DeadLetterList();
    const { core, queue, send } = await loose({ maxDeliveries: 3 }, deadLetters);
    send("1", "2");
    for (let i = 0; i < 3; i++) {
      const consumer = consumeLoose(core, queue, { credit: { messages: 1, bytes: 0 } });
      expect(consumer.got.taken.map(({ body, deliveries }) => [body, deliveries])).toEqual([["1", i]]);
      if (who === "client") consumer.client.core.close();
      else consumer.subscription.close();
      core.settle();
    }
    expect(deadLetters.taken).toEqual([{ body: "1", death: { reason: "delivery-limit", sequence: 1, deliveries: 3 } }]);
    expect(consumeLoose(core, queue).got.taken.map(({ body, deliveries }) => [body, deliveries])).toEqual([["2", 0]]);
  });

  it("becomes a dead letter when its transaction is aborted", async () => {
    const deadLetters = new DeadLetterList();
    const { core, queue, send } = await loose({ maxDeliveries: 2 }, deadLetters);
    send("1");
    const consumer = consumeLoose(core, queue);
    for (let i = 0; i < 2; i++) {
      const transaction = consumer.client.core.begin();
      consumer.client.core.settle(consumer.subscription, consumer.got.next(), "accepted", transaction);
      transaction.abort();
    }
    expect(deadLetters.taken.map(({ death }) => death.deliveries)).toEqual([2]);
    expect([queue.count, queue.held]).toEqual([0, 0]);
  });

  it("is lost by that name when there is nowhere to go", async () => {
    const { core, queue, send } = await loose({ maxDeliveries: 1 });
    send("1", "2");
    const consumer = consumeLoose(core, queue, { credit: { messages: 1, bytes: 0 } });
    settleOne(consumer, "failed");
    settleOne(consumer, "rejected");
    expect(Object.fromEntries(queue.ledger.lost)).toEqual({ "delivery-limit": 1, rejected: 1 });
  });

  it("is delivered again where dead letters are already", async () => {
    const { core, queue, send } = await loose({ maxDeliveries: 1, redeliveryDelayMs: 50 }, new DeadLetterList("stays"));
    send("1");
    const consumer = consumeLoose(core, queue);
    for (const outcome of ["failed", "rejected", "failed"] as const) {
      settleOne(consumer, outcome);
      expect(queue.resting).toBe(1);
      core.clock.advance(60);
    }
    expect(consumer.got.taken.map(({ deliveries }) => deliveries)).toEqual([3]);
    expect(Object.fromEntries(queue.ledger.lost)).toEqual({});
  });

  it("becomes one even if its body has to be read again", async () => {
    const deadLetters = new DeadLetterList();
    const { core, queue, send } = await loose({ maxDeliveries: 1, memoryBytes: 10 }, deadLetters);
    const consumer = consumeLoose(core, queue);
    send(...numbers(50));
    core.clock.advance(2000);
    expect(queue.memoryBytes).toBeLessThan(20);
    consumer.subscription.close();
    expect(deadLetters.taken.map(({ body }) => body)).toEqual(numbers(50));
    expect([queue.count, queue.memoryBytes]).toEqual([0, 0]);
  });
});

describe("a message that a consumer rejects", () => {
  it.each<Outcome>(["rejected", "failed"])("is a dead letter at once only when %s says so", async (outcome) => {
    const deadLetters = new DeadLetterList();
    const { core, queue, send } = await loose({ maxDeliveries: 5, redeliveryDelayMs: 1000 }, deadLetters);
    send("1");
    settleOne(consumeLoose(core, queue), outcome);
    const death = { reason: "rejected", sequence: 1, deliveries: 1 };
    expect(deadLetters.taken).toEqual(outcome === "rejected" ? [{ body: "1", death }] : []);
  });
});

describe("dead letters", () => {
  it("may be sent in the middle of everything else: to a queue whose consumer waits, by many at once", async () => {
    const core = await coreBroker();
    const target = looseQueue(core, {});
    const waiting = consumeLoose(core, target, { settling: false });
    const deadLetters = new DeadLetterList("moved", () => target.publish(plainMessage(parse("queue:t"), "dead")));
    const queue = looseQueue(core, { maxDeliveries: 1 }, deadLetters);
    const consumers = [consumeLoose(core, queue), consumeLoose(core, queue)];
    for (const body of numbers(100)) queue.publish(plainMessage(parse("queue:loose"), body));
    for (const { client } of consumers) client.core.close();
    core.settle();
    expect(deadLetters.taken.length).toBe(100);
    expect(waiting.got.taken.length).toBe(100);
    expect([queue.count, target.count]).toEqual([0, 0]);
  });

  it("may come back to the queue they left, while it serves somebody", async () => {
    const core = await coreBroker();
    let again: (() => void) | undefined;
    const queue = looseQueue(core, { expiryQueue: "any" }, new DeadLetterList("moved", () => again?.()));
    again = () => void queue.publish(plainMessage(parse("queue:loose"), "again"));
    const expiresAt = core.clock.now() + 100;
    for (const body of numbers(20)) queue.publish(plainMessage(parse("queue:loose"), body, { expiresAt }));
    queue.publish(plainMessage(parse("queue:loose"), "stays"));
    core.clock.advance(100);
    const consumer = consumeLoose(core, queue);
    expect(consumer.got.bodies).toEqual(["stays", ...Array.from({ length: 20 }, () => "again")]);
    expect(queue.ledger.lost.get("expired")).toBe(20);
  });

  it("take what expires where there is an expiry queue, also from what is only in the store", async () => {
    const deadLetters = new DeadLetterList();
    const { core, queue } = await loose({ expiryQueue: "any", memoryBytes: 50 }, deadLetters);
    const expiresAt = core.clock.now() + 1000;
    for (const body of numbers(100)) {
      queue.publish(plainMessage(parse("queue:loose"), body, { expiresAt, durable: true }));
      core.settle();
    }
    core.clock.advance(2500);
    expect(deadLetters.taken.map(({ body }) => body).sort()).toEqual(numbers(100).sort());
    expect(new Set(deadLetters.taken.map(({ death }) => death.reason))).toEqual(new Set(["expired"]));
    expect(queue.ledger.lost.get("expired")).toBe(100);
  });

  it("take nothing that expires where there is none", async () => {
    const deadLetters = new DeadLetterList();
    const { core, queue } = await loose({}, deadLetters);
    queue.publish(plainMessage(parse("queue:loose"), "1", { expiresAt: core.clock.now() - 1 }));
    expect(deadLetters.taken).toEqual([]);
    expect(queue.ledger.lost.get("expired")).toBe(1);
  });
});
