import type { Delivery } from "../../core/protocol.ts";

const FIRST_SLOTS = 16;
const MOST_SLOTS = 64 * 1024;

/**
 * The deliveries of one subscription that wait for their ACK, by a tag that counts from 1.
 *
 *     tag       base ............ next
 *     slots     [ d | - | d | d ]          slot of a tag: tag modulo the number of slots
 *
 * What is acknowledged about in order costs a slot each. When the oldest would make the ring grow beyond its bound,
 * they go to a map.
 */
export class DeliveryWindow {
  #slots: (Delivery | undefined)[] = Array.from<Delivery | undefined>({ length: FIRST_SLOTS });
  #base = 1;
  #next = 1;
  #stragglers: Map<number, Delivery> | undefined = undefined;

  /** Adds a delivery and returns its tag. */
  add(delivery: Delivery): number {
    if (this.#next - this.#base === this.#slots.length) this.#makeRoom();
    const tag = this.#next++;
    this.#slots[tag & (this.#slots.length - 1)] = delivery;
    return tag;
  }

  /** Takes out the delivery with this tag; undefined when none waits under it. */
  take(tag: number): Delivery | undefined {
    if (tag < this.#base || tag >= this.#next) {
      const straggler = this.#stragglers?.get(tag);
      if (straggler !== undefined) this.#stragglers?.delete(tag);
      return straggler;
    }
    const slot = tag & (this.#slots.length - 1);
    const delivery = this.#slots[slot];
    this.#slots[slot] = undefined;
    if (tag === this.#base) this.#moveBase();
    return delivery;
  }

  /** True when a delivery waits under this tag. */
  has(tag: number): boolean {
    if (tag < this.#base || tag >= this.#next) return this.#stragglers?.has(tag) === true;
    return this.#slots[tag & (this.#slots.length - 1)] !== undefined;
  }

  /** Takes out every delivery up to and with this tag, in order; more may be added meanwhile. */
  takeUpTo(tag: number, each: (delivery: Delivery, tag: number) => void): void {
    for (const [straggling, delivery] of this.#stragglers ?? []) {
      if (straggling > tag) break;
      this.#stragglers?.delete(straggling);
      each(delivery, straggling);
    }
    while (this.#base <= tag && this.#base < this.#next) {
      const taken = this.#base;
      const delivery = this.take(taken);
      if (delivery !== undefined) each(delivery, taken);
      else if (this.#base === taken) this.#moveBase();
    }
  }

  #moveBase(): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    while (this.#base < this.#next && slots[this.#base & mask] === undefined) this.#base++;
  }

  #makeRoom(): void {
    const slots = this.#slots;
    if (slots.length === MOST_SLOTS) {
      const tag = this.#base;
      const oldest = this.take(tag);
      if (oldest !== undefined) (this.#stragglers ??= new Map()).set(tag, oldest);
      return;
    }
    const grown = Array.from<Delivery | undefined>({ length: slots.length * 2 });
    for (let tag = this.#base; tag < this.#next; tag++) {
      grown[tag & (grown.length - 1)] = slots[tag & (slots.length - 1)];
    }
    this.#slots = grown;
  }
}
