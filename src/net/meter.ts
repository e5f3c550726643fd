/*
 * What limits of rates mean for one connection. Counted is once per piece that is read or written, not per message; who
 * shares a limit shares its bucket. Pieces are kept so small that a connection does some of its work many times a second,
 * rather than all of it at once and then nothing for long.
 */
import type { Clock, Timer } from "../../core/time/clock.ts";
import type { Bucket } from "./bucket.ts";
import type { Tally } from "./limit-rules.ts";

/** Parts of a second's worth that are handled at a time. */
const PIECES_PER_SECOND = 20;
/** Smaller pieces than this cost more than they are good for. */
const LEAST_BYTES = 256;

/** The buckets of one limit for one direction. */
export interface Allowance {
  readonly messages: Bucket | undefined;
  readonly bytes: Bucket | undefined;
  /** `limits[0] (per user)` */
  readonly name: string;
  readonly disconnects: boolean;
  readonly tally: Tally;
}

/** A connection that waits for a limit. */
export class Hold {
  readonly #tally: Tally | undefined;
  readonly #timer: Timer;

  constructor(clock: Clock, ms: number, limit: Allowance | undefined, then: () => void) {
    this.#tally = limit?.tally;
    if (this.#tally !== undefined) this.#tally.waiting++;
    this.#timer = clock.after(ms, () => {
      this.#end();
      then();
    });
  }

  /** Nobody waits any more; not to be called after `then` was. */
  cancel(): void {
    this.#timer.cancel();
    this.#end();
  }

  #end(): void {
    if (this.#tally !== undefined) this.#tally.waiting--;
  }
}

/** How many milliseconds it takes until nothing is owed; 0: nobody waits. */
export function owedMs({ messages, bytes }: Allowance, now: number): number {
  return Math.max(messages?.owedMs(now) ?? 0, bytes?.owedMs(now) ?? 0);
}

/** One direction of one connection. */
export class Meter {
  readonly #clock: Clock;
  readonly #allowances: readonly Allowance[];
  readonly #count: () => number;
  #counted: number;
  #messages = 0;
  #bytes = 0;
  /** The limit that was exceeded last. */
  exceeded: Allowance | undefined = undefined;

  /** `count` says how many messages have gone this way so far. */
  constructor(clock: Clock, allowances: readonly Allowance[], count: () => number) {
    this.#clock = clock;
    this.#allowances = allowances;
    this.#count = count;
    this.#counted = count();
  }

  /** Bytes to be handled at a time: about what may go in a small part of a second. */
  get piece(): number {
    let piece = Number.POSITIVE_INFINITY;
    for (const { messages, bytes, disconnects } of this.#allowances) {
      if (disconnects) continue;
      if (bytes !== undefined) piece = Math.min(piece, bytes.perSecond / PIECES_PER_SECOND);
      if (messages !== undefined)
        piece = Math.min(piece, (messages.perSecond / PIECES_PER_SECOND) * this.#messageBytes);
    }
    return Math.max(LEAST_BYTES, Math.ceil(piece));
  }

  /** Counts a piece; returns the milliseconds to wait before the next one. */
  count(bytes: number): number {
    const now = this.#clock.now();
    const counted = this.#count();
    // Those of a subscription that ended are no longer among them.
    const messages = Math.max(0, counted - this.#counted);
    this.#counted = counted;
    this.#messages += messages;
    this.#bytes += bytes;
    let longest = 0;
    for (const allowance of this.#allowances) {
      const waitMs = Math.max(
        allowance.bytes?.spend(bytes, now) ?? 0,
        messages === 0 ? 0 : (allowance.messages?.spend(messages, now) ?? 0),
      );
      if (waitMs > longest) this.exceeded = allowance;
      longest = Math.max(longest, waitMs);
    }
    if (longest > 0 && this.exceeded !== undefined) this.exceeded.tally.waits++;
    return longest;
  }

  /** On average, so far; a guess that is small before there was one. */
  get #messageBytes(): number {
    return this.#messages === 0 ? LEAST_BYTES : this.#bytes / this.#messages;
  }
}
