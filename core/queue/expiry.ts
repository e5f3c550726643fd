/*
 * Expiry of what is in memory: a wheel of one-second buckets, each a doubly linked ring.
 *
 *     second -> ring -> node <-> node <-> node
 *
 * Adding and calling off cost the same whatever the number of entries, a sweep costs what it finds, and what was called
 * off keeps nothing alive.
 */

/** Something that ends at a time. */
export interface Expiring {
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  expire(now: number): void;
}

/** A place in the wheel, to be called off with `remove`. */
export class ExpiryNode {
  readonly subject: Expiring | undefined;
  /** The bucket it is in. */
  readonly second: number;
  previous: ExpiryNode = this;
  next: ExpiryNode = this;
  constructor(subject: Expiring | undefined, second: number) {
    this.subject = subject;
    this.second = second;
  }
}

/** Seconds looked back at in one sweep at most, so that a leap of the clock is worked off in slices. */
const SLICE_SECONDS = 10_000;

/** Knows what expires when. */
export class ExpiryWheel {
  /** Buckets with something in them. */
  private readonly rings = new Map<number, ExpiryNode>();
  private swept: number;

  /** Starts at a time in milliseconds since 1970. */
  constructor(now: number) {
    this.swept = Math.floor(now / 1000);
  }

  add(subject: Expiring): ExpiryNode {
    // What is overdue goes to the next bucket to be swept.
    const second = Math.max(Math.ceil(subject.expiresAt / 1000), this.swept + 1);
    let ring = this.rings.get(second);
    if (ring === undefined) {
      ring = new ExpiryNode(undefined, second);
      this.rings.set(second, ring);
    }
    const node = new ExpiryNode(subject, second);
    node.previous = ring.previous;
    node.next = ring;
    ring.previous.next = node;
    ring.previous = node;
    return node;
  }

  /** Buckets held. */
  get buckets(): number {
    return this.rings.size;
  }

  remove(node: ExpiryNode): void {
    const { previous, next } = node;
    previous.next = next;
    next.previous = previous;
    node.previous = node.next = node;
    // Only the ring itself is left.
    if (previous === next && previous.subject === undefined) this.rings.delete(node.second);
  }

  /** Expires what is due, at most `max` of them; returns false when some are left for another sweep. */
  sweep(now: number, max: number): boolean {
    const until = Math.floor(now / 1000);
    // The clock was set back: what is added from now on is due by the new time.
    if (until < this.swept) this.swept = until;
    if (this.rings.size === 0) {
      this.swept = until;
      return true;
    }
    if (until - this.swept > SLICE_SECONDS) return this.sweepAll(now, until, max);
    let left = max;
    while (this.swept < until) {
      left = this.sweepRing(this.swept + 1, now, left);
      if (left <= 0) return false;
      this.swept++;
    }
    return true;
  }

  /** After a long gap it is cheaper to look at the rings there are than at every second. */
  private sweepAll(now: number, until: number, max: number): boolean {
    let left = max;
    for (const second of [...this.rings.keys()].sort((a, b) => a - b)) {
      if (second > until) break;
      left = this.sweepRing(second, now, left);
      if (left <= 0) return false;
    }
    this.swept = until;
    return true;
  }

  private sweepRing(second: number, now: number, max: number): number {
    const ring = this.rings.get(second);
    if (ring === undefined) return max;
    let left = max;
    while (ring.next !== ring && left > 0) {
      const node = ring.next;
      this.remove(node);
      node.subject?.expire(now);
      left--;
    }
    return left;
  }
}
