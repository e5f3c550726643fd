import { MAX_VARINT, varintSize, writeU16, writeU32, writeVarint } from "./bytes.ts";
import {
  type BytesProperty,
  type NumberProperty,
  PROPERTIES,
  type PropertyRule,
  type TextProperty,
} from "./property-names.ts";

/** Properties to be written; those that are undefined are not there. */
export type Properties = {
  readonly [Name in Exclude<NumberProperty, "subscriptionIdentifier">]?: number | undefined;
} & { readonly [Name in TextProperty]?: string | undefined } & {
  readonly [Name in BytesProperty]?: Buffer | undefined;
} & {
  readonly subscriptionIdentifier?: number | readonly number[] | undefined;
  readonly userProperties?: Pairs | undefined;
};

/** Names and values in their order; a name may come again. */
export type Pairs = readonly (readonly [string, string])[];

type Value = number | string | Buffer | readonly number[] | Pairs | undefined;

const MOST: Readonly<Record<string, number>> = { byte: 0xff, u16: 0xffff, u32: 0xffff_ffff, varint: MAX_VARINT };

/** Bytes that `writeProperties` needs, without the length before them. Throws RangeError for what no property can hold. */
export function propertiesSize(properties: Properties): number {
  let size = 0;
  for (const rule of PROPERTIES) size += valueSize(rule, properties[rule.name]);
  return size;
}

/** Writes the properties without their length before them; returns where they end. */
function writeProperties(target: Buffer, at: number, properties: Properties): number {
  let to = at;
  for (const rule of PROPERTIES) {
    const value: Value = properties[rule.name];
    if (value === undefined) continue;
    if (typeof value === "object" && !Buffer.isBuffer(value)) {
      for (const item of value) to = writeValue(rule, target, to, item);
    } else {
      to = writeValue(rule, target, to, value);
    }
  }
  return to;
}

/** The properties without their length before them, in a buffer of their own. */
export function encodeProperties(properties: Properties): Buffer {
  const bytes = Buffer.allocUnsafe(propertiesSize(properties));
  writeProperties(bytes, 0, properties);
  return bytes;
}

function valueSize(rule: PropertyRule, value: Value): number {
  if (value === undefined) return 0;
  if (typeof value === "number") return 1 + numberSize(rule, value);
  if (typeof value === "string") return 3 + lengthOf(rule, Buffer.byteLength(value));
  if (Buffer.isBuffer(value)) return 3 + lengthOf(rule, value.length);
  let size = 0;
  for (const item of value) {
    size +=
      typeof item === "number"
        ? 1 + numberSize(rule, item)
        : 5 + lengthOf(rule, Buffer.byteLength(item[0])) + lengthOf(rule, Buffer.byteLength(item[1]));
  }
  return size;
}

function numberSize(rule: PropertyRule, value: number): number {
  const most = Math.min(rule.most, MOST[rule.kind] ?? 0);
  if (!Number.isInteger(value) || value < rule.least || value > most) {
    throw new RangeError(`${rule.name} cannot be ${value}: expected ${rule.least} to ${most}`);
  }
  if (rule.kind === "byte") return 1;
  if (rule.kind === "u16") return 2;
  return rule.kind === "u32" ? 4 : varintSize(value);
}

function lengthOf(rule: PropertyRule, bytes: number): number {
  if (bytes > 0xffff) throw new RangeError(`${rule.name} has ${bytes} bytes: expected 65535 at most`);
  return bytes;
}

function writeValue(
  rule: PropertyRule,
  target: Buffer,
  at: number,
  value: number | string | Buffer | readonly [string, string],
): number {
  target[at] = rule.id;
  if (typeof value === "number") return writeNumber(rule, target, at + 1, value);
  if (typeof value === "string") return writeText(target, at + 1, value);
  if (Buffer.isBuffer(value)) return writeU16(target, at + 1, value.length) + value.copy(target, at + 3);
  return writeText(target, writeText(target, at + 1, value[0]), value[1]);
}

function writeNumber(rule: PropertyRule, target: Buffer, at: number, value: number): number {
  if (rule.kind === "u16") return writeU16(target, at, value);
  if (rule.kind === "u32") return writeU32(target, at, value);
  if (rule.kind === "varint") return writeVarint(target, at, value);
  target[at] = value;
  return at + 1;
}

function writeText(target: Buffer, at: number, text: string): number {
  const bytes = target.write(text, at + 2);
  return writeU16(target, at, bytes) + bytes;
}
