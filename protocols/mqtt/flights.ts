import type { Delivery } from "../../core/protocol.ts";
import type { Subscription } from "../../core/subscription.ts";
import type { Qos } from "./packet.ts";

/** The highest packet identifier. */
const MOST_IDS = 65_535;

/** A delivery under way at QoS 1 or 2. */
export class Flight {
  readonly qos: Qos;
  /** Undefined once settled, while the client has yet to say PUBCOMP. */
  subscription: Subscription | undefined;
  delivery: Delivery | undefined;

  constructor(qos: Qos, subscription: Subscription | undefined, delivery: Delivery | undefined) {
    this.qos = qos;
    this.subscription = subscription;
    this.delivery = delivery;
  }
}

/**
 * The deliveries under way to one client, by packet identifier. Those whose identifier is given out here have low ones,
 * used again as soon as they are free, so that they lie close together; others may have any.
 */
export class Flights {
  /** From the first one on that is given out here. */
  readonly #low: (Flight | undefined)[] = [];
  readonly #first: number;
  readonly #free: number[] = [];
  readonly #others = new Map<number, Flight>();
  /** Not free although nothing is under way with them on this connection. */
  readonly #reserved = new Set<number>();
  #lowCount = 0;

  /** Gives out identifiers from the first one on. */
  constructor(first: number) {
    this.#first = first;
  }

  get size(): number {
    return this.#lowCount + this.#others.size;
  }

  get(id: number): Flight | undefined {
    return this.#given(id) ?? this.#others.get(id);
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  /** Begins one with an identifier that its message has. */
  set(id: number, flight: Flight): void {
    this.#reserved.delete(id);
    this.#others.set(id, flight);
  }

  /** Keeps an identifier from being given out, until `set` begins a delivery with it. */
  reserve(id: number): void {
    this.#reserved.add(id);
  }

  isReserved(id: number): boolean {
    return this.#reserved.has(id);
  }

  /** An identifier that is free; undefined when there is none. */
  next(): number | undefined {
    for (let at = this.#free.length - 1; at >= 0; at--) {
      const id = this.#free[at];
      if (id === undefined || this.#isTaken(id)) continue;
      this.#free.splice(at, 1);
      return id;
    }
    for (let id = this.#first + this.#low.length; id <= MOST_IDS; id++) {
      this.#low.push(undefined);
      if (!this.#isTaken(id)) return id;
      this.#free.push(id);
    }
    return undefined;
  }

  /** Begins one with an identifier that `next` gave. */
  begin(id: number, flight: Flight): void {
    this.#low[id - this.#first] = flight;
    this.#lowCount++;
  }

  delete(id: number): void {
    if (this.#given(id) === undefined) {
      this.#others.delete(id);
      return;
    }
    this.#low[id - this.#first] = undefined;
    this.#lowCount--;
    this.#free.push(id);
  }

  #given(id: number): Flight | undefined {
    return id < this.#first ? undefined : this.#low[id - this.#first];
  }

  #isTaken(id: number): boolean {
    return this.#others.has(id) || this.#reserved.has(id);
  }
}
