/*
 * Access rules as in Apollo. They are asked in their order, those of the virtual host before those of the broker, and the
 * first one that is about the action and the thing and says something of the subject decides: denied or allowed. If none
 * decides it is refused; if there are no rules at all, everything is allowed.
 *
 *     rule 1: deny  guests          send  topic   secret.**       of each subject the rules that say something of it
 *     rule 2: allow users, staff    *     *       *               are picked once; names are compared with what is left,
 *     rule 3: allow *               receive topic public.**       and answers are kept
 *
 * A wildcard is allowed by the first rule that is about all of it. What earlier rules deny in it stays denied, name by name:
 * `Decision.except` tells that there are such.
 */
import { type Address, isAddressKind } from "../addresses/address.ts";
import { canonical } from "../addresses/spelling.ts";
import type { PatternLevel } from "../addresses/pattern.ts";
import type { Access, Action, Decision, Login, Permissions, ResourceKind, Subject } from "./access.ts";
import { LONGEST_NAME, type NameTest } from "./resource-names.ts";
import { type AccessRuleSet, CompiledRule } from "./rule.ts";

/** Decisions that are kept of one subject, and the characters of the names in them: clients choose those. */
const MOST_KEPT = 1024;
const MOST_KEPT_CHARACTERS = 64 * 1024;

const NO_RULES: Decision = { allowed: true, rule: undefined, except: undefined };
const NO_MATCH: Decision = { allowed: false, rule: undefined, except: undefined };

/** Kinds that are no part of any virtual host: only the rules of the broker are about them. */
const OF_BROKER: readonly ResourceKind[] = ["broker", "connector"];

/** The rules of a broker and its virtual hosts; they may be replaced while it runs. */
export class AccessRules implements Access {
  private set: AccessRuleSet = { broker: [], hosts: new Map() };
  private brokerRules: readonly CompiledRule[] = [];
  private hostRules = new Map<string, readonly CompiledRule[]>();
  private replacements = 0;
  private none = true;

  /** Throws BrokerError("bad-address") for a name that cannot be read. */
  constructor(rules?: AccessRuleSet) {
    if (rules !== undefined) this.replace(rules);
  }

  /** What it decides by. */
  get rules(): AccessRuleSet {
    return this.set;
  }

  /** How often they were replaced. */
  get version(): number {
    return this.replacements;
  }

  /** Whether there are none, and everything is allowed. */
  get empty(): boolean {
    return this.none;
  }

  /**
   * Decides by other rules from now on; `Broker.reviewAccess` then closes what is not allowed any more. Throws
   * BrokerError("bad-address") for a name that cannot be read: then nothing has changed.
   */
  replace(rules: AccessRuleSet): void {
    const brokerRules = rules.broker.map((rule) => new CompiledRule(rule));
    const hosts = Array.from(
      rules.hosts,
      ([host, list]) => [host, list.map((rule) => new CompiledRule(rule))] as const,
    );
    this.set = rules;
    this.brokerRules = brokerRules;
    this.hostRules = new Map(hosts);
    this.none = brokerRules.length === 0 && hosts.every(([, list]) => list.length === 0);
    this.replacements++;
  }

  allows(login: Login, action: Action, kind: ResourceKind, name: string, host?: string): boolean {
    const subject: Subject = { principals: [], listener: undefined, clientId: undefined, ...login };
    return this.permissions(subject, host ?? (kind === "virtual-host" ? name : "")).decide(action, kind, name).allowed;
  }

  permissions(subject: Subject, host: string): Permissions {
    return new RulePermissions(this, subject, host);
  }

  /** Those that say something of a subject, in their order, and where they are from. */
  verdictsOn(subject: Subject, host: string): Verdict[] {
    const verdicts: Verdict[] = [];
    for (const [rules, ofBroker] of [
      [this.hostRules.get(host) ?? [], false],
      [this.brokerRules, true],
    ] as const) {
      for (const rule of rules) {
        const allowed = rule.verdictOn(subject);
        const names = rule.names?.of(subject);
        if (allowed === undefined || (rule.names !== undefined && names === undefined)) continue;
        verdicts.push({ rule, allowed, names, ofBroker });
      }
    }
    return verdicts;
  }
}

/** What a rule says of a subject. */
interface Verdict {
  readonly rule: CompiledRule;
  readonly allowed: boolean;
  /** Undefined for all names. */
  readonly names: NameTest | undefined;
  readonly ofBroker: boolean;
}

/** What rules let one subject do in one virtual host. */
class RulePermissions implements Permissions {
  subject: Subject;
  private readonly rules: AccessRules;
  private readonly host: string;
  private verdicts: readonly Verdict[] = [];
  private readonly decisions = new Map<string, Decision>();
  /** Of their keys. */
  private characters = 0;
  private all = false;
  private changes = 0;
  /** The version of the rules that all of this is of. */
  private seen = -1;

  constructor(rules: AccessRules, subject: Subject, host: string) {
    this.rules = rules;
    this.subject = subject;
    this.host = host;
  }

  get version(): number {
    return this.rules.version + this.changes;
  }

  get receivesAll(): boolean {
    this.renew();
    return this.all;
  }

  become(subject: Subject): void {
    this.subject = subject;
    this.changes++;
    this.seen = -1;
  }

  decide(action: Action, kind: ResourceKind, name: string): Decision {
    if (this.rules.empty) return NO_RULES;
    this.renew();
    const key = `${action} ${kind} ${name}`;
    let decision = this.decisions.get(key);
    if (decision === undefined) {
      decision = name.length > LONGEST_NAME ? NO_MATCH : this.find(action, kind, name);
      this.keep(key, decision);
    }
    return decision;
  }

  private keep(key: string, decision: Decision): void {
    this.characters += key.length;
    if (this.decisions.size >= MOST_KEPT || this.characters > MOST_KEPT_CHARACTERS) {
      this.decisions.clear();
      this.characters = key.length;
    }
    this.decisions.set(key, decision);
  }

  private renew(): void {
    if (this.seen === this.rules.version) return;
    this.seen = this.rules.version;
    this.decisions.clear();
    this.characters = 0;
    this.verdicts = this.rules.verdictsOn(this.subject, this.host);
    const first = this.verdicts.find(({ rule }) => rule.isAbout("receive", "topic"));
    this.all = this.rules.empty || (first?.allowed === true && first.names === undefined);
  }

  private find(action: Action, kind: ResourceKind, name: string): Decision {
    const pattern = isAddressKind(kind) && kind !== "exchange" ? canonical.parsePattern(kind, name) : undefined;
    if (pattern !== undefined && pattern.address === undefined) return this.findForAll(action, kind, pattern.levels);
    return this.findForOne(action, kind, name, pattern?.address);
  }

  private findForOne(action: Action, kind: ResourceKind, name: string, address: Address | undefined): Decision {
    for (const { rule, allowed, names } of this.about(action, kind)) {
      if (names?.matches(name, address?.levels) === false) continue;
      return { allowed, rule: rule.origin, except: undefined };
    }
    return NO_MATCH;
  }

  private findForAll(action: Action, kind: ResourceKind, levels: readonly PatternLevel[]): Decision {
    let except: string | undefined = undefined;
    for (const { rule, allowed, names } of this.about(action, kind)) {
      if (names === undefined || names.covers(levels)) {
        return { allowed, rule: rule.origin, except: allowed ? except : undefined };
      }
      if (!allowed && names.meets(levels)) except ??= rule.origin;
    }
    return NO_MATCH;
  }

  private about(action: Action, kind: ResourceKind): Verdict[] {
    const ofBroker = OF_BROKER.includes(kind);
    return this.verdicts.filter((verdict) => (verdict.ofBroker || !ofBroker) && verdict.rule.isAbout(action, kind));
  }
}
