/*
 * In a container the broker can be reached from outside or is of no use, and nobody has edited a configuration yet.
 *
 *     DELOS_CONTAINER=1                    all ports listen on every address, guests are off, there is a user admin
 *     DELOS_ADMIN_PASSWORD_FILE=PATH       whose password is in this file; otherwise one is made up, and printed once
 *
 * What is made up is kept beside the messages, as hashes. This comes before the file, the environment and `--set`: whatever
 * they say counts, and with users or modules of their own there is no admin but one whose password is in a file.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ConfigSources, loadConfig } from "../config/load.ts";
import { hashPassword, newPassword } from "../security/password.ts";
import { deriveScramKeys, formatScramKeys } from "../security/scram.ts";

const EVERYWHERE = "0.0.0.0";
const PORTS = ["stomp", "mqtt", "amqp", "openwire", "stomps", "mqtts", "amqps"];
const ADMIN = "admin";
/** Stands for the admin while nobody knows whether one is wanted: a name that no configuration has. */
const PROBE = "(whoever the container is started for)";
const KEPT_FILE = "admin-password.json";

/** What the configuration keeps of a password. */
interface Hashes {
  readonly password_hash: string;
  readonly scram_sha_256: string;
}

/** Where the configuration of a broker in a container comes from. */
export interface ContainerStart {
  readonly sources: ConfigSources;
  /** The password that was made up and is nowhere else. */
  readonly password: string | undefined;
  /** To be called once it was printed: from then on it counts. One that nobody has seen must not. */
  readonly keep: () => void;
}

/** Whether this process is to behave as in a container. */
export function isContainer({ environment = {} }: ConfigSources): boolean {
  return !["", "0", "false", undefined].includes(environment["DELOS_CONTAINER"]);
}

/** Adds what holds in a container to the sources of a configuration. Throws an Error for the operator. */
export async function inContainer(sources: ConfigSources): Promise<ContainerStart> {
  const file = sources.environment?.["DELOS_ADMIN_PASSWORD_FILE"];
  if (file !== undefined && file !== "") {
    return { sources: withUser(sources, ADMIN, await hashesOf(passwordIn(file))), password: undefined, keep: nothing };
  }
  const password = newPassword();
  const hashes = await hashesOf(password);
  const loaded = loadConfig(withUser(sources, PROBE, hashes));
  // What is wrong with it the start will say.
  if (!loaded.ok) return { sources: withUser(sources, ADMIN, hashes), password: undefined, keep: nothing };
  const { security, store } = loaded.config;
  const hasLogins = Object.keys(security.users).some((name) => name !== PROBE) || security.modules.length > 0;
  if (hasLogins || !security.enabled)
    return { sources: withUser(sources, undefined, hashes), password: undefined, keep: nothing };
  const kept = store.kind === "memory" ? undefined : keptHashes(store.directory);
  if (kept !== undefined) return { sources: withUser(sources, ADMIN, kept), password: undefined, keep: nothing };
  const keeping = store.kind === "memory" ? nothing : () => keep(store.directory, hashes);
  return { sources: withUser(sources, ADMIN, hashes), password, keep: keeping };
}

function nothing(): void {}

function withUser(sources: ConfigSources, name: string | undefined, hashes: Hashes): ConfigSources {
  const users = name === undefined ? {} : { [name]: { ...hashes, groups: ["admins"] } };
  return {
    ...sources,
    base: {
      name: "DELOS_CONTAINER",
      settings: {
        listeners: Object.fromEntries(PORTS.map((port) => [port, { host: EVERYWHERE }])),
        management: { host: EVERYWHERE },
        security: { guest: { enabled: false }, users },
      },
    },
  };
}

function passwordIn(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`DELOS_ADMIN_PASSWORD_FILE: ${file} cannot be read: ${why}`, { cause: error });
  }
  const password = text.split(/\r?\n/, 1)[0] ?? "";
  if (password === "") throw new Error(`DELOS_ADMIN_PASSWORD_FILE: ${file} has an empty first line`);
  return password;
}

async function hashesOf(password: string): Promise<Hashes> {
  const [hash, keys] = await Promise.all([hashPassword(password), deriveScramKeys(password)]);
  return { password_hash: hash, scram_sha_256: formatScramKeys(keys) };
}

function keptHashes(directory: string): Hashes | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, KEPT_FILE), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  const kept = parsed(text);
  if (isHashes(kept)) return kept;
  throw new Error(
    `${join(directory, KEPT_FILE)} does not hold the hashes of a password; delete it to have a new one made`,
  );
}

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isHashes(value: unknown): value is Hashes {
  if (typeof value !== "object" || value === null || !("password_hash" in value) || !("scram_sha_256" in value))
    return false;
  return typeof value.password_hash === "string" && typeof value.scram_sha_256 === "string";
}

function keep(directory: string, hashes: Hashes): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // Whole or not at all, as a broker without its half would not start.
  const fresh = join(directory, `${KEPT_FILE}.new`);
  writeFileSync(fresh, `${JSON.stringify(hashes)}\n`, { mode: 0o600, flush: true });
  renameSync(fresh, join(directory, KEPT_FILE));
}
