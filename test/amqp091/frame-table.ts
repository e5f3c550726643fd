import type { ReplyName } from "../../protocols/amqp091/errors.ts";
import { Typed } from "../../protocols/amqp091/field-table.ts";
import { bytesOf, frame, type Read } from "./reading.ts";

/** Bytes, and what they are to the decoder: frames, or an error. */
export interface Row {
  readonly what: string;
  readonly bytes: Buffer;
  readonly read?: readonly Read[];
  readonly error?: readonly [ReplyName, RegExp];
}

const method = (channel: number, text: string): Buffer => frame(1, channel, bytesOf(text));
const header = (channel: number, size: number, properties: string): Buffer => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(size));
  return frame(2, channel, Buffer.concat([bytesOf("003c 0000"), length, bytesOf(properties)]));
};
const body = (channel: number, text: string): Buffer => frame(3, channel, Buffer.from(text, "latin1"));
/** A table, or what else has its length in front. */
const sized = (text: string): string => {
  const inside = bytesOf(text);
  return `${inside.length.toString(16).padStart(8, "0")} ${inside.toString("hex")}`;
};
const PUBLISH = "003c0028 0000 02'ex' 03'key' 00";
const SAID = { exchange: "ex", routingKey: "key", mandatory: false, immediate: false };
const ENDS = [0xce, 0xce];

/** Methods that are written again exactly as they came. */
export const METHOD_ROWS: readonly Row[] = [
  {
    what: "a connection.start-ok with client properties",
    bytes: method(
      0,
      `000a000b ${sized("07'product' 'S' 00000004'test' 04'some' 't' 01 01'n' 'V'")} 05'PLAIN' 00000006 00'ab' 00'cd' 05'en_US'`,
    ),
    read: [
      {
        channel: 0,
        name: "connection.start-ok",
        arguments: {
          clientProperties: new Map<string, unknown>([
            ["product", "test"],
            ["some", true],
            ["n", null],
          ]),
          mechanism: "PLAIN",
          response: Buffer.from("\0ab\0cd"),
          locale: "en_US",
        },
      },
    ],
  },
  {
    what: "a connection.tune-ok",
    bytes: method(0, "000a001f 07ff 00020000 003c"),
    read: [
      { channel: 0, name: "connection.tune-ok", arguments: { channelMax: 2047, frameMax: 131072, heartbeat: 60 } },
    ],
  },
  {
    what: "a connection.open, with its reserved fields left aside",
    bytes: method(0, "000a0028 01'/' 00 00"),
    read: [{ channel: 0, name: "connection.open", arguments: { virtualHost: "/" } }],
  },
  {
    what: "a queue.declare with five bits in one byte",
    bytes: method(3, "0032000a 0000 01'q' 0a 00000000"),
    read: [
      {
        channel: 3,
        name: "queue.declare",
        arguments: {
          queue: "q",
          passive: false,
          durable: true,
          exclusive: false,
          autoDelete: true,
          noWait: false,
          arguments: new Map(),
        },
      },
    ],
  },
  {
    what: "a basic.consume with arguments of all types",
    bytes: method(
      1,
      `003c0014 0000 00 00 02 ${sized(`01't' 't' 01 01'b' 'b' ff 01'B' 'B' ff 01'U' 'U' fffe 01's' 's' fffe 01'u' 'u' fffe
       01'I' 'I' 80000000 01'i' 'i' ffffffff 01'L' 'L' ffffffffffffffff 01'l' 'l' 0000000000000005
       01'm' 'l' 0000000100000000 01'f' 'f' 3fc00000 01'd' 'd' 3ff8000000000000 01'e' 'd' 4000000000000000
       01'D' 'D' 02 000000ff 01'S' 'S' 00000001'x' 01'A' 'A' 00000007 't' 00 'I' 00000001
       01'T' 'T' 0000000065000000 01'F' 'F' 00000003 01'v' 'V' 01'V' 'V' 01'n' 'n' 01'x' 'x' 00000002 00ff`)}`,
    ),
    read: [
      {
        channel: 1,
        name: "basic.consume",
        arguments: {
          queue: "",
          consumerTag: "",
          noLocal: false,
          noAck: true,
          exclusive: false,
          noWait: false,
          arguments: new Map<string, unknown>([
            ["t", true],
            ["b", new Typed("b", -1)],
            ["B", new Typed("B", 255)],
            ["U", new Typed("U", -2)],
            ["s", new Typed("s", -2)],
            ["u", new Typed("u", 0xfffe)],
            ["I", -0x80000000],
            ["i", new Typed("i", 0xffffffff)],
            ["L", new Typed("L", -1)],
            ["l", new Typed("l", 5)],
            ["m", 0x1_0000_0000],
            ["f", new Typed("f", 1.5)],
            ["d", 1.5],
            ["e", new Typed("d", 2)],
            ["D", new Typed("D", Buffer.from([2, 0, 0, 0, 255]))],
            ["S", "x"],
            ["A", [false, 1]],
            ["T", new Typed("T", 0x65000000)],
            ["F", new Map([["v", null]])],
            ["V", null],
            ["n", new Typed("n", null)],
            ["x", Buffer.from([0, 255])],
          ]),
        },
      },
    ],
  },
  {
    what: "a basic.ack",
    bytes: method(65535, "003c0050 0000000100000002 01"),
    read: [{ channel: 65535, name: "basic.ack", arguments: { deliveryTag: 0x1_0000_0002, multiple: true } }],
  },
  {
    what: "a basic.nack with two bits",
    bytes: method(2, "003c0078 0000000000000007 02"),
    read: [{ channel: 2, name: "basic.nack", arguments: { deliveryTag: 7, multiple: false, requeue: true } }],
  },
  {
    what: "two methods on two channels",
    bytes: Buffer.concat([method(1, "005a000a"), method(2, "0055000a 01")]),
    read: [
      { channel: 1, name: "tx.select", arguments: {} },
      { channel: 2, name: "confirm.select", arguments: { noWait: true } },
    ],
  },
];

export const FRAME_ROWS: readonly Row[] = [
  { what: "a heartbeat", bytes: frame(8, 0, Buffer.alloc(0)), read: [{ heartbeat: true }] },
  {
    what: "a publish without properties or body",
    bytes: Buffer.concat([method(1, PUBLISH), header(1, 0, "0000")]),
    read: [{ channel: 1, publish: SAID, properties: {}, body: "", ends: ENDS }],
  },
  {
    what: "a publish with its body in one frame",
    bytes: Buffer.concat([
      method(7, "003c0028 0000 00 01'q' 01"),
      header(7, 5, "9000 0a'text/plain' 02"),
      body(7, "hello"),
    ]),
    read: [
      {
        channel: 7,
        publish: { exchange: "", routingKey: "q", mandatory: true, immediate: false },
        properties: { contentType: "text/plain", deliveryMode: 2 },
        body: "hello",
        ends: ENDS,
      },
    ],
  },
  {
    what: "a publish with all properties",
    bytes: Buffer.concat([
      method(7, PUBLISH),
      header(
        7,
        1,
        `fffc 02'ct' 02'ce' 00000008 01'h' 'S' 00000001'v' 02 09 03'cid' 02'rt' 03'100' 03'mid' 0000000065000000
         04'type' 04'user' 03'app' 07'cluster'`,
      ),
      body(7, "\xce"),
    ]),
    read: [
      {
        channel: 7,
        publish: SAID,
        properties: {
          contentType: "ct",
          contentEncoding: "ce",
          headers: new Map([["h", "v"]]),
          deliveryMode: 2,
          priority: 9,
          correlationId: "cid",
          replyTo: "rt",
          expiration: "100",
          messageId: "mid",
          timestamp: 0x65000000,
          type: "type",
          userId: "user",
          appId: "app",
          clusterId: "cluster",
        },
        body: "\xce",
        ends: ENDS,
      },
    ],
  },
  {
    what: "a publish with its body in three frames",
    bytes: Buffer.concat([method(1, PUBLISH), header(1, 6, "0000"), body(1, "ab"), body(1, "c"), body(1, "def")]),
    read: [{ channel: 1, publish: SAID, properties: {}, body: "abcdef", ends: ENDS }],
  },
  {
    what: "flags that go on in a second word, which says nothing",
    bytes: Buffer.concat([method(1, PUBLISH), header(1, 1, "1001 0000 02"), body(1, "x")]),
    read: [{ channel: 1, publish: SAID, properties: { deliveryMode: 2 }, body: "x", ends: ENDS }],
  },
  {
    what: "contents of two channels in each other, with a heartbeat between",
    bytes: Buffer.concat([
      method(1, PUBLISH),
      method(2, PUBLISH),
      header(2, 2, "0000"),
      frame(8, 0, Buffer.alloc(0)),
      header(1, 2, "0000"),
      body(2, "2"),
      body(1, "1"),
      body(2, "b"),
      method(3, "005a000a"),
      body(1, "a"),
    ]),
    read: [
      { heartbeat: true },
      { channel: 2, publish: SAID, properties: {}, body: "2b", ends: ENDS },
      { channel: 3, name: "tx.select", arguments: {} },
      { channel: 1, publish: SAID, properties: {}, body: "1a", ends: ENDS },
    ],
  },
  {
    what: "a frame as large as one may be, and many small ones behind it",
    bytes: Buffer.concat([
      method(1, PUBLISH),
      header(1, 5000, "0000"),
      body(1, "x".repeat(4088)),
      body(1, "y".repeat(912)),
      frame(8, 0, Buffer.alloc(0)),
    ]),
    read: [
      { channel: 1, publish: SAID, properties: {}, body: "x".repeat(4088) + "y".repeat(912), ends: ENDS },
      { heartbeat: true },
    ],
  },
];

const claim = (type: number, size: string): Buffer => bytesOf(`0${type} 0001 ${size} 00`);
const content = (properties: string): Buffer =>
  Buffer.concat([method(1, PUBLISH), header(1, 1, properties), body(1, "x")]);
const table = (text: string): string => `0032000a 0000 01'q' 00 ${sized(text)}`;
const nested = (depth: number, type: "A" | "F"): Buffer => {
  let value = bytesOf("00000000");
  const inside = bytesOf(type === "A" ? "'A'" : "01'x' 'F'");
  for (let i = 0; i < depth; i++) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(value.length + inside.length);
    value = Buffer.concat([length, inside, value]);
  }
  if (type === "F") return value;
  const whole = Buffer.concat([bytesOf("00000000 01'a' 'A'"), value]);
  whole.writeUInt32BE(whole.length - 4);
  return whole;
};

export const ERROR_ROWS: readonly Row[] = [
  {
    what: "a frame of 4 GB",
    bytes: claim(1, "ffffffff"),
    error: ["FRAME_ERROR", /4294967303 bytes; 4096 were agreed/],
  },
  { what: "a frame one byte too large", bytes: claim(3, "00000ff9"), error: ["FRAME_ERROR", /frame_max/] },
  { what: "a frame of an unknown type", bytes: frame(4, 0, Buffer.alloc(3)), error: ["FRAME_ERROR", /type 4/] },
  {
    what: "a frame that does not end as frames do",
    bytes: bytesOf("01 0001 00000004 005a000a cf"),
    error: ["FRAME_ERROR", /0xcf/],
  },
  {
    what: "a body frame that does not end as frames do",
    bytes: Buffer.concat([method(1, PUBLISH), header(1, 2, "0000"), bytesOf("03 0001 00000002 'ab' 00")]),
    error: ["FRAME_ERROR", /0x0/],
  },
  { what: "a heartbeat of a channel", bytes: frame(8, 1, Buffer.alloc(0)), error: ["FRAME_ERROR", /channel 1/] },
  { what: "a heartbeat with a payload", bytes: frame(8, 0, Buffer.alloc(2)), error: ["FRAME_ERROR", /2 bytes/] },
  { what: "a method of 3 bytes", bytes: frame(1, 1, Buffer.alloc(3)), error: ["FRAME_ERROR", /3 bytes/] },
  { what: "a method that nobody has", bytes: method(1, "003c 03e7"), error: ["COMMAND_INVALID", /60\.999/] },
  { what: "a method cut short", bytes: method(1, "0032000a 0000 05'q'"), error: ["SYNTAX_ERROR", /within its queue/] },
  { what: "a method with a rest", bytes: method(1, "005a000a 00"), error: ["SYNTAX_ERROR", /1 bytes after/] },
  { what: "a basic.ack cut short", bytes: method(1, "003c0050 0000"), error: ["SYNTAX_ERROR", /basic\.ack/] },
  { what: "a name that is not UTF-8", bytes: method(1, "0032001e 0000 01 ff 00"), error: ["SYNTAX_ERROR", /UTF-8/] },
  {
    what: "a basic.publish whose key is longer than its frame",
    bytes: Buffer.concat([method(1, "003c0028 0000 00 20'q' 00"), header(1, 0, "0000")]),
    error: ["SYNTAX_ERROR", /basic\.publish/],
  },
  {
    what: "a basic.publish with nothing in it",
    bytes: Buffer.concat([method(1, "003c0028"), header(1, 0, "0000")]),
    error: ["SYNTAX_ERROR", /basic\.publish/],
  },
  { what: "a header without a method", bytes: header(1, 0, "0000"), error: ["UNEXPECTED_FRAME", /expected a method/] },
  { what: "a body without a method", bytes: body(1, "x"), error: ["UNEXPECTED_FRAME", /expected a method/] },
  {
    what: "a body instead of a header",
    bytes: Buffer.concat([method(1, PUBLISH), body(1, "x")]),
    error: ["UNEXPECTED_FRAME", /expected a content header/],
  },
  {
    what: "a header instead of a body",
    bytes: Buffer.concat([method(1, PUBLISH), header(1, 1, "0000"), header(1, 1, "0000")]),
    error: ["UNEXPECTED_FRAME", /expected a content body/],
  },
  {
    what: "a method instead of a header",
    bytes: Buffer.concat([method(1, PUBLISH), method(1, "005a000a")]),
    error: ["UNEXPECTED_FRAME", /tx\.select/],
  },
  {
    what: "a publish instead of a body",
    bytes: Buffer.concat([method(1, PUBLISH), header(1, 1, "0000"), method(1, PUBLISH), body(1, "x")]),
    error: ["UNEXPECTED_FRAME", /expected the body/],
  },
  {
    what: "a header on another channel than its method",
    bytes: Buffer.concat([method(1, PUBLISH), header(2, 1, "0000"), body(1, "x")]),
    error: ["UNEXPECTED_FRAME", /expected a method/],
  },
  {
    what: "a body on another channel than its header",
    bytes: Buffer.concat([method(1, PUBLISH), header(1, 1, "0000"), body(2, "x")]),
    error: ["UNEXPECTED_FRAME", /expected a method/],
  },
  {
    what: "more body than the header says",
    bytes: Buffer.concat([method(1, PUBLISH), header(1, 1, "0000"), body(1, "xyz")]),
    error: ["UNEXPECTED_FRAME", /2 bytes more than the content header/],
  },
  {
    what: "an empty body frame",
    bytes: Buffer.concat([method(1, PUBLISH), header(1, 1, "0000"), body(1, "")]),
    error: ["FRAME_ERROR", /empty body frame/],
  },
  {
    what: "a header of another class",
    bytes: Buffer.concat([method(1, PUBLISH), frame(2, 1, Buffer.alloc(14))]),
    error: ["UNEXPECTED_FRAME", /class 0/],
  },
  {
    what: "a header with a weight",
    bytes: Buffer.concat([method(1, PUBLISH), frame(2, 1, bytesOf("003c 0001 0000000000000000 0000"))]),
    error: ["SYNTAX_ERROR", /weight/],
  },
  {
    what: "a header cut short",
    bytes: Buffer.concat([method(1, PUBLISH), frame(2, 1, bytesOf("003c 0000"))]),
    error: ["SYNTAX_ERROR", /4 bytes; expected 14/],
  },
  {
    what: "a body of 16 exabytes",
    bytes: Buffer.concat([method(1, PUBLISH), frame(2, 1, bytesOf("003c 0000 ffffffffffffffff 0000"))]),
    error: ["PRECONDITION_FAILED", /larger than configured max size 10000/],
  },
  { what: "a property flag that stands for nothing", bytes: content("0002"), error: ["SYNTAX_ERROR", /0x2/] },
  { what: "a second word of flags with a flag", bytes: content("0001 8000"), error: ["SYNTAX_ERROR", /0x8000/] },
  { what: "flags without end", bytes: content("0001"), error: ["SYNTAX_ERROR", /flags/] },
  { what: "properties cut short", bytes: content("8000 05'abc'"), error: ["SYNTAX_ERROR", /within its properties/] },
  { what: "an octet that is not there", bytes: content("1000"), error: ["SYNTAX_ERROR", /within its properties/] },
  {
    what: "a time that is not there",
    bytes: content("0040 00000000"),
    error: ["SYNTAX_ERROR", /within its properties/],
  },
  { what: "a rest behind the properties", bytes: content("1000 02 00"), error: ["SYNTAX_ERROR", /1 bytes behind/] },
  {
    what: "headers of 4 GB",
    bytes: content("2000 ffffffff"),
    error: ["SYNTAX_ERROR", /4294967295 bytes; 0 are left/],
  },
  { what: "a table with a value of no type", bytes: method(1, table("01'a' 'Z'")), error: ["SYNTAX_ERROR", /type Z/] },
  { what: "a table that ends in a name", bytes: method(1, table("05'a'")), error: ["SYNTAX_ERROR", /a name/] },
  { what: "a table that ends in a value", bytes: method(1, table("01'a' 'I' 00")), error: ["SYNTAX_ERROR", /a value/] },
  {
    what: "an array that claims more than its table has",
    bytes: method(1, table("01'a' 'A' 00000009 'V'")),
    error: ["SYNTAX_ERROR", /9 bytes; 1 are left/],
  },
  {
    what: "tables 400 deep in each other",
    bytes: frame(1, 1, Buffer.concat([bytesOf("0032000a 0000 01'q' 00"), nested(400, "F")])),
    error: ["SYNTAX_ERROR", /more than 64/],
  },
  {
    what: "arrays 400 deep in each other",
    bytes: frame(1, 1, Buffer.concat([bytesOf("0032000a 0000 01'q' 00"), nested(400, "A")])),
    error: ["SYNTAX_ERROR", /more than 64/],
  },
];
