import type { Delivery } from "../../core/protocol.ts";
import type { SenderLink } from "./sender.ts";

const FIRST_SLOTS = 16;
const MOST_SLOTS = 64 * 1024;
const IDS = 2 ** 32;
const NONE: readonly number[] = [];

/** One delivery that its receiver has yet to settle. */
export interface Unsettled {
  readonly link: SenderLink;
  /** Undefined when there is nothing to settle in the core, as of what is browsed. */
  readonly delivery: Delivery | undefined;
  readonly tag: number;
}

/**
 * The deliveries that one AMQP session has sent, by delivery-id. Ids of the wire are 32 bits and begin anew; numbers here
 * go on.
 *
 *     number    base ............ next
 *     slots     [ d | - | d | d ]          slot of a number: number modulo the number of slots
 *
 * What is settled about in order costs three slots each. When the oldest would make the ring grow beyond its bound, they go
 * to a map.
 */
export class SentDeliveries {
  /** How many wait for their settlement. */
  count = 0;
  #links: (SenderLink | undefined)[] = empty(FIRST_SLOTS);
  #deliveries: (Delivery | undefined)[] = empty(FIRST_SLOTS);
  #tags: number[] = Array.from({ length: FIRST_SLOTS }, () => 0);
  #base = 0;
  #next = 0;
  #stragglers: Map<number, Unsettled> | undefined = undefined;

  /** The number of the next delivery. */
  get next(): number {
    return this.#next;
  }

  /** Takes a number for a delivery that is settled already. */
  pass(): number {
    if (this.count === 0) this.#base = this.#next + 1;
    else if (this.#next - this.#base === this.#links.length) this.#makeRoom();
    return this.#next++;
  }

  /** Takes a number for a delivery that is to be settled. */
  add(link: SenderLink, delivery: Delivery | undefined, tag: number): number {
    if (this.#next - this.#base === this.#links.length) this.#makeRoom();
    const number = this.#next++;
    const slot = number & (this.#links.length - 1);
    this.#links[slot] = link;
    this.#deliveries[slot] = delivery;
    this.#tags[slot] = tag;
    this.count++;
    return number;
  }

  /** The lowest number of the ring. */
  get base(): number {
    return this.#base;
  }

  /** The numbers between these two, both included, that are lower than the ring's and still wait. */
  stragglers(from: number, to: number): readonly number[] {
    if (this.#stragglers === undefined || from >= this.#base) return NONE;
    return [...this.#stragglers.keys()].filter((number) => number >= from && number <= to);
  }

  /** The number that an id of the wire stands for; -1 for one that was not given yet. */
  numberOf(id: number): number {
    const back = (this.#next - id) >>> 0;
    const number = this.#next - (back === 0 ? IDS : back);
    // The older half of all ids is what was said, the newer one what is to come.
    return back === 0 || back > IDS / 2 || number < 0 ? -1 : number;
  }

  /** Whose delivery waits under this number. */
  linkAt(number: number): SenderLink | undefined {
    if (number < this.#base) return this.#stragglers?.get(number)?.link;
    return number < this.#next ? this.#links[number & (this.#links.length - 1)] : undefined;
  }

  /** Takes out what waits under a number; undefined too when there is nothing to settle in the core. */
  take(number: number): Delivery | undefined {
    if (number < this.#base) {
      const straggler = this.#stragglers?.get(number);
      if (straggler === undefined) return undefined;
      this.#stragglers?.delete(number);
      this.count--;
      return straggler.delivery;
    }
    const links = this.#links;
    const slot = number & (links.length - 1);
    if (number >= this.#next || links[slot] === undefined) return undefined;
    const delivery = this.#deliveries[slot];
    links[slot] = undefined;
    this.#deliveries[slot] = undefined;
    this.count--;
    if (number === this.#base) this.#moveBase();
    return delivery;
  }

  /** Takes out, in order, what waits for one link. */
  takeAllOf(link: SenderLink): Unsettled[] {
    const all: Unsettled[] = [];
    for (const [number, straggler] of this.#stragglers ?? []) {
      if (straggler.link !== link) continue;
      all.push(straggler);
      this.#stragglers?.delete(number);
      this.count--;
    }
    const end = this.#next;
    for (let number = this.#base; number < end; number++) {
      const slot = number & (this.#links.length - 1);
      if (this.#links[slot] !== link) continue;
      const tag = this.#tags[slot] ?? 0;
      all.push({ link, delivery: this.take(number), tag });
    }
    return all;
  }

  #moveBase(): void {
    const links = this.#links;
    const mask = links.length - 1;
    while (this.#base < this.#next && links[this.#base & mask] === undefined) this.#base++;
  }

  #makeRoom(): void {
    const size = this.#links.length;
    this.#moveBase();
    if (this.#next - this.#base < size) return;
    if (size === MOST_SLOTS) {
      const number = this.#base;
      const slot = number & (size - 1);
      const link = this.#links[slot];
      const tag = this.#tags[slot] ?? 0;
      const delivery = this.take(number);
      if (link === undefined) return;
      (this.#stragglers ??= new Map()).set(number, { link, delivery, tag });
      this.count++;
      return;
    }
    const links = empty<SenderLink>(size * 2);
    const deliveries = empty<Delivery>(size * 2);
    const tags = Array.from({ length: size * 2 }, () => 0);
    for (let number = this.#base; number < this.#next; number++) {
      const from = number & (size - 1);
      const to = number & (size * 2 - 1);
      links[to] = this.#links[from];
      deliveries[to] = this.#deliveries[from];
      tags[to] = this.#tags[from] ?? 0;
    }
    this.#links = links;
    this.#deliveries = deliveries;
    this.#tags = tags;
  }
}

function empty<T>(length: number): (T | undefined)[] {
  return Array.from<T | undefined>({ length });
}
