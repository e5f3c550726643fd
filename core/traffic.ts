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
/** Messages a second that are followed from where they are sent to where they are delivered. */
const PROBES_PER_SECOND = 32;
const SECOND_MS = 1000;
/** What takes longer is told well enough by when messages say that they came; what takes less, by those that were followed. */
const FAST_MS = 2;

/** A number that stays a small one, as each delivery counts down from it. */
const MOST_STRIDE = 1_000_000;

/** Watches messages pass, at the price of a countdown for each that is sent and for each delivery. */
export class Traffic {
  /** Undefined: nobody wants to know. */
  readonly tracer: Tracer | undefined;
  /** How long messages were in the broker before they were delivered for the first time; of some of them. */
  readonly latency = new Histogram();
  /** How long clients waited for what they sent to be on disk; one wait at a time is measured. */
  readonly commits = new Histogram();
  /** Deliveries until one is looked at, and sends until one is followed. */
  left = 1;
  sends = 1;
  private readonly clock: Clock;
  /** What `left` counts down from now; and how many deliveries there are still to the next one that is told of. */
  private step = 1;
  private due = 1;
  private stride = 1;
  private passed = 0;
  private sendStride = 1;
  private sent = 0;
  private since: number;
  /** The message that is followed, since when, and when it is given up. */
  private probe: Message | undefined = undefined;
  private probeSince = 0;
  /** What the one before came to, and when. */
  private fastMs = 0;
  private fastAt = Number.NEGATIVE_INFINITY;
  private batch = 0;
  private batchSince = 0;

  constructor(clock: Clock, tracer: Tracer | undefined) {
    this.clock = clock;
    this.tracer = tracer;
    this.since = clock.now();
  }

  /** The countdown of sends is over: this one, about to be sent, is followed. */
  follow(message: Message): void {
    this.sent += this.sendStride;
    this.sends = this.sendStride;
    this.probe = message;
    this.probeSince = this.precise();
    // Its delivery may be the next one.
    this.count();
    this.step = this.left = 1;
  }

  /** The countdown of deliveries is over. What is not new says nothing of how long messages take. */
  look(message: Message, client: Client, isNew: boolean): void {
    this.left = 0;
    this.count();
    if (this.probe !== undefined) this.compare(message);
    if (this.due <= 0) {
      this.due = this.stride;
      this.tracer?.delivered(message, client);
      if (isNew && (message.traits & TRAIT.retained) === 0) this.record(this.clock.now() - message.receivedAt);
    }
    this.step = this.left = this.probe === undefined ? this.due : 1;
  }

  /** Goes by what passed lately; called about once a second. */
  adapt(): void {
    const now = this.clock.now();
    const ms = now - this.since;
    if (ms < SECOND_MS) return;
    this.count();
    const perSecond = (this.passed * SECOND_MS) / ms;
    const sentPerSecond = ((this.sent + this.sendStride - this.sends) * SECOND_MS) / ms;
    // A tracer is to hear of all of them.
    const most = this.tracer === undefined ? MOST_STRIDE : 1;
    this.stride = strideOf(perSecond, LOOKS_PER_SECOND, most);
    this.step = this.left = this.due = this.stride;
    this.sends = this.sendStride = strideOf(sentPerSecond, PROBES_PER_SECOND, MOST_STRIDE);
    this.probe = undefined;
    this.passed = 0;
    this.sent = 0;
    this.since = now;
  }

  /** Takes note of the deliveries since this was done before. */
  private count(): void {
    const deliveries = this.step - this.left;
    this.passed += deliveries;
    this.due -= deliveries;
    this.step = this.left;
  }

  private compare(message: Message): void {
    if (message === this.probe) {
      const ms = this.precise() - this.probeSince;
      this.probe = undefined;
      if (ms > FAST_MS) return;
      this.fastMs = ms;
      this.fastAt = this.clock.now();
    } else if ((this.passed & 63) === 0 && this.precise() - this.probeSince > FAST_MS) {
      this.probe = undefined;
    }
  }

  private record(ms: number): void {
    if (ms > FAST_MS) this.latency.record(ms);
    else if (this.clock.now() - this.fastAt <= SECOND_MS) this.latency.record(this.fastMs);
    else this.latency.record(Math.max(1, ms));
  }

  private precise(): number {
    return this.clock.precise?.() ?? this.clock.now();
  }

  /** Somebody begins to wait for a batch of the store. */
  awaits(batch: number): void {
    if (this.batch !== 0) return;
    this.batch = batch;
    this.batchSince = this.precise();
  }

  /** Batches up to this one are on disk. */
  durable(batch: number): void {
    if (this.batch === 0 || batch < this.batch) return;
    this.batch = 0;
    this.commits.record(this.precise() - this.batchSince);
  }
}

function strideOf(perSecond: number, wanted: number, most: number): number {
  return Math.min(most, Math.max(1, Math.ceil(perSecond / wanted))) | 0;
}
