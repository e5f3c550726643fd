/*
 * Who may give what to whom: nobody gives, by a user, a group or a key, a right that he has not himself, and nobody changes an
 * account that has such a right. Whoever has `config` on the broker decides about the rules, and gives what he likes.
 *
 *     rules that say something of the account -> each that allows it something -> does the giver have all of that?
 *
 * A placeholder gives everybody the same right in a place of his own: who has it in his gives it to others in theirs. Where it
 * is not certain that the giver has it (expressions, several rules that only together come to it), he has not.
 */
import {
  type Action,
  ACTIONS,
  permissionsOf,
  RESOURCE_KINDS,
  type ResourceKind,
  type Subject,
  subjectOf,
} from "../../core/access/access.ts";
import type { AccessRule } from "../../core/access/rule.ts";
import { AccessRules } from "../../core/access/rules.ts";
import type { PatternLevel } from "../../core/addresses/pattern.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Caller, ManagementContext } from "./context.ts";

/** What somebody who logs in by an account is. */
export interface Grantee {
  readonly name: string;
  readonly groups: readonly string[];
}

type Verdict = ReturnType<AccessRules["verdictsOn"]>[number];

/** What a rule says of the giver; `names` are those in the place of the taker, whatever a placeholder is. */
interface GivenVerdict extends Verdict {
  readonly ownNames: Verdict["names"];
}

/** A listener that no rule is about. */
const OTHER_LISTENER = "\0";
const ANY_CLIENT = "client";
const OF_BROKER: readonly ResourceKind[] = ["broker", "connector"];
const BY_LEVELS: readonly ResourceKind[] = ["queue", "topic"];

/** Throws BrokerError("not-authorized") unless somebody may make, change or remove an account like this one. */
export function checkGrant({ broker }: ManagementContext, { login, peer }: Caller, { name, groups }: Grantee): void {
  const { access } = broker;
  const giver = { ...subjectOf(login, peer), clientId: ANY_CLIENT };
  if (permissionsOf(access, giver, "").decide("config", "broker", broker.name).allowed) return;
  const taker: Subject = { user: name, groups, principals: [], listener: undefined, clientId: ANY_CLIENT };
  const missing = access instanceof AccessRules ? missingRight(access, giver, taker) : "every right";
  if (missing === undefined) return;
  throw new BrokerError(
    "not-authorized",
    `User ${giver.user ?? "(none)"} has no say in what ${name} may do, who has ${missing}: nobody gives a right that is not ` +
      "wholly his own, unless he may configure the broker (access_rules: action config, kind broker)",
  );
}

/** In words, what rules let a taker do and maybe not a giver; undefined when it is certain that there is no such thing. */
export function missingRight(access: AccessRules, giver: Subject, taker: Subject): string | undefined {
  return new Comparison(access, giver, taker).missing();
}

/** What one subject has before another one. */
class Comparison {
  private readonly access: AccessRules;
  private readonly giver: Subject;
  private readonly taker: Subject;
  private readonly rules: ReadonlyMap<string, AccessRule>;

  constructor(access: AccessRules, giver: Subject, taker: Subject) {
    this.access = access;
    this.giver = giver;
    this.taker = taker;
    const { broker, hosts } = access.rules;
    this.rules = new Map([...broker, ...[...hosts.values()].flat()].map((rule) => [rule.origin, rule]));
  }

  missing(): string | undefined {
    if (this.access.empty) return undefined;
    const connectors = [...this.rules.values()].flatMap(({ connector }) => connector ?? []);
    for (const listener of new Set([OTHER_LISTENER, this.giver.listener, ...connectors])) {
      for (const host of ["", ...this.access.rules.hosts.keys()]) {
        const found = this.missingAt(listener, host);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  private missingAt(listener: string | undefined, host: string): string | undefined {
    const taken = this.access.verdictsOn({ ...this.taker, listener }, host);
    const given = this.access
      .verdictsOn({ ...this.giver, listener }, host)
      .map((verdict) => ({ ...verdict, names: verdict.rule.names?.of(this.taker), ownNames: verdict.names }));
    for (const action of ACTIONS) {
      for (const kind of RESOURCE_KINDS) {
        const found = this.missingOf(action, kind, taken, given);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  private missingOf(
    action: Action,
    kind: ResourceKind,
    taken: readonly Verdict[],
    given: readonly GivenVerdict[],
  ): string | undefined {
    const isAbout = ({ rule, ofBroker }: Verdict): boolean =>
      (ofBroker || !OF_BROKER.includes(kind)) && rule.isAbout(action, kind);
    const mine = given.filter(isAbout);
    const denied: Verdict[] = [];
    for (const verdict of taken.filter(isAbout)) {
      if (!verdict.allowed) denied.push(verdict);
      else if (!this.isGiven(verdict, kind, mine, denied)) return `${action} on ${kind} by ${verdict.rule.origin}`;
      if (verdict.rule.names === undefined) break;
    }
    return undefined;
  }

  /** Whether all that a rule allows the taker, but for what earlier ones deny him, is allowed to the giver. */
  private isGiven(
    wanted: Verdict,
    kind: ResourceKind,
    mine: readonly GivenVerdict[],
    denied: readonly Verdict[],
  ): boolean {
    for (const verdict of mine) {
      if (verdict.allowed && (verdict.rule === wanted.rule || this.covers(verdict, wanted, kind))) return true;
      if (!verdict.allowed && this.takes(verdict, wanted, kind, denied)) return false;
    }
    return false;
  }

  /** Whether a rule may deny the giver something of it that the taker is not denied. */
  private takes(
    verdict: GivenVerdict,
    wanted: Verdict,
    kind: ResourceKind,
    denied: readonly Pick<Verdict, "rule">[],
  ): boolean {
    const { rule, ownNames } = verdict;
    const ofUser = this.rules.get(rule.origin)?.id?.includes("%u") === true;
    if (ofUser && this.mayMeet({ ...verdict, names: ownNames }, wanted, kind)) return true;
    return !denied.some((other) => other.rule === rule) && this.mayMeet(verdict, wanted, kind);
  }

  private covers({ names, rule }: Verdict, wanted: Verdict, kind: ResourceKind): boolean {
    if (rule.names === undefined) return true;
    const about = this.namesOf(wanted, kind);
    if (names === undefined || about === undefined) return false;
    return typeof about === "string" ? names.matches(about, undefined) : names.covers(about);
  }

  private mayMeet({ names, rule }: Verdict, wanted: Verdict, kind: ResourceKind): boolean {
    const about = this.namesOf(wanted, kind);
    if (rule.names === undefined || about === undefined) return true;
    if (names === undefined) return false;
    return typeof about === "string" ? names.matches(about, undefined) : names.meets(about);
  }

  /** What a rule is about, for others to compare with; undefined where nobody can tell. */
  private namesOf({ rule }: Verdict, kind: ResourceKind): string | readonly PatternLevel[] | undefined {
    const id = this.rules.get(rule.origin)?.id;
    if (id === undefined || id.includes("%")) return undefined;
    const { levels, address } = canonical.parsePattern("queue", id);
    if (BY_LEVELS.includes(kind)) return levels;
    return address === undefined ? undefined : id;
  }
}
