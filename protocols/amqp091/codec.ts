/*
 * AMQP 0-9-1 frames from bytes, as a server receives them.
 *
 *     type | channel | size | payload ... | CE          ... of a basic.publish:  method frame | header frame | body frame
 *     1      2         4      size          1                                                              one, or more
 *
 * A frame is read where it lies in the chunk, as offsets. A publish that lies there whole, with one body frame, is told of
 * at once. A body frame that does not end in its chunk is told of in parts; any other moves, as far as it came, to a
 * buffer of its own, which is never larger than a frame may be.
 */
import { readU16, readU32, readU64 } from "./bytes.ts";
import { type AmqpError, frameError, syntaxError } from "./errors.ts";
import { FRAME_END, FRAME_HEAD, FRAME_OVERHEAD, FRAME_TYPE, LEAST_MAX_FRAME } from "./frame.ts";
import { codeOf } from "./methods.ts";
import { Publish, readContentHead } from "./publish.ts";

/** The bytes with which a connection begins, and with which a server answers others [4.2.2]. */
export const PROTOCOL_HEADER: Buffer = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);

/** Who is told of frames. The bytes are only there until it returns; each call may throw `AmqpError`. */
export interface FrameSink {
  /** The connection's first bytes; false: of another version, and nothing of the rest is read. */
  onProtocolHeader(accepted: boolean): void;
  /** A method by `codeOf`, with its arguments in `data[start, end)`; any but basic.ack. */
  onMethod(channel: number, code: number, data: Buffer, start: number, end: number): void;
  /** A basic.publish with its whole content, when it lay in one piece; else it comes by the three others. */
  onPublish(channel: number, publish: Publish): void;
  onAck(channel: number, deliveryTag: number, multiple: boolean): void;
  /** The payload of a header frame. */
  onHeader(channel: number, data: Buffer, start: number, end: number): void;
  /** The payload of a body frame, or a part of it: `left` bytes of this frame are to come. */
  onBody(channel: number, data: Buffer, start: number, end: number, left: number): void;
  onHeartbeat(): void;
}

const EMPTY: Buffer = Buffer.alloc(0);
const PUBLISH = codeOf("basic.publish");
const ACK = codeOf("basic.ack");
const ACK_BYTES = 9;
/** Bytes of a method before its arguments. */
const METHOD_HEAD = 4;
/** The most that is put together of a frame before it is asked for more. */
const FIRST_ROOM = LEAST_MAX_FRAME;

/** Turns chunks into frames. Throws `AmqpError`; it is of no use after that. */
export class Decoder {
  readonly #sink: FrameSink;
  readonly #publish = new Publish();
  #maxFrameBytes: number;
  readonly #maxBodyBytes: number;
  #phase: "opening" | "frames" | "refused" = "opening";
  #chunk: Buffer = EMPTY;
  #at = 0;
  #queue: Buffer[] = [];
  /** The beginning of a frame, or of the protocol header, that did not end in its chunk, and how much of it is there. */
  #part: Buffer | undefined = undefined;
  #partBytes = 0;
  /** Bytes of the body frame at hand that are to come, without its end; 0 when there is none at hand. */
  #bodyLeft = 0;
  #bodyChannel = 0;
  /** The last byte of a body, when its chunk ends with it, until the end of its frame is there. */
  readonly #lastByte = Buffer.alloc(1);
  #held = false;

  /** `maxFrameBytes`: of whole frames, until `agree`. `maxBodyBytes`: larger contents do not come by `onPublish`. */
  constructor(sink: FrameSink, limits: { readonly maxFrameBytes: number; readonly maxBodyBytes: number }) {
    this.#sink = sink;
    this.#maxFrameBytes = limits.maxFrameBytes;
    this.#maxBodyBytes = limits.maxBodyBytes;
  }

  /** From now on whole frames may have so many bytes, as tune-ok says. */
  agree(maxFrameBytes: number): void {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** True when nothing is left of what was fed, not even a part of a frame. */
  get idle(): boolean {
    return (
      this.#at === this.#chunk.length && this.#queue.length === 0 && this.#part === undefined && this.#bodyLeft === 0
    );
  }

  /** Adds bytes; the decoder owns them from now on. */
  feed(chunk: Buffer): void {
    if (this.#phase === "refused") return;
    if (this.#at < this.#chunk.length || this.#queue.length > 0) {
      this.#queue.push(chunk);
    } else {
      this.#chunk = chunk;
      this.#at = 0;
    }
  }

  /** Tells the sink of the next frame, or of a publish; false when more bytes are needed. */
  next(): boolean {
    if (this.#phase !== "frames") return this.#phase === "opening" && this.#open();
    if (this.#bodyLeft > 0) return this.#continueBody();
    if (this.#part !== undefined) return this.#resume(this.#part);
    const data = this.#chunk;
    const start = this.#at;
    if (data.length - start < FRAME_OVERHEAD) return this.#more();
    const size = readU32(data, start + 3);
    const end = start + FRAME_HEAD + size;
    if (size + FRAME_OVERHEAD > this.#maxFrameBytes) throw this.#tooLarge(size);
    if (end >= data.length) return data[start] === FRAME_TYPE.body ? this.#beginBody(size) : this.#more();
    if (data[end] !== FRAME_END) throw wrongEnd(data[end]);
    this.#at = end + 1;
    this.#tell(data, start, end);
    return true;
  }

  /** Tells of the frame whose payload ends at `end`. */
  #tell(data: Buffer, start: number, end: number): void {
    const channel = readU16(data, start + 1);
    const at = start + FRAME_HEAD;
    switch (data[start]) {
      case FRAME_TYPE.method:
        this.#tellMethod(channel, data, at, end);
        return;
      case FRAME_TYPE.header:
        this.#sink.onHeader(channel, data, at, end);
        return;
      case FRAME_TYPE.body:
        this.#sink.onBody(channel, data, at, end, 0);
        return;
      case FRAME_TYPE.heartbeat:
        // amqp091 4.2.7: on channel 0, without a payload.
        if (channel !== 0 || at !== end) {
          throw frameError(`a heartbeat on channel ${channel} with ${end - at} bytes; expected channel 0 and none`);
        }
        this.#sink.onHeartbeat();
        return;
      default:
        throw unknownType(data[start]);
    }
  }

  #tellMethod(channel: number, data: Buffer, at: number, end: number): void {
    if (end - at < METHOD_HEAD)
      throw frameError(`a method frame of ${end - at} bytes; expected ${METHOD_HEAD} or more`);
    const code = readU32(data, at);
    const from = at + METHOD_HEAD;
    if (code === PUBLISH) {
      if (!this.#tellPublish(channel, data, from, end)) this.#sink.onMethod(channel, code, data, from, end);
    } else if (code === ACK) {
      if (end - from !== ACK_BYTES) {
        throw syntaxError(`the arguments of a basic.ack have ${end - from} bytes; expected ${ACK_BYTES}`);
      }
      this.#sink.onAck(channel, readU64(data, from), ((data[end - 1] ?? 0) & 1) !== 0);
    } else {
      this.#sink.onMethod(channel, code, data, from, end);
    }
  }

  /** Tells of a publish if its content lies whole behind the method, which ends at `end`; whatever is odd about it is left to the slow way. */
  #tellPublish(channel: number, data: Buffer, from: number, end: number): boolean {
    const header = end + 1;
    const headerEnd = this.#frameEnd(FRAME_TYPE.header, channel, data, header);
    if (headerEnd < 0) return false;
    const size = readContentHead(data, header + FRAME_HEAD, headerEnd);
    let bodyStart = headerEnd + 1;
    let bodyEnd = bodyStart;
    let contentEnd = bodyStart;
    if (size > 0) {
      if (size > this.#maxBodyBytes) return false;
      bodyEnd = this.#frameEnd(FRAME_TYPE.body, channel, data, bodyStart);
      bodyStart += FRAME_HEAD;
      if (bodyEnd !== bodyStart + size) return false;
      contentEnd = bodyEnd + 1;
    }
    const publish = this.#publish;
    publish.readArguments(data, from, end);
    publish.readContent(header, bodyStart, bodyEnd, contentEnd);
    this.#at = contentEnd;
    this.#sink.onPublish(channel, publish);
    return true;
  }

  /** Where the payload ends of a frame of this type and channel at `start`; -1 when there is no such frame, or not whole. */
  #frameEnd(type: number, channel: number, data: Buffer, start: number): number {
    if (start + FRAME_OVERHEAD > data.length) return -1;
    if (data[start] !== type || readU16(data, start + 1) !== channel) return -1;
    const size = readU32(data, start + 3);
    const end = start + FRAME_HEAD + size;
    if (size + FRAME_OVERHEAD > this.#maxFrameBytes || end >= data.length || data[end] !== FRAME_END) return -1;
    return end;
  }

  /** The chunk is used up, except for the beginning of a frame; goes on with the next one. */
  #more(): boolean {
    if (this.#at < this.#chunk.length) {
      this.#part = Buffer.allocUnsafe(FRAME_HEAD);
      this.#partBytes = 0;
      return this.#resume(this.#part);
    }
    if (this.#advance()) return this.next();
    // An idle connection keeps nothing of what it said last.
    this.#publish.forget();
    return false;
  }

  /** Goes on to the next chunk if this one is used up; false when there is none. */
  #advance(): boolean {
    while (this.#at === this.#chunk.length) {
      const chunk = this.#queue.shift();
      this.#chunk = chunk ?? EMPTY;
      this.#at = 0;
      if (chunk === undefined) return false;
    }
    return true;
  }

  /** Adds to the part of a frame what it still needs: first its head, which says how long it is. */
  #resume(begun: Buffer): boolean {
    let part = begun;
    for (;;) {
      if (!this.#fill(part)) return false;
      const size = readU32(part, 3);
      const whole = size + FRAME_OVERHEAD;
      if (this.#partBytes === whole) break;
      if (whole > this.#maxFrameBytes) throw this.#tooLarge(size);
      if (part[0] === FRAME_TYPE.body && size > 0) {
        this.#part = undefined;
        this.#bodyChannel = readU16(part, 1);
        this.#bodyLeft = size;
        return this.#continueBody();
      }
      // What a head announces is not believed before it comes.
      const grown = Buffer.allocUnsafe(Math.min(whole, Math.max(FIRST_ROOM, part.length * 2)));
      part.copy(grown, 0, 0, this.#partBytes);
      this.#part = part = grown;
    }
    this.#part = undefined;
    const end = this.#partBytes - 1;
    if (part[end] !== FRAME_END) throw wrongEnd(part[end]);
    this.#tell(part, 0, end);
    return true;
  }

  /** Takes what there is until the part is full; false when more bytes are needed. */
  #fill(part: Buffer): boolean {
    while (this.#partBytes < part.length) {
      if (!this.#advance()) return false;
      const taken = Math.min(part.length - this.#partBytes, this.#chunk.length - this.#at);
      this.#chunk.copy(part, this.#partBytes, this.#at, this.#at + taken);
      this.#partBytes += taken;
      this.#at += taken;
    }
    return true;
  }

  /** A body frame whose head lies in this chunk does not end in it. */
  #beginBody(size: number): boolean {
    this.#bodyChannel = readU16(this.#chunk, this.#at + 1);
    this.#bodyLeft = size;
    this.#at += FRAME_HEAD;
    return this.#continueBody();
  }

  /** Tells of what there is of a body; of its last byte only when the frame ends behind it as it should. */
  #continueBody(): boolean {
    if (!this.#advance()) return false;
    const data = this.#chunk;
    const from = this.#at;
    if (this.#held) {
      if (data[from] !== FRAME_END) throw wrongEnd(data[from]);
      this.#held = false;
      this.#bodyLeft = 0;
      this.#at = from + 1;
      this.#sink.onBody(this.#bodyChannel, this.#lastByte, 0, 1, 0);
      return true;
    }
    const left = this.#bodyLeft;
    const end = from + left;
    if (end < data.length) {
      if (data[end] !== FRAME_END) throw wrongEnd(data[end]);
      this.#bodyLeft = 0;
      this.#at = end + 1;
      this.#sink.onBody(this.#bodyChannel, data, from, end, 0);
      return true;
    }
    if (left === 1) {
      this.#lastByte[0] = data[from] ?? 0;
      this.#held = true;
      this.#at = from + 1;
      return this.#continueBody();
    }
    const to = Math.min(data.length, end - 1);
    this.#bodyLeft -= to - from;
    this.#at = to;
    this.#sink.onBody(this.#bodyChannel, data, from, to, this.#bodyLeft);
    return true;
  }

  /** The first bytes of a connection. */
  #open(): boolean {
    this.#part ??= Buffer.allocUnsafe(PROTOCOL_HEADER.length);
    const part = this.#part;
    if (!this.#fill(part)) return false;
    this.#part = undefined;
    this.#partBytes = 0;
    const accepted = part.equals(PROTOCOL_HEADER);
    this.#phase = accepted ? "frames" : "refused";
    this.#sink.onProtocolHeader(accepted);
    return true;
  }

  #tooLarge(size: number): AmqpError {
    return frameError(
      `a frame of ${size + FRAME_OVERHEAD} bytes; ${this.#maxFrameBytes} were agreed on (amqp.frame_max)`,
    );
  }
}

function wrongEnd(byte: number | undefined): AmqpError {
  return frameError(`a frame ends with byte 0x${byte?.toString(16)}; expected 0xce`);
}

function unknownType(type: number | undefined): AmqpError {
  return frameError(`a frame of type ${type}; expected 1, 2, 3 or 8`);
}
