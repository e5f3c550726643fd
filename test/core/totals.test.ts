import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BrokerError } from "../../core/errors.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import type { HostTotals, Totals } from "../../core/totals.ts";
import {
  type CoreBroker,
  coreBroker,
  HOST,
  parse,
  parsePattern,
  plainMessage,
  testStore,
} from "../support/core-broker.ts";
import { connect } from "../support/core-sessions.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function accounts({ broker }: CoreBroker): Totals {
  const host = broker.host(undefined);
  if (host === undefined) throw new Error("There is no default host");
  return host.totals;
}

function totals(core: CoreBroker): HostTotals {
  return accounts(core).now;
}

/** What only grows. */
function flow({ received, sent, receivedBytes, sentBytes, dropped }: HostTotals): number[] {
  return [received, sent, receivedBytes, sentBytes, dropped];
}

it("the totals of a virtual host keep what clients and destinations did that are gone", async () => {
  const core = await coreBroker({
    host: { durablePolicies: [{ match: parsePattern("queue:full"), maxMessages: 1, full: "drop-tail" }] },
  });
  const consumer = core.client();
  consumer.subscribe("topic:t", { settling: false });
  consumer.subscribe("topic:t", { durable: "d", settling: false });
  consumer.subscribe("queue:q", { settling: false });
  const other = core.client();
  const full = other.subscribe("topic:t", { durable: "full", settling: false, credit: { messages: 0, bytes: 0 } });
  core.settle();
  full.subscription.close();
  const sender = core.client();
  for (const body of ["1", "2"]) {
    sender.send("topic:t", body);
    sender.send("queue:q", body);
  }
  core.settle();
  const before = totals(core);
  // Each frame is a line feed and one byte. Of the three for the topic one keeps what it gets, and has room for one.
  expect(flow(before)).toEqual([4, 6, 8, 12, 1]);
  expect([before.connections, before.clients, before.mostClients, before.stored]).toEqual([3, 3, 3, 1]);
  for (const id of ["d", "full"]) other.core.deleteDurable(id);
  for (const { core: client } of [consumer, sender, other]) client.close();
  core.settle();
  core.broker.host(undefined)?.deleteQueue(parse("queue:q"));
  core.clock.advance(120_000);
  expect(core.broker.host(undefined)?.topics.size).toBe(0);
  const after = totals(core);
  expect([after.received, after.sent, after.receivedBytes, after.dropped]).toEqual([4, 6, 8, 1]);
  expect([after.sentBytes, after.stored, after.clients, after.connections]).toEqual([before.sentBytes, 0, 0, 3]);
});

it("what is there when the broker starts was not received since", async () => {
  const clock = new VirtualClock();
  const store = testStore(clock);
  const first = await coreBroker({ clock, store, host: HOST });
  first.client().send("queue:q", "1", { durable: true });
  first.settle();
  await first.broker.close();
  const second = await coreBroker({ clock, store, host: HOST });
  const { receivedBytes, stored, storedBytes } = totals(second);
  expect([receivedBytes, stored, storedBytes]).toEqual([0, 1, 2]);
});

it("what is lost with a destination or a subscriber that goes stays in the totals, by the reason", async () => {
  const policies = [{ pattern: parsePattern("queue:few"), maxMessages: 1, full: "drop-tail" as const }];
  const core = await coreBroker({ host: { policies } });
  const consumer = core.client();
  const stuck = consumer.subscribe("topic:t", { credit: { messages: 0, bytes: 0 } });
  const holder = consumer.subscribe("queue:q", { settling: true });
  consumer.subscribe("topic:t", { durable: "d", credit: { messages: 0, bytes: 0 } });
  core.settle();
  const sender = core.client();
  for (const to of ["topic:t", "queue:q", "queue:q", "queue:few", "queue:few", "topic:nobody"]) sender.send(to, "1");
  core.settle();
  consumer.core.settle(holder.subscription, holder.got.next(), "failed");
  core.settle();
  stuck.subscription.close();
  consumer.core.close();
  sender.core.deleteDurable("d");
  for (const name of ["q", "few"]) core.broker.host(undefined)?.deleteQueue(parse(`queue:${name}`));
  core.clock.advance(120_000);
  const { lost, returned, protocols } = totals(core);
  expect(Object.fromEntries(lost)).toEqual({
    "subscriber-gone": 1,
    deleted: 4,
    "dropped-newest": 1,
    "no-subscriber": 1,
  });
  // The one that failed, and what was held when its consumer went.
  expect(returned).toBe(3);
  expect(Object.fromEntries(protocols)).toEqual({
    test: { connections: 2, clients: 1, received: 6, receivedBytes: 12, sent: 3, sentBytes: 6 },
  });
});

it("bytes are those that clients sent and were handed, however many destinations a message is in on its way", async () => {
  const core = await coreBroker();
  const sender = core.client();
  const retained = core.client();
  sender.core.retain(sender.core.route([parse("topic:t")]), plainMessage(parse("topic:t"), "old"));
  retained.subscribe("topic:t", { durable: "d" });
  core.settle();
  expect(totals(core).sentBytes).toBe(4);
  core.client().subscribe("topic:t", { selector: compileSelector("n = 1") });
  core.settle();
  sender.send("topic:t", "new");
  core.settle();
  const { receivedBytes, sentBytes } = totals(core);
  expect([receivedBytes, sentBytes]).toEqual([4, 8]);
});

/** What only grows, by name. */
function counted({ lost, protocols, ...all }: HostTotals): Map<string, number> {
  const names = ["received", "sent", "receivedBytes", "sentBytes", "dropped", "returned", "connections"] as const;
  const more = [...protocols].flatMap(([protocol, { received, sent, receivedBytes, sentBytes }]) =>
    Object.entries({ received, sent, receivedBytes, sentBytes }).map(
      ([name, value]) => [`${protocol} ${name}`, value] as const,
    ),
  );
  return new Map<string, number>([...names.map((name) => [name, all[name]] as const), ...lost, ...more]);
}

/** Something that changes what there is; by numbers, of which some stand for nothing that is there. */
type Step = (world: World, which: number) => void;

/** Some clients, sessions and destinations that come and go. */
interface World {
  readonly core: CoreBroker;
  readonly clients: ReturnType<CoreBroker["client"]>[];
  readonly sessions: ReturnType<typeof connect>[];
}

function one<T>(of: readonly T[], which: number): T | undefined {
  return of[which % Math.max(1, of.length)];
}

const DESTINATIONS = ["topic:a", "topic:b", "queue:a", "queue:few", "topic:nobody"];

const STEPS: readonly Step[] = [
  ({ core, clients }) => void clients.push(core.client()),
  ({ core, sessions }, which) => void sessions.push(connect(core, { id: `s${which % 2}` }).want("topic:*")),
  ({ clients }, which) => one(clients, which)?.send(one(DESTINATIONS, which) ?? "", String(which), { durable: true }),
  ({ clients }, which) => one(clients, which)?.send(one(DESTINATIONS, which >> 2) ?? "", "x".repeat(which)),
  ({ clients }, which) =>
    void one(clients, which)?.subscribe(which % 2 === 0 ? "queue:*" : "topic:a", { settling: true }),
  ({ clients }, which) => void one(clients, which)?.subscribe("topic:*", { durable: `d${which}` }),
  ({ clients }, which) => one([...(one(clients, which)?.core.subscriptions ?? [])], which >> 2)?.close(),
  ({ clients }, which) => clients.splice(which % 4, 1)[0]?.core.close(),
  ({ sessions }, which) => sessions.splice(which % 2, 1)[0]?.core.close(),
  ({ clients }, which) => one(clients, which)?.core.deleteDurable(`d${which}`),
  ({ core }, which) => core.broker.host(undefined)?.deleteQueue(parse(`queue:${which % 2 === 0 ? "a" : "few"}`)),
  ({ core }) => core.clock.advance(40_000),
];

function finished(look: Generator<undefined, HostTotals, undefined>): HostTotals {
  for (;;) {
    const { done, value } = look.next();
    if (done === true) return value;
  }
}

function attempt(act: () => void): void {
  try {
    act();
  } catch (refusal) {
    if (!(refusal instanceof BrokerError)) throw refusal;
  }
}

describe("totals", () => {
  it("keep what a subscription did that ends while a look is under way, before or after its client's turn", async () => {
    const core = await coreBroker();
    const subscriptions = [core.client(), core.client()].map((client) => client.subscribe("topic:t").subscription);
    core.settle();
    core.client().send("topic:t", "1");
    for (const subscription of subscriptions) {
      const look = accounts(core).look(1);
      look.next();
      subscription.close();
      expect(finished(look).sent).toBe(2);
    }
  });

  it("never go down, whatever comes and goes while a look is under way", async () => {
    const step = fc.tuple(fc.nat({ max: STEPS.length - 1 }), fc.nat({ max: 20 }), fc.nat({ max: 2 }));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 100, maxLength: 200 }), async (steps) => {
        const policies = [{ pattern: parsePattern("queue:few"), maxMessages: 1, full: "drop-tail" as const }];
        const world: World = { core: await coreBroker({ host: { policies } }), clients: [], sessions: [] };
        let last = counted(totals(world.core));
        let look = accounts(world.core).look(1);
        for (const [kind, which, pieces] of steps) {
          attempt(() => STEPS[kind]?.(world, which));
          world.core.settle();
          for (let piece = 0; piece < pieces; piece++) {
            const { done, value } = look.next();
            if (done !== true) continue;
            const now = counted(value);
            expect([...last].filter(([name, before]) => (now.get(name) ?? 0) < before)).toEqual([]);
            last = now;
            look = accounts(world.core).look(1);
          }
        }
        const end = counted(totals(world.core));
        expect([...last].filter(([name, before]) => (end.get(name) ?? 0) < before)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
