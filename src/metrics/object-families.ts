import type { DurableSubscription } from "../../core/topic/durable-subscription.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import type { Queue } from "../../core/queue/queue.ts";
import type { Topic } from "../../core/topic/topic.ts";
import type { Exposition } from "./exposition.ts";

/** Something that has metrics of its own, by the labels that name it. */
interface One<T> {
  readonly labels: Readonly<Record<string, string>>;
  readonly object: T;
}

/** One metric of queues, or of the queues of durable subscriptions. */
interface QueueFamily {
  readonly suffix: string;
  readonly help: string;
  readonly read: (queue: Queue) => number;
}

const QUEUE_GAUGES: readonly QueueFamily[] = [
  { suffix: "messages", help: "Messages in it.", read: ({ count }) => count },
  { suffix: "messages_bytes", help: "Bytes of the messages in it.", read: ({ bytes }) => bytes },
  { suffix: "messages_unsettled", help: "Messages that consumers have and did not settle.", read: ({ held }) => held },
  { suffix: "consumers", help: "Its consumers.", read: ({ consumerCount }) => consumerCount },
  { suffix: "memory_bytes", help: "Bytes of its messages in memory.", read: ({ memoryBytes }) => memoryBytes },
];

const QUEUE_COUNTERS: readonly QueueFamily[] = [
  { suffix: "received_total", help: "Messages that came.", read: ({ ledger }) => ledger.received },
  { suffix: "delivered_total", help: "Deliveries, repeated ones too.", read: ({ ledger }) => ledger.delivered },
  { suffix: "consumed_total", help: "Messages that were consumed.", read: ({ ledger }) => ledger.consumed },
  { suffix: "returned_total", help: "Deliveries that came back.", read: ({ ledger }) => ledger.returned },
  { suffix: "lost_total", help: "Messages not consumed here.", read: ({ ledger }) => ledger.lostTotal },
];

/** Every queue, topic and durable subscription by itself; of each of these kinds `most` in all, the oldest ones. */
export function writeObjects(to: Exposition, hosts: ReadonlyMap<string, VirtualHost>, most: number): void {
  const queues = new Chosen<Queue>(most);
  const topics = new Chosen<Topic>(most);
  const durables = new Chosen<DurableSubscription>(most);
  for (const [host, { queues: all, topics: allTopics, durables: allDurables }] of hosts) {
    queues.add(all, (queue) => ({ host, queue }));
    topics.add(allTopics, (topic) => ({ host, topic }));
    durables.add(allDurables, (subscription) => ({ host, subscription }));
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
  writeQueues(to, "delos_queue", queues.all);
  const inDurables = durables.all.map(({ labels, object }) => ({ labels, object: object.queue }));
  writeQueues(to, "delos_durable_subscription", inDurables);
  writeTopics(to, topics.all);
}

function writeQueues(to: Exposition, prefix: string, queues: readonly One<Queue>[]): void {
  for (const { suffix, help, read } of QUEUE_GAUGES) {
    to.gauge(`${prefix}_${suffix}`, help, (sample) => {
      for (const { labels, object } of queues) sample(read(object), labels);
    });
  }
  for (const { suffix, help, read } of QUEUE_COUNTERS) {
    to.counter(`${prefix}_${suffix}`, help, (sample) => {
      for (const { labels, object } of queues) sample(read(object), labels);
    });
  }
}

function writeTopics(to: Exposition, topics: readonly One<Topic>[]): void {
  to.gauge("delos_topic_subscribers", "Subscribers and durable subscriptions that it feeds.", (sample) => {
    for (const { labels, object } of topics) sample(object.targets.length, labels);
  });
  to.counter("delos_topic_received_total", "Messages that came.", (sample) => {
    for (const { labels, object } of topics) sample(object.ledger.received, labels);
  });
  to.counter("delos_topic_delivered_total", "Messages handed on, once for each subscriber.", (sample) => {
    for (const { labels, object } of topics) sample(object.ledger.delivered, labels);
  });
  to.counter("delos_topic_lost_total", "Messages that were for nobody.", (sample) => {
    for (const { labels, object } of topics) sample(object.ledger.lostTotal, labels);
  });
}

/** Some of the objects of one kind. */
class Chosen<T> {
  readonly all: One<T>[] = [];
  omitted = 0;
  private readonly most: number;

  constructor(most: number) {
    this.most = most;
  }

  add(objects: ReadonlyMap<string, T>, labelsOf: (name: string) => Readonly<Record<string, string>>): void {
    const room = this.most - this.all.length;
    this.omitted += Math.max(0, objects.size - room);
    if (room === 0) return;
    for (const [name, object] of objects) {
      this.all.push({ labels: labelsOf(name), object });
      if (this.all.length === this.most) return;
    }
  }
}
