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

/** A value whose type JavaScript would not give back: `new Typed("b", 5)` is a signed byte. */
export class Typed {
  /** The letter on the wire. */
  readonly type: string;
  readonly value: number | bigint | null | Buffer;

  constructor(type: string, value: number | bigint | null | Buffer) {
    this.type = type;
    this.value = value;
  }
}

/** A value without its type on the wire: timestamps as Date, decimals as numbers. */
export function plain(
  value: FieldValue,
): boolean | string | number | bigint | null | Buffer | Date | FieldTable | readonly FieldValue[] {
  throw new Error(String(value));
}

/** Reads the table whose length is at `at`; it must end at or before `end`. Throws `AmqpError` SYNTAX_ERROR. */
export function readTable(data: Buffer, at: number, end: number): FieldTable {
  throw new Error(String([data, at, end]));
}

/** Bytes of a table with its length. */
export function tableSize(table: FieldTable): number {
  throw new Error(String(table));
}

/** Writes a table with its length; returns where it ends. */
export function writeTable(target: Buffer, at: number, table: FieldTable): number {
  throw new Error(String([target, at, table]));
}
