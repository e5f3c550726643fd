/*
 * AMQP 0-9-1 contents and the neutral message, both ways. A stored message is its header frame and its body, in the form
 * that `publish.ts` draws.
 *
 *     property                        message
 *     exchange, routing key           address
 *     delivery-mode 2                 durable
 *     priority                        priority; 4 if absent, at most 9 (queues that have more ask for it as it is)
 *     expiration                      expiresAt
 *     message-id                      messageId
 *     correlation-id                  correlationId
 *     reply-to                        replyTo (a property when it is no address)
 *     type                            subject
 *     content-type, content-encoding  contentType, contentEncoding
 *     user-id                         userId (it was compared with the login)
 *     timestamp                       receivedAt (to 0-9-1 only)
 *     app-id                          property app-id
 *     headers in `traits.ts`          groupId, groupSequence, duplicateId, timing
 *     other headers                   properties; times as milliseconds, tables and arrays as JSON
 *
 *     bodyKind: text if the content type says so, or there is none, and the body is UTF-8 and not encoded; else bytes
 *
 * To 0-9-1 from elsewhere: the same backwards, groupId as JMSXGroupID and so on; what a short string cannot hold becomes a
 * header of the property's name. Annotations are headers, those of dead letters x-death and its company.
 */
import type { Address } from "../../core/addresses/address.ts";
import {
  type BodyKind,
  type Content,
  type Envelope,
  Message,
  type PropertyValue,
  type QuickField,
  type Timing,
  type WireFormat,
} from "../../core/message.ts";
import { parseReplyTo } from "./address.ts";
import { AmqpError } from "./errors.ts";
import { type FieldTable, type FieldValue, plain, type PlainValue } from "./field-table.ts";
import { type BasicProperties, decodeProperties, headersAt, storedPriority } from "./properties.ts";
import { PROPERTIES_OFFSET, propertiesEnd, type Publish, rewriteProperties } from "./publish.ts";
import { delayOf, hasBcc, quickField, TRAIT_HEADERS, traitsOf } from "./traits.ts";

const NO_FIELDS: FieldTable = new Map();
const TEXTUAL = /^text\/|[/+](json|xml|yaml)\b|\/(javascript|x-www-form-urlencoded)\b|;\s*charset\s*=/i;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** The properties of a message that came by 0-9-1. */
export function storedProperties(message: Message): BasicProperties {
  return decodeProperties(message.data, message.start + PROPERTIES_OFFSET, propertiesEnd(message));
}

/** What a stored message says, each field read when it is asked for. */
class AmqpContent implements Content {
  readonly #message: Message;
  readonly #stored: BasicProperties;
  #properties: ReadonlyMap<string, PropertyValue> | undefined = undefined;

  constructor(message: Message) {
    this.#message = message;
    this.#stored = storedProperties(message);
  }

  get messageId(): string | undefined {
    return this.#stored.messageId;
  }

  get correlationId(): string | undefined {
    return this.#stored.correlationId;
  }

  get replyTo(): Address | undefined {
    const { replyTo } = this.#stored;
    return replyTo === undefined ? undefined : parseReplyTo(replyTo);
  }

  get subject(): string | undefined {
    return this.#stored.type;
  }

  get contentType(): string | undefined {
    return this.#stored.contentType;
  }

  get contentEncoding(): string | undefined {
    return this.#stored.contentEncoding;
  }

  get userId(): string | undefined {
    return this.#stored.userId;
  }

  get groupId(): string | undefined {
    return quick(this.#message, "groupId");
  }

  get groupSequence(): number | undefined {
    const sequence = Number(quick(this.#message, "groupSequence") ?? Number.NaN);
    return sequence === (sequence | 0) ? sequence : undefined;
  }

  get timing(): Timing | undefined {
    const message = this.#message;
    const delay = delayOf(message.data, headersAt(message.data, message.start + PROPERTIES_OFFSET));
    if (delay === 0) return undefined;
    return { deliverAt: message.receivedAt + delay, periodMs: undefined, repeats: 0, cron: undefined };
  }

  get duplicateId(): string | undefined {
    return quick(this.#message, "duplicateId");
  }

  get bodyKind(): BodyKind {
    const { contentType, contentEncoding = "" } = this.#stored;
    const encoded = contentEncoding !== "" && !/^(utf-?8|identity)$/i.test(contentEncoding);
    const claimsText = contentType === undefined || TEXTUAL.test(contentType);
    return claimsText && !encoded && isText(this.#message.body) ? "text" : "bytes";
  }

  get properties(): ReadonlyMap<string, PropertyValue> {
    this.#properties ??= this.#readProperties();
    return this.#properties;
  }

  #readProperties(): ReadonlyMap<string, PropertyValue> {
    const { headers = NO_FIELDS, appId, replyTo } = this.#stored;
    const properties = new Map<string, PropertyValue>();
    for (const [name, value] of headers) if (!TRAIT_HEADERS.has(name)) properties.set(name, propertyOf(value));
    if (appId !== undefined && !properties.has("app-id")) properties.set("app-id", appId);
    if (replyTo !== undefined && this.replyTo === undefined) properties.set("reply-to", replyTo);
    return properties;
  }
}

function quick(message: Message, field: QuickField): string | undefined {
  const { data } = message;
  return quickField(data, headersAt(data, message.start + PROPERTIES_OFFSET), field);
}

/** How messages that came by AMQP 0-9-1 are kept. */
export const amqp091Format: WireFormat = {
  name: "amqp091",
  open: (message) => new AmqpContent(message),
  priority: ({ data, start }) => storedPriority(data, start + PROPERTIES_OFFSET),
  quick,
};

/**
 * What the core must know of a publish that was received at `now`. Throws `AmqpError` PRECONDITION_FAILED over values that
 * make no sense.
 */
export function envelopeOf(publish: Publish, address: Address, now: number): Envelope {
  const { priority } = publish;
  return {
    address,
    durable: publish.deliveryMode === 2,
    priority: priority < 0 ? 4 : Math.min(priority, 9),
    expiresAt: publish.expirationStart === publish.expirationEnd ? 0 : now + readExpiration(publish),
    receivedAt: now,
    traits: traitsOf(publish),
  };
}

/** The message of a publish, where it lies. */
export function messageOf(publish: Publish, envelope: Envelope): Message {
  const { data, start, end, bodyStart, bodyEnd } = publish;
  const message = new Message(amqp091Format, envelope, data, start, end, bodyStart, bodyEnd);
  message.detached = publish.detached;
  return message;
}

/** Puts another reply-to into a publish, which moves to a buffer of its own: for direct reply-to. */
export function replaceReplyTo(publish: Publish, replyTo: string): void {
  rewriteProperties(publish, { ...publishedProperties(publish), replyTo });
}

/** Takes the header BCC out of a publish, if it has one; it then moves to a buffer of its own. */
export function removeBcc(publish: Publish): void {
  if (!hasBcc(publish)) return;
  const properties = publishedProperties(publish);
  const headers = new Map(properties.headers);
  headers.delete("BCC");
  rewriteProperties(publish, { ...properties, headers });
}

function publishedProperties(publish: Publish): BasicProperties {
  return decodeProperties(publish.data, publish.start + PROPERTIES_OFFSET, propertiesEnd(publish));
}

/** The milliseconds that a publish gives its message, of which it has at least one: "0" asks for delivery at once or never. */
function readExpiration({ data, expirationStart, expirationEnd }: Publish): number {
  const text = data.toString("latin1", expirationStart, expirationEnd);
  if (!/^\d{1,15}$/.test(text)) {
    throw new AmqpError("PRECONDITION_FAILED", `invalid expiration '${text}'; expected a whole number of milliseconds`);
  }
  return Math.max(1, Number(text));
}

function propertyOf(value: FieldValue): PropertyValue {
  const known = plain(value);
  if (known instanceof Date) return Number.isNaN(known.getTime()) ? null : known.getTime();
  if (known === null || typeof known !== "object" || known instanceof Uint8Array) return known;
  return JSON.stringify(jsonOf(known));
}

/** A table or an array as JSON can say it: bytes as base64, integers beyond 2^53 as texts. */
function jsonOf(value: PlainValue): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object" || value instanceof Date) return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (isTable(value)) return Object.fromEntries([...value].map(([name, item]) => [name, jsonOf(plain(item))]));
  return value.map((item) => jsonOf(plain(item)));
}

function isTable(value: FieldTable | readonly FieldValue[]): value is FieldTable {
  return !Array.isArray(value);
}

function isText(body: Uint8Array): boolean {
  try {
    strictUtf8.decode(body);
    return true;
  } catch {
    return false;
  }
}
