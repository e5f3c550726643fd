import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Message } from "../../core/message.ts";
import type { Consumer, Delivery, Outcome } from "../../core/protocol.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import type { Subscription } from "../../core/subscription.ts";
import { type CoreBroker, coreBroker, parsePattern, TestClient } from "../support/core-broker.ts";

/** What the model knows of one message. */
interface Sent {
  readonly id: number;
  readonly parity: string;
  state: "available" | "held" | "gone";
  deliveries: number;
}

/** The reference: a list of messages, and for every delivery the question whether just this one was due. */
class Model {
  readonly sent: Sent[] = [];
  purgedOrExpired = 0;
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
}

class ModelConsumer implements Consumer {
  readonly held: { sent: Sent; delivery: Delivery }[] = [];
  readonly client: TestClient;
  readonly wants: string | undefined;
  readonly settling: boolean;
  subscription: Subscription | undefined = undefined;
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
  const found = queue(real);
  const left = model.sent.filter((item) => item.state !== "gone");
  expect(found?.count ?? 0).toBe(left.length);
  if (found === undefined) return;
  expect(found.held).toBe(left.filter((item) => item.state === "held").length);
  expect(found.ledger.received).toBe(found.ledger.consumed + found.count + found.ledger.lostTotal);
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

const send = fc.record({ count: fc.integer({ min: 1, max: 40 }), durable: fc.boolean() }).map(({ count, durable }) =>
  command(`send ${count}${durable ? " durable" : ""}`, (model, real) => {
    for (let i = 0; i < count; i++) {
      const id = model.sent.length;
      const parity = id % 2 === 0 ? "even" : "odd";
      model.sent.push({ id, parity, state: "available", deliveries: 0 });
      real.producer.send("queue:q", String(id), { durable, properties: { parity } });
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
    outcome: fc.constantFrom<Outcome>("accepted", "accepted", "accepted", "rejected", "released", "failed"),
  })
  .map(({ who, which, count, outcome }) =>
    command(`settle ${who} ${which} x${count} ${outcome}`, (model, real) => {
      const consumer = real.consumers[who % Math.max(1, real.consumers.length)];
      for (let i = 0; i < count; i++) {
        const item = consumer?.held.splice(which % Math.max(1, consumer.held.length), 1)[0];
        if (consumer?.subscription === undefined || item === undefined) return;
        item.sent.state = outcome === "accepted" ? "gone" : "available";
        if (outcome === "accepted") model.consumed++;
        else if (outcome !== "released") item.sent.deliveries++;
        consumer.client.core.settle(consumer.subscription, item.delivery, outcome);
      }
    }),
  );

const leave = fc.nat(10).map((who) =>
  command(`leave ${who}`, (_model, real) => {
    const [consumer] = real.consumers.splice(who % Math.max(1, real.consumers.length), 1);
    if (consumer === undefined) return;
    for (const { sent } of consumer.held) {
      sent.state = "available";
      sent.deliveries++;
    }
    consumer.client.core.close();
  }),
);

const purge = fc.constant(
  command("purge", (model, real) => {
    queue(real)?.purge();
    for (const item of model.sent) if (item.state === "available") item.state = "gone";
  }),
);

const turn = fc.constant(command("turn", (_model, real) => real.core.clock.endTurn()));

describe("a queue against a model of it", () => {
  it.each([
    ["all in memory", 1 << 20],
    ["nearly all in the store", 600],
  ])("delivers what is due to who is due, whatever happens (%s)", async (_name, memoryBytes) => {
    await fc.assert(
      fc.asyncProperty(
        fc.commands([send, send, join, settle, settle, settle, leave, turn, purge], { maxCommands: 150, size: "max" }),
        async (commands) => {
          const core = await coreBroker({
            host: { policies: [{ pattern: parsePattern("queue:**"), memoryBytes, autoDeleteAfterMs: 0 }] },
          });
          await fc.asyncModelRun(
            () => ({ model: new Model(), real: { core, producer: core.client(), consumers: [] } }),
            commands,
          );
        },
      ),
      { numRuns: 60 },
    );
  });
});
