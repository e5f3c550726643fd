/*
 * What the configuration says about who may do what, in the terms of the core.
 */
import { type AccessRule, type AccessRuleSet, ANY } from "../../core/access/rule.ts";
import { AddressSet, parseNetwork } from "../net/address-set.ts";
import type { Config } from "./schema.ts";
import { joinKey } from "./setting.ts";

/** A rule of the configuration. */
export type AccessRuleSettings = Config["access_rules"][number];

/** The access rules of a configuration, each with its place in it. */
export function accessRuleSet({ access_rules: rules, hosts }: Config): AccessRuleSet {
  const ofHosts = Object.entries(hosts).map(
    ([name, host]) => [name, rulesOf(host.access_rules, hostKey(name))] as const,
  );
  return { broker: rulesOf(rules, "access_rules"), hosts: new Map(ofHosts) };
}

/** The key of the rules of a virtual host. */
export function hostKey(name: string): string {
  return `${joinKey("hosts", name)}.access_rules`;
}

function rulesOf(rules: readonly AccessRuleSettings[], key: string): AccessRule[] {
  return rules.map((rule, index) => ruleOf(rule, `${key}[${index}]`));
}

function ruleOf(rule: AccessRuleSettings, origin: string): AccessRule {
  const allow = namesIn(rule.allow, rule);
  const deny = namesIn(rule.deny, rule);
  return {
    origin,
    allow,
    deny,
    allowNetworks: networksIn(allow, rule),
    denyNetworks: networksIn(deny, rule),
    principalKinds: rule.principal_kind,
    actions: rule.action,
    kinds: rule.kind,
    id: given(rule.id),
    idRegex: given(rule.id_regex),
    connector: given(rule.connector),
  };
}

/** The names in `allow` or `deny`, each by itself. */
export function namesIn(list: readonly string[], { separator }: AccessRuleSettings): string[] {
  if (separator === "") return [...list];
  return list.flatMap((text) => text.split(separator).map((name) => name.trim())).filter((name) => name !== "");
}

function networksIn(names: readonly string[], { principal_kind: kinds }: AccessRuleSettings): AddressSet | undefined {
  if (!kinds.includes("address") && !kinds.includes(ANY)) return undefined;
  const networks = names.filter((name) => parseNetwork(name) !== undefined);
  return networks.length === 0 ? undefined : new AddressSet(networks);
}

function given(text: string): string | undefined {
  return text === "" ? undefined : text;
}
