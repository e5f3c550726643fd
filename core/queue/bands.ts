import { Band } from "./band.ts";
import type { Engine } from "../engine.ts";
import type { Entry } from "./entry.ts";
import type { Queue } from "./queue.ts";
import { describeQueue, ORDINARY, type QueueDescription } from "./queue-description.ts";
import type { QueueKey } from "../store.ts";

/** The bands of a queue, with what the store keeps to build them again: each has a key of its own there. */
export class Bands {
  /** Of messages with the ordinary priority: in most queues the only one. */
  readonly ordinary: Band;
  /** Highest priority first. */
  readonly all: Band[];
  private readonly queue: Queue;
  private readonly engine: Engine;
  private description: QueueDescription;

  constructor(queue: Queue, engine: Engine, description: QueueDescription) {
    this.queue = queue;
    this.engine = engine;
    this.description = description;
    this.ordinary = new Band(queue, engine, ORDINARY, []);
    this.all = [this.ordinary];
  }

  /** Messages in all of them. */
  get count(): number {
    let count = 0;
    for (const { backlog } of this.all) count += backlog.count;
    return count;
  }

  /** Bytes of the messages in all of them. */
  get bytes(): number {
    let bytes = 0;
    for (const { backlog } of this.all) bytes += backlog.bytes;
    return bytes;
  }

  /** Bytes of messages in memory. */
  get inMemory(): number {
    let bytes = 0;
    for (const { backlog } of this.all) bytes += backlog.inMemory;
    return bytes;
  }

  /** The band of a priority, made if there is none. */
  of(priority: number): Band {
    if (priority === ORDINARY) return this.ordinary;
    const at = this.all.findIndex((band) => band.priority <= priority);
    const there = this.all[at];
    if (there?.priority === priority) return there;
    const band = new Band(this.queue, this.engine, priority, this.queue.audiences);
    this.all.splice(at < 0 ? this.all.length : at, 0, band);
    this.queue.widened(band);
    return band;
  }

  /** Changes what the store keeps. */
  describe(description: QueueDescription): void {
    this.description = description;
    this.keep(this.ordinary);
    for (const { priority, backlog } of this.all) {
      if (backlog.key !== 0) this.engine.putQueue(backlog.key, this.descriptionOf(priority));
    }
  }

  /** Makes sure the store knows a band. */
  keep(band: Band): void {
    if (band.backlog.key !== 0) return;
    const key = this.engine.nextQueueKey();
    this.identify(band, key);
    this.engine.putQueue(key, this.descriptionOf(band.priority));
  }

  /** The store knows a band by this key. */
  identify(band: Band, key: QueueKey): void {
    band.backlog.identify(key);
    this.engine.stored.set(key, band);
  }

  /** Throws away what the store has of them. */
  purge(): void {
    for (const { backlog } of this.all) if (backlog.key !== 0) this.engine.purge(backlog.key);
  }

  /** Ends what the store has of them. */
  delete(): void {
    for (const { backlog } of this.all) {
      if (backlog.key === 0) continue;
      this.engine.deleteQueue(backlog.key);
      this.engine.stored.delete(backlog.key);
    }
  }

  /** Drops from memory what is on disk and not needed soon; returns true while one has more than its share. */
  trim(): boolean {
    let over = false;
    for (const { backlog, lanes } of this.all) if (backlog.trim(lanes.all)) over = true;
    return over;
  }

  /** The oldest of the least important messages that nobody holds; undefined when there is none at hand. */
  oldestFree(): Entry | undefined {
    for (let i = this.all.length - 1; i >= 0; i--) {
      const entry = this.all[i]?.oldestFree();
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  private descriptionOf(priority: number): string {
    const { description } = this;
    return describeQueue(description.kind === "temporary" ? description : { ...description, priority });
  }
}
