/** What `encodeBody` writes, as a content type. */
export const BODY_TYPE = "application/json";

/** What stands inside one another deeper than this is left out: nobody's stack is to overflow for it. */
const MOST_DEPTH = 100;

/**
 * A structured body (`Content.value`) as JSON text, for protocols whose bodies are bytes: maps are objects, binary data is
 * base64, times are as in RFC 3339, whole numbers that JSON readers would round are strings.
 */
export function encodeBody(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(json(value, 0)));
}

function json(value: unknown, depth: number): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (depth > MOST_DEPTH) return null;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64");
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return value.map((item) => json(item, depth + 1));
  if (!(value instanceof Map)) return null;
  const entries: ReadonlyMap<unknown, unknown> = value;
  return Object.fromEntries(Array.from(entries, ([key, item]) => [keyText(key, depth), json(item, depth + 1)]));
}

function keyText(key: unknown, depth: number): string {
  return typeof key === "string" ? key : JSON.stringify(json(key, depth + 1));
}
