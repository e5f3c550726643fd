/*
 * Frames of AMQP 1.0 from bytes (amqp10 2.3, 5.3.1), and the protocol headers before them (2.2).
 *
 *     size, 4 bytes | data offset | type | channel, 2 bytes | extended header | performative | payload
 *     start                                                                                             end
 *
 * A frame is read where it lies in the chunk, as offsets. One that does not end in its chunk moves, as far as it came, to a
 * buffer of its own, which grows with what comes in; nothing of its body is read before it is whole.
 */
import { unframed } from "./errors.ts";
import { Frame } from "./frame.ts";
import { FieldList } from "./frequent.ts";
import { isPerformative, readComposite } from "./performatives.ts";
import { Reader } from "./reader.ts";
import { CODE, Scalar, type Value } from "./values.ts";

/** What a peer may send at most. */
export interface FrameLimits {
  /** Bytes of a whole frame, its header too; what OPEN says as max-frame-size. */
  readonly maxFrameBytes: number;
  /** Of frames before `opened`: nobody knows yet who this is. */
  readonly maxOpeningBytes: number;
}

const EMPTY: Buffer = Buffer.alloc(0);
/** Of a frame and of a protocol header alike. */
const HEADER_BYTES = 8;
const AMQP_FRAME = 0;
const SASL_FRAME = 1;
/** "AMQP" */
const MAGIC = 0x41_4d_51_50;
const FLOW = 0x13;
const TRANSFER = 0x14;
const DISPOSITION = 0x15;
const FREQUENT: ReadonlyMap<string, number> = new Map([
  ["amqp:flow:list", FLOW],
  ["amqp:transfer:list", TRANSFER],
  ["amqp:disposition:list", DISPOSITION],
]);
/** The first room of a frame that does not end in its chunk. */
const FIRST_ROOM = 64 * 1024;

/** Turns chunks into frames, the first of them a protocol header. Throws `AmqpError`; it is of no use after that. */
export class Decoder {
  readonly frame: Frame = new Frame();
  readonly #limits: FrameLimits;
  readonly #fields = new FieldList();
  #most: number;
  #header = true;
  #chunk: Buffer = EMPTY;
  #at = 0;
  #queue: Buffer[] = [];
  /** The beginning of a frame that did not end in its chunk, and how much of it is there. */
  #part: Buffer | undefined = undefined;
  #partBytes = 0;
  /** Bytes of that whole frame; 0 while its size is not known. */
  #wholeBytes = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
    this.#most = Math.min(limits.maxOpeningBytes, limits.maxFrameBytes);
  }

  /** After the SASL outcome: what comes next is a protocol header once more. */
  expectHeader(): void {
    this.#header = true;
  }

  /** The peer is let in: frames may be as long as `maxFrameBytes` from now on. */
  opened(): void {
    this.#most = this.#limits.maxFrameBytes;
  }

  /** True when nothing is left of what was fed, not even a part of a frame. */
  get idle(): boolean {
    return this.#at === this.#chunk.length && this.#queue.length === 0 && this.#part === undefined;
  }

  /** Adds bytes; the decoder and the frames own them from now on. */
  feed(chunk: Buffer): void {
    if (this.#at < this.#chunk.length || this.#queue.length > 0) {
      this.#queue.push(chunk);
    } else {
      this.#chunk = chunk;
      this.#at = 0;
    }
  }

  /** The next whole frame; undefined when more bytes are needed. */
  next(): Frame | undefined {
    if (this.#part !== undefined) return this.#resume();
    const start = this.#at;
    const available = this.#chunk.length - start;
    if (available < HEADER_BYTES) return this.#more();
    const size = this.#size(this.#chunk, start);
    if (size > available) return this.#more();
    this.#at = start + size;
    return this.#read(this.#chunk, start, start + size);
  }

  /** The chunk is used up, except for the beginning of a frame; goes on with the next one. */
  #more(): Frame | undefined {
    if (this.#at < this.#chunk.length) this.#carry();
    this.#at = 0;
    this.#chunk = this.#queue.shift() ?? EMPTY;
    if (this.#chunk.length > 0) return this.next();
    // An idle connection keeps nothing of what it said last.
    this.frame.forget();
    return undefined;
  }

  /** Moves the beginning of a frame out of its chunk, so that the chunk is not kept. */
  #carry(): void {
    const bytes = this.#chunk.length - this.#at;
    this.#wholeBytes = bytes < HEADER_BYTES ? 0 : this.#size(this.#chunk, this.#at);
    this.#part = Buffer.allocUnsafeSlow(this.#roomFor(bytes, 0));
    this.#partBytes = this.#chunk.copy(this.#part, 0, this.#at);
  }

  /** How much room to give to a part of so many bytes: what a frame announces is not believed before it comes. */
  #roomFor(bytes: number, before: number): number {
    if (this.#wholeBytes === 0) return HEADER_BYTES;
    return Math.min(this.#wholeBytes, Math.max(FIRST_ROOM, bytes, before * 2));
  }

  /** Adds to the part what its frame still needs. */
  #resume(): Frame | undefined {
    for (let part = this.#part; part !== undefined; part = this.#part) {
      if (this.#wholeBytes > 0 && this.#partBytes === this.#wholeBytes) {
        this.#part = undefined;
        return this.#read(part, 0, this.#partBytes);
      }
      if (this.#at === this.#chunk.length) {
        this.#chunk = this.#queue.shift() ?? EMPTY;
        this.#at = 0;
        if (this.#chunk.length === 0) return undefined;
      }
      // First the header alone: what follows the frame is not to be copied.
      const wanted = (this.#wholeBytes === 0 ? HEADER_BYTES : this.#wholeBytes) - this.#partBytes;
      this.#add(part, Math.min(wanted, this.#chunk.length - this.#at));
    }
    return undefined;
  }

  #add(part: Buffer, bytes: number): void {
    const needed = this.#partBytes + bytes;
    let room = part;
    if (needed > part.length) {
      room = Buffer.allocUnsafeSlow(this.#roomFor(needed, part.length));
      part.copy(room, 0, 0, this.#partBytes);
      this.#part = room;
    }
    this.#chunk.copy(room, this.#partBytes, this.#at, this.#at + bytes);
    this.#partBytes = needed;
    this.#at += bytes;
    if (this.#wholeBytes === 0 && needed === HEADER_BYTES) this.#wholeBytes = this.#size(room, 0);
  }

  /** Bytes of the frame whose header is at `at`; what can be refused before it is whole is refused. */
  #size(data: Buffer, at: number): number {
    if (this.#header) {
      // amqp10 2.2: other bytes may be of any protocol, so there is nothing that could be said in AMQP.
      if (readU32(data, at) !== MAGIC) throw unframed(`A connection begins with ${shown(data, at)}; expected "AMQP"`);
      return HEADER_BYTES;
    }
    const size = readU32(data, at);
    if (size < HEADER_BYTES) throw unframed(`A frame of ${size} bytes; a frame has ${HEADER_BYTES} bytes at least`);
    if (size > this.#most) {
      const { maxFrameBytes } = this.#limits;
      const setting = this.#most === maxFrameBytes ? "max_frame_bytes" : "max_opening_bytes";
      throw unframed(`A frame of ${size} bytes; ${this.#most} are allowed (amqp10.${setting})`);
    }
    return size;
  }

  #read(data: Buffer, start: number, end: number): Frame {
    const { frame } = this;
    frame.data = data;
    frame.start = start;
    frame.end = end;
    if (this.#header) {
      this.#header = false;
      frame.type = "header";
      frame.protocolId = data[start + 4] ?? 0;
      frame.version = readU32(data, start + 4) & 0xff_ffff;
      return frame;
    }
    const bodyAt = start + 4 * (data[start + 4] ?? 0);
    if (bodyAt < start + HEADER_BYTES || bodyAt > end) {
      throw unframed(
        `The body of a frame of ${end - start} bytes begins at ${bodyAt - start}; expected 8 or more, inside it`,
      );
    }
    const type = data[start + 5] ?? 0;
    if (type > SASL_FRAME) throw unframed(`A frame of type ${type}; expected 0 for AMQP or 1 for SASL`);
    frame.sasl = type === SASL_FRAME;
    // amqp10 5.3.1: frames of SASL have no channel, what stands there is ignored.
    frame.channel = type === AMQP_FRAME ? ((data[start + 6] ?? 0) << 8) | (data[start + 7] ?? 0) : 0;
    this.#readBody(frame, bodyAt, end);
    return frame;
  }

  #readBody(frame: Frame, at: number, end: number): void {
    frame.performative = undefined;
    frame.payloadStart = frame.payloadEnd = end;
    if (at === end) {
      frame.type = "empty";
      return;
    }
    const { data } = frame;
    // Nearly all are described by one byte.
    if (data[at] === CODE.described && data[at + 1] === CODE.smallUlong && at + 3 < end) {
      if (this.#readFrequent(frame, data[at + 2] ?? 0, at + 3, end)) return;
    } else {
      const reader = new Reader(true).over(data, at + 1, end);
      const code = data[at] === CODE.described ? codeOf(reader.read()) : 0;
      if (this.#readFrequent(frame, code, reader.at, end)) return;
    }
    const { composite, end: bodyEnd } = readComposite(data, at, end);
    const ofSasl = composite.type.startsWith("sasl-");
    if (!isPerformative(composite) || ofSasl !== frame.sasl) {
      throw unframed(`A frame of ${frame.sasl ? "SASL" : "AMQP"} begins with ${composite.type}`);
    }
    checkEnd(composite.type, bodyEnd, end);
    frame.type = "performative";
    frame.performative = composite;
  }

  /** Reads the fields of one of the three that are frequent; false when it is none of them. */
  #readFrequent(frame: Frame, code: number, at: number, end: number): boolean {
    if (frame.sasl) return false;
    const { data } = frame;
    switch (code) {
      case TRANSFER:
        frame.payloadStart = this.#fields.transfer(frame.transfer, data, at, end);
        frame.type = "transfer";
        return true;
      case DISPOSITION:
        checkEnd("disposition", this.#fields.disposition(frame.disposition, data, at, end), end);
        frame.type = "disposition";
        return true;
      case FLOW:
        checkEnd("flow", this.#fields.flow(frame.flow, data, at, end), end);
        frame.type = "flow";
        return true;
      default:
        return false;
    }
  }
}

function checkEnd(name: string, at: number, end: number): void {
  if (at !== end) throw unframed(`${end - at} bytes follow ${name} in its frame; only a transfer has a payload`);
}

/** The number of a descriptor of one of the frequent performatives; 0 for any other. */
function codeOf(descriptor: Value): number {
  const value = descriptor instanceof Scalar ? descriptor.value : undefined;
  return typeof value === "bigint" ? Number(value) : (FREQUENT.get(String(value)) ?? 0);
}

function readU32(data: Buffer, at: number): number {
  return (
    (((data[at] ?? 0) << 24) | ((data[at + 1] ?? 0) << 16) | ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0)) >>> 0
  );
}

/** Bytes of any kind, for an error text. */
function shown(data: Buffer, at: number): string {
  return JSON.stringify(data.toString("latin1", at, at + 4));
}
