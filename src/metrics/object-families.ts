import type { VirtualHost } from "../../core/virtual-host.ts";
import type { Queue } from "../../core/queue/queue.ts";
import type { Topic } from "../../core/topic/topic.ts";
import type { Work } from "../turns.ts";
import type { Exposition } from "./exposition.ts";

const MS_PER_SECOND = 1000;

/** Something that has metrics of its own, by the labels that name it. */
interface One<T> {
  readonly labels: Readonly<Record<string, string>>;
  readonly object: T;
}

/** One metric of objects of a kind; a counter if its name says so. */
interface ObjectFamily<T> {
  readonly suffix: string;
  readonly help: string;
  readonly read: (object: T) => number;
}

/** Of queues, and of the queues of durable subscriptions. */
const QUEUE_FAMILIES: readonly ObjectFamily<Queue>[] = [
  { suffix: "messages", help: "Messages in it.", read: ({ count }) => count },
  { suffix: "messages_bytes", help: "Bytes of the messages in it.", read: ({ bytes }) => bytes },
  { suffix: "messages_unsettled", help: "Messages that consumers have and did not settle.", read: ({ held }) => held },
  { suffix: "consumers", help: "Its consumers.", read: ({ consumerCount }) => consumerCount },
  { suffix: "memory_bytes", help: "Bytes of its messages in memory.", read: ({ memoryBytes }) => memoryBytes },
  {
    suffix: "last_received_timestamp_seconds",
    help: "When the last message came, since 1970; 0 if none did since the broker started.",
    read: ({ lastReceivedAt }) => lastReceivedAt / MS_PER_SECOND,
  },
  {
    suffix: "last_consumed_timestamp_seconds",
    help: "When the last message was consumed, since 1970; 0 if none was since the broker started.",
    read: ({ lastConsumedAt }) => lastConsumedAt / MS_PER_SECOND,
  },
  { suffix: "received_total", help: "Messages that came.", read: ({ ledger }) => ledger.received },
  { suffix: "delivered_total", help: "Deliveries, repeated ones too.", read: ({ ledger }) => ledger.delivered },
  { suffix: "consumed_total", help: "Messages that were consumed.", read: ({ ledger }) => ledger.consumed },
  { suffix: "returned_total", help: "Deliveries that came back.", read: ({ ledger }) => ledger.returned },
  { suffix: "lost_total", help: "Messages not consumed here.", read: ({ ledger }) => ledger.lostTotal },
];

const TOPIC_FAMILIES: readonly ObjectFamily<Topic>[] = [
  {
    suffix: "subscribers",
    help: "Subscribers and durable subscriptions that it feeds.",
    read: ({ targets }) => targets.length,
  },
  { suffix: "received_total", help: "Messages that came.", read: ({ ledger }) => ledger.received },
  {
    suffix: "delivered_total",
    help: "Messages handed on, once for each subscriber.",
    read: ({ ledger }) => ledger.delivered,
  },
  { suffix: "lost_total", help: "Messages that were for nobody.", read: ({ ledger }) => ledger.lostTotal },
];

/** Objects that are written before others may have their turn. */
const PIECE = 100;

/**
 * Every queue, topic and durable subscription by itself, in pieces; of each of these kinds `most` in all, the oldest ones.
 */
export function* writeObjects(to: Exposition, hosts: ReadonlyMap<string, VirtualHost>, most: number): Work<void> {
  const queues = new Chosen<Queue>(most);
  const topics = new Chosen<Topic>(most);
  const durables = new Chosen<Queue>(most);
  for (const [host, { queues: all, topics: allTopics, durables: allDurables }] of hosts) {
    queues.add(all, (queue) => ({ host, queue }), itself);
    topics.add(allTopics, (topic) => ({ host, topic }), itself);
    durables.add(
      allDurables,
      (subscription) => ({ host, subscription }),
      ({ queue }) => queue,
    );
  }
  to.gauge(
    "delos_objects_omitted",
    "Objects without metrics of their own, as there are more than metrics.max_objects.",
    (sample) => {
      sample(queues.omitted, { kind: "queue" });
      sample(topics.omitted, { kind: "topic" });
      sample(durables.omitted, { kind: "durable-subscription" });
    },
  );
  yield* writeAll(to, "delos_queue", QUEUE_FAMILIES, queues.all);
  yield* writeAll(to, "delos_durable_subscription", QUEUE_FAMILIES, durables.all);
  yield* writeAll(to, "delos_topic", TOPIC_FAMILIES, topics.all);
}

function* writeAll<T>(
  to: Exposition,
  prefix: string,
  families: readonly ObjectFamily<T>[],
  objects: readonly One<T>[],
): Work<void> {
  for (const { suffix, help, read } of families) {
    yield* to.family(`${prefix}_${suffix}`, help, function* (sample) {
      for (const [place, { labels, object }] of objects.entries()) {
        sample(read(object), labels);
        if (place % PIECE === 0) yield undefined;
      }
    });
  }
}

function itself<T>(object: T): T {
  return object;
}

/** Some of the objects of one kind. */
class Chosen<T> {
  readonly all: One<T>[] = [];
  omitted = 0;
  private readonly most: number;

  constructor(most: number) {
    this.most = most;
  }

  add<Found>(
    objects: ReadonlyMap<string, Found>,
    labelsOf: (name: string) => Readonly<Record<string, string>>,
    shown: (found: Found) => T,
  ): void {
    const room = this.most - this.all.length;
    this.omitted += Math.max(0, objects.size - room);
    if (room === 0) return;
    for (const [name, object] of objects) {
      this.all.push({ labels: labelsOf(name), object: shown(object) });
      if (this.all.length === this.most) return;
    }
  }
}
