import fc from "fast-check";
import { expect } from "vitest";
import { canonical } from "../../core/addresses/spelling.ts";
import type { Outcome } from "../../core/protocol.ts";
import type { QueueModel, Sent } from "./queue-model.ts";
import { messageOf, ModelBrowser, ModelConsumer, type QueueWorld, selectorOf, STEP_MS } from "./queue-model-world.ts";

export type QueueCommand = fc.AsyncCommand<QueueModel, QueueWorld>;

const MOST_CONSUMERS = 5;
const parities = fc.constantFrom<Sent["parity"] | undefined>(undefined, undefined, "even", "odd");
const outcomes = fc.constantFrom<Outcome>(
  "accepted",
  "accepted",
  "accepted",
  "failed",
  "released",
  "failed",
  "rejected",
);

function command(name: string, act: (model: QueueModel, world: QueueWorld) => void | Promise<void>): QueueCommand {
  return {
    check: () => true,
    async run(model, world) {
      await act(model, world);
      world.check();
      world.commands++;
    },
    toString: () => name,
  };
}

/** What is sent is chosen with few values, so that they meet. */
const content = fc.record({
  count: fc.integer({ min: 1, max: 12 }),
  durable: fc.boolean(),
  expires: fc.constantFrom(0, 0, 0, 0, 1, 2, 5, -1),
  priority: fc.constantFrom(4, 4, 4, 9, 0, 5),
  seed: fc.nat(5),
  closes: fc.constantFrom(false, false, false, false, true),
});

type SentContent = typeof content extends fc.Arbitrary<infer T> ? T : never;

function make(model: QueueModel, world: QueueWorld, { durable, expires, priority, seed, closes }: SentContent): Sent {
  const id = model.sent.length;
  const now = world.core.clock.now();
  const group = world.grouped && (id + seed) % 4 !== 0 ? `g${(id * 7 + seed) % 5}` : undefined;
  // All messages of a group are wanted by the same consumers.
  const even = (group === undefined ? id + seed : Number(group.slice(1))) % 2 === 0;
  const item = {
    id,
    priority,
    parity: even ? ("even" as const) : ("odd" as const),
    group,
    closes: closes && group !== undefined,
    key: `k${(id + seed) % 6}`,
    durable,
    expiresAt: expires === 0 ? 0 : now + expires * STEP_MS - STEP_MS / 2,
    sequence: 0,
    state: "coming" as const,
    deliveries: 0,
    restsUntil: 0,
    outdated: false,
    death: undefined,
    holder: undefined,
  };
  return { ...item, size: messageOf(item).size };
}

function describe({ count, durable, expires, priority, seed, closes }: SentContent): string {
  return `${count}${durable ? " durable" : ""} p${priority} s${seed}${expires === 0 ? "" : ` for ${expires}`}${closes ? " closing" : ""}`;
}

function pick(world: QueueWorld, who: number): ModelConsumer | undefined {
  return world.consumers[who % Math.max(1, world.consumers.length)];
}

const send = content.map((what) =>
  command(`send ${describe(what)}`, (model, world) => {
    for (let i = 0; i < what.count; i++) {
      const item = make(model, world, what);
      world.send(item, messageOf(item));
    }
  }),
);

const sendLater = fc.record({ what: content, who: fc.nat(10) }).map(({ what, who }) =>
  command(`send ${describe(what)} in a transaction of ${who}`, (model, world) => {
    const consumer = pick(world, who);
    if (consumer === undefined || world.policy.full === "reject") return;
    const { core } = consumer.client;
    consumer.transaction ??= { core: core.begin(), items: [] };
    for (let i = 0; i < what.count; i++) {
      const item = make(model, world, what);
      model.sent[item.id] = item;
      core.publish(core.route([canonical.parse("queue", "q")]), messageOf(item), consumer.transaction.core);
    }
  }),
);

const join = fc
  .record({
    credit: fc.integer({ min: 1, max: 20 }),
    wants: parities,
    settling: fc.constantFrom(true, true, true, false),
    exclusive: fc.constantFrom(false, false, false, false, false, true),
    priority: fc.constantFrom(0, 0, 0, 1, -1),
  })
  .map((options) =>
    command(
      `join ${options.credit} ${options.wants ?? "any"}${options.settling ? "" : " auto"}${options.exclusive ? " exclusive" : ""} r${options.priority}`,
      (_model, world) => {
        if (world.consumers.length < MOST_CONSUMERS) world.consumers.push(new ModelConsumer(world, options));
      },
    ),
  );

/** Settles some of what a consumer holds, one after the other. */
const settle = fc
  .record({ who: fc.nat(10), which: fc.nat(20), count: fc.integer({ min: 1, max: 20 }), outcome: outcomes })
  .map(({ who, which, count, outcome }) =>
    command(`settle ${who} ${which} x${count} ${outcome}`, (_model, world) => {
      settleSome(world, { who, which, count, outcome });
    }),
  );

function settleSome(
  world: QueueWorld,
  { who, which, count, outcome }: { who: number; which: number; count: number; outcome: Outcome },
): void {
  const consumer = pick(world, who);
  for (let i = 0; i < count; i++) {
    const item = consumer?.held.splice(which % Math.max(1, consumer.held.length), 1)[0];
    if (consumer === undefined || item === undefined) return;
    consumer.client.core.settle(consumer.subscription, item.delivery, outcome);
  }
}

const settleAll = fc.constant(
  command("settle everything", (_model, world) => {
    for (let who = 0; who < world.consumers.length; who++) {
      settleSome(world, { who, which: 0, count: 1000, outcome: "accepted" });
    }
  }),
);

const settleLater = fc
  .record({ who: fc.nat(10), which: fc.nat(20), count: fc.integer({ min: 1, max: 20 }) })
  .map(({ who, which, count }) =>
    command(`settle ${who} ${which} x${count} in a transaction`, (_model, world) => {
      const consumer = pick(world, who);
      for (let i = 0; i < count; i++) {
        const item = consumer?.held.splice(which % Math.max(1, consumer.held.length), 1)[0];
        if (consumer === undefined || item === undefined) return;
        consumer.transaction ??= { core: consumer.client.core.begin(), items: [] };
        consumer.transaction.items.push(item.sent);
        consumer.client.core.settle(consumer.subscription, item.delivery, "accepted", consumer.transaction.core);
      }
    }),
  );

const end = fc.record({ who: fc.nat(10), commit: fc.boolean() }).map(({ who, commit }) =>
  command(`${commit ? "commit" : "abort"} ${who}`, (model, world) => {
    const consumer = pick(world, who);
    const transaction = consumer?.transaction;
    if (consumer === undefined || transaction === undefined) return;
    consumer.transaction = undefined;
    if (commit) {
      transaction.core.commit();
      return;
    }
    for (const sent of transaction.items) model.settled(sent, "failed");
    transaction.core.abort();
  }),
);

const leave = fc.nat(10).map((who) =>
  command(`leave ${who}`, (_model, world) => {
    const consumer = pick(world, who);
    if (consumer !== undefined) world.leave(consumer);
  }),
);

/** Its client stays, with its transaction. */
const unsubscribe = fc.nat(10).map((who) =>
  command(`unsubscribe ${who}`, (model, world) => {
    const consumer = pick(world, who);
    if (consumer === undefined || consumer.subscription.closed) return;
    for (const { sent } of consumer.held.splice(0)) model.settled(sent, "failed");
    model.detach(consumer);
    consumer.subscription.close();
  }),
);

const credit = fc.record({ who: fc.nat(10), messages: fc.nat(30) }).map(({ who, messages }) =>
  command(`credit ${who} ${messages}`, (_model, world) => {
    const consumer = pick(world, who);
    if (consumer?.subscription.closed === false) consumer.subscription.setCredit(messages, 0);
  }),
);

const wait = fc.integer({ min: 1, max: 3 }).map((steps) =>
  command(`wait ${steps}`, (_model, world) => {
    world.core.clock.advance(steps * STEP_MS);
  }),
);

const purge = fc.constant(
  command("purge", (model, world) => {
    model.purged();
    world.queue.purge();
  }),
);

const pause = fc.boolean().map((on) =>
  command(on ? "pause" : "resume", (model, world) => {
    if (!on) {
      world.resume();
      return;
    }
    model.paused = true;
    world.queue.pause();
  }),
);

const browse = fc
  .record({
    wants: parities,
    credit: fc.integer({ min: 1, max: 40 }),
    end: fc.boolean(),
    back: fc.integer({ min: 0, max: 40 }),
  })
  .map(({ back, ...options }) =>
    command(
      `browse ${options.wants ?? "any"} ${options.credit}${options.end ? " end" : ""} -${back}`,
      (_model, world) => {
        if (world.browsers.length >= 2) world.browsers.shift()?.subscription.close();
        const from = back > 20 ? 0 : Math.max(0, world.queue.lastSequence - back);
        world.browsers.push(new ModelBrowser(world, { ...options, from }));
      },
    ),
  );

const browseOn = fc.record({ who: fc.nat(3), messages: fc.nat(60) }).map(({ who, messages }) =>
  command(`browse on ${who} ${messages}`, (_model, world) => {
    world.browsers[who % Math.max(1, world.browsers.length)]?.subscription.setCredit(messages, 0);
  }),
);

/** After whatever is fulfilled by now. */
async function notYet(): Promise<boolean> {
  for (let i = 0; i < 3; i++) await Promise.resolve();
  return false;
}

/** Goes through the queue and takes out what has this remainder. */
const walk = fc
  .record({ wants: parities, remainder: fc.nat(3), max: fc.constantFrom(undefined, undefined, 3) })
  .map(({ wants, remainder, max }) =>
    command(`walk ${wants ?? "any"} ${remainder}${max === undefined ? "" : ` x${max}`}`, async (model, world) => {
      const due = model.live.filter(({ state, parity }) => state === "available" && (wants ?? parity) === parity);
      const visited: number[] = [];
      const walking = world.queue.walk({
        selector: selectorOf(wants),
        max,
        visit(message) {
          const item = due.find(({ id }) => id === Number.parseInt(message.body.toString(), 10));
          visited.push(item?.id ?? -1);
          if (item === undefined || item.id % 4 !== remainder) return undefined;
          item.state = "gone";
          return "moved";
        },
      });
      const finished = walking.finished.then(() => true);
      let over = false;
      for (let i = 0; !over && i < 100; i++) {
        world.core.clock.advance(0);
        world.core.settle();
        over = await Promise.race([finished, notYet()]);
      }
      expect(over, "the walk came to its end").toBe(true);
      // What somebody was given meanwhile is passed.
      const full = walking.removed === max;
      const missed = due.filter(({ id, state }) => state === "available" && !full && !visited.includes(id));
      expect(missed.map(({ id }) => id)).toEqual([]);
      expect(visited).toEqual(due.map(({ id }) => id).filter((id) => visited.includes(id)));
      expect(walking.seen).toBe(visited.length);
    }),
  );

/** The same at leisure: it goes on while other things happen. */
const stroll = fc.record({ wants: parities, remainder: fc.nat(3) }).map(({ wants, remainder }) =>
  command(`stroll ${wants ?? "any"} ${remainder}`, (model, world) => {
    const { queue } = world;
    const until = queue.lastSequence;
    const visited = new Set<number>();
    queue.walk({
      selector: selectorOf(wants),
      perSecond: 1,
      visit(message, sequence) {
        const item = model.sent[Number.parseInt(message.body.toString(), 10)];
        if (world.doomed || world.queue !== queue || item === undefined) return undefined;
        model.refresh();
        expect(item.state, `the state of ${item.id}, which was visited`).toBe("available");
        expect(sequence <= until && !visited.has(item.id), `${item.id} was there and is visited once`).toBe(true);
        visited.add(item.id);
        if (item.id % 4 !== remainder) return undefined;
        item.state = "gone";
        return "moved";
      },
    });
  }),
);

/** Some is sent and settled, but the turn never ends. */
const crash = fc
  .record({ what: content, who: fc.nat(10), doomed: fc.boolean(), outcome: outcomes })
  .map(({ what, who, doomed, outcome }) =>
    command(
      `crash${doomed ? ` while sending ${describe(what)}, ${who} settles ${outcome}` : ""}`,
      async (model, world) => {
        if (doomed) {
          world.doomed = true;
          for (let i = 0; i < what.count; i++) {
            const item = make(model, world, what);
            world.send(item, messageOf(item));
          }
          settleSome(world, { who, which: 0, count: 3, outcome });
        }
        await world.crash();
      },
    ),
  );

const ordinary = [
  send,
  send,
  send,
  join,
  settle,
  settle,
  settle,
  settleAll,
  settleLater,
  end,
  leave,
  unsubscribe,
  credit,
];
const special = [sendLater, wait, purge, pause, browse, browseOn, walk, stroll, crash];

/** Long runs of everything that can happen to a queue. */
export const queueCommands = fc.commands([...ordinary, ...special, ...ordinary, wait], {
  maxCommands: 150,
  size: "max",
});
