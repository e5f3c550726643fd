/* What goes to consumers of 0-9-1 with a message that cannot go as it came: its properties, and its body. */
import { deathsOf, type DeathRecord } from "../../core/routing/dead-letters.ts";
import type { Content, Message, PropertyValue } from "../../core/message.ts";
import { formatReplyTo } from "./address.ts";
import { amqp091Format, storedProperties } from "./convert.ts";
import { type FieldTable, type FieldValue, Typed } from "./field-table.ts";
import type { BasicProperties } from "./properties.ts";
import { MOST_SHORT } from "./strings.ts";

const LEAST_INT64 = -(2n ** 63n);
const MOST_INT64 = 2n ** 63n - 1n;
const MOST_EXPIRATION = 2 ** 53;

/** Why a message died, in RabbitMQ's words. */
const REASONS: Readonly<Record<DeathRecord["reason"], string>> = {
  "delivery-limit": "delivery_limit",
  rejected: "rejected",
  expired: "expired",
  overflow: "maxlen",
};

/** Annotations of this beginning are told of by x-death. */
const DEAD_LETTER = "dead_letter_";
const DEATHS = "x-death";

/** The properties of a message for consumers, at `now`: of any format, with what the broker adds. */
export function outgoingProperties(message: Message, now: number): BasicProperties {
  const properties = message.format === amqp091Format ? storedProperties(message) : converted(message, now);
  if (message.annotationBytes === undefined) return properties;
  const headers = new Map(properties.headers);
  // Nobody else may say them: who sent the message cannot forge them.
  for (const [name, value] of message.annotations) if (!name.startsWith(DEAD_LETTER)) headers.set(name, value);
  const deaths = deathsOf(message);
  if (deaths.length === 0) return { ...properties, headers };
  addDeaths(headers, deaths);
  // As in RabbitMQ: what it died of once it does not die of again; x-death keeps it.
  return { ...properties, headers, expiration: undefined };
}

/** Adds what RabbitMQ says of dead letters. */
function addDeaths(headers: Map<string, FieldValue>, deaths: readonly DeathRecord[]): void {
  const newest = deaths[0];
  const oldest = deaths.at(-1);
  if (newest === undefined || oldest === undefined) return;
  const before = headers.get(DEATHS);
  headers.set(DEATHS, [...deaths.map(deathTable), ...(isArray(before) ? before.filter(unlike(deaths)) : [])]);
  if (!headers.has("x-first-death-queue")) addDeath(headers, "first", oldest);
  addDeath(headers, "last", newest);
}

function addDeath(headers: Map<string, FieldValue>, which: "first" | "last", death: DeathRecord): void {
  headers.set(`x-${which}-death-exchange`, death.exchange);
  headers.set(`x-${which}-death-queue`, death.queue);
  headers.set(`x-${which}-death-reason`, REASONS[death.reason]);
}

function deathTable({ count, reason, queue, at, exchange, key, expiration }: DeathRecord): FieldTable {
  const table = new Map<string, FieldValue>([
    ["count", new Typed("l", count)],
    ["reason", REASONS[reason]],
    ["queue", queue],
    ["time", new Typed("T", Math.floor(at / 1000))],
    ["exchange", exchange],
    ["routing-keys", [key]],
  ]);
  if (expiration !== undefined) table.set("original-expiration", String(expiration));
  return table;
}

/** Deaths that a sender who forwards a message says it has had, but for those that the broker knows of. */
function unlike(deaths: readonly DeathRecord[]): (said: FieldValue) => boolean {
  return (said) =>
    !(said instanceof Map) ||
    !deaths.some(({ queue, reason }) => said.get("queue") === queue && said.get("reason") === REASONS[reason]);
}

/** The properties of a message that came by another protocol. */
function converted(message: Message, now: number): BasicProperties {
  const { content, expiresAt } = message;
  const headers = headersOf(content);
  const short = (name: string, value: string | undefined): string | undefined => {
    if (value === undefined || Buffer.byteLength(value) <= MOST_SHORT) return value;
    headers.set(name, value);
    return undefined;
  };
  return {
    contentType: short("content-type", content.contentType),
    contentEncoding: short("content-encoding", content.contentEncoding),
    deliveryMode: message.durable ? 2 : 1,
    priority: message.priority === 4 ? undefined : message.priority,
    correlationId: short("correlation-id", content.correlationId),
    replyTo: short("reply-to", content.replyTo === undefined ? undefined : formatReplyTo(content.replyTo)),
    expiration: expiresAt === 0 || expiresAt > MOST_EXPIRATION ? undefined : String(Math.max(1, expiresAt - now)),
    messageId: short("message-id", content.messageId),
    timestamp: Math.floor(message.receivedAt / 1000),
    type: short("type", content.subject),
    userId: short("user-id", content.userId),
    headers: headers.size === 0 ? undefined : headers,
  };
}

function headersOf(content: Content): Map<string, FieldValue> {
  const headers = new Map<string, FieldValue>();
  for (const [name, value] of content.properties) {
    if (Buffer.byteLength(name) <= MOST_SHORT) headers.set(name, fieldOf(value));
  }
  if (content.groupId !== undefined) headers.set("JMSXGroupID", content.groupId);
  if (content.groupSequence !== undefined) headers.set("JMSXGroupSeq", content.groupSequence);
  if (content.duplicateId !== undefined) headers.set("x-deduplication-header", content.duplicateId);
  return headers;
}

function fieldOf(value: PropertyValue): FieldValue {
  if (typeof value === "bigint" && (value < LEAST_INT64 || value > MOST_INT64)) return value.toString();
  return value instanceof Uint8Array ? Buffer.from(value) : value;
}

function isArray(value: FieldValue | undefined): value is readonly FieldValue[] {
  return Array.isArray(value);
}
