import {
  type Access,
  type Action,
  permissionsOf,
  reasonOf,
  type Subject,
  subjectOf,
} from "../../core/access/access.ts";
import type { Broker } from "../../core/broker.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Caller } from "./context.ts";

/**
 * What it takes to use a route: nothing, to be logged in (the route then goes by the rights of the caller), or an action on
 * the broker, or on the virtual host that the path of the route names.
 */
export type Right =
  | "none"
  | "login"
  | "monitor broker"
  | "admin broker"
  | "config broker"
  | "monitor host"
  | "admin host"
  | "config host";

/** A right as the access rules know it. */
interface Needed {
  readonly action: Action;
  readonly kind: "broker" | "virtual-host";
  readonly name: string;
}

/**
 * Throws BrokerError("not-authorized") with the right that is missing. `realm`: see `HostSettings.realm`, of that virtual
 * host. The rules of one with users of its own know those by their names, and nobody else who happens to be called so; and
 * such users are somebody in their own virtual host only.
 */
export function checkRight(
  access: Access,
  subject: Subject,
  right: Right,
  host: string | undefined,
  broker: string,
  realm?: string,
): void {
  const needed = neededFor(right, host, broker);
  if (needed === undefined) return;
  const { action, kind, name } = needed;
  if (subject.realm !== undefined && subject.realm !== realm) {
    const what = kind === "broker" ? `the broker ${name}` : `virtual host ${name}`;
    throw new BrokerError(
      "not-authorized",
      `User ${subject.user ?? "(none)"} of virtual host ${subject.realm} lacks the right "${action}" on ${what}`,
    );
  }
  const rulesOf = subject.realm === realm ? host : undefined;
  const decision = permissionsOf(access, subject, rulesOf ?? "").decide(action, kind, name);
  if (decision.allowed) return;
  const who = `User ${subject.user ?? "(none)"} lacks the right "${action}" on the ${kind} ${name}`;
  throw new BrokerError("not-authorized", `${who}: ${reasonOf(decision)}`);
}

/** The same of who makes a request, about the virtual host of a name. */
export function checkCaller(broker: Broker, { login, peer }: Caller, right: Right, host: string | undefined): void {
  const realm = broker.hosts.get(host ?? "")?.settings.realm;
  checkRight(broker.access, subjectOf(login, peer), right, host, broker.name, realm);
}

const NEEDED: Readonly<Record<Right, { readonly action: Action; readonly kind: Needed["kind"] } | undefined>> = {
  none: undefined,
  login: undefined,
  "monitor broker": { action: "monitor", kind: "broker" },
  "admin broker": { action: "admin", kind: "broker" },
  "config broker": { action: "config", kind: "broker" },
  "monitor host": { action: "monitor", kind: "virtual-host" },
  "admin host": { action: "admin", kind: "virtual-host" },
  "config host": { action: "config", kind: "virtual-host" },
};

function neededFor(right: Right, host: string | undefined, broker: string): Needed | undefined {
  const needed = NEEDED[right];
  if (needed === undefined) return undefined;
  return { ...needed, name: needed.kind === "broker" ? broker : (host ?? "") };
}
