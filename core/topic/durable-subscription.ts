import type { Permissions } from "../access/access.ts";
import { Bounds } from "../routing/bounds.ts";
import type { Clock } from "../time/clock.ts";
import type { Gate } from "../memory/gate.ts";
import type { Message } from "../message.ts";
import type { Pattern } from "../addresses/pattern.ts";
import type { Policy } from "../policy.ts";
import type { Queue } from "../queue/queue.ts";
import type { Selector } from "../selector/selector.ts";
import type { TopicTarget } from "./topic.ts";

/** Whose a durable subscription is: its consumers', a session's, or that of sessions which share it. */
export type DurableKind = "durable" | "session" | "share";

/** Says what a durable subscription takes, besides its selector. */
export interface TopicGuard {
  /** The message as it is to be taken; undefined if it is not. */
  admit(message: Message, sender: unknown, policy: Policy): Message | undefined;
}

/** What of which topics. */
export interface TopicFilter {
  readonly patterns: readonly Pattern[];
  readonly selector: Selector | undefined;
}

/** A queue bound to topic filters: it gathers while nobody consumes, and may be consumed by several at once. */
export class DurableSubscription implements TopicTarget {
  readonly id: string;
  readonly queue: Queue;
  readonly kind: DurableKind;
  /** Of those that sessions have. */
  guard: TopicGuard | undefined = undefined;
  /** Of whoever made it, or has it; undefined of one that several share. */
  reader: Permissions | undefined = undefined;
  /** It is in memory only and goes with its last consumer. */
  volatile = false;
  private readonly clock: Clock;
  private readonly bounds: Bounds | undefined;
  patterns: readonly Pattern[];
  selector: Selector | undefined;

  constructor(clock: Clock, id: string, queue: Queue, filter: TopicFilter, kind: DurableKind = "durable") {
    this.clock = clock;
    this.bounds = Bounds.of(queue.policy);
    this.id = id;
    this.kind = kind;
    this.queue = queue;
    this.patterns = filter.patterns;
    this.selector = filter.selector;
  }

  offer(offered: Message, policy: Policy, sender: unknown): Gate | undefined {
    if (this.selector !== undefined && !this.selector.matches(offered)) return undefined;
    const { bounds, guard, queue } = this;
    const message = guard === undefined ? offered : guard.admit(offered, sender, policy);
    if (message === undefined) return undefined;
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
