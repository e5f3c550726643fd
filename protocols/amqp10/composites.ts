import { AmqpError, CONDITION, malformed } from "./errors.ts";
import { Described, isList, Scalar, type ScalarType, symbol, symbols, TypedArray, type Value } from "./values.ts";

/** A map whose keys are symbols, as AMQP's `fields`. */
export type Fields = ReadonlyMap<string, Value>;

/** One field of a composite: what it is when it is read, what it may be to be written, and whether it must be there. */
export interface Field<Read, Written, Needed extends boolean> {
  /** As the specification calls the type. */
  readonly kind: string;
  readonly needed: Needed;
  /** What it is when it is null or not there. Throws when that may not be. */
  readonly absent: (name: string) => Read;
  /** Undefined for a value of another type. */
  readonly read: (value: Value) => unknown;
  readonly write: (value: Written) => Value;
}

/** Fields in their order on the wire. */
export type FieldTable = Readonly<Record<string, Field<unknown, never, boolean>>>;

/** One composite type: its name, its descriptor and its fields. */
export interface Schema<Name extends string = string, Table extends FieldTable = FieldTable> {
  readonly name: Name;
  readonly code: number;
  readonly table: Table;
}

/** What is read of a composite: all fields. */
export type ReadOf<S> =
  S extends Schema<infer Name, infer Table>
    ? { readonly type: Name } & {
        readonly [F in keyof Table]: Table[F] extends Field<infer Read, never, boolean> ? Read : never;
      }
    : never;

type NeededOf<Table> = {
  [F in keyof Table]: Table[F] extends Field<unknown, never, true> ? F : never;
}[keyof Table];

/** What is to be written of a composite: its mandatory fields, and any others. */
export type WrittenOf<S> =
  S extends Schema<infer Name, infer Table>
    ? { readonly type: Name } & {
        readonly [F in NeededOf<Table>]: Table[F] extends Field<unknown, infer Written, boolean> ? Written : never;
      } & {
        readonly [F in Exclude<keyof Table, NeededOf<Table>>]?:
          | (Table[F] extends Field<unknown, infer Written, boolean> ? Written : never)
          | undefined;
      }
    : never;

/** A field that need not be there, from which others are made. */
export class OptionalField<Read, Written = Read> implements Field<Read | undefined, Written, false> {
  readonly kind: string;
  readonly needed = false;
  readonly read: (value: Value) => Read | undefined;
  readonly write: (value: Written) => Value;

  constructor(kind: string, read: (value: Value) => Read | undefined, write: (value: Written) => Value) {
    this.kind = kind;
    this.read = read;
    this.write = write;
  }

  readonly absent: () => Read | undefined = () => undefined;

  get mandatory(): Field<Read, Written, true> {
    const { kind, read, write } = this;
    return { kind, needed: true, absent: missing, read, write };
  }

  /** The same with a default. */
  or(value: Read): Field<Read, Written, false> {
    const { kind, read, write } = this;
    return { kind, needed: false, absent: () => value, read, write };
  }
}

function missing(name: string): never {
  throw malformed(`${name} is missing; it is mandatory`);
}

/** Declares a composite type. */
export function schema<Name extends string, Table extends FieldTable>(
  name: Name,
  code: number,
  table: Table,
): Schema<Name, Table> {
  return { name, code, table };
}

export const string: OptionalField<string> = new OptionalField(
  "string",
  (value) => (typeof value === "string" ? value : undefined),
  (text) => text,
);

export const boolean: OptionalField<boolean> = new OptionalField(
  "boolean",
  (value) => (typeof value === "boolean" ? value : undefined),
  (truth) => truth,
);

export const oneSymbol: OptionalField<string> = new OptionalField("symbol", symbolText, symbol);

export const ubyte = unsigned("ubyte");
export const ushort = unsigned("ushort");
export const uint = unsigned("uint");

/** A number of one of the unsigned types, not above `most`. */
export function unsigned(
  type: "ubyte" | "ushort" | "uint",
  most: number = Number.POSITIVE_INFINITY,
): OptionalField<number> {
  const read = (value: Value): number | undefined => {
    const number = scalar(value, type);
    return typeof number === "number" && number <= most ? number : undefined;
  };
  const kind = most === Number.POSITIVE_INFINITY ? type : `${type} of at most ${most}`;
  return new OptionalField(kind, read, (number) => new Scalar(type, number));
}

export const ulong: OptionalField<bigint> = new OptionalField(
  "ulong",
  (value) => {
    const number = scalar(value, "ulong");
    return typeof number === "bigint" ? number : undefined;
  },
  (number) => new Scalar("ulong", number),
);

/** Binary data of at most so many bytes. */
export function binary(most: number = Number.POSITIVE_INFINITY): OptionalField<Buffer, Uint8Array> {
  return new OptionalField<Buffer, Uint8Array>(
    most === Number.POSITIVE_INFINITY ? "binary" : `binary of at most ${most} bytes`,
    (value) => (Buffer.isBuffer(value) && value.length <= most ? value : undefined),
    (bytes) => bytes,
  );
}

/** One symbol alone, or an array of them (amqp10 1.4). */
export const manySymbols: OptionalField<readonly string[]> = new OptionalField(
  "symbol or array of symbols",
  readSymbols,
  symbols,
);

export const fields: OptionalField<Fields> = new OptionalField("map of symbols", readFields, (map) => {
  return new Map(Array.from(map, ([name, value]): [Value, Value] => [symbol(name), value]));
});

export const map: OptionalField<ReadonlyMap<Value, Value>> = new OptionalField(
  "map",
  (value) => (isMap(value) ? value : undefined),
  (entries) => entries,
);

export const anything: OptionalField<Value> = new OptionalField(
  "value",
  (value) => value,
  (value) => value,
);

/** A composite of one of these types. */
export function either<S extends readonly Schema[]>(
  ...schemas: S
): OptionalField<ReadOf<S[number]>, WrittenOf<S[number]>> {
  const names = schemas.map(({ name }) => name).join(" or ");
  return new OptionalField<ReadOf<S[number]>, WrittenOf<S[number]>>(
    names,
    (value) => {
      for (const known of schemas) if (describes(value, known)) return readAs<S[number]>(known, value);
      return undefined;
    },
    (composite) => {
      const known = schemas.find(({ name }) => name === composite.type);
      if (known === undefined) throw new RangeError(`a ${composite.type} is none of ${names}`);
      return toValue(known, composite);
    },
  );
}

/** Whether a value is described as this composite type, by its number or by its name. */
export function describes(value: Value, { name, code }: Schema): value is Described {
  if (!(value instanceof Described) || !(value.descriptor instanceof Scalar)) return false;
  const descriptor = value.descriptor.value;
  return typeof descriptor === "bigint" ? descriptor === BigInt(code) : descriptor === `amqp:${name}:list`;
}

/** Reads the fields of a described list. Throws AmqpError(amqp:decode-error, amqp:invalid-field). */
export function readAs<S extends Schema>(known: S, { value }: Described): ReadOf<S> {
  const entries = Object.entries(known.table);
  if (!isList(value)) throw malformed(`The fields of a ${known.name} are no list`);
  if (value.length > entries.length) {
    throw malformed(`A ${known.name} has ${value.length} fields; expected ${entries.length} at most`);
  }
  const read: Record<string, unknown> = { type: known.name };
  entries.forEach(([name, field], i) => {
    read[name] = readField(field, `The ${wireName(name)} of a ${known.name}`, value[i] ?? null);
  });
  // The table that says what is read is the one that the type is made from.
  return read as ReadOf<S>;
}

/** A composite as a value; throws RangeError when a mandatory field is missing. */
export function toValue<S extends Schema>(known: S, composite: WrittenOf<S>): Described {
  const said: Readonly<Record<string, unknown>> = composite;
  const list: Value[] = [];
  let length = 0;
  for (const [name, field] of Object.entries(known.table)) {
    const value = said[name];
    if (value === undefined && field.needed) throw new RangeError(`a ${known.name} needs its ${wireName(name)}`);
    list.push(value === undefined ? null : field.write(value as never));
    if (value !== undefined && value !== null) length = list.length;
  }
  // Fields that are not there may be left out at the end of a list (amqp10 1.4).
  return new Described(new Scalar("ulong", BigInt(known.code)), list.slice(0, length));
}

function readField(field: Field<unknown, never, boolean>, name: string, value: Value): unknown {
  if (value === null) return field.absent(name);
  const read = field.read(value);
  if (read === undefined) throw new AmqpError("connection", CONDITION.decodeError, `${name} is no ${field.kind}`);
  return read;
}

/** `containerId` is `container-id` in the specification. */
function wireName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function scalar(value: Value, type: ScalarType): Scalar["value"] | undefined {
  return value instanceof Scalar && value.type === type ? value.value : undefined;
}

function symbolText(value: Value): string | undefined {
  const text = scalar(value, "symbol");
  return typeof text === "string" ? text : undefined;
}

function readSymbols(value: Value): readonly string[] | undefined {
  const items = value instanceof TypedArray ? value.items : [value];
  const texts = items.map(symbolText).filter((text) => text !== undefined);
  return texts.length === items.length ? texts : undefined;
}

/** The entries of a map whose keys are symbols or, as some clients write them, strings; undefined for anything else. */
function readFields(value: Value): Fields | undefined {
  if (!isMap(value)) return undefined;
  const read = new Map<string, Value>();
  for (const [key, item] of value) {
    const name = typeof key === "string" ? key : symbolText(key);
    if (name === undefined) return undefined;
    read.set(name, item);
  }
  return read;
}

function isMap(value: Value): value is ReadonlyMap<Value, Value> {
  return value instanceof Map;
}
