/*
 * The files that login modules look at: where they are, and whether they can be read.
 */
import { readFileSync } from "node:fs";
import { parseNetworks } from "../security/addresses.ts";
import { parseNamedUsers } from "../security/certificate-module.ts";
import { parseGroups } from "../security/groups-module.ts";
import { parseKeySet, parsePublicKey } from "../security/jwt-module.ts";
import { parseUsers, plainPasswords } from "../security/users-file.ts";
import type { Tell } from "./coherence.ts";
import type { Config } from "./schema.ts";
import { realmPlaces } from "./security-coherence.ts";
import type { ModuleSettings } from "./security-schema.ts";

type Path = readonly (string | number)[];

/** A file that a module names. */
interface LoginFile {
  /** Where the setting is below its module. */
  readonly path: readonly [string, string];
  readonly file: string;
  /** Takes the absolute path in place of the one that was written. */
  readonly set: (file: string) => void;
  /** Throws an Error with one sentence; returns what to warn of. */
  readonly read: (text: string, file: string) => string | undefined;
}

/** Has every path to a file of a login module made absolute. */
export function locateLoginFiles(config: Config, absolute: (path: string, at: Path) => string): void {
  for (const { path, settings } of realmPlaces(config)) {
    for (const [index, entry] of settings.modules.entries()) {
      for (const { file, path: inner, set } of filesOf(entry)) {
        set(absolute(file, [...path, "modules", index, ...inner]));
      }
    }
  }
}

/** Reads every one of them, and tells what is wrong with it. */
export function readLoginFiles(config: Config, refuse: Tell, warn: Tell): void {
  for (const { path, key, settings } of realmPlaces(config)) {
    for (const [index, entry] of settings.modules.entries()) {
      for (const { file, path: inner, read } of filesOf(entry)) {
        const at = [...path, "modules", index, ...inner];
        const sentence = `${key}.modules[${index}].${inner.join(".")}`;
        try {
          const warning = read(readFileSync(file, "utf8"), file);
          if (warning !== undefined) warn(at, `${sentence}: ${warning}`);
        } catch (error) {
          refuse(at, `${sentence}: ${reasonOf(error, file)}`);
        }
      }
    }
  }
}

function filesOf({ users, groups, certificate, source_address: addresses, jwt, ldap }: ModuleSettings): LoginFile[] {
  const files: LoginFile[] = [];
  if (users !== undefined) {
    files.push({ path: ["users", "file"], file: users.file, set: (file) => (users.file = file), read: readUsers });
  }
  if (groups !== undefined) {
    const read = quietly((text) => parseGroups(text, groups));
    files.push({ path: ["groups", "file"], file: groups.file, set: (file) => (groups.file = file), read });
  }
  if (certificate !== undefined) {
    const set = (file: string): void => void (certificate.file = file);
    files.push({ path: ["certificate", "file"], file: certificate.file, set, read: quietly(parseNamedUsers) });
  }
  if (addresses !== undefined) {
    for (const key of ["allow_file", "deny_file"] as const) {
      const set = (file: string): void => void (addresses[key] = file);
      files.push({ path: ["source_address", key], file: addresses[key], set, read: quietly(parseNetworks) });
    }
  }
  if (jwt !== undefined) {
    for (const [key, parse] of [["jwks_file", parseKeySet] as const, ["key_file", parsePublicKey] as const]) {
      files.push({ path: ["jwt", key], file: jwt[key], set: (file) => (jwt[key] = file), read: quietly(parse) });
    }
  }
  if (ldap !== undefined) {
    files.push({ path: ["ldap", "ca"], file: ldap.ca, set: (file) => (ldap.ca = file), read: () => undefined });
  }
  return files.filter(({ file }) => file !== "");
}

function readUsers(text: string, file: string): string | undefined {
  const plain = plainPasswords(parseUsers(file, text));
  if (plain.length === 0) return undefined;
  const whose = plain.length === 1 ? `the password of ${plain[0]}` : `${plain.length} passwords`;
  return `who reads ${file} knows ${whose}; "delos hash-password" makes hashes to put there`;
}

function quietly(parse: (text: string) => unknown): LoginFile["read"] {
  return (text) => {
    parse(text);
    return undefined;
  };
}

function reasonOf(error: unknown, file: string): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return `there is no file ${file}`;
  if (code === "EACCES") return `${file} may not be read by this user`;
  return `${file}: ${error instanceof Error ? error.message : String(error)}`;
}
