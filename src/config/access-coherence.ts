import { namesLike, namesMatching } from "../../core/access/resource-names.ts";
import type { Action, ResourceKind } from "../../core/access/access.ts";
import { ANY, SOME } from "../../core/access/rule.ts";
import { parseNetwork } from "../net/address-set.ts";
import { type AccessRuleSettings, hostKey, namesIn } from "./access.ts";
import type { Tell } from "./coherence.ts";
import type { Config } from "./schema.ts";

type Path = readonly (string | number)[];

/** What the listener of management is called, which is none of the section "listeners". */
const MANAGEMENT = "management";

/** Looks at access rules: what cannot be read, what contradicts itself, and what is allowed but has no effect. */
export function checkAccessRules(config: Config, refuse: Tell, warn: Tell): void {
  checkList(config, config.access_rules, { path: ["access_rules"], key: "access_rules" }, refuse, warn);
  for (const [name, { access_rules: rules }] of Object.entries(config.hosts)) {
    const place = { path: ["hosts", name, "access_rules"], key: hostKey(name) };
    checkList(config, rules, place, refuse, warn);
    for (const [index, { kind }] of rules.entries()) {
      const wrong = kind.find((word) => word === "broker" || word === "connector");
      if (wrong === undefined) continue;
      const text = `${place.key}[${index}].kind: "${wrong}" is no part of a virtual host; such a rule belongs in access_rules`;
      refuse([...place.path, index, "kind"], text);
    }
  }
}

function checkList(
  config: Config,
  rules: readonly AccessRuleSettings[],
  { path, key }: { readonly path: Path; readonly key: string },
  refuse: Tell,
  warn: Tell,
): void {
  let last: string | undefined = undefined;
  for (const [index, rule] of rules.entries()) {
    const own = `${key}[${index}]`;
    const at = [...path, index];
    checkRule(config, rule, { path: at, key: own }, refuse);
    if (last !== undefined) warn(at, `${own}: is never asked, for ${last} decides everything before it`);
    else if (decidesAll(rule)) last = own;
    checkNames(config, rule, { path: at, key: own }, warn);
    checkAsked(rule, { path: at, key: own }, warn);
  }
}

function checkRule(
  config: Config,
  rule: AccessRuleSettings,
  { path, key }: { readonly path: Path; readonly key: string },
  refuse: Tell,
): void {
  const { allow, deny, id, id_regex: expression, connector } = rule;
  if (allow.length === 0 && deny.length === 0) refuse(path, `${key}: must have allow or deny`);
  for (const list of ["principal_kind", "action", "kind"] as const) {
    if (rule[list].length === 0)
      refuse([...path, list], `${key}.${list}: must not be empty; ["${ANY}"] is all of them`);
  }
  if (id !== "" && expression !== "") {
    refuse([...path, "id_regex"], `${key}.id_regex: there is an id as well; expected one of the two`);
  }
  const attempt = (field: "id" | "id_regex", read: () => unknown): void => {
    try {
      read();
    } catch (error) {
      refuse([...path, field], `${key}.${field}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  if (id !== "") attempt("id", () => namesLike(id));
  if (expression !== "") attempt("id_regex", () => namesMatching(expression));
  checkAddresses(rule, { path, key }, refuse);
  if (connector !== "" && connector !== MANAGEMENT && !Object.hasOwn(config.listeners, connector)) {
    refuse([...path, "connector"], `${key}.connector: there is no listener "${connector}" (listeners)`);
  }
}

/** Where nothing but addresses is expected, what is none would never be met. */
function checkAddresses(
  rule: AccessRuleSettings,
  { path, key }: { readonly path: Path; readonly key: string },
  refuse: Tell,
): void {
  if (rule.principal_kind.some((kind) => kind !== "address")) return;
  for (const field of ["allow", "deny"] as const) {
    for (const name of namesIn(rule[field], rule)) {
      if (name === ANY || name === SOME || parseNetwork(name) !== undefined) continue;
      const text = `${key}.${field}: "${name}" is neither an address nor a network such as 10.0.0.0/8 or fd00::/8`;
      refuse([...path, field], text);
    }
  }
}

/** Whether no later rule of the list can have a say. */
function decidesAll(rule: AccessRuleSettings): boolean {
  const { allow, deny, action, kind, id, id_regex: expression, connector } = rule;
  if (id !== "" || expression !== "" || connector !== "") return false;
  return [action, kind, [...namesIn(allow, rule), ...namesIn(deny, rule)]].every((words) => words.includes(ANY));
}

/** What is ever done to which kinds of things. */
const ASKED: Readonly<Record<Action, readonly ResourceKind[]>> = {
  admin: ["broker", "virtual-host"],
  monitor: ["broker", "virtual-host"],
  config: ["broker", "virtual-host"],
  connect: ["connector", "virtual-host"],
  create: ["queue", "topic", "exchange", "dsub"],
  destroy: ["queue", "exchange", "dsub"],
  send: ["queue", "topic", "exchange"],
  receive: ["queue", "topic", "exchange", "dsub"],
  consume: ["queue", "dsub"],
};

/** Subscribing to topics is receiving, and whoever allows to consume from them allows nothing. */
function checkAsked(
  { action: actions, kind: kinds }: AccessRuleSettings,
  { path, key }: { readonly path: Path; readonly key: string },
  warn: Tell,
): void {
  if (kinds.includes(ANY) || kinds.length === 0) return;
  for (const action of actions) {
    if (action === ANY || ASKED[action].some((kind) => kinds.includes(kind))) continue;
    const text = `${key}.action: nobody ever asks to ${action} a ${kinds.join(" or a ")}; that is asked of ${ASKED[action].join(", ")}`;
    warn([...path, "action"], text);
  }
}

/** Names of users where those of groups are expected are a common mistake, and nobody would be told. */
function checkNames(
  { security, hosts }: Config,
  rule: AccessRuleSettings,
  { path, key }: { readonly path: Path; readonly key: string },
  warn: Tell,
): void {
  if (rule.principal_kind.includes("user") || rule.principal_kind.includes(ANY)) return;
  const users = [security, ...Object.values(hosts).flatMap((host) => host.security ?? [])].flatMap((section) =>
    Object.entries(section.users),
  );
  const groups = new Set(users.flatMap(([, user]) => user.groups));
  for (const field of ["allow", "deny"] as const) {
    const wrong = namesIn(rule[field], rule).find((name) => !groups.has(name) && users.some(([user]) => user === name));
    if (wrong === undefined) continue;
    const text = `${key}.${field}: "${wrong}" is a user, and names of groups are expected; set principal_kind to [user]`;
    warn([...path, field], text);
  }
}
