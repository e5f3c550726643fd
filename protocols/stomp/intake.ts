/*
 * From a SEND to the stored form of its message. Headers that must not travel are left out, `message-id` comes first:
 *
 *     frame    SEND\n destination:/queue/a\n receipt:7\n type:x\n \n body \0
 *     stored   message-id:default-1f-42\n destination:/queue/a\n type:x\n \n body \0
 *
 * A small frame is copied to an arena. A big one that has a buffer of its own gets its new header lines right before its
 * body, over the old ones.
 */
import { type Envelope, Message } from "../../core/message.ts";
import { Arena } from "../../core/memory/arena.ts";
import { copyBytes } from "../../core/memory/bytes.ts";
import { writeNumber } from "./bytes.ts";
import type { Frame } from "./frame.ts";
import { stompFormat } from "./convert.ts";
import type { Version } from "./escape.ts";
import { headerBit, headerNumber, LAST_BIT } from "./header-names.ts";

const LF = 10;
const CR = 13;
const COLON = 58;
const LOWER_R = 114;
const BACKSLASH = 92;

/** From this size on a frame is moved as little as possible. */
const LARGE = 4 * 1024;

const MESSAGE_ID = headerNumber("message-id");
const DESTINATION = headerNumber("destination");
const REPLY_TO = headerNumber("reply-to");
const ID_START = Buffer.from("message-id:");

/** Said to the broker, or only the broker may say it; `expires` is written anew from the envelope. */
const DROPPED_BITS =
  headerBit("receipt") |
  headerBit("transaction") |
  headerBit("expires") |
  headerBit("subscription") |
  headerBit("ack") |
  headerBit("redelivered") |
  headerBit("redeliveries") |
  headerBit("JMSXUserID") |
  headerBit("JMSXGroupFirstForConsumer");
/** Headers that are not copied from where they stand. */
const LEFT_OUT_BITS = DROPPED_BITS | headerBit("message-id");

/** Values that take the place of those in the frame, spelled for STOMP 1.2. */
export interface Replacements {
  readonly destination: Buffer | undefined;
  readonly replyTo: Buffer | undefined;
}

/** Digits of a counter, and the end of its line. */
const MOST_DIGITS = 17;
/** The names and ends of lines of replaced headers. */
const NAME_BYTES = 32;

/** Makes messages of the SEND frames of one session. */
export class Intake {
  readonly #arena: Arena;
  /** `message-id:<session id>-` */
  readonly #idStart: Buffer;
  readonly #version: Version;
  #lastId = 0;

  constructor(arena: Arena, sessionId: string, version: Version) {
    this.#arena = arena;
    this.#idStart = Buffer.from(`message-id:${sessionId}-`);
    this.#version = version;
  }

  /** An id that no other message has. */
  nextId(): string {
    return `${this.#idStart.toString("utf8", ID_START.length)}${++this.#lastId}`;
  }

  /** The message of a SEND; `replaced` when values of the frame are not to be stored. */
  message(frame: Frame, envelope: Envelope, replaced?: Replacements): Message {
    const { headersStart, bodyStart, end } = frame;
    if (end - bodyStart >= LARGE) return this.#large(frame, envelope, replaced);
    const arena = this.#arena;
    if (replaced !== undefined || frame.irregular || (frame.known & LEFT_OUT_BITS) !== 0) {
      const start = arena.reserve(this.#most(frame, replaced) + end - bodyStart);
      const buffer = arena.buffer;
      const body = this.#writeHeaders(frame, replaced, buffer, start);
      const stop = copyBytes(frame.data, bodyStart, end, buffer, body);
      arena.advance(stop);
      return new Message(stompFormat, envelope, buffer, start, stop, body, stop - 1);
    }
    const start = arena.reserve(this.#idStart.length + MOST_DIGITS + end - headersStart);
    const buffer = arena.buffer;
    const at = this.#writeNewId(buffer, start);
    const stop = copyBytes(frame.data, headersStart, end, buffer, at);
    arena.advance(stop);
    return new Message(stompFormat, envelope, buffer, start, stop, at + bodyStart - headersStart, stop - 1);
  }

  /** What the header lines and the empty line may grow to. */
  #most(frame: Frame, replaced: Replacements | undefined): number {
    const headerBytes = frame.bodyStart - frame.headersStart;
    const added = (replaced?.destination?.length ?? 0) + (replaced?.replyTo?.length ?? 0) + NAME_BYTES;
    return this.#idStart.length + MOST_DIGITS + added + (frame.irregular ? headerBytes * 2 : headerBytes);
  }

  #large(frame: Frame, envelope: Envelope, replaced: Replacements | undefined): Message {
    const scratch = Buffer.allocUnsafe(this.#most(frame, replaced));
    const length = this.#writeHeaders(frame, replaced, scratch, 0);
    const { data, bodyStart, bodyEnd, end } = frame;
    const start = bodyStart - length;
    if (frame.headroom > 0 && start >= frame.start - frame.headroom) {
      scratch.copy(data, start, 0, length);
      const message = new Message(stompFormat, envelope, data, start, end, bodyStart, bodyEnd);
      // A buffer that grew without knowing the body's length may be twice too big to keep.
      message.detached = data.length <= message.size + (message.size >> 2);
      return message;
    }
    const own = Buffer.allocUnsafeSlow(length + end - bodyStart);
    scratch.copy(own, 0, 0, length);
    data.copy(own, length, bodyStart, end);
    const message = new Message(stompFormat, envelope, own, 0, own.length, length, own.length - 1);
    message.detached = true;
    return message;
  }

  /** Writes the stored header lines and the empty line; returns where they end. */
  #writeHeaders(frame: Frame, replaced: Replacements | undefined, target: Buffer, start: number): number {
    let at = this.#writeId(frame, target, start);
    if (replaced?.destination !== undefined) at = writeLine(target, at, "destination:", replaced?.destination);
    if (replaced?.replyTo !== undefined) at = writeLine(target, at, "reply-to:", replaced?.replyTo);
    const { data, bodyStart } = frame;
    if (frame.irregular) return this.#respell(frame, replaced, target, at);
    let run = frame.headersStart;
    for (let place = 0; place < frame.count; place++) {
      if (!leftOut(frame.numberOf(place), replaced)) continue;
      at = copyBytes(data, run, frame.keyStart(place), target, at);
      run = frame.valueEnd(place) + 1;
    }
    return copyBytes(data, run, bodyStart, target, at);
  }

  #writeId(frame: Frame, target: Buffer, start: number): number {
    const own = frame.find(MESSAGE_ID);
    if (own < 0) return this.#writeNewId(target, start);
    let at = copyBytes(ID_START, 0, ID_START.length, target, start);
    at = this.#writeValue(frame, frame.valueStart(own), frame.valueEnd(own), target, at);
    target[at] = LF;
    return at + 1;
  }

  #writeNewId(target: Buffer, start: number): number {
    const at = writeNumber(target, copyBytes(this.#idStart, 0, this.#idStart.length, target, start), ++this.#lastId);
    target[at] = LF;
    return at + 1;
  }

  #respell(frame: Frame, replaced: Replacements | undefined, target: Buffer, start: number): number {
    let at = start;
    for (let place = 0; place < frame.count; place++) {
      if (leftOut(frame.numberOf(place), replaced)) continue;
      at = this.#writeValue(frame, frame.keyStart(place), frame.keyEnd(place), target, at);
      target[at++] = COLON;
      at = this.#writeValue(frame, frame.valueStart(place), frame.valueEnd(place), target, at);
      target[at++] = LF;
    }
    target[at++] = LF;
    return at;
  }

  /** Spells a name or value as STOMP 1.2 does: only 1.0 has bare backslashes, and none may hold a bare CR. */
  #writeValue(frame: Frame, start: number, end: number, target: Buffer, to: number): number {
    let at = to;
    for (let i = start; i < end; i++) {
      const byte = frame.data[i] ?? 0;
      if (byte === CR) {
        target[at++] = BACKSLASH;
        target[at++] = LOWER_R;
      } else {
        if (byte === BACKSLASH && this.#version === "1.0") target[at++] = BACKSLASH;
        target[at++] = byte;
      }
    }
    return at;
  }
}

function leftOut(number: number, replaced: Replacements | undefined): boolean {
  if (number < 0 || number > LAST_BIT) return false;
  if ((LEFT_OUT_BITS & (1 << number)) !== 0) return true;
  if (number === DESTINATION) return replaced?.destination !== undefined;
  return number === REPLY_TO && replaced?.replyTo !== undefined;
}

function writeLine(target: Buffer, start: number, key: string, value: Buffer): number {
  let at = start + target.write(key, start, "latin1");
  at = copyBytes(value, 0, value.length, target, at);
  target[at] = LF;
  return at + 1;
}
