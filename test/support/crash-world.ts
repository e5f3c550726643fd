import type { Target } from "./crash-consumer.ts";
import { ORDINARY, Place, type Traits } from "./crash-copy.ts";
import type { Random } from "./crash-random.ts";

/** Where a place is consumed, and where to send to reach it. */
export interface Access {
  readonly place: Place;
  readonly source: Readonly<Record<string, string>>;
  readonly destination: string;
  /** Always consumed by several. */
  readonly shared?: boolean;
}

/** What a broker is told, and what its clients do with it. */
export interface World {
  readonly accesses: readonly Access[];
  readonly targets: readonly Target[];
  /** Made once, before anything is sent. */
  readonly durables: readonly { readonly name: string; readonly topic: string }[];
  /** Entries of the setting `queues`, and other settings. */
  readonly queues: readonly string[];
  readonly settings: readonly string[];
  /** Whether messages are sent again with the same ids, and some come due again and again. */
  readonly repeats: boolean;
}

/** Queues, topics with durable subscriptions, and sends to several at once. */
export function plainWorld(): World {
  const [a, b, c] = [queue("load.a"), queue("load.b"), queue("load.c")];
  const durables = [
    { name: "s1", topic: "/topic/load.news" },
    { name: "s2", topic: "/topic/load.news" },
    { name: "s3", topic: "/topic/load.**" },
  ];
  const [s1, s2, s3] = [durable("s1", "load.news"), durable("s2", "load.news"), durable("s3", "load.other")];
  return {
    accesses: [a, b, c, s1, s2, s3],
    targets: [
      ...[a, b, c].map((access) => target(access.destination, access)),
      target("/topic/load.news", s1, s2, s3),
      target("/topic/load.other", s3),
      target("/queue/load.a,/queue/load.b", a, b),
    ],
    durables,
    queues: [],
    settings: [],
    repeats: false,
  };
}

/** All that leads messages elsewhere, later, in another order, or keeps them from coming twice. */
export function variedWorld(): World {
  const dead = queue("load.dead");
  const burial = (origin: string) => ({ place: dead.place, limit: 3, origin });
  const work = queue("load.work", burial("queue:load.work"));
  const tasks = durable("tasks", "load.tasks", burial("dsub:tasks"));
  const [divert, copy] = [queue("load.divert"), queue("load.copy")];
  const [all, mirrored] = [durable("all", "load.other"), durable("mirrored", "load.mirror")];
  const mirror = queue("load.mirror");
  const [first, second] = [queue("Consumer.a.VirtualTopic.load"), queue("Consumer.b.VirtualTopic.load")];
  const groups = { ...queue("load.groups"), shared: true };
  return {
    accesses: [dead, work, tasks, divert, copy, all, mirror, mirrored, first, second, groups],
    targets: [
      { ...target("/queue/load.work", work), traits: varyAndExpire },
      varied(target("/topic/load.tasks", tasks, all)),
      varied(target("/queue/load.divert", divert, copy, all)),
      varied(target("/queue/load.mirror", mirror, mirrored, all)),
      varied(target("/topic/load.mirror", mirror, mirrored, all)),
      varied(target("/topic/VirtualTopic.load", first, second)),
      varied(target("/queue/load.copy,/topic/VirtualTopic.load", copy, first, second)),
      { ...target("/queue/load.groups", groups), traits: varyInGroups },
    ],
    durables: [
      { name: "tasks", topic: "/topic/load.tasks" },
      { name: "all", topic: "/topic/load.**" },
      { name: "mirrored", topic: "/topic/load.mirror" },
    ],
    queues: [
      "{match: load.work, max_deliveries: 3, dead_letter_queue: load.dead, expiry_queue: load.dead}",
      "{match: load.mirror, mirrored: true}",
    ],
    settings: [
      "durable_subscriptions=[{match: tasks, max_deliveries: 3, dead_letter_queue: load.dead}]",
      "diverts=[{from: {queue: load.divert}, to: [{queue: load.copy}, {topic: load.other}]}]",
    ],
    repeats: true,
  };
}

function queue(name: string, burial?: Place["burial"]): Access {
  const destination = `/queue/${name}`;
  return { place: new Place(destination, burial), source: { destination }, destination };
}

function durable(name: string, topic: string, burial?: Place["burial"]): Access {
  const source = { destination: `/dsub/${name}` };
  return { place: new Place(source.destination, burial), source, destination: `/topic/${topic}` };
}

function target(destination: string, ...accesses: readonly Access[]): Target {
  return { destination, places: accesses.map(({ place }) => place) };
}

function varied(sent: Target): Target {
  return { ...sent, traits: vary };
}

function vary(random: Random): Traits {
  return later(random, ofPriority(random));
}

function varyAndExpire(random: Random): Traits {
  const traits = ofPriority(random);
  if (random.chance(0.7)) return later(random, traits);
  const ttl = 1 + random.below(1500);
  return { ...traits, expiresAt: Date.now() + ttl, headers: { ...traits.headers, ttl: String(ttl) } };
}

/** One priority, so that a group has one order. */
function varyInGroups(random: Random): Traits {
  const group = `g${random.below(6)}`;
  return later(random, { ...ORDINARY, group, headers: { JMSXGroupID: group } });
}

function ofPriority(random: Random): Traits {
  if (random.chance(0.4)) return ORDINARY;
  const priority = random.below(10);
  return { ...ORDINARY, priority, headers: { priority: String(priority) } };
}

/** Some wait a little, so that they come due in this life or while the broker is down; a few wait for several lives. */
function later(random: Random, traits: Traits): Traits {
  if (random.chance(0.8)) return traits;
  const delay = 1 + (random.chance(0.8) ? random.below(400) : 800 + random.below(3000));
  const due = Date.now() + delay;
  const header = random.chance(0.5) ? { delay: String(delay) } : { "deliver-at": String(due) };
  return { ...traits, due, headers: { ...traits.headers, ...header } };
}
