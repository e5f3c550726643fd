/*
 * Looks at everything around a broker that keeps it from starting, or from doing well once it runs. Changes nothing that
 * lasts: it opens ports for a moment and writes one small file beside the data, which it removes.
 */
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { open, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { DATA_FILE } from "../../store/lmdb/disk.ts";
import { damageOf } from "../../store/lmdb/file-check.ts";
import { DirectoryLock } from "../../store/lmdb/lock.ts";
import { listens } from "../config/certificates.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { formatQuantity } from "../config/units.ts";
import { usableMemory } from "../metrics/memory.ts";
import { CONFIG_HELP, CONFIG_OPTIONS, EXIT, print, readOptions } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { configSources } from "./sources.ts";
import { bytesText, jsonText, textTable } from "./text-table.ts";

/** What came of one look. */
interface Finding {
  readonly check: string;
  readonly state: "ok" | "warning" | "problem" | "skipped";
  readonly text: string;
}

const NODE_NEEDED = 24;
const SYNCS = 50;
const SLOW_SYNC_MS = 20;
const LITTLE_DISK = 1024 ** 3;
/** Files of the process besides its connections. */
const OWN_FILES = 200;
/** No release of this broker is older than that. */
const EARLIEST = Date.UTC(2026, 0, 1);
const run = promisify(execFile);

/** `delos doctor`: what stands in the way of a broker that is to run here. */
export const doctor: Command = {
  help: `Usage: delos doctor [OPTIONS]

Checks what a broker with this configuration needs where it is to run: the configuration with its certificates,
ports, data directory, speed of the disk, integrity of the store, open files, memory, clock. May be run beside
a running broker, as the same user. Exit code 1 when something is a problem, 2 when the configuration is.

${CONFIG_HELP}
      --json         print {check, state, text} of each as JSON`,

  async run(args) {
    const { values } = readOptions(args, { ...CONFIG_OPTIONS, json: { type: "boolean", default: false } });
    const loaded = loadConfig(configSources(values));
    const findings = loaded.ok
      ? [...configurationFindings(loaded.warnings), ...(await findingsOf(loaded.config))]
      : loaded.problems.map((text) => ({ check: "configuration", state: "problem", text }) as const);
    if (values.json) print(jsonText(findings, 2));
    else
      print(
        ...textTable(
          COLUMNS,
          findings.map((finding) => ({ ...finding })),
        ),
      );
    if (!loaded.ok) return EXIT.usage;
    return findings.some(({ state }) => state === "problem") ? EXIT.failed : EXIT.ok;
  },
};

const COLUMNS = [
  { title: "CHECK", field: "check" },
  { title: "STATE", field: "state" },
  { title: "FOUND", field: "text", whole: true },
];

function configurationFindings(warnings: readonly string[]): Finding[] {
  if (warnings.length === 0) return [{ check: "configuration", state: "ok", text: "nothing is wrong with it" }];
  return warnings.map((text) => ({ check: "configuration", state: "warning", text }));
}

async function findingsOf(config: Config): Promise<Finding[]> {
  const kept = config.store.kind !== "memory";
  const running = kept && (await isRunning(config.store.directory));
  return [
    node(),
    ...(await ports(config, running)),
    ...(kept ? await store(config.store.directory, running) : [inMemory()]),
    files(config),
    memory(config),
    await clock(),
  ];
}

function node(): Finding {
  const [major = "0"] = process.versions.node.split(".");
  const state = Number(major) >= NODE_NEEDED ? "ok" : "problem";
  return { check: "node", state, text: `${process.versions.node}; ${NODE_NEEDED} or newer is needed` };
}

async function isRunning(directory: string): Promise<boolean> {
  if (!existsSync(join(directory, DATA_FILE))) return false;
  try {
    // Who may not write there cannot tell; what writes there will say so.
    accessSync(directory, constants.W_OK);
    accessSync(join(directory, DATA_FILE), constants.R_OK | constants.W_OK);
  } catch {
    return false;
  }
  try {
    const lock = await DirectoryLock.take(directory);
    await lock.release();
    return false;
  } catch {
    return true;
  }
}

async function ports(config: Config, running: boolean): Promise<Finding[]> {
  const places = Object.entries(config.listeners)
    .filter(([name]) => listens(config, name))
    .map(([name, { host, port }]) => ({ check: `port of ${name}`, host, port }));
  const { enabled, host, port } = config.management;
  if (enabled) places.push({ check: "port of management", host, port });
  return Promise.all(places.map((place) => portFinding(place, running)));
}

async function portFinding(
  { check, host, port }: { readonly check: string; readonly host: string; readonly port: number },
  running: boolean,
): Promise<Finding> {
  const where = `${host} port ${port}`;
  const code = await new Promise<string | undefined>((resolve) => {
    const server = createServer();
    server.once("error", (error) => resolve("code" in error ? String(error.code) : error.message));
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
  if (code === undefined) return { check, state: "ok", text: `${where} is free` };
  if (code === "EADDRINUSE" && running) return { check, state: "ok", text: `${where} is in use, and the broker runs` };
  const text = code === "EADDRINUSE" ? `${where} is in use by somebody else` : `${where} cannot be opened: ${code}`;
  return { check, state: "problem", text };
}

function inMemory(): Finding {
  return {
    check: "store",
    state: "warning",
    text: "messages are in memory only and end with the process (store.kind)",
  };
}

async function store(directory: string, running: boolean): Promise<Finding[]> {
  let existing = directory;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  return [
    {
      check: "disk space",
      state: free < LITTLE_DISK ? "warning" : "ok",
      text: `${bytesText(free)} free for ${directory} (alarms.disk_free stops publishers in time)`,
    },
    ...(existing === directory ? [privacy(directory)] : []),
    await syncSpeed(existing),
    integrity(join(directory, DATA_FILE), running),
  ];
}

/** Messages, and what is known of users, are in files that the broker keeps to itself by way of their directory. */
function privacy(directory: string): Finding {
  const check = "privacy";
  const { mode } = statSync(directory);
  const text = `${directory} has the mode ${(mode & 0o777).toString(8)}`;
  if ((mode & 0o007) === 0) return { check, state: "ok", text };
  return {
    check,
    state: "warning",
    text: `${text}: everybody on this machine can read messages there; 700 keeps them out`,
  };
}

async function syncSpeed(directory: string): Promise<Finding> {
  const check = "disk speed";
  const path = join(directory, `doctor-${process.pid}`);
  const times: number[] = [];
  try {
    const file = await open(path, "wx", 0o600);
    try {
      const block = Buffer.alloc(4096);
      for (let n = 0; n < SYNCS; n++) {
        await file.write(block);
        const begun = performance.now();
        await file.datasync();
        times.push(performance.now() - begun);
      }
    } finally {
      await file.close();
      rmSync(path, { force: true });
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { check, state: "problem", text: `nothing can be written to ${directory}: ${why}` };
  }
  times.sort((a, b) => a - b);
  const median = times[times.length >> 1] ?? 0;
  const worst = times.at(-1) ?? 0;
  return {
    check,
    state: median > SLOW_SYNC_MS ? "warning" : "ok",
    text: `fdatasync takes ${median.toFixed(1)} ms, at worst ${worst.toFixed(1)} ms: about as long as each confirmation`,
  };
}

function integrity(path: string, running: boolean): Finding {
  const check = "store";
  try {
    statSync(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    if (error.code === "ENOENT") return { check, state: "ok", text: `${path} is not there yet` };
    return { check, state: "problem", text: `${path} cannot be looked at: ${error.message}` };
  }
  if (running) return { check, state: "skipped", text: "it is in use by a broker, which checked it when it started" };
  try {
    const damage = damageOf(path);
    if (damage === undefined) return { check, state: "ok", text: `${path} is sound` };
    return { check, state: "problem", text: `${path} is damaged: ${damage}` };
  } catch (error) {
    return { check, state: "problem", text: error instanceof Error ? error.message : String(error) };
  }
}

function files(config: Config): Finding {
  const check = "open files";
  const names = Object.keys(config.listeners).filter((name) => listens(config, name));
  const connections = names.reduce((sum, name) => sum + (config.listeners[name]?.max_connections ?? 0), 0);
  const needed = connections + (config.management.enabled ? config.management.max_connections : 0) + OWN_FILES;
  let limits = "";
  try {
    limits = readFileSync("/proc/self/limits", "latin1");
  } catch {
    return { check, state: "skipped", text: "this system does not tell its limit" };
  }
  const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  return {
    check,
    state: limit < needed ? "warning" : "ok",
    text: `${limit} are allowed; with all connections that are (listeners.NAME.max_connections) ${needed} are needed`,
  };
}

function memory(config: Config): Finding {
  const usable = usableMemory();
  const { messages } = config.memory;
  return {
    check: "memory",
    state: messages > usable / 2 ? "warning" : "ok",
    text: `${bytesText(usable)} may be used; messages take up to ${formatQuantity("bytes", messages)} of it (memory.messages)`,
  };
}

async function clock(): Promise<Finding> {
  const check = "clock";
  const now = new Date();
  if (now.getTime() < EARLIEST) {
    return { check, state: "problem", text: `it says ${now.toISOString()}, which is before this release` };
  }
  try {
    const { stdout } = await run("timedatectl", ["show", "--property=NTPSynchronized", "--value"], { timeout: 2000 });
    const synchronized = stdout.trim() === "yes";
    return {
      check,
      state: synchronized ? "ok" : "warning",
      text: `${now.toISOString()}, ${synchronized ? "synchronized" : "not synchronized: expiry and schedules go by it"}`,
    };
  } catch {
    return { check, state: "skipped", text: `${now.toISOString()}; nothing here tells whether it is synchronized` };
  }
}
