import {
  type Access,
  type Action,
  type Actor,
  explainDecision,
  type Permissions,
  permissionsOf,
  type ResourceKind,
  type Subject,
} from "./access.ts";
import type { HostAudit } from "../audit.ts";
import { BrokerError } from "../errors.ts";

/** Whoever may do one of these may know that something is there, and how much it holds. */
const OF_MESSAGES: readonly Action[] = ["consume", "send", "receive", "create", "destroy"];

/** Asks for one virtual host whether somebody may do something, and has every refusal taken note of. */
export class Guard {
  private readonly access: Access;
  private readonly audit: HostAudit;
  private readonly hostName: string;
  private readonly realm: string | undefined;

  /** `realm`: see `Login.realm`. */
  constructor(access: Access, audit: HostAudit, host: { readonly name: string; readonly realm?: string | undefined }) {
    this.access = access;
    this.audit = audit;
    this.hostName = host.name;
    this.realm = host.realm;
  }

  /** What somebody may do. */
  permissions(subject: Subject): Permissions {
    return permissionsOf(this.access, subject, this.hostName);
  }

  /**
   * Throws BrokerError("not-authorized") when somebody may not do that to the thing of a kind and a name, or not to all that
   * a wildcard matches. `whole`: nothing that it matches may be denied, either.
   */
  check(actor: Actor, action: Action, kind: ResourceKind, name: string, whole = false): void {
    const { permissions } = actor;
    const decision = permissions.decide(action, kind, name);
    const { allowed, except } = decision;
    if (allowed && !(whole && except !== undefined)) return;
    const shown = explainDecision(permissions.subject, action, { kind, name }, decision);
    this.refuse(
      actor,
      action,
      kind,
      name,
      allowed ? `${shown}; nothing can be left out of what is shared, bound or led on` : shown,
    );
  }

  /** Throws BrokerError("not-authorized") when somebody may do nothing at all with a queue or an exchange. */
  checkSight(actor: Actor, kind: "queue" | "exchange", name: string): void {
    const { permissions } = actor;
    if (!OF_MESSAGES.some((action) => permissions.decide(action, kind, name).allowed)) {
      this.check(actor, "receive", kind, name);
    }
  }

  /** Throws BrokerError("not-authorized") when somebody may not be connected. */
  checkConnecting(actor: Actor): void {
    this.checkRealm(actor);
    const { listener } = actor.permissions.subject;
    if (listener !== undefined) this.check(actor, "connect", "connector", listener);
    this.check(actor, "connect", "virtual-host", this.hostName);
  }

  /** A login counts only where those are known who vouched for it. */
  private checkRealm(actor: Actor): void {
    const { realm } = actor.login;
    if (realm === this.realm) return;
    const why =
      `The login is one of ${ofWhom(realm)}, and virtual host ${this.hostName} takes those of ${ofWhom(this.realm)} ` +
      "(hosts.NAME.security); name the virtual host when you log in";
    this.refuse(actor, "connect", "virtual-host", this.hostName, why);
  }

  private refuse(actor: Actor, action: Action, kind: ResourceKind, name: string, why: string): never {
    this.audit.refused(actor, action, kind, name, why);
    throw new BrokerError("not-authorized", why);
  }
}

function ofWhom(name: string | undefined): string {
  return name === undefined ? "the broker" : `virtual host ${name}`;
}
