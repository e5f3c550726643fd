import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import type { Message } from "../../core/message.ts";
import { Output } from "../../core/output.ts";
import { PROTOCOL_HEADER } from "../../protocols/amqp091/codec.ts";
import { envelopeOf, messageOf } from "../../protocols/amqp091/convert.ts";
import { DeliveryWriter, SharedWire } from "../../protocols/amqp091/delivery-writer.ts";
import { writeAck, writeHeartbeat, writeNack } from "../../protocols/amqp091/encode.ts";
import { decodeMethod } from "../../protocols/amqp091/methods.ts";
import { type BasicProperties, decodeProperties } from "../../protocols/amqp091/properties.ts";
import { Assembly } from "../../protocols/amqp091/publish.ts";
import { foreign, NOW, publishFrames, QUEUE, stored } from "./contents.ts";
import { bytesOf, pieces, Reading } from "./reading.ts";

const TAG = bytesOf("03'tag'");

interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

function framesOf(output: Output): Frame[] {
  const bytes = Buffer.concat(output.take());
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 7 + bytes.readUInt32BE(at + 3);
    expect(bytes[end]).toBe(0xce);
    frames.push({ type: bytes[at] ?? 0, channel: bytes.readUInt16BE(at + 1), payload: bytes.subarray(at + 7, end) });
    at = end + 1;
  }
  return frames;
}

/** What a client makes of the frames of one delivery, and of how many body frames. */
function delivered(frames: readonly Frame[]): {
  method: unknown;
  properties: BasicProperties;
  body: Buffer;
  bodies: number[];
} {
  const [method, header, ...bodies] = frames;
  if (method === undefined || header === undefined) throw new Error("not a delivery");
  expect([method.type, header.type, ...bodies.map((each) => each.type)]).toEqual([1, 2, ...bodies.map(() => 3)]);
  expect(new Set(frames.map((each) => each.channel)).size).toBe(1);
  const body = Buffer.concat(bodies.map((each) => each.payload));
  expect(header.payload.readBigUInt64BE(4)).toBe(BigInt(body.length));
  expect(header.payload.subarray(0, 4).toString("hex")).toBe("003c0000");
  return {
    method: decodeMethod(method.payload.readUInt32BE(0), method.payload, 4, method.payload.length),
    properties: decodeProperties(header.payload, 12, header.payload.length),
    body,
    bodies: bodies.map((each) => each.payload.length),
  };
}

class Consumer {
  readonly output: Output = new Output(1e9, () => {});
  readonly writer: DeliveryWriter;

  constructor(wire = new SharedWire(), maxFrameBytes = 131_072) {
    this.writer = new DeliveryWriter(this.output, wire, maxFrameBytes, () => NOW);
  }

  receive(message: Message, channel = 5): ReturnType<typeof delivered> {
    this.writer.deliver(channel, TAG, 2 ** 40 + 1, true, message);
    return delivered(framesOf(this.output));
  }
}

/** A message whose body came in frames of 1000 bytes, cut anywhere. */
function pieced(body: Buffer): Message {
  const frames = publishFrames({ deliveryMode: 2 }, body, 1000);
  const assembly = new Assembly();
  const reading = new Reading();
  reading.onBody = (_channel, data, start, end, left) => {
    assembly.body(data, start, end, left);
  };
  reading.onHeader = (_channel, data, start, end) => {
    assembly.header(data, start, end, 1e6);
  };
  reading.onMethod = (_channel, _code, data, start, end) => {
    assembly.begin(data, start, end);
  };
  // No chunk has a publish in one piece.
  for (const chunk of pieces(Buffer.concat([PROTOCOL_HEADER, frames]), 20)) reading.feed(chunk);
  expect(assembly.publish.detached).toBe(true);
  return messageOf(assembly.publish, envelopeOf(assembly.publish, QUEUE, NOW));
}

describe("a delivery", () => {
  it("has tag, address, properties and body, on the consumer's channel", () => {
    const got = new Consumer().receive(stored({ messageId: "m", appId: "kept", deliveryMode: 2 }, "hello"), 300);
    expect(got.method).toEqual({
      name: "basic.deliver",
      arguments: {
        consumerTag: "tag",
        deliveryTag: 2 ** 40 + 1,
        redelivered: true,
        exchange: "",
        routingKey: "orders.eu",
      },
    });
    expect(got.properties).toMatchObject({ messageId: "m", appId: "kept", deliveryMode: 2 });
    expect(got.body.toString()).toBe("hello");
  });

  it.each([
    ["topic", new Address("topic", ["a", "b"]), "amq.topic", "a.b"],
    ["exchange", new Address("exchange", ["ex", "k.k"]), "ex", "k.k"],
    ["queue of a long name", new Address("queue", ["ä".repeat(200)]), "", "ä".repeat(127)],
  ])("of a %s says so", (_kind, address, exchange, routingKey) => {
    expect(new Consumer().receive(stored({}, "x", address)).method).toMatchObject({
      arguments: { exchange, routingKey },
    });
  });

  it.each([0, 1, 200, 16_300, 16_384, 20_000, 131_064, 131_065, 400_000])("of %d bytes comes whole", (size) => {
    const body = Buffer.alloc(size, "0123456789");
    for (const message of [pieced(body), foreign({}, body.toString())]) {
      const got = new Consumer().receive(message);
      expect(got.body.equals(body)).toBe(true);
      expect(got.bodies.every((bytes) => bytes > 0 && bytes <= 131_064)).toBe(true);
      expect(got.bodies.length).toBe(Math.ceil(size / 131_064));
    }
  });

  it("is cut into frames as small as a client wants", () => {
    const body = Buffer.alloc(10_000, "abc");
    const got = new Consumer(new SharedWire(), 4096).receive(stored({ type: "t" }, body));
    expect(got.bodies).toEqual([4088, 4088, 1824]);
    expect([got.body.equals(body), got.properties.type]).toEqual([true, "t"]);
  });

  it("leaves the kept message as it was", () => {
    const message = stored({ type: "t" }, "hello");
    const before = message.data.toString("hex", message.start, message.end);
    const consumer = new Consumer();
    consumer.receive(message, 1);
    consumer.receive(message, 2);
    expect(message.data.toString("hex", message.start, message.end)).toBe(before);
  });

  it("can be read again by a broker, which keeps the same", () => {
    const consumer = new Consumer();
    const message = stored({ type: "t", headers: new Map([["k", 1]]) }, "hello");
    const { properties, body } = consumer.receive(message);
    const again = stored(properties, body);
    expect(again.data.toString("hex", again.start, again.end)).toBe(
      message.data.toString("hex", message.start, message.end),
    );
  });

  it("of another protocol's message is encoded once for all when many get it", () => {
    const wire = new SharedWire();
    const message = foreign({ messageId: "m" }, "hello");
    message.shared = true;
    const first = new Consumer(wire).receive(message, 1);
    const { wire: frame } = message;
    const second = new Consumer(wire).receive(message, 2);
    expect([second.properties, second.body.toString()]).toEqual([first.properties, "hello"]);
    expect(message.wire).toBe(frame);
    expect(message.wireKey).toBe(wire.form);
  });

  it("of a structured body is JSON", () => {
    const got = new Consumer().receive(foreign({ bodyKind: "map", value: new Map([["a", 1]]) }, "binary"));
    expect([got.body.toString(), got.properties.contentType]).toEqual(['{"a":1}', "application/json"]);
  });

  it("to basic.get says how many are left", () => {
    const consumer = new Consumer();
    consumer.writer.getOk(4, 9, false, 77, stored({}, "hello"));
    const got = delivered(framesOf(consumer.output));
    expect(got.method).toEqual({
      name: "basic.get-ok",
      arguments: { deliveryTag: 9, redelivered: false, exchange: "", routingKey: "orders.eu", messageCount: 77 },
    });
    expect(got.body.toString()).toBe("hello");
  });

  it("back to the sender says why", () => {
    const consumer = new Consumer();
    consumer.writer.return(
      4,
      312,
      "NO_ROUTE",
      stored({ messageId: "m" }, "hello", new Address("exchange", ["ex", "k"])),
    );
    const got = delivered(framesOf(consumer.output));
    expect(got.method).toEqual({
      name: "basic.return",
      arguments: { replyCode: 312, replyText: "NO_ROUTE", exchange: "ex", routingKey: "k" },
    });
    expect([got.properties.messageId, got.body.toString()]).toEqual(["m", "hello"]);
  });
});

describe("what else goes out often", () => {
  it("is basic.ack, basic.nack and heartbeats", () => {
    const output = new Output(1e6, () => {});
    writeAck(output, 1, 2 ** 33, true);
    writeNack(output, 65_535, 3, false);
    writeHeartbeat(output);
    expect(Buffer.concat(output.take()).toString("hex")).toBe(
      bytesOf(
        "01 0001 0000000d 003c0050 0000000200000000 01 ce 01 ffff 0000000d 003c0078 0000000000000003 00 ce 08 0000 00000000 ce",
      ).toString("hex"),
    );
  });
});
