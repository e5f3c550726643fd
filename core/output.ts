/*
 * A connection's output, between the codec that encodes and the socket that writes once per turn.
 *
 *     chunks: [ own bytes | a shared range | own bytes ... ]   then   buffer[0, length): own bytes still growing
 *             plus at most one open shared range (source, from, to) behind them
 *
 * Fan-out encodes a message once into an arena and hands the same range to every subscriber. Consecutive messages lie
 * behind each other in the arena, so a range mostly just grows: one comparison per delivery, no copy.
 */

const SMALLEST_BUFFER = 512;
const LARGEST_FIRST_BUFFER = 64 * 1024;
/** A shared range shorter than this is copied when it ends; a longer one is written by reference. */
const REFERENCE_BYTES = 4 * 1024;

/** Bytes on their way to one connection. Never does I/O itself. */
export class Output {
  /** The growing buffer: encode at `length`, after `reserve`. */
  buffer: Buffer = EMPTY;
  length = 0;
  /** True while the consumers of this connection should be given nothing more. Set by whoever writes. */
  full = false;
  /** Bytes handed to the socket and not yet written by it. Kept by whoever writes. */
  inFlight = 0;
  /** More than this on its way, waiting or in flight, is full. */
  highWater: number;
  readonly #dirty: () => void;
  #announced = false;
  /** What the next buffer starts with: about what the last turn needed, so an idle connection keeps nothing. */
  #firstBytes = SMALLEST_BUFFER;
  /**
   * Made when there is something to put into it. An empty one made ahead would be kept by each connection that has nothing
   * to say, and V8, having seen many of those, would make all of them where old objects lie: then what is put into it lives
   * until the next full collection, and each of the frequent small ones has to move all of it.
   */
  #chunks: Buffer[] | undefined = undefined;
  #chunkBytes = 0;
  #source: Buffer | undefined = undefined;
  #from = 0;
  #to = 0;

  /** `dirty` is called once whenever there is something to take after there was nothing. */
  constructor(highWater: number, dirty: () => void) {
    this.highWater = highWater;
    this.#dirty = dirty;
  }

  /** Bytes that wait here, not counting `inFlight`. */
  get waiting(): number {
    return this.#chunkBytes + this.length + (this.#to - this.#from);
  }

  /** Makes room for `bytes` and returns where to write them in `buffer`; the caller then advances `length`. */
  reserve(bytes: number): number {
    if (this.#source !== undefined) this.#endShared();
    if (!this.#announced) this.#announce();
    const needed = this.length + bytes;
    if (needed > this.buffer.length) this.#grow(needed);
    return this.length;
  }

  /** Says that the bytes up to `end` of `buffer` are written. */
  advance(end: number): void {
    this.length = end;
    if (end + this.#chunkBytes + this.inFlight > this.highWater) this.full = true;
  }

  /** Adds bytes of a buffer that nobody will change any more, by reference when that pays. */
  append(source: Buffer, from: number, to: number): void {
    if (source === this.#source && from === this.#to) {
      this.#to = to;
    } else {
      if (this.#source !== undefined) this.#endShared();
      if (!this.#announced) this.#announce();
      this.#source = source;
      this.#from = from;
      this.#to = to;
    }
    if (this.#chunkBytes + this.length + (this.#to - this.#from) + this.inFlight > this.highWater) this.full = true;
  }

  /** Hands over everything in order; the caller owns the result. */
  take(): readonly Buffer[] {
    if (this.#source !== undefined) this.#endShared();
    if (this.length > 0) this.#endOwn();
    const chunks = this.#chunks ?? NOTHING;
    this.#chunks = undefined;
    this.#chunkBytes = 0;
    this.buffer = EMPTY;
    this.#announced = false;
    return chunks;
  }

  #announce(): void {
    this.#announced = true;
    this.#dirty();
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2, this.#firstBytes));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  #endOwn(): void {
    this.#add(this.buffer.subarray(0, this.length));
    this.#firstBytes = Math.min(LARGEST_FIRST_BUFFER, Math.max(SMALLEST_BUFFER, this.length + (this.length >> 2)));
    // What is left of the buffer goes on serving this turn; the part handed over is never touched again.
    this.buffer = this.buffer.subarray(this.length);
    this.length = 0;
  }

  #add(chunk: Buffer): void {
    if (this.#chunks === undefined) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
  }

  #endShared(): void {
    const source = this.#source;
    if (source === undefined) return;
    const bytes = this.#to - this.#from;
    this.#source = undefined;
    if (bytes >= REFERENCE_BYTES) {
      if (this.length > 0) this.#endOwn();
      this.#add(source.subarray(this.#from, this.#to));
    } else {
      const needed = this.length + bytes;
      if (needed > this.buffer.length) this.#grow(needed);
      source.copy(this.buffer, this.length, this.#from, this.#to);
      this.length = needed;
    }
    this.#from = this.#to = 0;
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
const NOTHING: readonly Buffer[] = [];
