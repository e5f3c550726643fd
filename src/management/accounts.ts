/*
 * Users, groups and keys over HTTP: those of the configuration, which can only be looked at, and those that are managed
 * here (security/managed-accounts.ts).
 */
import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { BrokerError } from "../../core/errors.ts";
import type { UserSettings } from "../config/security-schema.ts";
import { type Secrets, secretsOf } from "../security/accounts.ts";
import { parsePasswordHash } from "../security/password.ts";
import { parseRabbitHash } from "../security/rabbitmq-hash.ts";
import { apiKeyHash } from "./api-keys.ts";
import type { Caller, ManagementContext } from "./context.ts";
import { checkGrant } from "./granting.ts";

const KEY_BYTES = 32;
const STORED_CHECK_MS = 2;
const MOST_NAME_CHARACTERS = 255;

/** A user as it is shown: never with what a password could be found out by. */
export interface ShownUser {
  readonly name: string;
  readonly groups: readonly string[];
  readonly enabled: boolean;
  readonly origin: "configuration" | "managed";
  readonly has_password: boolean;
}

/** What is to be said of a user; what is absent stays as it is. */
export interface UserChange {
  readonly password?: string | undefined;
  /**
   * In place of a password what "delos hash-password" prints, or a hash of RabbitMQ as it is kept here; empty for a user that
   * no password lets in.
   */
  readonly password_hash?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly enabled?: boolean | undefined;
}

/** All users that the broker itself knows, by name: those of files, directories and tokens are not its own. */
export function usersOf({ config, accounts }: ManagementContext): ShownUser[] {
  return Object.entries(config().security.users)
    .map(([name, user]) => shown(name, user, accounts))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Throws BrokerError when it is not there. */
export function userOf({ config, accounts }: ManagementContext, name: string): ShownUser {
  const { users } = config().security;
  const user = Object.hasOwn(users, name) ? users[name] : undefined;
  if (user !== undefined) return shown(name, user, accounts);
  throw new BrokerError("not-found", `There is no user ${name} that the broker itself knows`);
}

function shown(name: string, user: UserSettings, accounts: ManagementContext["accounts"]): ShownUser {
  const { groups, enabled, ...secrets } = user;
  const origin = isManaged(user, accounts.users.get(name)) ? "managed" : "configuration";
  return { name, groups, enabled, origin, has_password: Object.keys(secrets).length > 0 };
}

/**
 * Makes a user or changes one; true when it is new. Throws BrokerError "conflict" for one of the configuration, and
 * "not-authorized" when the caller may not give what it has.
 */
export async function putUser(
  context: ManagementContext,
  caller: Caller,
  name: string,
  change: UserChange,
): Promise<boolean> {
  checkName(name);
  checkManaged(context, name);
  const { password, password_hash: hash, groups, enabled } = change;
  checkUser(context, caller, name, groups);
  // Off the event loop, and before anything is looked up: others may change it meanwhile.
  const secrets = password === undefined ? hashGiven(hash) : await newSecrets(password);
  checkManaged(context, name);
  checkUser(context, caller, name, groups);
  const { accounts, accountChanged } = context;
  const before = accounts.users.get(name);
  const after: UserSettings = {
    ...(secrets ?? secretsIn(before)),
    groups: [...(groups ?? before?.groups ?? [])],
    enabled: enabled ?? before?.enabled ?? true,
  };
  accounts.putUser(name, after);
  accountChanged(name);
  await stored(context);
  return before === undefined;
}

/** Throws BrokerError "not-found", "conflict" for one of the configuration, and "not-authorized" as `putUser` does. */
export async function removeUser(context: ManagementContext, caller: Caller, name: string): Promise<void> {
  userOf(context, name);
  checkManaged(context, name);
  checkUser(context, caller, name, undefined);
  context.accounts.remove("user", name);
  context.accountChanged(name);
  await stored(context);
}

/**
 * Makes a key, and returns it: it is not known any more afterwards. Throws BrokerError "conflict" if there is one, and
 * "not-authorized" when the caller may not give what it has.
 */
export async function makeKey(
  context: ManagementContext,
  caller: Caller,
  name: string,
  groups: readonly string[],
): Promise<string> {
  checkName(name);
  checkGrant(context, caller, { name, groups });
  if (Object.hasOwn(context.config().management.api_keys, name)) {
    throw new BrokerError("conflict", `There is a key ${name} already; delete it first`);
  }
  const key = `delos_${randomBytes(KEY_BYTES).toString("base64url")}`;
  context.accounts.putKey(name, { hash: apiKeyHash(key), groups: [...groups] });
  context.accountChanged(undefined);
  await stored(context);
  return key;
}

/** Throws BrokerError "not-found", "conflict" for one of the configuration, and "not-authorized" as `makeKey` does. */
export async function removeKey(context: ManagementContext, caller: Caller, name: string): Promise<void> {
  const { accounts, accountChanged, config } = context;
  const known = accounts.keys.get(name);
  if (known !== undefined) checkGrant(context, caller, { name, groups: known.groups });
  if (accounts.remove("key", name)) {
    accountChanged(undefined);
    await stored(context);
    return;
  }
  if (!Object.hasOwn(config().management.api_keys, name)) throw new BrokerError("not-found", `There is no key ${name}`);
  throw new BrokerError(
    "conflict",
    `The key ${name} is one of the configuration (management.api_keys); delete it there`,
  );
}

/** Fulfilled once all that was said to the store is on disk: what was answered survives a crash. */
async function stored({ broker: { store } }: ManagementContext): Promise<void> {
  const batch = store.gathering;
  while (store.durable < batch) await setTimeout(STORED_CHECK_MS);
}

/** Neither what a user has nor what it is to have may be more than the caller has. */
function checkUser(
  context: ManagementContext,
  caller: Caller,
  name: string,
  groups: readonly string[] | undefined,
): void {
  const before = context.accounts.users.get(name)?.groups;
  for (const given of new Set([before, groups ?? before ?? []])) {
    if (given !== undefined) checkGrant(context, caller, { name, groups: context.groupsOf(name, given) });
  }
}

function isManaged(listed: unknown, managed: unknown): boolean {
  return managed !== undefined && listed === managed;
}

function checkManaged({ config, accounts }: ManagementContext, name: string): void {
  const { users } = config().security;
  if (!Object.hasOwn(users, name) || isManaged(users[name], accounts.users.get(name))) return;
  throw new BrokerError(
    "conflict",
    `User ${name} is one of the configuration (security.users); change it there, and have it read again`,
  );
}

/** Basic authentication cannot say a name with a colon. */
function checkName(name: string): void {
  const fault =
    name === "" ? "is empty" : name.length > MOST_NAME_CHARACTERS ? "is longer than 255 characters" : undefined;
  const found = fault ?? (/[:\p{Cc}]/u.test(name) ? "has a colon or a control character" : undefined);
  if (found !== undefined) throw new BrokerError("bad-request", `The name ${found}`);
}

async function newSecrets(password: string): Promise<Secrets> {
  if (password === "") throw new BrokerError("bad-request", "The password is empty");
  return secretsOf(password);
}

function hashGiven(hash: string | undefined): Secrets | undefined {
  if (hash === undefined || hash === "") return hash === undefined ? undefined : {};
  if (parsePasswordHash(hash) !== undefined || parseRabbitHash(hash) !== undefined) return { password_hash: hash };
  throw new BrokerError("bad-request", 'The password_hash is not what "delos hash-password" prints');
}

function secretsIn(user: UserSettings | undefined): Secrets {
  const { password_hash: hash, scram_sha_256: scram } = user ?? {};
  return {
    ...(hash === undefined ? {} : { password_hash: hash }),
    ...(scram === undefined ? {} : { scram_sha_256: scram }),
  };
}
