import type { HostTotals, ProtocolTotals } from "../../core/totals.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { LOSS_REASONS } from "../../core/ledger.ts";
import type { Exposition, Samples } from "./exposition.ts";

/** A virtual host with what it has done. */
export interface Told {
  readonly name: string;
  readonly host: VirtualHost;
  readonly totals: HostTotals;
}

/** One metric of virtual hosts. */
interface Family {
  readonly name: string;
  readonly help: string;
  readonly read: (told: Told) => number;
}

/** One metric of the clients of a protocol; a counter if its name says so. */
interface ProtocolFamily {
  readonly name: string;
  readonly help: string;
  readonly read: (totals: ProtocolTotals) => number;
}

const BY_PROTOCOL: readonly ProtocolFamily[] = [
  {
    name: "delos_connections",
    help: "Clients that are connected to a virtual host.",
    read: ({ clients }) => clients,
  },
  {
    name: "delos_connections_opened_total",
    help: "Clients that were let into a virtual host.",
    read: ({ connections }) => connections,
  },
  {
    name: "delos_messages_received_total",
    help: "Messages that clients sent.",
    read: ({ received }) => received,
  },
  {
    name: "delos_messages_received_bytes_total",
    help: "Bytes of messages that clients sent.",
    read: ({ receivedBytes }) => receivedBytes,
  },
  {
    name: "delos_messages_delivered_total",
    help: "Messages that were handed to clients.",
    read: ({ sent }) => sent,
  },
  {
    name: "delos_messages_delivered_bytes_total",
    help: "Bytes of messages that were handed to clients.",
    read: ({ sentBytes }) => sentBytes,
  },
];

const COUNTERS: readonly Family[] = [
  {
    name: "delos_messages_returned_total",
    help: "Deliveries that came back to their queues, to be delivered again or given up.",
    read: ({ totals }) => totals.returned,
  },
  {
    name: "delos_network_received_bytes_total",
    help: "Bytes that clients sent, of whatever kind.",
    read: ({ totals }) => totals.bytesReceived,
  },
  {
    name: "delos_network_sent_bytes_total",
    help: "Bytes that clients were sent, of whatever kind.",
    read: ({ totals }) => totals.bytesWritten,
  },
  {
    name: "delos_sessions_expired_total",
    help: "Sessions whose clients stayed away for too long.",
    read: ({ totals }) => totals.sessionsExpired,
  },
];

const GAUGES: readonly Family[] = [
  { name: "delos_queues", help: "Queues there are.", read: ({ host }) => host.queues.size },
  { name: "delos_topics", help: "Topics there are.", read: ({ host }) => host.topics.size },
  {
    name: "delos_durable_subscriptions",
    help: "Durable subscriptions there are, those of sessions included.",
    read: ({ host }) => host.durables.size,
  },
  {
    name: "delos_subscriptions",
    help: "Subscriptions of connected clients and of sessions.",
    read: ({ totals }) => totals.subscriptions,
  },
  {
    name: "delos_sessions_offline",
    help: "Sessions that wait for their clients.",
    read: ({ totals }) => totals.sessionsAway,
  },
  {
    name: "delos_messages_stored",
    help: "Messages in queues, durable subscriptions and sessions, and retained ones.",
    read: ({ totals }) => totals.stored,
  },
  {
    name: "delos_messages_stored_bytes",
    help: "Bytes of these messages.",
    read: ({ totals }) => totals.storedBytes,
  },
  {
    name: "delos_messages_unsettled",
    help: "Messages that consumers have and did not settle yet.",
    read: ({ totals }) => totals.inflight,
  },
  {
    name: "delos_messages_retained",
    help: "Messages that topics retain.",
    read: ({ totals }) => totals.retained,
  },
  {
    name: "delos_messages_scheduled",
    help: "Messages that are to be delivered later.",
    read: ({ host }) => host.schedule.count,
  },
];

/** What virtual hosts have done and what there is of them. */
export function writeHosts(to: Exposition, told: readonly Told[]): void {
  writeProtocols(to, told);
  to.counter(
    "delos_messages_lost_total",
    "Messages that destinations and subscribers had and that were not consumed there, by the reason.",
    (sample) => {
      for (const { name: host, totals } of told) {
        // All of them from the start, so that the first one is an increase.
        for (const reason of LOSS_REASONS) sample(totals.lost.get(reason) ?? 0, { host, reason });
      }
    },
  );
  for (const { name, help, read } of COUNTERS) {
    to.counter(name, help, (sample) => {
      for (const one of told) sample(read(one), { host: one.name });
    });
  }
  for (const { name, help, read } of GAUGES) {
    to.gauge(name, help, (sample) => {
      for (const one of told) sample(read(one), { host: one.name });
    });
  }
}

function writeProtocols(to: Exposition, told: readonly Told[]): void {
  for (const { name, help, read } of BY_PROTOCOL) {
    const tell = (sample: Samples): void => {
      for (const { name: host, totals } of told) {
        for (const [protocol, own] of totals.protocols) sample(read(own), { host, protocol });
      }
    };
    if (name.endsWith("_total")) to.counter(name, help, tell);
    else to.gauge(name, help, tell);
  }
}
