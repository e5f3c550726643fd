/*
 * What of a new configuration a broker takes over while it runs, and what has to wait for the next start.
 */
import { checkExposure } from "./config/exposure.ts";
import type { Config } from "./config/schema.ts";
import { reloadableVitals } from "./metrics/vitals.ts";

/** The parts of the configuration that are taken over at once. */
const RELOADABLE =
  /^(log|audit|alarms|limits|security|access_rules|shutdown|tls)(\.|$)|^hosts\..+\.(security\.|access_rules$)|^management\.(tls|cors_origins|trusted_proxies|max_wait|sessions|api_keys)(\.|$)|^metrics\.max_objects$|^listeners\..+\.(tls(\.|$)|(max_connections|connect_rate)$)/;

/** What differs, by key: what counts at once, and what from the next start on. */
export function changesBetween(before: Config, after: Config): { applied: string[]; needsRestart: string[] } {
  const changed = differences(before, after);
  const applied = changed.filter((key) => RELOADABLE.test(key));
  return { applied, needsRestart: changed.filter((key) => !RELOADABLE.test(key)) };
}

/** A configuration with what of another one can be taken over while the broker runs. */
export function withReloadable(config: Config, other: Config): Config {
  const { log, audit, limits, security, access_rules, shutdown, tls, listeners, hosts, management } = other;
  const kept = Object.entries(config.listeners).map(([name, listener]) => {
    const { tls: own, max_connections, connect_rate } = listeners[name] ?? listener;
    return [name, { ...listener, tls: own, max_connections, connect_rate }];
  });
  const { tls: managementTls, cors_origins, trusted_proxies, max_wait, sessions, api_keys } = management;
  const taken = { cors_origins, trusted_proxies, max_wait, sessions, api_keys };
  const managed = { ...config.management, tls: managementTls, ...taken };
  return {
    ...config,
    log,
    audit,
    limits,
    security,
    access_rules,
    shutdown,
    tls,
    management: managed,
    listeners: Object.fromEntries(kept),
    hosts: withRights(config.hosts, hosts),
    ...reloadableVitals(config, other),
  };
}

/**
 * What these settings would open to other machines on a broker that listens already, one sentence each. Where it listens no
 * reload changes, and neither does what it stops listening on: that the same file closes it at the next start is no help.
 */
export function openedBy(config: Config, listening: ReadonlySet<string>): string[] {
  const listeners = Object.entries(config.listeners).map(([name, listener]) => {
    const tls = { ...listener.tls, required: false };
    return [name, { ...listener, enabled: listening.has(name), tls }] as const;
  });
  const problems: string[] = [];
  checkExposure({ ...config, listeners: Object.fromEntries(listeners) }, (_path, text) => {
    problems.push(`${text}; the broker goes on listening as it does until it is started anew`);
  });
  return problems;
}

/** Virtual hosts keep to what they are, but for access rules; those with security of their own get the new one. */
function withRights(kept: Config["hosts"], given: Config["hosts"]): Config["hosts"] {
  return Object.fromEntries(
    Object.entries(kept).map(([name, host]) => {
      const { security, access_rules = host.access_rules } = given[name] ?? {};
      const secured = host.security === undefined || security === undefined ? host : { ...host, security };
      return [name, { ...secured, access_rules }];
    }),
  );
}

/** The keys, joined by dots, whose values differ. */
function differences(before: unknown, after: unknown, key = ""): string[] {
  if (isRecord(before) && isRecord(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].flatMap((name) => differences(before[name], after[name], key === "" ? name : `${key}.${name}`));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [key];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
