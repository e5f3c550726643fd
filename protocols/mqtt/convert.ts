/*
 * MQTT properties and the neutral message, both ways. A stored MQTT message is the PUBLISH packet it came in, format "mqtt"
 * for 3.1 and 3.1.1, "mqtt5" for 5.0; what stands only for the way it came is not in it any more: topic alias, expiry.
 *
 *     PUBLISH                         message
 *     topic                           address
 *     QoS 1 and 2                     durable
 *     message expiry interval         expiresAt
 *     retain                          for the topic's retained message; a subscriber that asked for it sees it
 *     payload format indicator 1      bodyKind "text"; otherwise by the content type, otherwise "bytes"
 *     content type                    contentType
 *     response topic                  replyTo (a property "response-topic" when it is no address)
 *     correlation data                correlationId: the text if it is UTF-8, else base64url after "base64:"
 *     user property message-priority  priority, where it is a digit; none stands for 4
 *     user properties                 properties, the first one of each name
 *
 * To MQTT 5.0 from elsewhere: properties as user properties in text (bytes as base64, null left out), and the fields that
 * MQTT has no place for as user properties of the names message-id, subject, content-encoding, user-id, group-id.
 * Annotations are user properties too, in place of the sender's of these names. MQTT 3 has none of it. Maps, lists and values
 * are JSON, with its content type.
 */
import type { Address } from "../../core/addresses/address.ts";
import type { BodyKind, Content, Message, PropertyValue, WireFormat } from "../../core/message.ts";
import { ASSIGNED } from "../../core/sessions/share.ts";
import { readU16, readVarint, varintSize } from "./bytes.ts";
import { PRIORITY_NAME, PropertyBlock } from "./properties.ts";
import { PLACE } from "./property-names.ts";
import type { Pairs, Properties } from "./property-writer.ts";
import { formatTopic, parseTopic } from "./topic.ts";

const TEXTUAL = /^text\/|[/+](json|xml|yaml)\b|;\s*charset\s*=/i;
const BASE64 = "base64:";
const NO_PAIRS: Pairs = [];
/** Annotations that are for the session's own use. */
const OWN: ReadonlySet<string> = new Set(Object.values(ASSIGNED));
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Where the topic's length stands in a stored packet: behind the fixed header. */
export function fieldsAt(message: Message): number {
  const { data } = message;
  let at = message.start + 1;
  while ((data[at] ?? 0) >= 0x80) at++;
  return at + 1;
}

/** Where the topic of a stored packet ends. */
export function topicEnd(message: Message): number {
  const at = fieldsAt(message);
  return at + 2 + readU16(message.data, at);
}

/** The QoS that a stored packet was published with. */
export function storedQos(message: Message): 0 | 1 | 2 {
  const bits = ((message.data[message.start] ?? 0) >> 1) & 3;
  return bits === 0 ? 0 : bits === 1 ? 1 : 2;
}

/** Where the properties of a stored MQTT 5.0 packet begin; they end where its payload begins. */
export function propertiesAt(message: Message): number {
  const at = topicEnd(message) + (storedQos(message) > 0 ? 2 : 0);
  return at + varintSize(readVarint(message.data, at, message.end));
}

class MqttContent implements Content {
  readonly messageId = undefined;
  readonly subject = undefined;
  readonly contentEncoding = undefined;
  readonly userId = undefined;
  readonly groupId = undefined;
  readonly groupSequence = undefined;
  readonly replyTo: Address | undefined;
  readonly properties: ReadonlyMap<string, PropertyValue>;
  readonly #block: PropertyBlock;

  constructor(block: PropertyBlock) {
    this.#block = block;
    const response = block.text("responseTopic");
    const parsed = response === undefined ? undefined : parseTopic(response);
    this.replyTo = parsed === undefined || parsed instanceof Error ? undefined : parsed;
    const properties = new Map<string, PropertyValue>();
    for (const [name, value] of block.userProperties()) if (!properties.has(name)) properties.set(name, value);
    if (block.priority() !== 4) properties.delete(PRIORITY_NAME);
    if (response !== undefined && this.replyTo === undefined) properties.set("response-topic", response);
    this.properties = properties;
  }

  get contentType(): string | undefined {
    return this.#block.text("contentType");
  }

  get correlationId(): string | undefined {
    const bytes = this.#block.bytes("correlationData");
    return bytes === undefined ? undefined : textOf(bytes);
  }

  get bodyKind(): BodyKind {
    return this.#block.payloadFormat === 1 || TEXTUAL.test(this.contentType ?? "") ? "text" : "bytes";
  }
}

/** How messages that came by MQTT 3.1 and 3.1.1 are kept. */
export const mqttFormat: WireFormat = { name: "mqtt", open: () => new MqttContent(new PropertyBlock()) };

/** How messages that came by MQTT 5.0 are kept. */
export const mqtt5Format: WireFormat = {
  name: "mqtt5",
  open(message) {
    const block = new PropertyBlock();
    const start = propertiesAt(message);
    if (start < message.bodyStart) block.take(message.data, start, message.bodyStart, PLACE.publish);
    return new MqttContent(block);
  },
};

/** The properties of a message that came by MQTT 5.0. */
export function storedProperties(message: Message): Properties {
  const block = new PropertyBlock();
  const start = propertiesAt(message);
  if (start < message.bodyStart) block.take(message.data, start, message.bodyStart, PLACE.publish);
  return {
    payloadFormatIndicator: block.number("payloadFormatIndicator"),
    contentType: block.text("contentType"),
    responseTopic: block.text("responseTopic"),
    correlationData: block.bytes("correlationData"),
    userProperties: block.userProperties(),
  };
}

/** The properties for MQTT 5.0 of a message that came by another protocol. */
export function propertiesOf(message: Message): Properties {
  const { content } = message;
  const pairs: [string, string][] = [];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && fits(name) && fits(value)) pairs.push([name, value]);
  };
  add(PRIORITY_NAME, message.priority === 4 ? undefined : String(message.priority));
  add("message-id", content.messageId);
  add("subject", content.subject);
  add("content-encoding", content.contentEncoding);
  add("user-id", content.userId);
  add("group-id", content.groupId);
  for (const [name, value] of content.properties) {
    if (value !== null) add(name, value instanceof Uint8Array ? Buffer.from(value).toString("base64") : String(value));
  }
  const { contentType, replyTo, correlationId } = content;
  const responseTopic = replyTo === undefined ? undefined : formatTopic(replyTo);
  return {
    payloadFormatIndicator: content.bodyKind === "text" ? 1 : undefined,
    contentType: contentType !== undefined && fits(contentType) ? contentType : undefined,
    responseTopic: responseTopic !== undefined && fits(responseTopic) ? responseTopic : undefined,
    correlationData: correlationId === undefined ? undefined : bytesOf(correlationId),
    userProperties: pairs.length > 0 ? pairs : undefined,
  };
}

/** The annotations of a message as user properties. */
export function annotationPairs(message: Message): Pairs {
  if (message.annotationBytes === undefined) return NO_PAIRS;
  return [...message.annotations].filter(([name]) => !OWN.has(name)).map(([name, value]) => [name, String(value)]);
}

/** What a text of MQTT can be: at most 65,535 bytes, well-formed and without U+0000 [MQTT-1.5.4-1] [MQTT-1.5.4-2]. */
function fits(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed() && Buffer.byteLength(text) <= 0xffff;
}

function textOf(bytes: Buffer): string {
  try {
    const text = strictUtf8.decode(bytes);
    if (!text.startsWith(BASE64)) return text;
  } catch {
    // Not a text: as base64.
  }
  return BASE64 + bytes.toString("base64url");
}

function bytesOf(text: string): Buffer | undefined {
  const bytes = text.startsWith(BASE64) ? Buffer.from(text.slice(BASE64.length), "base64url") : Buffer.from(text);
  return bytes.length <= 0xffff ? bytes : undefined;
}
