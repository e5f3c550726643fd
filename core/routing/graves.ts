import type { Address } from "../addresses/address.ts";
import { Directory, type ReadonlyDirectory } from "./directory.ts";
import type { Engine } from "../engine.ts";
import type { Queue } from "../queue/queue.ts";

/** The store's kind of these records: when the first dead letter came, in milliseconds since 1970, as a text. */
const KIND = "grave";

/** A queue that dead letters came to. */
export interface Grave {
  readonly queue: Queue;
  /** When the first of them came: milliseconds since 1970. */
  readonly since: number;
  /** When the last one came; undefined if none did since the broker started. */
  readonly lastAt: number | undefined;
}

/** The queues of one virtual host that dead letters ever came to, by whatever way: this is known over restarts too. */
export class Graves {
  private readonly engine: Engine;
  private readonly hostName: string;
  /** Whether a queue is there again after a restart. */
  private readonly survives: (queue: Queue) => boolean;
  private readonly found = new Directory<Grave>();

  constructor(engine: Engine, hostName: string, survives: (queue: Queue) => boolean) {
    this.engine = engine;
    this.hostName = hostName;
    this.survives = survives;
  }

  /** By the names of the queues. */
  get byName(): ReadonlyDirectory<Grave> {
    return this.found;
  }

  /** A dead letter comes to a queue. */
  note(queue: Queue, { name }: Address): void {
    const now = this.engine.clock.now();
    const since = this.found.get(name)?.since;
    this.found.set(name, { queue, since: since ?? now, lastAt: now });
    if (since === undefined && this.survives(queue)) this.engine.put(KIND, this.key(name), Buffer.from(`${now}`));
  }

  /** A queue is gone. */
  forget({ name }: Address): void {
    if (this.found.delete(name)) this.engine.removeRecord(KIND, this.key(name));
  }

  /** Finds again what was known when the broker stopped. After recovery. */
  recover(find: (name: string) => Queue | undefined): void {
    const prefix = this.key("");
    const keys = Array.from(this.engine.store.keys(KIND, prefix), ({ key }) => key);
    for (const key of keys) {
      if (!key.startsWith(prefix)) return;
      const name = key.slice(prefix.length);
      const queue = find(name);
      const since = Number(this.engine.store.get(KIND, key)?.toString());
      if (queue === undefined) this.engine.removeRecord(KIND, key);
      else this.found.set(name, { queue, since, lastAt: undefined });
    }
  }

  private key(name: string): string {
    return `${this.hostName}\0${name}`;
  }
}
