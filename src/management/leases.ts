import { BrokerError } from "../../core/errors.ts";
import type { Delivery, Outcome } from "../../core/protocol.ts";
import type { Subscription } from "../../core/subscription.ts";
import type { Clock, Random, Timer } from "../../core/time/clock.ts";
import type { HostClient } from "./host-client.ts";

const MOST_LEASES = 1000;

/** Messages that somebody has until it settles them, or the time is over: then they go back, and count as delivered. */
interface Lease {
  readonly host: string;
  readonly user: string | undefined;
  readonly own: HostClient;
  readonly subscription: Subscription;
  readonly deliveries: Map<number, Delivery>;
  readonly timer: Timer;
}

/** The leases of a broker. */
export class Leases {
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly byId = new Map<string, Lease>();

  constructor(clock: Clock, random: Random) {
    this.clock = clock;
    this.random = random;
  }

  /** Throws BrokerError when there may be no further lease. */
  checkRoom(): void {
    if (this.byId.size < MOST_LEASES) return;
    throw new BrokerError("limit", `${this.byId.size} leases are open, the most there may be; settle some, or wait`);
  }

  /** Keeps a client with what it holds; returns the id of the lease. */
  open(own: HostClient, subscription: Subscription, deliveries: ReadonlyMap<number, Delivery>, ms: number): string {
    const id = this.random.token();
    const { client } = own;
    const timer = this.clock.after(ms, () => this.end(id));
    const held = new Map(deliveries);
    this.byId.set(id, { host: client.host.name, user: client.user, own, subscription, deliveries: held, timer });
    return id;
  }

  /**
   * Settles messages of a lease, all if no places are given; returns how many, and how many are left. Throws BrokerError
   * when the lease is not there, or is another user's.
   */
  async settle(
    host: string,
    user: string | undefined,
    id: string,
    outcome: Outcome,
    sequences: readonly number[] | undefined,
  ): Promise<{ settled: number; left: number }> {
    const lease = this.byId.get(id);
    if (lease === undefined || lease.host !== host || lease.user !== user || lease.own.client.closed) {
      throw new BrokerError("not-found", "There is no such lease: it was settled, or its time is over");
    }
    let settled = 0;
    for (const sequence of sequences ?? [...lease.deliveries.keys()]) {
      const delivery = lease.deliveries.get(sequence);
      if (delivery === undefined) continue;
      lease.deliveries.delete(sequence);
      lease.own.client.settle(lease.subscription, delivery, outcome);
      settled++;
    }
    const left = lease.deliveries.size;
    await lease.own.settled();
    if (left === 0) this.end(id);
    return { settled, left };
  }

  private end(id: string): void {
    const lease = this.byId.get(id);
    if (lease === undefined) return;
    this.byId.delete(id);
    lease.timer.cancel();
    lease.own.close();
  }
}
