import { Value } from "typebox/value";
import { parseDocument } from "yaml";
import { type UserSettings, UserSchema } from "../config/security-schema.ts";
import { parsePasswordHash } from "./password.ts";
import { parseProperties } from "./properties.ts";
import { parseScramKeys } from "./scram.ts";

/** The users in a file, by name. */
export type Users = Readonly<Record<string, UserSettings>>;

/** Reads the text of a file of users, in the form that its name says. Throws an Error with one sentence. */
export function parseUsers(path: string, text: string): Users {
  const users = path.endsWith(".properties") ? fromProperties(text) : fromYaml(text);
  for (const [name, { password, password_hash: hash, scram_sha_256: scram }] of Object.entries(users)) {
    if ((password === undefined) === (hash === undefined && scram === undefined)) {
      throw new Error(`user ${name} must have either password_hash, scram_sha_256 or both, or password`);
    }
    if (hash !== undefined && parsePasswordHash(hash) === undefined) {
      throw new Error(`password_hash of user ${name} is not what "delos hash-password" prints`);
    }
    if (scram !== undefined && parseScramKeys(scram) === undefined) {
      throw new Error(`scram_sha_256 of user ${name} is not what "delos hash-password --scram" prints`);
    }
  }
  return users;
}

/** Those whose passwords stand there for everybody to read. */
export function plainPasswords(users: Users): string[] {
  return Object.entries(users).flatMap(([name, { password }]) => (password === undefined ? [] : [name]));
}

function fromYaml(text: string): Users {
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) throw new Error(error.message.split("\n", 1)[0]);
  const given: unknown = document.toJS() ?? {};
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new Error("expected names of users, each with a colon and what is said of it behind it");
  }
  return Object.fromEntries(Object.entries(given).map(([name, user]) => [name, userOf(name, user ?? {})]));
}

function userOf(name: string, given: unknown): UserSettings {
  const user: unknown = Value.Default(UserSchema, given);
  if (Value.Check(UserSchema, user)) return user;
  const [fault] = Value.Errors(UserSchema, user);
  const key = [name, ...(fault?.instancePath ?? "").split("/").slice(1)].join(".");
  // Not the value: it may be a password.
  throw new Error(`${key}: ${fault?.message}`);
}

/** Apollo's users.properties: the password itself, or what "delos hash-password" prints for either way to log in. */
function fromProperties(text: string): Users {
  const users: [string, UserSettings][] = [];
  for (const [name, value] of parseProperties(text)) {
    if (value === "") throw new Error(`user ${name} has no password`);
    if (/^ENC\(.*\)$/.test(value)) {
      throw new Error(
        `the password of user ${name} is encrypted as by Apollo's tools, which is not read; put a hash there`,
      );
    }
    const key = value.startsWith("scrypt$") ? "password_hash" : parseScramKeys(value) ? "scram_sha_256" : "password";
    users.push([name, { [key]: value, groups: [], enabled: true }]);
  }
  // Names such as __proto__ are names here.
  return Object.fromEntries(users);
}
