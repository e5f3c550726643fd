import { hrtime } from "node:process";
import { Type } from "typebox";
import { BrokerError } from "../../../core/errors.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { callerOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { type Counted, HostFigures } from "../figures.ts";
import { checkRight } from "../rights.ts";
import { gather } from "../slices.ts";
import { subjectOf } from "../../../core/access/access.ts";
import { ListQuery, type Row, shortList, withColumns } from "./listing.ts";
import { consumersOf, NODE } from "./views.ts";
import { type Asker, hostsOf, vhostName, vhostOf } from "./vhosts.ts";

/** Whose API this is like: tools compare it. */
const LIKE_VERSION = "3.13.0";
const RATE_MS = 1000;
/** What has no like here. */
const EMPTY_LISTS = [
  "parameters",
  "parameters/:component",
  "policies",
  "operator-policies",
  "vhost-limits",
  "user-limits",
  "user-limits/:user",
  "topic-permissions",
  "extensions",
  "feature-flags",
  "deprecated-features",
];
/** The same, of a virtual host. */
const EMPTY_LISTS_OF_VHOSTS = [
  "parameters/:component/:vhost",
  "policies/:vhost",
  "operator-policies/:vhost",
  "vhost-limits/:vhost",
  "vhosts/:vhost/topic-permissions",
];
const FOREIGN_PATHS = [
  "/policies/:vhost/:name",
  "/operator-policies/:vhost/:name",
  "/parameters/:component/:vhost/:name",
  "/global-parameters/:name",
  "/vhost-limits/:vhost/:name",
  "/user-limits/:user/:name",
  "/topic-permissions/:vhost/:user",
];
const VhostParams = Type.Object({ vhost: Type.String() });
const NodeParams = Type.Object({ node: Type.String() });
const read = { config: { right: "login" }, schema: { hide: true, querystring: ListQuery } } as const;

/** The broker as a whole, its one node and its virtual hosts, as RabbitMQ has them. */
export function overviewRoutes(app: ManagementApp, context: ManagementContext): void {
  const figures = new HostFigures(context.looks);
  const rates = new Rates();

  const lookAt = async (host: VirtualHost): Promise<Looked> => ({
    host,
    figures: await figures.of(host),
    exchanges: await countOf(host.exchanges.all()),
    consumers: await countOf(consumersOf(host)),
  });
  app.get("/overview", read, (request) => {
    const looks = Promise.all(hostsOf(context, request, undefined).map(lookAt));
    const listeners = sees(context, request) ? portsOf(context) : [];
    return looks.then((hosts) => withColumns({ ...overview(context, hosts, rates), listeners }, request.query.columns));
  });
  app.get("/cluster-name", read, () => ({ name: context.broker.name }));
  app.get("/nodes", read, (request) => {
    mayMonitor(context, request);
    return shortList([node(context)], request.query);
  });
  app.get("/nodes/:node", { ...read, schema: { ...read.schema, params: NodeParams } }, (request) => {
    mayMonitor(context, request);
    const { node: name } = request.params;
    if (name !== NODE) throw new BrokerError("not-found", `There is no node ${name}; the only one is ${NODE}`);
    return withColumns(node(context), request.query.columns);
  });
  for (const name of EMPTY_LISTS) app.get(`/${name}`, read, () => []);
  for (const name of EMPTY_LISTS_OF_VHOSTS) {
    app.get(`/${name}`, { ...read, schema: { ...read.schema, params: VhostParams } }, (request) => {
      vhostOf(context, request, request.params.vhost, "monitor host");
      return [];
    });
  }
  app.get("/global-parameters", read, () => [{ name: "cluster_name", value: context.broker.name }]);

  foreign(app, context);
  const vhostRowOf = async (host: VirtualHost): Promise<Row> => vhostRow(host, await figures.of(host));
  app.get("/vhosts", read, (request) => {
    const rows = Promise.all(hostsOf(context, request, undefined).map(vhostRowOf));
    return rows.then((all) => shortList(all, request.query));
  });
  app.get("/vhosts/:vhost", { ...read, schema: { ...read.schema, params: VhostParams } }, (request) => {
    const host = vhostOf(context, request, request.params.vhost, "monitor host");
    return vhostRowOf(host).then((row) => withColumns(row, request.query.columns));
  });
}

/** What has no like here is refused with where to look instead. */
function foreign(app: ManagementApp, context: ManagementContext): void {
  const refused = { config: { right: "login", audit: "rabbitmq.unsupported" }, schema: { hide: true } } as const;
  for (const path of FOREIGN_PATHS) {
    for (const method of ["PUT", "DELETE"] as const) {
      app.route({
        method,
        url: path,
        ...refused,
        handler: () => {
          throw new BrokerError(
            "bad-request",
            "There is nothing like it here: queues, limits and rules are set in the configuration (queues, limits, access_rules)",
          );
        },
      });
    }
  }
  const vhost = { ...refused, schema: { hide: true, params: VhostParams } };
  app.put("/vhosts/:vhost", vhost, (request, reply) => {
    const { vhost: name } = request.params;
    try {
      vhostOf(context, request, name, "admin host");
    } catch (refusal) {
      if (refusal instanceof BrokerError && refusal.code === "not-found") throw inConfiguration(name);
      throw refusal;
    }
    return reply.code(204).send();
  });
  app.delete("/vhosts/:vhost", vhost, (request) => {
    throw inConfiguration(request.params.vhost);
  });
}

function inConfiguration(vhost: string): BrokerError {
  return new BrokerError("bad-request", `Virtual hosts are made and removed in the configuration (hosts): ${vhost}`);
}

function mayMonitor({ broker }: ManagementContext, asker: Asker): void {
  const { login, peer } = callerOf(asker);
  checkRight(broker.access, subjectOf(login, peer), "monitor broker", undefined, broker.name);
}

/** Whether whoever asks may know where the broker listens. */
function sees(context: ManagementContext, asker: Asker): boolean {
  try {
    mayMonitor(context, asker);
    return true;
  } catch (refusal) {
    if (refusal instanceof BrokerError) return false;
    throw refusal;
  }
}

function portsOf({ listeners, config }: ManagementContext): Row[] {
  return listeners().map(({ name, address }) => ({
    node: NODE,
    protocol: name,
    ip_address: address?.host ?? config().listeners[name]?.host ?? "",
    port: address?.port ?? 0,
  }));
}

/** How many there are, counted in slices. */
async function countOf(items: Iterable<unknown>): Promise<number> {
  let count = 0;
  await gather(items, Number.POSITIVE_INFINITY, () => ++count < 0);
  return count;
}

/** A virtual host, with what it comes to. */
interface Looked {
  readonly host: VirtualHost;
  readonly figures: Counted;
  readonly exchanges: number;
  readonly consumers: number;
}

function overview({ broker }: ManagementContext, hosts: readonly Looked[], rates: Rates): Row {
  const of = (figure: (one: Counted) => number): number =>
    hosts.reduce((total, { figures }) => total + figure(figures), 0);
  const speeds = hosts.map(({ host, figures: { received, sent } }) => rates.of(host, [received, sent]));
  const rate = (at: number): number => speeds.reduce((total, speed) => total + (speed[at] ?? 0), 0);
  const stored = of((one) => one.stored);
  const inflight = of((one) => one.inflight);
  return {
    management_version: LIKE_VERSION,
    rabbitmq_version: LIKE_VERSION,
    product_name: "Delos",
    product_version: broker.version,
    erlang_version: "",
    rates_mode: "basic",
    cluster_name: broker.name,
    cluster_tags: {},
    node: NODE,
    exchange_types: ["direct", "fanout", "topic", "headers"].map((name) => ({ name, enabled: true })),
    disable_stats: false,
    enable_queue_totals: true,
    message_stats: {
      publish: of(({ received }) => received),
      publish_details: { rate: rate(0) },
      deliver_get: of(({ sent }) => sent),
      deliver_get_details: { rate: rate(1) },
    },
    queue_totals: {
      messages: stored,
      messages_ready: Math.max(0, stored - inflight),
      messages_unacknowledged: inflight,
    },
    object_totals: {
      connections: of(({ clients }) => clients),
      channels: of(({ clients }) => clients),
      exchanges: hosts.reduce((total, { exchanges }) => total + exchanges, 0),
      queues: of(({ queues }) => queues),
      consumers: hosts.reduce((total, { consumers }) => total + consumers, 0),
    },
    statistics_db_event_queue: 0,
    contexts: [],
  };
}

function node({ broker, resources }: ManagementContext): Row {
  const { levels, memoryLimit, diskLimit } = resources;
  const { alarms } = broker.engine;
  const raised = (name: string): boolean => alarms.active.some((alarm) => alarm.name === name);
  const sockets = [...broker.hosts.values()].reduce((total, { clients }) => total + clients.size, 0);
  return {
    name: NODE,
    type: "disc",
    running: true,
    os_pid: String(process.pid),
    uptime: Math.round(process.uptime() * 1000),
    mem_used: levels?.memoryUsed ?? 0,
    mem_limit: memoryLimit,
    mem_alarm: raised("memory"),
    ...(levels?.diskFree === undefined ? {} : { disk_free: levels.diskFree }),
    disk_free_limit: diskLimit,
    disk_free_alarm: raised("disk"),
    sockets_used: sockets,
    processors: 1,
    rates_mode: "basic",
    being_drained: false,
    partitions: [],
    applications: [{ name: "delos", description: "Delos", version: broker.version }],
    auth_mechanisms: [],
    enabled_plugins: [],
    cluster_links: [],
  };
}

function vhostRow(host: VirtualHost, figures: Counted): Row {
  const { stored, inflight, received, sent, bytes_received, bytes_written } = figures;
  return {
    name: vhostName(host),
    description: "",
    tags: [],
    default_queue_type: "classic",
    metadata: { description: "", tags: [] },
    tracing: false,
    cluster_state: { [NODE]: "running" },
    messages: stored,
    messages_ready: Math.max(0, stored - inflight),
    messages_unacknowledged: inflight,
    recv_oct: bytes_received,
    send_oct: bytes_written,
    message_stats: { publish: received, deliver_get: sent },
  };
}

/** How fast counters of virtual hosts grow, between the moments at which somebody asks. */
class Rates {
  private readonly before = new WeakMap<VirtualHost, Speed>();

  /** A second, since they were asked for before; kept if that was a moment ago. */
  of(host: VirtualHost, counters: readonly number[]): readonly number[] {
    const at = Number(hrtime.bigint() / 1_000_000n);
    const before = this.before.get(host);
    if (before !== undefined && at - before.at < RATE_MS) return before.rates;
    const rates = counters.map((counter, index) => {
      if (before === undefined) return 0;
      const grown = Math.max(0, counter - (before.counters[index] ?? 0));
      return Math.round((grown / (at - before.at)) * 10_000) / 10;
    });
    this.before.set(host, { at, counters, rates });
    return rates;
  }
}

interface Speed {
  readonly at: number;
  readonly counters: readonly number[];
  readonly rates: readonly number[];
}
