import type { IncomingHttpHeaders } from "node:http";
import type { FastifyReply } from "fastify";
import { type Static, Type } from "typebox";
import type { ManagementApp, ManagementContext } from "../management/context.ts";
import { CONTENT_TYPES, type Format, formatFor } from "./exposition.ts";
import type { Ailment } from "./health.ts";

const State = Type.Object(
  {
    ok: Type.Boolean(),
    reasons: Type.Array(
      Type.Object({
        name: Type.String({ description: "starting, stopping, store, alarm-memory or alarm-disk." }),
        reason: Type.String(),
      }),
    ),
  },
  { title: "Health" },
);

const ReadyQuery = Type.Object(
  {
    exclude: Type.Optional(
      Type.String({ description: 'What does not count, separated by commas; "alarms" is all of them.' }),
    ),
  },
  { additionalProperties: false },
);

/** Whether the broker lives and is ready, for whoever watches over it; and metrics. */
export function metricsRoutes(app: ManagementApp, { metrics, health, config }: ManagementContext): void {
  const open = { config: { right: "none" } } as const;
  const schema = { tags: ["health"], response: { 200: State, 503: State } };

  app.get("/livez", { ...open, schema: { ...schema, summary: "Whether it need not be started anew" } }, (_, reply) =>
    told(health.fatal, reply),
  );

  app.get(
    "/readyz",
    { ...open, schema: { ...schema, summary: "Whether clients may be sent here", querystring: ReadyQuery } },
    ({ query }, reply) => {
      const excluded = new Set(query.exclude?.split(","));
      const counts = ({ name }: Ailment): boolean =>
        !excluded.has(name) && !(excluded.has("alarms") && name.startsWith("alarm-"));
      return told(health.unready.filter(counts), reply);
    },
  );

  const right = config().metrics.anonymous ? "none" : "monitor broker";
  const text = { tags: ["metrics"], produces: Object.values(CONTENT_TYPES), response: { 200: Type.String() } };

  app.get("/metrics", { config: { right }, schema: { ...text, summary: "For Prometheus" } }, ({ headers }, reply) =>
    metrics.text(formatOf(headers, reply)),
  );

  app.get(
    "/metrics/per-object",
    { config: { right }, schema: { ...text, summary: "Queues, topics and durable subscriptions one by one" } },
    ({ headers }, reply) => metrics.objectsText(formatOf(headers, reply)),
  );
}

/** The format that is asked for, which the reply is said to have. */
function formatOf({ accept }: IncomingHttpHeaders, reply: Pick<FastifyReply, "type" | "header">): Format {
  const format = formatFor(accept);
  reply.type(CONTENT_TYPES[format]);
  reply.header("vary", "accept");
  return format;
}

function told(reasons: readonly Ailment[], reply: Pick<FastifyReply, "code">): Static<typeof State> {
  const ok = reasons.length === 0;
  if (!ok) reply.code(503);
  return { ok, reasons: [...reasons] };
}
