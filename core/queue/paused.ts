import type { Engine } from "../engine.ts";
import type { Queue } from "./queue.ts";

/** The store's kind of these records. */
const KIND = "paused";

/** Which kind of thing is paused. */
export type PausedKind = "queue" | "dsub";

/** The queues and durable subscriptions of one virtual host that an operator paused: they stay so over a restart. */
export class PausedQueues {
  private readonly engine: Engine;
  private readonly hostName: string;

  constructor(engine: Engine, hostName: string) {
    this.engine = engine;
    this.hostName = hostName;
  }

  pause(kind: PausedKind, name: string, queue: Queue): void {
    if (queue.paused) return;
    // Or an empty one would not be there to be paused after a restart.
    queue.persist();
    this.engine.put(KIND, this.key(kind, name), Buffer.alloc(0));
    queue.pause();
  }

  resume(kind: PausedKind, name: string, queue: Queue): void {
    this.forget(kind, name, queue);
    if (queue.paused) queue.resume();
  }

  /** The queue is to be deleted. */
  forget(kind: PausedKind, name: string, queue: Queue): void {
    if (queue.paused) this.engine.removeRecord(KIND, this.key(kind, name));
  }

  /** Pauses again what was paused when the broker stopped. After recovery. */
  recover(find: (kind: PausedKind, name: string) => Queue | undefined): void {
    const prefix = `${this.hostName}\0`;
    const keys = Array.from(this.engine.store.keys(KIND, prefix), ({ key }) => key);
    for (const key of keys) {
      if (!key.startsWith(prefix)) return;
      const [kind, name] = split(key.slice(prefix.length));
      const queue = find(kind, name);
      if (queue === undefined) this.engine.removeRecord(KIND, key);
      else queue.pause();
    }
  }

  private key(kind: PausedKind, name: string): string {
    return `${this.hostName}\0${kind} ${name}`;
  }
}

function split(text: string): [PausedKind, string] {
  const cut = text.indexOf(" ");
  return [text.slice(0, cut) === "dsub" ? "dsub" : "queue", text.slice(cut + 1)];
}
