import type { Consumer } from "./consumer.ts";

/** What the consumers of one channel may be sent together ahead of their acknowledgements (basic.qos, global). */
export class Prefetch {
  /** Whether the client wants deliveries at all (channel.flow). */
  flowing = true;
  /** 0 for no limit. */
  #limit = 0;
  /** Deliveries that wait to be acknowledged. */
  #given = 0;
  readonly #consumers: () => Iterable<Consumer>;
  /** Even without a limit. */
  readonly #most: number;

  constructor(consumers: () => Iterable<Consumer>, most: number) {
    this.#consumers = consumers;
    this.#most = most;
  }

  /** Whether a consumer may be sent anything now. */
  admits({ counted }: Consumer): boolean {
    return this.flowing && !(counted && this.#exhausted);
  }

  /** Something was delivered that is to be acknowledged; false when nothing more may be. */
  given(): boolean {
    this.#given++;
    if (!this.#exhausted) return this.flowing;
    for (const consumer of this.#consumers()) if (consumer.counted) consumer.core?.hold();
    return false;
  }

  /** So many of them were acknowledged or have come back. */
  returned(count: number): void {
    const exhausted = this.#exhausted;
    this.#given -= count;
    if (exhausted && !this.#exhausted) this.#goOn();
  }

  /** basic.qos, global. */
  set limit(limit: number) {
    this.#limit = limit;
    if (this.#exhausted) for (const consumer of this.#consumers()) if (consumer.counted) consumer.core?.hold();
    if (!this.#exhausted) this.#goOn();
  }

  /** channel.flow. */
  flow(active: boolean): void {
    this.flowing = active;
    if (active) this.#goOn();
    else for (const consumer of this.#consumers()) consumer.core?.hold();
  }

  get #exhausted(): boolean {
    return this.#given >= (this.#limit === 0 ? this.#most : this.#limit);
  }

  #goOn(): void {
    for (const consumer of Array.from(this.#consumers())) consumer.goOn();
  }
}
