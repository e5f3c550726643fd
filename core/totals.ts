/*
 * What a virtual host has done so far. Nothing is counted for it: whatever there is keeps its own account, and what goes
 * leaves its account here. So it takes a look at everything there is, and is not to be asked many times a second.
 */
import type { Client } from "./client.ts";
import type { Exchange } from "./exchanges/exchange.ts";
import type { Exchanges } from "./exchanges/exchanges.ts";
import type { DurableSubscription } from "./topic/durable-subscription.ts";
import type { Ledger, LossReason } from "./ledger.ts";
import type { Queue } from "./queue/queue.ts";
import type { RetainedMessages } from "./topic/retained.ts";
import type { Schedule } from "./schedule/schedule.ts";
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
  /** Deliveries from queues that came back. */
  readonly returned: number;
}

/** What the clients of one protocol have done since the broker started. */
interface ProtocolTotals {
  /** Clients that were let in, and those that are connected. */
  readonly connections: number;
  readonly clients: number;
  readonly received: number;
  readonly sent: number;
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
  /** Messages that destinations and subscribers had and that were not consumed there, by the reason. */
  readonly lost: ReadonlyMap<LossReason, number>;
  /** By what clients call their protocol: `STOMP 1.2`. */
  readonly protocols: ReadonlyMap<string, ProtocolTotals>;
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
  readonly schedule: Schedule;
  readonly unroutable: Ledger;
}

type Sum = { -readonly [Name in keyof Flow]: Flow[Name] };
type ProtocolSum = { -readonly [Name in keyof ProtocolTotals]: ProtocolTotals[Name] };

/** What is added up. */
interface Sums {
  readonly flow: Sum;
  readonly lost: Map<LossReason, number>;
  readonly protocols: Map<string, ProtocolSum>;
}

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
    const { receivedBytes, sentBytes } = this.sums().flow;
    this.gone.flow.receivedBytes -= receivedBytes;
    this.gone.flow.sentBytes -= sentBytes;
  }

  came({ protocol }: Client): void {
    this.connections++;
    ofProtocol(this.gone, protocol).connections++;
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
    const { flow, lost, protocols } = this.sums();
    return {
      ...flow,
      lost,
      protocols,
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

  private sums(): Sums {
    const sum = copyOf(this.gone);
    const { clients, topics, exchanges, queues, durables, schedule, unroutable } = this.host;
    for (const client of clients) {
      addClient(sum, client);
      ofProtocol(sum, client.protocol).clients++;
      for (const subscription of client.subscriptions) addSubscription(sum, subscription);
    }
    for (const topic of topics.values()) addTopic(sum, topic);
    for (const exchange of exchanges.all()) addTopic(sum, exchange);
    for (const queue of queues.values()) addQueue(sum, queue);
    for (const durable of durables.values()) addDurable(sum, durable);
    addLost(sum, schedule.ledger);
    addLost(sum, unroutable);
    return sum;
  }
}

function nothing(): Sums {
  return {
    flow: {
      received: 0,
      sent: 0,
      receivedBytes: 0,
      sentBytes: 0,
      dropped: 0,
      bytesReceived: 0,
      bytesWritten: 0,
      returned: 0,
    },
    lost: new Map(),
    protocols: new Map(),
  };
}

function copyOf({ flow, lost, protocols }: Sums): Sums {
  const copies = [...protocols].map(([name, totals]): [string, ProtocolSum] => [name, { ...totals }]);
  return { flow: { ...flow }, lost: new Map(lost), protocols: new Map(copies) };
}

function ofProtocol({ protocols }: Sums, name: string): ProtocolSum {
  let totals = protocols.get(name);
  if (totals === undefined) {
    totals = { connections: 0, clients: 0, received: 0, sent: 0 };
    protocols.set(name, totals);
  }
  return totals;
}

function* queuesOf(
  queues: ReadonlyMap<string, Queue>,
  durables: ReadonlyMap<string, DurableSubscription>,
): Iterable<Queue> {
  yield* queues.values();
  for (const { queue } of durables.values()) yield queue;
}

function addClient(sum: Sums, { published, peer, protocol }: Client): void {
  const { flow } = sum;
  flow.received += published;
  flow.bytesReceived += peer.bytesReceived;
  flow.bytesWritten += peer.bytesWritten;
  ofProtocol(sum, protocol).received += published;
}

function addSubscription(sum: Sums, { delivered, feed, client }: Subscription): void {
  sum.flow.sent += delivered;
  ofProtocol(sum, client.protocol).sent += delivered;
  if (feed === undefined) return;
  addDropped(sum, feed.ledger);
  // Nobody else knows of that queue.
  if (feed.spillQueue !== undefined) addLost(sum, feed.spillQueue.ledger);
}

function addTopic(sum: Sums, { ledger }: Topic | Exchange): void {
  sum.flow.receivedBytes += ledger.receivedBytes;
  sum.flow.sentBytes += ledger.deliveredBytes;
  addLost(sum, ledger);
}

function addQueue(sum: Sums, { ledger }: Queue): void {
  sum.flow.receivedBytes += ledger.receivedBytes;
  sum.flow.sentBytes += ledger.deliveredBytes;
  sum.flow.returned += ledger.returned;
  addDropped(sum, ledger);
}

/** What its topics handed over is only on its way. */
function addDurable(sum: Sums, { queue: { ledger } }: DurableSubscription): void {
  sum.flow.sentBytes += ledger.deliveredBytes - ledger.receivedBytes;
  sum.flow.returned += ledger.returned;
  addDropped(sum, ledger);
}

function addDropped(sum: Sums, ledger: Ledger): void {
  const { lost } = ledger;
  if (lost.size === 0) return;
  sum.flow.dropped +=
    (lost.get("dropped-oldest") ?? 0) + (lost.get("dropped-newest") ?? 0) + (lost.get("refused") ?? 0);
  addLost(sum, ledger);
}

function addLost(sum: Sums, { lost }: Ledger): void {
  for (const [reason, count] of lost) sum.lost.set(reason, (sum.lost.get(reason) ?? 0) + count);
}
