/*
 * A basic.publish with its content, in one buffer; `start` to `end` is also how messages that came by 0-9-1 are kept.
 *
 *     arguments of the method ...  | head | 60 | 0 | size | flags | properties | CE | head | body | CE |
 *     exchange, key, bits            start                                             bodyStart     end
 *
 * One header frame and one body frame, whatever frames the body came in; without a body there is no body frame. So most
 * publishes are kept, and delivered, as the bytes that came, with another channel in the two heads.
 */
import { readU16, readU64, writeU16, writeU32, writeU64 } from "./bytes.ts";
import { AmqpError, frameError, syntaxError, unexpectedFrame } from "./errors.ts";
import { BASIC_CLASS, CONTENT_HEAD, FRAME_END, FRAME_HEAD, FRAME_OVERHEAD, FRAME_TYPE } from "./frame.ts";
import { type BasicProperties, encodeProperties, PropertyPlaces } from "./properties.ts";

/** Bytes of a kept message before its property flags. */
export const PROPERTIES_OFFSET: number = FRAME_HEAD + CONTENT_HEAD;

const EMPTY: Buffer = Buffer.alloc(0);
/** The first room of a body: what a header announces is not believed before it comes. */
const FIRST_ROOM = 64 * 1024;
/** Bytes of the arguments besides exchange and key: a reserved number, two lengths, the bits. */
const LEAST_ARGUMENTS = 5;

/** A basic.publish with its content. The same object for every publish of a connection or channel: keep nothing of it. */
export class Publish extends PropertyPlaces {
  data: Buffer = EMPTY;
  /** The arguments that say where to: the bytes from `exchangeStart` to `keyEnd` are the same when both are. */
  exchangeStart = 0;
  exchangeEnd = 0;
  keyStart = 0;
  keyEnd = 0;
  mandatory = false;
  immediate = false;
  start = 0;
  end = 0;
  bodyStart = 0;
  bodyEnd = 0;
  /** True when `data` holds nothing else: the message may keep it. */
  detached = false;

  get exchange(): string {
    return this.data.toString("utf8", this.exchangeStart, this.exchangeEnd);
  }

  get routingKey(): string {
    return this.data.toString("utf8", this.keyStart, this.keyEnd);
  }

  /** Reads the arguments of the method in `data[start, end)`. Throws `AmqpError`. */
  readArguments(data: Buffer, start: number, end: number): void {
    const exchangeEnd = start + 3 + (data[start + 2] ?? 0);
    const keyEnd = exchangeEnd + 1 + (data[exchangeEnd] ?? 0);
    if (end - start < LEAST_ARGUMENTS || keyEnd + 1 !== end) {
      throw syntaxError(`the arguments of a basic.publish do not end with its frame`);
    }
    const bits = data[keyEnd] ?? 0;
    this.data = data;
    this.exchangeStart = start + 3;
    this.exchangeEnd = exchangeEnd;
    this.keyStart = exchangeEnd + 1;
    this.keyEnd = keyEnd;
    this.mandatory = (bits & 1) !== 0;
    this.immediate = (bits & 2) !== 0;
  }

  /** Takes the content whose header frame begins at `start` of the same data, and reads its properties. Throws `AmqpError`. */
  readContent(start: number, bodyStart: number, bodyEnd: number, end: number): void {
    this.start = start;
    this.bodyStart = bodyStart;
    this.bodyEnd = bodyEnd;
    this.end = end;
    this.locate(this.data, start + PROPERTIES_OFFSET, propertiesEnd(this));
  }

  /** Lets go of the bytes, so that what holds nothing keeps nothing. */
  forget(): void {
    this.data = EMPTY;
  }
}

/** The places of a kept message in its data. */
interface Kept {
  readonly data: Buffer;
  readonly start: number;
  readonly end: number;
  readonly bodyStart: number;
  readonly bodyEnd: number;
}

/** Where the property list of a kept message ends: before the end of its frame. */
export function propertiesEnd(kept: { readonly bodyStart: number; readonly bodyEnd: number }): number {
  return kept.bodyStart === kept.bodyEnd ? kept.bodyStart - 1 : kept.bodyStart - FRAME_OVERHEAD;
}

/** A message as it is kept, with these properties: header frame, body frame. `headBytes` are left free before it. */
function encodeKept(properties: Buffer, body: Buffer, headBytes = 0): Kept {
  const headerBytes = CONTENT_HEAD + properties.length;
  const bodyBytes = body.length === 0 ? 0 : body.length + FRAME_OVERHEAD;
  const data = Buffer.allocUnsafeSlow(headBytes + headerBytes + FRAME_OVERHEAD + bodyBytes);
  let at = writeHead(data, headBytes, FRAME_TYPE.header, headerBytes);
  at = writeU32(data, at, BASIC_CLASS << 16);
  at = writeU64(data, at, body.length);
  at += properties.copy(data, at);
  data[at++] = FRAME_END;
  if (body.length > 0) at = writeHead(data, at, FRAME_TYPE.body, body.length);
  const bodyStart = at;
  at += body.copy(data, at);
  const bodyEnd = at;
  if (body.length > 0) data[at++] = FRAME_END;
  return { data, start: headBytes, bodyStart, bodyEnd, end: at };
}

/** Gives a publish other properties; it moves to a buffer of its own. */
export function rewriteProperties(publish: Publish, properties: BasicProperties): void {
  const { data, exchangeStart, keyEnd, bodyStart, bodyEnd } = publish;
  // Behind the reserved number, before the bits.
  const argumentsStart = exchangeStart - 3;
  const argumentBytes = keyEnd + 1 - argumentsStart;
  const kept = encodeKept(encodeProperties(properties), data.subarray(bodyStart, bodyEnd), argumentBytes);
  data.copy(kept.data, 0, argumentsStart, keyEnd + 1);
  publish.readArguments(kept.data, 0, argumentBytes);
  publish.readContent(kept.start, kept.bodyStart, kept.bodyEnd, kept.end);
  publish.detached = true;
}

/** A publish that came by no frame: with these properties, and this body. Throws `AmqpError` for what no frame could say. */
export function composedPublish(properties: BasicProperties, body: Buffer): Publish {
  const kept = encodeKept(encodeProperties(properties), body);
  const publish = new Publish();
  publish.data = kept.data;
  publish.readContent(kept.start, kept.bodyStart, kept.bodyEnd, kept.end);
  publish.detached = true;
  return publish;
}

/** Checks the beginning of a header frame's payload; returns how long the body is to be. Throws `AmqpError`. */
export function readContentHead(data: Buffer, start: number, end: number): number {
  if (end - start < CONTENT_HEAD + 2) {
    throw syntaxError(`a content header has ${end - start} bytes; expected ${CONTENT_HEAD + 2} or more`);
  }
  const classId = readU16(data, start);
  const weight = readU16(data, start + 2);
  // amqp091 4.2.6.1: the class is that of the method; the weight is unused and must be zero.
  if (classId !== BASIC_CLASS) {
    throw unexpectedFrame(`a content header of class ${classId} after a basic.publish; expected ${BASIC_CLASS}`);
  }
  if (weight !== 0) throw syntaxError(`the weight of a content header is ${weight}; expected 0`);
  return readU64(data, start + 4);
}

/** Refuses a body that is larger than the broker takes. */
function checkBodySize(size: number, maxBodyBytes: number): void {
  if (size <= maxBodyBytes) return;
  throw new AmqpError(
    "PRECONDITION_FAILED",
    `message size ${size} is larger than configured max size ${maxBodyBytes} (amqp.max_body)`,
  );
}

/** Puts together the content of one channel when it comes in several chunks or frames. */
export class Assembly {
  readonly publish: Publish = new Publish();
  #awaits: "method" | "header" | "body" = "method";
  /** The arguments, then the header frame, then the body as far as it came. */
  #room: Buffer = EMPTY;
  #used = 0;
  #argumentBytes = 0;
  #bodyStart = 0;
  /** Where the body ends when it is whole. */
  #bodyEnd = 0;

  /** What is awaited: "method" when no content is under way. */
  get awaits(): "method" | "header" | "body" {
    return this.#awaits;
  }

  /** A basic.publish with these arguments: its header is to follow. Throws `AmqpError`. */
  begin(data: Buffer, start: number, end: number): void {
    if (this.#awaits !== "method")
      throw unexpectedFrame(`a basic.publish; expected the ${this.#awaits} of the one before`);
    this.publish.readArguments(data, start, end);
    this.publish.forget();
    this.#room = Buffer.from(data.subarray(start, end));
    this.#argumentBytes = end - start;
    this.#awaits = "header";
  }

  /**
   * The payload of a header frame; true when the content is whole, and in `publish`. Throws `AmqpError`, also when the
   * body is larger than `maxBodyBytes`, at once.
   */
  header(data: Buffer, start: number, end: number, maxBodyBytes: number): boolean {
    if (this.#awaits !== "header") throw unexpectedFrame(`a content header; expected a ${this.#expected}`);
    const size = readContentHead(data, start, end);
    checkBodySize(size, maxBodyBytes);
    const headerBytes = end - start;
    const bodyStart = this.#argumentBytes + headerBytes + FRAME_OVERHEAD + (size > 0 ? FRAME_HEAD : 0);
    const room = Buffer.allocUnsafeSlow(bodyStart + (size > 0 ? Math.min(size, FIRST_ROOM) + 1 : 0));
    let at = this.#room.copy(room);
    at = writeHead(room, at, FRAME_TYPE.header, headerBytes);
    at += data.copy(room, at, start, end);
    room[at++] = FRAME_END;
    if (size > 0) at = writeHead(room, at, FRAME_TYPE.body, size);
    this.#room = room;
    this.#used = at;
    this.#bodyStart = at;
    this.#bodyEnd = at + size;
    this.#awaits = "body";
    return size === 0 && this.#finish(at);
  }

  /**
   * The payload of a body frame, or a part of it, of which `left` bytes are to come; true when the content is whole, and in
   * `publish`. Throws `AmqpError`.
   */
  body(data: Buffer, start: number, end: number, left: number): boolean {
    if (this.#awaits !== "body") throw unexpectedFrame(`a body frame; expected a ${this.#expected}`);
    const needed = this.#used + end - start;
    if (needed + left > this.#bodyEnd) {
      throw unexpectedFrame(
        `body frames with ${needed + left - this.#bodyEnd} bytes more than the content header says`,
      );
    }
    if (start === end)
      throw frameError(`an empty body frame; ${this.#bodyEnd - this.#used} bytes of the body are missing`);
    if (needed >= this.#room.length) this.#grow(needed + 1);
    this.#used += data.copy(this.#room, this.#used, start, end);
    return this.#used === this.#bodyEnd && this.#finish(this.#bodyEnd + 1);
  }

  /** Gives up what came of a content, as when the channel closes. */
  drop(): void {
    this.#awaits = "method";
    this.#room = EMPTY;
    this.publish.forget();
  }

  get #expected(): string {
    return this.#awaits === "method" ? "method" : `content ${this.#awaits}`;
  }

  #grow(bytes: number): void {
    const room = Buffer.allocUnsafeSlow(Math.min(this.#bodyEnd + 1, Math.max(bytes, this.#room.length * 2)));
    this.#room.copy(room, 0, 0, this.#used);
    this.#room = room;
  }

  #finish(end: number): true {
    const { publish } = this;
    const room = this.#room;
    const bodyStart = this.#bodyStart;
    if (bodyStart < this.#bodyEnd) room[this.#bodyEnd] = FRAME_END;
    // What was put together is now the message's.
    this.drop();
    publish.readArguments(room, 0, this.#argumentBytes);
    publish.readContent(this.#argumentBytes, bodyStart, this.#bodyEnd, end);
    publish.detached = true;
    return true;
  }
}

/** Writes the head of a frame of channel 0; returns where its payload begins. */
export function writeHead(target: Buffer, at: number, type: number, payloadBytes: number): number {
  target[at] = type;
  return writeU32(target, writeU16(target, at + 1, 0), payloadBytes);
}
