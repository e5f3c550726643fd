import type { GuestSettings } from "../config/security-schema.ts";
import { isLoopback } from "./addresses.ts";
import { type Attempt, aside, evidenceOf, type LoginModule, refused, type Verdict } from "./attempt.ts";

/** Who guests are. */
export interface GuestOptions extends GuestSettings {
  /** The setting that lets guests in from elsewhere, for error texts. */
  readonly key: string;
  /** What a guest may say; if absent, only who says nothing at all is one. */
  readonly claims?: (user: string, password: string) => boolean;
}

const SOURCE = "guest";

/** Whoever shows nothing. */
export class GuestModule implements LoginModule {
  private readonly options: GuestOptions;

  constructor(options: GuestOptions) {
    this.options = options;
  }

  check(attempt: Attempt): Verdict {
    const { user, password, evidence, peer } = attempt;
    const { claims, loopback_only: loopbackOnly, key } = this.options;
    if (evidence !== undefined) {
      if (evidenceOf(attempt, SOURCE) === undefined) return aside("This is no guest");
    } else if ((user !== "" || password !== "") && claims?.(user, password) !== true) {
      return aside("Somebody who names a user or has a password is no guest");
    }
    if (loopbackOnly && !isLoopback(peer.remoteAddress)) {
      return refused(
        `Guests are let in from the broker's own machine only: log in as a user, or set ${key}.loopback_only to false`,
      );
    }
    return this.vouch();
  }

  /** Somebody has proven in another way to be the guest. */
  vouch(): Verdict {
    const { user, groups } = this.options;
    const grant = { user, groups, fallback: true };
    return { kind: "accepted", grant, evidence: { source: SOURCE, mark: "", grant } };
  }
}

/** Where guests are not let in, tells those so who come like one. */
export class NoGuestModule implements LoginModule {
  private readonly key: string;

  constructor(key: string) {
    this.key = key;
  }

  check({ user, password, evidence }: Attempt): Verdict {
    if (user !== "" || password !== "" || evidence !== undefined) return aside("There are no guests");
    return refused(`No user name and password were given, and guests are not let in (${this.key}.enabled is false)`);
  }
}
