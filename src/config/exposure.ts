/*
 * What other machines can reach, and who they may be. The broker does not start where nobody from elsewhere could log in,
 * nor where anybody could, unless it is said that this is meant.
 */
import { isLoopback } from "../security/addresses.ts";
import { listens } from "./certificates.ts";
import type { Tell } from "./coherence.ts";
import type { Config } from "./schema.ts";
import { type RealmPlace, realmPlaces } from "./security-coherence.ts";
import { joinKey } from "./setting.ts";

/** A port that other machines can reach. */
interface Exposed {
  readonly path: readonly string[];
  /** `listeners.stomp.host` */
  readonly key: string;
  readonly host: string;
}

/** Looks at who can reach the broker, and what it takes to be let in. */
export function checkExposure(config: Config, refuse: Tell): void {
  const exposed = exposedPorts(config);
  const [first] = exposed;
  if (first === undefined) return;
  const realms = realmPlaces(config);
  if (!config.security.allow_open) {
    for (const { path, key, open } of realms.flatMap(openDoors)) {
      refuse(
        path,
        `${key}: ${open}, and other machines can reach the broker (${first.key}: ${first.host}). Either change this, or set ` +
          `${first.key} to 127.0.0.1, or, if it is meant, set security.allow_open to true`,
      );
    }
  }
  if (realms.some(letsSomebodyIn)) return;
  for (const { path, key, host } of exposed) {
    if (key === "management.host" && Object.keys(config.management.api_keys).length > 0) continue;
    refuse(
      path,
      `${key}: other machines can reach ${host}, and nobody has a password yet. Add a user (security.users; "delos init DIR" ` +
        `makes a configuration with one), or set ${key} to 127.0.0.1`,
    );
  }
}

function exposedPorts(config: Config): Exposed[] {
  const ports = Object.entries(config.listeners)
    .filter(([name, { host }]) => listens(config, name) && !isOwnMachine(host))
    .map(([name, { host }]) => ({
      path: ["listeners", name, "host"],
      key: `${joinKey("listeners", name)}.host`,
      host,
    }));
  const { enabled, host } = config.management;
  if (enabled && !isOwnMachine(host)) ports.push({ path: ["management", "host"], key: "management.host", host });
  return ports;
}

function isOwnMachine(host: string): boolean {
  return host === "localhost" || isLoopback(host);
}

/** Settings by which anybody from anywhere is let in. */
function openDoors({
  path,
  key,
  settings,
}: RealmPlace): { path: readonly (string | number)[]; key: string; open: string }[] {
  if (!settings.enabled)
    return [{ path: [...path, "enabled"], key: `${key}.enabled`, open: "nobody is asked who they are" }];
  const open = "guests from anywhere are let in";
  const { guest, modules } = settings;
  if (modules.length === 0) {
    if (!guest.enabled || guest.loopback_only) return [];
    return [{ path: [...path, "guest", "loopback_only"], key: `${key}.guest.loopback_only`, open }];
  }
  return modules.flatMap(({ guest: one }, index) =>
    one === undefined || one.loopback_only
      ? []
      : [
          {
            path: [...path, "modules", index, "guest", "loopback_only"],
            key: `${key}.modules[${index}].guest.loopback_only`,
            open,
          },
        ],
  );
}

/** Whether anybody from elsewhere could log in. */
function letsSomebodyIn(place: RealmPlace): boolean {
  const { users, modules } = place.settings;
  if (openDoors(place).length > 0) return true;
  if (modules.length === 0) return Object.keys(users).length > 0;
  return modules.some(
    ({ users: passwords, certificate, jwt, ldap }) =>
      (passwords !== undefined && (passwords.file !== "" || Object.keys(users).length > 0)) ||
      certificate !== undefined ||
      jwt !== undefined ||
      ldap !== undefined,
  );
}
