import type { Delivery } from "../../core/protocol.ts";
import type { Subscription } from "../../core/subscription.ts";

const FIRST_SLOTS = 16;
const MOST_SLOTS = 64 * 1024;

/** Who was given a delivery. */
export interface Recipient {
  /** Set as soon as the core has made it. */
  readonly core: Subscription | undefined;
  /** Whether its deliveries count against what the whole channel may be sent ahead. */
  readonly counted: boolean;
}

interface Straggler {
  readonly recipient: Recipient;
  readonly delivery: Delivery;
}

/**
 * The deliveries of one channel that wait to be acknowledged, by delivery tags that count from 1.
 *
 *     tag          base ............ next
 *     deliveries   [ d | - | d | d ]          slot of a tag: tag modulo the number of slots
 *     recipients   [ r | - | r | r ]
 *
 * What is acknowledged about in order costs a slot each. When the oldest would make the rings grow beyond their bound,
 * they go to a map, in the order of their tags.
 */
export class Unacked {
  /** Who had the delivery that was taken last, and its tag. */
  recipient: Recipient | undefined = undefined;
  tag = 0;
  /** Deliveries that wait. */
  count = 0;
  #deliveries: (Delivery | undefined)[] = emptySlots<Delivery>(FIRST_SLOTS);
  #recipients: (Recipient | undefined)[] = emptySlots<Recipient>(FIRST_SLOTS);
  #base = 1;
  #next = 1;
  #stragglers: Map<number, Straggler> | undefined = undefined;

  /** The last tag that was given. */
  get last(): number {
    return this.#next - 1;
  }

  /** Adds a delivery and returns its tag. */
  add(recipient: Recipient, delivery: Delivery): number {
    if (this.#next - this.#base === this.#deliveries.length) this.#makeRoom();
    const tag = this.#next++;
    const slot = tag & (this.#deliveries.length - 1);
    this.#deliveries[slot] = delivery;
    this.#recipients[slot] = recipient;
    this.count++;
    return tag;
  }

  /** The tag of a delivery that needs no acknowledgement. */
  skip(): number {
    if (this.#base === this.#next) this.#base++;
    else if (this.#next - this.#base === this.#deliveries.length) this.#makeRoom();
    return this.#next++;
  }

  /** True when a delivery waits under this tag. */
  has(tag: number): boolean {
    if (tag < this.#base || tag >= this.#next) return this.#stragglers?.has(tag) === true;
    return this.#deliveries[tag & (this.#deliveries.length - 1)] !== undefined;
  }

  /** Takes out the delivery with this tag; undefined when none waits under it. */
  take(tag: number): Delivery | undefined {
    if (tag < this.#base || tag >= this.#next) return this.#takeStraggler(tag);
    const slot = tag & (this.#deliveries.length - 1);
    const delivery = this.#deliveries[slot];
    if (delivery === undefined) return undefined;
    this.tag = tag;
    this.recipient = this.#recipients[slot];
    this.#deliveries[slot] = undefined;
    this.#recipients[slot] = undefined;
    this.count--;
    if (tag === this.#base) this.#moveBase();
    return delivery;
  }

  /** Takes out the oldest delivery up to and with this tag; undefined when there is none. */
  takeOldest(upTo: number): Delivery | undefined {
    if (this.#stragglers !== undefined) {
      for (const tag of this.#stragglers.keys()) return tag > upTo ? undefined : this.#takeStraggler(tag);
    }
    if (this.#base > upTo || this.#base === this.#next) return undefined;
    return this.take(this.#base);
  }

  /** Puts back deliveries that were taken out, the lowest tag first: none that waits may have a lower one than the last. */
  restore(
    taken: readonly { readonly tag: number; readonly recipient: Recipient; readonly delivery: Delivery }[],
  ): void {
    const merged = [...(this.#stragglers ?? [])];
    for (const { tag, recipient, delivery } of taken) merged.push([tag, { recipient, delivery }]);
    // Those between them go along: the map has to stay in order, with all that is in it before all that is in the rings.
    const highest = merged.reduce((most, [tag]) => Math.max(most, tag), 0);
    this.count += taken.length;
    while (this.#base <= highest && this.#base < this.#next) {
      const tag = this.#base;
      const delivery = this.take(tag);
      if (delivery === undefined || this.recipient === undefined) break;
      this.count++;
      merged.push([tag, { recipient: this.recipient, delivery }]);
    }
    this.#stragglers = new Map(merged.sort(([a], [b]) => a - b));
  }

  #takeStraggler(tag: number): Delivery | undefined {
    const straggler = this.#stragglers?.get(tag);
    if (straggler === undefined) return undefined;
    this.#stragglers?.delete(tag);
    if (this.#stragglers?.size === 0) this.#stragglers = undefined;
    this.tag = tag;
    this.recipient = straggler.recipient;
    this.count--;
    return straggler.delivery;
  }

  /** The base stands on a delivery that waits, or at the end. */
  #moveBase(): void {
    const deliveries = this.#deliveries;
    const mask = deliveries.length - 1;
    while (this.#base < this.#next && deliveries[this.#base & mask] === undefined) this.#base++;
  }

  #makeRoom(): void {
    const deliveries = this.#deliveries;
    const recipients = this.#recipients;
    const { length } = deliveries;
    if (length === MOST_SLOTS) {
      const tag = this.#base;
      const delivery = this.take(tag);
      if (delivery === undefined || this.recipient === undefined) return;
      this.count++;
      (this.#stragglers ??= new Map()).set(tag, { recipient: this.recipient, delivery });
      return;
    }
    this.#deliveries = emptySlots<Delivery>(length * 2);
    this.#recipients = emptySlots<Recipient>(length * 2);
    const mask = length * 2 - 1;
    for (let tag = this.#base; tag < this.#next; tag++) {
      this.#deliveries[tag & mask] = deliveries[tag & (length - 1)];
      this.#recipients[tag & mask] = recipients[tag & (length - 1)];
    }
  }
}

function emptySlots<T>(length: number): (T | undefined)[] {
  return Array.from<T | undefined>({ length });
}
