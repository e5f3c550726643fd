import type { Principal } from "../../core/access/access.ts";
import type { Peer } from "../../core/protocol.ts";

/** What somebody shows to log in. */
export interface Attempt {
  /** Empty for none, as is the password. */
  readonly user: string;
  readonly password: string;
  readonly peer: Peer;
  /** What was found out before: then no module asks for a secret, and lets in only by what it found out itself. */
  readonly evidence: readonly Evidence[] | undefined;
  /** To be called when the turn of a secret has come, before it is looked at. Throws BrokerError("throttled"). */
  readonly mayTry?: () => void;
}

/** What a module found out about somebody by a secret, without the secret. */
export interface Evidence {
  /** Which module it was, with all that makes it another one. */
  readonly source: string;
  /** What must not have changed for it to count. */
  readonly mark: string;
  readonly grant: Grant;
}

/** What a module vouches for. */
export interface Grant {
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly principals?: readonly Principal[];
  /** Milliseconds since 1970. */
  readonly expiresAt?: number;
  /** It counts only when nobody else has said who it is. */
  readonly fallback?: boolean;
}

/** What a module says of an attempt, in the words of JAAS: login() is true, is false, or throws. */
export type Verdict =
  | { readonly kind: "accepted"; readonly grant: Grant; readonly evidence?: Evidence | undefined }
  /** It neither lets in nor refuses. */
  | { readonly kind: "passed"; readonly principals?: readonly Principal[] }
  /**
   * `aside`: there was nothing that this module could look at, so others may have more to say. `trouble`: it could not
   * find out, for a reason that is for the log. `guess`: what was shown may have been one.
   */
  | {
      readonly kind: "refused";
      readonly text: string;
      readonly aside?: boolean;
      readonly trouble?: string;
      readonly guess?: boolean;
    };

/** All that the modules together know of somebody. */
export interface Subject {
  user: string | undefined;
  readonly groups: Set<string>;
  readonly principals: Principal[];
  expiresAt: number | undefined;
  readonly evidence: Evidence[];
}

/** One way to find out who somebody is. */
export interface LoginModule {
  /** Throws BrokerError("throttled") when it has no time. */
  check(attempt: Attempt): Verdict | Promise<Verdict>;
  /** Adds what it knows of somebody who is let in; asked unless it refused them. */
  complete?(subject: Subject): void;
}

/** What all modules say of a wrong name or password, so that nobody learns which of the two it was. */
export const WRONG_PASSWORD = "The user name or the password is not accepted";

/** There was nothing to look at. */
export function aside(text: string): Verdict {
  return { kind: "refused", text, aside: true };
}

/** There was, and it is not accepted. */
export function refused(text: string): Verdict {
  return { kind: "refused", text };
}

/** The password is not one of a user of that name. */
export function wrongPassword(): Verdict {
  return { kind: "refused", text: WRONG_PASSWORD, guess: true };
}

/** What a module found out of an attempt before, if that still counts. */
export function evidenceOf({ evidence }: Attempt, source: string): Evidence | undefined {
  return evidence?.find((one) => one.source === source);
}

/** It cannot be found out at present, for a reason that is not for whoever wants to log in. */
export function unknown(trouble: unknown): Verdict {
  const text = "It cannot be found out at present who this is; try again in a moment";
  return { kind: "refused", text, trouble: trouble instanceof Error ? trouble.message : String(trouble) };
}
