import type { Client } from "../client.ts";
import type { Attachments } from "../routing/attachments.ts";
import type { Destinations } from "../routing/destinations.ts";
import type { DurableSubscription } from "../topic/durable-subscription.ts";
import type { Clock, Timer } from "../time/clock.ts";
import { BrokerError } from "../errors.ts";

/** Clients and durable subscriptions that are looked at before others have their turn. */
const MOST_AT_ONCE = 100;

/** What a review needs of its virtual host. */
export interface AccessReviewOptions {
  readonly clock: Clock;
  readonly clients: ReadonlySet<Client>;
  readonly durables: ReadonlyMap<string, DurableSubscription>;
  readonly destinations: Destinations;
  readonly attachments: Attachments;
  /** Throws BrokerError when a client may not be connected any more. */
  readonly checkConnecting: (client: Client) => void;
}

/**
 * Ends what is not allowed any more in one virtual host, after rules or a login have changed: connections, subscriptions,
 * single topics and queues of wildcards. Routes and wills ask by themselves when they are used.
 */
export class AccessReview {
  private readonly options: AccessReviewOptions;
  private work: Iterator<undefined, undefined> | undefined = undefined;
  private timer: Timer | undefined = undefined;

  constructor(options: AccessReviewOptions) {
    this.options = options;
  }

  /** Looks at everybody, some in each turn. One that is under way begins anew. */
  begin(): void {
    this.work = this.everything();
    this.timer ??= this.options.clock.after(0, () => this.goOn());
  }

  /** Looks at one client, now. Not from within anything else that the core does. */
  client(client: Client): void {
    if (client.closed) return;
    const refusal = this.refusalOf(client) ?? client.session?.review();
    if (refusal !== undefined) {
      client.evict(refusal, "not-authorized");
      return;
    }
    for (const subscription of Array.from(client.subscriptions)) {
      if (client.session?.has(subscription) !== true) this.options.attachments.review(subscription);
    }
  }

  /** Looks at nobody any more. */
  close(): void {
    this.timer?.cancel();
    this.work = undefined;
  }

  private goOn(): void {
    this.timer = undefined;
    for (let i = 0; i < MOST_AT_ONCE; i++) if (this.work?.next().done !== false) return;
    this.timer = this.options.clock.after(0, () => this.goOn());
  }

  private *everything(): Generator<undefined, undefined> {
    const { clients, durables, destinations } = this.options;
    for (const client of Array.from(clients)) {
      this.client(client);
      yield;
    }
    for (const durable of Array.from(durables.values())) {
      // It may be gone by now.
      if (durable.reader === undefined || durables.get(durable.id) !== durable) continue;
      destinations.topicBindings.rebind(durable, durable.patterns);
      yield;
    }
    return undefined;
  }

  private refusalOf(client: Client): string | undefined {
    try {
      this.options.checkConnecting(client);
      return undefined;
    } catch (refusal) {
      if (!(refusal instanceof BrokerError)) throw refusal;
      return refusal.message;
    }
  }
}
