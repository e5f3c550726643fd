import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Message } from "../../core/message.ts";
import type { Choice, Operation } from "../../core/operations/operation.ts";
import type { Operations } from "../../core/operations/operations.ts";
import type { Consumer, Delivery, Outcome } from "../../core/protocol.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import type { Subscription } from "../../core/subscription.ts";
import { expectEvenAccounts } from "../support/core-accounts.ts";
import {
  type CoreBroker,
  coreBroker,
  parse,
  parsePattern,
  plainMessage,
  TestClient,
  testStore,
} from "../support/core-broker.ts";
import { endOf, hostOf, operationsOf, pass, queueOf } from "../support/core-operations.ts";
import { lateStore } from "../support/store-late.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** `few` holds five messages, `dead` holds dead letters; what is durable lives in the subscription `billing`. */
const QUEUES = ["a", "b", "few", "dead"] as const;
const ORIGINS = ["queue:a", "queue:b", "queue:few", "queue:new", "dsub:billing", "dsub:nobody", "queue:dead"];

interface Run {
  readonly core: CoreBroker;
  readonly operations: Operations;
  readonly producer: TestClient;
  readonly running: Operation[];
  readonly workers: Worker[];
  readonly accepted: string[];
  sent: number;
}

/** Takes a few at a time and settles them at random. */
class Worker implements Consumer {
  readonly client: TestClient;
  readonly subscription: Subscription;
  readonly held: { readonly body: string; readonly delivery: Delivery }[] = [];

  constructor(core: CoreBroker, queue: string, credit: number) {
    this.client = new TestClient(core.broker);
    this.subscription = this.client.core.subscribe({
      patterns: [parsePattern(`queue:${queue}`)],
      settling: true,
      credit: { messages: credit, bytes: 0 },
      consumer: this,
    });
  }

  deliver(message: Message, delivery: Delivery | undefined): boolean {
    if (delivery !== undefined) this.held.push({ body: message.body.toString(), delivery });
    return true;
  }

  cancelled(): void {}

  settle(outcome: Outcome): string | undefined {
    const item = this.held.shift();
    if (item === undefined) return undefined;
    this.client.core.settle(this.subscription, item.delivery, outcome);
    return outcome === "accepted" ? item.body : undefined;
  }
}

type Step = (run: Run) => Promise<void> | void;

function step(name: string, body: Step): { run: Step; toString: () => string } {
  return { run: body, toString: () => name };
}

const queueName = fc.constantFrom(...QUEUES);

const send = fc
  .record({ queue: fc.constantFrom("a", "b"), count: fc.integer({ min: 1, max: 30 }), durable: fc.boolean() })
  .map(({ queue, count, durable }) =>
    step(`send ${count} to ${queue}`, (run) => {
      for (let i = 0; i < count; i++) {
        const id = run.sent++;
        const properties = { parity: id % 2 === 0 ? "even" : "odd" };
        run.producer.send(`queue:${queue}`, String(id), { durable, properties, priority: id % 7 === 0 ? 9 : 4 });
      }
    }),
  );

const bury = fc
  .record({ origin: fc.constantFrom(...ORIGINS), count: fc.integer({ min: 1, max: 8 }), durable: fc.boolean() })
  .map(({ origin, count, durable }) =>
    step(`bury ${count} of ${origin}`, (run) => {
      for (let i = 0; i < count; i++) {
        const message = plainMessage(parse("queue:x"), String(run.sent++), { durable, properties: { parity: "odd" } });
        const annotations = new Map([["dead_letter_origin", origin]]);
        queueOf(run.core.broker, "dead").publish(message.with({ annotations }));
      }
    }),
  );

const choice = fc.record(
  {
    selector: fc.constantFrom("even", "odd").map((parity) => compileSelector(`parity = '${parity}'`)),
    max: fc.integer({ min: 0, max: 20 }),
    perSecond: fc.constantFrom(5, 100),
    sequences: fc.array(fc.integer({ min: 1, max: 40 })).map((items) => new Set(items)),
  },
  { requiredKeys: [] },
);

function describeChoice({ selector, max, perSecond, sequences }: Choice): string {
  return `${selector?.text ?? "all"} max ${max} at ${perSecond} of ${sequences && [...sequences].join()}`;
}

const move = fc.record({ from: queueName, to: queueName, choice }).map(({ from, to, choice: chosen }) =>
  step(`move ${from} to ${to} ${describeChoice(chosen)}`, (run) => {
    if (from !== to)
      run.running.push(run.operations.move(queueOf(run.core.broker, from), parse(`queue:${to}`), chosen));
  }),
);

const redrive = choice.map((chosen) =>
  step(`redrive ${describeChoice(chosen)}`, (run) => {
    run.running.push(run.operations.redrive(queueOf(run.core.broker, "dead"), chosen));
  }),
);

const purge = fc.record({ from: queueName, choice }).map(({ from, choice: chosen }) =>
  step(`purge ${from} ${describeChoice(chosen)}`, (run) => {
    run.running.push(run.operations.purge(queueOf(run.core.broker, from), { ...chosen, max: 3 }));
  }),
);

const cancel = fc.nat(10).map((which) => step(`cancel ${which}`, (run) => run.running.at(-1 - which)?.cancel()));

const join = fc.record({ queue: queueName, credit: fc.integer({ min: 1, max: 10 }) }).map(({ queue, credit }) =>
  step(`join ${queue} ${credit}`, (run) => {
    if (run.workers.length < 4) run.workers.push(new Worker(run.core, queue, credit));
  }),
);

const settle = fc
  .record({
    who: fc.nat(3),
    count: fc.integer({ min: 1, max: 12 }),
    outcome: fc.constantFrom<Outcome>("accepted", "released", "failed"),
  })
  .map(({ who, count, outcome }) =>
    step(`settle ${who} x${count} ${outcome}`, (run) => {
      for (let i = 0; i < count; i++) {
        const body = run.workers[who]?.settle(outcome);
        if (body !== undefined) run.accepted.push(body);
      }
    }),
  );

const leave = fc.nat(3).map((who) =>
  step(`leave ${who}`, (run) => {
    for (const worker of run.workers.splice(who, 1)) worker.client.core.close();
  }),
);

const wait = fc.constantFrom(1, 50, 2000).map((ms) => step(`wait ${ms}`, (run) => pass(run.core, ms)));

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: send },
    { weight: 2, arbitrary: bury },
    { weight: 4, arbitrary: move },
    { weight: 3, arbitrary: redrive },
    { weight: 1, arbitrary: purge },
    { weight: 1, arbitrary: cancel },
    { weight: 2, arbitrary: join },
    { weight: 4, arbitrary: settle },
    { weight: 1, arbitrary: leave },
    { weight: 5, arbitrary: wait },
  ),
  { minLength: 1, maxLength: 60, size: "max" },
);

/** Every message that was sent is in one queue, or was consumed, or was purged: between turns as well. */
function check(run: Run): void {
  run.core.settle();
  expectEvenAccounts(run.core.broker);
  const host = hostOf(run.core.broker);
  const all = [...host.queues.values(), ...[...host.durables.values()].map(({ queue }) => queue)];
  let here = 0;
  let gone = 0;
  for (const { count, ledger } of all) {
    here += count;
    gone += ledger.consumed + (ledger.lost.get("purged") ?? 0);
    for (const reason of ledger.lost.keys()) expect(["purged", "moved"]).toContain(reason);
  }
  expect(here + gone, "messages that are somewhere, or consumed, or purged").toBe(run.sent);
  // A move may overfill by no message, what consumers give back by as many as they held.
  expect(queueOf(run.core.broker, "few").count).toBeLessThanOrEqual(5);
}

/** Ends everything and consumes what is left. */
async function finish(run: Run): Promise<void> {
  for (const worker of run.workers) worker.client.core.close();
  for (const operation of run.running) operation.cancel();
  let done = 0;
  for (const operation of run.running) {
    const result = await endOf(run.core, operation);
    done += result.moved;
  }
  check(run);
  const last = run.core.client();
  const queues = [...hostOf(run.core.broker).queues.keys()].map((name) =>
    last.subscribe(`queue:${name}`, { settling: false }),
  );
  const durable = last.subscribe("", { attachDurable: "billing", settling: false });
  await pass(run.core, 100);
  const bodies = [...run.accepted, ...[...queues, durable].flatMap(({ got }) => got.bodies)];
  expect(new Set(bodies).size, "no message is there twice").toBe(bodies.length);
  let purged = 0;
  let moved = 0;
  for (const { ledger } of [
    ...hostOf(run.core.broker).queues.values(),
    hostOf(run.core.broker).durables.get("billing")?.queue ?? [],
  ].flat()) {
    purged += ledger.lost.get("purged") ?? 0;
    moved += ledger.lost.get("moved") ?? 0;
  }
  expect(bodies.length + purged).toBe(run.sent);
  expect(moved + purged, "what the operations say that they did").toBe(done);
}

describe("operations on queues that are in use", () => {
  it.each([
    { name: "all in memory", memoryBytes: 1 << 20, late: false },
    { name: "nearly all in a store that answers late", memoryBytes: 300, late: true },
  ])("leave every message in exactly one place ($name)", async ({ memoryBytes, late }) => {
    const policies = [
      { pattern: parsePattern("queue:**"), memoryBytes, autoDeleteAfterMs: 0 },
      { pattern: parsePattern("queue:few"), maxMessages: 5, full: "block" as const },
    ];
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const clock = new VirtualClock();
        const store = testStore(clock);
        const core = await coreBroker({ clock, store: late ? lateStore(store, clock) : store, host: { policies } });
        const producer = core.client();
        producer.subscribe("topic:t", { durable: "billing" }).subscription.close();
        core.settle();
        const operations = operationsOf(core.broker);
        const run: Run = { core, operations, producer, running: [], workers: [], accepted: [], sent: 0 };
        for (const item of script) {
          await item.run(run);
          check(run);
        }
        await finish(run);
      }),
      { numRuns: 60 },
    );
  });
});
