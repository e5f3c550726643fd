/*
 * Ends what is not allowed any more in one virtual host, after rules or a login have changed: connections, subscriptions,
 * single topics and queues of wildcards, bindings. Routes and wills ask by themselves when they are used.
 *
 *     clients, what leads on, durable subscriptions -> pieces of work, so many steps in a turn
 *                                                       a piece that takes longer waits behind all others
 */
import type { Client } from "../client.ts";
import type { Leads } from "./leads.ts";
import type { Attachments } from "../routing/attachments.ts";
import type { Destinations } from "../routing/destinations.ts";
import type { DurableSubscription } from "../topic/durable-subscription.ts";
import type { DurableSubscriptions } from "../topic/durable-subscriptions.ts";
import type { Clock, Timer } from "../time/clock.ts";
import { BrokerError } from "../errors.ts";

/** Something that is looked at a little at a time; what it yields is how much that was. */
export type Steps<T = void> = Generator<number, T, void>;

/** What it comes to to look again at what a wildcard of topics gives. */
export const WILDCARD_STEPS = 200;

/** What it comes to to find out what rules say of a client. */
const CLIENT_STEPS = 10;

/** Steps before others have their turn. */
const STEPS_IN_A_TURN = 1000;

/** What a review needs of its virtual host. */
export interface AccessReviewOptions {
  readonly clock: Clock;
  readonly clients: ReadonlySet<Client>;
  readonly durableSubscriptions: DurableSubscriptions;
  readonly destinations: Destinations;
  readonly attachments: Attachments;
  readonly leads: Leads;
  /** Throws BrokerError when a client may not be connected any more. */
  readonly checkConnecting: (client: Client) => void;
}

/** Looks at everybody in one virtual host whose rights may be others now. */
export class AccessReview {
  private readonly options: AccessReviewOptions;
  /** What is still to be begun. */
  private pieces: Iterator<Steps, undefined, void> | undefined = undefined;
  /** What was begun and is not done. */
  private begun: Steps[] = [];
  private timer: Timer | undefined = undefined;

  constructor(options: AccessReviewOptions) {
    this.options = options;
  }

  /** Looks at everybody, some in each turn. A review that is under way begins anew. */
  begin(): void {
    this.pieces = this.everything();
    this.begun = [];
    this.goOnLater();
  }

  /** Looks at one client: now, and if that takes long in the next turns. Not from within anything else that the core does. */
  client(client: Client): void {
    const piece = this.afterLogin(client);
    if (carryOn(piece, STEPS_IN_A_TURN) > 0) return;
    this.begun.push(piece);
    this.goOnLater();
  }

  /** Looks at nobody any more. */
  close(): void {
    this.timer?.cancel();
    this.pieces = undefined;
    this.begun = [];
  }

  private goOnLater(): void {
    this.timer ??= this.options.clock.after(0, () => this.goOn());
  }

  private goOn(): void {
    this.timer = undefined;
    for (let left = STEPS_IN_A_TURN; left > 0; ) {
      const piece = this.next();
      if (piece === undefined) return;
      left = carryOn(piece, left);
      if (left <= 0) this.begun.push(piece);
    }
    this.goOnLater();
  }

  private next(): Steps | undefined {
    const { value } = this.pieces?.next() ?? { value: undefined };
    if (value !== undefined) return value;
    this.pieces = undefined;
    return this.begun.shift();
  }

  private *everything(): Generator<Steps, undefined, void> {
    const { clients, durableSubscriptions, leads } = this.options;
    for (const client of Array.from(clients)) yield this.ofClient(client);
    yield leads.review();
    for (const durable of Array.from(durableSubscriptions.byId.values())) yield this.ofDurable(durable);
    return undefined;
  }

  private *ofClient(client: Client): Steps {
    yield CLIENT_STEPS;
    if (client.closed) return;
    const { session } = client;
    let refusal = this.refusalOf(client);
    if (refusal === undefined && session !== undefined) refusal = yield* session.review();
    if (refusal !== undefined) {
      client.evict(refusal, "not-authorized");
      return;
    }
    for (const subscription of Array.from(client.subscriptions)) {
      if (session?.has(subscription) !== true) yield* this.options.attachments.review(subscription);
      yield 1;
    }
    yield* this.options.leads.reviewOf(client);
  }

  /** The durable subscriptions that it has go by the new login, too. */
  private *afterLogin(client: Client): Steps {
    const { durableSubscriptions } = this.options;
    for (const { durable: id = "" } of Array.from(client.subscriptions)) {
      const durable = durableSubscriptions.byId.get(id);
      if (durable?.kind !== "durable" || durable.reader !== client.permissions) continue;
      durableSubscriptions.renewOwner(durable);
      yield* this.ofDurable(durable);
    }
    yield* this.ofClient(client);
  }

  private *ofDurable(durable: DurableSubscription): Steps {
    yield 1;
    // It may be gone by now.
    if (durable.reader === undefined || this.options.durableSubscriptions.byId.get(durable.id) !== durable) return;
    for (const pattern of Array.from(durable.patterns)) {
      this.options.destinations.topicBindings.renew(durable, pattern);
      yield pattern.address === undefined ? WILDCARD_STEPS : 1;
    }
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

/** Goes on with a piece for so many steps; returns how many are left when it is done, and none when it is not. */
function carryOn(piece: Steps, steps: number): number {
  let left = steps;
  while (left > 0) {
    const { value, done } = piece.next();
    if (done === true) return left;
    left -= value;
  }
  return 0;
}
