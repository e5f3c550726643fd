import type { Store, StoreListener } from "../../core/store.ts";

/** Beside a store: lets it say that a batch is durable only when it is let, as on a slow disk. */
export class DurabilityGate {
  #held = false;
  #reached = 0;
  #announced = 0;
  #announce: (batch: number) => void = () => {};

  /** The same store, but for what it says of durability. */
  under(store: Store): Store {
    const open = (listener: StoreListener): ReturnType<Store["open"]> => {
      this.#announce = (batch) => listener.durable(batch);
      const durable = (batch: number): void => {
        this.#reached = batch;
        if (!this.#held) this.#tell();
      };
      return store.open({
        durable,
        failed: (cause) => listener.failed(cause),
        congested: (congested) => listener.congested(congested),
      });
    };
    return new Proxy(store, {
      get: (target, name) => {
        if (name === "open") return open;
        if (name === "durable") return this.#announced;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** Nothing becomes durable until `letGo`. */
  hold(): void {
    this.#held = true;
  }

  /** All that was written is durable now, and what is written from now on is when its turn ends. */
  letGo(): void {
    this.#held = false;
    if (this.#reached > this.#announced) this.#tell();
  }

  #tell(): void {
    this.#announced = this.#reached;
    this.#announce(this.#announced);
  }
}
