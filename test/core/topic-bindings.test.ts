import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import type { Pattern } from "../../core/addresses/pattern.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { DEFAULT_POLICY } from "../../core/policy.ts";
import { TopicBindings } from "../../core/routing/topic-bindings.ts";
import type { Clock } from "../../core/time/clock.ts";
import { Topic, type TopicTarget } from "../../core/topic/topic.ts";

const ROOMS = 5;
const SENSORS = 450;
const TEXTS = ["**", "{room[234]}.**", "{room[01]}.*", "room1.sensor1"];
const patterns = TEXTS.map((text) => canonical.parsePattern("topic", text));
const targets: TopicTarget[] = Array.from({ length: 2 }, () => ({ offer: () => undefined }));

interface Topics {
  /** Runs what is to be done in the next turn. */
  readonly turn: () => boolean;
  readonly bindings: TopicBindings;
  readonly topics: Map<string, Topic>;
  readonly deserted: Set<Topic>;
  add(name: string): void;
  delete(name: string): void;
}

/** 2,250 topics, named `room0.sensor0` and so on. */
function manyTopics(): Topics {
  const tasks: (() => void)[] = [];
  const clock: Clock = {
    now: () => 0,
    endOfTurn: (task) => tasks.push(task),
    after: (_delayMs, task) => {
      tasks.push(task);
      return { cancel: () => {} };
    },
  };
  const turn = (): boolean => {
    const task = tasks.shift();
    task?.();
    return task !== undefined;
  };
  const deserted = new Set<Topic>();
  const bindings = new TopicBindings({
    clock,
    mayGet: () => true,
    leads: () => false,
    changed: () => {},
    deserted: (topic) => deserted.add(topic),
  });
  const topics = new Map<string, Topic>();
  const add = (name: string): void => {
    const topic = new Topic(new Address("topic", name.split(".")), DEFAULT_POLICY, 0, { changes: bindings.changes });
    topics.set(name, topic);
    bindings.add(topic);
  };
  const remove = (name: string): void => {
    const topic = topics.get(name);
    if (topic !== undefined) bindings.delete(topic);
    topics.delete(name);
  };
  for (let room = 0; room < ROOMS; room++) for (let i = 0; i < SENSORS; i++) add(`room${room}.sensor${i}`);
  return { turn, bindings, topics, deserted, add, delete: remove };
}

/** What each target is bound to. */
type Model = Map<TopicTarget, Set<Pattern>>;

function expected(model: Model, { address }: Topic): Set<TopicTarget> {
  const those = new Set<TopicTarget>();
  for (const [target, bound] of model) if ([...bound].some((pattern) => pattern.matches(address))) those.add(target);
  return those;
}

describe("who gets very many topics", () => {
  it("is as if every change were made to all of them at once, whenever they are looked at", () => {
    const name = fc
      .tuple(fc.nat(ROOMS - 1), fc.constantFrom(0, 1, SENSORS - 1))
      .map(([room, sensor]) => `room${room}.sensor${sensor}`);
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ do: fc.constant("bind" as const), target: fc.nat(1), pattern: fc.nat(3) }) },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant("unbind" as const), target: fc.nat(1), pattern: fc.nat(3) }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("look" as const), name }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("add" as const), name }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), name }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), target: fc.nat(1) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("turns" as const), count: fc.integer({ min: 1, max: 3 }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 30, maxLength: 60 }), (steps) => {
        const world = manyTopics();
        const { turn, bindings, topics } = world;
        const model: Model = new Map(targets.map((target) => [target, new Set<Pattern>()]));
        const look = (topic: Topic): void => expect(new Set(topic.targets)).toEqual(expected(model, topic));
        for (const each of steps) {
          if (each.do === "turns") {
            for (let i = 0; i < each.count; i++) turn();
          } else if (each.do === "look") {
            const topic = topics.get(each.name);
            if (topic !== undefined) look(topic);
          } else if (each.do === "add") {
            if (!topics.has(each.name)) world.add(each.name);
          } else if (each.do === "delete") {
            world.delete(each.name);
          } else {
            const target = targets[each.target];
            const bound = target && model.get(target);
            if (target === undefined || bound === undefined) throw new RangeError();
            if (each.do === "leave") {
              bindings.unbind(target, [...bound]);
              bound.clear();
              continue;
            }
            const pattern = patterns[each.pattern];
            if (pattern === undefined) throw new RangeError();
            if (each.do === "bind") {
              bound.add(pattern);
              bindings.bind(target, [pattern]);
            } else if (bound.delete(pattern)) {
              bindings.unbind(target, [pattern], (topic) => [...bound].some((other) => other.matches(topic)));
            }
          }
        }
        for (const topic of topics.values()) look(topic);
      }),
      { numRuns: 60 },
    );
  });

  it("is changed for all of them in time, though nobody looks", () => {
    const { turn, bindings, topics, deserted } = manyTopics();
    const [target] = targets;
    const [all] = patterns;
    if (target === undefined || all === undefined) throw new RangeError();
    bindings.bind(target, [all]);
    bindings.unbind(target, [all]);
    expect(deserted.size).toBeLessThan(topics.size);
    while (turn());
    expect(deserted.size).toBe(topics.size);
    // Nothing is remembered of what is done.
    for (const topic of topics.values()) expect(topic.changesSeen).toBe(bindings.changes.last);
  });

  it("costs one turn no more than some of them", () => {
    const { turn, bindings, deserted } = manyTopics();
    const [target] = targets;
    const [all] = patterns;
    if (target === undefined || all === undefined) throw new RangeError();
    bindings.bind(target, [all]);
    while (turn());
    bindings.unbind(target, [all]);
    expect(deserted.size).toBe(1000);
  });
});
