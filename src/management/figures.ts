import { Type } from "typebox";
import type { HostTotals } from "../../core/totals.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import type { HostLooks } from "../metrics/host-looks.ts";

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
    received_bytes: count("Bytes of them."),
    sent: count("Messages that clients were handed."),
    sent_bytes: count("Bytes of them."),
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

/** What `Figures` describes. */
export type Counted = Record<keyof typeof Figures.properties, number>;

/** The figures of virtual hosts, as they are now or were a moment ago. */
export class HostFigures {
  private readonly looks: HostLooks;

  constructor(looks: HostLooks) {
    this.looks = looks;
  }

  /** As they were a moment ago at most. */
  async of(host: VirtualHost): Promise<Counted> {
    return figuresOf(host, await this.looks.recent(host));
  }

  /** With everything that was done before this was asked. */
  async now(host: VirtualHost): Promise<Counted> {
    return figuresOf(host, await this.looks.of(host));
  }

  /** Of several hosts together, as they were a moment ago at most. */
  async sum(hosts: Iterable<VirtualHost>): Promise<Counted> {
    return sumOf(await Promise.all(Array.from(hosts, (host) => this.of(host))));
  }
}

/** Of several hosts together. */
export function sumOf(figures: Iterable<Counted>): Counted {
  let sum: Counted | undefined;
  for (const one of figures) sum = sum === undefined ? one : added(sum, one);
  if (sum === undefined) throw new RangeError("A broker without virtual hosts has no figures");
  return sum;
}

function figuresOf(host: VirtualHost, totals: HostTotals): Counted {
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
