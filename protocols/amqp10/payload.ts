const EMPTY: Buffer = Buffer.alloc(0);

/** The bytes of one delivered message, as three ranges behind each other. Used again for the next one. */
export class Payload {
  /** What is this delivery's own: the header section. */
  readonly head: Buffer = Buffer.alloc(64);
  headEnd = 0;
  /** Sections written anew, where the stored ones do not serve. */
  middle: Buffer = EMPTY;
  middleStart = 0;
  middleEnd = 0;
  /** Stored bytes, as they are. */
  tail: Buffer = EMPTY;
  tailStart = 0;
  tailEnd = 0;

  get length(): number {
    return this.headEnd + (this.middleEnd - this.middleStart) + (this.tailEnd - this.tailStart);
  }
}
