/*
 * Definitions: what a broker has besides messages, as one document that goes out and comes in again.
 *
 *     in:  users -> permissions -> exchanges -> queues -> bindings; what cannot be taken is told, and the rest goes on
 */
import type { Readable } from "node:stream";
import { Type } from "typebox";
import { subjectOf } from "../../../core/access/access.ts";
import { BrokerError } from "../../../core/errors.ts";
import { Queue } from "../../../core/queue/queue.ts";
import { isTemporary } from "../../../core/routing/admission.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { AmqpError } from "../../../protocols/amqp091/errors.ts";
import { usersOf } from "../accounts.ts";
import { type Caller, callerOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { HostClient } from "../host-client.ts";
import { checkRight } from "../rights.ts";
import { bind } from "./bindings.ts";
import { Body, scalars } from "./body.ts";
import { declareExchange } from "./exchanges.ts";
import type { Row } from "./listing.ts";
import { longReply, Rows } from "./long-reply.ts";
import { declareQueue } from "./queues.ts";
import { bindingRow, exchangeRow, queueRow, shownBinding } from "./views.ts";
import { checkPermission, importUser, permissionsOf, userRow } from "./users.ts";
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

function exported(context: ManagementContext): Readable {
  const hosts = [...context.broker.hosts.values()];
  const users = usersOf(context);
  return longReply({
    ...versionOf(context),
    users: users.map(userRow),
    vhosts: hosts.map((host) => ({ name: vhostName(host) })),
    permissions: new Rows(permissionsOf(context, users)),
    topic_permissions: [],
    parameters: [],
    global_parameters: [{ name: "cluster_name", value: context.broker.name }],
    policies: [],
    queues: new Rows(eachOf(hosts, queuesIn)),
    exchanges: new Rows(eachOf(hosts, exchangesIn)),
    bindings: new Rows(eachOf(hosts, bindingsIn)),
  });
}

function exportedOf(context: ManagementContext, host: VirtualHost): Readable {
  const of = (rows: (host: VirtualHost) => Iterable<Row | undefined>): Rows => new Rows(withoutVhost(rows(host)));
  return longReply({
    ...versionOf(context),
    parameters: [],
    policies: [],
    queues: of(queuesIn),
    exchanges: of(exchangesIn),
    bindings: of(bindingsIn),
  });
}

function versionOf({ broker }: ManagementContext): Row {
  return {
    rabbit_version: "3.13.0",
    rabbitmq_version: "3.13.0",
    product_name: "Delos",
    product_version: broker.version,
  };
}

/** Those that survive a connection. */
function* queuesIn(host: VirtualHost): Iterable<Row | undefined> {
  for (const item of host.queues.values()) {
    if (isKept(item)) {
      const { name, vhost, durable, auto_delete, arguments: given } = queueRow({ host, item });
      yield { name, vhost, durable, auto_delete, arguments: given };
    } else yield undefined;
  }
}

/** None of those that are always there. */
function* exchangesIn(host: VirtualHost): Iterable<Row | undefined> {
  for (const item of host.exchanges.all()) {
    if (item.predeclared) continue;
    const { name, vhost, type, durable, auto_delete, internal, arguments: given } = exchangeRow({ host, item });
    yield { name, vhost, type, durable, auto_delete, internal, arguments: given };
  }
}

function* bindingsIn(host: VirtualHost): Iterable<Row | undefined> {
  for (const exchange of host.exchanges.all()) {
    for (const binding of exchange.bindings.values()) {
      const shown = shownBinding(host, binding);
      const lasts =
        shown !== undefined && (shown.kind === "exchange" || (binding.owner instanceof Queue && isKept(binding.owner)));
      if (lasts) {
        const { properties_key: _key, ...row } = bindingRow(shown);
        yield row;
      } else yield undefined;
    }
  }
}

function isKept({ address }: Queue): boolean {
  return address !== undefined && !isTemporary(address);
}

function* eachOf(
  hosts: readonly VirtualHost[],
  rows: (host: VirtualHost) => Iterable<Row | undefined>,
): Iterable<Row | undefined> {
  for (const host of hosts) yield* rows(host);
}

function* withoutVhost(rows: Iterable<Row | undefined>): Iterable<Row | undefined> {
  for (const row of rows) {
    if (row === undefined) yield undefined;
    else {
      const { vhost: _vhost, ...rest } = row;
      yield rest;
    }
  }
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
  private untold = 0;
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
        for (const vhost of body.list("vhosts")) {
          await this.each(`vhost ${nameOf(vhost)}`, () => this.hostOf(vhost.text("name")));
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
      if (this.untold > 0) this.skipped.push(`${this.untold} more are not told here`);
      return { imported: this.taken, skipped: this.skipped };
    } finally {
      for (const client of this.clients.values()) client.close();
    }
  }

  private async users(users: readonly Body[]): Promise<void> {
    const known = new Set(usersOf(this.context).map(({ name }) => name));
    for (const user of users) {
      await this.each(`user ${nameOf(user)}`, async () => {
        const name = user.text("name");
        // An export has no secrets: whom it names and who is there stays as it is.
        const bare = !user.has("password") && user.text("password_hash", "") === "";
        if (bare && known.has(name)) return;
        await importUser(this.context, this.caller, name, user);
        this.taken.users++;
        if (bare) this.skip(`user ${name}: was made without a password, and cannot log in until it has one`);
      });
    }
  }

  private async permissions(permissions: readonly Body[]): Promise<void> {
    for (const permission of permissions) {
      await this.each(`permission of ${nameOf(permission, "user")} in ${nameOf(permission, "vhost")}`, () => {
        const host = this.hostOf(permission.text("vhost"));
        checkPermission(this.context, host, permission.text("user"), permission);
      });
    }
  }

  private async exchanges(exchanges: readonly Body[]): Promise<void> {
    for (const exchange of exchanges) {
      await this.each(`exchange ${nameOf(exchange)}`, () => {
        declareExchange(this.clientOf(exchange), exchange.text("name"), exchange);
        this.taken.exchanges++;
      });
    }
  }

  private async queues(queues: readonly Body[]): Promise<void> {
    for (const queue of queues) {
      await this.each(`queue ${nameOf(queue)}`, () => {
        declareQueue(this.clientOf(queue), queue.text("name"), queue);
        this.taken.queues++;
      });
    }
  }

  private async bindings(bindings: readonly Body[]): Promise<void> {
    for (const binding of bindings) {
      const what = `binding from ${nameOf(binding, "source")} to ${nameOf(binding, "destination")}`;
      await this.each(what, () => {
        const source = binding.text("source");
        // Every queue has it.
        if (source === "") return;
        const client = this.clientOf(binding);
        bind(client, {
          host: client.host,
          source,
          destination: binding.text("destination"),
          kind: binding.text("destination_type", "queue") === "exchange" ? "exchange" : "queue",
          key: binding.text("routing_key", ""),
          arguments: Object.fromEntries(scalars(binding.group("arguments"))),
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
    else this.untold++;
  }
}

/** What something is called in a sentence, whatever it really says. */
function nameOf(item: Body, field = "name"): string {
  return item.has(field) ? item.shown(field) : "without a name";
}

function mayAdminister({ broker }: ManagementContext, asker: Asker): void {
  const { login, peer } = callerOf(asker);
  checkRight(broker.access, subjectOf(login, peer), "admin broker", undefined, broker.name);
}
