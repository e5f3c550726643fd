import { Decoder, type FrameLimits } from "../../protocols/stomp/codec.ts";
import type { Version } from "../../protocols/stomp/escape.ts";

/** A frame as a test sees it. */
export interface Read {
  readonly command: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export const LIMITS: FrameLimits = { maxHeaders: 20, maxHeaderBytes: 200, maxFrameHeaderBytes: 1000, maxBody: 100_000 };

/** Everything in these chunks, by the rules of a version. */
export function readFrames(chunks: readonly Buffer[], version?: Version, limits: FrameLimits = LIMITS): Read[] {
  const decoder = new Decoder(limits);
  if (version !== undefined) decoder.agree(version);
  const frames: Read[] = [];
  for (const chunk of chunks) {
    decoder.feed(chunk);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      const headers: [string, string][] = [];
      for (let place = 0; place < frame.count; place++) headers.push([frame.key(place), frame.value(place)]);
      const body = frame.data.toString("latin1", frame.bodyStart, frame.bodyEnd);
      frames.push({ command: frame.command, headers, body });
    }
  }
  return frames;
}

/** The bytes in a buffer that begins somewhere in a bigger one, with noise around them. */
export function embedded(bytes: Buffer): Buffer {
  const around = Buffer.alloc(bytes.length + 64, "\0noise\n:");
  bytes.copy(around, 13);
  return around.subarray(13, 13 + bytes.length);
}
