import { Type } from "typebox";
import type { HostTotals } from "../../core/totals.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";

/** The totals of a host take a look at everything there is in it: no more often than this. */
const KEPT_MS = 1000;

const count = (description: string) => Type.Integer({ description });

/** What a virtual host, or the broker, has done since it started, and what there is now. */
export const Figures = Type.Object(
  {
    connections: count("Clients that were let in."),
    clients: count("Clients that are connected."),
    most_clients: count("Most of them at any time, of each virtual host by itself."),
    sessions_away: count("Sessions that wait for their clients."),
    subscriptions: count("Subscriptions now."),
    received: count("Messages that clients sent."),
    received_bytes: count("Bytes of messages that came to destinations."),
    sent: count("Messages that clients were handed."),
    sent_bytes: count("Bytes of messages that went to subscribers."),
    dropped: count("Messages that were lost for want of room."),
    inflight: count("Deliveries that are not settled yet."),
    stored: count("Messages in queues, durable subscriptions and sessions, and retained ones."),
    stored_bytes: count("Bytes of them."),
    retained: count("Retained messages."),
    bytes_received: count("Bytes that connections carried in."),
    bytes_written: count("Bytes that connections carried out."),
    queues: count("Queues now."),
    topics: count("Topics now."),
    durable_subscriptions: count("Durable subscriptions now, those of sessions included."),
    exchanges: count("Exchanges now."),
  },
  { title: "Figures" },
);

type Counted = Record<keyof typeof Figures.properties, number>;

/** The figures of virtual hosts, each kept for a moment. */
export class HostFigures {
  private readonly clock: Clock;
  private readonly keptMs: number;
  private readonly kept = new Map<VirtualHost, { readonly at: number; readonly totals: HostTotals }>();

  /** `keptMs` is 0 for who asks seldom and wants what is now. */
  constructor(clock: Clock, keptMs = KEPT_MS) {
    this.clock = clock;
    this.keptMs = keptMs;
  }

  of(host: VirtualHost): Counted {
    const totals = this.totals(host);
    return {
      connections: totals.connections,
      clients: host.clients.size,
      most_clients: totals.mostClients,
      sessions_away: totals.sessionsAway,
      subscriptions: totals.subscriptions,
      received: totals.received,
      received_bytes: totals.receivedBytes,
      sent: totals.sent,
      sent_bytes: totals.sentBytes,
      dropped: totals.dropped,
      inflight: totals.inflight,
      stored: totals.stored,
      stored_bytes: totals.storedBytes,
      retained: totals.retained,
      bytes_received: totals.bytesReceived,
      bytes_written: totals.bytesWritten,
      queues: host.queues.size,
      topics: host.topics.size,
      durable_subscriptions: host.durables.size,
      exchanges: host.exchanges.count,
    };
  }

  /** Of several hosts together. */
  sum(hosts: Iterable<VirtualHost>): Counted {
    let sum: Counted | undefined;
    for (const host of hosts) {
      const one = this.of(host);
      sum = sum === undefined ? one : added(sum, one);
    }
    if (sum === undefined) throw new RangeError("A broker without virtual hosts has no figures");
    return sum;
  }

  private totals(host: VirtualHost): HostTotals {
    const now = this.clock.now();
    const kept = this.kept.get(host);
    if (kept !== undefined && now >= kept.at && now - kept.at < this.keptMs) return kept.totals;
    const totals = host.totals.now;
    this.kept.set(host, { at: now, totals });
    return totals;
  }
}

function added(one: Counted, other: Counted): Counted {
  const sum = { ...one };
  for (const name of keysOf(sum)) sum[name] += other[name];
  return sum;
}

function keysOf<T extends object>(value: T): Extract<keyof T, string>[] {
  const keys: Extract<keyof T, string>[] = [];
  for (const key in value) keys.push(key);
  return keys;
}
