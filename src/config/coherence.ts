import { checkAccessRules } from "./access-coherence.ts";
import { parseNetwork } from "../net/address-set.ts";
import { listens, managesByTls, speaksTls } from "./certificates.ts";
import { checkDestinations } from "./destination-coherence.ts";
import { checkExposure } from "./exposure.ts";
import type { Problem } from "./given.ts";
import { type Config, TLS_LISTENERS } from "./schema.ts";
import { checkSecurity } from "./security-coherence.ts";
import { joinKey, originOf, type Setting } from "./setting.ts";
import type { TlsSection } from "./tls-schema.ts";

/** What no single setting shows: settings that contradict each other, and settings that are allowed but unwise. */
export interface Coherence {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Looks at the whole configuration once every setting by itself is right. */
export function checkCoherence(config: Config, settings: Setting): Coherence {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const tell = (into: Problem[]) => (path: readonly (string | number)[], text: string) => {
    into.push({ origin: originOf(settings, path), text });
  };
  checkThresholds(config, tell(problems));
  checkListeners(config, tell(problems), tell(warnings));
  checkProxies(config, tell(problems), tell(warnings));
  checkLimits(config, tell(problems), tell(warnings));
  checkTls(config, tell(problems));
  checkHosts(config, tell(problems));
  checkAccessRules(config, tell(problems), tell(warnings));
  checkDestinations(config, tell(problems), tell(warnings));
  checkSecurity(config, tell(problems), tell(warnings));
  checkExposure(config, tell(problems));
  return { problems, warnings };
}

/** Takes a sentence about the setting at a path. */
export type Tell = (path: readonly (string | number)[], text: string) => void;

function checkThresholds({ connection, stomp }: Config, refuse: Tell): void {
  if (connection.output_low_water >= connection.output_high_water) {
    refuse(
      ["connection", "output_low_water"],
      "connection.output_low_water: must be less than connection.output_high_water, or output would stop and start without end",
    );
  }
  if (stomp.max_header_bytes > stomp.max_frame_header_bytes) {
    refuse(
      ["stomp", "max_header_bytes"],
      "stomp.max_header_bytes: must not be more than stomp.max_frame_header_bytes, which one header is a part of",
    );
  }
}

function checkListeners(config: Config, refuse: Tell, warn: Tell): void {
  const taken: { name: string; host: string; port: number }[] = [];
  for (const [name, { host, port }] of Object.entries(config.listeners)) {
    if (!listens(config, name)) continue;
    const other = port === 0 ? undefined : taken.find((one) => one.port === port && overlap(one.host, host));
    if (other !== undefined) {
      const key = joinKey("listeners", name);
      refuse(
        ["listeners", name, "port"],
        `${key}.port: ${port} is the port of ${joinKey("listeners", other.name)} already`,
      );
    }
    taken.push({ name, host, port });
  }
  const { enabled, host, port } = config.management;
  const other = port === 0 ? undefined : taken.find((one) => one.port === port && overlap(one.host, host));
  if (enabled && other !== undefined) {
    refuse(
      ["management", "port"],
      `management.port: ${port} is the port of ${joinKey("listeners", other.name)} already`,
    );
  }
  if (taken.length === 0) warn(["listeners"], "listeners: none is enabled, so nobody can connect");
}

function checkProxies({ listeners, management }: Config, refuse: Tell, warn: Tell): void {
  for (const [name, { websocket, proxy_protocol: proxy }] of Object.entries(listeners)) {
    const path = ["listeners", name];
    checkNetworks(proxy.trusted, [...path, "proxy_protocol", "trusted"], refuse, warn);
    checkNetworks(websocket.trusted_proxies, [...path, "websocket", "trusted_proxies"], refuse, warn);
    if (!proxy.required || proxy.trusted.length > 0) continue;
    const key = `${joinKey("listeners", name)}.proxy_protocol`;
    refuse(
      [...path, "proxy_protocol", "required"],
      `${key}.required: ${key}.trusted is empty, so nobody could connect`,
    );
  }
  checkNetworks(management.trusted_proxies, ["management", "trusted_proxies"], refuse, warn);
}

function checkLimits({ limits }: Config, refuse: Tell, warn: Tell): void {
  for (const [index, { per, match, exceeding, ...most }] of limits.entries()) {
    const path = ["limits", index];
    const key = `limits[${index}]`;
    if (per === "address") checkNetworks(match, [...path, "match"], refuse, () => {});
    if (per === "connection" && most.connections + most.connect_rate > 0) {
      refuse(path, `${key}: a connection by itself has no connections and no connect_rate; set "per" to another kind`);
    }
    if (Object.values(most).every((value) => value === 0)) warn(path, `${key}: limits nothing`);
    if (exceeding === "disconnect" && most.messages_in + most.bytes_in === 0) {
      warn([...path, "exceeding"], `${key}.exceeding: is for messages_in and bytes_in, which have no limit here`);
    }
  }
}

function checkNetworks(
  networks: readonly string[],
  path: readonly (string | number)[],
  refuse: Tell,
  warn: Tell,
): void {
  const key = path.reduce<string>(
    (all, step) => (typeof step === "number" ? `${all}[${step}]` : joinKey(all, step)),
    "",
  );
  for (const [index, text] of networks.entries()) {
    const network = parseNetwork(text);
    if (network === undefined) {
      refuse(
        [...path, index],
        `${key}: "${text}" is neither an address nor a network; expected one such as 10.0.0.5 or 10.0.0.0/8`,
      );
    } else if (network.bits === 0) {
      warn([...path, index], `${key}: ${text} is everybody, so whoever connects may say to come from anywhere`);
    }
  }
}

function checkTls(config: Config, refuse: Tell): void {
  for (const [name, { enabled, tls }] of Object.entries(config.listeners)) {
    const path = ["listeners", name, "tls"];
    if (enabled && tls.required && !TLS_LISTENERS.includes(name) && !speaksTls(config, name)) {
      const why = tls.enabled ? "there is no certificate (tls.certificate)" : "TLS is not enabled";
      refuse([...path, "required"], `${joinKey("listeners", name)}.tls.required: ${why}, so nobody could connect`);
    }
    checkTlsSection(config, tls, path, refuse);
  }
  checkTlsSection(config, config.tls, ["tls"], refuse);
  const { enabled, tls } = config.management;
  if (enabled && tls.required && !managesByTls(config)) {
    const why = tls.enabled ? "there is no certificate (tls.certificate)" : "TLS is not enabled";
    refuse(
      ["management", "tls", "required"],
      `management.tls.required: ${why}, so nobody could connect; set management.enabled to false if that is wanted`,
    );
  }
  checkTlsSection(config, tls, ["management", "tls"], refuse);
}

function checkTlsSection(
  config: Config,
  { names = [] }: Partial<TlsSection>,
  path: readonly string[],
  refuse: Tell,
): void {
  const key = path.reduce(joinKey, "");
  for (const [index, { certificate = "", key: file = "", virtual_host: host = "" }] of names.entries()) {
    const at = [...path, "names", index];
    if (certificate === "" && file !== "") {
      refuse([...at, "key"], `${key}.names[${index}].key: needs the certificate that it is the key of`);
    }
    if (host !== "" && !Object.hasOwn(config.hosts, host)) {
      refuse(
        [...at, "virtual_host"],
        `${key}.names[${index}].virtual_host: there is no virtual host "${host}" (hosts)`,
      );
    }
  }
}

function overlap(a: string, b: string): boolean {
  const everywhere = ["0.0.0.0", "::"];
  return a === b || everywhere.includes(a) || everywhere.includes(b);
}

function checkHosts({ hosts }: Config, refuse: Tell): void {
  const owners = new Map<string, string>();
  for (const name of Object.keys(hosts)) {
    const other = owners.get(name.toLowerCase());
    if (other !== undefined) refuse(["hosts", name], `${joinKey("hosts", name)}: differs from "${other}" in case only`);
    owners.set(name.toLowerCase(), name);
  }
  for (const [name, { aliases }] of Object.entries(hosts)) {
    for (const [index, alias] of aliases.entries()) {
      const owner = owners.get(alias.toLowerCase());
      if (owner !== undefined && owner !== name) {
        const key = `${joinKey("hosts", name)}.aliases`;
        refuse(["hosts", name, "aliases", index], `${key}: "${alias}" leads to the host "${owner}" already`);
      }
      owners.set(alias.toLowerCase(), name);
    }
  }
}
