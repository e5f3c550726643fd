import { type Static, Type } from "typebox";
import { BrokerError } from "../../../core/errors.ts";
import type { Binding, Exchange } from "../../../core/exchanges/exchange.ts";
import type { Route } from "../../../core/routing/route.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { callerOf, hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import {
  Arguments,
  argumentsOf,
  BindingBody,
  BINDINGS,
  bindingOf,
  declarationOf,
  endOf,
  EXCHANGE_TYPES,
  EXCHANGES,
  queueAddress,
} from "../exchange-tables.ts";
import { asClient } from "../host-client.ts";
import { listProducers, PRODUCERS } from "../producers.ts";
import { LostByReason, lostByReason } from "../queue-fields.ts";
import { PageQuery } from "../table.ts";

/** A client could not name one with more. */
const MOST_NAME_BYTES = 255;
const HostParams = Type.Object({ host: Type.String() });
const Params = Type.Object({
  host: Type.String(),
  exchange: Type.String({ description: "Its name; amq.default is the default exchange, whose name is empty." }),
});
const BindingParams = Type.Object({ host: Type.String(), binding: Type.String({ description: "Its id." }) });
const Declaration = Type.Object(
  {
    type: Type.Union(
      EXCHANGE_TYPES.map((type) => Type.Literal(type)),
      { default: "direct" },
    ),
    durable: Type.Boolean({ default: true, description: "Whether it survives a restart of the broker." }),
    auto_delete: Type.Boolean({ default: false, description: "Whether it goes with the last of its bindings." }),
    internal: Type.Boolean({ default: false, description: "Whether only other exchanges lead to it." }),
    alternate: Type.Optional(
      Type.String({ minLength: 1, maxLength: 255, description: "The exchange that gets what it leads nowhere." }),
    ),
    arguments: Type.Optional(Arguments),
  },
  { additionalProperties: false, title: "ExchangeDeclaration" },
);
const Detail = Type.Object({ ...EXCHANGES.row.properties, lost_by_reason: LostByReason }, { title: "ExchangeDetail" });
const DeleteQuery = Type.Object(
  { if_unused: Type.Boolean({ default: false, description: "Only if nothing is bound to it." }) },
  { additionalProperties: false },
);
const tags = ["exchanges"];

/** Exchanges and their bindings. Changes go by the rights of the caller as those of a client do. */
export function exchangeRoutes(app: ManagementApp, context: ManagementContext): void {
  reading(app, context);
  app.put(
    "/hosts/:host/exchanges/:exchange",
    {
      config: { right: "admin host", audit: "exchange.declare" },
      schema: {
        tags,
        summary: "Declare",
        description: "Makes it, or finds that it is as declared; the caller needs the right to create it too.",
        params: Params,
        body: Declaration,
        response: { 200: Detail, 201: Detail },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const host = hostOf(context, params.host);
      const bytes = Buffer.byteLength(params.exchange);
      if (bytes > MOST_NAME_BYTES) {
        throw new BrokerError(
          "bad-request",
          `The name has ${bytes} bytes, and in AMQP 0-9-1 at most ${MOST_NAME_BYTES}`,
        );
      }
      reply.code(host.exchanges.find(params.exchange) === undefined ? 201 : 200);
      await asClient(host, callerOf(request), (client) =>
        client.declareExchange({
          name: nameOf(params.exchange),
          type: EXCHANGE_TYPES.find((type) => type === body.type) ?? "direct",
          durable: body.durable,
          autoDelete: body.auto_delete,
          internal: body.internal,
          alternate: body.alternate,
          arguments: argumentsOf(body.arguments),
        }),
      );
      return detailOf(exchangeOf(host, params.exchange));
    },
  );

  app.delete(
    "/hosts/:host/exchanges/:exchange",
    {
      config: { right: "admin host", audit: "exchange.delete" },
      schema: {
        tags,
        summary: "Delete with all its bindings",
        description: "The caller needs the right to destroy it too.",
        params: Params,
        querystring: DeleteQuery,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      const host = hostOf(context, params.host);
      const { name } = exchangeOf(host, params.exchange);
      await asClient(host, callerOf(request), (client) => client.deleteExchange(name, { ifUnused: query.if_unused }));
      reply.code(204);
      return null;
    },
  );

  app.post(
    "/hosts/:host/bindings",
    {
      config: { right: "admin host", audit: "binding.create" },
      schema: {
        tags,
        summary: "Bind a queue or an exchange to an exchange",
        description: "The same binding twice is one. The caller needs the rights that a client needs to bind.",
        params: HostParams,
        body: BindingBody,
        response: { 201: BindingBody },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      await asClient(hostOf(context, params.host), callerOf(request), (client) => {
        if (body.destination_kind === "exchange") client.bindExchange(body.destination, declarationOf(body));
        else client.bindQueue(queueAddress(body.destination), declarationOf(body));
      });
      reply.code(201);
      return body;
    },
  );

  app.delete(
    "/hosts/:host/bindings/:binding",
    {
      config: { right: "admin host", audit: "binding.delete" },
      schema: { tags, summary: "Take a binding back", params: BindingParams, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      const { params } = request;
      const host = hostOf(context, params.host);
      const binding = bindingOf(host.exchanges, params.binding);
      const { kind, name } = endOf(binding);
      const declared = { source: binding.source.name, key: binding.key, arguments: binding.arguments };
      await asClient(host, callerOf(request), (client) => {
        if (kind === "exchange") client.unbindExchange(name, declared);
        else client.unbindQueue(queueAddress(name), declared);
      });
      reply.code(204);
      return null;
    },
  );
}

function reading(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/hosts/:host/exchanges",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "List", params: HostParams, querystring: PageQuery, response: { 200: EXCHANGES.page } },
    },
    ({ params, query }) => {
      const { exchanges } = hostOf(context, params.host);
      const all = [...exchanges.all()];
      return EXCHANGES.list({ size: all.length, values: () => all }, query);
    },
  );

  app.get(
    "/hosts/:host/exchanges/:exchange",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "Look at one", params: Params, response: { 200: Detail } },
    },
    ({ params }) => detailOf(exchangeOf(hostOf(context, params.host), params.exchange)),
  );

  app.get(
    "/hosts/:host/exchanges/:exchange/producers",
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List those who send to it",
        params: Params,
        querystring: PageQuery,
        response: { 200: PRODUCERS.page },
      },
    },
    ({ params, query }) => {
      const host = hostOf(context, params.host);
      const { name } = exchangeOf(host, params.exchange);
      const leads = ({ addresses }: Route): boolean =>
        addresses.some(({ kind, levels }) => kind === "exchange" && levels[0] === name);
      return listProducers(host, leads, query);
    },
  );

  app.get(
    "/hosts/:host/exchanges/:exchange/bindings",
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List the bindings that lead on from it",
        params: Params,
        querystring: PageQuery,
        response: { 200: BINDINGS.page },
      },
    },
    ({ params, query }) => BINDINGS.list(exchangeOf(hostOf(context, params.host), params.exchange).bindings, query),
  );

  app.get(
    "/hosts/:host/bindings",
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List the bindings of all exchanges",
        params: HostParams,
        querystring: PageQuery,
        response: { 200: BINDINGS.page },
      },
    },
    ({ params, query }) => {
      const host = hostOf(context, params.host);
      let count = 0;
      for (const { bindings } of host.exchanges.all()) count += bindings.size;
      return BINDINGS.listWalk(bindingsOf(host), count, query);
    },
  );
}

function* bindingsOf({ exchanges }: VirtualHost): Iterable<Binding> {
  for (const { bindings } of exchanges.all()) yield* bindings.values();
}

/** Throws BrokerError when it is not there. */
function exchangeOf(host: VirtualHost, name: string): Exchange {
  return host.exchanges.get(nameOf(name));
}

function nameOf(name: string): string {
  return name === "amq.default" ? "" : name;
}

function detailOf(exchange: Exchange): Static<typeof Detail> {
  return { ...EXCHANGES.show(exchange), lost_by_reason: lostByReason(exchange.ledger) };
}
