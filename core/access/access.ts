/** What a client may want to do, in Apollo's words. */
export type Action = "admin" | "monitor" | "config" | "connect" | "create" | "destroy" | "send" | "receive" | "consume";

/** What it wants to do it to. */
type ResourceKind = "broker" | "connector" | "virtual-host" | "topic" | "queue" | "exchange" | "dsub";

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

/** Decides who may do what. Asked once per session and address, never per message. */
export interface Access {
  allows(login: Login, action: Action, kind: ResourceKind, name: string): boolean;
}

/** The rule of a broker without rules. */
export const EVERYTHING_ALLOWED: Access = { allows: () => true };
