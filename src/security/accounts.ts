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
  /** Those too that may not log in. */
  private readonly names = new Set<string>();
  private readonly key: Buffer;
  private readonly checks: Checks<true>;
  private readonly nobody = unknowablePassword();

  /** `guest` can log in by SCRAM like a user, unless there is one of that name. */
  constructor(
    users: Readonly<Record<string, UserSettings>>,
    { clock, turns, key }: AccountParts,
    guest?: { readonly name: string; readonly password: string },
  ) {
    this.key = key;
    this.checks = new Checks(clock, turns);
    this.scram = new ScramUsers(guest);
    for (const [name, settings] of Object.entries(users)) this.put(name, settings);
  }

  /** Takes in a user, or another state of one; undefined for one that is no more. */
  put(name: string, settings: UserSettings | undefined): void {
    this.scram.put(name, settings);
    if (settings === undefined) this.names.delete(name);
    else this.names.add(name);
    if (settings?.enabled === true) this.users.set(name, this.accountOf(settings));
    else this.users.delete(name);
  }

  /** Whether there is a user of that name, who may log in or not. */
  has(name: string): boolean {
    return this.names.has(name);
  }

  find(name: string): Account | undefined {
    return this.users.get(name);
  }

  /** Whether somebody of that name has that password; see `Attempt.mayTry`. */
  async matches(name: string, password: string, mayTry?: () => void): Promise<boolean> {
    const account = this.users.get(name);
    const check = async (): Promise<true | undefined> => {
      mayTry?.();
      return this.verify(account, password);
    };
    // What was right for another password of the user is not remembered for this one.
    return (await this.checks.run(`${account?.mark ?? ""} ${name}`, password, check)) === true;
  }

  private async verify(account: Account | undefined, password: string): Promise<true | undefined> {
    // Whoever it is, one scrypt runs: the time a refusal takes does not tell which users there are.
    const matches = await verifyPassword(password, account?.hash ?? this.nobody);
    if (account?.mac === undefined) return matches || undefined;
    return timingSafeEqual(this.checks.mac("password", password), account.mac) || undefined;
  }

  private accountOf(settings: UserSettings): Account {
    const { password, password_hash: text, scram_sha_256: scram, groups } = settings;
    return {
      groups,
      mark: createHmac("sha256", this.key)
        .update(JSON.stringify([password, text, scram]))
        .digest("base64"),
      hash: text === undefined ? undefined : parsePasswordHash(text),
      mac: password === undefined ? undefined : this.checks.mac("password", password),
    };
  }
}
