import type { Bands } from "./bands.ts";
import type { Engine } from "../engine.ts";
import type { Entry } from "./entry.ts";
import type { Holdings } from "./holdings.ts";
import { Hold } from "./lane.ts";
import type { Message } from "../message.ts";
import type { Queue } from "./queue.ts";
import type { Subscription } from "../subscription.ts";

/** Messages that expired and were passed over in one go, so that a turn stays short. */
const STEPS = 1024;

/** Gives single messages to those who ask for one, past the consumers in their turns. */
export class Pulls {
  private readonly queue: Queue;
  private readonly engine: Engine;
  private readonly bands: Bands;
  private readonly holdings: Holdings;
  /** Those who wait until something was read back. */
  private readonly waiting = new Set<Subscription>();
  /** True while they are served, and when they are to be served once more. */
  private serving = false;
  private again = false;

  constructor(queue: Queue, engine: Engine, bands: Bands, holdings: Holdings) {
    this.queue = queue;
    this.engine = engine;
    this.bands = bands;
    this.holdings = holdings;
  }

  /** Gives a subscription the first message that nobody holds, or tells it that there is none: now, or once it was read. */
  pull(subscription: Subscription): void {
    const found = this.queue.paused || this.queue.deleted ? undefined : this.first();
    if (found === "later") this.waiting.add(subscription);
    else if (found === undefined) subscription.pulledNothing();
    else this.give(found.entry, found.message, subscription);
  }

  /** Something was read back. */
  goOn(): void {
    this.again = true;
    // What is read at once says so while somebody is being served: each is to be given one message.
    if (this.serving) return;
    this.serving = true;
    try {
      while (this.again) {
        this.again = false;
        for (const subscription of Array.from(this.waiting)) {
          this.waiting.delete(subscription);
          if (!subscription.closed) this.pull(subscription);
        }
      }
    } finally {
      this.serving = false;
    }
  }

  private first(): { entry: Entry; message: Message } | "later" | undefined {
    const now = this.engine.clock.now();
    for (const band of this.bands.all) {
      for (let steps = 0; ; steps++) {
        const entry = band.oldestFree();
        if (entry === undefined) {
          if (!band.reads) break;
          return "later";
        }
        if (entry.hasExpired(now)) {
          if (steps >= STEPS) return this.later();
          let gone = false;
          entry.backlog.fetch(entry, () => {
            gone = true;
            entry.backlog.expire(entry);
          });
          if (!gone) return this.later();
        } else if (entry.message === undefined) {
          let there = false;
          entry.backlog.fetch(entry, () => {
            there = true;
            this.queue.loaded();
          });
          if (!there) return "later";
        } else {
          return { entry, message: entry.message };
        }
      }
    }
    return undefined;
  }

  /** What expires late says nothing: looks again in a turn of its own. */
  private later(): "later" {
    this.engine.clock.after(1, () => this.goOn());
    return "later";
  }

  private give(entry: Entry, message: Message, subscription: Subscription): void {
    const { ledger } = this.queue;
    ledger.delivered++;
    ledger.deliveredBytes += entry.size;
    if (subscription.settling) {
      const hold = new Hold(subscription, this.queue);
      subscription.holds.push(hold);
      this.holdings.hold(entry, hold);
      subscription.take(message, entry, entry.deliveries);
    } else {
      ledger.consumed++;
      this.queue.lastConsumedAt = this.engine.turnTime;
      this.queue.remove(entry);
      subscription.take(message, subscription.details ? entry : undefined, entry.deliveries);
    }
    subscription.pulled();
  }
}
