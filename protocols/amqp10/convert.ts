/*
 * Sections of AMQP 1.0 and the neutral message, both ways. What is stored of a message are its sections as they came, without
 * header and delivery annotations, which are for one hop only; so to AMQP 1.0 they go as they are, behind a header of the
 * broker's own.
 *
 *     section and field                         message
 *     header durable, priority                  durable, priority (9 where it is above)
 *     header ttl; else absolute-expiry-time     expiresAt (0 of either: never)
 *     header first-acquirer, delivery-count     from the broker: what the delivery before it came to
 *     message-id, correlation-id                messageId, correlationId (message-id.ts)
 *     user-id                                   userId; must be the user who is logged in
 *     to                                        not looked at where the link has a target; written: the address
 *     subject                                   subject
 *     reply-to, x-opt-jms-reply-to              replyTo (a property "reply-to" when it is no address)
 *     content-type, content-encoding            contentType, contentEncoding
 *     creation-time                             written: receivedAt
 *     group-id, group-sequence                  groupId, groupSequence (the uint 4294967295 is -1: the group's end)
 *     x-opt-delivery-time ... (traits.ts)       timing, duplicateId (written as the application property duplicate-id)
 *     application-properties                    properties; times as milliseconds, nested values as JSON
 *     one data section                          bytes; text by x-opt-jms-msg-type or content-type, if it is UTF-8
 *     amqp-value                                string: text; binary and null: bytes; map, list; anything else: value
 *     several data sections, amqp-sequence      bytes, joined; a list
 *
 * Written for messages from elsewhere: text as an amqp-value, bytes as data, map, list and value as an amqp-value;
 * x-opt-jms-msg-type says the same to JMS, x-opt-jms-dest and x-opt-jms-reply-to what addresses are. The broker's annotations are message annotations: dead_letter_reason is
 * x-opt-dead-letter-reason, in place of what the sender has under such names.
 */
import type { Address } from "../../core/addresses/address.ts";
import { type Annotation, type Content, Message, TRAIT, type WireFormat } from "../../core/message.ts";
import { formatAddress } from "./address.ts";
import { AmqpError, CONDITION } from "./errors.ts";
import { AmqpContent, isText, readGroupSequence } from "./content.ts";
import { idValue } from "./message-id.ts";
import type { Payload } from "./payload.ts";
import { Reader } from "./reader.ts";
import { KNOWN, PROPERTY, SECTION, Sections } from "./sections.ts";
import { readDuplicateId, readTiming } from "./traits.ts";
import { CODE, fromPlain, Scalar, symbol, type Value } from "./values.ts";
import type { Writer } from "./writer.ts";

/** How messages that came by AMQP 1.0 are kept. */
export const amqp10Format: WireFormat = {
  name: "amqp10",
  structured: true,
  open: (message) => new AmqpContent(message),
  quick(message, field) {
    const sections = new Sections();
    sections.scan(message.data, message.start, message.end);
    if (field === "duplicateId") return sections.hasKnown ? readDuplicateId(sections) : undefined;
    if (field === "groupSequence") {
      return readGroupSequence(sections.read(sections.propertyAt[PROPERTY.groupSequence] ?? 0))?.toString();
    }
    const id = sections.read(sections.propertyAt[PROPERTY.groupId] ?? 0);
    return typeof id === "string" ? id : undefined;
  },
};

/**
 * The message whose sections were found, as it was received at `now` for `address`. Its bytes stay where they lie. With
 * `user`, who sends it: the user-id has to say the same, if it is there. Throws AmqpError("link") over that, and over a
 * time of delivery that makes no sense.
 */
export function messageOf(sections: Sections, address: Address, now: number, user?: string): Message {
  const { data, start, end, durable, priority } = sections;
  if (user !== undefined) checkUser(sections, user);
  let traits = isGrouped(sections) ? TRAIT.grouped : 0;
  const timing = sections.hasKnown ? readTiming(sections, now) : undefined;
  if (timing !== undefined) traits |= TRAIT.timed;
  if (sections.hasKnown && readDuplicateId(sections) !== undefined) traits |= TRAIT.identified;
  const expiresAt = expiry(sections, now);
  const envelope = { address, durable, priority, expiresAt, receivedAt: now, traits, timing };
  let { bodyStart, bodyEnd } = sections;
  const { bodyAt } = sections;
  if (sections.bodySections === 1) {
    const code = data[bodyAt];
    if (code === CODE.binary8 || code === CODE.string8) bodyStart = bodyAt + 2;
    else if (code === CODE.binary32 || code === CODE.string32) bodyStart = bodyAt + 5;
    else if (code === CODE.null) bodyStart = bodyEnd;
  }
  return new Message(amqp10Format, envelope, data, start, end, bodyStart, bodyEnd);
}

/** What is asked for in somebody's name is to be so: others believe what the broker hands on (amqp10 3.2.4 user-id). */
function checkUser(sections: Sections, user: string): void {
  const at = sections.propertyAt[PROPERTY.userId] ?? 0;
  if (at === 0) return;
  const id = sections.read(at);
  const said = id instanceof Uint8Array ? Buffer.from(id).toString() : "";
  if (said === user || said === "") return;
  throw new AmqpError(
    "link",
    CONDITION.unauthorizedAccess,
    `The user-id of a message is "${said.slice(0, 100)}"; expected "${user}", who is logged in, or none`,
  );
}

function isGrouped(sections: Sections): boolean {
  const at = sections.propertyAt[PROPERTY.groupId] ?? 0;
  if (at === 0) return false;
  const code = sections.data[at];
  // An empty one is none.
  return code === CODE.string32 || (code === CODE.string8 && sections.data[at + 1] !== 0);
}

/** amqp10 3.2.1 ttl, 3.2.4 absolute-expiry-time: what the sender's clock has to do with counts only where there is no other. */
function expiry(sections: Sections, now: number): number {
  if (sections.ttl > 0) return now + sections.ttl;
  const at = sections.propertyAt[PROPERTY.absoluteExpiryTime] ?? 0;
  const time = at === 0 || sections.data[at] !== CODE.timestamp ? 0 : Number(sections.data.readBigInt64BE(at + 1));
  return time > 0 ? Math.min(time, Number.MAX_SAFE_INTEGER) : 0;
}

const MOST_UINT = 0xffff_ffff;

/** Which encodings of messages from elsewhere `message.wire` may hold for all their consumers. */
const SECTIONS_FORM = {};

/** Fills `payload` with the sections of a message that was delivered `deliveries` times before (amqp10 3.2). */
export function fillPayload(payload: Payload, message: Message, deliveries: number, now: number): void {
  payload.headEnd = writeHeader(payload.head, message, deliveries, now);
  payload.middleStart = payload.middleEnd = 0;
  payload.tail = message.data;
  payload.tailEnd = message.end;
  if (message.format === amqp10Format) {
    payload.tailStart = message.start;
    if (message.annotationBytes !== undefined) annotate(payload, message);
    return;
  }
  if (message.shared && message.wireKey === SECTIONS_FORM && message.wire !== undefined) {
    payload.middle = message.wire;
    payload.middleEnd = message.wireEnd;
  } else {
    const { writer } = payload;
    writer.clear();
    writeSections(writer, message);
    if (message.shared) keep(message, writer);
    payload.middle = writer.buffer;
    payload.middleEnd = writer.length;
  }
  const inMiddle = message.content.value !== undefined;
  payload.tailStart = inMiddle ? message.end : message.bodyStart;
  payload.tailEnd = inMiddle ? message.end : message.bodyEnd;
}

/** For the others that get the same message now. */
function keep(message: Message, writer: Writer): void {
  message.wireKey = SECTIONS_FORM;
  message.wire = writer.bytes();
  message.wireStart = 0;
  message.wireEnd = writer.length;
}

/** Writes the header section (amqp10 3.2.1); returns where it ends. */
function writeHeader(target: Buffer, message: Message, deliveries: number, now: number): number {
  target[0] = CODE.described;
  target[1] = CODE.smallUlong;
  target[2] = SECTION.header;
  target[3] = CODE.list8;
  target[5] = 5;
  target[6] = message.durable ? CODE.true : CODE.false;
  target[7] = CODE.ubyte;
  target[8] = message.priority;
  let at = 9;
  // What is left of the time. One that is over is told as a millisecond: it expires on its way.
  const ttl = Math.max(1, message.expiresAt - now);
  if (message.expiresAt === 0 || ttl > MOST_UINT) {
    target[at++] = CODE.null;
  } else {
    target[at] = CODE.uint;
    at = target.writeUInt32BE(ttl, at + 1);
  }
  target[at++] = deliveries === 0 ? CODE.true : CODE.false;
  if (deliveries === 0) {
    target[at++] = CODE.uint0;
  } else {
    target[at] = CODE.uint;
    at = target.writeUInt32BE(deliveries, at + 1);
  }
  target[4] = at - 5;
  return at;
}

/** Puts the broker's annotations in place of the message annotations of a stored message, with those that it has. */
function annotate(payload: Payload, message: Message): void {
  const sections = new Sections();
  const { data, start, end, annotations } = message;
  sections.scan(data, start, end);
  const { writer } = payload;
  writer.clear();
  writer.descriptor(SECTION.messageAnnotations);
  const opened = writer.open();
  let count = writeAnnotations(writer, annotations);
  const names = new Set(Array.from(annotations.keys(), annotationName));
  if (sections.messageAnnotationsAt > 0) {
    const reader = new Reader(false).over(data, sections.messageAnnotationsAt, end);
    for (let left = reader.open(); left > 0; left -= 2) {
      const from = reader.at;
      const key = reader.read();
      reader.skip();
      // Nobody but the broker says these.
      if (key instanceof Scalar && names.has(String(key.value))) continue;
      writer.raw(data, from, reader.at);
      count += 2;
    }
    payload.tailStart = sections.messageAnnotationsEnd;
  }
  writer.close(opened, CODE.map8, count);
  payload.middle = writer.buffer;
  payload.middleEnd = writer.length;
}

function writeAnnotations(writer: Writer, annotations: ReadonlyMap<string, Annotation>): number {
  for (const [name, value] of annotations) {
    writer.value(symbol(annotationName(name)));
    writer.value(fromPlain(value));
  }
  return annotations.size * 2;
}

function annotationName(name: string): string {
  return `x-opt-${name.replaceAll("_", "-")}`;
}

/** What x-opt-jms-msg-type says of a body (AMQP JMS 3.2.1.2). */
const JMS_TYPES: Readonly<Record<Content["bodyKind"], number>> = { bytes: 3, text: 5, map: 2, list: 4, value: 0 };

/** What x-opt-jms-dest says of an address (AMQP JMS 3.2.1.2): to JMS everything but a topic is a queue. */
function jmsKind({ kind }: Address): number {
  return kind === "topic" ? 1 : 0;
}

/** Symbols are ASCII (amqp10 1.6.21). */
function asciiSymbol(text: string | undefined): Value {
  return text === undefined || NOT_ASCII.test(text) ? null : symbol(text);
}

const NOT_ASCII = /[^\x20-\x7e]/;

/** Writes all sections but the header of a message that came by another protocol, without the body's own bytes. */
function writeSections(writer: Writer, message: Message): void {
  const { content } = message;
  // Whoever sent it may have claimed too much.
  const text = content.bodyKind === "text" && isText(message.body);
  const kind = text || content.bodyKind !== "text" ? content.bodyKind : "bytes";
  writer.descriptor(SECTION.messageAnnotations);
  const annotations = writer.open();
  let count = writeAnnotations(writer, message.annotations);
  const add = (name: string, byte: number): void => {
    writer.value(symbol(name));
    writer.value(new Scalar("byte", byte));
    count += 2;
  };
  add("x-opt-jms-msg-type", JMS_TYPES[kind]);
  add("x-opt-jms-dest", jmsKind(message.address));
  if (content.replyTo !== undefined) add("x-opt-jms-reply-to", jmsKind(content.replyTo));
  writer.close(annotations, CODE.map8, count);
  writer.descriptor(SECTION.properties);
  writer.value(propertiesOf(message, content));
  writeApplicationProperties(writer, content);
  const bytes = message.bodyEnd - message.bodyStart;
  if (content.value !== undefined) {
    writer.descriptor(SECTION.value);
    writer.value(fromPlain(content.value));
  } else if (text) {
    writer.descriptor(SECTION.value);
    writer.stringHead(bytes);
  } else {
    writer.descriptor(SECTION.data);
    writer.binaryHead(bytes);
  }
}

/** The fields of the properties, in their order (amqp10 3.2.4). */
function propertiesOf(message: Message, content: Content): Value[] {
  const { messageId, userId, subject, replyTo, correlationId, contentType, contentEncoding } = content;
  const { groupId: group, groupSequence } = content;
  const fields: Value[] = [
    messageId === undefined ? null : idValue(messageId),
    userId === undefined ? null : Buffer.from(userId),
    formatAddress(message.address),
    subject ?? null,
    replyTo === undefined ? null : formatAddress(replyTo),
    correlationId === undefined ? null : idValue(correlationId),
    asciiSymbol(contentType),
    asciiSymbol(contentEncoding),
    message.expiresAt === 0 ? null : new Scalar("timestamp", BigInt(message.expiresAt)),
    new Scalar("timestamp", BigInt(message.receivedAt)),
  ];
  if (group !== undefined)
    fields.push(group, groupSequence === undefined ? null : new Scalar("uint", groupSequence >>> 0));
  return fields;
}

const KNOWN_NAMES: ReadonlySet<string> = new Set(KNOWN);

function writeApplicationProperties(writer: Writer, content: Content): void {
  const { properties, duplicateId } = content;
  if (properties.size === 0 && duplicateId === undefined) return;
  writer.descriptor(SECTION.applicationProperties);
  const opened = writer.open();
  let count = 0;
  const add = (name: string, value: Value): void => {
    writer.value(name);
    writer.value(value);
    count += 2;
  };
  if (duplicateId !== undefined) add("duplicate-id", duplicateId);
  for (const [name, value] of properties) if (!KNOWN_NAMES.has(name)) add(name, fromPlain(value));
  writer.close(opened, CODE.map8, count);
}
