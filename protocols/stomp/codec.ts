/*
 * STOMP frames from bytes and back, for 1.0, 1.1 and 1.2.
 *
 *     SEND\n destination:/queue/a\n receipt:7\n \n body... \0 \n\n
 *     |      |                                  |      |   |
 *     start  headersStart              bodyStart  bodyEnd  end (then any number of EOLs)
 *
 * A frame is read where it lies in the chunk. One that does not end in its chunk moves, as far as it came, to a buffer
 * of its own, with HEADROOM free bytes in front of it; the chunks that follow only add what this frame still needs.
 */
import type { Output } from "../../core/output.ts";
import { ProtocolError } from "../../core/protocol.ts";
import { isBlank, readNumber } from "./bytes.ts";
import { checkEscapes, escape, type Version } from "./escape.ts";
import { CLIENT_COMMANDS, type Command, Frame, SERVER_COMMANDS } from "./frame.ts";
import { headerBit, headerNumber } from "./header-names.ts";

/** What a peer may send at most; bytes. */
export interface FrameLimits {
  readonly maxHeaders: number;
  readonly maxHeaderBytes: number;
  readonly maxFrameHeaderBytes: number;
  readonly maxBody: number;
}

const NUL = 0;
const LF = 10;
const CR = 13;
const COLON = 58;
const BACKSLASH = 92;

const MAX_COMMAND_BYTES = 20;
/** Only SEND has a body; what other frames carry is overlooked up to this size. */
const MAX_IDLE_BODY = 4096;
/** Free bytes before a frame that has a buffer of its own: a header can be put in front without a copy of the body. */
const HEADROOM = 96;
/** A body is searched byte by byte this far before the native search, whose call costs more than these, takes over. */
const NEAR_BODY = 64;

/** The longest opening of a frame that is remembered to be recognised when it comes again. */
const MOST_USUAL = 256;
/** Openings in a row that did not come again; then only every so many-th is remembered. */
const USUAL_PATIENCE = 16;

const EMPTY: Buffer = Buffer.alloc(0);
const VARYING_BITS = headerBit("receipt") | headerBit("transaction");
const CONTENT_LENGTH = headerNumber("content-length");

const COMMANDS = [...CLIENT_COMMANDS, ...SERVER_COMMANDS].map((name) => ({ name, bytes: Buffer.from(name) }));

type Phase = "between" | "command" | "headers" | "counted" | "terminated";

/** Turns chunks into frames. Throws `ProtocolError`; it is of no use after that. */
export class Decoder {
  readonly frame = new Frame();
  readonly #limits: FrameLimits;
  #version: Version | undefined = undefined;
  #phase: Phase = "between";
  /** What is being read: a chunk, or the buffer of a frame that did not end in its chunk. */
  #data: Buffer = EMPTY;
  #at = 0;
  #limit = 0;
  #line = 0;
  #colon = -1;
  #escaped = false;
  #carriageReturn = false;
  #carrying = false;
  #chunk: Buffer | undefined = undefined;
  /** While a frame is being carried: how far the chunk was used up. */
  #chunkAt = 0;
  #queue: Buffer[] = [];
  /**
   * The opening (command, headers, empty line) of the frame that was read last, if it was a SEND: producers mostly say
   * the same again and again, and to compare is quicker than to read. Of no length when `frame` holds something else.
   */
  readonly #usual = Buffer.alloc(MOST_USUAL);
  #usualLength = 0;
  #unusual = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** From now on frames are read by the rules of this version; before, by those of CONNECT, which has no escapes. */
  agree(version: Version): void {
    this.#version = version;
  }

  /** True when nothing is left of what was fed, not even a part of a frame. */
  get idle(): boolean {
    return this.#phase === "between" && this.#chunk === undefined && this.#queue.length === 0;
  }

  /** Adds bytes; the decoder and the frames own them from now on. */
  feed(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#chunk !== undefined) {
      this.#queue.push(chunk);
    } else {
      this.#use(chunk);
    }
  }

  /** The next whole frame; undefined when more bytes are needed. */
  next(): Frame | undefined {
    do {
      if (this.#scan()) {
        this.#endFrame();
        return this.frame;
      }
    } while (this.#more());
    return undefined;
  }

  #use(chunk: Buffer | undefined): void {
    this.#chunk = chunk;
    this.#chunkAt = 0;
    if (!this.#carrying) {
      this.#data = chunk ?? EMPTY;
      this.#at = 0;
      this.#limit = this.#data.length;
    }
  }

  #endFrame(): void {
    const frame = this.frame;
    frame.data = this.#data;
    frame.end = frame.bodyEnd + 1;
    this.#phase = "between";
    if (!this.#carrying) {
      this.#at = frame.end;
      return;
    }
    this.#carrying = false;
    const at = this.#chunkAt - (this.#limit - frame.end);
    this.#data = this.#chunk ?? EMPTY;
    this.#limit = this.#data.length;
    this.#at = at;
  }

  /** Gets more bytes under the scan, carrying a frame that is not whole. False when there are none. */
  #more(): boolean {
    if (!this.#carrying) {
      if (this.#phase === "between") {
        this.#use(this.#queue.shift());
        return this.#chunk !== undefined;
      }
      this.#carry();
      this.#use(this.#queue.shift());
    } else if (this.#chunk !== undefined && this.#chunkAt === this.#chunk.length) {
      this.#use(this.#queue.shift());
    }
    const chunk = this.#chunk;
    if (chunk === undefined) return false;
    const held = this.#limit - this.frame.start;
    const wanted = this.#phase === "counted" ? this.frame.bodyEnd + 1 - this.#limit : Math.max(512, held);
    const taken = Math.min(wanted, chunk.length - this.#chunkAt);
    this.#makeRoom(taken);
    chunk.copy(this.#data, this.#limit, this.#chunkAt, this.#chunkAt + taken);
    this.#limit += taken;
    this.#chunkAt += taken;
    return true;
  }

  /** Moves the beginning of a frame out of its chunk, so that the chunk is not kept. */
  #carry(): void {
    const bytes = this.#limit - this.frame.start;
    const room = this.#phase === "counted" ? this.frame.bodyEnd + 1 - this.frame.start : bytes * 2 + 128;
    this.#move(room);
    this.frame.headroom = HEADROOM;
    this.#carrying = true;
  }

  #makeRoom(bytes: number): void {
    if (this.#limit + bytes <= this.#data.length) return;
    const held = this.#limit - this.frame.start;
    const whole = this.#phase === "counted" ? this.frame.bodyEnd + 1 - this.frame.start : 0;
    this.#move(whole > 0 ? whole : Math.max(held * 2, held + bytes));
  }

  /** Moves the frame to a buffer of its own with room for so many bytes of it. */
  #move(room: number): void {
    const frame = this.frame;
    const own = Buffer.allocUnsafe(HEADROOM + room);
    this.#data.copy(own, HEADROOM, frame.start, this.#limit);
    const by = HEADROOM - frame.start;
    frame.shift(by);
    frame.data = own;
    this.#data = own;
    this.#at += by;
    this.#limit += by;
    this.#line += by;
    if (this.#colon >= 0) this.#colon += by;
  }

  /** Reads on as far as the bytes go; true when a frame is whole. */
  #scan(): boolean {
    if (this.#phase === "between" && !this.#scanBetween()) return false;
    if (this.#phase === "command" && !this.#scanCommand()) return false;
    if (this.#phase === "headers" && !this.#scanHeaders()) return false;
    return this.#phase === "counted" ? this.#scanCounted() : this.#scanTerminated();
  }

  #scanBetween(): boolean {
    const data = this.#data;
    const limit = this.#limit;
    let at = this.#at;
    while (at < limit && (data[at] === LF || data[at] === CR)) at++;
    this.#at = at;
    if (at === limit) return false;
    const frame = this.frame;
    const usual = this.#usualLength > 0 && this.#isUsual(data, at, limit);
    frame.data = data;
    frame.headroom = 0;
    if (usual) {
      this.#unusual = 0;
      frame.shift(at - frame.start);
      this.#startBody(frame.bodyStart);
      return true;
    }
    this.#usualLength = 0;
    frame.clear();
    frame.start = at;
    this.#phase = "command";
    return true;
  }

  #isUsual(data: Buffer, at: number, limit: number): boolean {
    const usual = this.#usual;
    const length = this.#usualLength;
    if (limit - at < length) return false;
    for (let i = 0; i < length; i++) if (data[at + i] !== usual[i]) return false;
    return true;
  }

  /** Remembers the opening of the frame at hand, unless it is not likely to come again. */
  #remember(): void {
    const { frame } = this;
    const length = frame.bodyStart - frame.start;
    if (this.#carrying || frame.command !== "SEND" || frame.irregular || length > MOST_USUAL) return;
    if ((frame.known & VARYING_BITS) !== 0 || this.#version === undefined) return;
    if (++this.#unusual > USUAL_PATIENCE && this.#unusual % USUAL_PATIENCE !== 0) return;
    frame.data.copy(this.#usual, 0, frame.start, frame.bodyStart);
    this.#usualLength = length;
  }

  #scanCommand(): boolean {
    const data = this.#data;
    const start = this.frame.start;
    const limit = Math.min(this.#limit, start + MAX_COMMAND_BYTES + 2);
    let at = this.#at;
    while (at < limit && data[at] !== LF) at++;
    this.#at = at;
    const length = at - start;
    if (at === limit) {
      if (length > MAX_COMMAND_BYTES + 1) throw new ProtocolError(unknownCommand(data, start, at));
      return false;
    }
    this.frame.command = readCommand(data, start, at);
    this.frame.headersStart = this.#line = this.#at = at + 1;
    this.#phase = "headers";
    this.#startLine();
    return true;
  }

  #startLine(): void {
    this.#colon = -1;
    this.#escaped = false;
    this.#carriageReturn = false;
  }

  #scanHeaders(): boolean {
    const data = this.#data;
    const limit = this.#limit;
    let at = this.#at;
    let colon = this.#colon;
    while (at < limit) {
      const byte = data[at] ?? 0;
      if (byte > CR) {
        if (byte === COLON) {
          if (colon < 0) colon = at;
        } else if (byte === BACKSLASH) this.#escaped = true;
      } else if (byte === LF) {
        if (this.#endLine(at, colon)) return true;
        this.#line = at + 1;
        this.#startLine();
        colon = -1;
      } else if (byte === CR) {
        this.#carriageReturn = true;
      } else if (byte === NUL) {
        throw new ProtocolError(`A ${this.frame.command} frame ends inside its headers: the empty line is missing`);
      }
      at++;
    }
    this.#at = at;
    this.#colon = colon;
    this.#checkHeaderBytes(at);
    return false;
  }

  #checkHeaderBytes(at: number): void {
    const { maxHeaderBytes, maxFrameHeaderBytes } = this.#limits;
    const line = at - this.#line;
    if (line > maxHeaderBytes) {
      throw new ProtocolError(
        `Header line of ${line} bytes or more; ${maxHeaderBytes} are allowed (stomp.max_header_bytes)`,
      );
    }
    const all = at - this.frame.headersStart;
    if (all > maxFrameHeaderBytes) {
      throw new ProtocolError(
        `Headers of ${all} bytes or more; ${maxFrameHeaderBytes} are allowed (stomp.max_frame_header_bytes)`,
      );
    }
  }

  /** Takes the line that ends before `at`; true when it was the empty one. */
  #endLine(at: number, colon: number): boolean {
    const line = this.#line;
    const frame = this.frame;
    // An empty line may end in CR LF in every version: nothing else could be meant.
    if (at === line || (at === line + 1 && this.#carriageReturn)) {
      if (this.#carriageReturn) frame.irregular = true;
      this.#startBody(at + 1);
      this.#remember();
      return true;
    }
    this.#checkHeaderBytes(at);
    if (frame.count >= this.#limits.maxHeaders) {
      throw new ProtocolError(`More than ${this.#limits.maxHeaders} headers; no more are allowed (stomp.max_headers)`);
    }
    if (colon < 0) {
      throw new ProtocolError(`Header line without a colon: "${printable(this.#data, line, at)}"`);
    }
    if (this.#version === "1.2" && !this.#escaped && !this.#carriageReturn) {
      if (colon === line) throw new ProtocolError("A header has an empty name");
      frame.add(line, colon, colon + 1, at, false);
    } else {
      this.#addByVersion(line, colon, at);
    }
    return false;
  }

  /** A header line that needs a look at the rules of its version. */
  #addByVersion(line: number, colon: number, at: number): void {
    const { frame } = this;
    const version = this.#version;
    const bytes = this.#data;
    let keyStart = line;
    let keyEnd = colon;
    let valueStart = colon + 1;
    let valueEnd = at;
    if (this.#carriageReturn) {
      frame.irregular = true;
      // stomp11 has no CR at the end of a line: there it belongs to the value.
      if (version !== "1.1" && bytes[at - 1] === CR && valueEnd > valueStart) valueEnd--;
    }
    if (version === "1.0") {
      while (keyStart < keyEnd && isBlank(bytes[keyStart])) keyStart++;
      while (keyEnd > keyStart && isBlank(bytes[keyEnd - 1])) keyEnd--;
      while (valueStart < valueEnd && isBlank(bytes[valueStart])) valueStart++;
      while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1])) valueEnd--;
      if (keyStart !== line || keyEnd !== colon || valueStart !== colon + 1 || valueEnd !== at) frame.irregular = true;
    }
    if (keyStart === keyEnd) throw new ProtocolError("A header has an empty name");
    const escapes = this.#escaped && (version === "1.1" || version === "1.2");
    if (escapes) {
      checkEscapes(bytes, keyStart, keyEnd, version);
      checkEscapes(bytes, valueStart, valueEnd, version);
    } else if (this.#escaped) {
      frame.irregular = true;
    }
    frame.add(keyStart, keyEnd, valueStart, valueEnd, escapes);
  }

  #startBody(at: number): void {
    const frame = this.frame;
    frame.bodyStart = this.#at = at;
    const place = frame.find(CONTENT_LENGTH);
    if (place < 0) {
      this.#phase = "terminated";
      return;
    }
    const length = readNumber(this.#data, frame.valueStart(place), frame.valueEnd(place));
    if (length < 0) {
      throw new ProtocolError(`content-length:${frame.value(place)} is not a number of bytes`);
    }
    this.#checkBody(length);
    frame.bodyEnd = at + length;
    this.#phase = "counted";
  }

  #checkBody(length: number): void {
    const { command } = this.frame;
    const { maxBody } = this.#limits;
    // Before CONNECT nobody knows who this is: nothing big is held for them.
    if (this.#version !== undefined && (command === "SEND" || command === "MESSAGE" || command === "ERROR")) {
      if (length <= maxBody) return;
      throw new ProtocolError(`Body of ${length} bytes or more; ${maxBody} are allowed (stomp.max_body)`);
    }
    if (length > Math.min(MAX_IDLE_BODY, maxBody)) {
      throw new ProtocolError(`A ${command} frame has no body here; this one has ${length} bytes or more`);
    }
  }

  #scanCounted(): boolean {
    const end = this.frame.bodyEnd;
    if (end >= this.#limit) return false;
    if (this.#data[end] !== NUL) {
      const length = end - this.frame.bodyStart;
      throw new ProtocolError(
        `No NUL after the ${length} bytes that content-length announces: found byte ${this.#data[end] ?? 0}`,
      );
    }
    return true;
  }

  #scanTerminated(): boolean {
    const data = this.#data;
    const limit = this.#limit;
    const near = Math.min(limit, this.#at + NEAR_BODY);
    let at = this.#at;
    while (at < near && data[at] !== NUL) at++;
    if (at === near && at < limit) {
      // Only what was received: behind it the buffer may hold anything, and would be searched again each time.
      const found = data.subarray(at, limit).indexOf(NUL);
      at = found < 0 ? limit : at + found;
    }
    this.#at = at;
    this.#checkBody(at - this.frame.bodyStart);
    if (at === limit) return false;
    this.frame.bodyEnd = at;
    return true;
  }
}

function readCommand(bytes: Buffer, start: number, lineEnd: number): Command {
  // As with the empty line, CR LF is understood in every version.
  const end = lineEnd > start && bytes[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd;
  const length = end - start;
  for (const known of COMMANDS) {
    if (known.bytes.length !== length) continue;
    let i = 0;
    while (i < length && known.bytes[i] === bytes[start + i]) i++;
    if (i === length) return known.name;
  }
  throw new ProtocolError(unknownCommand(bytes, start, end));
}

function unknownCommand(bytes: Buffer, start: number, end: number): string {
  return `Unknown command "${printable(bytes, start, end)}"; expected one of ${CLIENT_COMMANDS.join(" ")}`;
}

function printable(bytes: Buffer, start: number, end: number): string {
  const shown = bytes.toString("latin1", start, Math.min(end, start + 40)).replace(/[^ -~]/g, "?");
  return end > start + 40 ? `${shown}...` : shown;
}

/** A frame as bytes; CONNECT and CONNECTED are never escaped. `version` undefined: before one was agreed on. */
export function encodeFrame(
  command: Command,
  headers: Iterable<readonly [string, string]>,
  body: Uint8Array,
  version: Version | undefined,
): Buffer {
  const plain = version === undefined || command === "CONNECT" || command === "CONNECTED" || command === "STOMP";
  let head = `${command}\n`;
  for (const [key, value] of headers) {
    head += plain ? `${key}:${value}\n` : `${escape(key, version)}:${escape(value, version)}\n`;
  }
  return Buffer.concat([Buffer.from(`${head}\n`), body, END]);
}

/** PHP's extension wants an end of line behind a frame, and may wait for it in vain otherwise. */
const END = Buffer.from([NUL, LF]);

const RECEIPT_START = Buffer.from("RECEIPT\nreceipt-id:");

/** Writes a RECEIPT; the id as `Frame.spelled` gave it. */
export function writeReceipt(output: Output, spelledId: string): void {
  let at = output.reserve(RECEIPT_START.length + spelledId.length + 4);
  const buffer = output.buffer;
  at += RECEIPT_START.copy(buffer, at);
  at += buffer.write(spelledId, at, "latin1");
  buffer[at++] = LF;
  buffer[at++] = LF;
  buffer[at++] = NUL;
  buffer[at++] = LF;
  output.advance(at);
}
