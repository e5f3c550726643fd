import { Agenda } from "../time/agenda.ts";
import type { Engine } from "../engine.ts";
import type { Entry } from "./entry.ts";
import { Hold } from "./lane.ts";
import type { Outcome } from "../protocol.ts";
import type { Queue } from "./queue.ts";

/** Messages of one queue that may wait for their next delivery; of more than that the first one's time comes early. */
const MOST_RESTING = 100_000;

/**
 * What becomes of a message that a consumer did not consume: it is delivered again at once or, in its place in the queue,
 * rests for a while; or it has been delivered too often. Who rests is not written down: after a restart nobody does.
 */
export class Redelivery {
  /** Who has the messages that rest. */
  readonly holder: Hold;
  private readonly queue: Queue;
  private readonly engine: Engine;
  private readonly agenda: Agenda<Entry>;

  constructor(queue: Queue, engine: Engine) {
    this.queue = queue;
    this.engine = engine;
    this.holder = new Hold(undefined, queue);
    this.agenda = new Agenda(
      engine.clock,
      (entry) => this.wake(entry),
      () => queue.dispatch(),
    );
  }

  get resting(): number {
    return this.holder.held;
  }

  /** Why an entry is not to be delivered again, its deliveries counted already. */
  deathOf(entry: Entry, outcome: Outcome): "delivery-limit" | "rejected" | undefined {
    if (outcome === "rejected") return "rejected";
    const { maxDeliveries } = this.queue.policy;
    return maxDeliveries > 0 && entry.deliveries >= maxDeliveries ? "delivery-limit" : undefined;
  }

  /** An entry is to be delivered again: at once or, where the policy says so, after a rest. */
  redeliver(entry: Entry): void {
    if (!this.rest(entry)) entry.backlog.takeBack(entry);
  }

  /** Ends the rest of an entry that leaves the queue. */
  cancel(entry: Entry): void {
    if (entry.holder !== this.holder) return;
    entry.holder = undefined;
    this.holder.held--;
  }

  /** Ends everybody's rest: they leave the queue. */
  forget(): void {
    this.agenda.clear();
    this.holder.held = 0;
  }

  /** Lets an entry rest; false when it need not. */
  private rest(entry: Entry): boolean {
    const delay = this.delayOf(entry.deliveries);
    if (delay <= 0) return false;
    // Also what has left the queue meanwhile is there until its time.
    while (this.agenda.size >= MOST_RESTING) {
      const first = this.agenda.takeFirst();
      if (first === undefined) break;
      this.wake(first);
    }
    entry.holder = this.holder;
    this.holder.held++;
    this.agenda.add(this.engine.clock.now() + delay, entry);
    return true;
  }

  private wake(entry: Entry): void {
    // It may have left the queue meanwhile.
    if (entry.holder !== this.holder) return;
    this.cancel(entry);
    this.queue.rested(entry);
  }

  private delayOf(deliveries: number): number {
    const { redeliveryDelayMs, redeliveryMultiplier, redeliveryMaxDelayMs, redeliveryJitter } = this.queue.policy;
    if (redeliveryDelayMs === 0) return 0;
    const delay = Math.min(redeliveryDelayMs * redeliveryMultiplier ** (deliveries - 1), redeliveryMaxDelayMs);
    return redeliveryJitter === 0 ? delay : delay * (1 + redeliveryJitter * (2 * this.engine.random.fraction() - 1));
  }
}
