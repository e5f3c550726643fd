import { Alarms } from "./alarms.ts";
import type { Band } from "./queue/band.ts";
import type { Clock, Random } from "./time/clock.ts";
import { ExpiryWheel } from "./queue/expiry.ts";
import { Gate } from "./memory/gate.ts";
import type { Queue } from "./queue/queue.ts";
import { Slab } from "./memory/slab.ts";
import type { QueueKey, Store, StoredEntry } from "./store.ts";
import { type Tracer, Traffic } from "./traffic.ts";

/** Of the memory limit: below this part of it, a closed gate opens again. */
const REOPEN = 0.8;
/** Of the memory limit: above this part of it, queues keep as little in memory as they can. */
const PRESSURE = 0.7;
/** What a queue keeps in memory when the pressure begins; less and less of it, and nothing at `SCARCE` of the limit. */
const PRESSED_BYTES = 64 * 1024;
const SCARCE = 0.95;
/** What one sweep expires at most, so that a turn stays short. */
const SWEEP_ENTRIES = 2000;
const SWEEP_INTERVALS = 50;

/** What an engine is made of. */
interface EngineOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly memoryLimit: number;
  readonly tracer?: Tracer | undefined;
}

/** What all virtual hosts of one broker share: time, the store, the accounts of memory. Nothing here knows an address. */
export class Engine {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly expiry: ExpiryWheel;
  readonly slab = new Slab();
  /** Closed while messages in memory exceed the limit. */
  readonly memoryGate: Gate;
  /** Closed while the store has more to write than it should. */
  readonly storeGate: Gate;
  /** What runs short for the broker as a whole. */
  readonly alarms: Alarms;
  readonly traffic: Traffic;
  /** Queues with more in memory than they should keep; trimmed as their entries reach the disk. */
  readonly overfull = new Set<Queue>();
  /** What the store knows of queues: a key for each of their bands. */
  readonly stored = new Map<QueueKey, Band>();
  /** Queues whose newest messages may still lie in network chunks. */
  readonly fresh = new Set<Queue>();
  /** Grows with every operation the store is given: who sees it grow has something to wait for. */
  writes = 0;
  /** Where everybody who sends has to wait for memory or the end of an alarm; undefined while nobody has to. */
  brake: Gate | undefined = undefined;
  private readonly memoryLimit: number;
  /** 0 until somebody asks. */
  private turn = 0;
  private readonly endTurn = (): void => {
    this.turn = 0;
  };
  private used = 0;
  private lastKey: QueueKey = 0;

  constructor(options: EngineOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.store = options.store;
    this.memoryLimit = options.memoryLimit;
    this.expiry = new ExpiryWheel(options.clock.now());
    const later = (task: () => void): void => this.clock.endOfTurn(task);
    this.memoryGate = new Gate("the broker's memory (memory.messages)", later);
    this.storeGate = new Gate("the store", later);
    this.alarms = new Alarms(later, () => this.setBrake());
    this.traffic = new Traffic(options.clock, options.tracer);
  }

  /** What keeps everybody from sending now. */
  get closedGate(): Gate | undefined {
    return this.storeGate.closed ? this.storeGate : this.brake;
  }

  /** Bytes of messages in memory, of all destinations. */
  get memoryBytes(): number {
    return this.used;
  }

  /** Adds (or, negative, gives back) bytes of messages in memory. */
  account(bytes: number): void {
    this.used += bytes;
    if (bytes > 0) {
      if (this.used > this.memoryLimit && !this.memoryGate.closed) {
        this.memoryGate.close();
        this.setBrake();
      }
    } else if (this.memoryGate.closed && this.used < this.memoryLimit * REOPEN) {
      this.memoryGate.open();
      this.setBrake();
    }
  }

  private setBrake(): void {
    this.brake = this.memoryGate.closed ? this.memoryGate : this.alarms.gate;
  }

  /** What a queue may keep in memory now, of what its policy allows. */
  memoryShare(policyBytes: number): number {
    const left = this.memoryLimit * SCARCE - this.used;
    const room = this.memoryLimit * (SCARCE - PRESSURE);
    if (left >= room) return policyBytes;
    return Math.min(policyBytes, PRESSED_BYTES * Math.max(0, left / room));
  }

  /** Bytes of messages that may be in memory. */
  get memoryLimitBytes(): number {
    return this.memoryLimit;
  }

  putQueue(key: QueueKey, description: string): void {
    this.writes++;
    this.store.putQueue(key, description);
  }

  deleteQueue(key: QueueKey): void {
    this.writes++;
    this.store.deleteQueue(key);
  }

  purge(key: QueueKey): void {
    this.writes++;
    this.store.purge(key);
  }

  enqueue(key: QueueKey, entry: StoredEntry): void {
    this.writes++;
    this.store.enqueue(key, entry);
  }

  dequeue(key: QueueKey, entry: StoredEntry): void {
    this.writes++;
    this.store.dequeue(key, entry);
  }

  redeliver(key: QueueKey, entry: StoredEntry): void {
    this.writes++;
    this.store.redeliver(key, entry);
  }

  put(kind: string, key: string, value: Uint8Array): void {
    this.writes++;
    this.store.put(kind, key, value);
  }

  removeRecord(kind: string, key: string): void {
    this.writes++;
    this.store.remove(kind, key);
  }

  /** Now, as it was when somebody first asked in this turn: the clock is too slow to be read for each message. */
  get turnTime(): number {
    if (this.turn === 0) {
      this.turn = this.clock.now();
      this.clock.endOfTurn(this.endTurn);
    }
    return this.turn;
  }

  /** A queue key that was never used. */
  nextQueueKey(): QueueKey {
    return ++this.lastKey;
  }

  /** Says that a key was used before this start. */
  noteQueueKey(key: QueueKey): void {
    if (key > this.lastKey) this.lastKey = key;
  }

  /** Under pressure also queues that nobody uses have to give back what they may no longer keep. */
  press(): void {
    if (this.used <= this.memoryLimit * PRESSURE) return;
    const share = this.memoryShare(PRESSED_BYTES);
    for (const { queue, backlog } of this.stored.values()) if (backlog.inMemory > share) this.overfull.add(queue);
  }

  /** Lets queues drop from memory what has reached the disk. */
  trim(): void {
    for (const queue of this.overfull) {
      if (!queue.trim()) this.overfull.delete(queue);
    }
  }

  /** Frees network chunks from the messages in them that stay. Called about once a second. */
  detachFresh(): void {
    for (const queue of this.fresh) queue.detachFresh();
    this.fresh.clear();
  }

  /** Expires what is due; returns false when there is more to do soon. */
  sweep(): boolean {
    const now = this.clock.now();
    const intervals = this.store.expired(now, SWEEP_INTERVALS);
    for (const { key, from, to } of intervals) this.stored.get(key)?.backlog.expireStored(from, to);
    return this.expiry.sweep(now, SWEEP_ENTRIES) && intervals.length < SWEEP_INTERVALS;
  }
}
