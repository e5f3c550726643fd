import { statSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";

/** Their numbers in the journal are their places here. */
export const TABLES = [
  "meta",
  "queues",
  "sums",
  "doomed",
  "segments",
  "references",
  "packs",
  "states",
  "expiries",
  "records",
  "damaged",
] as const;

/** The tables of the data file; see `store.ts`. */
export type Table = (typeof TABLES)[number];

/** One thing to be written: a new value, or undefined to remove the key. The value's bytes must stay as they are. */
export interface Change {
  readonly table: Table;
  readonly key: Buffer;
  readonly value: Buffer | undefined;
}

/** A stretch of keys, `from` included, `to` excluded; backwards it starts at `from` and goes down to above `to`. */
export interface KeyRange {
  readonly from: Buffer;
  readonly to: Buffer;
  readonly backwards?: boolean;
}

/** A key and its value. */
export interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Tables of binary keys and values, read at once and written in atomic, synced commits. */
export interface Disk {
  /** Bytes of its files. */
  readonly bytes: number;
  /** Of these, bytes that are written again before the files grow; 0 for a disk that does not know. */
  readonly freeBytes?: number;
  /** The value in bytes of its own. */
  get(table: Table, key: Buffer): Buffer | undefined;
  /** Keys and values in order of key. */
  range(table: Table, range: KeyRange): Iterable<Entry>;
  /** Writes all or none; resolves when it is synced. */
  commit(changes: readonly Change[]): Promise<void>;
  /** Writes a copy of all that was committed before, and of no half of a commit, into a file that is not there yet. */
  backup?(path: string): Promise<void>;
  close(): Promise<void>;
}

const KIBI = 1024;
/** Address space taken at first; lmdb maps the file anew, twice as large, whenever it outgrows the map. */
const FIRST_MAP_BYTES = 64 * KIBI * KIBI;
/** Pages at the beginning of the file that are in no table. */
const META_PAGES = 2;
/** A key that is never there: removing it makes lmdb begin to write at once instead of in the next turn. */
const NUDGE = Buffer.from([0]);

/** The name of the data file in the directory. */
export const DATA_FILE = "delos.mdb";

const TABLE_OPTIONS = { encoding: "binary", keyEncoding: "binary", compression: false, cache: false } as const;

const WRITING = {
  // A commit's promise then means synced; and there is never a second commit that could overlap.
  overlappingSync: false,
  // With these two, and the nudge, a commit starts to be written at once.
  eventTurnBatching: false,
  txnStartThreshold: 1,
} as const;

/** The data file. */
export class LmdbDisk implements Disk {
  private readonly path: string;
  private readonly root: RootDatabase<Buffer, Buffer>;
  private readonly tables: ReadonlyMap<Table, Database<Buffer, Buffer>>;

  /** Opens the file or makes one; throws what lmdb throws. */
  constructor(directory: string) {
    this.path = join(directory, DATA_FILE);
    this.root = open<Buffer, Buffer>({
      path: this.path,
      ...TABLE_OPTIONS,
      maxDbs: TABLES.length,
      mapSize: FIRST_MAP_BYTES,
      ...WRITING,
    });
    this.tables = new Map(TABLES.map((name) => [name, this.root.openDB<Buffer, Buffer>({ name, ...TABLE_OPTIONS })]));
  }

  get bytes(): number {
    return statSync(this.path).size;
  }

  /** The file never shrinks: what was removed leaves pages for what comes. */
  get freeBytes(): number {
    const stats = this.root.getStats();
    const pageBytes = numberIn(stats, "pageSize");
    let used = META_PAGES + pagesIn(stats) + pagesIn("free" in stats ? stats.free : undefined);
    for (const table of this.tables.values()) used += pagesIn(table.getStats());
    return Math.max(0, numberIn(stats, "lastPageNumber") + 1 - used) * pageBytes;
  }

  get(table: Table, key: Buffer): Buffer | undefined {
    return this.table(table).getBinary(key);
  }

  range(table: Table, { from, to, backwards = false }: KeyRange): Iterable<Entry> {
    return this.table(table).getRange({ start: from, end: to, reverse: backwards });
  }

  async commit(changes: readonly Change[]): Promise<void> {
    const committed = this.root.batch(() => {
      for (const { table, key, value } of changes) {
        // Inside a batch these promises mean nothing: the batch's own tells.
        if (value === undefined) void this.table(table).remove(key);
        else void this.table(table).put(key, value);
      }
    });
    // Its failure is the batch's failure, which is reported below.
    this.table("meta")
      .remove(NUDGE)
      .catch(() => {});
    try {
      await committed;
    } catch (error) {
      throw await causeOf(error);
    }
  }

  /** Without the pages that are free. Those who write meanwhile need not wait. */
  backup(path: string): Promise<void> {
    return this.root.backup(path, true);
  }

  async close(): Promise<void> {
    await this.root.close();
  }

  private table(name: Table): Database<Buffer, Buffer> {
    const table = this.tables.get(name);
    if (table === undefined) throw new Error(`no table ${name}`);
    return table;
  }
}

function pagesIn(stats: unknown): number {
  return ["treeBranchPageCount", "treeLeafPageCount", "overflowPages"].reduce(
    (sum, name) => sum + numberIn(stats, name),
    0,
  );
}

/** lmdb does not say what its figures are called. */
function numberIn(stats: unknown, name: string): number {
  if (typeof stats !== "object" || stats === null) return 0;
  const value: unknown = Reflect.get(stats, name);
  return typeof value === "number" ? value : 0;
}

/** lmdb keeps the reason of a failed commit in a promise beside the error. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}
