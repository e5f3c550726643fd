/*
 * The types of AMQP 1.0 (part 1) as values of JavaScript. Each type has a form of its own, so that a value that was read
 * is written as the same type again:
 *
 *     null, boolean, string    as they are               binary     Buffer
 *     int                      number                    long       bigint
 *     double                   number; a Scalar when it is a whole number that an int holds
 *     list                     array                     map        Map
 *     array                    TypedArray                described  Described
 *     everything else          Scalar
 */

/** A type of which JavaScript has no values of its own. */
export type ScalarType =
  | "ubyte"
  | "ushort"
  | "uint"
  | "ulong"
  | "byte"
  | "short"
  | "float"
  | "double"
  | "char"
  | "timestamp"
  | "uuid"
  | "symbol"
  | "decimal32"
  | "decimal64"
  | "decimal128";

/** A value of a type that JavaScript does not tell from others. */
export class Scalar {
  readonly type: ScalarType;
  /** bigint for ulong and timestamp; Buffer for uuid and decimals; string for symbol; number, a code point for char. */
  readonly value: number | bigint | string | Buffer;

  constructor(type: ScalarType, value: number | bigint | string | Buffer) {
    this.type = type;
    this.value = value;
  }
}

/** A value with a descriptor, most often a symbol or a ulong. */
export class Described {
  readonly descriptor: Value;
  readonly value: Value;

  constructor(descriptor: Value, value: Value) {
    this.descriptor = descriptor;
    this.value = value;
  }
}

/** An array: values of one type, and the constructor's code, which says which even where there are none. */
export class TypedArray {
  readonly code: number;
  readonly items: readonly Value[];
  /** Of each of its items. */
  readonly descriptor: Value | undefined;

  constructor(code: number, items: readonly Value[], descriptor?: Value) {
    this.code = code;
    this.items = items;
    this.descriptor = descriptor;
  }
}

/** A value of AMQP 1.0. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Scalar
  | Described
  | TypedArray
  | readonly Value[]
  | ReadonlyMap<Value, Value>;

/** The codes of the constructors (1.6). */
export const CODE = {
  described: 0x00,
  null: 0x40,
  true: 0x41,
  false: 0x42,
  uint0: 0x43,
  ulong0: 0x44,
  list0: 0x45,
  ubyte: 0x50,
  byte: 0x51,
  smallUint: 0x52,
  smallUlong: 0x53,
  smallInt: 0x54,
  smallLong: 0x55,
  boolean: 0x56,
  ushort: 0x60,
  short: 0x61,
  uint: 0x70,
  int: 0x71,
  float: 0x72,
  char: 0x73,
  decimal32: 0x74,
  ulong: 0x80,
  long: 0x81,
  double: 0x82,
  timestamp: 0x83,
  decimal64: 0x84,
  decimal128: 0x94,
  uuid: 0x98,
  binary8: 0xa0,
  string8: 0xa1,
  symbol8: 0xa3,
  binary32: 0xb0,
  string32: 0xb1,
  symbol32: 0xb3,
  list8: 0xc0,
  map8: 0xc1,
  list32: 0xd0,
  map32: 0xd1,
  array8: 0xe0,
  array32: 0xf0,
} as const;

/** Values may stand inside one another so deep, descriptors counted too. */
export const MOST_DEPTH = 64;

/** A symbol. */
export function symbol(text: string): Scalar {
  return new Scalar("symbol", text);
}

/** An array of symbols. */
export function symbols(texts: readonly string[]): TypedArray {
  const long = texts.some((text) => text.length > 255);
  return new TypedArray(long ? CODE.symbol32 : CODE.symbol8, texts.map(symbol));
}

/** Whether a number is written as an int. */
export function isInt(value: number): boolean {
  return value === (value | 0) && !Object.is(value, -0);
}

/**
 * The same in values that the core knows: symbols, chars and uuids as texts, timestamps as Date, decimals as their bytes,
 * 64 bits as bigint only where a number is not exact.
 */
export function plain(value: Value): unknown {
  if (value === null || typeof value !== "object") return typeof value === "bigint" ? shortest(value) : value;
  if (value instanceof Scalar) return plainScalar(value);
  if (value instanceof Described) return plain(value.value);
  if (value instanceof TypedArray) return value.items.map(plain);
  if (value instanceof Uint8Array) return value;
  if (value instanceof Map) {
    const entries: ReadonlyMap<Value, Value> = value;
    return new Map(Array.from(entries, ([key, item]) => [plain(key), plain(item)]));
  }
  return isList(value) ? value.map(plain) : undefined;
}

/** Whether a value is a list. */
export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** A UUID as it is usually written. */
export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function plainScalar({ type, value }: Scalar): unknown {
  if (typeof value === "bigint") {
    if (type !== "timestamp") return shortest(value);
    const date = new Date(Number(value));
    return Number.isNaN(date.getTime()) ? value : date;
  }
  if (type === "char" && typeof value === "number") return value > 0x10ffff ? "\ufffd" : String.fromCodePoint(value);
  return type === "uuid" && value instanceof Buffer ? uuidText(value) : value;
}

function shortest(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A value of the core as AMQP has it: whole numbers as int or long, dates as timestamps; what is none of them as null. */
export function fromPlain(value: unknown, depth = 0): Value {
  if (value === null || value === undefined || depth > MOST_DEPTH) return null;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number")
    return !isInt(value) && Number.isSafeInteger(value) && value !== 0 ? BigInt(value) : value;
  if (typeof value === "bigint") return fromBigint(value);
  if (value instanceof Uint8Array) return value;
  if (value instanceof Date) return new Scalar("timestamp", BigInt(value.getTime()));
  if (Array.isArray(value)) return value.map((item) => fromPlain(item, depth + 1));
  if (!(value instanceof Map)) return null;
  const entries: ReadonlyMap<unknown, unknown> = value;
  return new Map(Array.from(entries, ([key, item]) => [fromPlain(key, depth + 1), fromPlain(item, depth + 1)]));
}

function fromBigint(value: bigint): Value {
  if (BigInt.asIntN(64, value) === value) return value;
  return BigInt.asUintN(64, value) === value ? new Scalar("ulong", value) : value.toString();
}
