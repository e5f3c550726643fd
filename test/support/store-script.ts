import type { QueueKey } from "../../core/store.ts";

/** One thing to be said to a store. */
export type ScriptStep =
  | { readonly do: "send"; readonly queues: readonly QueueKey[]; readonly sequence: number; readonly body: string }
  | { readonly do: "settle" | "redeliver"; readonly queue: QueueKey; readonly sequence: number }
  | { readonly do: "purge"; readonly queue: QueueKey }
  | { readonly do: "put"; readonly key: string; readonly value: string };

/** The queues that a script uses. */
export const scriptQueues: readonly QueueKey[] = [1, 2, 3];

/** Says the same things in the same order for the same seed, and knows what a store must hold after each turn. */
export class StoreScript {
  private readonly queues = new Map(
    scriptQueues.map((key) => [key, new Map<number, { body: string; back: number }>()]),
  );
  private readonly records = new Map<string, string>();
  private state: number;
  private sequence = 0;

  constructor(seed: number) {
    this.state = seed;
  }

  /** What is said in the next turn; the script counts it as done. */
  turn(): ScriptStep[] {
    const steps: ScriptStep[] = [];
    const count = 1 + this.below(40);
    for (let i = 0; i < count; i++) {
      const step = this.step();
      if (step === undefined) continue;
      this.apply(step);
      steps.push(step);
    }
    return steps;
  }

  /** What must be there, as one line per message and record. */
  expected(): string[] {
    const lines: string[] = [];
    for (const [key, queue] of this.queues) {
      for (const [sequence, { body, back }] of queue) lines.push(`${key} ${sequence} ${back} ${body}`);
    }
    for (const key of [...this.records.keys()].sort()) lines.push(`${key}=${this.records.get(key)}`);
    return lines;
  }

  private step(): ScriptStep | undefined {
    const kind = this.below(100);
    const queue = scriptQueues[this.below(scriptQueues.length)] ?? 1;
    if (kind < 50) {
      const sequence = ++this.sequence;
      const body = `${sequence}`.padEnd(this.below(20) === 0 ? this.below(30_000) : this.below(100), "-");
      return { do: "send", queues: this.below(4) === 0 ? scriptQueues : [queue], sequence, body };
    }
    if (kind === 50) return { do: "purge", queue };
    if (kind < 55) return { do: "put", key: `k${this.below(9)}`, value: `v${this.below(1000)}` };
    const held = [...(this.queues.get(queue)?.keys() ?? [])];
    const sequence = held[this.below(2) === 0 ? 0 : this.below(held.length)];
    if (sequence === undefined) return undefined;
    return { do: kind < 90 ? "settle" : "redeliver", queue, sequence };
  }

  private apply(step: ScriptStep): void {
    switch (step.do) {
      case "send":
        for (const key of step.queues) this.queues.get(key)?.set(step.sequence, { body: step.body, back: 0 });
        return;
      case "settle":
        this.queues.get(step.queue)?.delete(step.sequence);
        return;
      case "redeliver": {
        const found = this.queues.get(step.queue)?.get(step.sequence);
        if (found !== undefined) found.back++;
        return;
      }
      case "purge":
        this.queues.get(step.queue)?.clear();
        return;
      case "put":
        this.records.set(step.key, step.value);
    }
  }

  /** A number from 0 to below the bound (mulberry32). */
  private below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % Math.max(bound, 1);
  }
}
