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
import { malformed } from "./errors.ts";

/** A type of which JavaScript has no values of its own. Unsigned and signed 64 bits and timestamps hold a bigint. */
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
  /** bigint for ulong; Buffer for uuid and decimals; string for symbol; number (a code point for char) for the rest. */
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
  readonly descriptor: Value | undefined;
  readonly items: readonly Value[];

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

/** A symbol. */
export function symbol(text: string): Scalar {
  return new Scalar("symbol", text);
}

/** Reads values one after the other. Throws AmqpError(amqp:decode-error). */
export class Reader {
  readonly data: Buffer;
  readonly end: number;
  /** Where the next value begins. */
  at: number;

  constructor(data: Buffer, at: number, end: number) {
    this.data = data;
    this.at = at;
    this.end = end;
  }

  read(): Value {
    throw malformed("not yet");
  }
}

/** Where the value at `at` ends, all of it looked through; throws AmqpError(amqp:decode-error) when it is none. */
export function skip(_data: Buffer, _at: number, _end: number): number {
  throw malformed("not yet");
}

/** The bytes of a value, each number as short as it can be. */
export function encodeValue(_value: Value): Buffer {
  throw malformed("not yet");
}

/** The same in values that the core knows: symbols as texts, timestamps as Date, whole numbers as number where safe. */
export function plain(_value: Value): unknown {
  throw malformed("not yet");
}
