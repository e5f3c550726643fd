/*
 * What the configuration says about queues, topics and durable subscriptions, in the terms of the core. Everything here
 * throws BrokerError for text that `checkDestinations` refuses.
 */
import type { AddressKind } from "../../core/addresses/address.ts";
import type { DivertRule } from "../../core/routing/divert.ts";
import { BrokerError } from "../../core/errors.ts";
import type { PatternLevel } from "../../core/addresses/pattern.ts";
import type { DurablePolicyRule, Policy, PolicyRule } from "../../core/policy.ts";
import { compileSelector, type Selector } from "../../core/selector/selector.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import type { VirtualTopicRule } from "../../core/routing/virtual-topic.ts";
import type { Config } from "./schema.ts";

/** A list of the configuration whose entries are policies. */
export type PolicySection = "queues" | "topics" | "durable_subscriptions";

/** What its names are names of; ids of durable subscriptions are read as names of queues. */
export const SECTION_KINDS: Readonly<Record<PolicySection, AddressKind>> = {
  queues: "queue",
  topics: "topic",
  durable_subscriptions: "queue",
};

type PolicyEntry = Omit<Config["queues"][number] & Config["topics"][number], "match">;

/** The rules for queues and topics. */
export function policyRules(config: Config): PolicyRule[] {
  return (["queues", "topics"] as const).flatMap((section) =>
    config[section].map((entry, index) => ({
      pattern: canonical.parsePattern(SECTION_KINDS[section], entry.match),
      origin: ruleOrigin(section, index, entry.match),
      ...settingsOf(entry),
    })),
  );
}

/** The rules for durable subscriptions. */
export function durableRules(config: Config): DurablePolicyRule[] {
  return config.durable_subscriptions.map((entry, index) => ({
    match: canonical.parsePattern("queue", dotted(entry.match)),
    origin: ruleOrigin("durable_subscriptions", index, entry.match),
    ...settingsOf(entry),
  }));
}

/** Levels of ids are between slashes as well as dots; what is in braces is no level. */
function dotted(match: string): string {
  return match.replaceAll(/\/(?![^{}]*\})/g, ".");
}

/** What a policy's fields have as their origin: `queues[2] (orders.**)`. */
function ruleOrigin(section: PolicySection, index: number, match: string): string {
  return `${section}[${index}] (${match})`;
}

function settingsOf(entry: PolicyEntry): Partial<Policy> {
  const settings = set({
    persistent: entry.persistent,
    memoryBytes: entry.memory,
    autoDeleteAfterMs: entry.auto_delete_after,
    maxMessages: entry.max_messages,
    maxBytes: entry.max_bytes,
    countsHeld: entry.count_unacknowledged,
    full: entry.full,
    maxMessageBytes: entry.max_message_size,
    defaultTtlMs: entry.default_ttl,
    minTtlMs: entry.min_ttl,
    maxTtlMs: entry.max_ttl,
    maxDeliveries: entry.max_deliveries,
    redeliveryDelayMs: entry.redelivery?.delay,
    redeliveryMultiplier: entry.redelivery?.multiplier,
    redeliveryMaxDelayMs: entry.redelivery?.max_delay,
    redeliveryJitter: entry.redelivery?.jitter,
    priorities: entry.priorities,
    maxPriority: entry.max_priority,
    distribution: entry.distribution,
    singleActiveConsumer: entry.single_active_consumer,
    groupRebalance: entry.group_rebalance,
    maxGroups: entry.max_groups,
    mirrored: entry.mirrored,
    duplicateWindow: entry.duplicate_window,
    nonDestructive: entry.non_destructive,
    slowSubscriber: entry.slow_subscriber,
    slowSubscriberDeadlineMs: entry.slow_subscriber_deadline,
    subscriberBytes: entry.subscriber_buffer,
  });
  const { dead_letter_queue: dead, expiry_queue: expiry, last_value_key: lastValue } = entry;
  const { dead_letter_exchange: exchange, dead_letter_routing_key: key } = entry;
  return {
    ...settings,
    // Said to be none, which overrides, is not the same as not said.
    ...(dead !== undefined && { deadLetterQueue: dead === "" ? undefined : nameWithStar("queue", dead) }),
    ...(expiry !== undefined && { expiryQueue: expiry === "" ? undefined : nameWithStar("queue", expiry) }),
    ...(exchange !== undefined && { deadLetterExchange: exchange === "" ? undefined : exchange }),
    ...(key !== undefined && { deadLetterRoutingKey: key === "" ? undefined : key }),
    ...(lastValue !== undefined && { lastValueKey: lastValue === "" ? undefined : lastValue }),
  };
}

/** The settings that somebody set. */
function set<T extends Record<string, unknown>>(settings: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const given: { [K in keyof T]?: Exclude<T[K], undefined> } = {};
  for (const key in settings) {
    const value = settings[key];
    if (isSet(value)) given[key] = value;
  }
  return given;
}

function isSet<V>(value: V): value is Exclude<V, undefined> {
  return value !== undefined;
}

/** A canonical name in which `*` stands for others. Throws BrokerError("bad-address") for any other wildcard. */
export function nameWithStar(kind: AddressKind, text: string): string {
  const pattern = canonical.parsePattern(kind, text);
  if (pattern.levels.every((level) => typeof level === "string" || isStarred(level))) return pattern.text;
  throw new BrokerError(
    "bad-address",
    `expected a name in which only "*" has a meaning, found ${JSON.stringify(text)}`,
  );
}

function isStarred(level: Exclude<PatternLevel, string>): boolean {
  if ("regex" in level) return level.regex.parts.every((part) => typeof part === "string" || "any" in part);
  return "any" in level;
}

/** The diverts. */
export function divertRules({ diverts }: Config): DivertRule[] {
  return diverts.map(({ from, to, selector, exclusive }) => ({
    from: canonical.parsePattern(...kindAndName(from)),
    to: to.map((target) => {
      const [kind, name] = kindAndName(target);
      return { kind, name: nameWithStar(kind, name) };
    }),
    selector: selectorOf(selector),
    exclusive,
  }));
}

/** A queue or a topic, whichever of them is named. Throws BrokerError("bad-request") unless one of them is. */
export function kindAndName({ queue, topic }: { queue?: string; topic?: string }): [kind: AddressKind, name: string] {
  if (queue !== undefined && topic === undefined) return ["queue", queue];
  if (topic !== undefined && queue === undefined) return ["topic", topic];
  const found = queue === undefined ? "neither" : "both";
  throw new BrokerError("bad-request", `expected either queue or topic, found ${found}`);
}

/** A selector; undefined when the text is empty. */
export function selectorOf(text: string): Selector | undefined {
  return text.trim() === "" ? undefined : compileSelector(text);
}

/** The virtual topics. */
export function virtualTopicRules({ virtual_topics: rules }: Config): VirtualTopicRule[] {
  return rules.map(({ topics, consumers }) => ({
    topics: canonical.parsePattern("topic", topics),
    consumers: nameWithStar("queue", consumers),
  }));
}
