import { createHmac, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../core/time/clock.ts";
import type { UserSettings } from "../config/security-schema.ts";
import { Checks } from "./checks.ts";
import { parseRabbitHash, isOfRabbitHash, type RabbitHash } from "./rabbitmq-hash.ts";
import { deriveScramKeys, formatScramKeys } from "./scram.ts";
import { hashPassword, type PasswordHash, parsePasswordHash, unknowablePassword, verifyPassword } from "./password.ts";
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
  /** In place of `hash`, until the user logs in. */
  readonly rabbitHash: RabbitHash | undefined;
  readonly settings: UserSettings;
}

/** What the password of a user is kept as. */
export type Secrets = Pick<UserSettings, "password_hash" | "scram_sha_256">;

/** All that is to be kept of a password. Runs on the thread pool. */
export async function secretsOf(password: string): Promise<Secrets> {
  const [hash, keys] = await Promise.all([hashPassword(password), deriveScramKeys(password)]);
  return { password_hash: hash, scram_sha_256: formatScramKeys(keys) };
}

/** What accounts need for their checks. */
export interface AccountParts {
  readonly clock: Clock;
  readonly turns: Turnstile;
  /** Makes marks, the same ones as long as the process lives. */
  readonly key: Buffer;
  /** Marks of hashes that took the place of others of the same passwords. */
  readonly marks: Map<string, string>;
  /** Told of a user whose password is kept better from now on, and which hash it was kept as before. */
  readonly strengthened: (name: string, before: string, user: UserSettings) => void;
}

/** The users of one place in one state of it, and what is remembered of them, which must not outlive that. */
export class Accounts {
  readonly scram: ScramUsers;
  private readonly users = new Map<string, Account>();
  /** Those too that may not log in. */
  private readonly names = new Set<string>();
  private readonly parts: AccountParts;
  private readonly checks: Checks<true>;
  private readonly nobody = unknowablePassword();

  /** `guest` can log in by SCRAM like a user, unless there is one of that name. */
  constructor(
    users: Readonly<Record<string, UserSettings>>,
    parts: AccountParts,
    guest?: { readonly name: string; readonly password: string },
  ) {
    this.parts = parts;
    this.checks = new Checks(parts.clock, parts.turns);
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
      return this.verify(name, account, password);
    };
    // What was right for another password of the user is not remembered for this one.
    return (await this.checks.run(`${account?.mark ?? ""} ${name}`, password, check)) === true;
  }

  private async verify(name: string, account: Account | undefined, password: string): Promise<true | undefined> {
    // Whoever it is, one scrypt runs: the time a refusal takes does not tell which users there are.
    const matches = await verifyPassword(password, account?.hash ?? this.nobody);
    if (account?.rabbitHash !== undefined) {
      if (!isOfRabbitHash(password, account.rabbitHash)) return undefined;
      await this.strengthen(name, account, password);
      return true;
    }
    if (account?.mac === undefined) return matches || undefined;
    return timingSafeEqual(this.checks.mac("password", password), account.mac) || undefined;
  }

  /** Keeps a password as new ones are kept. It is still the same: who is logged in by it stays. */
  private async strengthen(name: string, account: Account, password: string): Promise<void> {
    const { settings, mark } = account;
    const secrets = await secretsOf(password);
    if (this.users.get(name) !== account) return;
    const { marks, strengthened } = this.parts;
    marks.set(secrets.password_hash ?? "", mark);
    const user = { ...settings, ...secrets };
    this.put(name, user);
    strengthened(name, settings.password_hash ?? "", user);
  }

  private markOf({ password, password_hash: text, scram_sha_256: scram }: UserSettings): string {
    const { marks, key } = this.parts;
    const known = marks.get(text ?? "");
    if (known !== undefined) return known;
    return createHmac("sha256", key)
      .update(JSON.stringify([password, text, scram]))
      .digest("base64");
  }

  private accountOf(settings: UserSettings): Account {
    const { password, password_hash: text, groups } = settings;
    return {
      groups,
      settings,
      mark: this.markOf(settings),
      rabbitHash: text === undefined ? undefined : parseRabbitHash(text),
      hash: text === undefined ? undefined : parsePasswordHash(text),
      mac: password === undefined ? undefined : this.checks.mac("password", password),
    };
  }
}
