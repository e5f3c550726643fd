import { availableParallelism, hostname, loadavg, release, type } from "node:os";
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import { type Static, Type } from "typebox";
import type { StoreStatistics } from "../../../core/store.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import type { Config } from "../../config/schema.ts";
import { hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { Figures, HostFigures } from "../figures.ts";
import { finished } from "../openapi.ts";
import { nullable } from "../schemas.ts";

const Host = Type.Object(
  {
    name: Type.String(),
    aliases: Type.Array(Type.String()),
    default: Type.Boolean(),
    own_users: Type.Boolean({ description: "Whether it has security of its own (hosts.NAME.security)." }),
    destinations: Type.Integer({ description: "Queues, topics, durable subscriptions and exchanges now." }),
    max_destinations: Type.Integer({ description: "How many there may be (hosts.NAME.max_destinations)." }),
    figures: Figures,
  },
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
    machine: Type.Object({
      name: Type.String(),
      system: Type.String({ description: "Its operating system, with release and architecture." }),
      processors: Type.Integer({ description: "How many the broker may use; it keeps one busy." }),
      load: Type.Array(Type.Number(), { description: "Load averages of 1, 5 and 15 minutes." }),
    }),
    cpu_ms: Type.Integer({ description: "Milliseconds of a processor that the process has used." }),
    garbage: Type.Object({
      runs: Type.Integer({ description: "Collections of the heap since management was opened." }),
      ms: Type.Integer({ description: "Milliseconds they took together." }),
    }),
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
      heap_limit: Type.Integer({ description: "Bytes that its heap may have." }),
      outside_heap: Type.Integer({ description: "Bytes of buffers, of messages among others." }),
    }),
    store: Type.Object({
      kind: Type.String({ description: "lmdb or memory (store.kind)." }),
      directory: nullable(Type.String(), "Where it is; null in memory."),
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
  const garbage = new Garbage();
  app.addHook("onClose", async () => garbage.close());
  app.get(
    "/broker",
    {
      config: { right: "monitor broker" },
      schema: { tags: ["broker"], summary: "Overview", response: { 200: Overview } },
    },
    () => overview(context, figures, garbage),
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
  { broker, clock, config, listeners }: ManagementContext,
  hostFigures: HostFigures,
  { runs, ms }: Garbage,
): Promise<Static<typeof Overview>> {
  const figures = await hostFigures.sum(broker.hosts.values());
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const now = clock.now();
  return {
    name: broker.name,
    version: broker.version,
    time: now,
    started_at: Math.round(now - process.uptime() * 1000),
    node: process.versions.node,
    pid: process.pid,
    machine: {
      name: hostname(),
      system: `${type()} ${release()} ${process.arch}`,
      processors: availableParallelism(),
      load: loadavg(),
    },
    cpu_ms: Math.round((user + system) / 1000),
    garbage: { runs, ms: Math.round(ms) },
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
      heap_limit: getHeapStatistics().heap_size_limit,
      outside_heap: external,
    },
    store: storeFigures(broker.store.statistics(), config().store),
    blocked_by: broker.engine.closedGate?.subject ?? null,
    figures,
  };
}

function storeFigures(
  { diskBytes, batches, enqueued, dequeued, cancelled, loaded, pendingBytes }: StoreStatistics,
  { kind, directory }: Config["store"],
): Static<typeof Overview>["store"] {
  return {
    kind,
    directory: kind === "memory" ? null : directory,
    disk_bytes: diskBytes,
    batches,
    enqueued,
    dequeued,
    cancelled,
    loaded,
    pending_bytes: pendingBytes,
  };
}

/** How often the heap was collected, and how long that took. */
class Garbage {
  runs = 0;
  ms = 0;
  private readonly observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      this.runs++;
      this.ms += duration;
    }
  });

  constructor() {
    this.observer.observe({ entryTypes: ["gc"] });
  }

  close(): void {
    this.observer.disconnect();
  }
}

async function shownHost(
  { broker }: ManagementContext,
  figures: HostFigures,
  host: VirtualHost,
): Promise<Static<typeof Host>> {
  const { name, settings } = host;
  const isDefault = broker.host(undefined) === host;
  return {
    name,
    aliases: [...settings.aliases],
    default: isDefault,
    own_users: settings.realm !== undefined,
    destinations: host.queues.size + host.topics.size + host.durables.size + host.exchanges.count,
    max_destinations: settings.maxDestinations,
    figures: await figures.of(host),
  };
}
