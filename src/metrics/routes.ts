import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import { type Static, Type } from "typebox";
import type { ManagementApp, ManagementContext } from "../management/context.ts";
import { CONTENT_TYPES, type Format, formatFor } from "./exposition.ts";
import type { Ailment } from "./health.ts";

const DAY_MS = 86_400_000;
const MOST_DAYS = 36_500;

const State = Type.Object(
  {
    ok: Type.Boolean(),
    reasons: Type.Array(
      Type.Object({
        name: Type.String({ description: "starting, stopping, store, alarm-memory, alarm-disk or certificate." }),
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
    certificates: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MOST_DAYS,
        description: "Certificates that expire within so many days count, too; with 0, those that have expired.",
      }),
    ),
  },
  { additionalProperties: false },
);

/** Whether the broker lives and is ready, for whoever watches over it; and metrics. */
export function metricsRoutes(app: ManagementApp, { metrics, health, config, clock }: ManagementContext): void {
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
      const { certificates: days } = query;
      const expiring = days === undefined ? [] : health.expiring(clock.now() + days * DAY_MS);
      return told([...health.unready, ...expiring].filter(counts), reply);
    },
  );

  const right = config().metrics.anonymous ? "none" : "monitor broker";
  const text = { tags: ["metrics"], produces: Object.values(CONTENT_TYPES) };

  app.get(
    "/metrics",
    { config: { right }, schema: { ...text, summary: "For Prometheus", response: { 200: Type.String() } } },
    ({ headers }, reply) => metrics.text(formatOf(headers, reply)),
  );

  app.get(
    "/metrics/per-object",
    {
      config: { right: "monitor broker" },
      schema: { ...text, summary: "Queues, topics and durable subscriptions one by one" },
    },
    // With names, so never for anybody; as it is made, and as fast as it is read.
    ({ headers }, reply) => reply.send(Readable.from(metrics.objects(formatOf(headers, reply)))),
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
  // Anybody may ask: no figures, no paths.
  return { ok, reasons: reasons.map(({ name, reason }) => ({ name, reason })) };
}
