import { type Static, Type } from "typebox";
import type { Address } from "../../../core/addresses/address.ts";
import { canonical } from "../../../core/addresses/spelling.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { Queue } from "../../../core/queue/queue.ts";
import { isTemporary } from "../../../core/routing/admission.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { effectivePolicy } from "../../config/effective-policy.ts";
import { callerOf, hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { asClient } from "../host-client.ts";
import { DeclaredPolicy, declaredPolicy, PolicySettings } from "../policy.ts";
import { listProducers, PRODUCERS } from "../producers.ts";
import { CONSUMERS, consumersOf, LostByReason, lostByReason, queueFields } from "../queue-fields.ts";
import { nullable } from "../schemas.ts";
import { PageQuery, Table } from "../table.ts";

const QUEUES: Table<Queue> = new Table<Queue>("Queue", "name", {
  name: { schema: Type.String({ description: "Canonical." }), read: (queue) => queue.address?.name ?? "" },
  temporary: {
    schema: Type.Boolean({ description: "Whether it goes with a connection." }),
    read: ({ address }) => address !== undefined && isTemporary(address),
  },
  dead_letter_queue: {
    schema: Type.Union([Type.String(), Type.Null()], {
      description: "Where its dead letters go, unless to an exchange.",
    }),
    read: ({ address, policy }) => policy.deadLetterQueue?.replaceAll("*", address?.name ?? "") ?? null,
  },
  dead_letter_exchange: {
    schema: nullable(
      Type.String(),
      "The exchange that gets its dead letters, what expires, and what it has no room for.",
    ),
    read: ({ policy }) => policy.deadLetterExchange ?? null,
  },
  ...queueFields<Queue>((queue) => queue),
});

const HostParams = Type.Object({ host: Type.String() });
const QueueParams = Type.Object({ host: Type.String(), queue: Type.String({ description: "The canonical name." }) });

const QueueDetail = Type.Object(
  {
    ...QUEUES.row.properties,
    lost_by_reason: LostByReason,
    policy: PolicySettings,
    links: Type.Array(CONSUMERS.row, { description: "The first hundred of its consumers." }),
  },
  { title: "QueueDetail" },
);

const Declaration = Type.Object(
  {
    durable: Type.Boolean({ default: true, description: "Whether it is there again after a restart." }),
    auto_delete: Type.Boolean({ default: false, description: "Whether it goes with the last of its consumers." }),
    expires_ms: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: "Milliseconds without use after which it goes; 0 is never.",
    }),
    policy: Type.Optional(DeclaredPolicy),
  },
  { additionalProperties: false, title: "QueueDeclaration" },
);

const DeleteQuery = Type.Object(
  {
    if_unused: Type.Boolean({ default: false, description: "Only if it has no consumers." }),
    if_empty: Type.Boolean({ default: false, description: "Only if it holds no messages." }),
  },
  { additionalProperties: false },
);

const Deleted = Type.Object({ messages: Type.Integer({ description: "Messages that went with it." }) });

const LINKS_SHOWN = 100;
const tags = ["queues"];

/** Queues: what there is of them, and what an operator does to one as a whole. */
export function queueRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/hosts/:host/queues",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "List", params: HostParams, querystring: PageQuery, response: { 200: QUEUES.page } },
    },
    ({ params, query }) => QUEUES.list(hostOf(context, params.host).queues, query),
  );

  app.get(
    "/hosts/:host/queues/:queue",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "Look at one", params: QueueParams, response: { 200: QueueDetail } },
    },
    ({ params }) => detailOf(context, queueOf(hostOf(context, params.host), params.queue)),
  );

  app.get(
    "/hosts/:host/queues/:queue/consumers",
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List its consumers",
        params: QueueParams,
        querystring: PageQuery,
        response: { 200: CONSUMERS.page },
      },
    },
    ({ params, query }) => CONSUMERS.list(consumersOf(queueOf(hostOf(context, params.host), params.queue)), query),
  );

  app.get(
    "/hosts/:host/queues/:queue/producers",
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List those who send to it",
        params: QueueParams,
        querystring: PageQuery,
        response: { 200: PRODUCERS.page },
      },
    },
    ({ params, query }) => {
      const host = hostOf(context, params.host);
      const queue = queueOf(host, params.queue);
      return listProducers(host, (route) => route.leadsTo(queue), query);
    },
  );

  app.put(
    "/hosts/:host/queues/:queue",
    {
      config: { right: "admin host", audit: "queue.declare" },
      schema: {
        tags,
        summary: "Declare",
        description: "Makes it, or finds that it is as declared; the caller needs the right to create it too.",
        params: QueueParams,
        body: Declaration,
        response: { 200: QueueDetail, 201: QueueDetail },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const host = hostOf(context, params.host);
      const address = canonical.parse("queue", params.queue);
      const isNew = !host.queues.has(address.name);
      await asClient(host, callerOf(request), (client) =>
        client.declareQueue({
          address,
          durable: body.durable,
          exclusive: false,
          autoDelete: body.auto_delete,
          expiresMs: body.expires_ms,
          policy: declaredPolicy(body.policy ?? {}),
          arguments: new Map(),
        }),
      );
      reply.code(isNew ? 201 : 200);
      return detailOf(context, queueOf(host, address.name));
    },
  );

  app.delete(
    "/hosts/:host/queues/:queue",
    {
      config: { right: "admin host", audit: "queue.delete" },
      schema: {
        tags,
        summary: "Delete with all it holds",
        params: QueueParams,
        querystring: DeleteQuery,
        response: { 200: Deleted },
      },
    },
    async ({ params, query }) => {
      const host = hostOf(context, params.host);
      const queue = queueOf(host, params.queue);
      const { count, consumerCount, subject } = queue;
      if (query.if_unused && consumerCount > 0) throw inUse(`The ${subject} has ${consumerCount} consumers`);
      if (query.if_empty && count > 0) throw inUse(`The ${subject} holds ${count} messages`);
      host.deleteQueue(addressOf(queue));
      return { messages: count };
    },
  );

  for (const action of ["pause", "resume"] as const) {
    app.post(
      `/hosts/:host/queues/:queue/${action}`,
      {
        config: { right: "admin host", audit: `queue.${action}` },
        schema: {
          tags,
          summary: action === "pause" ? "Have it deliver nothing until it is resumed" : "Have it deliver again",
          params: QueueParams,
          response: { 200: QueueDetail },
        },
      },
      ({ params }) => {
        const host = hostOf(context, params.host);
        const queue = queueOf(host, params.queue);
        if (action === "pause") host.pauseQueue(addressOf(queue));
        else host.resumeQueue(addressOf(queue));
        return detailOf(context, queue);
      },
    );
  }
}

/** The queue of a canonical name. Throws BrokerError. */
export function queueOf(host: VirtualHost, name: string): Queue {
  const queue = host.queues.get(canonical.parse("queue", name).name);
  if (queue !== undefined) return queue;
  throw new BrokerError("not-found", `There is no queue ${name} in virtual host ${host.name}`);
}

function detailOf({ config }: ManagementContext, queue: Queue): Static<typeof QueueDetail> {
  const links: Record<string, unknown>[] = [];
  for (const link of queue.links()) {
    if (links.push(CONSUMERS.show(link)) === LINKS_SHOWN) break;
  }
  return {
    ...QUEUES.show(queue),
    lost_by_reason: lostByReason(queue.ledger),
    policy: effectivePolicy(config(), "queues", addressOf(queue).name, queue.policy),
    links,
  };
}

function addressOf({ address, subject }: Queue): Address {
  if (address !== undefined) return address;
  throw new BrokerError("internal", `The ${subject} has no address`);
}

function inUse(text: string): BrokerError {
  return new BrokerError("in-use", text);
}
