/*
 * STOMP headers and the neutral message, both ways. A stored STOMP frame is its header lines as STOMP 1.2 spells them,
 * an empty line, the body and a NUL; `message-id` is its first header.
 *
 *     header                          message
 *     destination                     address
 *     message-id                      messageId
 *     correlation-id                  correlationId
 *     reply-to                        replyTo (a property when it is no destination)
 *     type                            subject
 *     content-type                    contentType
 *     content-encoding                contentEncoding
 *     JMSXUserID                      userId (to STOMP only: a client cannot be believed)
 *     JMSXGroupID, message_group      groupId
 *     JMSXGroupSeq                    groupSequence
 *     duplicate-id, _AMQ_DUPL_ID      duplicateId
 *     delay, deliver-at, AMQ_SCHEDULED_DELAY, _PERIOD, _REPEAT, _CRON
 *                                     timing (from STOMP only). To STOMP consumers the sender's lines go as they are: who
 *                                     forwards a message with all its headers delays it once more
 *     persistent, priority, expires   durable, priority, expiresAt
 *     timestamp                       receivedAt (to STOMP only)
 *     amq-msg-type, transformation    bodyKind; else content-type; else text if the body is valid UTF-8
 *     content-length, receipt, transaction, ttl, retain, subscription, ack, redelivered, redeliveries,
 *     JMSXGroupFirstForConsumer, browser:end: the frame's own
 *     anything else                   a property; to STOMP as text, bytes as base64, null left out
 *     body                            bytes; maps, lists and values from elsewhere are JSON, with its content-type
 *
 * Annotations go to STOMP as headers before these, and take the place of those that have their names.
 */
import type { Address } from "../../core/addresses/address.ts";
import {
  type BodyKind,
  type Content,
  type Message,
  type PropertyValue,
  type QuickField,
  type Timing,
  TRAIT,
  type WireFormat,
} from "../../core/message.ts";
import { formatAddress, parseTarget } from "./destination.ts";
import { escape, unescape, type Version } from "./escape.ts";
import { parseGroupSequence, readTiming, TIMING_HEADERS } from "./traits.ts";

const LF = 10;
const COLON = 58;

/** Headers that say something about the frame or its way, not about the message. */
const FRAME_HEADERS: ReadonlySet<string> = new Set([
  "destination",
  "content-length",
  "receipt",
  "transaction",
  "persistent",
  "priority",
  "expires",
  "ttl",
  "retain",
  "subscription",
  "ack",
  "redelivered",
  "redeliveries",
  "JMSXUserID",
  "JMSXGroupFirstForConsumer",
]);

/** Headers that have a field of their own in `Content`. */
const CONTENT_HEADERS: ReadonlySet<string> = new Set([
  "message-id",
  "correlation-id",
  "type",
  "content-type",
  "content-encoding",
  "JMSXGroupID",
  "message_group",
  "JMSXGroupSeq",
  "duplicate-id",
  "_AMQ_DUPL_ID",
]);

const TIMING: ReadonlySet<string> = new Set(TIMING_HEADERS);

/** The header lines of a stored STOMP frame, unescaped, in order. */
function* storedHeaders(message: Message): Generator<[string, string]> {
  const { data, bodyStart } = message;
  let line = message.start;
  while (line < bodyStart - 1) {
    const end = data.indexOf(LF, line);
    const colon = data.indexOf(COLON, line);
    if (end < 0 || end >= bodyStart || colon < 0 || colon > end) return;
    yield [unescape(data, line, colon), unescape(data, colon + 1, end)];
    line = end + 1;
  }
}

/** Only what means the same in every version and encoding. */
const PLAIN = /^[^\\\x80-\xff]*$/;

/** The header lines by name; the first one of a name counts. */
function readHeaders(message: Message): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  const text = message.data.toString("latin1", message.start, message.bodyStart - 1);
  if (!PLAIN.test(text)) {
    for (const [key, value] of storedHeaders(message)) if (!headers.has(key)) headers.set(key, value);
    return headers;
  }
  // Selectors have most messages taken apart: nothing is decoded line by line.
  for (let line = 0; line < text.length; ) {
    const end = text.indexOf("\n", line);
    const colon = text.indexOf(":", line);
    if (end < 0 || colon < 0 || colon > end) break;
    const key = text.slice(line, colon);
    if (!headers.has(key)) headers.set(key, text.slice(colon + 1, end));
    line = end + 1;
  }
  return headers;
}

/** What a stored frame says, each field read when it is asked for. */
class StompContent implements Content {
  readonly userId = undefined;
  /** A STOMP client that selects by `content-type` or `priority` means the header. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly #message: Message;
  #properties: ReadonlyMap<string, PropertyValue> | undefined = undefined;

  constructor(message: Message) {
    this.#message = message;
    this.aliases = readHeaders(message);
  }

  get messageId(): string | undefined {
    return this.aliases.get("message-id");
  }

  get correlationId(): string | undefined {
    return this.aliases.get("correlation-id");
  }

  get replyTo(): Address | undefined {
    return readReplyTo(this.aliases.get("reply-to"));
  }

  get subject(): string | undefined {
    return this.aliases.get("type");
  }

  get contentType(): string | undefined {
    return this.aliases.get("content-type");
  }

  get contentEncoding(): string | undefined {
    return this.aliases.get("content-encoding");
  }

  get groupId(): string | undefined {
    return this.aliases.get("JMSXGroupID") ?? this.aliases.get("message_group");
  }

  get groupSequence(): number | undefined {
    return parseGroupSequence(this.aliases.get("JMSXGroupSeq") ?? "");
  }

  get timing(): Timing | undefined {
    return timing(this.aliases, this.#message);
  }

  get duplicateId(): string | undefined {
    return this.aliases.get("duplicate-id") ?? this.aliases.get("_AMQ_DUPL_ID");
  }

  get bodyKind(): BodyKind {
    return bodyKind(this.aliases, this.#message);
  }

  get properties(): ReadonlyMap<string, PropertyValue> {
    this.#properties ??= propertiesOf(this.aliases);
    return this.#properties;
  }

  lookup(name: string): string | undefined {
    return this.aliases.get(name);
  }
}

function propertiesOf(headers: ReadonlyMap<string, string>): ReadonlyMap<string, PropertyValue> {
  const properties = new Map<string, PropertyValue>();
  for (const [key, value] of headers) {
    if (FRAME_HEADERS.has(key) || CONTENT_HEADERS.has(key) || TIMING.has(key)) continue;
    if (key === "reply-to" && readReplyTo(value) !== undefined) continue;
    properties.set(key, value);
  }
  return properties;
}

function open(message: Message): Content {
  return new StompContent(message);
}

/** The stored names of a field, by which it is found without taking the frame apart; the first one counts. */
const QUICK_NAMES: Readonly<Record<QuickField, readonly Buffer[]>> = {
  groupId: [Buffer.from("JMSXGroupID:"), Buffer.from("message_group:")],
  groupSequence: [Buffer.from("JMSXGroupSeq:")],
  duplicateId: [Buffer.from("duplicate-id:"), Buffer.from("_AMQ_DUPL_ID:")],
};

function quick(message: Message, field: QuickField): string | undefined {
  const { data, start, bodyStart } = message;
  for (const name of QUICK_NAMES[field]) {
    for (let line = start; line < bodyStart - 1; ) {
      const end = data.indexOf(LF, line);
      if (end < 0) break;
      if (startsWith(data, line, name)) return unescape(data, line + name.length, end);
      line = end + 1;
    }
  }
  return undefined;
}

function startsWith(data: Buffer, at: number, name: Buffer): boolean {
  for (let i = 0; i < name.length; i++) if (data[at + i] !== name[i]) return false;
  return true;
}

function readReplyTo(text: string | undefined): Address | undefined {
  if (text === undefined) return undefined;
  try {
    const [address, ...others] = parseTarget(text, () => {
      throw new RangeError("temporary names were made global when the message came in");
    });
    return others.length === 0 ? address : undefined;
  } catch {
    // Clients may put anything there; it then stays what it is, a text.
    return undefined;
  }
}

function timing(headers: ReadonlyMap<string, string>, message: Message): Timing | undefined {
  try {
    return readTiming((name) => headers.get(name), message.receivedAt);
  } catch {
    // `Sender` refuses what makes no sense, so this was kept before these headers had a meaning.
    return undefined;
  }
}

const TEXTUAL = /^text\/|[/+](json|xml|yaml)\b|\/(javascript|x-www-form-urlencoded)\b|;\s*charset\s*=/i;

function bodyKind(headers: ReadonlyMap<string, string>, message: Message): BodyKind {
  const explicit = headers.get("amq-msg-type") ?? headers.get("transformation");
  if (explicit === "bytes") return "bytes";
  const contentType = headers.get("content-type");
  const claimsText = explicit !== undefined || contentType === undefined || TEXTUAL.test(contentType);
  return claimsText && isText(message.body) ? "text" : "bytes";
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

function isText(body: Uint8Array): boolean {
  try {
    strictUtf8.decode(body);
    return true;
  } catch {
    return false;
  }
}

/** How messages that came by STOMP are kept. */
export const stompFormat: WireFormat = { name: "stomp", open, quick };

/**
 * The header lines and the empty line for a message that cannot be copied as it is: one that came by another protocol,
 * by STOMP with escapes that `version` does not have, or one with annotations. With `messageId`, that is the id the
 * consumer sees.
 */
export function spellHeaders(message: Message, version: Version, messageId: string | undefined): Buffer {
  let text = "";
  const { annotations } = message;
  const write = (key: string, value: string): void => {
    text += `${escape(key, version)}:${escape(value, version)}\n`;
  };
  // First, and nobody else may say them: who sent the message cannot forge them.
  for (const [key, value] of annotations) write(key, String(value));
  const add = (key: string, value: string): void => {
    if (key !== "" && !annotations.has(key)) write(key, value);
  };
  if (messageId !== undefined) add("message-id", messageId);
  if (message.format === stompFormat) {
    const readdressed = (message.traits & TRAIT.readdressed) !== 0;
    if (readdressed) add("destination", formatAddress(message.address));
    for (const [key, value] of storedHeaders(message)) {
      if (key === "destination" ? readdressed : key === "message-id" && messageId !== undefined) continue;
      add(key, value);
    }
  } else {
    spellContent(message, add);
  }
  return Buffer.from(`${text}\n`);
}

function spellContent(message: Message, add: (key: string, value: string) => void): void {
  const content = message.content;
  add("destination", formatAddress(message.address));
  add("content-length", String(message.bodyEnd - message.bodyStart));
  if (content.contentType !== undefined) add("content-type", content.contentType);
  if (content.contentEncoding !== undefined) add("content-encoding", content.contentEncoding);
  if (content.correlationId !== undefined) add("correlation-id", content.correlationId);
  if (content.replyTo !== undefined) add("reply-to", formatAddress(content.replyTo));
  if (content.subject !== undefined) add("type", content.subject);
  if (content.userId !== undefined) add("JMSXUserID", content.userId);
  if (content.groupId !== undefined) add("JMSXGroupID", content.groupId);
  if (content.groupSequence !== undefined) add("JMSXGroupSeq", String(content.groupSequence));
  if (content.duplicateId !== undefined) add("duplicate-id", content.duplicateId);
  if (message.durable) add("persistent", "true");
  if (message.priority !== 4) add("priority", String(message.priority));
  add("timestamp", String(message.receivedAt));
  for (const [key, value] of content.properties) {
    if (value === null || FRAME_HEADERS.has(key) || CONTENT_HEADERS.has(key)) continue;
    // Only the end of a browser's messages is marked so.
    if (key === "browser" && value === "end") continue;
    add(key, value instanceof Uint8Array ? Buffer.from(value).toString("base64") : String(value));
  }
}
