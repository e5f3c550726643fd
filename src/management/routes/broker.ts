import { type Static, Type } from "typebox";
import type { StoreStatistics } from "../../../core/store.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { Figures, HostFigures } from "../figures.ts";
import { finished } from "../openapi.ts";

const Host = Type.Object(
  { name: Type.String(), aliases: Type.Array(Type.String()), default: Type.Boolean(), figures: Figures },
  { title: "VirtualHost" },
);

const Overview = Type.Object(
  {
    name: Type.String(),
    version: Type.String(),
    time: Type.Integer({ description: "Now, in milliseconds since 1970." }),
    started_at: Type.Integer({ description: "When the process started." }),
    node: Type.String({ description: "The version of Node.js." }),
    pid: Type.Integer(),
    hosts: Type.Array(Type.String()),
    listeners: Type.Array(
      Type.Object({
        name: Type.String(),
        accepted: Type.Integer({ description: "Connections so far." }),
        connections: Type.Integer({ description: "Connections now, of those whose protocol is known." }),
      }),
    ),
    memory: Type.Object({
      messages: Type.Integer({ description: "Bytes of messages in memory." }),
      messages_limit: Type.Integer({ description: "Above this publishers wait (memory.messages)." }),
      resident: Type.Integer({ description: "Bytes that the process takes." }),
      heap: Type.Integer({ description: "Bytes in use of its heap." }),
    }),
    store: Type.Object({
      disk_bytes: Type.Integer(),
      batches: Type.Integer({ description: "Batches written, each with one sync." }),
      enqueued: Type.Integer(),
      dequeued: Type.Integer(),
      cancelled: Type.Integer({ description: "Entries that were gone before they had to be written." }),
      loaded: Type.Integer({ description: "Messages read back." }),
      pending_bytes: Type.Integer({ description: "Bytes not yet on disk." }),
    }),
    blocked_by: Type.Union([Type.String(), Type.Null()], { description: "Why all publishers wait right now." }),
    figures: Figures,
  },
  { title: "Broker" },
);

const HostParams = Type.Object({ host: Type.String() });

/** The broker as a whole, and its virtual hosts. */
export function brokerRoutes(app: ManagementApp, context: ManagementContext): void {
  const figures = new HostFigures(context.looks);
  const { broker } = context;
  app.get(
    "/broker",
    {
      config: { right: "monitor broker" },
      schema: { tags: ["broker"], summary: "Overview", response: { 200: Overview } },
    },
    () => overview(context, figures),
  );

  app.get(
    "/hosts",
    {
      config: { right: "monitor broker" },
      schema: { tags: ["broker"], summary: "List virtual hosts", response: { 200: Type.Array(Host) } },
    },
    () => Promise.all(Array.from(broker.hosts.values(), (host) => shownHost(context, figures, host))),
  );

  app.get(
    "/hosts/:host",
    {
      config: { right: "monitor host" },
      schema: { tags: ["broker"], summary: "Look at one", params: HostParams, response: { 200: Host } },
    },
    ({ params }) => shownHost(context, figures, hostOf(context, params.host)),
  );

  // Anybody may ask for it, and it is long.
  let text: string | undefined;
  app.get("/openapi.json", { config: { right: "none" }, schema: { hide: true } }, (_request, reply) => {
    text ??= JSON.stringify(finished(app.swagger()));
    return reply.type("application/json; charset=utf-8").send(text);
  });
}

async function overview(
  { broker, clock, listeners }: ManagementContext,
  hostFigures: HostFigures,
): Promise<Static<typeof Overview>> {
  const figures = await hostFigures.sum(broker.hosts.values());
  const { rss, heapUsed } = process.memoryUsage();
  const now = clock.now();
  return {
    name: broker.name,
    version: broker.version,
    time: now,
    started_at: Math.round(now - process.uptime() * 1000),
    node: process.versions.node,
    pid: process.pid,
    hosts: [...broker.hosts.keys()],
    listeners: listeners().map(({ name, accepted, connections }) => ({
      name,
      accepted,
      connections: connections.size,
    })),
    memory: {
      messages: broker.engine.memoryBytes,
      messages_limit: broker.engine.memoryLimitBytes,
      resident: rss,
      heap: heapUsed,
    },
    store: storeFigures(broker.store.statistics()),
    blocked_by: broker.engine.closedGate?.subject ?? null,
    figures,
  };
}

function storeFigures(statistics: StoreStatistics): Static<typeof Overview>["store"] {
  const { diskBytes, batches, enqueued, dequeued, cancelled, loaded, pendingBytes } = statistics;
  return { disk_bytes: diskBytes, batches, enqueued, dequeued, cancelled, loaded, pending_bytes: pendingBytes };
}

async function shownHost(
  { broker }: ManagementContext,
  figures: HostFigures,
  host: VirtualHost,
): Promise<Static<typeof Host>> {
  const { name, settings } = host;
  const isDefault = broker.host(undefined) === host;
  return { name, aliases: [...settings.aliases], default: isDefault, figures: await figures.of(host) };
}
