import { Type } from "typebox";
import type { Client } from "../../../core/client.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { Exchange } from "../../../core/exchanges/exchange.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { callerOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { EXCHANGE_TYPES } from "../exchange-tables.ts";
import { asClient } from "../host-client.ts";
import { Body, scalars } from "./body.ts";
import { type Listed, listing, ListQuery, withColumns } from "./listing.ts";
import {
  bindingRow,
  bindingsFrom,
  defaultBinding,
  exchangeRow,
  type In,
  type ShownBinding,
  shownBinding,
} from "./views.ts";
import { hostsOf, vhostOf } from "./vhosts.ts";

const EXCHANGES: Listed<In<Exchange>> = { name: ({ item }) => item.name, show: exchangeRow };
const VhostParams = Type.Object({ vhost: Type.String() });
const ExchangeParams = Type.Object({ vhost: Type.String(), exchange: Type.String() });
const BindingParams = Type.Object({
  vhost: Type.String(),
  exchange: Type.String(),
  end: Type.Union([Type.Literal("source"), Type.Literal("destination")]),
});
const DeleteQuery = Type.Object({ "if-unused": Type.Optional(Type.String()) });
const DELAYED = "x-delayed-message";
const read = { config: { right: "login" }, schema: { hide: true, querystring: ListQuery } } as const;

/** Exchanges, as RabbitMQ has them. */
export function exchangeRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get("/exchanges", read, (request) =>
    listing(exchangesOf(hostsOf(context, request, undefined)), EXCHANGES, request.query),
  );
  app.get("/exchanges/:vhost", { ...read, schema: { ...read.schema, params: VhostParams } }, (request) =>
    listing(exchangesOf(hostsOf(context, request, request.params.vhost)), EXCHANGES, request.query),
  );
  app.get("/exchanges/:vhost/:exchange", { ...read, schema: { ...read.schema, params: ExchangeParams } }, (request) => {
    const host = vhostOf(context, request, request.params.vhost, "monitor host");
    const item = host.exchanges.get(exchangeName(request.params.exchange));
    return withColumns(exchangeRow({ host, item }), request.query.columns);
  });
  app.get(
    "/exchanges/:vhost/:exchange/bindings/:end",
    { ...read, schema: { ...read.schema, params: BindingParams } },
    (request) => {
      const { vhost, exchange: name, end } = request.params;
      const host = vhostOf(context, request, vhost, "monitor host");
      const exchange = host.exchanges.get(exchangeName(name));
      const found = end === "source" ? leadingFrom(host, exchange) : leadingTo(host, exchange);
      return listing(found, { name: ({ destination }) => destination, show: bindingRow }, request.query);
    },
  );

  app.put(
    "/exchanges/:vhost/:exchange",
    { config: { right: "login", audit: "exchange.declare" }, schema: { hide: true, params: ExchangeParams } },
    async (request, reply) => {
      const { vhost, exchange: name } = request.params;
      const host = vhostOf(context, request, vhost, "admin host");
      const isNew = host.exchanges.find(name) === undefined;
      const body = new Body(request.body);
      await asClient(host, callerOf(request), (client) => declareExchange(client, exchangeName(name), body));
      return reply.code(isNew ? 201 : 204).send();
    },
  );

  app.delete(
    "/exchanges/:vhost/:exchange",
    {
      config: { right: "login", audit: "exchange.delete" },
      schema: { hide: true, params: ExchangeParams, querystring: DeleteQuery },
    },
    async (request, reply) => {
      const { params, query } = request;
      const host = vhostOf(context, request, params.vhost, "admin host");
      const { name } = host.exchanges.get(exchangeName(params.exchange));
      const only = { ifUnused: query["if-unused"] === "true" };
      await asClient(host, callerOf(request), (client) => client.deleteExchange(name, only));
      return reply.code(204).send();
    },
  );
}

/** Declares an exchange as a client of AMQP 0-9-1 does. Throws BrokerError. */
export function declareExchange(client: Client, name: string, body: Body): void {
  const asked = body.text("type", "direct");
  const given = scalars(body.group("arguments"));
  const delayed = asked === DELAYED;
  const wanted = delayed ? given.get("x-delayed-type") : asked;
  const type = EXCHANGE_TYPES.find((known) => known === wanted);
  if (type === undefined) {
    throw new BrokerError(
      "bad-request",
      `unknown exchange type '${String(wanted)}'; expected one of ${EXCHANGE_TYPES.join(", ")}, ${DELAYED}`,
    );
  }
  const alternate = given.get("alternate-exchange");
  client.declareExchange({
    name,
    type,
    durable: body.flag("durable", true),
    autoDelete: body.flag("auto_delete", false),
    internal: body.flag("internal", false),
    alternate: typeof alternate === "string" ? alternate : undefined,
    delayed,
    arguments: given,
  });
}

/** What an exchange is called in a path, where the default one cannot be: its name is empty. */
export function exchangeName(name: string): string {
  return name === "amq.default" ? "" : name;
}

function* exchangesOf(hosts: readonly VirtualHost[]): Iterable<In<Exchange>> {
  for (const host of hosts) for (const item of host.exchanges.all()) yield { host, item };
}

function* leadingFrom(host: VirtualHost, exchange: Exchange): Iterable<ShownBinding> {
  if (exchange.name === "") for (const queue of host.queues.values()) yield defaultBinding(host, queue);
  else yield* bindingsFrom(host, exchange);
}

function* leadingTo(host: VirtualHost, exchange: Exchange): Iterable<ShownBinding> {
  for (const binding of exchange.incoming) {
    const shown = shownBinding(host, binding);
    if (shown !== undefined) yield shown;
  }
}
