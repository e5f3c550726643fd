import { type Static, Type } from "typebox";
import { maxNameBytes } from "../../../core/addresses/address.ts";
import { canonical } from "../../../core/addresses/spelling.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { Consumer } from "../../../core/protocol.ts";
import { compileSelector } from "../../../core/selector/selector.ts";
import type { DurableSubscription } from "../../../core/topic/durable-subscription.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { effectivePolicy } from "../../config/effective-policy.ts";
import { callerOf, hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { asClient } from "../host-client.ts";
import { PolicySettings } from "../policy.ts";
import { CONSUMERS, consumersOf, LostByReason, lostByReason, queueFields } from "../queue-fields.ts";
import { PageQuery, Table } from "../table.ts";
import { nullable, words } from "../schemas.ts";

const DURABLES: Table<DurableSubscription> = new Table<DurableSubscription>("DurableSubscription", "id", {
  id: { schema: Type.String(), read: ({ id }) => id },
  kind: {
    schema: words(["durable", "session", "share"], { description: "Whose it is." }),
    read: ({ kind }) => kind,
  },
  topics: {
    schema: Type.Array(Type.String(), { description: "What it is over, canonically." }),
    read: ({ patterns }) => patterns.map(({ text }) => text),
  },
  selector: {
    schema: nullable(Type.String()),
    read: ({ selector }) => selector?.text ?? null,
  },
  ...queueFields<DurableSubscription>(({ queue }) => queue),
});

const HostParams = Type.Object({ host: Type.String() });
const DurableParams = Type.Object({ host: Type.String(), id: Type.String() });

const DurableDetail = Type.Object(
  {
    ...DURABLES.row.properties,
    lost_by_reason: LostByReason,
    policy: PolicySettings,
    links: Type.Array(CONSUMERS.row, { description: "The first hundred of its consumers." }),
  },
  { title: "DurableSubscriptionDetail" },
);

const Declaration = Type.Object(
  {
    topics: Type.Array(Type.String(), {
      minItems: 1,
      maxItems: 1000,
      description: "Canonical; wildcards are allowed.",
    }),
    selector: Type.Optional(Type.String({ maxLength: 65_536 })),
  },
  { additionalProperties: false, title: "DurableSubscriptionDeclaration" },
);

/** Attached for a moment only, with no credit. */
const NOBODY: Consumer = { deliver: () => false, cancelled: () => {} };
const LINKS_SHOWN = 100;
const BASE = "/hosts/:host/durable-subscriptions";
const tags = ["durable subscriptions"];

/** Durable subscriptions: what there is of them, and what an operator does to one as a whole. */
export function durableSubscriptionRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    BASE,
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "List", params: HostParams, querystring: PageQuery, response: { 200: DURABLES.page } },
    },
    ({ params, query }) => DURABLES.list(hostOf(context, params.host).durables, query),
  );

  app.get(
    `${BASE}/:id`,
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "Look at one", params: DurableParams, response: { 200: DurableDetail } },
    },
    ({ params }) => detailOf(context, durableOf(hostOf(context, params.host), params.id)),
  );

  app.get(
    `${BASE}/:id/consumers`,
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List its consumers",
        params: DurableParams,
        querystring: PageQuery,
        response: { 200: CONSUMERS.page },
      },
    },
    ({ params, query }) => CONSUMERS.list(consumersOf(durableOf(hostOf(context, params.host), params.id).queue), query),
  );

  app.put(
    `${BASE}/:id`,
    {
      config: { right: "admin host", audit: "dsub.declare" },
      schema: {
        tags,
        summary: "Create, or change what it is over",
        description: "The caller needs the rights to consume and to create it, and to receive from its topics, too.",
        params: DurableParams,
        body: Declaration,
        response: { 200: DurableDetail, 201: DurableDetail },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const host = hostOf(context, params.host);
      checkLength(params.id);
      const patterns = body.topics.map((topic) => canonical.parsePattern("topic", topic));
      const selector = body.selector === undefined ? undefined : compileSelector(body.selector);
      reply.code(host.durables.has(params.id) ? 200 : 201);
      await asClient(host, callerOf(request), (client) =>
        client
          .subscribe({
            patterns,
            selector,
            durable: params.id,
            settling: true,
            credit: { messages: 0, bytes: 0 },
            consumer: NOBODY,
          })
          .close(),
      );
      return detailOf(context, durableOf(host, params.id));
    },
  );

  app.delete(
    `${BASE}/:id`,
    {
      config: { right: "admin host", audit: "dsub.delete" },
      schema: {
        tags,
        summary: "Delete with all it holds",
        description: "The caller needs the right to destroy it too.",
        params: DurableParams,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { params } = request;
      const host = hostOf(context, params.host);
      await asClient(host, callerOf(request), (client) => client.deleteDurable(params.id));
      reply.code(204);
      return null;
    },
  );

  for (const action of ["pause", "resume"] as const) {
    app.post(
      `${BASE}/:id/${action}`,
      {
        config: { right: "admin host", audit: `dsub.${action}` },
        schema: {
          tags,
          summary: action === "pause" ? "Have it deliver nothing until it is resumed" : "Have it deliver again",
          params: DurableParams,
          response: { 200: DurableDetail },
        },
      },
      ({ params }) => {
        const host = hostOf(context, params.host);
        checkLength(params.id);
        if (action === "pause") host.pauseDurable(params.id);
        else host.resumeDurable(params.id);
        return detailOf(context, durableOf(host, params.id));
      },
    );
  }
}

/** Throws BrokerError for an id that is too long to be kept. */
function checkLength(id: string): void {
  const bytes = Buffer.byteLength(id);
  if (bytes <= maxNameBytes) return;
  throw new BrokerError("bad-request", `The id has ${bytes} bytes, the limit is ${maxNameBytes} bytes`);
}

/** Throws BrokerError when it is not there. */
export function durableOf(host: VirtualHost, id: string): DurableSubscription {
  const durable = host.durables.get(id);
  if (durable !== undefined) return durable;
  throw new BrokerError("not-found", `There is no durable subscription ${id} in virtual host ${host.name}`);
}

function detailOf({ config }: ManagementContext, durable: DurableSubscription): Static<typeof DurableDetail> {
  const { queue, id } = durable;
  const links: Record<string, unknown>[] = [];
  for (const link of queue.links()) {
    if (links.push(CONSUMERS.show(link)) === LINKS_SHOWN) break;
  }
  return {
    ...DURABLES.show(durable),
    lost_by_reason: lostByReason(queue.ledger),
    policy: effectivePolicy(config(), "durable_subscriptions", id, queue.policy),
    links,
  };
}
