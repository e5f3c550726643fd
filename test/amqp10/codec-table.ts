import type { Composite, Said } from "../../protocols/amqp10/performatives.ts";
import type { Read } from "./reading.ts";

/** A frame's body as `bytesOf` has it, and what it is: read, to be written the same way, or an error. */
export interface Row {
  readonly what: string;
  readonly body: string;
  readonly channel?: number;
  readonly sasl?: boolean;
  readonly read?: Read;
  /** What is written as just these bytes; absent where the bytes are not the shortest that there are. */
  readonly said?: Said<Composite>;
  readonly error?: readonly [string, RegExp];
}

const DECODE = "amqp:decode-error";
const FRAMING = "amqp:connection:framing-error";

export const PERFORMATIVE_ROWS: readonly Row[] = [
  {
    what: "an OPEN with a container-id alone, whose other fields have defaults amqp10 2.7.1",
    body: "00 53 10 c0[01 a1 01'c']",
    read: { type: "open", containerId: "c", maxFrameSize: 0xffff_ffff, channelMax: 0xffff },
    said: { type: "open", containerId: "c" },
  },
  {
    what: "an OPEN with one symbol where many may be amqp10 1.4",
    body: "00 53 10 c0[08 a1 01'c' a1 01'h' 70 00001000 60 000a 43 40 40 a3 01'x']",
    read: {
      type: "open",
      containerId: "c",
      hostname: "h",
      maxFrameSize: 4096,
      channelMax: 10,
      idleTimeOut: 0,
      offeredCapabilities: ["x"],
    },
  },
  {
    what: "an OPEN in wide forms, with an array of symbols",
    body:
      "00 80 0000000000000010 d0{00000009 b1 00000001'c' 40 40 40 40 40 40 40 " +
      "f0{00000002 b3 00000003'foo' 00000006'barbar'}}",
    read: {
      type: "open",
      containerId: "c",
      maxFrameSize: 0xffff_ffff,
      channelMax: 0xffff,
      desiredCapabilities: ["foo", "barbar"],
    },
  },
  {
    what: "a BEGIN on a channel",
    body: "00 53 11 c0[04 60 0003 43 52 64 52 c8]",
    channel: 300,
    read: {
      type: "begin",
      channel: 300,
      remoteChannel: 3,
      nextOutgoingId: 0,
      incomingWindow: 100,
      outgoingWindow: 200,
      handleMax: 0xffff_ffff,
    },
    said: { type: "begin", remoteChannel: 3, nextOutgoingId: 0, incomingWindow: 100, outgoingWindow: 200 },
  },
  {
    what: "an ATTACH with source and target",
    body: "00 53 12 c0[07 a1 01'l' 43 41 40 40 00 53 28 c0[01 a1 01'q'] 00 53 29 c0[01 a1 01'q']]",
    read: {
      type: "attach",
      name: "l",
      handle: 0,
      role: true,
      sndSettleMode: 2,
      rcvSettleMode: 0,
      source: { type: "source", address: "q", durable: 0, expiryPolicy: "session-end", timeout: 0 },
      target: { type: "target", address: "q", durable: 0, expiryPolicy: "session-end", timeout: 0 },
    },
    said: {
      type: "attach",
      name: "l",
      handle: 0,
      role: true,
      source: { type: "source", address: "q" },
      target: { type: "target", address: "q" },
    },
  },
  {
    what: "an ATTACH to a coordinator",
    body: "00 53 12 c0[07 a1 01'l' 43 42 40 40 40 00 53 30 c0[01 a3 06'amqp:x']]",
    read: {
      type: "attach",
      name: "l",
      handle: 0,
      sndSettleMode: 2,
      rcvSettleMode: 0,
      target: { type: "coordinator", capabilities: ["amqp:x"] },
    },
  },
  {
    what: "a DETACH with an error",
    body: "00 53 16 c0[03 43 41 00 53 1d c0[02 a3 06'amqp:x' a1 01'd']]",
    read: { type: "detach", handle: 0, closed: true, error: { type: "error", condition: "amqp:x", description: "d" } },
    said: { type: "detach", handle: 0, closed: true, error: { type: "error", condition: "amqp:x", description: "d" } },
  },
  { what: "an END of no fields", body: "00 53 17 45", read: { type: "end" }, said: { type: "end" } },
  {
    what: "a CLOSE that is described by its name",
    body: "00 a3 0f'amqp:close:list' c0[00]",
    read: { type: "close" },
  },
];

export const SASL_ROWS: readonly Row[] = [
  {
    what: "SASL mechanisms",
    body: "00 53 40 c0[01 e0[02 a3 05'PLAIN' 09'ANONYMOUS']]",
    sasl: true,
    read: { sasl: true, type: "sasl-mechanisms", mechanisms: ["PLAIN", "ANONYMOUS"] },
    said: { type: "sasl-mechanisms", mechanisms: ["PLAIN", "ANONYMOUS"] },
  },
  {
    what: "a SASL init with a response",
    body: "00 53 41 c0[02 a3 05'PLAIN' a0 03 00 61 62]",
    sasl: true,
    read: { sasl: true, type: "sasl-init", mechanism: "PLAIN", initialResponse: "\0ab" },
    said: { type: "sasl-init", mechanism: "PLAIN", initialResponse: Buffer.from("\0ab") },
  },
  {
    what: "a SASL outcome, in a frame whose channel means nothing amqp10 5.3.1",
    body: "00 53 44 c0[01 50 01]",
    channel: 7,
    sasl: true,
    read: { sasl: true, type: "sasl-outcome", code: 1 },
  },
];

const TRANSFER = { type: "transfer", handle: 1 };

export const FREQUENT_ROWS: readonly Row[] = [
  {
    what: "a TRANSFER with a payload",
    body: "00 53 14 c0[05 52 01 52 07 a0 02'ab' 43 41] 'payload'",
    channel: 1,
    read: { ...TRANSFER, channel: 1, deliveryId: 7, tag: "ab", messageFormat: 0, settled: true, payload: "payload" },
  },
  {
    what: "a TRANSFER that goes on, with fields left out at the end amqp10 2.7.5",
    body: "00 53 14 c0[01 52 01] 'x'",
    read: { ...TRANSFER, payload: "x" },
  },
  {
    what: "a TRANSFER in wide forms, described by its name",
    body:
      "00 a3 12'amqp:transfer:list' d0{0000000b 70 00000001 70 00000007 b0 00000002'ab' 70 00000005 " +
      "56 01 56 01 50 01 00 80 0000000000000024 c0[00] 42 56 00 41}",
    read: {
      ...TRANSFER,
      deliveryId: 7,
      tag: "ab",
      messageFormat: 5,
      settled: true,
      more: true,
      rcvSettleMode: 1,
      state: { type: "accepted" },
      batchable: true,
    },
  },
  {
    what: "a TRANSFER in a transaction",
    body: "00 53 14 c0[08 52 01 43 a0 01'a' 43 42 42 40 00 53 34 c0[01 a0 01'T']]",
    read: {
      ...TRANSFER,
      deliveryId: 0,
      tag: "a",
      messageFormat: 0,
      state: { type: "transactional-state", txnId: "T" },
    },
  },
  {
    what: "a TRANSFER that is resumed and aborted",
    body: "00 53 14 c0[0a 52 01 43 40 40 40 42 40 40 41 41]",
    read: { ...TRANSFER, deliveryId: 0, resume: true, aborted: true },
  },
  {
    what: "a DISPOSITION of one delivery",
    body: "00 53 15 c0[05 41 43 40 41 00 53 24 45]",
    read: { type: "disposition", role: true, first: 0, last: 0, settled: true, state: { type: "accepted" } },
  },
  {
    what: "a DISPOSITION of several, rejected with an error",
    body: "00 53 15 c0[05 41 52 02 70 00010000 41 00 53 25 c0[01 00 53 1d c0[01 a3 03'a:x']]]",
    read: {
      type: "disposition",
      role: true,
      first: 2,
      last: 65_536,
      settled: true,
      state: { type: "rejected", error: { type: "error", condition: "a:x" } },
    },
  },
  {
    what: "a DISPOSITION with modified",
    body: "00 53 15 c0[05 41 52 02 40 41 00 53 27 c0[02 41 41]]",
    read: {
      type: "disposition",
      role: true,
      first: 2,
      last: 2,
      settled: true,
      state: { type: "modified", deliveryFailed: true, undeliverableHere: true },
    },
  },
  {
    what: "a FLOW of a session",
    body: "00 53 13 c0[04 40 52 05 43 43]",
    read: { type: "flow", incomingWindow: 5, nextOutgoingId: 0, outgoingWindow: 0 },
  },
  {
    what: "a FLOW of a link, with properties that nobody looks at",
    body: "00 53 13 c0[0b 43 52 05 43 43 52 01 70 00000100 52 0a 43 41 41 c1[02 a3 01'x' 43]]",
    read: {
      type: "flow",
      nextIncomingId: 0,
      incomingWindow: 5,
      nextOutgoingId: 0,
      outgoingWindow: 0,
      handle: 1,
      deliveryCount: 256,
      linkCredit: 10,
      available: 0,
      drain: true,
      echo: true,
    },
  },
];

export const ERROR_ROWS: readonly Row[] = [
  { what: "an OPEN without a container-id", body: "00 53 10 45", error: [DECODE, /container-id of a open is missing/] },
  {
    what: "an OPEN with a number for a text",
    body: "00 53 10 c0[01 52 01]",
    error: [DECODE, /container-id of a open is no string/],
  },
  { what: "a CLOSE with too many fields", body: "00 53 18 c0[02 40 40]", error: [DECODE, /2 fields; expected 1/] },
  { what: "a TRANSFER without a handle", body: "00 53 14 45", error: [DECODE, /handle of a transfer is missing/] },
  {
    what: "a TRANSFER with too many fields",
    body: "00 53 14 c0[0c 43 40 40 40 40 40 40 40 40 40 40 40]",
    error: [DECODE, /12 fields; expected 11/],
  },
  {
    what: "a TRANSFER whose tag has more than 32 bytes amqp10 2.8.7",
    body: `00 53 14 c0[03 43 43 a0 21 ${"61".repeat(33)}]`,
    error: [DECODE, /delivery-tag has 33 bytes; expected 32/],
  },
  {
    what: "a TRANSFER whose fields end behind their list",
    body: "00 53 14 c0 03 02 52 01 70 00000001",
    error: [DECODE, /do not end where their list does/],
  },
  {
    what: "a TRANSFER whose list ends behind its frame",
    body: "00 53 14 c0 30 01 52 01",
    error: [DECODE, /do not end where their list does/],
  },
  {
    what: "a TRANSFER with a text for a number",
    body: "00 53 14 c0[01 a1 01'x']",
    error: [DECODE, /handle is no uint: its code is 0xa1/],
  },
  {
    what: "a DISPOSITION whose state is none",
    body: "00 53 15 c0[05 41 43 40 41 00 53 17 45]",
    error: [DECODE, /A end stands where the state/],
  },
  {
    what: "an ATTACH with a settle mode that there is not amqp10 2.8.2",
    body: "00 53 12 c0[04 a1 01'l' 43 41 50 03]",
    error: [DECODE, /snd-settle-mode of a attach is no ubyte of at most 2/],
  },
  { what: "a value that is none", body: "00 53 10 46", error: [DECODE, /No type has the code 0x46/] },
  { what: "a composite that no frame has", body: "00 53 28 45", error: [FRAMING, /begins with source/] },
  { what: "a number alone", body: "52 01", error: [DECODE, /without a descriptor/] },
  {
    what: "an OPEN in a frame of SASL",
    body: "00 53 10 c0[01 a1 01'c']",
    sasl: true,
    error: [FRAMING, /begins with open/],
  },
  {
    what: "a SASL init in a frame of AMQP",
    body: "00 53 41 c0[01 a3 01'X']",
    error: [FRAMING, /begins with sasl-init/],
  },
  { what: "bytes behind a CLOSE", body: "00 53 18 45 00", error: [FRAMING, /1 bytes follow close/] },
  { what: "bytes behind a FLOW", body: "00 53 13 c0[04 40 52 05 43 43] 00", error: [FRAMING, /1 bytes follow flow/] },
];
