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
  readonly #low: (Flight | undefined)[] = [undefined];
  readonly #free: number[] = [];
  readonly #others = new Map<number, Flight>();
  #lowCount = 0;

  get size(): number {
    return this.#lowCount + this.#others.size;
  }

  get(id: number): Flight | undefined {
    return this.#low[id] ?? this.#others.get(id);
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  /** Begins one with an identifier that its message has. */
  set(id: number, flight: Flight): void {
    this.#others.set(id, flight);
  }

  /** An identifier that is free; undefined when there is none. */
  next(): number | undefined {
    for (let id = this.#free.pop(); id !== undefined; id = this.#free.pop()) if (!this.#others.has(id)) return id;
    for (let id = this.#low.length; id <= MOST_IDS; id = this.#low.length) {
      this.#low.push(undefined);
      if (!this.#others.has(id)) return id;
    }
    return undefined;
  }

  /** Begins one with an identifier that `next` gave. */
  begin(id: number, flight: Flight): void {
    this.#low[id] = flight;
    this.#lowCount++;
  }

  delete(id: number): void {
    if (this.#low[id] === undefined) {
      this.#others.delete(id);
      return;
    }
    this.#low[id] = undefined;
    this.#lowCount--;
    this.#free.push(id);
  }
}
