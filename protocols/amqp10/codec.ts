import { malformed } from "./errors.ts";
import { Frame } from "./frame.ts";

/** What a peer may send at most. */
export interface FrameLimits {
  /** Bytes of a whole frame, its header too; what OPEN says as max-frame-size. */
  readonly maxFrameBytes: number;
  /** Of frames before `opened`: nobody knows yet who this is. */
  readonly maxOpeningBytes: number;
}

/** Turns chunks into frames, the first of them a protocol header. Throws `AmqpError`; it is of no use after that. */
export class Decoder {
  readonly frame: Frame = new Frame();

  constructor(_limits: FrameLimits) {}

  /** After the SASL outcome: what comes next is a protocol header once more. */
  expectHeader(): void {}

  /** The peer is let in: frames may be as long as `maxFrameBytes` from now on. */
  opened(): void {}

  /** True when nothing is left of what was fed, not even a part of a frame. */
  get idle(): boolean {
    return true;
  }

  /** Adds bytes; the decoder and the frames own them from now on. */
  feed(_chunk: Buffer): void {}

  /** The next whole frame; undefined when more bytes are needed. */
  next(): Frame | undefined {
    throw malformed("not yet");
  }
}
