import type { Output } from "../../core/output.ts";
import { malformed } from "./errors.ts";
import type { Payload } from "./payload.ts";
import type { Composite, DeliveryState, Performative, Said } from "./performatives.ts";

/** What a peer sends before the frames: `AMQP`, then 0 for AMQP or 3 for SASL, then 1 0 0. */
export function encodeHeader(_protocolId: 0 | 3): Buffer {
  throw malformed("not yet");
}

/** A frame of one of the performatives that are not frequent. */
export function encodeFrame(_channel: number, _performative: Said<Performative>): Buffer {
  throw malformed("not yet");
}

/** Writes such a frame. */
export function writeFrame(_output: Output, _channel: number, _performative: Said<Performative>): void {
  throw malformed("not yet");
}

/** Writes a frame without a body, which says that this side is there. */
export function writeEmpty(_output: Output): void {
  throw malformed("not yet");
}

/** A TRANSFER to be written; used again for the next one. */
export class OutgoingTransfer {
  channel = 0;
  handle = 0;
  deliveryId = 0;
  /** The delivery tag: four bytes of this number. */
  tag = 0;
  settled = false;
  messageFormat = 0;
}

/**
 * Writes one frame of a delivery with the bytes of its payload from `from` on, as many as fit; returns where they end in the
 * payload. When that is before `payload.length` more frames have to follow, and this one says so.
 */
export function writeTransfer(
  _output: Output,
  _transfer: OutgoingTransfer,
  _payload: Payload,
  _from: number,
  _maxFrameBytes: number,
): number {
  throw malformed("not yet");
}

/** Writes a DISPOSITION of the deliveries `first` to `last`. `role`: true when the deliveries came from the peer. */
export function writeDisposition(
  _output: Output,
  _channel: number,
  _role: boolean,
  _first: number,
  _last: number,
  _settled: boolean,
  _state: DeliveryState | undefined,
): void {
  throw malformed("not yet");
}

/** What a FLOW says, by `frame.ts` `FlowFields`; `ABSENT` for fields that are left out. */
export function writeFlow(_output: Output, _channel: number, _flow: import("./frame.ts").FlowFields): void {
  throw malformed("not yet");
}
export type { Composite };
