/*
 * The properties of a content header of class basic (4.2.6.1): two bytes that say which there are, then those in order.
 *
 *     flags, 2 bytes | content type | content encoding | headers | delivery mode | priority | ...
 *
 * The lowest flag says that two more bytes of flags follow; class basic has no use for them.
 */
import { readU16, readU32, readU64, writeU16, writeU64 } from "./bytes.ts";
import { type AmqpError, syntaxError } from "./errors.ts";
import { checkTable, type FieldTable, tableAt, tableSize, writeTable } from "./field-table.ts";
import { cutShort, shortSize, writeShort } from "./strings.ts";

/** The properties of a content header; absent ones are undefined. */
export interface BasicProperties {
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly headers?: FieldTable | undefined;
  readonly deliveryMode?: number | undefined;
  readonly priority?: number | undefined;
  readonly correlationId?: string | undefined;
  readonly replyTo?: string | undefined;
  /** Milliseconds, as a text. */
  readonly expiration?: string | undefined;
  readonly messageId?: string | undefined;
  /** Seconds since 1970. */
  readonly timestamp?: number | undefined;
  readonly type?: string | undefined;
  readonly userId?: string | undefined;
  readonly appId?: string | undefined;
  readonly clusterId?: string | undefined;
}

/** Which properties there are. */
const FLAG = {
  contentType: 0x8000,
  contentEncoding: 0x4000,
  headers: 0x2000,
  deliveryMode: 0x1000,
  priority: 0x0800,
  correlationId: 0x0400,
  replyTo: 0x0200,
  expiration: 0x0100,
  messageId: 0x0080,
  timestamp: 0x0040,
  type: 0x0020,
  userId: 0x0010,
  appId: 0x0008,
  clusterId: 0x0004,
} as const;

const RESERVED = 0x0002;
const MORE_FLAGS = 0x0001;

/** The properties whose places are read without building anything; the same object for many headers. */
export class PropertyPlaces {
  /** Which properties there are: bits of `FLAG`. */
  flags = 0;
  /** 0 when absent. */
  deliveryMode = 0;
  /** -1 when absent. */
  priority = -1;
  /** Ranges of the data; empty (0, 0) when absent. The texts without their length, the headers with theirs. */
  headersStart = 0;
  headersEnd = 0;
  replyToStart = 0;
  replyToEnd = 0;
  expirationStart = 0;
  expirationEnd = 0;
  userIdStart = 0;
  userIdEnd = 0;

  /** Reads and checks flags and properties in `data[start, end)`. Throws `AmqpError` SYNTAX_ERROR. */
  locate(data: Buffer, start: number, end: number): void {
    const flags = start + 2 > end ? 0 : readU16(data, start);
    let at = afterFlags(data, start, end);
    this.flags = flags;
    this.deliveryMode = 0;
    this.priority = -1;
    this.headersStart = this.headersEnd = 0;
    this.replyToStart = this.replyToEnd = 0;
    this.expirationStart = this.expirationEnd = 0;
    this.userIdStart = this.userIdEnd = 0;
    if ((flags & FLAG.contentType) !== 0) at = afterShort(data, at, end);
    if ((flags & FLAG.contentEncoding) !== 0) at = afterShort(data, at, end);
    if ((flags & FLAG.headers) !== 0) {
      this.headersStart = at;
      at = checkTable(data, at, end);
      this.headersEnd = at;
    }
    if ((flags & FLAG.deliveryMode) !== 0) this.deliveryMode = data[at++] ?? 0;
    if ((flags & FLAG.priority) !== 0) this.priority = data[at++] ?? 0;
    // All others, which most messages do not have.
    if ((flags & 0x07fc) !== 0) at = this.locateRest(flags, data, at, end);
    if (at !== end) throw wrongEnd(at, end);
  }

  private locateRest(flags: number, data: Buffer, start: number, end: number): number {
    let at = start;
    if ((flags & FLAG.correlationId) !== 0) at = afterShort(data, at, end);
    if ((flags & FLAG.replyTo) !== 0) {
      this.replyToStart = at + 1;
      this.replyToEnd = at = afterShort(data, at, end);
    }
    if ((flags & FLAG.expiration) !== 0) {
      this.expirationStart = at + 1;
      this.expirationEnd = at = afterShort(data, at, end);
    }
    if ((flags & FLAG.messageId) !== 0) at = afterShort(data, at, end);
    if ((flags & FLAG.timestamp) !== 0) at += 8;
    if ((flags & FLAG.type) !== 0) at = afterShort(data, at, end);
    if ((flags & FLAG.userId) !== 0) {
      this.userIdStart = at + 1;
      this.userIdEnd = at = afterShort(data, at, end);
    }
    if ((flags & FLAG.appId) !== 0) at = afterShort(data, at, end);
    if ((flags & FLAG.clusterId) !== 0) at = afterShort(data, at, end);
    return at;
  }
}

/** Reads property flags and properties in `data[start, end)`. Throws `AmqpError` SYNTAX_ERROR. */
export function decodeProperties(data: Buffer, start: number, end: number): BasicProperties {
  new PropertyPlaces().locate(data, start, end);
  const flags = readU16(data, start);
  const reader = new PropertyReader(data, flags, afterFlags(data, start, end));
  // In the order in which they stand.
  return {
    contentType: reader.text(FLAG.contentType),
    contentEncoding: reader.text(FLAG.contentEncoding),
    headers: reader.table(FLAG.headers),
    deliveryMode: reader.octet(FLAG.deliveryMode),
    priority: reader.octet(FLAG.priority),
    correlationId: reader.text(FLAG.correlationId),
    replyTo: reader.text(FLAG.replyTo),
    expiration: reader.text(FLAG.expiration),
    messageId: reader.text(FLAG.messageId),
    timestamp: reader.time(FLAG.timestamp),
    type: reader.text(FLAG.type),
    userId: reader.text(FLAG.userId),
    appId: reader.text(FLAG.appId),
    clusterId: reader.text(FLAG.clusterId),
  };
}

/** Where the headers begin, with their length, of properties at `start` that were checked; -1: there are none. */
export function headersAt(data: Buffer, start: number): number {
  const flags = readU16(data, start);
  if ((flags & FLAG.headers) === 0) return -1;
  let at = afterFlags(data, start, data.length);
  if ((flags & FLAG.contentType) !== 0) at += 1 + (data[at] ?? 0);
  if ((flags & FLAG.contentEncoding) !== 0) at += 1 + (data[at] ?? 0);
  return at;
}

/** The priority of properties at `start` that were checked; undefined when it is not there. */
export function storedPriority(data: Buffer, start: number): number | undefined {
  const flags = readU16(data, start);
  if ((flags & FLAG.priority) === 0) return undefined;
  let at = afterFlags(data, start, data.length);
  if ((flags & FLAG.contentType) !== 0) at += 1 + (data[at] ?? 0);
  if ((flags & FLAG.contentEncoding) !== 0) at += 1 + (data[at] ?? 0);
  if ((flags & FLAG.headers) !== 0) at += 4 + readU32(data, at);
  return data[(flags & FLAG.deliveryMode) !== 0 ? at + 1 : at];
}

/** Property flags and properties as bytes. Texts longer than 255 bytes are cut. */
export function encodeProperties(properties: BasicProperties): Buffer {
  const writer = new PropertyWriter(Buffer.allocUnsafe(propertiesSize(properties)));
  writer.text(FLAG.contentType, properties.contentType);
  writer.text(FLAG.contentEncoding, properties.contentEncoding);
  writer.table(FLAG.headers, properties.headers);
  writer.octet(FLAG.deliveryMode, properties.deliveryMode);
  writer.octet(FLAG.priority, properties.priority);
  writer.text(FLAG.correlationId, properties.correlationId);
  writer.text(FLAG.replyTo, properties.replyTo);
  writer.text(FLAG.expiration, properties.expiration);
  writer.text(FLAG.messageId, properties.messageId);
  writer.time(FLAG.timestamp, properties.timestamp);
  writer.text(FLAG.type, properties.type);
  writer.text(FLAG.userId, properties.userId);
  writer.text(FLAG.appId, properties.appId);
  writer.text(FLAG.clusterId, properties.clusterId);
  return writer.finish();
}

function propertiesSize(properties: BasicProperties): number {
  const { headers, deliveryMode, priority, timestamp } = properties;
  let size = 2;
  for (const value of Object.values(properties)) {
    if (typeof value === "string") size += shortSize(cutShort(value));
  }
  if (headers !== undefined) size += tableSize(headers);
  if (deliveryMode !== undefined) size++;
  if (priority !== undefined) size++;
  return timestamp === undefined ? size : size + 8;
}

/** Reads properties that were checked, in their order. */
class PropertyReader {
  private readonly data: Buffer;
  private readonly flags: number;
  private at: number;

  constructor(data: Buffer, flags: number, at: number) {
    this.data = data;
    this.flags = flags;
    this.at = at;
  }

  text(flag: number): string | undefined {
    if ((this.flags & flag) === 0) return undefined;
    const start = this.at + 1;
    this.at = start + (this.data[this.at] ?? 0);
    return this.data.toString("utf8", start, this.at);
  }

  octet(flag: number): number | undefined {
    return (this.flags & flag) === 0 ? undefined : this.data[this.at++];
  }

  time(flag: number): number | undefined {
    if ((this.flags & flag) === 0) return undefined;
    this.at += 8;
    return readU64(this.data, this.at - 8);
  }

  table(flag: number): FieldTable | undefined {
    if ((this.flags & flag) === 0) return undefined;
    const start = this.at;
    this.at = checkTable(this.data, start, this.data.length);
    return tableAt(this.data, start);
  }
}

/** Writes properties in their order, and the flags of those that there are. */
class PropertyWriter {
  private readonly target: Buffer;
  private flags = 0;
  private at = 2;

  constructor(target: Buffer) {
    this.target = target;
  }

  text(flag: number, value: string | undefined): void {
    if (value === undefined) return;
    this.flags |= flag;
    this.at = writeShort(this.target, this.at, cutShort(value));
  }

  octet(flag: number, value: number | undefined): void {
    if (value === undefined) return;
    this.flags |= flag;
    this.target[this.at++] = value;
  }

  time(flag: number, value: number | undefined): void {
    if (value === undefined) return;
    this.flags |= flag;
    this.at = writeU64(this.target, this.at, value);
  }

  table(flag: number, value: FieldTable | undefined): void {
    if (value === undefined) return;
    this.flags |= flag;
    this.at = writeTable(this.target, this.at, value);
  }

  finish(): Buffer {
    writeU16(this.target, 0, this.flags);
    return this.target;
  }
}

/** Where the properties begin, behind the flags. */
function afterFlags(data: Buffer, start: number, end: number): number {
  if (start + 2 > end) throw syntaxError("a content header ends within its property flags");
  let word = readU16(data, start);
  let at = start + 2;
  if ((word & (RESERVED | MORE_FLAGS)) === 0) return at;
  if ((word & RESERVED) !== 0) throw unknownFlags(word);
  while ((word & MORE_FLAGS) !== 0) {
    if (at + 2 > end) throw syntaxError("a content header ends within its property flags");
    word = readU16(data, at);
    if ((word & ~MORE_FLAGS) !== 0) throw unknownFlags(word);
    at += 2;
  }
  return at;
}

function afterShort(data: Buffer, at: number, end: number): number {
  const after = at + 1 + (data[at] ?? 0);
  if (at >= end || after > end) throw wrongEnd(after, end);
  return after;
}

function wrongEnd(at: number, end: number): AmqpError {
  return at > end
    ? syntaxError("a content header ends within its properties")
    : syntaxError(`a content header has ${end - at} bytes behind its properties; expected none`);
}

function unknownFlags(flags: number): AmqpError {
  return syntaxError(`property flags 0x${flags.toString(16)} stand for properties that class basic does not have`);
}
