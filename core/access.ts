/** What a client may want to do, in Apollo's words. */
export type Action = "admin" | "monitor" | "config" | "connect" | "create" | "destroy" | "send" | "receive" | "consume";

/** What it wants to do it to. */
type ResourceKind = "broker" | "connector" | "virtual-host" | "topic" | "queue" | "exchange" | "dsub";

/** Who it is: the result of a login. */
export interface Login {
  /** Undefined when nobody logged in and nobody had to. */
  readonly user: string | undefined;
  readonly groups: readonly string[];
}

/** Decides who may do what. Asked once per session and address, never per message. */
export interface Access {
  allows(login: Login, action: Action, kind: ResourceKind, name: string): boolean;
}

/** The rule of a broker without rules. */
export const EVERYTHING_ALLOWED: Access = { allows: () => true };
