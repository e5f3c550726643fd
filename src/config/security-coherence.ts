import { parseNetwork } from "../net/address-set.ts";
import { parsePasswordHash } from "../security/password.ts";
import { parseScramKeys } from "../security/scram.ts";
import type { Tell } from "./coherence.ts";
import type { Config } from "./schema.ts";
import type {
  JwtSettings,
  LdapSettings,
  ModuleSettings,
  RealmSettings,
  SourceAddressSettings,
} from "./security-schema.ts";
import { joinKey } from "./setting.ts";

/** A section that says who may log in, with its place. */
export interface RealmPlace {
  readonly path: readonly (string | number)[];
  /** As `--set` takes it. */
  readonly key: string;
  readonly settings: RealmSettings;
}

/** All such sections. */
export function realmPlaces({ security, hosts }: Config): RealmPlace[] {
  const own = Object.entries(hosts).flatMap(([name, { security: settings }]) =>
    settings === undefined
      ? []
      : [{ path: ["hosts", name, "security"], key: `${joinKey("hosts", name)}.security`, settings }],
  );
  return [{ path: ["security"], key: "security", settings: security }, ...own];
}

/** What no single setting of a section shows. */
export function checkSecurity(config: Config, refuse: Tell, warn: Tell): void {
  for (const place of realmPlaces(config)) {
    checkUsers(place, refuse, warn);
    checkModules(place, refuse, warn);
    const { path, key, settings } = place;
    if (!settings.enabled) {
      warn(
        [...path, "enabled"],
        `${key}.enabled: whoever reaches a port of this broker is let in, and nobody is asked`,
      );
    }
  }
}

function checkUsers({ path: base, key: section, settings }: RealmPlace, refuse: Tell, warn: Tell): void {
  for (const [name, { password, password_hash: hash, scram_sha_256: scram }] of Object.entries(settings.users)) {
    const key = joinKey(`${section}.users`, name);
    const path = [...base, "users", name];
    if ((password === undefined) === (hash === undefined && scram === undefined)) {
      const hashes = 'password_hash, scram_sha_256 or both ("delos hash-password" makes them)';
      refuse(path, `${key}: must have either ${hashes} or password`);
      continue;
    }
    if (hash !== undefined && parsePasswordHash(hash) === undefined) {
      refuse([...path, "password_hash"], `${key}.password_hash: is not what "delos hash-password" prints`);
    }
    if (scram !== undefined && parseScramKeys(scram) === undefined) {
      refuse([...path, "scram_sha_256"], `${key}.scram_sha_256: is not what "delos hash-password --scram" prints`);
    }
    if (password !== undefined) {
      const advice = 'use password_hash; "delos hash-password" makes one';
      warn([...path, "password"], `${key}.password: who reads the configuration knows this password; ${advice}`);
    }
  }
  const { enabled, loopback_only: loopbackOnly } = settings.guest;
  if (settings.modules.length === 0 && enabled && !loopbackOnly) {
    warn(
      [...base, "guest", "loopback_only"],
      `${section}.guest.loopback_only: whoever reaches a port of this broker may log in as guest`,
    );
  }
}

function checkModules({ path: base, key: section, settings }: RealmPlace, refuse: Tell, warn: Tell): void {
  const { modules } = settings;
  const sufficient = modules.findIndex(({ control }) => control === "sufficient");
  for (const [index, entry] of modules.entries()) {
    const path = [...base, "modules", index];
    const key = `${section}.modules[${index}]`;
    const kinds = Object.keys(entry).filter((name) => name !== "control");
    if (kinds.length !== 1) {
      const found = kinds.length === 0 ? "there is none" : `there are ${kinds.join(" and ")}`;
      refuse(path, `${key}: expected control and one module (users, groups, certificate, ...); ${found}`);
      continue;
    }
    if (entry.groups !== undefined && sufficient >= 0 && sufficient < index) {
      const text = "is not asked about whom a sufficient module before it lets in; put it first, as optional";
      warn(path, `${key}.groups: ${text}`);
    }
    checkModule(entry, (name, text) => refuse([...path, ...name.split(".")], `${key}.${name}: ${text}`));
  }
  const vouches = modules.some(
    ({ groups, source_address: addresses }) => groups === undefined && addresses === undefined,
  );
  if (modules.length > 0 && !vouches) {
    refuse([...base, "modules"], `${section}.modules: none of them lets anybody in, so nobody could connect`);
  }
}

function checkModule(entry: ModuleSettings, refuse: (name: string, text: string) => void): void {
  const { groups, source_address: addresses, jwt, ldap } = entry;
  if (groups?.file === "") refuse("groups.file", "must name the file of the groups");
  if (addresses !== undefined) checkAddresses(addresses, refuse);
  if (jwt !== undefined) checkJwt(jwt, refuse);
  if (ldap !== undefined) checkLdap(ldap, refuse);
}

function checkAddresses(settings: SourceAddressSettings, refuse: (name: string, text: string) => void): void {
  for (const list of ["allow", "deny"] as const) {
    const wrong = settings[list].find((entry) => parseNetwork(entry) === undefined);
    if (wrong === undefined) continue;
    refuse(`source_address.${list}`, `"${wrong}" is neither an address nor a network such as 10.0.0.0/8`);
  }
}

const LEAST_SECRET_BYTES = 32;

function checkJwt(jwt: JwtSettings, refuse: (name: string, text: string) => void): void {
  const sources = (["jwks_url", "jwks_file", "key_file", "secret"] as const).filter((name) => jwt[name] !== "");
  if (sources.length !== 1) {
    const found = sources.length === 0 ? "found none" : `found ${sources.join(" and ")}`;
    refuse("jwt", `expected one of jwks_url, jwks_file, key_file and secret; ${found}`);
  }
  if (jwt.secret !== "" && Buffer.byteLength(jwt.secret) < LEAST_SECRET_BYTES) {
    refuse("jwt.secret", `has ${Buffer.byteLength(jwt.secret)} bytes; expected ${LEAST_SECRET_BYTES} or more`);
  }
  if (jwt.jwks_url !== "" && !/^https?:$/.test(protocolOf(jwt.jwks_url))) {
    refuse("jwt.jwks_url", `"${jwt.jwks_url}" is no URL of https or http`);
  }
}

function checkLdap(ldap: LdapSettings, refuse: (name: string, text: string) => void): void {
  if (!/^ldaps?:$/.test(protocolOf(ldap.url))) refuse("ldap.url", `"${ldap.url}" is no URL such as ldaps://host:636`);
  if (ldap.start_tls && protocolOf(ldap.url) === "ldaps:")
    refuse("ldap.start_tls", "ldaps:// has TLS from the beginning");
  if ((ldap.user_dn === "") === (ldap.user_base === "")) {
    refuse("ldap", "expected either user_dn, the name of every user, or user_base, where to look for them");
  }
  const [name, template] = ldap.user_dn === "" ? ["user_filter", ldap.user_filter] : ["user_dn", ldap.user_dn];
  if (!template.includes("{user}"))
    refuse(`ldap.${name}`, `"${template}" has no {user} in it, so everybody would be the same`);
  if ((ldap.bind_dn === "") !== (ldap.bind_password === "")) {
    refuse("ldap.bind_dn", "bind_dn and bind_password need each other: a bind without a password says nothing");
  }
}

function protocolOf(url: string): string {
  return URL.canParse(url) ? new URL(url).protocol : "";
}
