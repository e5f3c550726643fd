import type { Output } from "../../core/output.ts";
import { copyBytes } from "../../core/memory/bytes.ts";
import { ABSENT, type FlowFields } from "./frame.ts";
import type { Payload } from "./payload.ts";
import {
  ACCEPTED,
  type DeliveryState,
  encodeComposite,
  type Performative,
  RELEASED,
  type Said,
} from "./performatives.ts";
import { CODE } from "./values.ts";

const HEADER_BYTES = 8;
/** Bytes of a TRANSFER, DISPOSITION or FLOW at most, without state and payload: 8 of the frame, 6 of the list, 5 a field. */
const MOST_HEAD = 80;
const FLOW = 0x13;
const TRANSFER = 0x14;
const DISPOSITION = 0x15;
const ACCEPTED_CODE = 0x24;
const RELEASED_CODE = 0x26;
/** From this size on the stored bytes of a message are written by reference. */
const LARGE = 16 * 1024;

/** What a peer sends before the frames (amqp10 2.2): `AMQP`, then 0 for AMQP or 3 for SASL, then 1 0 0. */
export function encodeHeader(protocolId: 0 | 3): Buffer {
  return Buffer.from([0x41, 0x4d, 0x51, 0x50, protocolId, 1, 0, 0]);
}

/** A frame of one of the performatives that are not frequent. */
export function encodeFrame(channel: number, performative: Said<Performative>): Buffer {
  const body = encodeComposite<Performative>(performative);
  const head = Buffer.alloc(HEADER_BYTES);
  writeU32(head, 0, HEADER_BYTES + body.length);
  writeFrameHead(head, 0, channel, performative.type.startsWith("sasl-") ? 1 : 0);
  return Buffer.concat([head, body]);
}

/** Writes such a frame. */
export function writeFrame(output: Output, channel: number, performative: Said<Performative>): void {
  const bytes = encodeFrame(channel, performative);
  const at = output.reserve(bytes.length);
  bytes.copy(output.buffer, at);
  output.advance(at + bytes.length);
}

/** Writes a frame without a body, which says that this side is there (amqp10 2.4.5). */
export function writeEmpty(output: Output): void {
  const at = output.reserve(HEADER_BYTES);
  writeU32(output.buffer, at, HEADER_BYTES);
  writeFrameHead(output.buffer, at, 0);
  output.advance(at + HEADER_BYTES);
}

/** A TRANSFER to be written; used again for the next one. */
export class OutgoingTransfer {
  channel = 0;
  handle = 0;
  deliveryId = 0;
  /** The delivery tag: four bytes of this number. */
  tag = 0;
  messageFormat = 0;
  settled = false;
  resume = false;
  aborted = false;
}

/**
 * Writes one frame of a delivery with the bytes of its payload from `from` on, as many as fit; returns where they end in the
 * payload. When that is before `payload.length` more frames have to follow, and this one says so (amqp10 2.7.5 more).
 */
export function writeTransfer(
  output: Output,
  transfer: OutgoingTransfer,
  payload: Payload,
  from: number,
  maxFrameBytes: number,
): number {
  const left = payload.length - from;
  // What it takes is known well enough: a frame may be a few bytes shorter than it could be.
  const room = Math.max(1, maxFrameBytes - MOST_HEAD);
  const bytes = left <= room ? left : room;
  const end = from + bytes;
  const { headEnd, middle, middleStart } = payload;
  const tailFrom = headEnd + payload.middleEnd - middleStart;
  const own = Math.max(0, Math.min(end, tailFrom) - from);
  const byReference = bytes - own >= LARGE;
  const start = output.reserve(MOST_HEAD + (byReference ? own : bytes));
  const { buffer } = output;
  let at = writeTransferHead(buffer, start, transfer, from > 0, bytes < left);
  writeU32(buffer, start, at - start + bytes);
  if (from < headEnd) at = copyBytes(payload.head, from, Math.min(end, headEnd), buffer, at);
  if (from < tailFrom && end > headEnd) {
    const by = middleStart - headEnd;
    at = copyBytes(middle, Math.max(from, headEnd) + by, Math.min(end, tailFrom) + by, buffer, at);
  }
  const tailStart = end - (bytes - own) - tailFrom + payload.tailStart;
  const tailEnd = end - tailFrom + payload.tailStart;
  if (!byReference && tailStart < tailEnd) at = copyBytes(payload.tail, tailStart, tailEnd, buffer, at);
  output.advance(at);
  if (byReference) output.append(payload.tail, tailStart, tailEnd);
  return end;
}

function writeTransferHead(
  target: Buffer,
  start: number,
  transfer: OutgoingTransfer,
  continues: boolean,
  more: boolean,
): number {
  const list = writeListHead(target, start, transfer.channel, TRANSFER);
  let at = writeUint(target, list, transfer.handle);
  at = writeUint(target, at, transfer.deliveryId);
  let count = 6;
  if (continues) {
    // amqp10 2.7.5: tag and format are only of the first frame of a delivery; what it says of settled stands.
    target[at] = target[at + 1] = target[at + 2] = CODE.null;
    at += 3;
  } else {
    target[at] = CODE.binary8;
    target[at + 1] = 4;
    writeU32(target, at + 2, transfer.tag);
    at = writeUint(target, at + 6, transfer.messageFormat);
    target[at++] = transfer.settled ? CODE.true : CODE.false;
  }
  target[at++] = more ? CODE.true : CODE.false;
  if (transfer.resume || transfer.aborted) {
    target[at] = target[at + 1] = CODE.null;
    target[at + 2] = transfer.resume ? CODE.true : CODE.false;
    target[at + 3] = transfer.aborted ? CODE.true : CODE.false;
    at += 4;
    count = 10;
  }
  writeListSize(target, list, at, count);
  return at;
}

/** Writes a DISPOSITION of the deliveries `first` to `last`. `role`: true when the deliveries came from the peer. */
export function writeDisposition(
  output: Output,
  channel: number,
  role: boolean,
  first: number,
  last: number,
  settled: boolean,
  state: DeliveryState | undefined,
): void {
  const simple = state === undefined || state === ACCEPTED || state === RELEASED;
  const bytes = simple ? NO_BYTES : encodeComposite<DeliveryState>(state);
  const start = output.reserve(MOST_HEAD + bytes.length);
  const { buffer } = output;
  const list = writeListHead(buffer, start, channel, DISPOSITION);
  buffer[list] = role ? CODE.true : CODE.false;
  let at = writeUint(buffer, list + 1, first);
  if (last === first) buffer[at++] = CODE.null;
  else at = writeUint(buffer, at, last);
  buffer[at++] = settled ? CODE.true : CODE.false;
  if (!simple) {
    at += bytes.copy(buffer, at);
  } else if (state !== undefined) {
    buffer[at] = CODE.described;
    buffer[at + 1] = CODE.smallUlong;
    buffer[at + 2] = state === ACCEPTED ? ACCEPTED_CODE : RELEASED_CODE;
    buffer[at + 3] = CODE.list0;
    at += 4;
  }
  at = endList(buffer, list, at, state === undefined ? 4 : 5);
  writeU32(buffer, start, at - start);
  output.advance(at);
}

/** Writes a FLOW; fields that are `ABSENT` are left out. */
export function writeFlow(output: Output, channel: number, flow: FlowFields): void {
  const start = output.reserve(MOST_HEAD);
  const { buffer } = output;
  const list = writeListHead(buffer, start, channel, FLOW);
  let at = writeUint(buffer, list, flow.nextIncomingId);
  at = writeUint(buffer, at, flow.incomingWindow);
  at = writeUint(buffer, at, flow.nextOutgoingId);
  at = writeUint(buffer, at, flow.outgoingWindow);
  let count = 4;
  if (flow.handle !== ABSENT || flow.echo) {
    at = writeUint(buffer, at, flow.handle);
    at = writeUint(buffer, at, flow.deliveryCount);
    at = writeUint(buffer, at, flow.linkCredit);
    at = writeUint(buffer, at, flow.available);
    buffer[at] = flow.drain ? CODE.true : CODE.false;
    buffer[at + 1] = flow.echo ? CODE.true : CODE.false;
    at += 2;
    count = 10;
  }
  writeListSize(buffer, list, at, count);
  writeU32(buffer, start, at - start);
  output.advance(at);
}

const NO_BYTES: Buffer = Buffer.alloc(0);

/** Data offset, type and channel, behind the size of a frame (amqp10 2.3.1). */
function writeFrameHead(target: Buffer, start: number, channel: number, type = 0): void {
  target[start + 4] = 2;
  target[start + 5] = type;
  target[start + 6] = channel >>> 8;
  target[start + 7] = channel;
}

/** The head of a frame with a list that has a descriptor; returns where the first field goes. */
function writeListHead(target: Buffer, start: number, channel: number, code: number): number {
  writeFrameHead(target, start, channel);
  const at = start + HEADER_BYTES;
  target[at] = CODE.described;
  target[at + 1] = CODE.smallUlong;
  target[at + 2] = code;
  target[at + 3] = CODE.list8;
  return at + 6;
}

/** Says the size of a list, in one byte: without a state it is always short. */
function writeListSize(target: Buffer, list: number, end: number, count: number): void {
  target[list - 2] = end - list + 1;
  target[list - 1] = count;
}

/** The same for a list that may be long; returns where it ends then. */
function endList(target: Buffer, list: number, end: number, count: number): number {
  if (end - list < 0xff) {
    writeListSize(target, list, end, count);
    return end;
  }
  target.copyWithin(list + 6, list, end);
  target[list - 3] = CODE.list32;
  writeU32(target, list - 2, end - list + 4);
  writeU32(target, list + 2, count);
  return end + 6;
}

/** A uint in as few bytes as it needs, or null. */
function writeUint(target: Buffer, at: number, value: number): number {
  if (value === ABSENT) {
    target[at] = CODE.null;
    return at + 1;
  }
  if (value === 0) {
    target[at] = CODE.uint0;
    return at + 1;
  }
  if (value < 0x100) {
    target[at] = CODE.smallUint;
    target[at + 1] = value;
    return at + 2;
  }
  target[at] = CODE.uint;
  writeU32(target, at + 1, value);
  return at + 5;
}

function writeU32(target: Buffer, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}
