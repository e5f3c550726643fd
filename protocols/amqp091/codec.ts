/*
 * AMQP 0-9-1 frames from bytes, as a server receives them.
 *
 *     type | channel | size | payload ... | CE
 *     1      2         4      size          1
 */
import type { Publish } from "./publish.ts";

/** The bytes with which a connection begins, and with which a server answers others [4.2.2]. */
export const PROTOCOL_HEADER: Buffer = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);

/** Who is told of frames. The bytes are only there until it returns; each call may throw `AmqpError`. */
export interface FrameSink {
  /** The connection's first bytes; false: of another version, and nothing of the rest is read. */
  onProtocolHeader(accepted: boolean): void;
  /** A method by `methodCode`, with its arguments in `data[start, end)`. Also basic.publish and basic.ack, if out of the ordinary. */
  onMethod(channel: number, code: number, data: Buffer, start: number, end: number): void;
  /** A basic.publish with its whole content, when it lay in one piece; else it comes by the three others. */
  onPublish(channel: number, publish: Publish): void;
  /** A basic.ack. */
  onAck(channel: number, deliveryTag: number, multiple: boolean): void;
  /** The payload of a header frame. */
  onHeader(channel: number, data: Buffer, start: number, end: number): void;
  /** The payload of a body frame. */
  onBody(channel: number, data: Buffer, start: number, end: number): void;
  onHeartbeat(): void;
}

/** Turns chunks into frames. Throws `AmqpError`; it is of no use after that. */
export class Decoder {
  readonly #sink: FrameSink;
  #maxFrameBytes: number;
  readonly #maxBodyBytes: number;

  /** `maxFrameBytes`: of whole frames, until `agree`. `maxBodyBytes`: larger contents do not come by `onPublish`. */
  constructor(sink: FrameSink, limits: { readonly maxFrameBytes: number; readonly maxBodyBytes: number }) {
    this.#sink = sink;
    this.#maxFrameBytes = limits.maxFrameBytes;
    this.#maxBodyBytes = limits.maxBodyBytes;
  }

  /** From now on whole frames may have so many bytes, as tune-ok says. */
  agree(maxFrameBytes: number): void {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** True when nothing is left of what was fed, not even a part of a frame. */
  get idle(): boolean {
    return this.#sink !== undefined && this.#maxFrameBytes > 0 && this.#maxBodyBytes > 0;
  }

  /** Adds bytes; the decoder owns them from now on. */
  feed(chunk: Buffer): void {
    throw new Error(String(chunk));
  }

  /** Tells the sink of the next frame, or of a publish; false when more bytes are needed. */
  next(): boolean {
    throw new Error("to come");
  }
}
