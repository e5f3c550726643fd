/*
 * Who may do what.
 *
 *     Login + peer -> Subject -> Permissions (what it may do in one virtual host) -> Decision, with the rule that decided
 *                                     ^
 *                     AccessRules, or whoever else implements Access
 */
import type { Peer } from "../protocol.ts";

/** All that a client may want to do, in Apollo's words. */
export const ACTIONS = [
  "admin",
  "monitor",
  "config",
  "connect",
  "create",
  "destroy",
  "send",
  "receive",
  "consume",
] as const;

/** What a client may want to do. */
export type Action = (typeof ACTIONS)[number];

/** All kinds of things that it may want to do it to. */
export const RESOURCE_KINDS = ["broker", "connector", "virtual-host", "queue", "topic", "exchange", "dsub"] as const;

/** What it wants to do it to. */
export type ResourceKind = (typeof RESOURCE_KINDS)[number];

/** What is known of somebody besides a name and groups. */
export interface Principal {
  /** `certificate`: a distinguished name as RFC 4514 writes it. `address`: where they come from, without a port. */
  readonly kind: "certificate" | "address";
  readonly name: string;
}

/** Who it is: the result of a login. */
export interface Login {
  /** Undefined when nobody logged in and nobody had to, or when all that is known are principals. */
  readonly user: string | undefined;
  readonly groups: readonly string[];
  /** None if absent. */
  readonly principals?: readonly Principal[];
  /** Milliseconds since 1970 from which on it counts no more; for ever if absent. */
  readonly expiresAt?: number;
  /** The virtual host whose own security this login is of; that of the broker if absent. */
  readonly realm?: string;
}

/** Whoever wants to do something: a login with all that rules may ask about besides. */
export interface Subject extends Login {
  /** Where the connection comes from and the certificate it has shown are among them. */
  readonly principals: readonly Principal[];
  /** The name of the listener; undefined for the broker itself. */
  readonly listener: string | undefined;
  readonly clientId: string | undefined;
}

/** Who somebody is that has logged in over a connection. */
export function subjectOf(login: Login, peer: Peer | undefined, clientId?: string): Subject {
  const principals = [...(login.principals ?? [])];
  const add = (kind: Principal["kind"], name: string | undefined): void => {
    if (name === undefined || principals.some((other) => other.kind === kind && other.name === name)) return;
    principals.push({ kind, name });
  };
  add("address", peer === undefined ? undefined : addressOf(peer.remoteAddress));
  add("certificate", peer?.certificate?.subject);
  return { ...login, principals, listener: peer?.listener, clientId };
}

/** An address without its port: `10.0.0.7`, `::1`. One of IPv4 is that, though a socket of IPv6 says it as mapped. */
function addressOf(remote: string): string {
  const bracketed = /^\[(.*)\](?::\d+)?$/.exec(remote)?.[1];
  const address = bracketed ?? remote.replace(/:\d+$/, "");
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/** What came of a question. */
export interface Decision {
  readonly allowed: boolean;
  /** What decided, such as `access_rules[2]`; undefined when that was no rule. */
  readonly rule: string | undefined;
  /** Of a wildcard that is allowed: the first rule that takes out something of what it matches, if any does. */
  readonly except: string | undefined;
}

/** What one subject may do in one virtual host. Asked once per session and address, never per message. */
export interface Permissions {
  readonly subject: Subject;
  /** Another number whenever what was allowed may not be so any more, or the other way round. */
  readonly version: number;
  /** `name` is canonical text of an address or a pattern, or a name as it is for what has no levels. */
  decide(action: Action, kind: ResourceKind, name: string): Decision;
  /** Whether it is certain, without a look at any of them, that it may receive from every topic. */
  readonly receivesAll: boolean;
  /** Somebody else from now on: the same client with another login. */
  become(subject: Subject): void;
}

/** Decides who may do what. */
export interface Access {
  /** `host` is where queues, topics, exchanges and durable subscriptions are. */
  allows(login: Login, action: Action, kind: ResourceKind, name: string, host?: string): boolean;
  /** What a subject may do in a virtual host; if absent, what `allows` says of each thing. */
  permissions?(subject: Subject, host: string): Permissions;
}

/** Who wants to do something in a virtual host. */
export interface Actor {
  readonly login: Login;
  readonly permissions: Permissions;
  /** Absent when the broker does it, on somebody's behalf. */
  readonly peer?: Pick<Peer, "remoteAddress" | "noted">;
}

/** Whether a subject may receive from a topic that a wildcard of its matches. */
export function mayReceive(permissions: Permissions | undefined, { name }: { readonly name: string }): boolean {
  return permissions === undefined || permissions.receivesAll || permissions.decide("receive", "topic", name).allowed;
}

/** What a subject may do in a virtual host. */
export function permissionsOf(access: Access, subject: Subject, host: string): Permissions {
  return access.permissions?.(subject, host) ?? new AskedPermissions(access, subject, host);
}

/** Asks each time. */
class AskedPermissions implements Permissions {
  subject: Subject;
  version = 0;
  readonly receivesAll = false;
  private readonly access: Access;
  private readonly host: string;

  constructor(access: Access, subject: Subject, host: string) {
    this.access = access;
    this.subject = subject;
    this.host = host;
  }

  decide(action: Action, kind: ResourceKind, name: string): Decision {
    const allowed = this.access.allows(this.subject, action, kind, name, this.host);
    return { allowed, rule: undefined, except: undefined };
  }

  become(subject: Subject): void {
    this.subject = subject;
    this.version++;
  }
}

/** Names of the principals in a refusal; of many only some. */
const MOST_NAMED = 8;

/** A decision in one sentence: who may do what, or may not, and by which rule. */
export function explainDecision(
  subject: Login,
  action: Action,
  { kind, name }: { readonly kind: ResourceKind; readonly name: string },
  decision: Decision,
): string {
  const { allowed, rule, except } = decision;
  const what = kind === "virtual-host" ? `virtual host ${name}` : `the ${kind} ${name}`;
  const verb = action === "connect" ? "connect to" : action;
  const who = `User ${subject.user ?? "(none)"} may ${allowed ? "" : "not "}${verb} ${what}`;
  if (!allowed) return `${who}: ${reasonOf(decision)}${known(subject)}`;
  if (rule === undefined) return who;
  return `${who}: ${rule} allows it${except === undefined ? "" : `, but for what ${except} denies`}`;
}

/** Why something was refused. */
export function reasonOf({ rule }: Decision): string {
  return rule === undefined ? "no access rule allows it" : `${rule} denies it`;
}

/** What rules may know somebody by, besides the name. */
function known({ groups, principals = [] }: Login): string {
  const names = [...groups.map((group) => `group ${group}`), ...principals.map(({ kind, name }) => `${kind} ${name}`)];
  if (names.length === 0) return "";
  const more = names.length > MOST_NAMED ? `, and ${names.length - MOST_NAMED} more` : "";
  return ` (${names.slice(0, MOST_NAMED).join(", ")}${more})`;
}
