/*
 * Messages to deliveries. A message that came by 0-9-1 is kept as the frames it came in (`publish.ts`): they go out as they
 * are, behind a basic.deliver, with the consumer's channel in their heads; a large body by reference. Everything else is
 * brought into the same form first; once for all consumers where many get the same.
 */
import type { Address } from "../../core/addresses/address.ts";
import { copyBytes } from "../../core/memory/bytes.ts";
import type { Message } from "../../core/message.ts";
import type { Output } from "../../core/output.ts";
import { encodeNames } from "./address.ts";
import { writeU16, writeU32, writeU64 } from "./bytes.ts";
import { amqp091Format } from "./convert.ts";
import { deliverSize, getOkSize, writeDeliver, writeGetOk } from "./encode.ts";
import { BASIC_CLASS, CONTENT_HEAD, FRAME_END, FRAME_HEAD, FRAME_OVERHEAD, FRAME_TYPE } from "./frame.ts";
import { writeMethod } from "./methods.ts";
import { outgoingProperties } from "./outgoing.ts";
import { encodeProperties } from "./properties.ts";
import { propertiesEnd, writeHead } from "./publish.ts";

/** From this size on a body is written by reference. */
const LARGE = 16 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

/** What the sessions of one adapter share: encodings that several of them send, and names as they are spelled. */
export class SharedWire {
  /** Stands for header frames that are the same for all consumers. */
  readonly form: object = {};
  readonly #names = new WeakMap<Address, Buffer>();

  /** Exchange and routing key of an address, as two short strings. */
  names(address: Address): Buffer {
    let names = this.#names.get(address);
    if (names === undefined) {
      names = encodeNames(address);
      this.#names.set(address, names);
    }
    return names;
  }
}

/** Writes deliveries to one connection. */
export class DeliveryWriter {
  readonly #output: Output;
  readonly #wire: SharedWire;
  readonly #now: () => number;
  /** Most bytes of a body frame's payload. */
  readonly #mostPayload: number;
  #address: Address | undefined = undefined;
  #names: Buffer = EMPTY;

  /** `maxFrameBytes`: of whole frames, as agreed by tune-ok. */
  constructor(output: Output, wire: SharedWire, maxFrameBytes: number, now: () => number) {
    this.#output = output;
    this.#wire = wire;
    this.#now = now;
    this.#mostPayload = maxFrameBytes - FRAME_OVERHEAD;
  }

  /** A basic.deliver with its content; `consumerTag` is a short string with its length. */
  deliver(channel: number, consumerTag: Buffer, deliveryTag: number, redelivered: boolean, message: Message): void {
    const names = this.#namesOf(message);
    const size = deliverSize(consumerTag, names);
    const at = this.#reserve(size, message);
    const to = writeDeliver(this.#output.buffer, at, channel, consumerTag, deliveryTag, redelivered, names);
    this.#content(channel, to, message);
  }

  /** A basic.get-ok with its content; `left` messages are still in the queue. */
  getOk(channel: number, deliveryTag: number, redelivered: boolean, left: number, message: Message): void {
    const names = this.#namesOf(message);
    const at = this.#reserve(getOkSize(names), message);
    const to = writeGetOk(this.#output.buffer, at, channel, deliveryTag, redelivered, names, left);
    this.#content(channel, to, message);
  }

  /** A basic.return with its content. */
  return(channel: number, replyCode: number, replyText: string, message: Message): void {
    const names = this.#namesOf(message);
    const exchangeEnd = 1 + (names[0] ?? 0);
    writeMethod(this.#output, channel, "basic.return", {
      replyCode,
      replyText,
      exchange: names.toString("utf8", 1, exchangeEnd),
      routingKey: names.toString("utf8", exchangeEnd + 1),
    });
    this.#content(channel, this.#reserve(0, message), message);
  }

  #namesOf({ address }: Message): Buffer {
    // Most deliveries are of the same address as the one before.
    if (address !== this.#address) {
      this.#address = address;
      this.#names = this.#wire.names(address);
    }
    return this.#names;
  }

  /** Whether what is kept can go out as it is, in two frames. */
  #passes(message: Message): boolean {
    return (
      message.format === amqp091Format &&
      message.annotationBytes === undefined &&
      message.bodyEnd - message.bodyStart <= this.#mostPayload
    );
  }

  /** Makes room for a method of so many bytes and, where it is copied whole, for the content behind it. */
  #reserve(methodBytes: number, message: Message): number {
    const whole = this.#passes(message) && message.end - message.start < LARGE;
    return this.#output.reserve(whole ? methodBytes + message.end - message.start : methodBytes);
  }

  /** The content, behind a method that ends at `at` and is not yet advanced over. */
  #content(channel: number, at: number, message: Message): void {
    const output = this.#output;
    if (!this.#passes(message)) {
      output.advance(at);
      this.#converted(channel, message);
      return;
    }
    const { data, start, bodyStart, bodyEnd, end } = message;
    if (end - start < LARGE) {
      const { buffer } = output;
      const to = copyBytes(data, start, end, buffer, at);
      writeU16(buffer, at + 1, channel);
      if (bodyStart < bodyEnd) writeU16(buffer, at + bodyStart - start - FRAME_HEAD + 1, channel);
      output.advance(to);
      return;
    }
    output.advance(at);
    this.#header(channel, data, start, propertiesEnd(message) + 1);
    this.#body(channel, data, bodyStart, bodyEnd);
  }

  /** A message of another protocol, with annotations, or with a body that needs several frames. */
  #converted(channel: number, given: Message): void {
    const message = given.flat;
    if (message.format === amqp091Format && message.annotationBytes === undefined) {
      this.#header(channel, message.data, message.start, propertiesEnd(message) + 1);
    } else if (message.shared) {
      if (message.wireKey !== this.#wire.form || message.wire === undefined) {
        const frame = this.#headerFrame(message);
        message.wireKey = this.#wire.form;
        message.wire = frame;
        message.wireStart = 0;
        message.wireEnd = frame.length;
      }
      this.#header(channel, message.wire, message.wireStart, message.wireEnd);
    } else {
      const frame = this.#headerFrame(message);
      this.#header(channel, frame, 0, frame.length);
    }
    this.#body(channel, message.data, message.bodyStart, message.bodyEnd);
  }

  #headerFrame(message: Message): Buffer {
    const properties = encodeProperties(outgoingProperties(message, this.#now()));
    const payloadBytes = CONTENT_HEAD + properties.length;
    const frame = Buffer.allocUnsafe(payloadBytes + FRAME_OVERHEAD);
    let at = writeHead(frame, 0, FRAME_TYPE.header, payloadBytes);
    at = writeU32(frame, at, BASIC_CLASS << 16);
    at = writeU64(frame, at, message.bodyEnd - message.bodyStart);
    at += properties.copy(frame, at);
    frame[at] = FRAME_END;
    return frame;
  }

  /** A whole header frame, with another channel. */
  #header(channel: number, data: Buffer, start: number, end: number): void {
    const output = this.#output;
    const at = output.reserve(end - start);
    const to = copyBytes(data, start, end, output.buffer, at);
    writeU16(output.buffer, at + 1, channel);
    output.advance(to);
  }

  /** A body in as many frames as it takes; none if there is none. */
  #body(channel: number, data: Buffer, start: number, end: number): void {
    const output = this.#output;
    for (let from = start; from < end; from += this.#mostPayload) {
      const to = Math.min(end, from + this.#mostPayload);
      const bytes = to - from;
      const byReference = bytes >= LARGE;
      const at = output.reserve(byReference ? FRAME_HEAD : bytes + FRAME_OVERHEAD);
      let next = writeHead(output.buffer, at, FRAME_TYPE.body, bytes);
      writeU16(output.buffer, at + 1, channel);
      if (byReference) {
        output.advance(next);
        output.append(data, from, to);
        next = output.reserve(1);
      } else {
        next = copyBytes(data, from, to, output.buffer, next);
      }
      output.buffer[next] = FRAME_END;
      output.advance(next + 1);
    }
  }
}
