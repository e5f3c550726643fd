/*
 * One batch in the journal. The mark is the directory's own and known to nobody else, so that no message can be taken for
 * a record.
 *
 *     record   8 bytes mark, u32 CRC-32 of all that follows, u32 bytes of changes, u64 sequence, changes
 *     change   u8 table, u16 bytes of key, u32 bytes of value (all ones: the key is removed), key, value
 */
import { crc32 } from "node:zlib";
import { type Change, TABLES } from "./disk.ts";

/** Bytes of a mark. */
export const MARK_BYTES = 8;

const CRC_AT = MARK_BYTES;
const LENGTH_AT = CRC_AT + 4;
const SEQUENCE_AT = LENGTH_AT + 4;
const HEADER_BYTES = SEQUENCE_AT + 8;
const CHANGE_HEADER_BYTES = 7;
const REMOVED = 0xffff_ffff;
const TABLE_NUMBERS = new Map(TABLES.map((table, number) => [table, number]));

/** A record found in a journal file. */
export interface FoundRecord {
  readonly sequence: number;
  /** Its changes as they were written; for `decodeChanges`. */
  readonly changes: Buffer;
  /** Where the next one may begin. */
  readonly end: number;
}

/** The bytes that a record of these changes takes. */
export function recordBytes(changes: readonly Change[]): number {
  let bytes = HEADER_BYTES;
  for (const { key, value } of changes) bytes += CHANGE_HEADER_BYTES + key.length + (value?.length ?? 0);
  return bytes;
}

/** Writes a record at the beginning of `target`, which has `recordBytes` of room. */
export function writeRecord(target: Buffer, mark: Buffer, sequence: number, changes: readonly Change[]): void {
  let at = HEADER_BYTES;
  for (const { table, key, value } of changes) {
    target[at] = TABLE_NUMBERS.get(table) ?? 0;
    target.writeUInt16LE(key.length, at + 1);
    target.writeUInt32LE(value?.length ?? REMOVED, at + 3);
    target.set(key, at + CHANGE_HEADER_BYTES);
    at += CHANGE_HEADER_BYTES + key.length;
    if (value === undefined) continue;
    target.set(value, at);
    at += value.length;
  }
  target.set(mark);
  target.writeUInt32LE(at - HEADER_BYTES, LENGTH_AT);
  writeU64(target, sequence, SEQUENCE_AT);
  target.writeUInt32LE(crc32(target.subarray(LENGTH_AT, at)), CRC_AT);
}

/** The record at this offset, where a mark was found; undefined if it is not whole. */
export function readRecord(data: Buffer, at: number): FoundRecord | undefined {
  const from = at + HEADER_BYTES;
  if (from > data.length) return undefined;
  const end = from + data.readUInt32LE(at + LENGTH_AT);
  if (end > data.length) return undefined;
  if (crc32(data.subarray(at + LENGTH_AT, end)) !== data.readUInt32LE(at + CRC_AT)) return undefined;
  return { sequence: readU64(data, at + SEQUENCE_AT), changes: data.subarray(from, end), end };
}

/** The changes of a whole record; they refer to its bytes. */
export function decodeChanges(data: Buffer): Change[] {
  const changes: Change[] = [];
  let at = 0;
  while (at < data.length) {
    const table = TABLES[data.readUInt8(at)];
    if (table === undefined) throw new Error(`the journal names table ${data[at]}, but there are ${TABLES.length}`);
    const length = data.readUInt32LE(at + 3);
    const valueAt = at + CHANGE_HEADER_BYTES + data.readUInt16LE(at + 1);
    const end = length === REMOVED ? valueAt : valueAt + length;
    const key = data.subarray(at + CHANGE_HEADER_BYTES, valueAt);
    changes.push({ table, key, value: length === REMOVED ? undefined : data.subarray(valueAt, end) });
    at = end;
  }
  return changes;
}

/** Writes a whole number below 2^53 into eight bytes. */
export function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32LE(value % 2 ** 32, at);
  target.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

/** Reads what `writeU64` wrote. */
export function readU64(data: Buffer, at: number): number {
  return data.readUInt32LE(at) + data.readUInt32LE(at + 4) * 2 ** 32;
}
