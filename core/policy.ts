import type { Pattern } from "./pattern.ts";
import type { Address, AddressKind } from "./address.ts";

/** What a topic does with a subscriber that does not keep up. */
type SlowSubscriberPolicy = "block" | "drop-oldest" | "drop-newest" | "spill";

/** How a destination behaves. */
export interface Policy {
  /** Whether messages may be stored: durable ones to survive, others to leave memory. */
  readonly persistent: boolean;
  /** Bytes of messages a queue keeps in memory before the rest is only in the store. */
  readonly memoryBytes: number;
  /** Milliseconds a destination that nobody uses and that holds nothing is kept; 0 for ever. */
  readonly autoDeleteAfterMs: number;
  readonly slowSubscriber: SlowSubscriberPolicy;
  /** Under `block`: milliseconds a full subscriber may hold up its publishers before it is disconnected; 0 for ever. */
  readonly slowSubscriberDeadlineMs: number;
  /** Bytes of messages that may wait for one topic subscriber. */
  readonly subscriberBytes: number;
}

/** A policy, or a part of one, for the destinations that match. */
export interface PolicyRule extends Partial<Policy> {
  readonly pattern: Pattern;
}

export const DEFAULT_POLICY: Policy = {
  persistent: true,
  memoryBytes: 4 * 1024 * 1024,
  autoDeleteAfterMs: 30_000,
  slowSubscriber: "block",
  slowSubscriberDeadlineMs: 30_000,
  subscriberBytes: 1024 * 1024,
};

/** The configured policies of a virtual host; of two that match, the later one decides. */
export class Policies {
  private readonly rules: readonly PolicyRule[];

  constructor(rules: readonly PolicyRule[]) {
    this.rules = rules;
  }

  /** The policy of a destination: every matching rule laid over the defaults, in order. */
  of(address: Address): Policy {
    let policy = DEFAULT_POLICY;
    for (const { pattern, ...settings } of this.rules) {
      if (pattern.matches(address)) policy = { ...policy, ...settings };
    }
    return policy;
  }

  /** Destinations that are named without a wildcard: these exist from the start and are never deleted for being idle. */
  *named(kind: AddressKind): Iterable<Address> {
    for (const { pattern } of this.rules) {
      if (pattern.kind === kind && pattern.address !== undefined) yield pattern.address;
    }
  }
}
