/*
 * Definitions: what a broker has besides messages, as one document that goes out and comes in again.
 *
 *     in:  users -> permissions -> exchanges -> queues -> bindings; what cannot be taken is told, and the rest goes on
 */
import { Type } from "typebox";
import { subjectOf } from "../../../core/access/access.ts";
import { BrokerError } from "../../../core/errors.ts";
import { isTemporary } from "../../../core/routing/admission.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { AmqpError } from "../../../protocols/amqp091/errors.ts";
import { usersOf } from "../accounts.ts";
import { type Caller, callerOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { HostClient } from "../host-client.ts";
import { checkRight } from "../rights.ts";
import { gather } from "../slices.ts";
import { bind } from "./bindings.ts";
import { Body, scalars } from "./body.ts";
import { declareExchange } from "./exchanges.ts";
import type { Row } from "./listing.ts";
import { declareQueue } from "./queues.ts";
import { bindingRow, bindingsFrom, exchangeRow, queueRow } from "./views.ts";
import { checkPermission, importUser, permissionsOfUser, userRow } from "./users.ts";
import { type Asker, vhostName, vhostOf } from "./vhosts.ts";

const VhostParams = Type.Object({ vhost: Type.String() });
/** What a broker has of RabbitMQ that has no like here. */
const FOREIGN = ["parameters", "policies", "topic_permissions", "operator_policies"];
const MOST_TOLD = 1000;
const SLICE = 200;

/** Definitions, out and in. */
export function definitionRoutes(app: ManagementApp, context: ManagementContext): void {
  const audited = { right: "login", audit: "definitions.import" } as const;

  app.get("/definitions", { config: { right: "login" }, schema: { hide: true } }, (request) => {
    mayAdminister(context, request);
    return exported(context);
  });
  app.get(
    "/definitions/:vhost",
    { config: { right: "login" }, schema: { hide: true, params: VhostParams } },
    (request) => exportedOf(context, vhostOf(context, request, request.params.vhost, "admin host")),
  );
  app.post("/definitions", { config: audited, schema: { hide: true } }, (request) => {
    mayAdminister(context, request);
    return new Import(context, request, undefined).run(new Body(request.body));
  });
  app.post("/definitions/:vhost", { config: audited, schema: { hide: true, params: VhostParams } }, (request) => {
    const host = vhostOf(context, request, request.params.vhost, "admin host");
    return new Import(context, request, host).run(new Body(request.body));
  });
}

interface Parts {
  readonly queues: readonly Row[];
  readonly exchanges: readonly Row[];
  readonly bindings: readonly Row[];
}

async function exported(context: ManagementContext): Promise<Row> {
  const hosts = [...context.broker.hosts.values()];
  const parts = await Promise.all(hosts.map((host) => partsOf(host)));
  const users = usersOf(context);
  return {
    ...versionOf(context),
    users: users.map(userRow),
    vhosts: hosts.map((host) => ({ name: vhostName(host) })),
    permissions: users.flatMap(({ name }) => permissionsOfUser(context, name)),
    topic_permissions: [],
    parameters: [],
    global_parameters: [{ name: "cluster_name", value: context.broker.name }],
    policies: [],
    queues: parts.flatMap(({ queues }) => queues),
    exchanges: parts.flatMap(({ exchanges }) => exchanges),
    bindings: parts.flatMap(({ bindings }) => bindings),
  };
}

async function exportedOf(context: ManagementContext, host: VirtualHost): Promise<Row> {
  const { queues, exchanges, bindings } = await partsOf(host);
  return {
    ...versionOf(context),
    parameters: [],
    policies: [],
    queues: queues.map(withoutVhost),
    exchanges: exchanges.map(withoutVhost),
    bindings: bindings.map(withoutVhost),
  };
}

function versionOf({ broker }: ManagementContext): Row {
  return {
    rabbit_version: "3.13.0",
    rabbitmq_version: "3.13.0",
    product_name: "Delos",
    product_version: broker.version,
  };
}

/** What survives a connection: no temporary queues, and none of the exchanges that are always there. */
async function partsOf(host: VirtualHost): Promise<Parts> {
  const queues: Row[] = [];
  const exchanges: Row[] = [];
  const bindings: Row[] = [];
  const kept = new Set<unknown>();
  await gather(host.queues.values(), Number.POSITIVE_INFINITY, (item) => {
    if (item.address === undefined || isTemporary(item.address)) return false;
    const { name, vhost, durable, auto_delete, arguments: given } = queueRow({ host, item });
    kept.add(name);
    return queues.push({ name, vhost, durable, auto_delete, arguments: given }) < 0;
  });
  for (const item of host.exchanges.all()) {
    for (const binding of bindingsFrom(host, item)) {
      const { properties_key: _key, ...row } = bindingRow(binding);
      if (binding.kind === "exchange" || kept.has(binding.destination)) bindings.push(row);
    }
    if (item.predeclared) continue;
    const { name, vhost, type, durable, auto_delete, internal, arguments: given } = exchangeRow({ host, item });
    exchanges.push({ name, vhost, type, durable, auto_delete, internal, arguments: given });
  }
  return { queues, exchanges, bindings };
}

function withoutVhost({ vhost: _vhost, ...row }: Row): Row {
  return row;
}

/** One document that comes in. */
class Import {
  private readonly context: ManagementContext;
  private readonly asker: Asker;
  private readonly caller: Caller;
  /** Where everything goes; undefined where each thing says it. */
  private readonly host: VirtualHost | undefined;
  private readonly clients = new Map<VirtualHost, HostClient>();
  private readonly taken = { users: 0, exchanges: 0, queues: 0, bindings: 0 };
  private readonly skipped: string[] = [];
  private done = 0;

  constructor(context: ManagementContext, asker: Asker, host: VirtualHost | undefined) {
    this.context = context;
    this.asker = asker;
    this.caller = callerOf(asker);
    this.host = host;
  }

  async run(body: Body): Promise<Row> {
    try {
      if (this.host === undefined) {
        for (const { vhost } of body.list("vhosts").map((each) => ({ vhost: each.text("name") }))) {
          await this.each(`vhost ${vhost}`, () => this.hostOf(vhost));
        }
        await this.users(body.list("users"));
        await this.permissions(body.list("permissions"));
      }
      await this.exchanges(body.list("exchanges"));
      await this.queues(body.list("queues"));
      await this.bindings(body.list("bindings"));
      for (const part of FOREIGN) {
        const { length } = body.list(part);
        if (length > 0) this.skip(`${length} ${part}: there is nothing like them here`);
      }
      for (const client of this.clients.values()) await client.settled();
      return { imported: this.taken, skipped: this.skipped };
    } finally {
      for (const client of this.clients.values()) client.close();
    }
  }

  private async users(users: readonly Body[]): Promise<void> {
    for (const user of users) {
      const name = user.text("name");
      // An export has no secrets: whom it names and who is there stays as it is.
      const bare = !user.has("password") && user.text("password_hash", "") === "";
      if (bare && usersOf(this.context).some((known) => known.name === name)) continue;
      await this.each(`user ${name}`, async () => {
        await importUser(this.context, name, user);
        this.taken.users++;
        if (bare) this.skip(`user ${name}: was made without a password, and cannot log in until it has one`);
      });
    }
  }

  private async permissions(permissions: readonly Body[]): Promise<void> {
    for (const permission of permissions) {
      const user = permission.text("user");
      const vhost = permission.text("vhost");
      await this.each(`permission of ${user} in ${vhost}`, () =>
        checkPermission(this.context, this.hostOf(vhost), user, permission),
      );
    }
  }

  private async exchanges(exchanges: readonly Body[]): Promise<void> {
    for (const exchange of exchanges) {
      const name = exchange.text("name");
      await this.each(`exchange ${name}`, () => {
        declareExchange(this.clientOf(exchange), name, exchange);
        this.taken.exchanges++;
      });
    }
  }

  private async queues(queues: readonly Body[]): Promise<void> {
    for (const queue of queues) {
      const name = queue.text("name");
      await this.each(`queue ${name}`, () => {
        declareQueue(this.clientOf(queue), name, queue);
        this.taken.queues++;
      });
    }
  }

  private async bindings(bindings: readonly Body[]): Promise<void> {
    for (const binding of bindings) {
      const source = binding.text("source");
      const destination = binding.text("destination");
      // Every queue has it.
      if (source === "") continue;
      await this.each(`binding from ${source} to ${destination}`, () => {
        const client = this.clientOf(binding);
        const kind = binding.text("destination_type", "queue") === "exchange" ? "exchange" : "queue";
        const given = Object.fromEntries(scalars(binding.group("arguments")));
        bind(client, {
          host: client.host,
          source,
          destination,
          kind,
          key: binding.text("routing_key", ""),
          arguments: given,
        });
        this.taken.bindings++;
      });
    }
  }

  private clientOf(item: Body): HostClient["client"] {
    const host = this.host ?? this.hostOf(item.text("vhost", "/"));
    let client = this.clients.get(host);
    if (client === undefined) {
      client = new HostClient(host, this.caller);
      this.clients.set(host, client);
    }
    return client.client;
  }

  private hostOf(name: string): VirtualHost {
    return vhostOf(this.context, this.asker, name, "admin host");
  }

  /** Does one thing, or tells why not; others have their turn now and then. */
  private async each(what: string, act: () => unknown): Promise<void> {
    if (++this.done % SLICE === 0) await new Promise((resolve) => setImmediate(resolve));
    try {
      await act();
    } catch (refusal) {
      if (!(refusal instanceof BrokerError || refusal instanceof AmqpError)) throw refusal;
      this.skip(`${what}: ${refusal.message}`);
    }
  }

  private skip(what: string): void {
    if (this.skipped.length < MOST_TOLD) this.skipped.push(what);
  }
}

function mayAdminister({ broker }: ManagementContext, asker: Asker): void {
  const { login, peer } = callerOf(asker);
  checkRight(broker.access, subjectOf(login, peer), "admin broker", undefined, broker.name);
}
