import type { GroupCommit } from "../group-commit.ts";
import { CHECKSUM_BYTES, intact, seal } from "./checksum.ts";
import type { Change, Disk, KeyRange } from "./disk.ts";
import { overlaid, TableOverlay } from "./overlay.ts";

/** The longest key of lmdb. */
const KEY_BYTES = 1978;

/** Records by kind and key: what is on disk, and over it what is still to be written. */
export class SmallRecords {
  private readonly commits: GroupCommit;
  private readonly disk: () => Disk;
  private readonly damaged: (sentence: string) => void;
  private gathering = new TableOverlay();
  private writing = new TableOverlay();

  constructor(commits: GroupCommit, disk: () => Disk, damaged: (sentence: string) => void) {
    this.commits = commits;
    this.disk = disk;
    this.damaged = damaged;
  }

  put(kind: string, key: string, value: Uint8Array): void {
    const own = Buffer.allocUnsafe(CHECKSUM_BYTES + value.length);
    own.set(value, CHECKSUM_BYTES);
    this.say(wholeKey(kind, key), seal(own));
  }

  remove(kind: string, key: string): void {
    this.say(wholeKey(kind, key), undefined);
  }

  get(kind: string, key: string): Buffer | undefined {
    const whole = wholeKey(kind, key);
    const name = whole.toString("latin1");
    const pending = this.gathering.get(name) ?? this.writing.get(name);
    if (pending !== undefined) return pending.value && Buffer.from(pending.value.subarray(CHECKSUM_BYTES));
    const value = this.disk().get("records", whole);
    if (value === undefined) return undefined;
    if (intact(value)) return value.subarray(CHECKSUM_BYTES);
    this.damaged(`the record "${key}" of kind "${kind}" is damaged and was passed over`);
    return undefined;
  }

  *keys(kind: string, start: string): Generator<{ key: string; bytes: number }> {
    const prefix = wholeKey(kind, "");
    const to = Buffer.from(prefix);
    to[to.length - 1] = 1;
    const range: KeyRange = { from: wholeKey(kind, start), to };
    try {
      const written = overlaid(this.writing, this.disk().range("records", range), range);
      for (const { key, value } of overlaid(this.gathering, written, range)) {
        yield { key: key.toString("utf8", prefix.length), bytes: value.length - CHECKSUM_BYTES };
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.damaged(`not all keys of kind "${kind}" could be read: ${why}`);
    }
  }

  /** Hands what gathered to the batch that closes. */
  close(changes: Change[]): void {
    this.writing = this.gathering;
    this.gathering = new TableOverlay();
    for (const change of this.writing.changes) changes.push(change);
  }

  /** The batch is on disk. */
  written(): void {
    this.writing = new TableOverlay();
  }

  private say(key: Buffer, value: Buffer | undefined): void {
    const name = key.toString("latin1");
    const before = this.gathering.get(name);
    this.gathering.set(name, { table: "records", key, value });
    this.commits.say(weight(key, value) - (before === undefined ? 0 : weight(key, before.value)));
  }
}

function weight(key: Buffer, value: Buffer | undefined): number {
  return key.length + (value?.length ?? 0);
}

/** Kind, a zero byte, key. */
function wholeKey(kind: string, key: string): Buffer {
  if (kind === "" || kind.includes("\0")) throw new Error(`"${kind}" is no kind of record`);
  const whole = Buffer.from(`${kind}\0${key}`);
  if (whole.length > KEY_BYTES) {
    throw new Error(`the key of a record of kind "${kind}" has ${whole.length} bytes, the limit is ${KEY_BYTES}`);
  }
  return whole;
}
