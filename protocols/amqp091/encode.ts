/* The frames that go out often, each written at its place in one go. */
import { copyBytes } from "../../core/memory/bytes.ts";
import type { Output } from "../../core/output.ts";
import { writeU16, writeU32, writeU64 } from "./bytes.ts";
import { FRAME_END, FRAME_HEAD, FRAME_OVERHEAD, FRAME_TYPE } from "./frame.ts";
import { codeOf } from "./methods.ts";

const DELIVER = codeOf("basic.deliver");
const GET_OK = codeOf("basic.get-ok");
const ACK = codeOf("basic.ack");
const NACK = codeOf("basic.nack");

/** Bytes of a method before its arguments. */
const METHOD_HEAD = 4;
/** Bytes of the arguments of basic.ack and basic.nack. */
const TAG_AND_BITS = 9;

/** Writes a basic.ack: what the client sent up to here, or this, is safe. */
export function writeAck(output: Output, channel: number, deliveryTag: number, multiple: boolean): void {
  writeAnswer(output, channel, ACK, deliveryTag, multiple);
}

/** Writes a basic.nack: the broker did not take it. */
export function writeNack(output: Output, channel: number, deliveryTag: number, multiple: boolean): void {
  writeAnswer(output, channel, NACK, deliveryTag, multiple);
}

function writeAnswer(output: Output, channel: number, code: number, deliveryTag: number, multiple: boolean): void {
  const start = output.reserve(FRAME_OVERHEAD + METHOD_HEAD + TAG_AND_BITS);
  const { buffer } = output;
  let at = writeMethodHead(buffer, start, channel, code, TAG_AND_BITS);
  at = writeU64(buffer, at, deliveryTag);
  buffer[at] = multiple ? 1 : 0;
  buffer[at + 1] = FRAME_END;
  output.advance(at + 2);
}

/** Writes a heartbeat. */
export function writeHeartbeat(output: Output): void {
  const at = output.reserve(FRAME_OVERHEAD);
  const { buffer } = output;
  buffer.fill(0, at, at + FRAME_HEAD);
  buffer[at] = FRAME_TYPE.heartbeat;
  buffer[at + FRAME_HEAD] = FRAME_END;
  output.advance(at + FRAME_OVERHEAD);
}

/** Bytes of a frame with basic.deliver. `names`: exchange and routing key as short strings. */
export function deliverSize(consumerTag: Buffer, names: Buffer): number {
  return FRAME_OVERHEAD + METHOD_HEAD + consumerTag.length + TAG_AND_BITS + names.length;
}

/** Writes a frame with basic.deliver; `consumerTag` is a short string with its length. Returns where it ends. */
export function writeDeliver(
  target: Buffer,
  start: number,
  channel: number,
  consumerTag: Buffer,
  deliveryTag: number,
  redelivered: boolean,
  names: Buffer,
): number {
  const size = consumerTag.length + TAG_AND_BITS + names.length;
  let at = writeMethodHead(target, start, channel, DELIVER, size);
  at = copyBytes(consumerTag, 0, consumerTag.length, target, at);
  at = writeU64(target, at, deliveryTag);
  target[at++] = redelivered ? 1 : 0;
  at = copyBytes(names, 0, names.length, target, at);
  target[at] = FRAME_END;
  return at + 1;
}

/** Bytes of a frame with basic.get-ok. */
export function getOkSize(names: Buffer): number {
  return FRAME_OVERHEAD + METHOD_HEAD + TAG_AND_BITS + names.length + 4;
}

/** Writes a frame with basic.get-ok; `left` messages are still in the queue. Returns where it ends. */
export function writeGetOk(
  target: Buffer,
  start: number,
  channel: number,
  deliveryTag: number,
  redelivered: boolean,
  names: Buffer,
  left: number,
): number {
  let at = writeMethodHead(target, start, channel, GET_OK, TAG_AND_BITS + names.length + 4);
  at = writeU64(target, at, deliveryTag);
  target[at++] = redelivered ? 1 : 0;
  at = copyBytes(names, 0, names.length, target, at);
  at = writeU32(target, at, left);
  target[at] = FRAME_END;
  return at + 1;
}

function writeMethodHead(target: Buffer, at: number, channel: number, code: number, argumentBytes: number): number {
  target[at] = FRAME_TYPE.method;
  writeU16(target, at + 1, channel);
  writeU32(target, at + 3, argumentBytes + METHOD_HEAD);
  return writeU32(target, at + FRAME_HEAD, code);
}
