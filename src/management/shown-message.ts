import { isUtf8 } from "node:buffer";
import { type Static, Type } from "typebox";
import type { Address } from "../../core/addresses/address.ts";
import type { Message, PropertyValue } from "../../core/message.ts";
import { nullable, words } from "./schemas.ts";

const AddressSchema = Type.Object({
  kind: words(["queue", "topic", "exchange"]),
  name: Type.String({ description: "The canonical name; of an exchange with its routing key." }),
});

const Scalar = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]);

/** A message as it is shown. */
export const ShownMessage = Type.Object(
  {
    sequence: Type.Integer({ description: "Its place in its queue; 0 from a topic." }),
    deliveries: Type.Integer({ description: "How often it was delivered before." }),
    address: AddressSchema,
    protocol: Type.String({ description: "By which protocol it came." }),
    bytes: Type.Integer({ description: "Of the whole message, as quotas count it." }),
    durable: Type.Boolean(),
    priority: Type.Integer(),
    received_at: Type.Integer({ description: "Milliseconds since 1970." }),
    expires_at: nullable(Type.Integer()),
    message_id: nullable(Type.String()),
    correlation_id: nullable(Type.String()),
    reply_to: nullable(AddressSchema),
    subject: nullable(Type.String()),
    content_type: nullable(Type.String()),
    content_encoding: nullable(Type.String()),
    user_id: nullable(Type.String()),
    group_id: nullable(Type.String()),
    group_sequence: nullable(Type.Integer()),
    properties: Type.Record(Type.String(), Scalar, { description: "Whole numbers too large for JSON are texts." }),
    annotations: Type.Record(Type.String(), Scalar, { description: "What the broker says of it." }),
    body_kind: words(["bytes", "text", "map", "list", "value"]),
    body_encoding: words(["text", "json", "base64"]),
    body: Type.Unknown({ description: "A text, base64, or with the encoding json a value." }),
    body_bytes: Type.Integer({ description: "Of the whole body." }),
    body_truncated: Type.Boolean(),
  },
  { title: "Message" },
);

/** How a body is wanted: as what it is, or as base64 whatever it is. */
export type BodyWish = "auto" | "base64";

/** Where a message stood. */
export interface Place {
  readonly sequence: number;
  readonly deliveries: number;
}

/** A message for a reply, with at most so many bytes of its body. */
export function showMessage(
  message: Message,
  place: Place,
  maxBody: number,
  wish: BodyWish,
): Static<typeof ShownMessage> {
  const { content } = message;
  return {
    sequence: place.sequence,
    deliveries: place.deliveries,
    address: addressJson(message.address),
    protocol: message.format.name,
    bytes: message.size,
    durable: message.durable,
    priority: message.priority,
    received_at: message.receivedAt,
    expires_at: message.expiresAt === 0 ? null : message.expiresAt,
    message_id: content.messageId ?? null,
    correlation_id: content.correlationId ?? null,
    reply_to: content.replyTo === undefined ? null : addressJson(content.replyTo),
    subject: content.subject ?? null,
    content_type: content.contentType ?? null,
    content_encoding: content.contentEncoding ?? null,
    user_id: content.userId ?? null,
    group_id: content.groupId ?? null,
    group_sequence: content.groupSequence ?? null,
    properties: scalars(content.properties),
    annotations: Object.fromEntries(message.annotations),
    body_kind: content.bodyKind,
    ...showBody(message, maxBody, wish),
  };
}

interface ShownBody {
  readonly body_encoding: "text" | "json" | "base64";
  readonly body: unknown;
  readonly body_bytes: number;
  readonly body_truncated: boolean;
}

function showBody(message: Message, maxBody: number, wish: BodyWish): ShownBody {
  const { bodyKind } = message.content;
  const { body } = message.flat;
  const cut = { body_bytes: body.length, body_truncated: body.length > maxBody };
  if (wish === "auto") {
    const structured = bodyKind !== "bytes" && bodyKind !== "text";
    if (structured && !cut.body_truncated) return { ...cut, body_encoding: "json", body: JSON.parse(body.toString()) };
    const shown = body.subarray(0, wholeCharacters(body, maxBody));
    if ((structured || bodyKind === "text") && isUtf8(shown)) {
      return { ...cut, body_encoding: "text", body: shown.toString() };
    }
  }
  return { ...cut, body_encoding: "base64", body: body.subarray(0, maxBody).toString("base64") };
}

/** Bytes of UTF-8, at most so many, that do not end within a character. */
function wholeCharacters(bytes: Buffer, most: number): number {
  if (bytes.length <= most) return bytes.length;
  let end = most;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}

function addressJson({ kind, name }: Address): Static<typeof AddressSchema> {
  return { kind, name };
}

function scalars(values: ReadonlyMap<string, PropertyValue>): Record<string, string | number | boolean | null> {
  return Object.fromEntries(Array.from(values, ([name, value]) => [name, scalar(value)]));
}

function scalar(value: PropertyValue): string | number | boolean | null {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
}
