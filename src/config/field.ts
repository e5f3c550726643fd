/*
 * The kinds of values that settings have, each with its default and its description.
 */
import { Type } from "typebox";
import { type Bytes, type Milliseconds, UNIT_PATTERNS, type Unit } from "./units.ts";

/** Keys that are not known are refused. */
export const CLOSED = { additionalProperties: false };

function quantity<T extends number>(unit: Unit, fallback: string, description: string, minimum: number) {
  return Type.Unsafe<T>({
    anyOf: [
      { type: "integer", minimum },
      { type: "string", pattern: UNIT_PATTERNS[unit] },
    ],
    unit,
    minimum,
    default: fallback,
    description,
  });
}

/** A number of bytes. */
export function size(fallback: string, description: string, minimum = 0) {
  return quantity<Bytes>("bytes", fallback, description, minimum);
}

/** A number of milliseconds. */
export function duration(fallback: string, description: string, minimum = 0) {
  return quantity<Milliseconds>("ms", fallback, description, minimum);
}

/** A whole number. */
export function count(fallback: number, description: string, minimum = 1) {
  return Type.Integer({ default: fallback, minimum, maximum: Number.MAX_SAFE_INTEGER, description });
}

/** A whole number that a field of a protocol bounds. */
export function limited(fallback: number, maximum: number, description: string, minimum = 1) {
  return Type.Integer({ default: fallback, minimum, maximum, description });
}

/** Yes or no. */
export function flag(fallback: boolean, description: string) {
  return Type.Boolean({ default: fallback, description });
}

/** Text that is not empty. */
export function text(fallback: string, description: string) {
  return Type.String({ default: fallback, minLength: 1, description });
}

/** One of a few words. */
export function choice<const T extends readonly [string, ...string[]]>(
  choices: T,
  fallback: T[number],
  description: string,
) {
  return Type.Unsafe<T[number]>({ type: "string", enum: choices, default: fallback, description });
}

/** A list of texts that are not empty. */
export function names(description: string) {
  return Type.Array(Type.String({ minLength: 1 }), { default: [], description });
}
