import type { AccessRule, AccessRuleSet } from "../../core/access/rule.ts";
import { AccessRules } from "../../core/access/rules.ts";
import type { BrokerOptions } from "../../core/broker.ts";
import type { Store } from "../../core/store.ts";
import { type CoreBroker, coreBroker } from "./core-broker.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** A rule for groups about everything, unless told otherwise. */
export type GivenRule = Partial<Omit<AccessRule, "origin">>;

/** Rules of a broker, called `rule 0` and so on. */
export function ruleSet(...rules: readonly GivenRule[]): AccessRuleSet {
  const broker = rules.map((given, index) => ({
    origin: `rule ${index}`,
    allow: [],
    deny: [],
    principalKinds: ["group" as const],
    actions: ["*" as const],
    kinds: ["*" as const],
    ...given,
  }));
  return { broker, hosts: new Map() };
}

/** Denies everybody to receive from topics, or consume from queues, of these names. */
export function denied(id: string): GivenRule {
  return { deny: ["*"], actions: ["receive", "consume"], kinds: ["topic", "queue"], id };
}

/** Lets everybody do everything. */
export const ALL: GivenRule = { allow: ["*"] };

/** A core under rules that may change. */
export interface GuardedCore {
  readonly core: CoreBroker;
  readonly access: AccessRules;
  /** Goes by other rules from now on, and has everybody looked at. */
  readonly change: (...rules: readonly GivenRule[]) => void;
}

/** A core under these rules; over the store of another one, if that is given. */
export async function guardedCore(
  rules: readonly GivenRule[],
  parts: { clock?: VirtualClock; store?: Store; broker?: Partial<BrokerOptions> } = {},
): Promise<GuardedCore> {
  const access = new AccessRules(ruleSet(...rules));
  const core = await coreBroker({ ...parts, broker: { ...parts.broker, access } });
  return {
    core,
    access,
    change: (...others) => {
      access.replace(ruleSet(...others));
      core.broker.reviewAccess();
      core.clock.advance(1);
      core.settle();
    },
  };
}
