import type { Clock } from "../../core/time/clock.ts";
import type { Loaded, QueueKey, Store } from "../../core/store.ts";

/**
 * The same store, but what is read back comes only when the next turn ends, as from a slow disk. A single entry comes at
 * once, as from a cache.
 */
export function lateStore(store: Store, clock: Pick<Clock, "endOfTurn">): Store {
  const load = (key: QueueKey, from: number, to: number, maxBytes: number, done: (loaded: Loaded) => void): void => {
    store.load(key, from, to, maxBytes, (loaded) => {
      if (from === to) done(loaded);
      else clock.endOfTurn(() => clock.endOfTurn(() => done(loaded)));
    });
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === "load") return load;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
