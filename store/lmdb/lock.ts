import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";

const LOCK_FILE = "lock.mdb";
const OWNER_FILE = "lock";

/**
 * Keeps other processes out of a directory. It is lmdb's table of readers in a small file of its own: a process in it
 * holds a lock of the kernel on its own number, which ends with the process however it ends, and which a stranger that
 * was given the same number does not have.
 */
export class DirectoryLock {
  private readonly directory: string;
  private readonly root: RootDatabase<Buffer, Buffer>;

  private constructor(directory: string, root: RootDatabase<Buffer, Buffer>) {
    this.directory = directory;
    this.root = root;
  }

  /** Takes the lock; rejects with a sentence if somebody has it. */
  static async take(directory: string): Promise<DirectoryLock> {
    const owner = ownerOf(directory);
    // A second lock in one process must not even be tried: closing its file would give up the first one's locks.
    if (owner.instance === thisInstance()) throw inUse(directory, process.pid);
    const root = open<Buffer, Buffer>({
      path: join(directory, LOCK_FILE),
      encoding: "binary",
      keyEncoding: "binary",
      maxDbs: 1,
      overlappingSync: false,
    });
    let other: number | undefined;
    try {
      // Reading takes a place in the table; the list is read after that, so that of two at least one sees the other.
      root.get(Buffer.from("owner"));
      root.readerCheck();
      other = readers(root.readerList()).find((pid) => pid !== process.pid);
    } catch {
      // A process of the same number in another container has the place.
      other = owner.pid;
    }
    if (other !== undefined) {
      await root.close();
      throw inUse(directory, other);
    }
    writeFileSync(join(directory, OWNER_FILE), `${process.pid} ${thisInstance()}\n`);
    return new DirectoryLock(directory, root);
  }

  async release(): Promise<void> {
    rmSync(join(this.directory, OWNER_FILE), { force: true });
    await this.root.close();
  }
}

/** Tells this process from another one with the same number. */
function thisInstance(): string {
  return performance.timeOrigin.toFixed(3);
}

function ownerOf(directory: string): { pid: number; instance: string | undefined } {
  let text = "";
  try {
    text = readFileSync(join(directory, OWNER_FILE), "utf8");
  } catch {
    // There is none, or it is not readable: the lock itself decides.
  }
  const [pid, instance] = text.trim().split(" ");
  return { pid: Number(pid ?? 0), instance };
}

/** The process numbers in lmdb's printed table: `pid thread txnid` under a heading. */
function readers(list: string): number[] {
  const pids: number[] = [];
  for (const line of list.split("\n")) {
    const pid = Number.parseInt(line.trim(), 10);
    if (pid > 0) pids.push(pid);
  }
  return pids;
}

function inUse(directory: string, pid: number): Error {
  return new Error(
    `The data directory ${directory} is in use by process ${pid}; stop it or choose another with store.directory.`,
  );
}
