import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Output } from "../../core/output.ts";
import { PROTOCOL_HEADER } from "../../protocols/amqp091/codec.ts";
import { AmqpError } from "../../protocols/amqp091/errors.ts";
import {
  checkTable,
  type FieldTable,
  type FieldValue,
  findField,
  plain,
  readTable,
  tableSize,
  Typed,
  valueAt,
  writeTable,
} from "../../protocols/amqp091/field-table.ts";
import { decodeMethod, methodName, writeMethod } from "../../protocols/amqp091/methods.ts";
import {
  type BasicProperties,
  decodeProperties,
  encodeProperties,
  headersAt,
  PropertyPlaces,
  storedPriority,
} from "../../protocols/amqp091/properties.ts";
import { definitions, tables } from "./amqplib-codec.ts";
import { ERROR_ROWS, FRAME_ROWS, METHOD_ROWS } from "./frame-table.ts";
import { embedded, frame, pieces, readFrames, Reading } from "./reading.ts";

const text = fc.string({ maxLength: 20, unit: "binary" });
const bytes = fc.uint8Array({ maxLength: 20 }).map((each) => Buffer.from(each));
const name = fc.string({ maxLength: 8, unit: "binary" });
const octet = fc.nat(0xff);
const isFraction = (value: number): boolean => !Number.isSafeInteger(value) || Object.is(value, -0);
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const notText = fc.tuple(bytes, bytes).map(([before, after]) => Buffer.concat([before, Buffer.from([0xff]), after]));

/** Values of each type, as they are when they were read. */
const scalar: fc.Arbitrary<FieldValue> = fc.oneof(
  fc.boolean(),
  text,
  bytes,
  fc.constant(null),
  fc.integer(),
  fc.maxSafeInteger().filter((value) => value !== (value | 0)),
  int64.filter((value) => !Number.isSafeInteger(Number(value))),
  fc.double({ noNaN: true }).filter(isFraction),
  fc.integer({ min: -128, max: 127 }).map((value) => new Typed("b", value)),
  octet.map((value) => new Typed("B", value)),
  fc
    .tuple(fc.constantFrom("s", "U"), fc.integer({ min: -0x8000, max: 0x7fff }))
    .map(([type, value]) => new Typed(type, value)),
  fc.nat(0xffff).map((value) => new Typed("u", value)),
  fc.nat(0xffff_ffff).map((value) => new Typed("i", value)),
  fc.integer().map((value) => new Typed("l", value)),
  fc.maxSafeInteger().map((value) => new Typed("L", value)),
  fc.maxSafeNat().map((value) => new Typed("T", value)),
  fc.maxSafeInteger().map((value) => new Typed("d", value)),
  fc.float({ noNaN: true }).map((value) => new Typed("f", value)),
  fc.uint8Array({ minLength: 5, maxLength: 5 }).map((value) => new Typed("D", Buffer.from(value))),
  notText.map((value) => new Typed("S", value)),
  fc.constant(new Typed("n", null)),
);
const { table } = fc.letrec<{ value: FieldValue; table: FieldTable }>((tie) => ({
  value: fc.oneof({ depthSize: "small" }, scalar, tie("table"), fc.array(tie("value"), { maxLength: 4 })),
  table: fc.array(fc.tuple(name, tie("value")), { maxLength: 5 }).map((entries) => new Map(entries)),
}));

/** What both know: numbers that amqplib writes as integers of some size, or as doubles. */
const json = fc.letrec<{ value: unknown; table: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.boolean(),
    text,
    fc.constant(null),
    fc.maxSafeInteger().filter((value) => Math.abs(value) < 2 ** 50),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e12, max: 1e12 }).map((value) => value || 0),
    bytes,
    tie("table"),
    fc.array(tie("value"), { maxLength: 3 }),
  ),
  table: fc.dictionary(
    fc.string({ maxLength: 6 }).filter((each) => each !== "__proto__" && each !== "!"),
    tie("value"),
    { maxKeys: 4, noNullPrototype: true },
  ),
})).table;

const properties: fc.Arbitrary<BasicProperties> = fc.record(
  {
    contentType: text,
    contentEncoding: text,
    headers: table,
    deliveryMode: octet,
    priority: octet,
    correlationId: text,
    replyTo: text,
    expiration: text,
    messageId: text,
    timestamp: fc.maxSafeNat(),
    type: text,
    userId: text,
    appId: text,
    clusterId: text,
  },
  { requiredKeys: [] },
);

function written(fields: FieldTable): Buffer {
  const target = Buffer.alloc(tableSize(fields) + 2, 0xee);
  expect(writeTable(target, 1, fields)).toBe(target.length - 1);
  expect([target[0], target.at(-1)]).toEqual([0xee, 0xee]);
  return target.subarray(1, -1);
}

/** A table as amqplib shows one. */
function shown(value: FieldValue): unknown {
  const known = plain(value);
  if (known instanceof Map) return Object.fromEntries([...known].map(([key, item]) => [key, shown(item)]));
  return Array.isArray(known) ? known.map(shown) : known;
}

function fieldOf(value: unknown): FieldValue {
  if (Array.isArray(value)) return value.map(fieldOf);
  if (Buffer.isBuffer(value) || value === null) return value;
  if (typeof value === "object") return new Map(Object.entries(value).map(([key, item]) => [key, fieldOf(item)]));
  return typeof value === "string" || typeof value === "number" ? value : value === true;
}

function defined(object: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

describe("field tables", () => {
  it("are read as they were written, with all types, wherever they lie", () => {
    fc.assert(
      fc.property(table, (fieldsIn) => {
        const lying = embedded(written(fieldsIn));
        expect(checkTable(lying, 0, lying.length)).toBe(lying.length);
        const read = readTable(lying, 0, lying.length);
        expect(read).toEqual(fieldsIn);
        expect(written(read).equals(lying)).toBe(true);
      }),
    );
  });

  it("have each value found by its name", () => {
    fc.assert(
      fc.property(table, (fieldsIn) => {
        const lying = embedded(written(fieldsIn));
        for (const [key, value] of fieldsIn) {
          expect(valueAt(lying, findField(lying, 0, Buffer.from(key)))).toEqual(value);
        }
        expect(findField(lying, 0, Buffer.from("nobody has this"))).toBe(-1);
      }),
    );
  });

  it("cut short or changed anywhere are refused or read, and nothing else", () => {
    fc.assert(
      fc.property(table, fc.nat(), octet, (fieldsIn, place, byte) => {
        const changed = Buffer.from(written(fieldsIn));
        const cut = place % changed.length;
        expect(() => checkTable(changed, 0, cut)).toThrow(AmqpError);
        changed[cut] = byte;
        try {
          readTable(changed, 0, changed.length);
        } catch (error) {
          expect(error).toBeInstanceOf(AmqpError);
        }
      }),
    );
  });

  it("are what amqplib wrote, and amqplib reads what is written here", () => {
    fc.assert(
      fc.property(json, (object) => {
        const theirs = Buffer.alloc(65_536);
        const length = tables.encodeTable(theirs, object, 0);
        expect(shown(readTable(theirs, 0, length))).toEqual(object);
        const ours = fieldOf(object);
        expect(tables.decodeFields(ours instanceof Map ? written(ours).subarray(4) : theirs)).toEqual(object);
      }),
    );
  });
});

describe("properties", () => {
  it("are read as they were written, at once or by their places", () => {
    fc.assert(
      fc.property(properties, (each) => {
        const lying = embedded(encodeProperties(each));
        expect(defined(decodeProperties(lying, 0, lying.length))).toEqual(each);
        const places = new PropertyPlaces();
        places.locate(lying, 0, lying.length);
        const within = (start: number, end: number): string => lying.toString("utf8", start, end);
        expect(within(places.expirationStart, places.expirationEnd)).toBe(each.expiration ?? "");
        expect(within(places.replyToStart, places.replyToEnd)).toBe(each.replyTo ?? "");
        expect(within(places.userIdStart, places.userIdEnd)).toBe(each.userId ?? "");
        expect([places.deliveryMode, places.priority]).toEqual([each.deliveryMode ?? 0, each.priority ?? -1]);
        expect(headersAt(lying, 0)).toBe(each.headers === undefined ? -1 : places.headersStart);
        expect(storedPriority(lying, 0)).toBe(each.priority);
      }),
    );
  });

  it("are what amqplib writes, byte for byte, but for the sizes of numbers", () => {
    fc.assert(
      fc.property(properties, (each) => {
        const plainEach = { ...each, headers: each.headers === undefined ? undefined : new Map([["k", "v"]]) };
        const theirs = definitions.encodeProperties(definitions.BasicProperties, 1, 9, {
          ...plainEach,
          headers: plainEach.headers === undefined ? undefined : { k: "v" },
        });
        expect(encodeProperties(plainEach).toString("hex")).toBe(theirs.subarray(19, -1).toString("hex"));
      }),
    );
  });

  it("cut short or changed anywhere are refused or read, and nothing else", () => {
    fc.assert(
      fc.property(properties, fc.nat(), octet, (each, place, byte) => {
        const changed = encodeProperties(each);
        const cut = place % changed.length;
        expect(() => decodeProperties(changed, 0, cut)).toThrow(AmqpError);
        changed[cut] = byte;
        try {
          decodeProperties(changed, 0, changed.length);
        } catch (error) {
          expect(error).toBeInstanceOf(AmqpError);
        }
      }),
    );
  });
});

/** Those of amqplib's arguments that are reserved. */
const RESERVED = new Set(["ticket", "capabilities", "insist", "knownHosts", "outOfBand", "channelId", "clusterId"]);
const CODES = [10, 20, 40, 50, 60, 85, 90]
  .flatMap((classId) => Array.from({ length: 128 }, (_, methodId) => classId * 0x10000 + methodId))
  .filter((code) => /[a-z]/.test(methodName(code)));

function argument(type: string): fc.Arbitrary<unknown> {
  switch (type) {
    case "bit":
      return fc.boolean();
    case "octet":
      return octet;
    case "short":
      return fc.nat(0xffff);
    case "long":
      return fc.nat(0xffff_ffff);
    case "longlong":
      return fc.maxSafeNat();
    case "shortstr":
      return text;
    case "longstr":
      return bytes;
    default:
      return fc.constantFrom({}, { "x-max-length": 70_000, "x-queue-type": "classic", s: true });
  }
}

describe("methods", () => {
  it("are those that amqplib knows", () => {
    expect(CODES.length).toBe(64);
    for (const code of CODES) {
      const { name: theirs } = definitions.info(code);
      expect(theirs.toLowerCase()).toBe(methodName(code).replaceAll(/[.-]/g, ""));
    }
  });

  it.each(CODES.map((code) => ({ code, what: methodName(code) })))(
    "$what is read and written as by amqplib",
    ({ code }) => {
      const args = definitions.info(code).args.filter((each) => !RESERVED.has(each.name));
      const values = fc.record(Object.fromEntries(args.map((each) => [each.name, argument(each.type)])));
      fc.assert(
        fc.property(values, fc.nat(0xffff), (each, channel) => {
          const theirs = definitions.encodeMethod(code, channel, each);
          const method = decodeMethod(code, theirs, 11, theirs.length - 1);
          const read = Object.values(method.arguments).map((value) => (value instanceof Map ? shown(value) : value));
          expect(read).toEqual(args.map((one) => each[one.name]));
          const output = new Output(1e6, () => {});
          writeMethod(output, channel, method.name, method.arguments);
          expect(Buffer.concat(output.take()).toString("hex")).toBe(theirs.toString("hex"));
        }),
        { numRuns: 20 },
      );
    },
  );

  it("are changed only in that they are cut when a name is longer than it can be", () => {
    const output = new Output(1e6, () => {});
    writeMethod(output, 1, "basic.cancel-ok", { consumerTag: "ä".repeat(200) });
    const [ours = Buffer.alloc(0)] = output.take();
    expect(decodeMethod(ours.readUInt32BE(7), ours, 11, ours.length - 1).arguments).toEqual({
      consumerTag: "ä".repeat(127),
    });
  });
});

describe("the decoder", () => {
  const rows = [...METHOD_ROWS, ...FRAME_ROWS, ...ERROR_ROWS].map((row) => row.bytes);

  it("reads any frames the same, however they are cut", () => {
    const good = [...METHOD_ROWS, ...FRAME_ROWS].filter((row) => row.bytes.length < 1000).map((row) => row.bytes);
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...good), { maxLength: 8 }),
        fc.integer({ min: 1, max: 60 }),
        (some, size) => {
          const all = Buffer.concat(some);
          expect(readFrames(pieces(all, size))).toEqual(readFrames([all]));
        },
      ),
    );
  });

  it("refuses or reads whatever bytes come, and nothing else", () => {
    const noise = fc.oneof(
      bytes,
      fc.tuple(fc.constantFrom(...rows), fc.nat(), octet).map(([row, place, byte]) => {
        const changed = Buffer.from(row);
        changed[place % changed.length] = byte;
        return changed;
      }),
      fc
        .tuple(fc.constantFrom(1, 2, 3, 8), fc.nat(2), bytes)
        .map(([type, channel, payload]) => frame(type, channel, payload)),
    );
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 6 }), fc.integer({ min: 1, max: 5000 }), (some, size) => {
        const reading = new Reading();
        reading.feed(Buffer.from(PROTOCOL_HEADER));
        try {
          for (const chunk of pieces(Buffer.concat(some), size)) reading.feed(chunk);
        } catch (error) {
          expect(error).toBeInstanceOf(AmqpError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
