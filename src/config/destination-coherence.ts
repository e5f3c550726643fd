import { Address } from "../../core/addresses/address.ts";
import type { Pattern, PatternLevel } from "../../core/addresses/pattern.ts";
import { type ExplainedValue, Policies, type Policy, type PolicyRule } from "../../core/policy.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import type { Tell } from "./coherence.ts";
import {
  durableRules,
  kindAndName,
  nameWithStar,
  type PolicySection,
  policyRules,
  SECTION_KINDS,
  selectorOf,
} from "./destinations.ts";
import { POLICY_KEYS } from "./policy-keys.ts";
import type { Config } from "./schema.ts";
import { formatQuantity } from "./units.ts";

const SECTIONS: readonly PolicySection[] = ["queues", "topics", "durable_subscriptions"];

/** Looks at names, patterns and selectors, and at policies that contradict each other where they are merged. */
export function checkDestinations(config: Config, refuse: Tell, warn: Tell): void {
  let readable = true;
  const attempt = <T>(path: readonly (string | number)[], read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      readable = false;
      refuse(path, `${keyOf(path)}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  checkNames(config, attempt);
  // Rules are made of names, so there are none before all names are right.
  if (readable) checkPolicies(config, refuse, warn);
  checkDiverts(config, attempt, refuse);
  for (const [index, { topics, consumers }] of config.virtual_topics.entries()) {
    attempt(["virtual_topics", index, "topics"], () => canonical.parsePattern("topic", topics));
    attempt(["virtual_topics", index, "consumers"], () => nameWithStar("queue", consumers));
  }
}

type Attempt = <T>(path: readonly (string | number)[], read: () => T) => T | undefined;

function checkNames(config: Config, attempt: Attempt): void {
  for (const section of SECTIONS) {
    for (const [index, { match }] of config[section].entries())
      attempt([section, index, "match"], () => canonical.parsePattern(SECTION_KINDS[section], match));
  }
  for (const section of ["queues", "durable_subscriptions"] as const) {
    for (const [index, entry] of config[section].entries()) {
      for (const key of ["dead_letter_queue", "expiry_queue"] as const) {
        const name = entry[key] ?? "";
        if (name !== "") attempt([section, index, key], () => nameWithStar("queue", name));
      }
    }
  }
}

function checkDiverts({ diverts }: Config, attempt: Attempt, refuse: Tell): void {
  for (const [index, { from, to, selector }] of diverts.entries()) {
    const path = ["diverts", index] as const;
    const unset = from.queue === undefined && from.topic === undefined;
    // What is not there has no place of its own.
    if (unset) refuse(path, `diverts[${index}].from: must be set; expected either queue or topic`);
    const given = unset ? undefined : attempt([...path, "from"], () => kindAndName(from));
    const source =
      given === undefined ? undefined : attempt([...path, "from", given[0]], () => canonical.parsePattern(...given));
    attempt([...path, "selector"], () => selectorOf(selector));
    const back = to.map((target, place) => {
      const named = attempt([...path, "to", place], () => kindAndName(target));
      const name = named && attempt([...path, "to", place, named[0]], () => nameWithStar(...named));
      return name !== undefined && named?.[0] === source?.kind && (name === "*" || name === source?.address?.name);
    });
    if (to.length === 0) refuse([...path, "to"], `diverts[${index}].to: must name at least one queue or topic`);
    else if (source !== undefined && back.every(Boolean))
      refuse([...path, "to"], `diverts[${index}].to: leads nowhere but back to where messages come from`);
  }
}

function checkPolicies(config: Config, refuse: Tell, warn: Tell): void {
  const rules = policyRules(config);
  const inSection: Readonly<Record<PolicySection, readonly PolicyRule[]>> = {
    queues: rules.filter(({ pattern }) => pattern.kind === "queue"),
    topics: rules.filter(({ pattern }) => pattern.kind === "topic"),
    durable_subscriptions: durableRules(config).map(({ match, ...rule }) => ({ ...rule, pattern: match })),
  };
  for (const section of SECTIONS) {
    const policies = new Policies(inSection[section]);
    for (const [index, rule] of inSection[section].entries()) {
      const explained = explainRule(rule, policies);
      checkOrder(explained, rule, [section, index], refuse);
      const lost =
        rule.maxDeliveries !== undefined &&
        rule.maxDeliveries > 0 &&
        explained.has("deadLetterQueue") &&
        explained.get("deadLetterQueue")?.value === undefined;
      if (lost) {
        warn(
          [section, index, "max_deliveries"],
          `${section}[${index}].max_deliveries: there is no dead_letter_queue, so messages at this limit are lost`,
        );
      }
    }
  }
}

/** Durations of which the first may not be more than the second. */
const ORDERED: readonly (readonly [keyof Policy, keyof Policy])[] = [
  ["minTtlMs", "maxTtlMs"],
  ["defaultTtlMs", "maxTtlMs"],
  ["minTtlMs", "defaultTtlMs"],
  ["redeliveryDelayMs", "redeliveryMaxDelayMs"],
];

/** Refuses what the rule sets where it contradicts itself or another rule that it is merged with. */
function checkOrder(
  explained: ReadonlyMap<keyof Policy, ExplainedValue>,
  rule: PolicyRule,
  path: readonly [PolicySection, number],
  refuse: Tell,
): void {
  for (const [less, more] of ORDERED) {
    const least = explained.get(less);
    const most = explained.get(more);
    if (typeof least?.value !== "number" || typeof most?.value !== "number") continue;
    if (most.value === 0 || least.value <= most.value) continue;
    // Between two other rules it is theirs to be told about.
    if (least.origin !== rule.origin && most.origin !== rule.origin) continue;
    const leastText = formatQuantity("ms", least.value);
    const mostText = formatQuantity("ms", most.value);
    const [field, text] =
      most.origin === rule.origin
        ? ([more, `${mostText} is less than ${POLICY_KEYS[less]}, which is ${leastText} (${least.origin})`] as const)
        : ([less, `${leastText} is more than ${POLICY_KEYS[more]}, which is ${mostText} (${most.origin})`] as const);
    const key = POLICY_KEYS[field];
    refuse([...path, ...key.split(".")], `${keyOf(path)}.${key}: ${text}`);
  }
}

/** The policy that a rule is a part of, at a name it matches; only what it sets itself when no such name is found. */
function explainRule(rule: PolicyRule, policies: Policies): ReadonlyMap<keyof Policy, ExplainedValue> {
  const name = exampleOf(rule.pattern);
  if (name !== undefined) return policies.explain(name);
  const alone = new Policies([{ ...rule, pattern: canonical.parsePattern("queue", "**") }]);
  const explained = alone.explain(new Address("queue", ["x"]));
  return new Map([...explained].filter(([, { origin }]) => origin === rule.origin));
}

/** A name that the pattern matches; undefined for a regular expression. */
function exampleOf(pattern: Pattern): Address | undefined {
  const levels: string[] = [];
  for (const level of pattern.levels) {
    const example = exampleLevel(level);
    if (example === undefined) return undefined;
    levels.push(example);
  }
  return new Address(pattern.kind, levels);
}

function exampleLevel(level: PatternLevel): string | undefined {
  if (typeof level === "string") return level;
  if (!("regex" in level)) return "x";
  let example = "";
  for (const part of level.regex.parts) {
    if (typeof part !== "string" && "regex" in part) return undefined;
    example += typeof part === "string" ? part : "x";
  }
  return example;
}

function keyOf(path: readonly (string | number)[]): string {
  return path.map((step, index) => (typeof step === "number" ? `[${step}]` : index > 0 ? `.${step}` : step)).join("");
}
