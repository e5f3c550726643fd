import { type Static, Type } from "typebox";
import { type Actor, subjectOf } from "../../../core/access/access.ts";
import type { Address } from "../../../core/addresses/address.ts";
import { canonical } from "../../../core/addresses/spelling.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { RetainedTopic } from "../../../core/topic/retained.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { type Caller, callerOf, hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { asClient } from "../host-client.ts";
import { messageOf, NewMessage } from "../sending.ts";
import { ShownMessage, showMessage } from "../shown-message.ts";
import { gather } from "../slices.ts";
import { PageQuery, Table } from "../table.ts";

const RETAINED: Table<RetainedTopic> = new Table<RetainedTopic>("Retained", "topic", {
  topic: { schema: Type.String({ description: "Canonical." }), read: ({ address }) => address.name },
  bytes: { schema: Type.Integer({ description: "As it is stored." }), read: ({ bytes }) => bytes },
});

const FILTER = Type.String({
  default: "**",
  maxLength: 4096,
  description: "A pattern of topics, canonical: * is one level, ** the rest.",
});
const ListQuery = Type.Object({ ...PageQuery.properties, filter: FILTER }, { additionalProperties: false });
const ClearQuery = Type.Object({ filter: FILTER }, { additionalProperties: false });
const MessageQuery = Type.Object(
  {
    max_body: Type.Integer({ default: 65_536, minimum: 0, maximum: 16_777_216, description: "Bytes to show of it." }),
    body: Type.Union([Type.Literal("auto"), Type.Literal("base64")], { default: "auto" }),
  },
  { additionalProperties: false },
);
const HostParams = Type.Object({ host: Type.String() });
const Params = Type.Object({ host: Type.String(), topic: Type.String({ description: "The canonical name." }) });
const Cleared = Type.Object({ messages: Type.Integer({ description: "How many there were." }) });

/** Removed in one turn. */
const SLICE = 1000;
const tags = ["retained"];

/** The retained messages of topics. */
export function retainedRoutes(app: ManagementApp, context: ManagementContext): void {
  reading(app, context);
  app.put(
    "/hosts/:host/retained/:topic",
    {
      config: { right: "admin host", audit: "retained.set" },
      schema: {
        tags,
        summary: "Have a topic retain a message, which is not published",
        description: "The caller needs the right to send to the topic too.",
        params: Params,
        body: NewMessage,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const host = hostOf(context, params.host);
      await retain(host, context, request, canonical.parse("topic", params.topic), body);
      reply.code(204);
      return null;
    },
  );

  app.delete(
    "/hosts/:host/retained/:topic",
    {
      config: { right: "admin host", audit: "retained.clear" },
      schema: {
        tags,
        summary: "Have a topic retain nothing",
        description: "The caller needs the right to send to the topic too.",
        params: Params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { params } = request;
      const host = hostOf(context, params.host);
      const address = canonical.parse("topic", params.topic);
      if (host.retained.get(address) === undefined) throw nothing(host, address);
      await retain(host, context, request, address, undefined);
      reply.code(204);
      return null;
    },
  );

  app.delete(
    "/hosts/:host/retained",
    {
      config: { right: "admin host", audit: "retained.clear" },
      schema: {
        tags,
        summary: "Have all topics of a pattern retain nothing",
        description: "Those that the caller has the right to send to.",
        params: HostParams,
        querystring: ClearQuery,
        response: { 200: Cleared },
      },
    },
    (request) => clear(hostOf(context, request.params.host), callerOf(request), request.query.filter),
  );
}

async function clear(host: VirtualHost, caller: Caller, filter: string): Promise<Static<typeof Cleared>> {
  const { permissions } = actorOf(host, caller);
  const found = await topicsOf(
    host,
    filter,
    ({ address }) => permissions.decide("send", "topic", address.name).allowed,
  );
  for (const [place, { address }] of found.entries()) {
    host.retain(address, undefined);
    if (place % SLICE === SLICE - 1) await new Promise((resolve) => setImmediate(resolve));
  }
  return { messages: found.length };
}

function reading(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/hosts/:host/retained",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "List", params: HostParams, querystring: ListQuery, response: { 200: RETAINED.page } },
    },
    async ({ params, query }) => {
      const host = hostOf(context, params.host);
      const pattern = canonical.parsePattern("topic", query.filter);
      // Of all of them it is known how many there are.
      if (query.filter === "**") return RETAINED.listWalk(host.retained.walk(pattern), host.retained.count, query);
      const found = await topicsOf(host, query.filter);
      return RETAINED.list({ size: found.length, values: () => found }, query);
    },
  );

  app.get(
    "/hosts/:host/retained/:topic",
    {
      config: { right: "monitor host", bodies: true },
      schema: {
        tags,
        summary: "Look at the one of a topic",
        description: "The caller needs the right to receive from the topic too.",
        params: Params,
        querystring: MessageQuery,
        response: { 200: ShownMessage },
      },
    },
    (request) => {
      const { params, query } = request;
      const host = hostOf(context, params.host);
      const address = canonical.parse("topic", params.topic);
      checkReceiving(host, callerOf(request), address);
      const message = host.retained.get(address);
      if (message === undefined) throw nothing(host, address);
      return showMessage(message, { sequence: 0, deliveries: 0 }, query.max_body, query.body);
    },
  );
}

/** As over any protocol. Throws BrokerError("not-authorized"). */
function checkReceiving(host: VirtualHost, caller: Caller, { kind, name }: Address): void {
  host.guard.check(actorOf(host, caller), "receive", kind, name);
}

/** With what it may do in the virtual host. Throws BrokerError("not-authorized") when it may not even connect. */
function actorOf({ guard }: VirtualHost, { login, peer }: Caller): Actor {
  const actor = { login, peer, permissions: guard.permissions(subjectOf(login, peer)) };
  guard.checkConnecting(actor);
  return actor;
}

function topicsOf(
  host: VirtualHost,
  filter: string,
  wanted?: (topic: RetainedTopic) => boolean,
): Promise<RetainedTopic[]> {
  return gather(host.retained.walk(canonical.parsePattern("topic", filter)), Number.POSITIVE_INFINITY, wanted);
}

/** As a client: with the caller's own rights. */
async function retain(
  host: VirtualHost,
  { clock }: ManagementContext,
  request: Parameters<typeof callerOf>[0],
  address: Address,
  said: Static<typeof NewMessage> | undefined,
): Promise<void> {
  const caller = callerOf(request);
  const message = said === undefined ? undefined : messageOf(said, address, caller.login.user, clock.now());
  await asClient(host, caller, (client) => client.retain(client.route([address]), message));
}

function nothing(host: VirtualHost, { name }: Address): BrokerError {
  return new BrokerError("not-found", `The topic ${name} of virtual host ${host.name} retains no message`);
}
