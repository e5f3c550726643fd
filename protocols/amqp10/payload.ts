import { Writer } from "./writer.ts";

const EMPTY: Buffer = Buffer.alloc(0);
/** More than a header section can have. */
const MOST_HEAD = 64;

/** The bytes of one delivered message, as three ranges behind each other. Used again for the next one. */
export class Payload {
  /** What is this delivery's own: the header section. */
  readonly head: Buffer = Buffer.alloc(MOST_HEAD);
  headEnd = 0;
  /** Sections written anew, where the stored ones do not serve. */
  middle: Buffer = EMPTY;
  middleStart = 0;
  middleEnd = 0;
  /** Stored bytes, as they are. */
  tail: Buffer = EMPTY;
  tailStart = 0;
  tailEnd = 0;
  /** What the sections in the middle are written with. */
  readonly writer = new Writer();

  get length(): number {
    return this.headEnd + (this.middleEnd - this.middleStart) + (this.tailEnd - this.tailStart);
  }
}
