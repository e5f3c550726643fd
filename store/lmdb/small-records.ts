import type { GroupCommit } from "../group-commit.ts";
import { CHECKSUM_BYTES, intact, seal } from "./checksum.ts";
import type { Change, Disk } from "./disk.ts";

/** The longest key of lmdb. */
const KEY_BYTES = 1978;

/** Values by their whole key in Latin-1, so that the order of keys is the order of bytes; undefined for removed. */
type Overlay = Map<string, Buffer | undefined>;

/** Records by kind and key: what is on disk, and over it what is still to be written. */
export class SmallRecords {
  private readonly commits: GroupCommit;
  private readonly disk: () => Disk;
  private readonly damaged: (sentence: string) => void;
  private gathering: Overlay = new Map();
  private writing: Overlay = new Map();

  constructor(commits: GroupCommit, disk: () => Disk, damaged: (sentence: string) => void) {
    this.commits = commits;
    this.disk = disk;
    this.damaged = damaged;
  }

  put(kind: string, key: string, value: Uint8Array): void {
    const name = wholeKey(kind, key);
    const own = Buffer.allocUnsafe(CHECKSUM_BYTES + value.length);
    own.set(value, CHECKSUM_BYTES);
    this.gathering.set(name, seal(own));
    this.commits.say(name.length + own.length);
  }

  remove(kind: string, key: string): void {
    const name = wholeKey(kind, key);
    this.gathering.set(name, undefined);
    this.commits.say(name.length);
  }

  get(kind: string, key: string): Buffer | undefined {
    const name = wholeKey(kind, key);
    const pending = this.pending(name);
    if (pending !== undefined) return pending.value && Buffer.from(pending.value.subarray(CHECKSUM_BYTES));
    const value = this.disk().get("records", Buffer.from(name, "latin1"));
    if (value === undefined) return undefined;
    if (intact(value)) return value.subarray(CHECKSUM_BYTES);
    this.damaged(`the record "${key}" of kind "${kind}" is damaged and was passed over`);
    return undefined;
  }

  *keys(kind: string): Generator<{ key: string; bytes: number }> {
    const prefix = wholeKey(kind, "");
    const waiting = this.waiting(prefix);
    let next = 0;
    const give = (name: string, value: Buffer): { key: string; bytes: number } => ({
      key: Buffer.from(name.slice(prefix.length), "latin1").toString(),
      bytes: value.length - CHECKSUM_BYTES,
    });
    const from = Buffer.from(prefix, "latin1");
    const to = Buffer.from(from);
    to[to.length - 1] = 1;
    for (const { key, value } of this.disk().range("records", { from, to })) {
      const name = key.toString("latin1");
      for (let over = waiting[next]; over !== undefined && over.name < name; over = waiting[++next]) {
        if (over.value !== undefined) yield give(over.name, over.value);
      }
      if (waiting[next]?.name !== name) yield give(name, value);
    }
    for (const { name, value } of waiting.slice(next)) if (value !== undefined) yield give(name, value);
  }

  /** Hands what gathered to the batch that closes. */
  close(changes: Change[]): void {
    this.writing = this.gathering;
    this.gathering = new Map();
    for (const [name, value] of this.writing) {
      changes.push({ table: "records", key: Buffer.from(name, "latin1"), value });
    }
  }

  /** The batch is on disk. */
  written(): void {
    this.writing = new Map();
  }

  private pending(name: string): { value: Buffer | undefined } | undefined {
    if (this.gathering.has(name)) return { value: this.gathering.get(name) };
    if (this.writing.has(name)) return { value: this.writing.get(name) };
    return undefined;
  }

  /** What is still to be written under a prefix, in order. */
  private waiting(prefix: string): { name: string; value: Buffer | undefined }[] {
    const names = new Map([...this.writing, ...this.gathering]);
    const found: { name: string; value: Buffer | undefined }[] = [];
    for (const [name, value] of names) if (name.startsWith(prefix)) found.push({ name, value });
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** Kind, a zero byte, key; as Latin-1 text whose characters are the bytes. */
function wholeKey(kind: string, key: string): string {
  if (kind === "" || kind.includes("\0")) throw new Error(`"${kind}" is no kind of record`);
  const name = Buffer.from(`${kind}\0${key}`).toString("latin1");
  if (name.length > KEY_BYTES) {
    throw new Error(`the key of a record of kind "${kind}" has ${name.length} bytes, the limit is ${KEY_BYTES}`);
  }
  return name;
}
