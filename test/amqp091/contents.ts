import { Address } from "../../core/addresses/address.ts";
import { Message, type WireFormat } from "../../core/message.ts";
import { PROTOCOL_HEADER } from "../../protocols/amqp091/codec.ts";
import { envelopeOf, messageOf } from "../../protocols/amqp091/convert.ts";
import { writeMethod } from "../../protocols/amqp091/methods.ts";
import { type BasicProperties, encodeProperties } from "../../protocols/amqp091/properties.ts";
import { Publish } from "../../protocols/amqp091/publish.ts";
import { Output } from "../../core/output.ts";
import { Decoder } from "../../protocols/amqp091/codec.ts";
import { frame } from "./reading.ts";

/** When everything here is received. */
export const NOW = 1_700_000_000_000;
export const QUEUE: Address = new Address("queue", ["orders", "eu"]);

/** The frames of a publish, with its body in pieces of `most` bytes. */
export function publishFrames(properties: BasicProperties, body: Buffer, most = 100_000): Buffer {
  const output = new Output(1e9, () => {});
  writeMethod(output, 9, "basic.publish", { exchange: "ex", routingKey: "key", mandatory: false, immediate: false });
  const head = Buffer.alloc(12);
  head.writeUInt16BE(60);
  head.writeUInt32BE(body.length, 8);
  const frames = [...output.take(), frame(2, 9, Buffer.concat([head, encodeProperties(properties)]))];
  for (let at = 0; at < body.length; at += most) frames.push(frame(3, 9, body.subarray(at, at + most)));
  return Buffer.concat(frames);
}

function unexpected(): never {
  throw new Error("not a publish in one piece");
}

/** A publish as the decoder hands it over. */
export function published(properties: BasicProperties, body: string | Buffer = ""): Publish {
  const got: Publish[] = [];
  const sink = {
    onProtocolHeader: () => {},
    onMethod: unexpected,
    onPublish: (_channel: number, publish: Publish) => {
      got.push(publish);
    },
    onAck: unexpected,
    onHeader: unexpected,
    onBody: unexpected,
    onHeartbeat: unexpected,
  };
  const decoder = new Decoder(sink, { maxFrameBytes: 200_000, maxBodyBytes: 200_000 });
  decoder.feed(Buffer.concat([PROTOCOL_HEADER, publishFrames(properties, Buffer.from(body))]));
  // The protocol header, then the publish.
  for (let i = 0; i < 2; i++) decoder.next();
  return got[0] ?? unexpected();
}

/** A message that came by AMQP 0-9-1. */
export function stored(properties: BasicProperties, body: string | Buffer = "", address: Address = QUEUE): Message {
  const publish = published(properties, body);
  return messageOf(publish, envelopeOf(publish, address, NOW));
}

/** A message that came by a protocol of which nothing else is known. */
export function foreign(
  content: Partial<ReturnType<WireFormat["open"]>>,
  body = "",
  change: Partial<Message> = {},
): Message {
  const data = Buffer.from(`..${body}.`);
  const opened = {
    messageId: undefined,
    correlationId: undefined,
    replyTo: undefined,
    subject: undefined,
    contentType: undefined,
    contentEncoding: undefined,
    userId: undefined,
    groupId: undefined,
    groupSequence: undefined,
    bodyKind: "text" as const,
    properties: new Map(),
    ...content,
  };
  const envelope = { address: QUEUE, durable: false, priority: 4, expiresAt: 0, receivedAt: NOW, ...change };
  const format: WireFormat = { name: "foreign", structured: "value" in content, open: () => opened };
  return new Message(format, envelope, data, 0, data.length, 2, data.length - 1);
}
