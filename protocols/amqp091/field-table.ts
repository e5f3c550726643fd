/*
 * Field tables (4.2.5.5), with the types that RabbitMQ and its clients write; where the specification says otherwise, they
 * do not do as it says.
 *
 *     length, 4 bytes | name, a short string | type, a letter | value | name ...
 *
 *     t boolean     b B  8 bit, signed and unsigned     f d  float, double     S  text, or any bytes     A  array of values
 *     V nothing     s u 16 bit (U as s)                 D    decimal           x  bytes                  F  table
 *     n as V        I i 32 bit   l 64 bit, signed (L)   T    time, seconds
 */
import { readU16, readU32, writeU32 } from "./bytes.ts";
import { type AmqpError, syntaxError } from "./errors.ts";
import { readText, shortSize, writeLong, writeShort } from "./strings.ts";

/** A value of a field table: what JavaScript tells apart as it is, everything else with its type in a `Typed`. */
export type FieldValue =
  | boolean
  | string
  | number
  | bigint
  | null
  | Buffer
  | Typed
  | FieldTable
  | readonly FieldValue[];

/** A field table: names, at most 255 bytes each, and values. */
export type FieldTable = ReadonlyMap<string, FieldValue>;

/** What a value is when its type on the wire does not matter. */
export type PlainValue = Exclude<FieldValue, Typed> | Date;

/** A value whose type JavaScript would not give back: `new Typed("b", 5)` is a signed byte. */
export class Typed {
  /** The letter on the wire. */
  readonly type: string;
  /** A decimal has its five bytes, a text that is not UTF-8 those it is made of. */
  readonly value: number | bigint | null | Buffer;

  constructor(type: string, value: number | bigint | null | Buffer) {
    this.type = type;
    this.value = value;
  }
}

/** Tables and arrays in each other; whoever sends more wants to break something. */
const MOST_DEPTH = 64;

const LETTER = {
  array: 65,
  unsignedByte: 66,
  decimal: 68,
  table: 70,
  int: 73,
  longOfSpecification: 76,
  text: 83,
  time: 84,
  shortOfSpecification: 85,
  nothing: 86,
  byte: 98,
  double: 100,
  float: 102,
  unsignedInt: 105,
  long: 108,
  nothingElse: 110,
  short: 115,
  boolean: 116,
  unsignedShort: 117,
  bytes: 120,
} as const;

/** Bytes of the values that always have as many; -1: their length is written; -2: no such type. */
const FIXED: readonly number[] = Array.from({ length: 256 }, (_, letter) => {
  switch (letter) {
    case LETTER.nothing:
    case LETTER.nothingElse:
      return 0;
    case LETTER.boolean:
    case LETTER.byte:
    case LETTER.unsignedByte:
      return 1;
    case LETTER.short:
    case LETTER.shortOfSpecification:
    case LETTER.unsignedShort:
      return 2;
    case LETTER.int:
    case LETTER.unsignedInt:
    case LETTER.float:
      return 4;
    case LETTER.decimal:
      return 5;
    case LETTER.long:
    case LETTER.longOfSpecification:
    case LETTER.double:
    case LETTER.time:
      return 8;
    case LETTER.text:
    case LETTER.bytes:
    case LETTER.array:
    case LETTER.table:
      return -1;
    default:
      return -2;
  }
});

/** A value without its type on the wire: times as Date, decimals as numbers. */
export function plain(value: FieldValue): PlainValue {
  if (!(value instanceof Typed)) return value;
  const { type, value: bare } = value;
  if (type === "T") return new Date(Number(bare) * 1000);
  if (type === "D" && Buffer.isBuffer(bare)) return bare.readUInt32BE(1) / 10 ** (bare[0] ?? 0);
  return bare;
}

/**
 * Checks the table whose length is at `at`, with all that is in it, without reading it; returns where it ends. What passes
 * here never fails to be read. Throws `AmqpError` SYNTAX_ERROR.
 */
export function checkTable(data: Buffer, at: number, end: number, depth = 0): number {
  const tableEnd = lengthOf(data, at, end, "a table");
  if (depth === MOST_DEPTH) throw tooDeep();
  for (let from = at + 4; from < tableEnd; ) {
    from += 1 + (data[from] ?? 0);
    if (from >= tableEnd) throw endsWithin("a name");
    from = checkValue(data, from, tableEnd, depth);
  }
  return tableEnd;
}

function checkValue(data: Buffer, at: number, end: number, depth: number): number {
  const letter = data[at] ?? 0;
  const fixed = FIXED[letter] ?? -2;
  if (fixed >= 0) {
    if (at + 1 + fixed > end) throw endsWithin("a value");
    return at + 1 + fixed;
  }
  if (letter === LETTER.table) return checkTable(data, at + 1, end, depth + 1);
  if (fixed === -2) throw unknownType(letter);
  const valueEnd = lengthOf(data, at + 1, end, "a value");
  if (letter !== LETTER.array) return valueEnd;
  if (depth + 1 === MOST_DEPTH) throw tooDeep();
  for (let from = at + 5; from < valueEnd; ) from = checkValue(data, from, valueEnd, depth + 1);
  return valueEnd;
}

/** Reads the table whose length is at `at`; it must end at or before `end`. Throws `AmqpError` SYNTAX_ERROR. */
export function readTable(data: Buffer, at: number, end: number): FieldTable {
  checkTable(data, at, end);
  return tableAt(data, at);
}

/** The table whose length is at `at`, which `checkTable` has seen. The first value of each name counts. */
export function tableAt(data: Buffer, at: number): FieldTable {
  const table = new Map<string, FieldValue>();
  const end = at + 4 + readU32(data, at);
  for (let from = at + 4; from < end; ) {
    const nameEnd = from + 1 + (data[from] ?? 0);
    const name = data.toString("utf8", from + 1, nameEnd);
    if (!table.has(name)) table.set(name, valueAt(data, nameEnd));
    from = afterValue(data, nameEnd);
  }
  return table;
}

/** The value whose type is at `at`, which `checkTable` has seen. */
export function valueAt(data: Buffer, at: number): FieldValue {
  const from = at + 1;
  switch (data[at]) {
    case LETTER.boolean:
      return data[from] !== 0;
    case LETTER.text: {
      const end = from + 4 + readU32(data, from);
      return readText(data, from + 4, end) ?? new Typed("S", copy(data, from + 4, end));
    }
    case LETTER.bytes:
      return copy(data, from + 4, from + 4 + readU32(data, from));
    case LETTER.table:
      return tableAt(data, from);
    case LETTER.array:
      return arrayAt(data, from);
    case LETTER.nothing:
      return null;
    default:
      return numberAt(data, at);
  }
}

/** The place after the value whose type is at `at`, which `checkTable` has seen. */
export function afterValue(data: Buffer, at: number): number {
  const fixed = FIXED[data[at] ?? 0] ?? 0;
  return fixed >= 0 ? at + 1 + fixed : at + 5 + readU32(data, at + 1);
}

/** Where the type stands of the value of this name, in a table that `checkTable` has seen; -1: there is none. */
export function findField(data: Buffer, tableStart: number, name: Buffer): number {
  const end = tableStart + 4 + readU32(data, tableStart);
  for (let from = tableStart + 4; from < end; ) {
    const length = data[from] ?? 0;
    const at = from + 1 + length;
    if (length === name.length && isName(data, from + 1, name)) return at;
    from = afterValue(data, at);
  }
  return -1;
}

function isName(data: Buffer, at: number, name: Buffer): boolean {
  for (let i = 0; i < name.length; i++) if (data[at + i] !== name[i]) return false;
  return true;
}

function arrayAt(data: Buffer, at: number): readonly FieldValue[] {
  const values: FieldValue[] = [];
  const end = at + 4 + readU32(data, at);
  for (let from = at + 4; from < end; from = afterValue(data, from)) values.push(valueAt(data, from));
  return values;
}

/** What is written by `valueSize` and `writeValue` with the same type is left as it is. */
function numberAt(data: Buffer, at: number): FieldValue {
  const from = at + 1;
  const letter = data[at] ?? 0;
  const type = String.fromCharCode(letter);
  switch (letter) {
    case LETTER.int:
      return data.readInt32BE(from);
    case LETTER.long: {
      const value = data.readBigInt64BE(from);
      const number = Number(value);
      if (!Number.isSafeInteger(number)) return value;
      return number === (number | 0) ? new Typed(type, number) : number;
    }
    case LETTER.double: {
      const value = data.readDoubleBE(from);
      return isWhole(value) ? new Typed(type, value) : value;
    }
    case LETTER.byte:
      return new Typed(type, data.readInt8(from));
    case LETTER.unsignedByte:
      return new Typed(type, data[from] ?? 0);
    case LETTER.short:
    case LETTER.shortOfSpecification:
      return new Typed(type, data.readInt16BE(from));
    case LETTER.unsignedShort:
      return new Typed(type, readU16(data, from));
    case LETTER.unsignedInt:
      return new Typed(type, readU32(data, from));
    case LETTER.float:
      return new Typed(type, data.readFloatBE(from));
    case LETTER.longOfSpecification:
      return new Typed(type, narrow(data.readBigInt64BE(from)));
    case LETTER.time:
      return new Typed(type, narrow(data.readBigUInt64BE(from)));
    case LETTER.decimal:
      return new Typed(type, copy(data, from, from + 5));
    default:
      return new Typed(type, null);
  }
}

/** Bytes of a table with its length. */
export function tableSize(table: FieldTable): number {
  let size = 4;
  for (const [name, value] of table) size += shortSize(name) + valueSize(value);
  return size;
}

/** Writes a table with its length; returns where it ends. */
export function writeTable(target: Buffer, at: number, table: FieldTable): number {
  let to = at + 4;
  for (const [name, value] of table) to = writeValue(target, writeShort(target, to, name), value);
  writeU32(target, at, to - at - 4);
  return to;
}

/** Bytes of a value with its type. */
function valueSize(value: FieldValue): number {
  if (value === null) return 1;
  switch (typeof value) {
    case "boolean":
      return 2;
    case "string":
      return 5 + Buffer.byteLength(value);
    case "number":
      return isWhole(value) && value === (value | 0) ? 5 : 9;
    case "bigint":
      return 9;
    default:
      break;
  }
  if (Buffer.isBuffer(value)) return 5 + value.length;
  if (value instanceof Typed) return typedSize(value);
  if (isTable(value)) return 1 + tableSize(value);
  return value.reduce<number>((size, item) => size + valueSize(item), 5);
}

function typedSize({ type, value }: Typed): number {
  const fixed = FIXED[type.charCodeAt(0)] ?? 0;
  return fixed >= 0 ? 1 + fixed : 5 + (Buffer.isBuffer(value) ? value.length : 0);
}

function writeValue(target: Buffer, at: number, value: FieldValue): number {
  const to = at + 1;
  if (value === null) {
    target[at] = LETTER.nothing;
    return to;
  }
  switch (typeof value) {
    case "boolean":
      target[at] = LETTER.boolean;
      target[to] = value ? 1 : 0;
      return to + 1;
    case "string":
      target[at] = LETTER.text;
      return writeLong(target, to, value);
    case "number":
      return writeNumber(target, at, value);
    case "bigint":
      target[at] = LETTER.long;
      return target.writeBigInt64BE(BigInt.asIntN(64, value), to);
    default:
      break;
  }
  if (Buffer.isBuffer(value)) return writeBytes(target, at, LETTER.bytes, value);
  if (value instanceof Typed) return writeTyped(target, at, value);
  if (isTable(value)) {
    target[at] = LETTER.table;
    return writeTable(target, to, value);
  }
  target[at] = LETTER.array;
  const end = value.reduce<number>((place, item) => writeValue(target, place, item), to + 4);
  writeU32(target, to, end - to - 4);
  return end;
}

function writeNumber(target: Buffer, at: number, value: number): number {
  if (!isWhole(value)) {
    target[at] = LETTER.double;
    return target.writeDoubleBE(value, at + 1);
  }
  if (value === (value | 0)) {
    target[at] = LETTER.int;
    return writeU32(target, at + 1, value);
  }
  target[at] = LETTER.long;
  return target.writeBigInt64BE(BigInt(value), at + 1);
}

function writeTyped(target: Buffer, at: number, { type, value }: Typed): number {
  const letter = type.charCodeAt(0);
  if (Buffer.isBuffer(value)) {
    if (letter !== LETTER.decimal) return writeBytes(target, at, letter, value);
    target[at] = letter;
    return at + 1 + value.copy(target, at + 1, 0, 5);
  }
  target[at] = letter;
  const number = Number(value);
  switch (letter) {
    case LETTER.float:
      return target.writeFloatBE(number, at + 1);
    case LETTER.double:
      return target.writeDoubleBE(number, at + 1);
    default:
      return writeInteger(target, at + 1, FIXED[letter] ?? 0, value);
  }
}

/** Integers by their bytes: signed and unsigned ones look the same. */
function writeInteger(target: Buffer, at: number, bytes: number, value: number | bigint | null): number {
  if (bytes === 8) return target.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value ?? 0)), at);
  let rest = Number(value);
  for (let to = at + bytes - 1; to >= at; to--) {
    target[to] = rest;
    rest >>= 8;
  }
  return at + bytes;
}

function writeBytes(target: Buffer, at: number, letter: number, value: Buffer): number {
  target[at] = letter;
  return writeU32(target, at + 1, value.length) + value.copy(target, at + 5);
}

function isTable(value: FieldTable | readonly FieldValue[]): value is FieldTable {
  return !Array.isArray(value);
}

/** Whether a number is written as an integer. */
function isWhole(value: number): boolean {
  return Number.isSafeInteger(value) && !Object.is(value, -0);
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** What is kept of a chunk must not keep the chunk. */
function copy(data: Buffer, start: number, end: number): Buffer {
  return Buffer.from(data.subarray(start, end));
}

/** Where what is at `at` ends, by its length of 4 bytes. */
function lengthOf(data: Buffer, at: number, end: number, what: string): number {
  if (at + 4 > end) throw endsWithin(`the length of ${what}`);
  const length = readU32(data, at);
  if (length > end - at - 4) {
    throw syntaxError(`${what} in a field table says it has ${length} bytes; ${end - at - 4} are left`);
  }
  return at + 4 + length;
}

function endsWithin(what: string): AmqpError {
  return syntaxError(`a field table ends within ${what}`);
}

function tooDeep(): AmqpError {
  return syntaxError(`a field table has more than ${MOST_DEPTH} tables and arrays in each other`);
}

function unknownType(letter: number): AmqpError {
  const sign = letter > 32 && letter < 127 ? String.fromCharCode(letter) : `0x${letter.toString(16)}`;
  return syntaxError(
    `a value in a field table has type ${sign}; expected one of A B D F I L S T U V b d f i l n s t u x`,
  );
}
