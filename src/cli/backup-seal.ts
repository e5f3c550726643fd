/*
 * What `delos backup` writes behind a copy, so that `delos restore` knows it again to the last bit: one block more than the
 * store has, which the store takes for free space.
 *
 *     copy  |  4096 bytes: "delos backup 1 sha256 HEX\n", zeros
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Transform, type TransformCallback } from "node:stream";

const BLOCK = 4096;
const SEAL = /^delos backup 1 sha256 ([0-9a-f]{64})\n\0+$/;

/** Passes a copy on, and the seal behind it. */
export class Sealing extends Transform {
  /** Bytes of the copy so far. */
  size = 0;
  private readonly hash = createHash("sha256");

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.size += chunk.length;
    this.hash.update(chunk);
    done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    const block = Buffer.alloc(BLOCK);
    block.write(`delos backup 1 sha256 ${this.hash.digest("hex")}\n`, "latin1");
    done(null, block);
  }
}

/** What there is of a seal: the bytes of the copy before it, and whether they are those that were sealed. */
export interface Seal {
  readonly size: number;
  readonly broken: boolean;
}

/** Undefined for a file without one, which management has written itself. Rejects with what the system says. */
export async function sealOf(path: string): Promise<Seal | undefined> {
  const file = await open(path, "r");
  let size: number;
  let sealed: string | undefined;
  try {
    size = (await file.stat()).size - BLOCK;
    const block = Buffer.alloc(BLOCK);
    if (size > 0) await file.read(block, 0, BLOCK, size);
    sealed = SEAL.exec(block.toString("latin1"))?.[1];
  } finally {
    await file.close();
  }
  if (sealed === undefined) return undefined;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { end: size - 1, highWaterMark: 1024 * 1024 })) hash.update(chunk);
  return { size, broken: hash.digest("hex") !== sealed };
}
