import { type AmqpError, malformed } from "./errors.ts";
import { CODE, Described, isInt, MOST_DEPTH, Scalar, type ScalarType, TypedArray, type Value } from "./values.ts";

const EMPTY: Buffer = Buffer.alloc(0);

/** How wide the values of a constructor are, by its code: bytes, or one of these. */
const UNKNOWN = 255;
const LENGTH_8 = 100;
const LENGTH_32 = 101;
const COMPOUND_8 = 102;
const COMPOUND_32 = 103;
const ARRAY_8 = 104;
const ARRAY_32 = 105;

/** By the first half of a code (1.2.1). */
const WIDTHS = [0, 1, 2, 4, 8, 16, LENGTH_8, LENGTH_32, COMPOUND_8, COMPOUND_32, ARRAY_8, ARRAY_32];

const WIDTH: Uint8Array = (() => {
  const widths = new Uint8Array(256).fill(UNKNOWN);
  for (const code of Object.values(CODE))
    if (code !== CODE.described) widths[code] = WIDTHS[(code >> 4) - 4] ?? UNKNOWN;
  return widths;
})();

/** Types of which an array may have many items in no bytes: so many of them are read from one message. */
const MOST_EMPTY = 4096;

/**
 * Reads values one after the other, or steps over them. May be used again. Throws AmqpError(amqp:decode-error); lengths are
 * compared with the bytes there are before anything is made for them.
 */
export class Reader {
  data: Buffer = EMPTY;
  /** Where the next value begins. */
  at = 0;
  end = 0;
  /** Where the list or the map ends that was stepped into last. */
  inner = 0;
  /** Whether texts that are not UTF-8 are refused; otherwise they are mended. */
  readonly #strict: boolean;
  #depth = 0;
  #empty = 0;

  constructor(strict: boolean) {
    this.#strict = strict;
  }

  /** From now on reads `data[at, end)`. */
  over(data: Buffer, at: number, end: number): this {
    this.data = data;
    this.at = at;
    this.end = end;
    this.#depth = 0;
    this.#empty = 0;
    return this;
  }

  /** Whether all is read. */
  get done(): boolean {
    return this.at >= this.end;
  }

  /** The next value. */
  read(): Value {
    const code = this.#byte();
    if (code !== CODE.described) return this.#body(code);
    this.#enter();
    const descriptor = this.read();
    const value = this.read();
    this.#depth--;
    return new Described(descriptor, value);
  }

  /** Steps over the next value; all of it is looked through. */
  skip(): void {
    const code = this.#byte();
    if (code !== CODE.described) {
      this.#skipBody(code);
      return;
    }
    this.#enter();
    this.skip();
    this.skip();
    this.#depth--;
  }

  /** The code of the next constructor; -1 where nothing follows. */
  peek(): number {
    return this.at < this.end ? (this.data[this.at] ?? -1) : -1;
  }

  /**
   * Steps into a list or a map: returns how many values follow, and `inner` says where they have to end. -1, and nothing is
   * stepped over, where the next value is neither.
   */
  open(): number {
    const code = this.peek();
    if (code === CODE.list0) {
      this.at++;
      this.inner = this.at;
      return 0;
    }
    if (code < 0 || (WIDTH[code] !== COMPOUND_8 && WIDTH[code] !== COMPOUND_32)) return -1;
    this.at++;
    this.inner = this.#compoundEnd(code);
    return this.#count(code, this.inner);
  }

  #enter(): void {
    if (++this.#depth > MOST_DEPTH) throw malformed(`A value has more than ${MOST_DEPTH} others around it`);
  }

  #need(bytes: number): number {
    const { at } = this;
    if (bytes > this.end - at) {
      throw malformed(`A value needs ${bytes} bytes where ${this.end - at} are left`);
    }
    this.at = at + bytes;
    return at;
  }

  #byte(): number {
    return this.data[this.#need(1)] ?? 0;
  }

  #uint(): number {
    return this.data.readUInt32BE(this.#need(4));
  }

  #body(code: number): Value {
    const width = WIDTH[code] ?? UNKNOWN;
    if (width <= 16) return this.#fixed(code, width);
    switch (width) {
      case LENGTH_8:
        return this.#variable(code, this.#byte());
      case LENGTH_32:
        return this.#variable(code, this.#uint());
      case COMPOUND_8:
      case COMPOUND_32:
        return this.#compound(code);
      case ARRAY_8:
      case ARRAY_32:
        return this.#array(code);
      default:
        throw unknown(code);
    }
  }

  #fixed(code: number, width: number): Value {
    const { data } = this;
    const at = this.#need(width);
    switch (code) {
      case CODE.null:
        return null;
      case CODE.true:
        return true;
      case CODE.false:
        return false;
      case CODE.list0:
        return [];
      case CODE.boolean:
        return truth(data[at] ?? 0);
      case CODE.smallInt:
        return data.readInt8(at);
      case CODE.int:
        return data.readInt32BE(at);
      case CODE.smallLong:
        return BigInt(data.readInt8(at));
      case CODE.long:
        return data.readBigInt64BE(at);
      case CODE.double: {
        const value = data.readDoubleBE(at);
        return isInt(value) ? new Scalar("double", value) : value;
      }
      default:
        return scalar(code, data, at);
    }
  }

  #variable(code: number, length: number): Value {
    const at = this.#need(length);
    const end = at + length;
    // A copy: what is kept of it must not keep the chunk.
    if (code === CODE.binary8 || code === CODE.binary32) return Buffer.from(this.data.subarray(at, end));
    if (code === CODE.symbol8 || code === CODE.symbol32)
      return new Scalar("symbol", this.data.toString("latin1", at, end));
    const text = this.data.toString("utf8", at, end);
    if (this.#strict && text.includes("\ufffd") && !Buffer.from(text).equals(this.data.subarray(at, end))) {
      throw malformed("A string is not UTF-8");
    }
    return text;
  }

  /** Where the list, map or array ends whose size is next. */
  #compoundEnd(code: number): number {
    const size = code < 0xd0 || code === CODE.array8 ? this.#byte() : this.#uint();
    if (size > this.end - this.at) {
      throw malformed(`A value of ${size} bytes stands where ${this.end - this.at} are left`);
    }
    return this.at + size;
  }

  /** How many values follow in a list or a map; each has a byte at least. */
  #count(code: number, end: number): number {
    const count = code < 0xd0 ? this.#byte() : this.#uint();
    if (count > end - this.at) throw malformed(`${count} values stand where ${end - this.at} bytes are left`);
    if ((code === CODE.map8 || code === CODE.map32) && count % 2 !== 0) {
      throw malformed(`A map has ${count} keys and values together; expected an even number`);
    }
    return count;
  }

  #compound(code: number): Value {
    this.#enter();
    const end = this.#compoundEnd(code);
    const count = this.#count(code, end);
    const outer = this.end;
    this.end = end;
    const value = code === CODE.map8 || code === CODE.map32 ? this.#map(count) : this.#list(count);
    this.#close(end, outer);
    return value;
  }

  #list(count: number): Value {
    const items: Value[] = [];
    for (let i = 0; i < count; i++) items.push(this.read());
    return items;
  }

  #map(count: number): Value {
    const map = new Map<Value, Value>();
    for (let i = 0; i < count; i += 2) {
      const key = this.read();
      map.set(key, this.read());
    }
    return map;
  }

  /** All of a list, a map or an array has been read. */
  #close(end: number, outer: number): void {
    if (this.at !== end) throw malformed(`${end - this.at} bytes are left over in a list, map or array`);
    this.end = outer;
    this.#depth--;
  }

  #array(code: number): TypedArray {
    this.#enter();
    const end = this.#compoundEnd(code);
    const outer = this.end;
    this.end = end;
    const count = code === CODE.array8 ? this.#byte() : this.#uint();
    let item = this.#byte();
    let descriptor: Value | undefined;
    if (item === CODE.described) {
      descriptor = this.read();
      item = this.#byte();
    }
    this.#checkItems(item, count);
    const items: Value[] = [];
    for (let i = 0; i < count; i++) items.push(this.#body(item));
    this.#close(end, outer);
    return new TypedArray(item, items, descriptor);
  }

  /** Before anything is made for the items of an array. */
  #checkItems(code: number, count: number): void {
    const width = WIDTH[code] ?? UNKNOWN;
    if (width === UNKNOWN) throw unknown(code);
    if (width === 0) {
      this.#empty += count;
      if (this.#empty > MOST_EMPTY) throw malformed(`Arrays have more than ${MOST_EMPTY} items of no bytes`);
    } else if (count * (width <= 16 ? width : 1) > this.end - this.at) {
      throw malformed(`An array of ${count} items stands where ${this.end - this.at} bytes are left`);
    }
  }

  #skipBody(code: number): void {
    const width = WIDTH[code] ?? UNKNOWN;
    if (width <= 16) {
      const at = this.#need(width);
      if (code === CODE.boolean) truth(this.data[at] ?? 0);
    } else if (width === LENGTH_8) {
      this.#need(this.#byte());
    } else if (width === LENGTH_32) {
      this.#need(this.#uint());
    } else if (width === UNKNOWN) {
      throw unknown(code);
    } else {
      this.#skipInside(code, width);
    }
  }

  #skipInside(code: number, width: number): void {
    this.#enter();
    const end = this.#compoundEnd(code);
    const outer = this.end;
    this.end = end;
    if (width === COMPOUND_8 || width === COMPOUND_32) {
      for (let left = this.#count(code, end); left > 0; left--) this.skip();
    } else {
      const count = width === ARRAY_8 ? this.#byte() : this.#uint();
      let item = this.#byte();
      if (item === CODE.described) {
        this.skip();
        item = this.#byte();
      }
      this.#checkItems(item, count);
      for (let i = 0; i < count; i++) this.#skipBody(item);
    }
    this.#close(end, outer);
  }
}

const SCALARS: ReadonlyMap<number, ScalarType> = new Map<number, ScalarType>([
  [CODE.ubyte, "ubyte"],
  [CODE.byte, "byte"],
  [CODE.ushort, "ushort"],
  [CODE.short, "short"],
  [CODE.uint0, "uint"],
  [CODE.smallUint, "uint"],
  [CODE.uint, "uint"],
  [CODE.ulong0, "ulong"],
  [CODE.smallUlong, "ulong"],
  [CODE.ulong, "ulong"],
  [CODE.float, "float"],
  [CODE.char, "char"],
  [CODE.timestamp, "timestamp"],
  [CODE.uuid, "uuid"],
  [CODE.decimal32, "decimal32"],
  [CODE.decimal64, "decimal64"],
  [CODE.decimal128, "decimal128"],
]);

function scalar(code: number, data: Buffer, at: number): Scalar {
  const type = SCALARS.get(code);
  if (type === undefined) throw unknown(code);
  return new Scalar(type, scalarValue(code, data, at));
}

function scalarValue(code: number, data: Buffer, at: number): number | bigint | Buffer {
  switch (code) {
    case CODE.uint0:
      return 0;
    case CODE.ulong0:
      return 0n;
    case CODE.byte:
      return data.readInt8(at);
    case CODE.ushort:
      return data.readUInt16BE(at);
    case CODE.short:
      return data.readInt16BE(at);
    case CODE.uint:
    case CODE.char:
      return data.readUInt32BE(at);
    case CODE.float:
      return data.readFloatBE(at);
    case CODE.smallUlong:
      return BigInt(data[at] ?? 0);
    case CODE.ulong:
      return data.readBigUInt64BE(at);
    case CODE.timestamp:
      return data.readBigInt64BE(at);
    case CODE.decimal32:
      return Buffer.from(data.subarray(at, at + 4));
    case CODE.decimal64:
      return Buffer.from(data.subarray(at, at + 8));
    case CODE.decimal128:
    case CODE.uuid:
      return Buffer.from(data.subarray(at, at + 16));
    default:
      return data[at] ?? 0;
  }
}

function truth(byte: number): boolean {
  if (byte > 1) throw malformed(`A boolean is ${byte}; expected 0 or 1`);
  return byte === 1;
}

function unknown(code: number): AmqpError {
  return malformed(`No type has the code 0x${code.toString(16).padStart(2, "0")}`);
}
