import type { Gate } from "./gate.ts";
import type { Message } from "./message.ts";
import type { Pattern } from "./pattern.ts";
import type { Policy } from "./policy.ts";
import type { Queue } from "./queue.ts";
import type { Selector } from "./selector/selector.ts";
import type { TopicTarget } from "./topic.ts";

/** A queue bound to topic filters: it gathers while nobody consumes, and may be consumed by several at once. */
export class DurableSubscription implements TopicTarget {
  readonly id: string;
  readonly queue: Queue;
  patterns: readonly Pattern[];
  selector: Selector | undefined;

  constructor(id: string, queue: Queue, patterns: readonly Pattern[], selector: Selector | undefined) {
    this.id = id;
    this.queue = queue;
    this.patterns = patterns;
    this.selector = selector;
  }

  offer(message: Message, _policy: Policy, _sender: unknown): Gate | undefined {
    if (this.selector !== undefined && !this.selector.matches(message)) return undefined;
    return this.queue.publish(message);
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
