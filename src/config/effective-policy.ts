import { type ExplainedValue, Policies, type Policy } from "../../core/policy.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { durableRules, type PolicySection, policyRules, SECTION_KINDS } from "./destinations.ts";
import { POLICY_KEYS } from "./policy-keys.ts";
import { type Config, configSchema, type SchemaNode } from "./schema.ts";
import { joinKey, type SettingValue } from "./setting.ts";
import { formatQuantity } from "./units.ts";

/** One setting that holds for a destination. */
export interface EffectivePolicySetting {
  /** Without its section: `redelivery.delay`. */
  readonly key: string;
  /** As it may be written. */
  readonly value: SettingValue;
  /** "default", the entry that says so, as `queues[2] (orders.**)`, or "declaration". */
  readonly origin: string;
}

/**
 * All that holds for a queue, a topic or a durable subscription, in the order of the schema; where that differs from what
 * one that is there really has (`actual`), who declared it said so. Throws BrokerError("bad-address") for what is not the
 * canonical name of a queue or a topic.
 */
export function effectivePolicy(
  config: Config,
  section: PolicySection,
  name: string,
  actual?: Policy,
): EffectivePolicySetting[] {
  const policies = new Policies(policyRules(config), durableRules(config));
  const explained =
    section === "durable_subscriptions"
      ? policies.explainDurable(name)
      : policies.explain(canonical.parse(SECTION_KINDS[section], name));
  const byKey = new Map<string, ExplainedValue>();
  for (const [field, configured] of explained) {
    const declared = actual !== undefined && actual[field] !== configured.value;
    byKey.set(POLICY_KEYS[field], declared ? { value: actual[field], origin: "declaration" } : configured);
  }
  const settings: EffectivePolicySetting[] = [];
  for (const [key, node] of leaves(configSchema.properties?.[section]?.items, "")) {
    const found = byKey.get(key);
    if (found !== undefined) settings.push({ key, value: shown(found.value, node), origin: found.origin });
  }
  return settings;
}

/** The settings in a group and in the groups within, by their keys. */
function* leaves(group: SchemaNode | undefined, key: string): Iterable<[key: string, node: SchemaNode]> {
  for (const [name, child] of Object.entries(group?.properties ?? {})) {
    if (child.properties === undefined) yield [joinKey(key, name), child];
    else yield* leaves(child, joinKey(key, name));
  }
}

function shown(value: Policy[keyof Policy], node: SchemaNode): SettingValue {
  if (value === undefined) return "";
  return node.unit !== undefined && typeof value === "number" ? formatQuantity(node.unit, value) : value;
}
