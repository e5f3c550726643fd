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
  /** What came of the configuration that was asked about last. */
  private laid: { readonly config: Config; readonly over: Config } | undefined = undefined;

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

  /**
   * A configuration with these accounts besides its own; the same object each time until a key changes. Its users change with
   * these here: thousands may come one by one.
   */
  over(config: Config): Config {
    if (this.laid?.config === config) return this.laid.over;
    const { security, management } = config;
    const over: Config = {
      ...config,
      security: { ...security, users: { ...Object.fromEntries(this.managedUsers), ...security.users } },
      management: {
        ...management,
        api_keys: { ...Object.fromEntries(this.managedKeys), ...management.api_keys },
      },
    };
    this.laid = { config, over };
    return over;
  }

  /** Makes a user or changes what is known of one. It counts when the logins know of it. */
  putUser(name: string, user: UserSettings): void {
    this.managedUsers.set(name, user);
    this.relay(name, user);
    this.keep("user", name, user);
  }

  /** Keeps another hash of the same password, unless the user has been changed meanwhile. */
  strengthen(name: string, before: string, { password_hash: hash, scram_sha_256: keys }: UserSettings): void {
    const user = this.managedUsers.get(name);
    if (user === undefined || user.password_hash !== before || hash === undefined || keys === undefined) return;
    this.putUser(name, { ...user, password_hash: hash, scram_sha_256: keys });
  }

  putKey(name: string, key: KeySettings): void {
    this.managedKeys.set(name, key);
    this.laid = undefined;
    this.keep("key", name, key);
  }

  /** False when there is none of this name here. */
  remove(kind: AccountKind, name: string): boolean {
    if (!(kind === "user" ? this.managedUsers : this.managedKeys).delete(name)) return false;
    if (kind === "user") this.relay(name, undefined);
    else this.laid = undefined;
    this.store.remove(KIND, `${kind}\0${name}`);
    return true;
  }

  private relay(name: string, user: UserSettings | undefined): void {
    if (this.laid === undefined || Object.hasOwn(this.laid.config.security.users, name)) return;
    const { users } = this.laid.over.security;
    if (user === undefined) delete users[name];
    else Object.defineProperty(users, name, { value: user, configurable: true, enumerable: true, writable: true });
  }

  private keep(kind: AccountKind, name: string, value: object): void {
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
