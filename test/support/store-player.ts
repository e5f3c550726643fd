import type { QueueKey, Store } from "../../core/store.ts";
import { type TestEntry, testEntry, testMessage } from "./store-harness.ts";
import { type ScriptStep, scriptQueues } from "./store-script.ts";

/** Plays a script to a store as the core would: some entries stay in memory, others are released and loaded again. */
export class StorePlayer {
  private readonly store: Store;
  private readonly entries = new Map<string, TestEntry>();

  constructor(store: Store) {
    this.store = store;
  }

  /** Makes the queues of the script. */
  putQueues(): void {
    for (const key of scriptQueues) this.store.putQueue(key, `queue ${key}`);
  }

  play(steps: readonly ScriptStep[]): void {
    for (const step of steps) this.say(step);
  }

  /** Releases what is on disk, every third entry excepted. */
  release(): void {
    for (const [name, entry] of this.entries) {
      if (entry.batch > this.store.durable || entry.sequence % 3 === 0) continue;
      this.store.release(queueOf(name), entry);
      entry.message = undefined;
      this.entries.delete(name);
    }
  }

  private say(step: ScriptStep): void {
    switch (step.do) {
      case "send": {
        const message = testMessage({ body: step.body });
        for (const key of step.queues) {
          const entry = testEntry(step.sequence, message);
          this.store.enqueue(key, entry);
          this.entries.set(`${key} ${step.sequence}`, entry);
        }
        return;
      }
      case "settle":
        this.store.dequeue(step.queue, this.entry(step.queue, step.sequence));
        this.entries.delete(`${step.queue} ${step.sequence}`);
        return;
      case "redeliver": {
        const entry = this.entry(step.queue, step.sequence);
        entry.deliveries++;
        this.store.redeliver(step.queue, entry);
        return;
      }
      case "purge":
        this.store.purge(step.queue);
        for (const name of this.entries.keys()) if (queueOf(name) === step.queue) this.entries.delete(name);
        return;
      case "put":
        this.store.put("kind", step.key, Buffer.from(step.value));
    }
  }

  private entry(key: QueueKey, sequence: number): TestEntry {
    const name = `${key} ${sequence}`;
    let entry = this.entries.get(name);
    if (entry === undefined) {
      this.store.load(key, sequence, sequence, 1, ({ entries }) => {
        const found = entries[0];
        if (found !== undefined) entry = { ...found, batch: -1 };
      });
      if (entry === undefined) throw new Error(`queue ${key} has no message ${sequence}`);
      this.entries.set(name, entry);
    }
    return entry;
  }
}

/** What a store holds, in the words of `StoreScript.expected`. */
export function contentsOf(store: Store): string[] {
  const lines: string[] = [];
  for (const key of scriptQueues) {
    store.load(key, 0, 2 ** 47, 2 ** 40, ({ entries }) => {
      for (const entry of entries) {
        lines.push(`${key} ${entry.sequence} ${entry.deliveries} ${entry.message.body.toString()}`);
      }
    });
  }
  for (const { key } of store.keys("kind")) lines.push(`${key}=${store.get("kind", key)?.toString()}`);
  return lines;
}

function queueOf(name: string): QueueKey {
  return Number.parseInt(name, 10);
}
