import { CODE, Described, isInt, isList, Scalar, TypedArray, type Value } from "./values.ts";

const FIRST_ROOM = 256;
/** What a list, a map or an array has before its values at most: code, size and count of four bytes each. */
const MOST_HEAD = 9;

/** Writes values one behind the other, each number in as few bytes as it needs. May be used again after `clear`. */
export class Writer {
  buffer: Buffer = Buffer.allocUnsafe(FIRST_ROOM);
  length = 0;

  /** What was written is not needed any more. */
  clear(): void {
    this.length = 0;
  }

  /** A copy of what was written. */
  bytes(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.length));
  }

  /** Writes a value. Throws RangeError for one that its type does not have. */
  value(value: Value): void {
    if (value === null) this.byte(CODE.null);
    else if (typeof value === "boolean") this.byte(value ? CODE.true : CODE.false);
    else if (typeof value === "string") this.#text(value, CODE.string8, CODE.string32);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "bigint") this.#long(value);
    else if (value instanceof Uint8Array) this.binary(value);
    else if (value instanceof Scalar) this.#scalar(value);
    else if (value instanceof Described) this.#described(value);
    else if (value instanceof TypedArray) this.#array(value);
    else if (value instanceof Map) this.#map(value);
    else if (isList(value)) this.#list(value);
  }

  /** A descriptor that is a number below 256, as all of the specification are. */
  descriptor(code: number): void {
    const at = this.#room(3);
    this.buffer[at] = CODE.described;
    this.buffer[at + 1] = CODE.smallUlong;
    this.buffer[at + 2] = code;
  }

  /** Binary data. */
  binary(bytes: Uint8Array): void {
    this.binaryHead(bytes.length);
    const at = this.#room(bytes.length);
    this.buffer.set(bytes, at);
  }

  /** What stands before binary data of a length, which is to follow. */
  binaryHead(length: number): void {
    this.#length(length, CODE.binary8, CODE.binary32);
  }

  /** What stands before a text of so many bytes, which is to follow. */
  stringHead(length: number): void {
    this.#length(length, CODE.string8, CODE.string32);
  }

  /** Bytes that are encoded already. */
  raw(data: Buffer, start: number, end: number): void {
    const at = this.#room(end - start);
    data.copy(this.buffer, at, start, end);
  }

  /** Begins a list or a map; its values follow, then `close` with what this returns. */
  open(): number {
    return this.#room(MOST_HEAD);
  }

  /** Ends a list or a map of so many values, keys counted too, in the shortest form. */
  close(opened: number, code8: number, count: number): void {
    const { buffer } = this;
    const start = opened + MOST_HEAD;
    const bytes = this.length - start;
    if (count === 0 && code8 === CODE.list8) {
      buffer[opened] = CODE.list0;
      this.length = opened + 1;
    } else if (bytes < 0xff && count <= 0xff) {
      buffer[opened] = code8;
      buffer[opened + 1] = bytes + 1;
      buffer[opened + 2] = count;
      buffer.copyWithin(opened + 3, start, this.length);
      this.length = opened + 3 + bytes;
    } else {
      buffer[opened] = code8 + 0x10;
      buffer.writeUInt32BE(bytes + 4, opened + 1);
      buffer.writeUInt32BE(count, opened + 5);
    }
  }

  /** One byte. */
  byte(value: number): void {
    const at = this.#room(1);
    this.buffer[at] = value;
  }

  /** Makes room for so many bytes and says where they go: first, for it may change the buffer. */
  #room(bytes: number): number {
    const at = this.length;
    const needed = at + bytes;
    if (needed > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2));
      this.buffer.copy(grown, 0, 0, at);
      this.buffer = grown;
    }
    this.length = needed;
    return at;
  }

  #length(bytes: number, code8: number, code32: number): void {
    if (bytes <= 0xff) {
      const at = this.#room(2);
      this.buffer[at] = code8;
      this.buffer[at + 1] = bytes;
    } else {
      const at = this.#room(5);
      this.buffer[at] = code32;
      this.buffer.writeUInt32BE(bytes, at + 1);
    }
  }

  #text(text: string, code8: number, code32: number): void {
    const bytes = Buffer.byteLength(text);
    this.#length(bytes, code8, code32);
    const at = this.#room(bytes);
    this.buffer.write(text, at);
  }

  #number(value: number): void {
    if (!isInt(value)) this.#double(value);
    else if (value >= -128 && value < 128) this.#small(CODE.smallInt, value & 0xff);
    else {
      const at = this.#code(CODE.int, 4);
      this.buffer.writeInt32BE(value, at);
    }
  }

  #double(value: number): void {
    const at = this.#code(CODE.double, 8);
    this.buffer.writeDoubleBE(value, at);
  }

  #long(value: bigint): void {
    if (value >= -128n && value < 128n) this.#small(CODE.smallLong, Number(value) & 0xff);
    else {
      const at = this.#code(CODE.long, 8);
      this.buffer.writeBigInt64BE(value, at);
    }
  }

  #small(code: number, byte: number): void {
    const at = this.#code(code, 1);
    this.buffer[at] = byte;
  }

  /** Writes a code, and says where the value of so many bytes goes. */
  #code(code: number, bytes: number): number {
    const at = this.#room(1 + bytes);
    this.buffer[at] = code;
    return at + 1;
  }

  #scalar({ type, value }: Scalar): void {
    if (typeof value === "string") {
      const bytes = value.length;
      this.#length(bytes, CODE.symbol8, CODE.symbol32);
      const at = this.#room(bytes);
      this.buffer.write(value, at, "latin1");
    } else if (typeof value === "number" && type === "uint" && value < 0x100) {
      if (value === 0) this.byte(CODE.uint0);
      else this.#small(CODE.smallUint, value);
    } else if (typeof value === "bigint" && type === "ulong" && value < 0x100n) {
      if (value === 0n) this.byte(CODE.ulong0);
      else this.#small(CODE.smallUlong, Number(value));
    } else {
      const code = CODE[type === "symbol" ? "symbol8" : type];
      this.byte(code);
      this.#fixed(code, value);
    }
  }

  #described({ descriptor, value }: Described): void {
    this.byte(CODE.described);
    this.value(descriptor);
    this.value(value);
  }

  #list(items: readonly Value[]): void {
    const opened = this.open();
    for (const item of items) this.value(item);
    this.close(opened, CODE.list8, items.length);
  }

  #map(map: ReadonlyMap<Value, Value>): void {
    const opened = this.open();
    for (const [key, item] of map) {
      this.value(key);
      this.value(item);
    }
    this.close(opened, CODE.map8, map.size * 2);
  }

  /** The values of an array have no codes of their own, so they are written as its code says. */
  #array({ code, items, descriptor }: TypedArray): void {
    const opened = this.open();
    if (descriptor !== undefined) {
      this.byte(CODE.described);
      this.value(descriptor);
    }
    this.byte(code);
    for (const item of items) this.#item(code, item);
    this.close(opened, CODE.array8, items.length);
  }

  #item(code: number, item: Value): void {
    if (item instanceof Scalar && typeof item.value === "string") {
      this.#sized(code, Buffer.from(item.value, "latin1"));
    } else if (item instanceof Scalar) {
      this.#fixed(code, item.value);
    } else if (typeof item === "string") {
      this.#sized(code, Buffer.from(item));
    } else if (item instanceof Uint8Array) {
      this.#sized(code, item);
    } else if (typeof item === "number" || typeof item === "bigint") {
      this.#fixed(code, item);
    } else if (typeof item === "boolean") {
      if (code === CODE.boolean) this.byte(item ? 1 : 0);
    } else if (item !== null && code !== CODE.list0) {
      this.#nested(code, item);
    }
  }

  #sized(code: number, bytes: Uint8Array): void {
    if (code < CODE.binary32) {
      this.byte(short(bytes.length));
    } else {
      const at = this.#room(4);
      this.buffer.writeUInt32BE(bytes.length, at);
    }
    const at = this.#room(bytes.length);
    this.buffer.set(bytes, at);
  }

  /** A list, a map or an array inside an array, in the width that this one has for all. */
  #nested(code: number, item: Value): void {
    const inner = new Writer();
    inner.value(item);
    const { buffer, length } = inner;
    const wide = code === CODE.list32 || code === CODE.map32 || code === CODE.array32;
    const first = buffer[0] ?? 0;
    const [count, from] =
      first === CODE.list0
        ? [0, 1]
        : first >= 0xd0 && first !== CODE.array8
          ? [buffer.readUInt32BE(5), 9]
          : [buffer[2] ?? 0, 3];
    const bytes = length - from;
    if (wide) {
      const at = this.#room(8);
      this.buffer.writeUInt32BE(bytes + 4, at);
      this.buffer.writeUInt32BE(count, at + 4);
    } else {
      this.byte(short(bytes + 1));
      this.byte(short(count));
    }
    this.raw(buffer, from, length);
  }

  /** A value of a fixed width, without its code. */
  #fixed(code: number, value: number | bigint | string | Buffer): void {
    const bytes = FIXED_BYTES[(code >> 4) - 4] ?? 0;
    const at = this.#room(bytes);
    if (value instanceof Uint8Array) this.buffer.set(value.subarray(0, bytes), at);
    else if (typeof value === "bigint") this.#integer(code, value, at, bytes);
    else if (code === CODE.double) this.buffer.writeDoubleBE(Number(value), at);
    else if (code === CODE.float) this.buffer.writeFloatBE(Number(value), at);
    else if (SIGNED.has(code)) this.buffer.writeIntBE(Number(value), at, bytes);
    else if (bytes > 0) this.buffer.writeUIntBE(Number(value), at, bytes);
  }

  #integer(code: number, value: bigint, at: number, bytes: number): void {
    if (bytes === 8 && code === CODE.ulong) this.buffer.writeBigUInt64BE(value, at);
    else if (bytes === 8) this.buffer.writeBigInt64BE(value, at);
    else if (bytes === 1) this.buffer[at] = Number(BigInt.asUintN(8, value));
  }
}

/** By the first half of a code. */
const FIXED_BYTES = [0, 1, 2, 4, 8, 16];
const SIGNED: ReadonlySet<number> = new Set([CODE.byte, CODE.short, CODE.smallInt, CODE.int]);

function short(length: number): number {
  if (length > 0xff) throw new RangeError(`${length} does not fit into the one byte that this array has for lengths`);
  return length;
}

/** The bytes of a value. */
export function encodeValue(value: Value): Buffer {
  const writer = new Writer();
  writer.value(value);
  return writer.bytes();
}
