import type { Action, Principal, ResourceKind, Subject } from "./access.ts";
import { namesLike, namesMatching, type ResourceNames } from "./resource-names.ts";

/** All kinds of names that rules may know somebody by. */
export const PRINCIPAL_KINDS = ["user", "group", "address", "certificate"] as const;

/** What a name in a rule is a name of. */
type PrincipalKind = (typeof PRINCIPAL_KINDS)[number];

/** Stands in a list of actions or kinds for all of them, and in one of principals for anybody. */
export const ANY = "*";
/** Stands in a list of principals for whoever has at least one of the kinds. */
export const SOME = "+";

/** Addresses and networks among the names of a rule. */
interface Networks {
  /** Whether an address, without a port, is in one of them. */
  has(address: string): boolean;
}

/** An access rule as an operator writes it. */
export interface AccessRule {
  /** Where it stands, for those who are told that it decided: `access_rules[2]`. */
  readonly origin: string;
  /** Names of principals; `*` is anybody, `+` whoever has a principal of the kinds. */
  readonly allow: readonly string[];
  /** The same; asked before `allow`. */
  readonly deny: readonly string[];
  /** Those of `allow` and `deny` that are networks, or addresses that can be written in several ways; none if absent. */
  readonly allowNetworks?: Networks | undefined;
  readonly denyNetworks?: Networks | undefined;
  /** What the names in `allow` and `deny` are names of. */
  readonly principalKinds: readonly (PrincipalKind | typeof ANY)[];
  readonly actions: readonly (Action | typeof ANY)[];
  readonly kinds: readonly (ResourceKind | typeof ANY)[];
  /** Names, with wildcards and placeholders; see `namesLike`. All names if this and `idRegex` are absent. */
  readonly id?: string | undefined;
  readonly idRegex?: string | undefined;
  /** The listener that a connection came to; any if absent. */
  readonly connector?: string | undefined;
}

/** The rules there are. Those of a virtual host come before those of the broker. */
export interface AccessRuleSet {
  readonly broker: readonly AccessRule[];
  /** By the name of the host. */
  readonly hosts: ReadonlyMap<string, readonly AccessRule[]>;
}

/** A rule that is ready to be asked. */
export class CompiledRule {
  readonly origin: string;
  readonly names: ResourceNames | undefined;
  private readonly rule: AccessRule;
  private readonly actions: ReadonlySet<string> | undefined;
  private readonly kinds: ReadonlySet<string> | undefined;

  /** Throws BrokerError("bad-address") for an id or an expression that cannot be read. */
  constructor(rule: AccessRule) {
    this.rule = rule;
    this.origin = rule.origin;
    this.actions = setOf(rule.actions);
    this.kinds = setOf(rule.kinds);
    const { id, idRegex } = rule;
    if (id !== undefined) this.names = namesLike(id);
    else this.names = idRegex === undefined ? undefined : namesMatching(idRegex);
  }

  /** Whether it is about an action on a kind of things. */
  isAbout(action: Action, kind: ResourceKind): boolean {
    return this.actions?.has(action) !== false && this.kinds?.has(kind) !== false;
  }

  /** What it says of a subject: allowed, denied, or nothing. */
  verdictOn(subject: Subject): boolean | undefined {
    const { allow, allowNetworks, deny, denyNetworks, principalKinds, connector } = this.rule;
    if (connector !== undefined && connector !== subject.listener) return undefined;
    const names = namesOf(subject, principalKinds);
    const addresses = isWanted("address", principalKinds) ? addressesOf(subject) : [];
    const isIn = (networks: Networks | undefined): boolean => addresses.some((address) => networks?.has(address));
    if (includesOne(deny, names) || isIn(denyNetworks)) return false;
    return includesOne(allow, names) || isIn(allowNetworks) ? true : undefined;
  }
}

function setOf(words: readonly string[]): ReadonlySet<string> | undefined {
  return words.includes(ANY) ? undefined : new Set(words);
}

function includesOne(list: readonly string[], names: readonly string[]): boolean {
  return list.some((item) => item === ANY || (item === SOME ? names.length > 0 : names.includes(item)));
}

function isWanted(kind: PrincipalKind, kinds: readonly (PrincipalKind | typeof ANY)[]): boolean {
  return kinds.includes(ANY) || kinds.includes(kind);
}

/** Without the zone of a link-local one, which is this machine's word. */
function addressesOf({ principals }: Subject): string[] {
  return principals.filter(({ kind }) => kind === "address").map(({ name }) => name.replace(/%.*$/, ""));
}

function namesOf({ user, groups, principals }: Subject, kinds: readonly (PrincipalKind | typeof ANY)[]): string[] {
  const wanted = (kind: PrincipalKind): boolean => isWanted(kind, kinds);
  const names = principals.filter(({ kind }: Principal) => wanted(kind)).map(({ name }) => name);
  if (user !== undefined && wanted("user")) names.push(user);
  if (wanted("group")) names.push(...groups);
  return names;
}
