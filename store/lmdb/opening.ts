import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DATA_FILE, Disk } from "./disk.ts";
import { damageOf } from "./file-check.ts";
import { DirectoryLock } from "./lock.ts";

/** The version of what `store.ts` describes. */
const FORMAT_VERSION = 1;
const VERSION_KEY = Buffer.from("version");

/** Makes the directory if need be, locks it, opens its data file; rejects with one sentence that says what is wrong. */
export async function openDirectory(
  directory: string,
  openDisk: (directory: string) => Disk = (path) => new Disk(path),
): Promise<{ disk: Disk; release: () => Promise<void> }> {
  prepare(directory);
  const lock = await taken(directory);
  let disk: Disk | undefined;
  try {
    checkFile(join(directory, DATA_FILE));
    disk = openDisk(directory);
    await checkVersion(disk, directory);
    return { disk, release: () => lock.release() };
  } catch (error) {
    await disk?.close();
    await lock.release();
    throw explain(directory, error);
  }
}

function prepare(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
    if (statSync(directory).isDirectory()) return;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw explain(directory, error);
  }
  throw new Error(`The data directory ${directory} is not a directory; choose another with store.directory.`);
}

async function taken(directory: string): Promise<DirectoryLock> {
  try {
    return await DirectoryLock.take(directory);
  } catch (error) {
    throw explain(directory, error);
  }
}

function checkFile(path: string): void {
  const damage = existsSync(path) ? damageOf(path) : undefined;
  if (damage === undefined) return;
  throw new Refusal(
    `The data file ${path} is damaged: ${damage}. Restore it, or move it away to start empty, or choose another directory with store.directory.`,
  );
}

async function checkVersion(disk: Disk, directory: string): Promise<void> {
  const value = disk.get("meta", VERSION_KEY);
  if (value === undefined) {
    const version = Buffer.alloc(4);
    version.writeUInt32LE(FORMAT_VERSION);
    await disk.commit([{ table: "meta", key: VERSION_KEY, value: version }]);
    return;
  }
  const found = value.length === 4 ? value.readUInt32LE() : "unreadable";
  if (found === FORMAT_VERSION) return;
  throw new Refusal(
    `The data directory ${directory} has format version ${found}, but this release reads version ${FORMAT_VERSION}; run the release that wrote it or choose another directory with store.directory.`,
  );
}

/** A sentence that needs no more explanation. */
class Refusal extends Error {}

function explain(directory: string, error: unknown): Error {
  if (error instanceof Refusal) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (text.includes("store.directory")) return new Error(text, { cause: error });
  const code = codeOf(error);
  const hint = "choose another with store.directory";
  if (code === "EACCES" || code === "EPERM" || /permission denied/i.test(text)) {
    return new Error(`The data directory ${directory} may not be written by this process; allow it or ${hint}.`, {
      cause: error,
    });
  }
  if (code === "ENOSPC" || /no space left/i.test(text)) {
    return new Error(`The disk of the data directory ${directory} is full; make room or ${hint}.`, { cause: error });
  }
  if (code === "ENOTDIR") {
    return new Error(`The data directory ${directory} lies below a file that is not a directory; ${hint}.`, {
      cause: error,
    });
  }
  return new Error(`The data file ${join(directory, DATA_FILE)} cannot be opened (${text}); restore it or ${hint}.`, {
    cause: error,
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
