import type { Action, Login } from "./access/access.ts";
import type { Peer } from "./protocol.ts";
import type { Clock } from "./time/clock.ts";

/** Something that was done, or tried, and by whom. */
export interface AuditEvent {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Undefined when nobody had logged in. */
  readonly user: string | undefined;
  /** Where it came from, `127.0.0.1:50312`; empty when the broker did it by itself. */
  readonly address: string;
  /** What was done, such as `login` or `queue.delete`. */
  readonly action: string;
  /** What it was done to: `default/queue/orders`. */
  readonly resource: string;
  /** Refused: there was no right to it. Failed: it could not be done. */
  readonly result: "ok" | "refused" | "failed";
  /** Why, in words. Never a secret, never a message. */
  readonly detail?: string;
}

/** Takes note of who did what. */
export interface AuditTrail {
  record(event: AuditEvent): void;
}

/** Takes note of nothing. */
export const NO_AUDIT: AuditTrail = { record: () => {} };

/** Who does something; without a peer if that is the broker, on somebody's behalf. */
interface Actor {
  readonly login: Login;
  readonly peer?: Pick<Peer, "remoteAddress" | "noted">;
}

/** Tells an audit trail what happens in one virtual host. */
export class HostAudit {
  private readonly trail: AuditTrail;
  private readonly clock: Clock;
  private readonly hostName: string;

  constructor(trail: AuditTrail, clock: Clock, hostName: string) {
    this.trail = trail;
    this.clock = clock;
    this.hostName = hostName;
  }

  /** Something was done to the destination of a kind and a name, such as `delete`. */
  done(actor: Actor, act: string, kind: string, name: string): void {
    this.record(actor, `${kind}.${act}`, `${this.hostName}/${kind}/${name}`, undefined);
  }

  /** There was no right to an action, for the reason given. */
  refused(actor: Actor, action: Action, kind: string, name: string, why: string): void {
    const resource = kind === "virtual-host" ? name : `${this.hostName}/${kind}/${name}`;
    this.record(actor, `${kind}.${action}`, resource, why);
  }

  private record({ login, peer }: Actor, action: string, resource: string, refusal: string | undefined): void {
    if (peer?.noted === true) return;
    this.trail.record({
      at: this.clock.now(),
      user: login.user,
      address: peer?.remoteAddress ?? "",
      action,
      resource,
      result: refusal === undefined ? "ok" : "refused",
      ...(refusal === undefined ? {} : { detail: refusal }),
    });
  }
}
