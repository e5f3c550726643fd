import fc from "fast-check";
import rhea from "rhea";
import type { Reader as TheirReader, Writer as TheirWriter } from "rhea/typings/types.js";
import { describe, expect, it } from "vitest";
import { Reader } from "../../protocols/amqp10/reader.ts";
import {
  CODE,
  Described,
  fromPlain,
  plain,
  Scalar,
  symbol,
  symbols,
  TypedArray,
  type Value,
} from "../../protocols/amqp10/values.ts";
import { encodeValue } from "../../protocols/amqp10/writer.ts";
import { bytesOf, refusal } from "./reading.ts";

/** What rhea's declarations leave out of its types. */
const their = rhea.types as unknown as {
  readonly Reader: typeof TheirReader;
  readonly Writer: typeof TheirWriter;
};

function decode(bytes: Buffer, strict = true): Value {
  const reader = new Reader(strict).over(bytes, 0, bytes.length);
  const value = reader.read();
  expect(reader.done).toBe(true);
  return value;
}

function skip(bytes: Buffer): number {
  const reader = new Reader(true).over(bytes, 0, bytes.length);
  reader.skip();
  return reader.at;
}

const big = (width: 64): { readonly min: bigint; readonly max: bigint } => ({
  min: -(2n ** BigInt(width - 1)),
  max: 2n ** BigInt(width - 1) - 1n,
});
const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
const text = fc.string({ unit: "grapheme", maxLength: 300 });
const ascii = fc.string({ unit: fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code)) });
const scalar = (type: Scalar["type"], value: fc.Arbitrary<Scalar["value"]>): fc.Arbitrary<Value> =>
  value.map((of) => new Scalar(type, of));

/** Those that other codecs have too. */
const usual: readonly fc.Arbitrary<Value>[] = [
  fc.constant(null),
  fc.boolean(),
  text,
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  fc.integer(),
  fc.double({ noNaN: true }).map((number) => decode(encodeValue(new Scalar("double", number)))),
  scalar("ubyte", fc.integer({ min: 0, max: 255 })),
  scalar("byte", fc.integer({ min: -128, max: 127 })),
  scalar("ushort", fc.integer({ min: 0, max: 0xffff })),
  scalar("short", fc.integer({ min: -0x8000, max: 0x7fff })),
  scalar("uint", fc.integer({ min: 0, max: 0xffff_ffff })),
  scalar("float", fc.float({ noNaN: true })),
  scalar("symbol", ascii),
  scalar("uuid", bytes(16)),
  fc.bigInt({ min: -(2n ** 52n), max: 2n ** 52n }),
  scalar("ulong", fc.bigInt({ min: 0n, max: 2n ** 53n - 1n })),
  scalar("timestamp", fc.bigInt({ min: -(2n ** 50n), max: 2n ** 50n })),
];
const rare: readonly fc.Arbitrary<Value>[] = [
  scalar("char", fc.integer({ min: 0, max: 0x10ffff })),
  scalar("decimal32", bytes(4)),
  scalar("decimal64", bytes(8)),
  scalar("decimal128", bytes(16)),
  fc.bigInt(big(64)),
  scalar("ulong", fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  scalar("timestamp", fc.bigInt(big(64))),
];

const arrays: fc.Arbitrary<Value> = fc.oneof(
  fc.array(ascii).map(symbols),
  fc.array(fc.integer()).map((items) => new TypedArray(CODE.int, items)),
  fc.array(fc.bigInt(big(64))).map((items) => new TypedArray(CODE.long, items)),
  fc.array(fc.boolean()).map((items) => new TypedArray(CODE.boolean, items)),
  fc.array(text).map((items) => new TypedArray(CODE.string32, items)),
  fc.array(fc.array(fc.integer())).map((items) => new TypedArray(CODE.list32, items)),
  fc.array(fc.constant(true), { maxLength: 20 }).map((items) => new TypedArray(CODE.true, items)),
  fc.array(fc.integer({ min: -128, max: 127 })).map((items) => new TypedArray(CODE.smallInt, items, symbol("a:b"))),
  fc.array(fc.array(fc.integer({ max: 255, min: 0 }).map((of) => new Scalar("ubyte", of)))).map(
    (items) =>
      new TypedArray(
        CODE.array32,
        items.map((inner) => new TypedArray(CODE.ubyte, inner)),
      ),
  ),
);

/** Values of all kinds; `twice`: also such as have more than one descriptor. */
function values(leaves: readonly fc.Arbitrary<Value>[], twice = true): fc.Arbitrary<Value> {
  return fc.letrec<{ value: Value }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      ...leaves,
      fc.array(tie("value"), { maxLength: 5 }),
      fc.array(fc.tuple(text, tie("value")), { maxLength: 5 }).map((entries): Value => new Map<Value, Value>(entries)),
      fc.tuple(scalar("ulong", fc.bigInt({ min: 0n, max: 300n })), tie("value")).map(([descriptor, value]) => {
        return value instanceof Described && !twice ? value : new Described(descriptor, value);
      }),
    ),
  })).value;
}

describe("values of AMQP 1.0", () => {
  it("are the same types again after writing and reading, and skipping ends where reading ends", () => {
    fc.assert(
      fc.property(values([...usual, ...rare, arrays]), (value) => {
        const written = encodeValue(value);
        const read = decode(written);
        expect(read).toEqual(value);
        expect(encodeValue(read).equals(written)).toBe(true);
        expect(skip(written)).toBe(written.length);
      }),
    );
  });

  it("are read and written by rhea as they are here", () => {
    // Of a value with two descriptors rhea forgets one.
    fc.assert(
      fc.property(values(usual, false), (value) => {
        const theirs = new their.Reader(encodeValue(value)).read();
        const writer = new their.Writer();
        writer.write(theirs);
        expect(decode(writer.toBuffer())).toEqual(value);
      }),
    );
  });

  it("that are cut off are refused, wherever that is", () => {
    fc.assert(
      fc.property(values([...usual, ...rare, arrays]), fc.nat(), (value, at) => {
        const written = encodeValue(value);
        const cut = written.subarray(0, at % written.length);
        expect(refusal(() => decode(cut)).condition).toBe("amqp:decode-error");
        expect(refusal(() => skip(cut)).condition).toBe("amqp:decode-error");
      }),
    );
  });

  it("of any bytes are read and skipped to the same end, or refused by both", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (array) => {
        const data = Buffer.from(array);
        const end = (walk: (reader: Reader) => unknown): number => {
          const reader = new Reader(false).over(data, 0, data.length);
          try {
            walk(reader);
            return reader.at;
          } catch (error) {
            expect(error).toHaveProperty("condition", "amqp:decode-error");
            return -1;
          }
        };
        expect(end((reader) => reader.skip())).toBe(end((reader) => reader.read()));
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[string, string, Value]>([
    ["null", "40", null],
    ["true in no bytes", "41", true],
    ["false in no bytes", "42", false],
    ["true in a byte", "56 01", true],
    ["a uint in no bytes", "43", new Scalar("uint", 0)],
    ["a uint in a byte", "52 ff", new Scalar("uint", 255)],
    ["a uint in four", "70 ffffffff", new Scalar("uint", 0xffff_ffff)],
    ["a ulong in no bytes", "44", new Scalar("ulong", 0n)],
    ["a ulong in a byte", "53 ff", new Scalar("ulong", 255n)],
    ["a ulong in eight", "80 ffffffffffffffff", new Scalar("ulong", 2n ** 64n - 1n)],
    ["an int in a byte", "54 ff", -1],
    ["an int in four", "71 ffffffff", -1],
    ["a long in a byte", "55 80", -128n],
    ["a long in eight", "81 8000000000000000", -(2n ** 63n)],
    ["a whole double", "82 4014000000000000", new Scalar("double", 5)],
    ["a double", "82 3ff8000000000000", 1.5],
    ["a double of minus nothing", "82 8000000000000000", -0],
    ["a char", "73 0001f600", new Scalar("char", 0x1f600)],
    ["a timestamp", "83 0000000000000001", new Scalar("timestamp", 1n)],
    ["a short text", "a1 02 c3a9", "é"],
    ["a text with a length of four bytes", "b1{c3a9}", "é"],
    ["a symbol with a length of four bytes", "b3{'x'}", symbol("x")],
    ["binary data with a length of four bytes", "b0{00}", Buffer.from([0])],
    ["a list without anything", "45", []],
    ["a list", "c0[02 40 41]", [null, true]],
    ["a list with lengths of four bytes", "d0{00000002 40 41}", [null, true]],
    ["a map with lengths of four bytes", "d1{00000002 a1 01'k' 43}", new Map([["k", new Scalar("uint", 0)]])],
    ["an array of small numbers", "e0[02 54 01 ff]", new TypedArray(CODE.smallInt, [1, -1])],
    [
      "an array of described items",
      "e0[01 00 53 01 54 05]",
      new TypedArray(CODE.smallInt, [5], new Scalar("ulong", 1n)),
    ],
    [
      "a described descriptor",
      "00 00 53 01 53 02 40",
      new Described(new Described(new Scalar("ulong", 1n), new Scalar("ulong", 2n)), null),
    ],
  ])("%s is read", (_what, hex, value) => {
    expect(decode(bytesOf(hex))).toEqual(value);
  });

  it.each([
    ["a code of no type", "46", /0x46/],
    ["a boolean that is neither", "56 02", /boolean is 2/],
    ["a map with a key without a value", "c1[01 40]", /1 keys and values/],
    ["a list that counts more than it has", "c0[05 40 40]", /5 values stand where 2 bytes/],
    ["a list with something left over", "c0[01 40 40]", /1 bytes are left over/],
    ["a list that is longer than what is around it", "c0 05 01 40", /5 bytes stands where 2/],
    ["a text that is not UTF-8", "a1 02 c328", /not UTF-8/],
    ["an array of what there is not", "e0[01 46]", /0x46/],
  ])("%s is refused", (_what, hex, message) => {
    expect(refusal(() => decode(bytesOf(hex))).message).toMatch(message);
  });

  it("of broken UTF-8 are mended where it does not matter any more", () => {
    expect(decode(bytesOf("a1 02 c328"), false)).toBe("\ufffd(");
  });

  it.each([
    [
      "lists inside lists",
      Buffer.concat(Array.from({ length: 1000 }, (_, i) => Buffer.from(`d0${size(5 + (999 - i) * 9)}00000001`, "hex"))),
    ],
    ["descriptors of descriptors", Buffer.alloc(100_000)],
  ])("%s are refused before they fill the stack", (_what, bomb) => {
    const tail = Buffer.from([0x40]);
    expect(refusal(() => decode(Buffer.concat([bomb, tail]))).message).toMatch(/more than 64 others around it/);
    expect(refusal(() => skip(Buffer.concat([bomb, tail]))).message).toMatch(/more than 64 others around it/);
  });

  it("that take no room are refused in great numbers, however many arrays they are in", () => {
    expect(refusal(() => decode(bytesOf("f0{ffffffff 41}"))).message).toMatch(/more than 4096 items of no bytes/);
    const many = `d0{00000400 ${"f0{00000400 45}".repeat(1024)}}`;
    expect(refusal(() => decode(bytesOf(many))).message).toMatch(/more than 4096 items of no bytes/);
    expect(refusal(() => skip(bytesOf(many))).message).toMatch(/more than 4096 items of no bytes/);
  });

  it("are counted before room is made for them", () => {
    expect(refusal(() => decode(bytesOf("f0{7fffffff 71 00000000}"))).message).toMatch(/2147483647 items/);
    expect(refusal(() => decode(bytesOf("d0{ffffffff 40}"))).message).toMatch(/4294967295 values/);
    expect(refusal(() => decode(bytesOf("b0 ffffffff 00"))).message).toMatch(/needs 4294967295 bytes where 1/);
  });

  it("become what the core knows", () => {
    const map = new Map<Value, Value>([
      [symbol("long"), 5n],
      ["far", 2n ** 60n],
      ["at", new Scalar("timestamp", 1000n)],
      ["char", new Scalar("char", 0x1f600)],
      ["uuid", new Scalar("uuid", Buffer.alloc(16, 0xab))],
      ["list", [new Described(symbol("x"), new TypedArray(CODE.smallInt, [1]))]],
    ]);
    expect(plain(map)).toEqual(
      new Map<string, unknown>([
        ["long", 5],
        ["far", 2n ** 60n],
        ["at", new Date(1000)],
        ["char", "😀"],
        ["uuid", "abababab-abab-abab-abab-abababababab"],
        ["list", [[1]]],
      ]),
    );
  });

  it("are made of what the core has", () => {
    const core = new Map<unknown, unknown>([
      ["n", [1, 1.5, 5_000_000_000, 2n ** 63n, 2n ** 70n, new Date(7), undefined]],
    ]);
    const list = [
      1,
      1.5,
      5_000_000_000n,
      new Scalar("ulong", 2n ** 63n),
      (2n ** 70n).toString(),
      new Scalar("timestamp", 7n),
      null,
    ];
    expect(fromPlain(core)).toEqual(new Map([["n", list]]));
  });
});

/** A length in hexadecimal. */
function size(length: number): string {
  return length.toString(16).padStart(8, "0");
}
