/*
 * A message as bytes, numbers little-endian:
 *
 *      0 u32 length of the frame        12 f64 expires at      28 u16 length of the origin
 *      4 u32 start of the body          20 f64 received at     30 u8  flags, see below
 *      8 u32 end of the body                                   31 u8  priority
 *     32 frame
 *        annotations, if a flag says so: u32 length, and what `Message.annotationBytes` holds
 *        origin: u8 kind (0 queue, 1 topic, 2 exchange), u8 length of the format's name, format's name, canonical name of the address
 *
 * The origin comes last so that a message in a segment knows where its record begins, and is compared as a whole with
 * the one before: messages that follow each other mostly have the same. Records of format version 2 have no flags but
 * the first, and are read like any other.
 */
import { type Address, kindCode, kindOfCode } from "../core/addresses/address.ts";
import { type Content, Message, TRAIT, type WireFormat } from "../core/message.ts";
import type { AddressReader } from "../core/store.ts";

/** Bytes of a record before the frame. */
export const HEADER_BYTES = 32;

/** The length before the annotations. */
const LENGTH_BYTES = 4;

/** The flags. */
const DURABLE = 1;
const GROUPED = 2;
const ANNOTATED = 4;
const RETAINED = 8;
const RETAINING = 16;
const ASSIGNED = 32;
const RETAIN_ASKED = 64;
const READDRESSED = 128;

/** Which formats and addresses the names in records mean. */
export interface RecordContext {
  readonly formats: ReadonlyMap<string, WireFormat>;
  readonly addresses: AddressReader;
}

/** Writes messages as records. */
export class RecordWriter {
  private address: Address | undefined = undefined;
  private format: WireFormat | undefined = undefined;
  private origin: Buffer = Buffer.alloc(0);
  private readonly origins = new WeakMap<Address, Map<WireFormat, Buffer>>();

  /** Bytes that the message's record takes. */
  size(message: Message): number {
    if (message.address !== this.address || message.format !== this.format) this.find(message.address, message.format);
    const { annotationBytes } = message;
    const annotations = annotationBytes === undefined ? 0 : LENGTH_BYTES + annotationBytes.length;
    return HEADER_BYTES + message.end - message.start + annotations + this.origin.length;
  }

  /** Writes the record and returns where it ends; there must be room. */
  write(message: Message, target: Buffer, at: number): number {
    const end = at + this.size(message);
    const { start, origin } = { start: message.start, origin: this.origin };
    target.writeUInt32LE(message.end - start, at);
    target.writeUInt32LE(message.bodyStart - start, at + 4);
    target.writeUInt32LE(message.bodyEnd - start, at + 8);
    target.writeDoubleLE(message.expiresAt, at + 12);
    target.writeDoubleLE(message.receivedAt, at + 20);
    target.writeUInt16LE(origin.length, at + 28);
    target[at + 30] = flagsOf(message);
    target[at + 31] = message.priority;
    message.data.copy(target, at + HEADER_BYTES, start, message.end);
    if (message.annotationBytes !== undefined) {
      const annotationsAt = target.writeUInt32LE(
        message.annotationBytes.length,
        at + HEADER_BYTES + message.end - start,
      );
      target.set(message.annotationBytes, annotationsAt);
    }
    target.set(origin, end - origin.length);
    return end;
  }

  /** The record alone, in bytes of its own. */
  encode(message: Message): Buffer {
    const record = Buffer.allocUnsafeSlow(this.size(message));
    this.write(message, record, 0);
    return record;
  }

  private find(address: Address, format: WireFormat): void {
    let byFormat = this.origins.get(address);
    if (byFormat === undefined) {
      byFormat = new Map();
      this.origins.set(address, byFormat);
    }
    let origin = byFormat.get(format);
    if (origin === undefined) {
      const head = Buffer.from(`\0\0${format.name}${address.name}`);
      head[0] = kindCode(address.kind);
      head[1] = Buffer.byteLength(format.name);
      origin = head;
      byFormat.set(format, origin);
    }
    this.address = address;
    this.format = format;
    this.origin = origin;
  }
}

/** Reads records. */
export class RecordReader {
  private readonly context: RecordContext;
  private readonly opaque = new Map<string, WireFormat>();
  private origin: Buffer = Buffer.alloc(0);
  private lastAddress: Address | undefined = undefined;
  private lastFormat: WireFormat | undefined = undefined;

  constructor(context: RecordContext) {
    this.context = context;
  }

  /** Where the record at `at` ends; undefined if it does not fit into the data. */
  end(data: Buffer, at: number): number | undefined {
    if (at + HEADER_BYTES > data.length) return undefined;
    let end = at + HEADER_BYTES + data.readUInt32LE(at);
    if ((Number(data[at + 30]) & ANNOTATED) !== 0) {
      if (end + LENGTH_BYTES > data.length) return undefined;
      end += LENGTH_BYTES + data.readUInt32LE(end);
    }
    end += data.readUInt16LE(at + 28);
    return end <= data.length ? end : undefined;
  }

  /** The frame's length, for accounts. */
  frameBytes(data: Buffer, at: number): number {
    return data.readUInt32LE(at);
  }

  /** The message of a record that fits, over the same bytes; it counts as detached. */
  read(data: Buffer, at: number): Message {
    const start = at + HEADER_BYTES;
    const end = start + data.readUInt32LE(at);
    const flags = Number(data[at + 30]);
    const annotated = (flags & ANNOTATED) !== 0;
    const originAt = annotated ? end + LENGTH_BYTES + data.readUInt32LE(end) : end;
    const originEnd = originAt + data.readUInt16LE(at + 28);
    if (!this.sameOrigin(data, originAt, originEnd)) this.readOrigin(data.subarray(originAt, originEnd));
    const bodyStart = start + data.readUInt32LE(at + 4);
    const bodyEnd = start + data.readUInt32LE(at + 8);
    if (this.lastFormat === undefined || this.lastAddress === undefined || bodyStart > bodyEnd || bodyEnd > end)
      throw new Error("the record of a message contradicts itself");
    const envelope = {
      address: this.lastAddress,
      durable: (flags & DURABLE) !== 0,
      priority: Number(data[at + 31]),
      expiresAt: data.readDoubleLE(at + 12),
      receivedAt: data.readDoubleLE(at + 20),
      traits: traitsOf(flags),
    };
    const message = new Message(this.lastFormat, envelope, data, start, end, bodyStart, bodyEnd);
    message.detached = true;
    // A copy, because the frame may move out of its segment and this would keep all of it alive.
    if (annotated) message.annotationBytes = Buffer.from(data.subarray(end + LENGTH_BYTES, originAt));
    return message;
  }

  /** The message of a record that stands alone; throws an Error if it is not one. */
  decode(record: Buffer): Message {
    if (this.end(record, 0) !== record.length) {
      throw new Error(`${record.length} bytes were to be decoded as a message, but they are no record of one`);
    }
    return this.read(record, 0);
  }

  private sameOrigin(data: Buffer, from: number, to: number): boolean {
    const origin = this.origin;
    if (to - from !== origin.length) return false;
    for (let i = origin.length - 1; i >= 0; i--) if (data[from + i] !== origin[i]) return false;
    return true;
  }

  private readOrigin(origin: Buffer): void {
    this.lastFormat = undefined;
    const nameAt = 2 + Number(origin[1]);
    if (!(nameAt <= origin.length)) throw new Error("the origin of a message is cut short");
    const format = origin.toString("utf8", 2, nameAt);
    this.lastAddress = this.context.addresses(origin.toString("utf8", nameAt), kindOfCode(origin[0]));
    this.lastFormat = this.context.formats.get(format) ?? this.opaqueFormat(format);
    // A copy, so that the last address read keeps no segment alive.
    this.origin = Buffer.from(origin);
  }

  private opaqueFormat(name: string): WireFormat {
    let format = this.opaque.get(name);
    if (format === undefined) {
      format = { name, open: () => OPAQUE };
      this.opaque.set(name, format);
    }
    return format;
  }
}

function flagsOf(message: Message): number {
  let flags = message.durable ? DURABLE : 0;
  if ((message.traits & TRAIT.grouped) !== 0) flags |= GROUPED;
  if (message.annotationBytes !== undefined) flags |= ANNOTATED;
  if ((message.traits & TRAIT.retained) !== 0) flags |= RETAINED;
  if ((message.traits & TRAIT.retaining) !== 0) flags |= RETAINING;
  if ((message.traits & TRAIT.assigned) !== 0) flags |= ASSIGNED;
  if ((message.traits & TRAIT.retainAsked) !== 0) flags |= RETAIN_ASKED;
  if ((message.traits & TRAIT.readdressed) !== 0) flags |= READDRESSED;
  return flags;
}

function traitsOf(flags: number): number {
  let traits = 0;
  if ((flags & GROUPED) !== 0) traits |= TRAIT.grouped;
  if ((flags & RETAINED) !== 0) traits |= TRAIT.retained;
  if ((flags & RETAINING) !== 0) traits |= TRAIT.retaining;
  if ((flags & ASSIGNED) !== 0) traits |= TRAIT.assigned;
  if ((flags & RETAIN_ASKED) !== 0) traits |= TRAIT.retainAsked;
  if ((flags & READDRESSED) !== 0) traits |= TRAIT.readdressed;
  return traits;
}

/** What is known of a message whose format nobody here speaks. */
const OPAQUE: Content = {
  messageId: undefined,
  correlationId: undefined,
  replyTo: undefined,
  subject: undefined,
  contentType: undefined,
  contentEncoding: undefined,
  userId: undefined,
  groupId: undefined,
  groupSequence: undefined,
  bodyKind: "bytes",
  properties: new Map(),
};
