import { Type } from "typebox";
import type { Client } from "../../../core/client.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { Subscription } from "../../../core/subscription.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { PageQuery, Table } from "../table.ts";

const Nullable = Type.Union([Type.String(), Type.Null()]);
const time = (description: string) => Type.Integer({ description: `${description}, in milliseconds since 1970.` });
const counter = (description: string) => Type.Integer({ description });

const CONNECTIONS: Table<Client> = new Table<Client>("Connection", "id", {
  id: { schema: Type.String(), read: ({ id }) => id },
  host: { schema: Type.String({ description: "Its virtual host." }), read: ({ host }) => host.name },
  user: { schema: Nullable, read: ({ user }) => user ?? null },
  protocol: { schema: Type.String(), read: ({ protocol }) => protocol },
  client_id: {
    schema: Type.Union([Type.String(), Type.Null()], { description: "What it calls itself." }),
    read: ({ clientId }) => clientId ?? null,
  },
  session: {
    schema: Type.Union([Type.String(), Type.Null()], { description: "The id of its session." }),
    read: ({ session }) => session?.id ?? null,
  },
  address: { schema: Type.String(), read: ({ peer }) => peer.remoteAddress },
  local_address: { schema: Type.String(), read: ({ peer }) => peer.localAddress },
  listener: { schema: Type.String(), read: ({ peer }) => peer.listener },
  transport: { schema: Type.String(), read: ({ peer }) => peer.transport },
  certificate: {
    schema: Type.Union([Type.String(), Type.Null()], { description: "The subject of the certificate it has shown." }),
    read: ({ peer }) => peer.certificate?.subject ?? null,
  },
  connected_at: { schema: time("When it logged in"), read: ({ connectedAt }) => connectedAt },
  login_expires_at: {
    schema: Type.Union([Type.Integer(), Type.Null()]),
    read: ({ login }) => login.expiresAt ?? null,
  },
  subscriptions: { schema: counter("Subscriptions it has."), read: ({ subscriptions }) => subscriptions.size },
  messages_received: { schema: counter("Messages it has sent."), read: ({ published }) => published },
  messages_sent: {
    schema: counter("Messages given to the subscriptions it has now."),
    read: ({ subscriptions }) => sum(subscriptions, ({ delivered }) => delivered),
  },
  unconfirmed: {
    schema: counter("Confirmations it waits for, until what it sent is on disk."),
    read: ({ unconfirmed }) => unconfirmed,
  },
  bytes_received: { schema: Type.Integer(), read: ({ peer }) => peer.bytesReceived },
  bytes_sent: { schema: Type.Integer(), read: ({ peer }) => peer.bytesWritten },
  bytes_waiting: {
    schema: counter("Bytes that it is too slow to take."),
    read: ({ peer }) => peer.output.waiting + peer.output.inFlight,
  },
  last_received_at: { schema: time("When something last came"), read: ({ peer }) => peer.lastReceivedAt },
  last_sent_at: { schema: time("When something was last written"), read: ({ peer }) => peer.lastWrittenAt },
  waiting_on: {
    schema: Type.String({ description: "Why the broker is not reading from it; usually for its next request." }),
    read: ({ waitingOn }) => waitingOn,
  },
  limited_by: {
    schema: Type.Union([Type.String(), Type.Null()], {
      description: "The limit that it waits for now, to send more or to be sent more.",
    }),
    read: ({ peer }) => peer.heldBy ?? null,
  },
});

const SUBSCRIPTIONS: Table<Subscription> = new Table<Subscription>("Subscription", "id", {
  id: { schema: Type.Integer(), read: ({ id }) => id },
  patterns: {
    schema: Type.Array(Type.Object({ kind: Type.String(), name: Type.String() }), { description: "Canonical." }),
    read: ({ patterns }) => patterns.map(({ kind, text }) => ({ kind, name: text })),
  },
  selector: { schema: Nullable, read: ({ selector }) => selector?.text ?? null },
  browser: { schema: Type.Boolean(), read: ({ browse }) => browse !== undefined },
  exclusive: { schema: Type.Boolean(), read: ({ exclusive }) => exclusive },
  priority: { schema: Type.Integer(), read: ({ priority }) => priority },
  settling: {
    schema: Type.Boolean({ description: "Whether it has to settle what it is given." }),
    read: ({ settling }) => settling,
  },
  credit_messages: {
    schema: Type.Union([Type.Integer(), Type.Null()], { description: "Null without a limit." }),
    read: ({ credit }) => finite(credit.messages),
  },
  credit_bytes: { schema: Type.Union([Type.Integer(), Type.Null()]), read: ({ credit }) => finite(credit.bytes) },
  delivered: { schema: Type.Integer(), read: ({ delivered }) => delivered },
  accepted: { schema: Type.Integer(), read: ({ accepted }) => accepted },
  held: {
    schema: Type.Integer({ description: "Messages it has not settled yet." }),
    read: ({ feed, links, holds }) => (feed?.held ?? 0) + sum(new Set([...links, ...holds]), ({ held }) => held),
  },
  waiting_on: { schema: Type.String(), read: ({ waitingOn }) => waitingOn },
});

const HostParams = Type.Object({ host: Type.String() });
const Params = Type.Object({ host: Type.String(), connection: Type.String() });
const Detail = Type.Object(
  {
    ...CONNECTIONS.row.properties,
    consumers: Type.Array(SUBSCRIPTIONS.row, { description: "The first hundred of its subscriptions." }),
  },
  { title: "ConnectionDetail" },
);
const CloseQuery = Type.Object(
  { reason: Type.Optional(Type.String({ maxLength: 200, description: "What its client is told, and the log." })) },
  { additionalProperties: false },
);

const SHOWN = 100;
const tags = ["connections"];

/** Who is connected: looked at, and closed. */
export function connectionRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/connections",
    {
      config: { right: "monitor broker" },
      schema: {
        tags,
        summary: "List those of all virtual hosts",
        querystring: PageQuery,
        response: { 200: CONNECTIONS.page },
      },
    },
    ({ query }) => {
      const hosts = [...context.broker.hosts.values()];
      const size = sum(hosts, ({ clients }) => clients.size);
      return CONNECTIONS.list({ size, values: () => clientsOf(hosts) }, query);
    },
  );

  app.get(
    "/hosts/:host/connections",
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List",
        params: HostParams,
        querystring: PageQuery,
        response: { 200: CONNECTIONS.page },
      },
    },
    ({ params, query }) => CONNECTIONS.list(hostOf(context, params.host).clients, query),
  );

  app.get(
    "/hosts/:host/connections/:connection",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "Look at one", params: Params, response: { 200: Detail } },
    },
    ({ params }) => {
      const client = clientOf(hostOf(context, params.host), params.connection);
      const consumers = [...client.subscriptions].slice(0, SHOWN).map((each) => SUBSCRIPTIONS.show(each));
      return { ...CONNECTIONS.show(client), consumers };
    },
  );

  app.get(
    "/hosts/:host/connections/:connection/subscriptions",
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List its subscriptions",
        params: Params,
        querystring: PageQuery,
        response: { 200: SUBSCRIPTIONS.page },
      },
    },
    ({ params, query }) =>
      SUBSCRIPTIONS.list(clientOf(hostOf(context, params.host), params.connection).subscriptions, query),
  );

  app.delete(
    "/hosts/:host/connections/:connection",
    {
      config: { right: "admin host", audit: "connection.close" },
      schema: {
        tags,
        summary: "Close",
        description: "Its client is told so in the words of its protocol. A session that outlives connections stays.",
        params: Params,
        querystring: CloseQuery,
        response: { 204: Type.Null() },
      },
    },
    async ({ params, query }, reply) => {
      const client = clientOf(hostOf(context, params.host), params.connection);
      client.evict(query.reason ?? "closed by an operator", "administrative");
      reply.code(204);
      return null;
    },
  );
}

/** Throws BrokerError when it is not there. */
function clientOf(host: VirtualHost, id: string): Client {
  for (const client of host.clients) if (client.id === id) return client;
  throw new BrokerError("not-found", `There is no connection ${id} to virtual host ${host.name}`);
}

function* clientsOf(hosts: readonly VirtualHost[]): Iterable<Client> {
  for (const { clients } of hosts) yield* clients;
}

function sum<T>(items: Iterable<T>, value: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += value(item);
  return total;
}

function finite(credit: number): number | null {
  return Number.isFinite(credit) ? credit : null;
}
