/*
 * What there is, as RabbitMQ shows it. Names of queues and routing keys are written as in AMQP 0-9-1.
 */
import { createHash } from "node:crypto";
import type { Address } from "../../../core/addresses/address.ts";
import type { Client } from "../../../core/client.ts";
import { type Binding, Exchange } from "../../../core/exchanges/exchange.ts";
import { keyOf, keySpelling } from "../../../core/exchanges/routing-key.ts";
import type { Ledger } from "../../../core/ledger.ts";
import type { Link } from "../../../core/queue/lane.ts";
import { Queue } from "../../../core/queue/queue.ts";
import { isTemporary } from "../../../core/routing/admission.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { argumentsJson } from "../exchange-tables.ts";
import type { Row } from "./listing.ts";
import { vhostName } from "./vhosts.ts";

/** The only node there is. */
export const NODE = "delos@localhost";

/** Something of a virtual host. */
export interface In<T> {
  readonly host: VirtualHost;
  readonly item: T;
}

/** A binding with both its ends named. */
export interface ShownBinding {
  readonly host: VirtualHost;
  readonly source: string;
  readonly destination: string;
  readonly kind: "queue" | "exchange";
  readonly key: string;
  readonly arguments: Record<string, string | number | boolean>;
}

/** The address of a queue by the name that AMQP 0-9-1 has for it. Throws BrokerError. */
export function queueAddress(name: string): Address {
  return keySpelling.parse("queue", name);
}

/** That name. */
export function queueName({ address }: Queue): string {
  return address === undefined ? "" : keyOf(address);
}

/** As RabbitMQ shows it. */
export function queueRow({ host, item: queue }: In<Queue>): Row {
  const { address, ledger, policy } = queue;
  const declared = address === undefined ? undefined : host.requests.declarationOf(address);
  const temporary = address !== undefined && isTemporary(address);
  return {
    name: queueName(queue),
    vhost: vhostName(host),
    type: "classic",
    durable: declared?.durable ?? !temporary,
    auto_delete: declared?.autoDelete ?? false,
    exclusive: declared?.exclusive ?? temporary,
    arguments: Object.fromEntries(declared?.arguments ?? []),
    node: NODE,
    state: queue.paused ? "stopped" : "running",
    messages: queue.count,
    messages_ready: Math.max(0, queue.count - queue.held),
    messages_unacknowledged: queue.held,
    message_bytes: queue.bytes,
    message_bytes_ram: queue.memoryBytes,
    memory: queue.memoryBytes,
    consumers: queue.consumerCount,
    consumer_capacity: queue.consumerCount > 0 ? 1 : 0,
    single_active_consumer_tag: null,
    policy: null,
    operator_policy: null,
    effective_policy_definition: {},
    exclusive_consumer_tag: null,
    idle_since: new Date(queue.lastUsed).toISOString(),
    max_priority: policy.maxPriority ?? null,
    message_stats: queueStatistics(ledger),
  };
}

function queueStatistics(ledger: Ledger): Row {
  return {
    publish: ledger.received,
    deliver_get: ledger.delivered,
    deliver: ledger.delivered,
    ack: ledger.consumed,
    redeliver: ledger.returned,
  };
}

/** As RabbitMQ shows it. */
export function exchangeRow({ host, item: exchange }: In<Exchange>): Row {
  const { name, declaration, ledger } = exchange;
  const given = Object.fromEntries(declaration.arguments);
  return {
    name,
    vhost: vhostName(host),
    type: declaration.delayed === true ? "x-delayed-message" : declaration.type,
    durable: declaration.durable,
    auto_delete: declaration.autoDelete,
    internal: declaration.internal,
    arguments: declaration.alternate === undefined ? given : { ...given, "alternate-exchange": declaration.alternate },
    user_who_performed_action: "",
    message_stats: { publish_in: ledger.received, publish_out: ledger.delivered },
  };
}

/** The bindings of a virtual host that can be named; with those of the default exchange, which every queue has. */
export function* bindingsOf(host: VirtualHost): Iterable<ShownBinding> {
  for (const queue of host.queues.values()) yield defaultBinding(host, queue);
  for (const exchange of host.exchanges.all()) yield* bindingsFrom(host, exchange);
}

/** Those that lead on from an exchange other than the default one. */
export function* bindingsFrom(host: VirtualHost, exchange: Exchange): Iterable<ShownBinding> {
  for (const binding of exchange.bindings.values()) {
    const shown = shownBinding(host, binding);
    if (shown !== undefined) yield shown;
  }
}

/** Every queue is bound to the default exchange by its name. */
export function defaultBinding(host: VirtualHost, queue: Queue): ShownBinding {
  const name = queueName(queue);
  return { host, source: "", destination: name, kind: "queue", key: name, arguments: {} };
}

/** Undefined for one that leads to a subscriber, which has no name here. */
export function shownBinding(host: VirtualHost, binding: Binding): ShownBinding | undefined {
  const { source, to, owner, key, arguments: given } = binding;
  const made = { host, source: source.name, key, arguments: argumentsJson(given) };
  if (to instanceof Exchange) return { ...made, destination: to.name, kind: "exchange" };
  return owner instanceof Queue ? { ...made, destination: queueName(owner), kind: "queue" } : undefined;
}

/** As RabbitMQ shows it. */
export function bindingRow(binding: ShownBinding): Row {
  const { host, source, destination, kind, key, arguments: given } = binding;
  return {
    source,
    vhost: vhostName(host),
    destination,
    destination_type: kind,
    routing_key: key,
    arguments: given,
    properties_key: propertiesKey(binding),
  };
}

/** By what a binding between the same two ends is told from others: its key, and a digest of its arguments if it has any. */
export function propertiesKey({ key, arguments: given }: ShownBinding): string {
  const names = Object.keys(given).sort();
  if (names.length === 0) return key === "" ? "~" : encodeURIComponent(key);
  const text = JSON.stringify(names.map((name) => [name, given[name]]));
  const digest = createHash("sha256").update(text).digest("base64url").slice(0, 12);
  return `${encodeURIComponent(key)}~${digest}`;
}

/** How a connection is called: unique, as every port is. */
export function connectionName({ peer }: Client): string {
  return `${peer.remoteAddress} -> ${peer.localAddress}`;
}

/** As RabbitMQ shows it. */
export function connectionRow({ host, item: client }: In<Client>): Row {
  const { peer } = client;
  return {
    name: connectionName(client),
    vhost: vhostName(host),
    user: client.user ?? "",
    user_who_performed_action: client.user ?? "",
    protocol: client.protocol,
    type: "network",
    node: NODE,
    state: client.blocked ? "blocked" : "running",
    channels: 1,
    ...ends(client),
    ssl: peer.transport === "tls" || peer.transport === "wss",
    peer_cert_subject: peer.certificate?.subject ?? null,
    connected_at: client.connectedAt,
    recv_oct: peer.bytesReceived,
    send_oct: peer.bytesWritten,
    send_pend: peer.output.waiting,
    client_properties: client.clientId === undefined ? {} : { connection_name: client.clientId },
    user_provided_name: client.clientId ?? null,
  };
}

/** Channels are the business of one protocol; here every connection is shown with one. */
export function channelRow({ host, item: client }: In<Client>): Row {
  let held = 0;
  for (const { links } of client.subscriptions) for (const link of links) held += link.held;
  return {
    name: channelName(client),
    number: 1,
    vhost: vhostName(host),
    user: client.user ?? "",
    node: NODE,
    state: client.blocked ? "flow" : "running",
    consumer_count: client.subscriptions.size,
    messages_unacknowledged: held,
    messages_unconfirmed: client.unconfirmed,
    messages_uncommitted: 0,
    acks_uncommitted: 0,
    prefetch_count: 0,
    global_prefetch_count: 0,
    confirm: false,
    transactional: false,
    connection_details: { name: connectionName(client), ...ends(client) },
    message_stats: { publish: client.published },
  };
}

/** As RabbitMQ shows it. */
export function channelName(client: Client): string {
  return `${connectionName(client)} (1)`;
}

/** As RabbitMQ shows it. */
export function consumerRow({ host, item: link }: In<Link>): Row {
  const { subscription } = link;
  const { client, credit } = subscription;
  return {
    consumer_tag: `${client.id}/${subscription.id}`,
    exclusive: subscription.exclusive,
    ack_required: subscription.settling,
    prefetch_count: Number.isFinite(credit.messages) ? Math.max(0, credit.messages + link.held) : 0,
    active: link.waitingOn !== "standby",
    activity_status: link.waitingOn === "standby" ? "waiting" : "up",
    arguments: { "x-priority": subscription.priority },
    queue: { name: queueName(link.queue), vhost: vhostName(host) },
    channel_details: {
      name: channelName(client),
      number: 1,
      user: client.user ?? "",
      connection_name: connectionName(client),
      node: NODE,
      ...ends(client),
    },
  };
}

/** The consumers of queues of a virtual host. */
export function* consumersOf(host: VirtualHost): Iterable<In<Link>> {
  for (const { subscriptions } of host.clients) {
    for (const { links } of subscriptions) for (const item of links) yield { host, item };
  }
}

function ends({ peer }: Client): Row {
  const [peerHost, peerPort] = endpoint(peer.remoteAddress);
  const [host, port] = endpoint(peer.localAddress);
  return { peer_host: peerHost, peer_port: peerPort, host, port };
}

function endpoint(address: string): [host: string, port: number] {
  const cut = address.lastIndexOf(":");
  const host = address.slice(0, Math.max(cut, 0)).replace(/^\[(.*)\]$/, "$1");
  return [host, Number(address.slice(cut + 1)) || 0];
}
