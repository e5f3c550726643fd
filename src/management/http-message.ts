/*
 * Messages that come by HTTP, as they are kept:
 *
 *     data[start, bodyStart)   what the message says, as JSON (`Head`)
 *     data[bodyStart, end)     the body; of the kinds map, list and value it is JSON too
 */
import { Address } from "../../core/addresses/address.ts";
import {
  type BodyKind,
  type Content,
  type Envelope,
  Message,
  type PropertyValue,
  type Timing,
  TRAIT,
  type WireFormat,
} from "../../core/message.ts";

/** A property as JSON has it. */
type JsonScalar = string | number | boolean | null;

/** What a message says besides its body. Stored, so that fields may be added and never changed. */
export interface Head {
  readonly messageId?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly replyTo?: { readonly kind: "queue" | "topic"; readonly levels: readonly string[] } | undefined;
  readonly subject?: string | undefined;
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly userId?: string | undefined;
  readonly groupId?: string | undefined;
  readonly groupSequence?: number | undefined;
  readonly duplicateId?: string | undefined;
  readonly timing?: Timing | undefined;
  readonly bodyKind: BodyKind;
  readonly properties?: Readonly<Record<string, JsonScalar>> | undefined;
}

const KINDS: readonly BodyKind[] = ["bytes", "text", "map", "list", "value"];

/** How messages that came by HTTP are kept. */
export const httpFormat: WireFormat = {
  name: "http",
  structured: true,
  open: (message) => contentOf(message),
};

/** A message of these parts. */
export function httpMessage(envelope: Envelope, head: Head, body: Buffer): Message {
  const text = Buffer.from(JSON.stringify(head));
  const data = Buffer.concat([text, body]);
  let traits = envelope.traits ?? 0;
  if (head.groupId !== undefined) traits |= TRAIT.grouped;
  if (head.duplicateId !== undefined) traits |= TRAIT.identified;
  if (head.timing !== undefined) traits |= TRAIT.timed;
  const message = new Message(httpFormat, { ...envelope, traits }, data, 0, data.length, text.length, data.length);
  message.detached = true;
  return message;
}

function contentOf(message: Message): Content {
  const { data, start, bodyStart } = message;
  const head: unknown = JSON.parse(data.toString("utf8", start, bodyStart));
  const fields = isRecord(head) ? head : {};
  const text = (name: string): string | undefined => {
    const value = fields[name];
    return typeof value === "string" ? value : undefined;
  };
  const bodyKind = KINDS.find((kind) => kind === fields["bodyKind"]) ?? "bytes";
  const sequence = fields["groupSequence"];
  return {
    messageId: text("messageId"),
    correlationId: text("correlationId"),
    replyTo: addressOf(fields["replyTo"]),
    subject: text("subject"),
    contentType: text("contentType"),
    contentEncoding: text("contentEncoding"),
    userId: text("userId"),
    groupId: text("groupId"),
    groupSequence: typeof sequence === "number" ? sequence : undefined,
    duplicateId: text("duplicateId"),
    timing: timingOf(fields["timing"]),
    bodyKind,
    value: bodyKind === "bytes" || bodyKind === "text" ? undefined : structured(JSON.parse(message.body.toString())),
    properties: propertiesOf(fields["properties"]),
  };
}

function addressOf(value: unknown): Address | undefined {
  if (!isRecord(value) || !Array.isArray(value["levels"])) return undefined;
  return new Address(value["kind"] === "topic" ? "topic" : "queue", value["levels"].map(String));
}

function timingOf(value: unknown): Timing | undefined {
  if (!isRecord(value)) return undefined;
  const { deliverAt } = value;
  if (typeof deliverAt !== "number") return undefined;
  return { deliverAt, periodMs: undefined, repeats: 0, cron: undefined };
}

function propertiesOf(value: unknown): ReadonlyMap<string, PropertyValue> {
  const properties = new Map<string, PropertyValue>();
  if (!isRecord(value)) return properties;
  for (const [name, one] of Object.entries(value)) {
    if (one === null || typeof one === "string" || typeof one === "number" || typeof one === "boolean") {
      properties.set(name, one);
    }
  }
  return properties;
}

/** JSON as bodies of a structure are: objects are maps. */
function structured(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(structured);
  if (!isRecord(value)) return value;
  return new Map(Object.entries(value).map(([key, inner]) => [key, structured(inner)]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
