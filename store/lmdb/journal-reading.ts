import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Change } from "./disk.ts";
import { decodeChanges, readRecord } from "./journal-record.ts";

const NAME = /^journal-(\d+)(\.damaged)?$/;

/** What the files of a journal say. */
export interface JournalContents {
  /** Changes of the batches after the given one, in order, without a gap. */
  readonly changes: readonly Change[];
  /** The last of these batches; the given one if there are none. */
  readonly last: number;
  /** The highest sequence of any record, those behind a gap included. */
  readonly highest: number;
  /** Files to be deleted once all that is in `changes` is safe elsewhere. */
  readonly files: readonly string[];
  /** Files with records behind a gap. */
  readonly damaged: readonly string[];
  /** What is wrong, in a sentence. */
  readonly damage: string | undefined;
  /** No file has this number or a higher one. */
  readonly nextFile: number;
}

/** Records by file, sorted by sequence. */
interface Placed {
  readonly sequence: number;
  readonly changes: Buffer;
  readonly file: string;
}

/**
 * Reads the journal of a directory beyond the batch `applied`. Only one record is ever being written, and only after all
 * before it are safe: one that is not whole and has none behind it was never confirmed and does not count, while one that
 * has others behind it was, and is missed.
 */
export function readJournal(directory: string, mark: Buffer, applied: number): JournalContents {
  const names = readdirSync(directory).flatMap((name) => NAME.exec(name) ?? []);
  const numbers = names.map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  const files = names.filter((name) => NAME.exec(name)?.[2] === undefined && NAME.test(name));
  const records = files.flatMap((file) => recordsOf(join(directory, file), file, mark, applied));
  records.sort((a, b) => a.sequence - b.sequence);
  const changes: Change[] = [];
  let last = applied;
  let taken = 0;
  for (const record of records) {
    if (record.sequence !== last + 1) break;
    for (const change of decodeChanges(record.changes)) changes.push(change);
    last = record.sequence;
    taken++;
  }
  const behind = records.slice(taken);
  const damaged = [...new Set(behind.map(({ file }) => file))];
  const highest = behind.at(-1)?.sequence ?? last;
  return {
    changes,
    last,
    highest,
    files: files.filter((file) => !damaged.includes(file)),
    damaged,
    damage: behind.length === 0 ? undefined : gap(last + 1, behind, damaged),
    nextFile: Math.max(0, ...numbers) + 1,
  };
}

function gap(missing: number, behind: readonly Placed[], files: readonly string[]): string {
  const [first] = behind;
  const until = first === undefined || first.sequence - 1 === missing ? "" : ` to ${first.sequence - 1}`;
  return `the journal lacks batch ${missing}${until}: it and the ${behind.length} after it were set aside as ${files.map((file) => `${file}.damaged`).join(", ")}`;
}

function recordsOf(path: string, file: string, mark: Buffer, applied: number): Placed[] {
  const data = readFileSync(path);
  const found: Placed[] = [];
  for (let at = data.indexOf(mark); at >= 0; ) {
    const record = readRecord(data, at);
    // Behind the last record lie older ones of an earlier use of the file.
    if (record !== undefined && record.sequence > applied) found.push({ ...record, file });
    at = data.indexOf(mark, record?.end ?? at + mark.length);
  }
  return found;
}
