import type { Address, AddressKind } from "./addresses/address.ts";
import type { Pattern } from "./addresses/pattern.ts";
import { PatternTree } from "./addresses/routing-tree.ts";
import { compareSpecificity } from "./addresses/specificity.ts";

/** What a topic does with a subscriber that does not keep up. */
type SlowSubscriberPolicy = "block" | "drop-oldest" | "drop-newest" | "spill";

/**
 * What happens when a queue holds as much as it may: publishers wait, the oldest message that nobody holds makes room, the
 * new message is dropped, or its sender is refused, and the message maybe goes to the dead letters.
 */
type FullPolicy = "block" | "drop-head" | "drop-tail" | "reject" | "reject-dead-letter";

/** How a destination behaves. Limits of 0 are none. */
export interface Policy {
  /** Whether messages may be stored: durable ones to survive, others to leave memory. */
  readonly persistent: boolean;
  /** Bytes of messages a queue keeps in memory before the rest is only in the store; for each message priority in use. */
  readonly memoryBytes: number;
  /** Milliseconds a destination that nobody uses and that holds nothing is kept; 0 for ever. */
  readonly autoDeleteAfterMs: number;
  /** Messages, and bytes of them, a queue may hold. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Whether what consumers hold counts as well. */
  readonly countsHeld: boolean;
  readonly full: FullPolicy;
  /** Bytes of one message. */
  readonly maxMessageBytes: number;
  /** Milliseconds until a message expires whose sender said nothing. */
  readonly defaultTtlMs: number;
  /** Bounds in milliseconds for what senders say; one who says nothing wants for ever. */
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
  /** How often a message is delivered at most. */
  readonly maxDeliveries: number;
  /** The queue that dead letters go to, as a canonical name; `*` in it stands for the name of the queue they leave. */
  readonly deadLetterQueue: string | undefined;
  /** The queue that expired messages go to, in the same way. */
  readonly expiryQueue: string | undefined;
  /** The exchange that dead letters, what expires, and what a full queue drops goes to, instead of these queues. */
  readonly deadLetterExchange: string | undefined;
  /** The routing key they have there; their own if there is none. */
  readonly deadLetterRoutingKey: string | undefined;
  /** Milliseconds until a message that a consumer failed to handle is delivered again; for the first time. */
  readonly redeliveryDelayMs: number;
  /** What each further delay is multiplied by, and what it never exceeds. */
  readonly redeliveryMultiplier: number;
  readonly redeliveryMaxDelayMs: number;
  /** Part of the delay, 0 to 1, by which it is shortened or lengthened at random. */
  readonly redeliveryJitter: number;
  /** Whether message priorities count; without, all are one. */
  readonly priorities: boolean;
  /** The highest priority there is, 1 to 255, and 0 is that of messages that say none; 0: 0 to 9, and those have 4. */
  readonly maxPriority: number;
  /** Who is next among consumers that are equal: all in turn, or the first that was attached while it has room. */
  readonly distribution: "round-robin" | "first-attached";
  /** Only one consumer at a time is given messages; the next one takes over when it goes. */
  readonly singleActiveConsumer: boolean;
  /** Whether a consumer that joins gets its part of the message groups that others have. */
  readonly groupRebalance: boolean;
  /** Message groups a queue remembers. */
  readonly maxGroups: number;
  /** A queue and the topic of the same name are one: what is sent to either goes to both. */
  readonly mirrored: boolean;
  /** Ids of messages an address remembers to find repeated sends; 0 for none. */
  readonly duplicateWindow: number;
  /** The property by which a queue keeps only the newest message of each value. */
  readonly lastValueKey: string | undefined;
  /** Consumers read and take nothing; messages go by expiry, quota, replacement or purge. */
  readonly nonDestructive: boolean;
  readonly slowSubscriber: SlowSubscriberPolicy;
  /** Under `block`: milliseconds a full subscriber may hold up its publishers before it is disconnected; 0 for ever. */
  readonly slowSubscriberDeadlineMs: number;
  /** Bytes of messages that may wait for one topic subscriber. */
  readonly subscriberBytes: number;
}

/** A policy, or a part of one, for the destinations that match. */
export interface PolicyRule extends Partial<Policy> {
  readonly pattern: Pattern;
  /** Where it was written, such as `queues[2] (orders.**)`; the pattern when nobody says. */
  readonly origin?: string;
}

/** The same for durable subscriptions: the pattern is over their ids, each read as the name of a queue; see `levelsOfDurable`. */
export interface DurablePolicyRule extends Partial<Policy> {
  readonly match: Pattern;
  readonly origin?: string;
}

export const DEFAULT_POLICY: Policy = {
  persistent: true,
  memoryBytes: 4 * 1024 * 1024,
  autoDeleteAfterMs: 30_000,
  maxMessages: 0,
  maxBytes: 0,
  countsHeld: true,
  full: "block",
  maxMessageBytes: 0,
  defaultTtlMs: 0,
  minTtlMs: 0,
  maxTtlMs: 0,
  maxDeliveries: 0,
  deadLetterQueue: undefined,
  expiryQueue: undefined,
  deadLetterExchange: undefined,
  deadLetterRoutingKey: undefined,
  redeliveryDelayMs: 0,
  redeliveryMultiplier: 1,
  redeliveryMaxDelayMs: 60 * 60 * 1000,
  redeliveryJitter: 0,
  priorities: true,
  maxPriority: 0,
  distribution: "round-robin",
  singleActiveConsumer: false,
  groupRebalance: true,
  maxGroups: 100_000,
  mirrored: false,
  duplicateWindow: 20_000,
  lastValueKey: undefined,
  nonDestructive: false,
  slowSubscriber: "block",
  slowSubscriberDeadlineMs: 30_000,
  subscriberBytes: 1024 * 1024,
};

/** What one field of a policy is, and who says so: "default", or the `origin` of a rule. */
export interface ExplainedValue {
  readonly value: Policy[keyof Policy];
  readonly origin: string;
}

/**
 * The configured policies of a virtual host. All rules that match are merged, field by field: a more specific pattern
 * overrides a more general one, wherever they stand, and of two that are as specific the later one counts.
 */
export class Policies {
  private readonly rules: readonly PolicyRule[];
  private readonly layers: Readonly<Record<AddressKind, Layers>>;
  private readonly durableLayers: Layers;

  constructor(rules: readonly PolicyRule[], durableRules: readonly DurablePolicyRule[] = []) {
    this.rules = rules;
    const layersOf = (kind: AddressKind): Layers => new Layers(rules.filter(({ pattern }) => pattern.kind === kind));
    // Exchanges have the default policy: there are no rules for them.
    this.layers = { queue: layersOf("queue"), topic: layersOf("topic"), exchange: new Layers([]) };
    this.durableLayers = new Layers(durableRules.map(({ match, ...rule }) => ({ ...rule, pattern: match })));
  }

  /** The policy of a destination; the same object for all that the same rules match. */
  of(address: Address): Policy {
    return this.layers[address.kind].of(address);
  }

  /** The policy of a durable subscription. */
  ofDurable(id: string): Policy {
    return this.durableLayers.of(addressOfDurable(id));
  }

  /** Where every field of a destination's policy comes from. */
  explain(address: Address): Map<keyof Policy, ExplainedValue> {
    return this.layers[address.kind].explain(address);
  }

  /** The same for a durable subscription. */
  explainDurable(id: string): Map<keyof Policy, ExplainedValue> {
    return this.durableLayers.explain(addressOfDurable(id));
  }

  /** Destinations that are named without a wildcard: these exist from the start and are never deleted for being idle. */
  *named(kind: AddressKind): Iterable<Address> {
    for (const { pattern } of this.rules) {
      if (pattern.kind === kind && pattern.address !== undefined) yield pattern.address;
    }
  }
}

/** The levels of a durable subscription's id, between its dots and slashes: `mqtt/sensor-7` has two. */
export function levelsOfDurable(id: string): string[] {
  return id.split(/[./]/);
}

/** Ids are no names: not every one is a valid address, and nobody is to be refused for that here. */
function addressOfDurable(id: string): Address {
  return { kind: "queue", levels: levelsOfDurable(id), name: id };
}

interface Layer {
  /** Its place in the order from general to specific. */
  readonly place: number;
  readonly settings: Partial<Policy>;
  readonly origin: string;
}

/** Merged policies that are kept to be shared: many destinations have few policies between them. */
const MAX_SHARED = 1000;

/** The rules for one kind of thing, found by a tree, so that making a destination costs little however many there are. */
class Layers {
  private readonly tree = new PatternTree<Layer>();
  private readonly shared = new Map<string, Policy>();

  constructor(rules: readonly PolicyRule[]) {
    const sorted = rules.toSorted((a, b) => compareSpecificity(a.pattern, b.pattern));
    for (const [place, { pattern, origin = pattern.text, ...settings }] of sorted.entries()) {
      this.tree.add(pattern, { place, settings, origin });
    }
  }

  of(address: Address): Policy {
    const layers = this.matching(address);
    if (layers.length === 0) return DEFAULT_POLICY;
    const key = layers.map(({ place }) => place).join();
    const found = this.shared.get(key);
    if (found !== undefined) return found;
    let policy = DEFAULT_POLICY;
    for (const { settings } of layers) policy = { ...policy, ...settings };
    if (this.shared.size >= MAX_SHARED) this.shared.clear();
    this.shared.set(key, policy);
    return policy;
  }

  explain(address: Address): Map<keyof Policy, ExplainedValue> {
    const explained = new Map<keyof Policy, ExplainedValue>();
    for (const [field, value] of fieldsOf(DEFAULT_POLICY)) explained.set(field, { value, origin: "default" });
    for (const { settings, origin } of this.matching(address)) {
      for (const [field, value] of fieldsOf(settings)) explained.set(field, { value, origin });
    }
    return explained;
  }

  /** From general to specific. */
  private matching(address: Address): Layer[] {
    const layers: Layer[] = [];
    this.tree.match(address, (layer) => layers.push(layer));
    return layers.sort((a, b) => a.place - b.place);
  }
}

function* fieldsOf<T extends object>(policy: T): Iterable<[Extract<keyof T, string>, T[Extract<keyof T, string>]]> {
  for (const field in policy) yield [field, policy[field]];
}
