import {
  closeSync,
  copyFileSync,
  createWriteStream,
  existsSync,
  fsyncSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
} from "node:fs";
import { readdir, rename, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { damageOf } from "../../store/lmdb/file-check.ts";
import { DATA_FILE } from "../../store/lmdb/disk.ts";
import { DirectoryLock } from "../../store/lmdb/lock.ts";
import { loadConfig } from "../config/load.ts";
import { CONFIG_HELP, CONFIG_OPTIONS, complain, EXIT, print, readOptions } from "./arguments.ts";
import { type Seal, Sealing, sealOf } from "./backup-seal.ts";
import type { Command } from "./commands.ts";
import { ManagementClient, REMOTE_HELP, REMOTE_OPTIONS } from "./management-client.ts";
import { ManagementError } from "./management-error.ts";
import { configSources } from "./sources.ts";
import { jsonText } from "./text-table.ts";

/** The files of a store: its data, and the journals that belong to these data and to no others. */
const STORE_FILE = /^(delos\.mdb(?!\.restoring)|journal-)/;

/** `delos backup`: a copy of all that a running broker has stored. */
export const backup: Command = {
  help: `Usage: delos backup FILE [OPTIONS]

Writes a copy of all that a running broker has stored into FILE, which must not be there. The copy is consistent:
it has everything that was confirmed before the command began, and the broker goes on meanwhile. It holds messages
with their bodies and hashes of passwords: keep it as safe as the broker. The configuration is not in it.

${REMOTE_HELP}`,

  async run(args) {
    const { values, positionals } = readOptions(args, REMOTE_OPTIONS, ["FILE"]);
    const file = resolve(positionals[0] ?? "");
    if (existsSync(file)) {
      complain(`delos backup: ${file} is there already; choose another name`);
      return EXIT.usage;
    }
    const client = await ManagementClient.open(values);
    // Nobody else's, and none that a run before this one has left.
    const part = `${file}.${process.pid}.part`;
    const stopped = new AbortController();
    const stop = (): void => stopped.abort(new Error("it was interrupted"));
    process.once("SIGINT", stop).once("SIGTERM", stop);
    try {
      const reply = await client.download("POST", "/backup");
      const sealing = new Sealing();
      await pipeline(reply, sealing, createWriteStream(part, { flags: "wx", mode: 0o600 }), { signal: stopped.signal });
      const expected = Number(reply.headers["content-length"]);
      if (sealing.size !== expected) throw new Error(`${sealing.size} bytes of ${expected} came`);
      const damage = damageOf(part);
      if (damage !== undefined) throw new Error(`the copy is damaged: ${damage}`);
      sync(part);
      publish(part, file);
      sync(dirname(file));
      if (values.json) print(jsonText({ file, bytes: sealing.size }));
      else print(`${file}: ${sealing.size} bytes`);
      return EXIT.ok;
    } catch (error) {
      if (error instanceof ManagementError) throw error;
      const why = stopped.signal.aborted
        ? "it was interrupted"
        : error instanceof Error
          ? error.message
          : String(error);
      complain(`delos backup: ${why}; there is no copy`);
      return EXIT.failed;
    } finally {
      rmSync(part, { force: true });
    }
  },
};

/** Gives it its name, and never takes the place of a file that has come meanwhile, where the disk can do so. */
function publish(part: string, file: string): void {
  try {
    linkSync(part, file);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && ["EPERM", "ENOTSUP", "ENOSYS"].includes(String(error.code)))) {
      throw error;
    }
    renameSync(part, file);
  }
}

/** `delos restore`: puts a copy in the place of what a broker has stored. */
export const restore: Command = {
  help: `Usage: delos restore FILE [OPTIONS]

Puts a copy that "delos backup" made into the directory of the store, of which the configuration says where it is
(store.directory). The broker must not run. What is there is kept in a folder of that directory.

${CONFIG_HELP}
      --force        also when the directory holds a store; it is moved into the folder before-TIME`,

  async run(args) {
    const { values, positionals } = readOptions(
      args,
      { ...CONFIG_OPTIONS, force: { type: "boolean", default: false } },
      ["FILE"],
    );
    const file = resolve(positionals[0] ?? "");
    const loaded = loadConfig(configSources(values));
    if (!loaded.ok) {
      complain(...loaded.problems);
      return EXIT.usage;
    }
    const { kind, directory } = loaded.config.store;
    if (kind === "memory") {
      complain("delos restore: the store is in memory only (store.kind): there is no place for a copy");
      return EXIT.usage;
    }
    try {
      const kept = await restoreInto(directory, file, values.force);
      print(`${join(directory, DATA_FILE)} is now the copy`);
      if (kept !== undefined) print(`What was there is in ${kept}; delete it when you do not need it any more`);
      return EXIT.ok;
    } catch (error) {
      complain(`delos restore: ${error instanceof Error ? error.message : String(error)}`);
      return EXIT.failed;
    }
  },
};

/** Returns where the store is by now that was there. */
async function restoreInto(directory: string, file: string, force: boolean): Promise<string | undefined> {
  const size = (await stat(file)).size;
  const seal = size === 0 ? undefined : await sealOf(file);
  const damage = damageIn(file, size, seal);
  if (damage !== undefined) throw new Error(`${file} is no copy of a store, or damaged: ${damage}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = await DirectoryLock.take(directory);
  try {
    const old = (await readdir(directory)).filter((name) => STORE_FILE.test(name));
    if (old.length > 0 && !force) throw new Error(`${directory} holds a store; --force moves it aside`);
    // First beside it and on the disk: whatever fails until then, the old one is still in its place.
    const fresh = join(directory, `${DATA_FILE}.restoring`);
    try {
      copyFileSync(file, fresh);
      if (seal !== undefined) truncateSync(fresh, seal.size);
      sync(fresh);
    } catch (error) {
      rmSync(fresh, { force: true });
      throw error;
    }
    const kept = join(directory, `before-${new Date().toISOString().replaceAll(":", "")}`);
    if (old.length > 0) mkdirSync(kept, { mode: 0o700 });
    for (const name of old) await rename(join(directory, name), join(kept, name));
    await rename(fresh, join(directory, DATA_FILE));
    sync(directory);
    return old.length > 0 ? kept : undefined;
  } finally {
    await lock.release();
    give(directory);
  }
}

/** In a few words what is wrong with a copy; undefined when nothing is. */
function damageIn(file: string, size: number, seal: Seal | undefined): string | undefined {
  if (size === 0) return "it is empty";
  if (seal?.broken === true) return "it is not what was backed up any more (its checksum is another one)";
  return damageOf(file);
}

/** What root has made belongs to whoever the directory belongs to: the broker does not run as root. */
function give(directory: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = lstatSync(directory);
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const path = join(directory, name);
    if (lstatSync(path).uid === 0) lchownSync(path, uid, gid);
  }
}

function sync(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
