import type { Entry } from "./entry.ts";
import { Hold, type Holder } from "./lane.ts";
import type { Message } from "../message.ts";
import type { Queue } from "./queue.ts";
import type { Redelivery } from "./redelivery.ts";

/** How a message ended its life in a queue. */
export interface Death {
  readonly reason: "delivery-limit" | "rejected" | "expired" | "overflow";
  /** Where it was, and how often it had been delivered. */
  readonly sequence: number;
  readonly deliveries: number;
}

/** Who takes a queue's dead letters and expired messages. */
export interface DeadLetters {
  /**
   * Hands a message on, within this turn. "stays": it is where such messages go already, and is delivered again;
   * "nowhere": there is no place for it.
   */
  take(queue: Queue, message: Message, death: Death): "moved" | "stays" | "nowhere";
}

/** How messages leave a queue that were not consumed: each is counted under its reason and offered to the dead letters. */
export class Departures {
  private readonly queue: Queue;
  private readonly redelivery: Redelivery;
  private readonly deadLetters: DeadLetters | undefined;
  /** Has what is not to be delivered any more, until its message was read. */
  private readonly burial: Holder;

  /** Without `deadLetters` there is no place for any. */
  constructor(queue: Queue, redelivery: Redelivery, deadLetters: DeadLetters | undefined) {
    this.queue = queue;
    this.redelivery = redelivery;
    this.deadLetters = deadLetters;
    this.burial = new Hold(undefined, queue);
  }

  /** An entry is not to be delivered any more. */
  bury(entry: Entry, reason: "delivery-limit" | "rejected"): void {
    const { queue } = this;
    // Nobody is given it while its message is read.
    entry.holder = this.burial;
    entry.backlog.fetch(entry, (message) => {
      entry.holder = undefined;
      const { sequence, deliveries } = entry;
      const fate = this.deadLetters?.take(queue, message, { reason, sequence, deliveries }) ?? "nowhere";
      if (fate === "stays") this.redelivery.redeliver(entry);
      else queue.take(entry, fate === "moved" ? "dead-lettered" : reason);
    });
  }

  /** A message's time is over; its entry, if there is one, is the caller's to take out. */
  expire(message: Message | undefined, sequence: number, deliveries: number): void {
    const { queue } = this;
    queue.ledger.lose("expired");
    const { expiryQueue, deadLetterExchange } = queue.policy;
    if (message === undefined || (expiryQueue === undefined && deadLetterExchange === undefined)) return;
    this.deadLetters?.take(queue, message, { reason: "expired", sequence, deliveries });
  }

  /** A newer message of its value is there. */
  replace(entry: Entry): void {
    this.redelivery.cancel(entry);
    this.queue.take(entry, "replaced");
  }

  /** Takes out the oldest of the least important messages that nobody holds; false when there is none at hand. */
  dropOldest(): boolean {
    const { queue } = this;
    const entry = queue.oldestFree();
    if (entry === undefined) return false;
    const message = queue.policy.deadLetterExchange === undefined ? undefined : entry.backlog.messageOf(entry);
    const { sequence, deliveries } = entry;
    queue.take(entry, "dropped-oldest");
    if (message !== undefined) this.deadLetters?.take(queue, message, { reason: "overflow", sequence, deliveries });
    return true;
  }

  /** Has a message that the queue has no room for among the dead letters, and counts it as dropped. */
  turnAway(message: Message): void {
    const { queue } = this;
    queue.ledger.lose("dropped-newest");
    this.deadLetters?.take(queue, message, { reason: "overflow", sequence: queue.lastSequence + 1, deliveries: 0 });
  }
}
