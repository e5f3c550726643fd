import type { Client } from "./client.ts";
import { type Message, TRAIT } from "./message.ts";
import type { Clock } from "./time/clock.ts";
import { Histogram } from "./time/histogram.ts";

/** Hears of every message that passes, to tell others where it was. Must not call back into the core. */
export interface Tracer {
  /** A client has sent it; with a refusal, it was not taken. */
  published(message: Message, client: Client, refusal?: unknown): void;
  /** A client was given it. */
  delivered(message: Message, client: Client): void;
}

/** Deliveries a second that are looked at: all of them where there are fewer. */
const LOOKS_PER_SECOND = 256;
const SECOND_MS = 1000;

/** A number that stays a small one, as each delivery counts down from it. */
const MOST_STRIDE = 1_000_000;

/** Watches messages pass, at the price of a countdown for each. */
export class Traffic {
  /** Undefined: nobody wants to know. */
  readonly tracer: Tracer | undefined;
  /** How long messages were in the broker before they were delivered for the first time; of some of them. */
  readonly latency = new Histogram();
  /** How long clients waited for what they sent to be on disk; one wait at a time is measured. */
  readonly commits = new Histogram();
  /** Deliveries until one is looked at. */
  left = 1;
  private readonly clock: Clock;
  private stride = 1;
  private passed = 0;
  private since: number;
  private batch = 0;
  private batchSince = 0;

  constructor(clock: Clock, tracer: Tracer | undefined) {
    this.clock = clock;
    this.tracer = tracer;
    this.since = clock.now();
  }

  /** The countdown is over. What is not new says nothing of how long messages take. */
  look(message: Message, client: Client, isNew: boolean): void {
    this.passed += this.stride;
    this.left = this.stride;
    this.tracer?.delivered(message, client);
    if (isNew && (message.traits & TRAIT.retained) === 0) this.latency.record(this.clock.now() - message.receivedAt);
  }

  /** Goes by what passed lately; called about once a second. */
  adapt(): void {
    const now = this.clock.now();
    const ms = now - this.since;
    if (ms < SECOND_MS) return;
    const perSecond = ((this.passed + this.stride - this.left) * SECOND_MS) / ms;
    // A tracer is to hear of all of them.
    const most = this.tracer === undefined ? MOST_STRIDE : 1;
    this.stride = Math.min(most, Math.max(1, Math.ceil(perSecond / LOOKS_PER_SECOND))) | 0;
    this.left = this.stride;
    this.passed = 0;
    this.since = now;
  }

  /** Somebody begins to wait for a batch of the store. */
  awaits(batch: number): void {
    if (this.batch !== 0) return;
    this.batch = batch;
    this.batchSince = this.clock.now();
  }

  /** Batches up to this one are on disk. */
  durable(batch: number): void {
    if (this.batch === 0 || batch < this.batch) return;
    this.batch = 0;
    this.commits.record(this.clock.now() - this.batchSince);
  }
}
