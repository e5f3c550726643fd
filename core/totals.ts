/*
 * What a virtual host has done so far. Nothing is counted for it: whatever there is keeps its own account, and what goes
 * leaves its account here. So it takes a look at everything there is, and is not to be asked many times a second.
 */
import type { Client } from "./client.ts";
import type { Exchange } from "./exchanges/exchange.ts";
import type { Exchanges } from "./exchanges/exchanges.ts";
import type { DurableSubscription } from "./topic/durable-subscription.ts";
import type { Ledger } from "./ledger.ts";
import type { Queue } from "./queue/queue.ts";
import type { RetainedMessages } from "./topic/retained.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { Subscription } from "./subscription.ts";
import type { Topic } from "./topic/topic.ts";

/** Since the broker started. */
interface Flow {
  /** Messages that clients sent, and that were handed to them. */
  readonly received: number;
  readonly sent: number;
  /**
   * Bytes of messages: those that came to destinations, and those given to subscribers. Who is subscribed with a selector
   * counts as if it took everything.
   */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Messages that were lost because a queue or a subscriber had no room. */
  readonly dropped: number;
  /** Bytes that connections carried, of whatever kind. */
  readonly bytesReceived: number;
  readonly bytesWritten: number;
}

/** What a virtual host has done since the broker started, and what there is of it now. */
export interface HostTotals extends Flow {
  /** Clients that were let in. */
  readonly connections: number;
  /** Clients that are connected, and most of them at any time. */
  readonly clients: number;
  readonly mostClients: number;
  /** Sessions that wait for their clients, and those that waited too long. */
  readonly sessionsAway: number;
  readonly sessionsExpired: number;
  readonly subscriptions: number;
  readonly shares: number;
  /** Deliveries that are not settled yet. */
  readonly inflight: number;
  /** Messages in queues, durable subscriptions and sessions, and retained ones. */
  readonly stored: number;
  readonly storedBytes: number;
  readonly retained: number;
}

/** The parts of a virtual host that have accounts. */
interface Accounts {
  readonly clients: ReadonlySet<Client>;
  readonly queues: ReadonlyMap<string, Queue>;
  readonly topics: ReadonlyMap<string, Topic>;
  readonly exchanges: Exchanges;
  readonly durables: ReadonlyMap<string, DurableSubscription>;
  readonly sessions: Sessions;
  readonly retained: RetainedMessages;
}

type Sum = { -readonly [Name in keyof Flow]: Flow[Name] };

/** The totals of one virtual host. */
export class Totals {
  private readonly host: Accounts;
  private readonly gone = nothing();
  private connections = 0;
  private mostClients = 0;

  constructor(host: Accounts) {
    this.host = host;
  }

  /** What was there when the broker started has not been sent since. */
  open(): void {
    const { receivedBytes, sentBytes } = this.flow();
    this.gone.receivedBytes -= receivedBytes;
    this.gone.sentBytes -= sentBytes;
  }

  came(): void {
    this.connections++;
    this.mostClients = Math.max(this.mostClients, this.host.clients.size);
  }

  clientGone(client: Client): void {
    addClient(this.gone, client);
  }

  subscriptionGone(subscription: Subscription): void {
    addSubscription(this.gone, subscription);
  }

  topicGone(topic: Topic): void {
    addTopic(this.gone, topic);
  }

  exchangeGone(exchange: Exchange): void {
    addTopic(this.gone, exchange);
  }

  queueGone(queue: Queue): void {
    addQueue(this.gone, queue);
  }

  durableGone(durable: DurableSubscription): void {
    addDurable(this.gone, durable);
  }

  /** All of it, as it is now. */
  get now(): HostTotals {
    const { clients, sessions, retained, queues, durables } = this.host;
    const { away, interests, shares } = sessions.sums;
    let subscriptions = interests + shares;
    let inflight = 0;
    for (const client of clients) {
      if (client.session === undefined) subscriptions += client.subscriptions.size;
      for (const { feed } of client.subscriptions) inflight += feed?.held ?? 0;
    }
    let stored = retained.count;
    let storedBytes = retained.bytes;
    for (const queue of queuesOf(queues, durables)) {
      stored += queue.count;
      storedBytes += queue.bytes;
      inflight += queue.held;
    }
    return {
      ...this.flow(),
      connections: this.connections,
      clients: clients.size,
      mostClients: this.mostClients,
      sessionsAway: away,
      sessionsExpired: sessions.expired,
      subscriptions,
      shares,
      inflight,
      stored,
      storedBytes,
      retained: retained.count,
    };
  }

  private flow(): Flow {
    const sum = { ...this.gone };
    const { clients, topics, exchanges, queues, durables } = this.host;
    for (const client of clients) {
      addClient(sum, client);
      for (const subscription of client.subscriptions) addSubscription(sum, subscription);
    }
    for (const topic of topics.values()) addTopic(sum, topic);
    for (const exchange of exchanges.all()) addTopic(sum, exchange);
    for (const queue of queues.values()) addQueue(sum, queue);
    for (const durable of durables.values()) addDurable(sum, durable);
    return sum;
  }
}

function nothing(): Sum {
  return { received: 0, sent: 0, receivedBytes: 0, sentBytes: 0, dropped: 0, bytesReceived: 0, bytesWritten: 0 };
}

function* queuesOf(
  queues: ReadonlyMap<string, Queue>,
  durables: ReadonlyMap<string, DurableSubscription>,
): Iterable<Queue> {
  yield* queues.values();
  for (const { queue } of durables.values()) yield queue;
}

function addClient(sum: Sum, { published, peer }: Client): void {
  sum.received += published;
  sum.bytesReceived += peer.bytesReceived;
  sum.bytesWritten += peer.bytesWritten;
}

function addSubscription(sum: Sum, { delivered, feed }: Subscription): void {
  sum.sent += delivered;
  if (feed !== undefined) sum.dropped += droppedIn(feed.ledger);
}

function addTopic(sum: Sum, { ledger }: Topic | Exchange): void {
  sum.receivedBytes += ledger.receivedBytes;
  sum.sentBytes += ledger.deliveredBytes;
}

function addQueue(sum: Sum, { ledger }: Queue): void {
  sum.receivedBytes += ledger.receivedBytes;
  sum.sentBytes += ledger.deliveredBytes;
  sum.dropped += droppedIn(ledger);
}

/** What its topics handed over is only on its way. */
function addDurable(sum: Sum, { queue: { ledger } }: DurableSubscription): void {
  sum.sentBytes += ledger.deliveredBytes - ledger.receivedBytes;
  sum.dropped += droppedIn(ledger);
}

function droppedIn({ lost }: Ledger): number {
  if (lost.size === 0) return 0;
  return (lost.get("dropped-oldest") ?? 0) + (lost.get("dropped-newest") ?? 0) + (lost.get("refused") ?? 0);
}
