import { Type } from "typebox";
import type { Client } from "../../../core/client.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import type { ManagementApp, ManagementContext } from "../context.ts";
import { type Listed, listing, ListQuery, withColumns } from "./listing.ts";
import { channelName, channelRow, connectionName, connectionRow, consumerRow, consumersOf, type In } from "./views.ts";
import { type Asker, hostsOf, vhostOf } from "./vhosts.ts";

const CONNECTIONS: Listed<In<Client>> = { name: ({ item }) => connectionName(item), show: connectionRow };
const CHANNELS: Listed<In<Client>> = { name: ({ item }) => channelName(item), show: channelRow };
const CONSUMERS: Listed<Parameters<typeof consumerRow>[0]> = {
  name: ({ item }) => item.subscription.client.id,
  show: consumerRow,
};
const VhostParams = Type.Object({ vhost: Type.String() });
const NameParams = Type.Object({ name: Type.String() });
const read = { config: { right: "login" }, schema: { hide: true, querystring: ListQuery } } as const;

/** Connections, channels and consumers, as RabbitMQ has them. */
export function connectionRoutes(app: ManagementApp, context: ManagementContext): void {
  const inVhost = { ...read, schema: { ...read.schema, params: VhostParams } };
  const byName = { ...read, schema: { ...read.schema, params: NameParams } };
  const all = (asker: Asker, vhost?: string): Iterable<In<Client>> => clientsOf(hostsOf(context, asker, vhost));

  app.get("/connections", read, (request) => listing(all(request), CONNECTIONS, request.query));
  app.get("/vhosts/:vhost/connections", inVhost, (request) =>
    listing(all(request, request.params.vhost), CONNECTIONS, request.query),
  );
  app.get("/connections/:name", byName, (request) =>
    withColumns(connectionRow(clientOf(context, request, request.params.name)), request.query.columns),
  );
  app.get("/connections/:name/channels", byName, (request) =>
    listing([clientOf(context, request, request.params.name)], CHANNELS, request.query),
  );
  app.get("/connections/username/:name", byName, (request) =>
    listing(ofUser(all(request), request.params.name), CONNECTIONS, request.query),
  );
  app.get("/channels", read, (request) => listing(all(request), CHANNELS, request.query));
  app.get("/vhosts/:vhost/channels", inVhost, (request) =>
    listing(all(request, request.params.vhost), CHANNELS, request.query),
  );
  app.get("/channels/:name", byName, (request) => {
    const found = clientOf(context, request, request.params.name.replace(/ \(1\)$/, ""));
    return withColumns(channelRow(found), request.query.columns);
  });
  app.get("/consumers", read, (request) =>
    listing(consumersIn(hostsOf(context, request, undefined)), CONSUMERS, request.query),
  );
  app.get("/consumers/:vhost", inVhost, (request) =>
    listing(consumersIn(hostsOf(context, request, request.params.vhost)), CONSUMERS, request.query),
  );

  const close = {
    config: { right: "login", audit: "connection.close" },
    schema: { hide: true, params: NameParams },
  } as const;
  app.delete("/connections/:name", close, async (request, reply) => {
    const { host, item } = clientOf(context, request, request.params.name);
    vhostOf(context, request, host.name, "admin host");
    item.evict(reasonOf(request.headers["x-reason"]), "administrative");
    return reply.code(204).send();
  });
  app.delete("/connections/username/:name", close, async (request, reply) => {
    const found = [...ofUser(all(request), request.params.name)];
    for (const { host } of found) vhostOf(context, request, host.name, "admin host");
    for (const { item } of found) item.evict(reasonOf(request.headers["x-reason"]), "administrative");
    return reply.code(204).send();
  });
}

function reasonOf(header: unknown): string {
  return typeof header === "string" && header !== "" ? header.slice(0, 200) : "closed by an operator";
}

/** Throws BrokerError when it is not there, or not for whoever asks. */
function clientOf(context: ManagementContext, asker: Asker, name: string): In<Client> {
  for (const found of clientsOf(hostsOf(context, asker, undefined))) {
    if (connectionName(found.item) === name || found.item.id === name) return found;
  }
  throw new BrokerError("not-found", `There is no connection ${name}`);
}

function* clientsOf(hosts: readonly VirtualHost[]): Iterable<In<Client>> {
  for (const host of hosts) for (const item of host.clients) yield { host, item };
}

function* ofUser(clients: Iterable<In<Client>>, user: string): Iterable<In<Client>> {
  for (const client of clients) if (client.item.user === user) yield client;
}

function* consumersIn(hosts: readonly VirtualHost[]): Iterable<Parameters<typeof consumerRow>[0]> {
  for (const host of hosts) yield* consumersOf(host);
}
