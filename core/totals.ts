/*
 * What a virtual host has done so far. Nothing is counted for it: whatever there is keeps its own account, and what goes
 * leaves its account here. So it takes a look at everything there is, in pieces where there may be much:
 *
 *     begun:  gone, and a list of what is there  ->  account by account, others have their turn between  ->  the totals
 *
 * What leaves while a look is under way is in its list, and so counted once: totals never go down.
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
import type { SessionState } from "./sessions/session-state.ts";
import type { Subscription } from "./subscription.ts";
import type { Topic } from "./topic/topic.ts";

/** Since the broker started. */
interface Flow {
  /** Messages that clients sent, and that were handed to them. */
  readonly received: number;
  readonly sent: number;
  /** Bytes of these messages. */
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
export interface ProtocolTotals {
  /** Clients that were let in, and those that are connected. */
  readonly connections: number;
  readonly clients: number;
  readonly received: number;
  readonly receivedBytes: number;
  readonly sent: number;
  readonly sentBytes: number;
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

/** What is of interest only as it is now. */
interface Stock {
  subscriptions: number;
  shares: number;
  inflight: number;
  stored: number;
  storedBytes: number;
  sessionsAway: number;
}

/** A look that is under way. */
interface Look {
  readonly sums: Sums;
  readonly stock: Stock;
  /** Whose subscriptions are counted, or about to be. */
  readonly seen: Set<Client>;
}

/** Accounts that are looked at before others may have their turn. */
const PIECE = 250;

/** The totals of one virtual host. */
export class Totals {
  private readonly host: Accounts;
  private readonly gone = nothing();
  private readonly looks = new Set<Look>();
  private connections = 0;
  private mostClients = 0;

  constructor(host: Accounts) {
    this.host = host;
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
    for (const { sums, seen } of this.looks) if (!seen.has(subscription.client)) addSubscription(sums, subscription);
  }

  topicGone({ ledger }: Topic): void {
    addLost(this.gone, ledger);
  }

  exchangeGone({ ledger }: Exchange): void {
    addLost(this.gone, ledger);
  }

  queueGone(queue: Queue): void {
    addQueue(this.gone, queue);
  }

  durableGone({ queue }: DurableSubscription): void {
    addQueue(this.gone, queue);
  }

  /** All of it, in one turn: of a host with hundred thousands of queues that takes a while. */
  get now(): HostTotals {
    const look = this.look();
    for (;;) {
      const { done, value } = look.next();
      if (done === true) return value;
    }
  }

  /**
   * All of it, a piece of so many accounts with each `next`. Others may have their turn between pieces: what they do meanwhile
   * is counted now or by the next look. To be finished, or ended with `return`.
   */
  *look(piece = PIECE): Generator<undefined, HostTotals, undefined> {
    const look: Look = {
      sums: copyOf(this.gone),
      stock: { subscriptions: 0, shares: 0, inflight: 0, stored: 0, storedBytes: 0, sessionsAway: 0 },
      seen: new Set(),
    };
    const { clients, queues, durables, topics, exchanges, schedule, unroutable, sessions } = this.host;
    addLost(look.sums, schedule.ledger);
    addLost(look.sums, unroutable);
    // Now, as what goes from now on is not among what has gone.
    const allClients = [...clients];
    const allQueues = [...queues.values()];
    for (const { queue } of durables.values()) allQueues.push(queue);
    const ledgers = Array.from(topics.values(), ({ ledger }) => ledger);
    for (const { ledger } of exchanges.all()) ledgers.push(ledger);
    this.looks.add(look);
    try {
      yield* inPieces(piece, allClients, (client) => lookAtClient(look, client));
      yield* inPieces(piece, allQueues, (queue) => lookAtQueue(look, queue));
      yield* inPieces(piece, ledgers, (ledger) => addLost(look.sums, ledger));
      yield* inPieces(piece, sessions.all.values(), (session) => lookAtSession(look, session));
    } finally {
      this.looks.delete(look);
    }
    return this.totalsOf(look);
  }

  private totalsOf({ sums: { flow, lost, protocols }, stock }: Look): HostTotals {
    const { clients, sessions, retained } = this.host;
    return {
      ...flow,
      lost,
      protocols,
      ...stock,
      connections: this.connections,
      clients: clients.size,
      mostClients: this.mostClients,
      sessionsExpired: sessions.expired,
      stored: stock.stored + retained.count,
      storedBytes: stock.storedBytes + retained.bytes,
      retained: retained.count,
    };
  }
}

function* inPieces<T>(
  piece: number,
  items: Iterable<T>,
  each: (item: T) => void,
): Generator<undefined, void, undefined> {
  let looked = 0;
  for (const item of items) {
    each(item);
    if (++looked % piece === 0) yield undefined;
  }
}

function lookAtClient({ sums, stock, seen }: Look, client: Client): void {
  seen.add(client);
  addClient(sums, client);
  if (!client.closed) ofProtocol(sums, client.protocol).clients++;
  if (client.session === undefined) stock.subscriptions += client.subscriptions.size;
  for (const subscription of client.subscriptions) {
    addSubscription(sums, subscription);
    const { feed } = subscription;
    if (feed === undefined) continue;
    stock.inflight += feed.held;
    if (feed.spillQueue !== undefined) take(stock, feed.spillQueue);
  }
}

function lookAtQueue({ sums, stock }: Look, queue: Queue): void {
  addQueue(sums, queue);
  take(stock, queue);
}

function take(stock: Stock, { count, bytes, held }: Queue): void {
  stock.stored += count;
  stock.storedBytes += bytes;
  stock.inflight += held;
}

function lookAtSession({ stock }: Look, { connection, interests, shares }: SessionState): void {
  if (connection === undefined) stock.sessionsAway++;
  stock.subscriptions += interests.size + shares.size;
  stock.shares += shares.size;
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
    totals = { connections: 0, clients: 0, received: 0, receivedBytes: 0, sent: 0, sentBytes: 0 };
    protocols.set(name, totals);
  }
  return totals;
}

function addClient(sums: Sums, { published, publishedBytes, peer, protocol }: Client): void {
  const { flow } = sums;
  flow.received += published;
  flow.receivedBytes += publishedBytes;
  flow.bytesReceived += peer.bytesReceived;
  flow.bytesWritten += peer.bytesWritten;
  const own = ofProtocol(sums, protocol);
  own.received += published;
  own.receivedBytes += publishedBytes;
}

function addSubscription(sums: Sums, { delivered, deliveredBytes, feed, client }: Subscription): void {
  sums.flow.sent += delivered;
  sums.flow.sentBytes += deliveredBytes;
  const own = ofProtocol(sums, client.protocol);
  own.sent += delivered;
  own.sentBytes += deliveredBytes;
  if (feed === undefined) return;
  addDropped(sums, feed.ledger);
  // Nobody else knows of that queue.
  if (feed.spillQueue !== undefined) addQueue(sums, feed.spillQueue);
}

function addQueue(sums: Sums, { ledger }: Queue): void {
  sums.flow.returned += ledger.returned;
  addDropped(sums, ledger);
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
