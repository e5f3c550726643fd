import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DATA_FILE, type Disk, LmdbDisk } from "./disk.ts";
import { damageOf } from "./file-check.ts";
import { JournaledDisk } from "./journaled-disk.ts";
import { DirectoryLock } from "./lock.ts";
import { diskFull } from "./write-failure.ts";

/** The version of what `store.ts` describes. */
const FORMAT_VERSION = 3;
/** All that is in a file of this version means the same in the present one, which says more. */
const OLDER_VERSION = 2;
const VERSION_KEY = Buffer.from("version");

/** How the disk of a directory is made. */
export interface OpeningOptions {
  /** Told when what was confirmed cannot be applied to the data file. */
  readonly failed: (cause: unknown) => void;
  /** Makes the disk of the data file; for tests. */
  readonly openDisk?: (directory: string) => Disk;
  /** Makes the disk that commits go to, over the one with the journal; for tests. */
  readonly wrapDisk?: (disk: Disk) => Disk;
}

/** A directory that is open and locked. */
export interface OpenedDirectory {
  readonly disk: Disk;
  readonly release: () => Promise<void>;
  /** What is missing in the journal, a sentence each. */
  readonly damage: readonly string[];
}

/** Makes the directory if need be, locks it, opens its files; rejects with one sentence that says what is wrong. */
export async function openDirectory(directory: string, options: OpeningOptions): Promise<OpenedDirectory> {
  const { failed, openDisk = (path) => new LmdbDisk(path), wrapDisk = (disk) => disk } = options;
  prepare(directory);
  const lock = await taken(directory);
  let file: Disk | undefined;
  try {
    checkFile(join(directory, DATA_FILE));
    file = openDisk(directory);
    await checkVersion(file, directory);
    const { disk, damage } = await JournaledDisk.open(file, { directory, failed });
    return { disk: wrapDisk(disk), damage, release: () => lock.release() };
  } catch (error) {
    await file?.close();
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
  const found = value?.length === 4 ? value.readUInt32LE() : "unreadable";
  if (found === FORMAT_VERSION) return;
  if (value === undefined || found === OLDER_VERSION) {
    // First of all, so that an older release refuses the file before there is anything in it that it would misread.
    const version = Buffer.alloc(4);
    version.writeUInt32LE(FORMAT_VERSION);
    await disk.commit([{ table: "meta", key: VERSION_KEY, value: version }]);
    return;
  }
  throw new Refusal(
    `The data directory ${directory} has format version ${found}, but this release reads versions ${OLDER_VERSION} and ${FORMAT_VERSION}; run the release that wrote it or choose another directory with store.directory.`,
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
  if (diskFull(directory, text)) {
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
