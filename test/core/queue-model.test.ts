import fc from "fast-check";
import { describe, it } from "vitest";
import { queueCommands } from "../support/queue-model-commands.ts";
import { DEAD, type ModelSetting, QueueWorld } from "../support/queue-model-world.ts";

/** Commands carried out for each setting, at least; in all more than a hundred thousand. */
const COMMANDS = 2500;
const TIMEOUT_MS = 60_000;

const NAMED: Readonly<Record<string, Omit<ModelSetting, "late">>> = {
  "with nothing else": { policy: {} },
  "without priorities": { policy: { priorities: false } },
  "with one active consumer": { policy: { singleActiveConsumer: true, maxDeliveries: 2 } },
  "to the first attached": { policy: { distribution: "first-attached" } },
  "with a limit of deliveries and rests between them": {
    policy: { maxDeliveries: 4, redeliveryDelayMs: 15_003, redeliveryMultiplier: 2, redeliveryMaxDelayMs: 45_009 },
  },
  "with dead letters": { policy: { maxDeliveries: 3, deadLetterQueue: DEAD } },
  "with bounds of the time to live, and a queue of what expired": {
    policy: {
      defaultTtlMs: 45_000,
      maxTtlMs: 35_000,
      deadLetterQueue: DEAD,
      expiryQueue: DEAD,
      redeliveryDelayMs: 15_003,
    },
  },
  "with message groups": { policy: {}, groups: true },
  "with message groups that nobody hands on": { policy: { groupRebalance: false, maxDeliveries: 3 }, groups: true },
  "with more message groups than it remembers": { policy: { maxGroups: 2 }, groups: true },
  "with the newest of each value": { policy: { lastValueKey: "key", maxDeliveries: 3 } },
  "with room for few, the oldest going": { policy: { maxMessages: 40, full: "drop-head" } },
  "with few bytes, the newest going": { policy: { maxBytes: 8000, full: "drop-tail" } },
  "with few messages, others being refused": { policy: { maxMessages: 40, full: "reject" } },
  "with few messages, others waiting": { policy: { maxMessages: 40, full: "block" } },
};

const storages = [
  { storage: "all in memory", memoryBytes: 1 << 20, late: false },
  { storage: "nearly all in the store", memoryBytes: 600, late: false },
  { storage: "nearly all in a store that answers late", memoryBytes: 600, late: true },
];

const settings = Object.entries(NAMED).flatMap(([name, { policy, groups = false }]) =>
  // Which is the oldest at hand, a store that answers late does not say in time.
  storages
    .filter(({ late }) => !late || policy.full !== "drop-head")
    .map(({ storage, memoryBytes, late }) => {
      return { name, storage, setting: { policy: { ...policy, memoryBytes }, late, groups } };
    }),
);

describe("a queue against a model of it", () => {
  it.each(settings)(
    "delivers what is due to who is due, whatever happens: $name, $storage",
    async ({ setting }) => {
      const done = { commands: 0 };
      const property = fc.asyncProperty(queueCommands, async (commands) => {
        const world = await QueueWorld.open(setting);
        await fc.asyncModelRun(() => ({ model: world.model, real: world }), commands);
        done.commands += world.commands;
        world.finish();
      });
      while (done.commands < COMMANDS) await fc.assert(property, { numRuns: 10 });
    },
    TIMEOUT_MS,
  );
});
