import { type TSchema, Type } from "typebox";

/** One of a few words. */
export function words<const T extends readonly string[]>(
  all: T,
  options: { default?: T[number]; description?: string } = {},
) {
  return Type.Unsafe<T[number]>({ type: "string", enum: all, ...options });
}

/** A value, or null where there is none. */
export function nullable<T extends TSchema>(schema: T, description?: string) {
  return Type.Union([schema, Type.Null()], description === undefined ? {} : { description });
}
