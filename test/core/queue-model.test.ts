import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Message } from "../../core/message.ts";
import type { Consumer, Delivery, Outcome } from "../../core/protocol.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import type { Subscription } from "../../core/subscription.ts";
import type { Transaction } from "../../core/transaction.ts";
import { expectEvenAccounts } from "../support/core-accounts.ts";
import { type CoreBroker, coreBroker, parsePattern, TestClient, testStore } from "../support/core-broker.ts";
import { lateStore } from "../support/store-late.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** Time moves in such steps, and what expires does so in the middle of one: every sweep is over before anybody looks. */
const STEP_MS = 10_000;

/** What the model knows of one message. */
interface Sent {
  readonly id: number;
  readonly parity: string;
  state: "available" | "held" | "gone";
  deliveries: number;
  readonly expiresAt: number;
}

/** The reference: a list of messages, and for every delivery the question whether just this one was due. */
class Model {
  readonly sent: Sent[] = [];
  consumed = 0;

  /** A consumer was given this message: it must be the first available one that the consumer wants. */
  delivered(id: number, wants: string | undefined, deliveries: number, settling: boolean): Sent {
    const due = this.sent.find((item) => item.state === "available" && (wants === undefined || item.parity === wants));
    expect(due?.id, "the message that is due").toBe(id);
    if (due === undefined) throw new Error("unreachable");
    expect(deliveries, `the delivery count of ${id}`).toBe(due.deliveries);
    due.state = settling ? "held" : "gone";
    if (!settling) this.consumed++;
    return due;
  }

  /** It came back: available again, unless it expired meanwhile. */
  returned(item: Sent, now: number, outcome: Outcome): void {
    item.state = item.expiresAt !== 0 && item.expiresAt <= now ? "gone" : "available";
    if (outcome !== "released") item.deliveries++;
  }
}

class ModelConsumer implements Consumer {
  readonly held: { sent: Sent; delivery: Delivery }[] = [];
  readonly client: TestClient;
  readonly wants: string | undefined;
  readonly settling: boolean;
  subscription: Subscription | undefined = undefined;
  /** What it settles once it commits. */
  transaction: { readonly core: Transaction; readonly items: Sent[] } | undefined = undefined;
  private readonly model: Model;

  constructor(model: Model, client: TestClient, wants: string | undefined, settling: boolean) {
    this.model = model;
    this.client = client;
    this.wants = wants;
    this.settling = settling;
  }

  deliver(message: Message, delivery: Delivery | undefined, deliveries: number): boolean {
    const sent = this.model.delivered(Number(message.body.toString()), this.wants, deliveries, this.settling);
    if (delivery !== undefined) this.held.push({ sent, delivery });
    return true;
  }

  cancelled(): void {}
}

interface Real {
  readonly core: CoreBroker;
  readonly producer: TestClient;
  readonly consumers: ModelConsumer[];
}

function queue(real: Real) {
  return real.core.broker.host(undefined)?.queues.get("q");
}

function check(model: Model, real: Real): void {
  real.core.settle();
  expectEvenAccounts(real.core.broker);
  const found = queue(real);
  const left = model.sent.filter((item) => item.state !== "gone");
  expect(found?.count ?? 0).toBe(left.length);
  if (found === undefined) return;
  expect(found.held).toBe(left.filter((item) => item.state === "held").length);
  expect(found.ledger.consumed).toBe(model.consumed);
  for (const consumer of real.consumers) {
    if (consumer.subscription?.receptive !== true) continue;
    const waiting = left.filter(
      (item) => item.state === "available" && (consumer.wants ?? item.parity) === item.parity,
    );
    expect(waiting, "nothing waits that a receptive consumer wants").toEqual([]);
  }
}

type Command = fc.AsyncCommand<Model, Real>;

function command(name: string, run: (model: Model, real: Real) => void): Command {
  return {
    check: () => true,
    run(model, real) {
      run(model, real);
      check(model, real);
      return Promise.resolve();
    },
    toString: () => name,
  };
}

const send = fc
  .record({
    count: fc.integer({ min: 1, max: 40 }),
    durable: fc.boolean(),
    expires: fc.constantFrom(0, 0, 0, 1, 1, 2, 5),
  })
  .map(({ count, durable, expires }) =>
    command(`send ${count}${durable ? " durable" : ""}${expires > 0 ? ` for ${expires}` : ""}`, (model, real) => {
      const expiresAt = expires === 0 ? 0 : real.core.clock.now() + expires * STEP_MS - STEP_MS / 2;
      for (let i = 0; i < count; i++) {
        const id = model.sent.length;
        const parity = id % 2 === 0 ? "even" : "odd";
        model.sent.push({ id, parity, state: "available", deliveries: 0, expiresAt });
        real.producer.send("queue:q", String(id), { durable, expiresAt, properties: { parity } });
      }
    }),
  );

const join = fc
  .record({
    credit: fc.integer({ min: 1, max: 20 }),
    wants: fc.constantFrom(undefined, undefined, "even", "odd"),
    settling: fc.boolean(),
  })
  .map(({ credit, wants, settling }) =>
    command(`join ${credit} ${wants ?? "any"}${settling ? "" : " auto"}`, (model, real) => {
      if (real.consumers.length >= 5) return;
      const consumer = new ModelConsumer(model, new TestClient(real.core.broker), wants, settling);
      real.consumers.push(consumer);
      consumer.subscription = consumer.client.core.subscribe({
        patterns: [parsePattern("queue:q")],
        settling,
        credit: { messages: credit, bytes: 0 },
        selector: wants === undefined ? undefined : compileSelector(`parity = '${wants}'`),
        consumer,
      });
    }),
  );

const settle = fc
  .record({
    who: fc.nat(10),
    which: fc.nat(20),
    count: fc.integer({ min: 1, max: 20 }),
    outcome: fc.constantFrom<Outcome>("accepted", "accepted", "accepted", "failed", "released", "failed"),
  })
  .map(({ who, which, count, outcome }) =>
    command(`settle ${who} ${which} x${count} ${outcome}`, (model, real) => {
      const consumer = real.consumers[who % Math.max(1, real.consumers.length)];
      for (let i = 0; i < count; i++) {
        const item = consumer?.held.splice(which % Math.max(1, consumer.held.length), 1)[0];
        if (consumer?.subscription === undefined || item === undefined) return;
        if (outcome === "accepted") {
          item.sent.state = "gone";
          model.consumed++;
        } else {
          model.returned(item.sent, real.core.clock.now(), outcome);
        }
        consumer.client.core.settle(consumer.subscription, item.delivery, outcome);
      }
    }),
  );

const settleLater = fc
  .record({ who: fc.nat(10), which: fc.nat(20), count: fc.integer({ min: 1, max: 20 }) })
  .map(({ who, which, count }) =>
    command(`settle ${who} ${which} x${count} in a transaction`, (_model, real) => {
      const consumer = real.consumers[who % Math.max(1, real.consumers.length)];
      for (let i = 0; i < count; i++) {
        const item = consumer?.held.splice(which % Math.max(1, consumer.held.length), 1)[0];
        if (consumer?.subscription === undefined || item === undefined) return;
        consumer.transaction ??= { core: consumer.client.core.begin(), items: [] };
        consumer.transaction.items.push(item.sent);
        consumer.client.core.settle(consumer.subscription, item.delivery, "accepted", consumer.transaction.core);
      }
    }),
  );

const end = fc.record({ who: fc.nat(10), commit: fc.boolean() }).map(({ who, commit }) =>
  command(`${commit ? "commit" : "abort"} ${who}`, (model, real) => {
    const consumer = real.consumers[who % Math.max(1, real.consumers.length)];
    const transaction = consumer?.transaction;
    if (consumer === undefined || transaction === undefined) return;
    consumer.transaction = undefined;
    for (const sent of transaction.items) {
      if (commit) {
        sent.state = "gone";
        model.consumed++;
      } else {
        model.returned(sent, real.core.clock.now(), "failed");
      }
    }
    if (commit) transaction.core.commit();
    else transaction.core.abort();
  }),
);

const leave = fc.nat(10).map((who) =>
  command(`leave ${who}`, (model, real) => {
    const index = who % Math.max(1, real.consumers.length);
    const consumer = real.consumers[index];
    if (consumer === undefined) return;
    real.consumers.splice(index, 1);
    for (const sent of consumer.transaction?.items ?? []) model.returned(sent, real.core.clock.now(), "failed");
    for (const { sent } of consumer.held) model.returned(sent, real.core.clock.now(), "failed");
    consumer.client.core.close();
  }),
);

const wait = fc.integer({ min: 1, max: 3 }).map((steps) =>
  command(`wait ${steps}`, (model, real) => {
    real.core.clock.advance(steps * STEP_MS);
    const now = real.core.clock.now();
    for (const item of model.sent) {
      if (item.state === "available" && item.expiresAt !== 0 && item.expiresAt <= now) item.state = "gone";
    }
  }),
);

const purge = fc.constant(
  command("purge", (model, real) => {
    queue(real)?.purge();
    for (const item of model.sent) if (item.state === "available") item.state = "gone";
  }),
);

const turn = fc.constant(command("turn", (_model, real) => real.core.clock.endTurn()));

const commands = fc.commands(
  [send, send, send, join, settle, settle, settle, settleLater, end, leave, turn, purge, wait],
  { maxCommands: 150, size: "max" },
);

/** Consumes, gives up or throws away whatever is left. */
function finish(model: Model, real: Real): void {
  for (const consumer of real.consumers) consumer.subscription?.setCredit(0, 0);
  for (const consumer of real.consumers) {
    if (!consumer.settling) consumer.client.core.close();
  }
  for (const item of model.sent) {
    if (item.state === "held") model.returned(item, real.core.clock.now(), "failed");
  }
  for (const consumer of real.consumers) consumer.client.core.close();
  queue(real)?.purge();
  real.core.settle();
  expect(real.core.broker.engine.memoryBytes).toBe(0);
  expectEvenAccounts(real.core.broker);
}

describe("a queue against a model of it", () => {
  it.each([
    { name: "all in memory", memoryBytes: 1 << 20, late: false },
    { name: "nearly all in the store", memoryBytes: 600, late: false },
    { name: "nearly all in a store that answers late", memoryBytes: 600, late: true },
  ])("delivers what is due to who is due, whatever happens ($name)", async ({ memoryBytes, late }) => {
    const policies = [{ pattern: parsePattern("queue:**"), memoryBytes, autoDeleteAfterMs: 0 }];
    await fc.assert(
      fc.asyncProperty(commands, async (run) => {
        const clock = new VirtualClock();
        const store = testStore(clock);
        const core = await coreBroker({ clock, store: late ? lateStore(store, clock) : store, host: { policies } });
        const real: Real = { core, producer: core.client(), consumers: [] };
        const model = new Model();
        await fc.asyncModelRun(() => ({ model, real }), run);
        finish(model, real);
      }),
      { numRuns: 60 },
    );
  });
});
