import type { QueueKey, StoredEntry } from "../../core/store.ts";
import type { Pack } from "./pack.ts";

/**
 * What a queue's packs are filed under. A purge gives the queue a new shelf and dooms the old one with all that lies on
 * it, so that it costs one record however much there was.
 */
export class Shelf {
  readonly number: number;
  readonly queue: QueueKey;
  /** True once all that lies on it is to be deleted. */
  doomed = false;
  /** True if something of it may be on disk. */
  used = false;
  /** The packs that are in memory, by first sequence. */
  readonly packs = new Map<number, Pack>();
  /** What was enqueued for the gathering batch, and perhaps taken back. */
  gathering: StoredEntry[] = [];

  constructor(number: number, queue: QueueKey) {
    this.number = number;
    this.queue = queue;
  }

  /** Forgets a pack of which nothing is in memory and nothing to be written. */
  letGo(pack: Pack): void {
    if (pack.held <= 0 && !pack.dirty && !pack.writing) this.packs.delete(pack.first);
  }
}

/** A queue as the store knows it: sums as of the last thing that was said. */
export class StoredQueue {
  readonly key: QueueKey;
  description: string;
  shelf: Shelf;
  count = 0;
  bytes = 0;
  lastSequence = 0;
  /** True if its record is on disk, or in a batch being written. */
  known = false;
  deleted = false;
  /** What the gathering batch has to write about it. */
  changed: "nothing" | "sums" | "all" = "nothing";

  constructor(key: QueueKey, description: string, shelf: Shelf) {
    this.key = key;
    this.description = description;
    this.shelf = shelf;
  }
}
