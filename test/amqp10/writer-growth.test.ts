import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Reader } from "../../protocols/amqp10/reader.ts";
import { Described, Scalar, TypedArray, type Value } from "../../protocols/amqp10/values.ts";
import { encodeValue } from "../../protocols/amqp10/writer.ts";

const KINDS: readonly Value[] = [
  null,
  true,
  1,
  1_000_000,
  1.5,
  5n,
  2n ** 60n,
  "text",
  Buffer.from("binary"),
  new Scalar("symbol", "symbol"),
  new Scalar("ulong", 0x2bn),
  new Scalar("uint", 7),
  new Scalar("uuid", Buffer.alloc(16, 7)),
  new Described(new Scalar("ulong", 1n), []),
  new TypedArray(0xa3, [new Scalar("symbol", "a"), new Scalar("symbol", "b")]),
  new Map<Value, Value>([["a", 1]]),
  ["a", 1],
];

function read(bytes: Buffer): Value {
  return new Reader(true).over(bytes, 0, bytes.length).read();
}

describe("a value that needs more room than a writer begins with", () => {
  it.each(KINDS.map((value, index) => ({ value, index })))("is written whole, number $index", ({ value }) => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 530 }), (filled) => {
        const list = ["x".repeat(filled), value, value, "end"];
        expect(read(encodeValue(list))).toEqual(list);
      }),
      { numRuns: 331 },
    );
  });
});
