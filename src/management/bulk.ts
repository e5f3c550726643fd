import type { TSchema } from "typebox";
import type { InvalidValue } from "./problem.ts";

/** Entries of a list or an object, where its schema does not say how many it may have. */
const MOST_ENTRIES = 10_000;

/**
 * What is too much to be looked at piece by piece, before anything else is: telling all that is wrong with a million values
 * takes seconds, in which the broker does nothing else. What a schema knows nothing of is not looked into.
 */
export function bulkOf(schema: TSchema, value: unknown, path: string): InvalidValue | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) {
    const most = "maxItems" in schema && typeof schema.maxItems === "number" ? schema.maxItems : MOST_ENTRIES;
    return value.length > most ? { path, message: `must not have more than ${most} items` } : undefined;
  }
  if (!("type" in schema) || schema.type !== "object") return undefined;
  const most =
    "maxProperties" in schema && typeof schema.maxProperties === "number" ? schema.maxProperties : MOST_ENTRIES;
  const entries = Object.entries(value);
  if (entries.length > most) return { path, message: `must not have more than ${most} entries` };
  const properties = "properties" in schema ? schema.properties : undefined;
  if (typeof properties !== "object" || properties === null) return undefined;
  const schemas: Readonly<Record<string, TSchema>> = { ...properties };
  for (const [name, inner] of entries) {
    const known = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
    const excess = known === undefined ? undefined : bulkOf(known, inner, `${path}/${name}`);
    if (excess !== undefined) return excess;
  }
  return undefined;
}
