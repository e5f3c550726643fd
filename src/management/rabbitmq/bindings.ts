import { Type } from "typebox";
import type { Client } from "../../../core/client.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { callerOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { asClient } from "../host-client.ts";
import { gather } from "../slices.ts";
import { Body, scalars } from "./body.ts";
import { exchangeName } from "./exchanges.ts";
import { type Listed, listing, ListQuery } from "./listing.ts";
import { queueOf } from "./queues.ts";
import { bindingRow, bindingsFrom, bindingsOf, propertiesKey, queueAddress, type ShownBinding } from "./views.ts";
import { hostsOf, vhostOf } from "./vhosts.ts";

const BINDINGS: Listed<ShownBinding> = { name: ({ destination }) => destination, show: bindingRow };
const VhostParams = Type.Object({ vhost: Type.String() });
const ENDS = {
  vhost: Type.String(),
  source: Type.String(),
  kind: Type.Union([Type.Literal("q"), Type.Literal("e")]),
  destination: Type.String(),
};
const EndsParams = Type.Object(ENDS);
const BindingParams = Type.Object({ ...ENDS, properties: Type.String() });
const read = { config: { right: "login" }, schema: { hide: true, querystring: ListQuery } } as const;

/** The two ends of bindings. */
interface Ends {
  readonly source: string;
  readonly kind: "queue" | "exchange";
  readonly destination: string;
}

/** Bindings, as RabbitMQ has them. */
export function bindingRoutes(app: ManagementApp, context: ManagementContext): void {
  const path = "/bindings/:vhost/e/:source/:kind/:destination";
  app.get("/bindings", read, (request) =>
    listing(allOf(hostsOf(context, request, undefined)), BINDINGS, request.query),
  );
  app.get("/bindings/:vhost", { ...read, schema: { ...read.schema, params: VhostParams } }, (request) =>
    listing(allOf(hostsOf(context, request, request.params.vhost)), BINDINGS, request.query),
  );
  app.get(path, { ...read, schema: { ...read.schema, params: EndsParams } }, (request) => {
    const host = vhostOf(context, request, request.params.vhost, "monitor host");
    return between(host, endsOf(request.params)).then((found) => listing(found, BINDINGS, request.query));
  });
  app.get(`${path}/:properties`, { ...read, schema: { ...read.schema, params: BindingParams } }, (request) => {
    const { params } = request;
    const host = vhostOf(context, request, params.vhost, "monitor host");
    return bindingOf(host, endsOf(params), params.properties).then(bindingRow);
  });

  app.post(
    path,
    { config: { right: "login", audit: "binding.create" }, schema: { hide: true, params: EndsParams } },
    async (request, reply) => {
      const { params } = request;
      const host = vhostOf(context, request, params.vhost, "admin host");
      const body = new Body(request.body);
      const made = {
        ...endsOf(params),
        host,
        key: body.text("routing_key", ""),
        arguments: Object.fromEntries(scalars(body.group("arguments"))),
      };
      await asClient(host, callerOf(request), (client) => bind(client, made));
      const ends = [params.vhost, "e", params.source, params.kind, params.destination, propertiesKey(made)];
      return reply
        .code(201)
        .header("location", `/api/bindings/${ends.map(encodeURIComponent).join("/")}`)
        .send();
    },
  );

  app.delete(
    `${path}/:properties`,
    { config: { right: "login", audit: "binding.delete" }, schema: { hide: true, params: BindingParams } },
    async (request, reply) => {
      const { params } = request;
      const host = vhostOf(context, request, params.vhost, "admin host");
      const found = await bindingOf(host, endsOf(params), params.properties);
      const { source, key, destination } = found;
      const declared = { source, key, arguments: new Map(Object.entries(found.arguments)) };
      await asClient(host, callerOf(request), (client) => {
        if (found.kind === "exchange") client.unbindExchange(destination, declared);
        else client.unbindQueue(queueAddress(destination), declared);
      });
      return reply.code(204).send();
    },
  );
}

/** Binds as a client of AMQP 0-9-1 does. Throws BrokerError. */
export function bind(client: Client, { source, key, kind, destination, arguments: given }: ShownBinding): void {
  const declared = { source, key, arguments: new Map(Object.entries(given)) };
  if (kind === "exchange") client.bindExchange(destination, declared);
  else client.bindQueue(queueAddress(destination), declared);
}

function endsOf(params: { readonly source: string; readonly kind: "q" | "e"; readonly destination: string }): Ends {
  const { source, kind, destination } = params;
  return { source: exchangeName(source), kind: kind === "q" ? "queue" : "exchange", destination };
}

/** Throws BrokerError when one of the ends is not there. */
function between(host: VirtualHost, { source, kind, destination }: Ends): Promise<ShownBinding[]> {
  const exchange = host.exchanges.get(source);
  if (kind === "queue") queueOf(host, destination);
  else host.exchanges.get(destination);
  return gather(
    exchange.name === "" ? bindingsOf(host) : bindingsFrom(host, exchange),
    Number.POSITIVE_INFINITY,
    (binding) => binding.source === source && binding.kind === kind && binding.destination === destination,
  );
}

/** Throws BrokerError when it is not there. */
async function bindingOf(host: VirtualHost, ends: Ends, properties: string): Promise<ShownBinding> {
  // Clients encode what they were told once more, or send it as it is.
  const found = (await between(host, ends)).find((each) => {
    const key = propertiesKey(each);
    return key === properties || decodeURIComponent(key) === properties;
  });
  if (found !== undefined) return found;
  throw new BrokerError(
    "not-found",
    `There is no binding ${properties} between ${ends.source} and ${ends.destination}`,
  );
}

function* allOf(hosts: readonly VirtualHost[]): Iterable<ShownBinding> {
  for (const host of hosts) yield* bindingsOf(host);
}
