/*
 * A queue's list, in order of sequence:
 *
 *     head <-> entry <-> entry <-> range(17..9,000,016) <-> entry <-> entry <-> tail
 *              loaded     held       only in the store       just came
 *
 * A range stands for entries that are in the store alone; its ends are bounds, what lies between may have gaps.
 */
import type { Backlog } from "./backlog.ts";
import type { ExpiryNode } from "./expiry.ts";
import type { Holder } from "./lane.ts";
import type { Message } from "../message.ts";
import type { Delivery } from "../protocol.ts";
import type { StoredEntry } from "../store.ts";

/** One message's place in one queue while it is in memory. Handed to consumers as the delivery to settle. */
export class Entry implements StoredEntry, Delivery {
  readonly kind = "entry";
  readonly sequence: number;
  readonly size: number;
  /** The message's, to be known without its body. */
  readonly expiresAt: number;
  /** Where it is. */
  readonly backlog: Backlog;
  message: Message | undefined;
  deliveries = 0;
  batch = 0;
  place: unknown = undefined;
  previous: ListNode = NOWHERE;
  next: ListNode = NOWHERE;
  /** Who has it, between delivery and settlement. */
  holder: Holder | undefined = undefined;
  /** How many lanes and cursors stand here. */
  parked = 0;
  /** The last trim that wanted it kept in memory. */
  keptBy = 0;
  expiry: ExpiryNode | undefined = undefined;

  constructor(sequence: number, message: Message, backlog: Backlog) {
    this.sequence = sequence;
    this.backlog = backlog;
    this.message = message;
    this.size = message.size;
    this.expiresAt = message.expiresAt;
  }

  hasExpired(now: number): boolean {
    if (this.expiresAt === 0 || this.expiresAt > now) return false;
    return this.deliveries === 0 || !this.backlog.finishes;
  }
}

/** Entries that are only in the store. */
export class Range {
  readonly kind = "range";
  /** Lowest sequence it may hold; grows as its head is loaded. */
  sequence: number;
  /** Highest sequence it may hold. */
  to: number;
  previous: ListNode = NOWHERE;
  next: ListNode = NOWHERE;
  parked = 0;
  loading = false;

  constructor(from: number, to: number) {
    this.sequence = from;
    this.to = to;
  }
}

/** One end of the list. */
export class End {
  readonly kind = "end";
  readonly sequence: number;
  previous: ListNode = this;
  next: ListNode = this;
  parked = 0;

  constructor(sequence: number) {
    this.sequence = sequence;
  }
}

export type ListNode = Entry | Range | End;

/** Where a node stands that is in no list. */
export const NOWHERE = new End(Number.NaN);

/** Puts a node before another one. */
export function insertBefore(place: ListNode, node: ListNode): void {
  node.previous = place.previous;
  node.next = place;
  place.previous.next = node;
  place.previous = node;
}

/** Takes a node out of its list. Nobody may be parked at it. */
export function unlink(node: ListNode): void {
  node.previous.next = node.next;
  node.next.previous = node.previous;
  node.previous = node.next = NOWHERE;
}
