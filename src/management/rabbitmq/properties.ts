/*
 * The properties of messages as JSON has them: `content_type`, `headers`, `delivery_mode` and so on, to and from those of
 * AMQP 0-9-1.
 */
import { BrokerError } from "../../../core/errors.ts";
import { type FieldTable, type FieldValue, plain } from "../../../protocols/amqp091/field-table.ts";
import type { BasicProperties } from "../../../protocols/amqp091/properties.ts";
import { Body } from "./body.ts";
import type { Row } from "./listing.ts";

const MOST_SHORT_BYTES = 255;
const MOST_DEPTH = 16;

/** Properties that are texts, by their names in JSON. */
const TEXTS = {
  content_type: "contentType",
  content_encoding: "contentEncoding",
  correlation_id: "correlationId",
  reply_to: "replyTo",
  expiration: "expiration",
  message_id: "messageId",
  type: "type",
  user_id: "userId",
  app_id: "appId",
  cluster_id: "clusterId",
} as const satisfies Record<string, keyof BasicProperties>;

/** Properties that are numbers. */
const NUMBERS = { delivery_mode: "deliveryMode", priority: "priority", timestamp: "timestamp" } as const;

/** What a request says of a message. Throws BrokerError. */
export function readProperties(given: Readonly<Record<string, unknown>>): BasicProperties {
  const body = new Body(given);
  const properties: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(TEXTS)) {
    if (!body.has(name)) continue;
    const value = given[name];
    const text = name === "expiration" && typeof value === "number" ? String(value) : body.text(name);
    properties[field] = short(name, text);
  }
  for (const [name, field] of Object.entries(NUMBERS)) {
    if (!body.has(name)) continue;
    const number = body.integer(name, 0);
    const most = name === "timestamp" ? Number.MAX_SAFE_INTEGER : 255;
    if (number < 0 || number > most) {
      throw new BrokerError("bad-request", `properties.${name}: expected 0 to ${most}, found ${number}`);
    }
    properties[field] = number;
  }
  const headers = body.group("headers");
  if (Object.keys(headers).length > 0) properties["headers"] = tableOf(headers, 0);
  return properties;
}

/** As JSON. */
export function showProperties(properties: BasicProperties): Row {
  const shown: Record<string, unknown> = {};
  for (const [name, field] of Object.entries({ ...TEXTS, ...NUMBERS })) {
    const value = properties[field];
    if (value !== undefined) shown[name] = value;
  }
  if (properties.headers !== undefined) shown["headers"] = jsonOf(properties.headers);
  return shown;
}

function short(name: string, text: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes <= MOST_SHORT_BYTES) return text;
  throw new BrokerError("bad-request", `${name}: has ${bytes} bytes; AMQP 0-9-1 has room for ${MOST_SHORT_BYTES}`);
}

function tableOf(given: object, depth: number): FieldTable {
  if (depth > MOST_DEPTH) throw new BrokerError("bad-request", "headers: too deep");
  return new Map(Object.entries(given).map(([name, value]) => [short("headers", name), fieldOf(value, depth)]));
}

function fieldOf(value: unknown, depth: number): FieldValue {
  if (Array.isArray(value)) {
    if (depth > MOST_DEPTH) throw new BrokerError("bad-request", "headers: too deep");
    return value.map((item) => fieldOf(item, depth + 1));
  }
  if (typeof value === "object" && value !== null) return tableOf(value, depth + 1);
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return null;
}

function jsonOf(value: FieldValue): unknown {
  const known = plain(value);
  if (known instanceof Map) return Object.fromEntries(Array.from(known, ([name, inner]) => [name, jsonOf(inner)]));
  if (known instanceof Date) return Math.floor(known.getTime() / 1000);
  if (Buffer.isBuffer(known)) return known.toString("base64");
  if (typeof known === "bigint") return Number.isSafeInteger(Number(known)) ? Number(known) : known.toString();
  return Array.isArray(known) ? known.map(jsonOf) : known;
}
