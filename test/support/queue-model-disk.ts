import type { Message } from "../../core/message.ts";
import type { QueueKey, Store, StoredEntry, StoreListener } from "../../core/store.ts";

interface KeptQueue {
  description: string;
  readonly entries: Map<number, { readonly message: Message; deliveries: number }>;
}

/**
 * What is on a disk, beside a store that says it has written it. A batch gets there whole when it is durable; of one that
 * still gathers nothing does, so that another store can be filled with what a crash leaves.
 */
export class ModelDisk {
  private readonly queues = new Map<QueueKey, KeptQueue>();
  private readonly records = new Map<string, { kind: string; key: string; value: Uint8Array }>();
  private batch: (() => void)[] = [];

  /** The same store, of which this disk hears. */
  under(store: Store): Store {
    const open = (listener: StoreListener): ReturnType<Store["open"]> => {
      const durable = (batch: number): void => {
        for (const write of this.batch.splice(0)) write();
        listener.durable(batch);
      };
      return store.open({ ...listener, durable });
    };
    const heard = new Map<string | symbol, unknown>([["open", open], ...Object.entries(this.writes(store))]);
    return new Proxy(store, {
      get(target, name) {
        const value: unknown = heard.get(name) ?? Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** Gives an empty store all that is here, and forgets what was still to be written. */
  restore(store: Store): void {
    this.batch = [];
    for (const [key, { description, entries }] of this.queues) {
      store.putQueue(key, description);
      for (const [sequence, kept] of entries) {
        const message = store.decode(store.encode(kept.message));
        store.enqueue(key, { sequence, message, deliveries: kept.deliveries, batch: 0, place: undefined });
      }
    }
    for (const { kind, key, value } of this.records.values()) store.put(kind, key, value);
  }

  /** Everything that is here, in whatever queue. */
  *messages(): Iterable<{ readonly message: Message; readonly deliveries: number }> {
    for (const { entries } of this.queues.values()) yield* entries.values();
  }

  private writes(store: Store): Partial<Store> {
    const { queues, records } = this;
    const later = (write: () => void): void => void this.batch.push(write);
    return {
      putQueue: (key, description) => {
        store.putQueue(key, description);
        later(() => queues.set(key, { entries: new Map(), ...queues.get(key), description }));
      },
      deleteQueue: (key) => {
        store.deleteQueue(key);
        later(() => queues.delete(key));
      },
      purge: (key) => {
        store.purge(key);
        later(() => queues.get(key)?.entries.clear());
      },
      enqueue: (key, entry) => {
        store.enqueue(key, entry);
        const { sequence, deliveries, message } = entry;
        if (message !== undefined) later(() => queues.get(key)?.entries.set(sequence, { message, deliveries }));
      },
      dequeue: (key, entry) => {
        store.dequeue(key, entry);
        later(() => queues.get(key)?.entries.delete(entry.sequence));
      },
      redeliver: (key, entry: StoredEntry) => {
        store.redeliver(key, entry);
        const { sequence, deliveries } = entry;
        later(() => {
          const kept = queues.get(key)?.entries.get(sequence);
          if (kept !== undefined) kept.deliveries = deliveries;
        });
      },
      put: (kind, key, value) => {
        store.put(kind, key, value);
        later(() => records.set(`${kind} ${key}`, { kind, key, value }));
      },
      remove: (kind, key) => {
        store.remove(kind, key);
        later(() => records.delete(`${kind} ${key}`));
      },
    };
  }
}
