const BLOCK_BYTES = 64 * 1024;
/** What is bigger gets a buffer of its own, so that a block is never mostly wasted. */
const LARGEST_SHARE = 16 * 1024;

/** Memory that is only ever written at its end, so that ranges of it can be handed out for good. */
export class Arena {
  /** Where the last `reserve` made room. */
  buffer: Buffer = Buffer.alloc(0);
  #used = 0;

  /** Makes room for `bytes` and returns where to write them in `buffer`. */
  reserve(bytes: number): number {
    if (this.#used + bytes > this.buffer.length) {
      this.buffer = Buffer.allocUnsafeSlow(bytes > LARGEST_SHARE ? bytes : BLOCK_BYTES);
      this.#used = 0;
    }
    return this.#used;
  }

  /** Says that the bytes up to `end` of `buffer` are taken. */
  advance(end: number): void {
    this.#used = end;
  }
}
