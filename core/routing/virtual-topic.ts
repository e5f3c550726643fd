import type { Admission } from "./admission.ts";
import { Address } from "../addresses/address.ts";
import type { Gate } from "../memory/gate.ts";
import type { Message } from "../message.ts";
import { matchesLevel, type Pattern } from "../addresses/pattern.ts";
import type { Policy } from "../policy.ts";
import { canonical } from "../addresses/spelling.ts";
import type { TopicTarget } from "../topic/topic.ts";

/** Which topics are virtual: each group of consumers has a queue of its own that gets all the topic gets. */
export interface VirtualTopicRule {
  readonly topics: Pattern;
  /** What the name of such a queue begins with, before the topic's: a canonical pattern in which `*` is one level. */
  readonly consumers: string;
}

/** As in ActiveMQ: `Consumer.A.VirtualTopic.Orders` has what is sent to `VirtualTopic.Orders`. */
export const DEFAULT_VIRTUAL_TOPICS: readonly VirtualTopicRule[] = [
  { topics: canonical.parsePattern("topic", "VirtualTopic.**"), consumers: "Consumer.*" },
];

/** Finds out which queues are consumers of virtual topics. */
export class VirtualTopics {
  private readonly rules: readonly { readonly topics: Pattern; readonly prefix: Pattern }[];

  constructor(rules: readonly VirtualTopicRule[]) {
    this.rules = rules.map(({ topics, consumers }) => ({
      topics,
      prefix: canonical.parsePattern("queue", consumers),
    }));
  }

  /** The topic whose messages a queue of this name gets, if any. */
  topicOf(queue: Address): Address | undefined {
    for (const { topics, prefix } of this.rules) {
      const { levels } = prefix;
      if (queue.levels.length <= levels.length) continue;
      if (!levels.every((level, i) => matchesLevel(level, queue.levels[i] ?? ""))) continue;
      const topic = new Address("topic", queue.levels.slice(levels.length));
      if (topics.matches(topic)) return topic;
    }
    return undefined;
  }
}

/** A queue that gets what a topic gets, or an exchange. */
export class QueueTarget implements TopicTarget {
  readonly admission: Admission;

  constructor(admission: Admission) {
    this.admission = admission;
  }

  offer(message: Message, _policy: Policy, sender: unknown): Gate | undefined {
    return this.admission.take(message, sender);
  }
}
