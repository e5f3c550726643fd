import { Bounds } from "./bounds.ts";
import type { Clock } from "./clock.ts";
import type { Gate } from "./gate.ts";
import type { Message } from "./message.ts";
import type { Pattern } from "./pattern.ts";
import type { Policy } from "./policy.ts";
import type { Queue } from "./queue.ts";
import type { Selector } from "./selector/selector.ts";
import type { TopicTarget } from "./topic.ts";

/** What of which topics. */
export interface TopicFilter {
  readonly patterns: readonly Pattern[];
  readonly selector: Selector | undefined;
}

/** A queue bound to topic filters: it gathers while nobody consumes, and may be consumed by several at once. */
export class DurableSubscription implements TopicTarget {
  readonly id: string;
  readonly queue: Queue;
  private readonly clock: Clock;
  private readonly bounds: Bounds | undefined;
  patterns: readonly Pattern[];
  selector: Selector | undefined;

  constructor(clock: Clock, id: string, queue: Queue, filter: TopicFilter) {
    this.clock = clock;
    this.bounds = Bounds.of(queue.policy);
    this.id = id;
    this.queue = queue;
    this.patterns = filter.patterns;
    this.selector = filter.selector;
  }

  offer(message: Message, _policy: Policy, _sender: unknown): Gate | undefined {
    if (this.selector !== undefined && !this.selector.matches(message)) return undefined;
    const { bounds, queue } = this;
    if (bounds === undefined) return queue.publish(message);
    if (bounds.excess(message) === undefined) return queue.publish(bounds.fitted(message, this.clock.now()));
    queue.ledger.turnAway(message.size, "refused");
    return undefined;
  }

  /** True when these are the filters and the selector it has. */
  isLike(patterns: readonly Pattern[], selector: Selector | undefined): boolean {
    return this.selector?.text === selector?.text && texts(this.patterns) === texts(patterns);
  }
}

function texts(patterns: readonly Pattern[]): string {
  return patterns
    .map((pattern) => pattern.text)
    .sort()
    .join("\n");
}
