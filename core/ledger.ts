/** Why a message that came in was never consumed: all the reasons there are. */
export const LOSS_REASONS = [
  "expired",
  "no-subscriber",
  /** Sent to an exchange that leads nowhere with its key. */
  "unroutable",
  "dropped-oldest",
  "dropped-newest",
  "subscriber-gone",
  "purged",
  "deleted",
  "refused",
  "damaged",
  /** Moved to the dead letters of its queue. */
  "dead-lettered",
  /** At the limit of deliveries, or rejected by a consumer, with no dead-letter queue to go to. */
  "delivery-limit",
  "rejected",
  /** Sent again with an id that was seen before. */
  "duplicate",
  /** A newer message with the same last-value key came. */
  "replaced",
  /** An operator moved it to another queue. */
  "moved",
  /** A divert took it elsewhere. */
  "diverted",
  /** Kept in the schedule until its time. */
  "scheduled",
  /** Diverted in a circle. */
  "loop",
] as const;

/** Why a message that came in was never consumed. */
export type LossReason = (typeof LOSS_REASONS)[number];

const NOTHING_LOST: ReadonlyMap<LossReason, number> = new Map();

/**
 * The account of one destination: `received = consumed + stored + the sum of lost` holds whenever the core is at rest,
 * with `stored` being what the destination holds now.
 */
export class Ledger {
  received = 0;
  receivedBytes = 0;
  consumed = 0;
  /** Deliveries made, repeated ones included. */
  delivered = 0;
  deliveredBytes = 0;
  /** Deliveries that came back. */
  returned = 0;
  /** Most destinations never lose a message, and there may be millions of them. */
  private losses: Map<LossReason, number> | undefined = undefined;

  /** Messages that were never consumed, by the reason. */
  get lost(): ReadonlyMap<LossReason, number> {
    return this.losses ?? NOTHING_LOST;
  }

  /** Counts messages under the reason for which they were never consumed. */
  lose(reason: LossReason, count = 1): void {
    this.losses ??= new Map();
    this.losses.set(reason, (this.losses.get(reason) ?? 0) + count);
  }

  /** Counts a message that came and does not go in. */
  turnAway(bytes: number, reason: LossReason): void {
    this.received++;
    this.receivedBytes += bytes;
    this.lose(reason);
  }

  /** The sum over all reasons. */
  get lostTotal(): number {
    let total = 0;
    for (const count of this.lost.values()) total += count;
    return total;
  }
}
