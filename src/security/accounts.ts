import { createHmac, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../core/time/clock.ts";
import type { UserSettings } from "../config/security-schema.ts";
import { Checks } from "./checks.ts";
import { type PasswordHash, parsePasswordHash, unknowablePassword, verifyPassword } from "./password.ts";
import { ScramUsers } from "./scram-users.ts";
import type { Turnstile } from "./turnstile.ts";

/** A user who may log in by a password. */
export interface Account {
  readonly groups: readonly string[];
  /** Another one when the password is. */
  readonly mark: string;
  readonly hash: PasswordHash | undefined;
  /** An HMAC of the password, where the password itself is known. */
  readonly mac: Buffer | undefined;
}

/** What accounts need for their checks. */
export interface AccountParts {
  readonly clock: Clock;
  readonly turns: Turnstile;
  /** Makes marks, the same ones as long as the process lives. */
  readonly key: Buffer;
}

/** The users of one place in one state of it, and what is remembered of them, which must not outlive that. */
export class Accounts {
  readonly scram: ScramUsers;
  private readonly users = new Map<string, Account>();
  private readonly checks: Checks<true>;
  private readonly nobody = unknowablePassword();

  /** `guest` can log in by SCRAM like a user, unless there is one of that name. */
  constructor(
    users: Readonly<Record<string, UserSettings>>,
    { clock, turns, key }: AccountParts,
    guest?: { readonly name: string; readonly password: string },
  ) {
    this.checks = new Checks(clock, turns);
    for (const [name, settings] of Object.entries(users)) {
      if (settings.enabled) this.users.set(name, this.accountOf(settings, key));
    }
    this.scram = new ScramUsers(users, guest);
  }

  find(name: string): Account | undefined {
    return this.users.get(name);
  }

  /** Whether somebody of that name has that password; see `Attempt.mayTry`. */
  async matches(name: string, password: string, mayTry?: () => void): Promise<boolean> {
    const check = async (): Promise<true | undefined> => {
      mayTry?.();
      return this.verify(name, password);
    };
    return (await this.checks.run(name, password, check)) === true;
  }

  private async verify(name: string, password: string): Promise<true | undefined> {
    const account = this.users.get(name);
    // Whoever it is, one scrypt runs: the time a refusal takes does not tell which users there are.
    const matches = await verifyPassword(password, account?.hash ?? this.nobody);
    if (account?.mac === undefined) return matches || undefined;
    return timingSafeEqual(this.checks.mac("password", password), account.mac) || undefined;
  }

  private accountOf(settings: UserSettings, key: Buffer): Account {
    const { password, password_hash: text, scram_sha_256: scram, groups } = settings;
    return {
      groups,
      mark: createHmac("sha256", key)
        .update(JSON.stringify([password, text, scram]))
        .digest("base64"),
      hash: text === undefined ? undefined : parsePasswordHash(text),
      mac: password === undefined ? undefined : this.checks.mac("password", password),
    };
  }
}
