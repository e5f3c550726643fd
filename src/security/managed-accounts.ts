/*
 * Users and keys that are managed while the broker runs. They are records in its store, so that they are as safe as messages
 * are, go with a copy of the store, and need no file that the broker may write.
 *
 *     configuration (files, environment)   what is named there is changed there, and stays as it is
 *        over  records of the store        what is named here only
 *
 * So whoever can edit the configuration always gets in, whatever was done over HTTP.
 */
import type { Store } from "../../core/store.ts";
import type { Config } from "../config/schema.ts";
import type { UserSettings } from "../config/security-schema.ts";

/** A key of programs, as the configuration has it. */
export type KeySettings = Config["management"]["api_keys"][string];

/** What is managed here. */
export type AccountKind = "user" | "key";

/** The store's kind of these records; their keys are the kind of the account, NUL and its name. */
const KIND = "account";

/** The accounts of one broker that no file has. */
export class ManagedAccounts {
  private readonly store: Store;
  private readonly managedUsers = new Map<string, UserSettings>();
  private readonly managedKeys = new Map<string, KeySettings>();
  /** What came of a configuration, for as long as no account changes. */
  private laid = new WeakMap<Config, Config>();

  /** Reads what the store has, which must be open. */
  constructor(store: Store) {
    this.store = store;
    for (const { key } of store.keys(KIND)) {
      const [kind, name] = split(key);
      const value: unknown = JSON.parse(store.get(KIND, key)?.toString() ?? "null");
      if (!isRecord(value)) continue;
      if (kind === "user") this.managedUsers.set(name, userOf(value));
      else this.managedKeys.set(name, { hash: text(value["hash"]) ?? "", groups: texts(value["groups"]) });
    }
  }

  get users(): ReadonlyMap<string, UserSettings> {
    return this.managedUsers;
  }

  get keys(): ReadonlyMap<string, KeySettings> {
    return this.managedKeys;
  }

  /** A configuration with these accounts besides its own; the same object each time until one of them changes. */
  over(config: Config): Config {
    const known = this.laid.get(config);
    if (known !== undefined) return known;
    const { security, management } = config;
    const laid: Config = {
      ...config,
      security: { ...security, users: { ...Object.fromEntries(this.managedUsers), ...security.users } },
      management: {
        ...management,
        api_keys: { ...Object.fromEntries(this.managedKeys), ...management.api_keys },
      },
    };
    this.laid.set(config, laid);
    return laid;
  }

  /** Makes a user or changes what is known of one. It counts when the logins know of it. */
  putUser(name: string, user: UserSettings): void {
    this.managedUsers.set(name, user);
    this.keep("user", name, user);
  }

  putKey(name: string, key: KeySettings): void {
    this.managedKeys.set(name, key);
    this.keep("key", name, key);
  }

  /** False when there is none of this name here. */
  remove(kind: AccountKind, name: string): boolean {
    if (!(kind === "user" ? this.managedUsers : this.managedKeys).delete(name)) return false;
    this.laid = new WeakMap();
    this.store.remove(KIND, `${kind}\0${name}`);
    return true;
  }

  private keep(kind: AccountKind, name: string, value: object): void {
    this.laid = new WeakMap();
    this.store.put(KIND, `${kind}\0${name}`, Buffer.from(JSON.stringify(value)));
  }
}

function split(key: string): [kind: string, name: string] {
  const cut = key.indexOf("\0");
  return [key.slice(0, cut), key.slice(cut + 1)];
}

function userOf(value: Record<string, unknown>): UserSettings {
  const { password_hash: hash, scram_sha_256: scram, enabled } = value;
  const user: UserSettings = { groups: texts(value["groups"]), enabled: enabled !== false };
  if (typeof hash === "string") user.password_hash = hash;
  if (typeof scram === "string") user.scram_sha_256 = scram;
  return user;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
