import { Type } from "typebox";
import { BrokerError } from "../../../core/errors.ts";
import type { Queue } from "../../../core/queue/queue.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { readQueueArguments } from "../../../protocols/amqp091/queue-arguments.ts";
import { callerOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { asClient } from "../host-client.ts";
import { gather } from "../slices.ts";
import { Body, scalars } from "./body.ts";
import { type Listed, listing, ListQuery, withColumns } from "./listing.ts";
import {
  bindingRow,
  consumerRow,
  defaultBinding,
  type In,
  queueAddress,
  queueName,
  queueRow,
  type ShownBinding,
  shownBinding,
} from "./views.ts";
import { hostsOf, vhostOf } from "./vhosts.ts";

const QUEUES: Listed<In<Queue>> = { name: ({ item }) => queueName(item), show: queueRow };
const VhostParams = Type.Object({ vhost: Type.String() });
const QueueParams = Type.Object({ vhost: Type.String(), queue: Type.String() });
const DeleteQuery = Type.Object({
  "if-unused": Type.Optional(Type.String()),
  "if-empty": Type.Optional(Type.String()),
});
const RESERVED = "amq.";
const read = { config: { right: "login" }, schema: { hide: true, querystring: ListQuery } } as const;

/** Queues, as RabbitMQ has them. */
export function queueRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get("/queues", read, (request) => {
    const hosts = hostsOf(context, request, undefined);
    return listing(queuesOf(hosts), QUEUES, request.query);
  });
  app.get("/queues/:vhost", { ...read, schema: { ...read.schema, params: VhostParams } }, (request) =>
    listing(queuesOf(hostsOf(context, request, request.params.vhost)), QUEUES, request.query),
  );

  app.get("/queues/:vhost/:queue", { ...read, schema: { ...read.schema, params: QueueParams } }, (request) => {
    const { vhost, queue: name } = request.params;
    const host = vhostOf(context, request, vhost, "monitor host");
    const queue = queueOf(host, name);
    const consumers = Array.from(queue.links(), (item) => consumerRow({ host, item }));
    return withColumns({ ...queueRow({ host, item: queue }), consumer_details: consumers }, request.query.columns);
  });

  app.get("/queues/:vhost/:queue/bindings", { ...read, schema: { ...read.schema, params: QueueParams } }, (request) => {
    const host = vhostOf(context, request, request.params.vhost, "monitor host");
    const queue = queueOf(host, request.params.queue);
    return gather(bindingsTo(host, queue), Number.POSITIVE_INFINITY).then((shown) =>
      listing(shown, { name: ({ source }) => source, show: bindingRow }, request.query),
    );
  });

  changing(app, context);
}

function changing(app: ManagementApp, context: ManagementContext): void {
  const change = (audit: string) =>
    ({ config: { right: "login", audit }, schema: { hide: true, params: QueueParams } }) as const;

  app.put("/queues/:vhost/:queue", change("queue.declare"), async (request, reply) => {
    const { vhost, queue: name } = request.params;
    const host = vhostOf(context, request, vhost, "admin host");
    const isNew = !host.queues.has(queueAddress(name).name);
    const body = new Body(request.body);
    await asClient(host, callerOf(request), (client) => declareQueue(client, name, body));
    return reply.code(isNew ? 201 : 204).send();
  });

  app.delete(
    "/queues/:vhost/:queue",
    { ...change("queue.delete"), schema: { hide: true, params: QueueParams, querystring: DeleteQuery } },
    async (request, reply) => {
      const { params, query } = request;
      const host = vhostOf(context, request, params.vhost, "admin host");
      queueOf(host, params.queue);
      const only = { ifUnused: query["if-unused"] === "true", ifEmpty: query["if-empty"] === "true" };
      await asClient(host, callerOf(request), (client) => client.deleteQueue(queueAddress(params.queue), only));
      return reply.code(204).send();
    },
  );

  app.delete("/queues/:vhost/:queue/contents", change("queue.purge"), async (request, reply) => {
    const { vhost, queue } = request.params;
    const host = vhostOf(context, request, vhost, "admin host");
    queueOf(host, queue);
    await asClient(host, callerOf(request), (client) => client.purgeQueue(queueAddress(queue)));
    return reply.code(204).send();
  });

  // There are no mirrors that could be out of step.
  app.post("/queues/:vhost/:queue/actions", change("queue.sync"), async (request, reply) => {
    const { vhost, queue } = request.params;
    queueOf(vhostOf(context, request, vhost, "admin host"), queue);
    const action = new Body(request.body).text("action");
    if (action === "sync" || action === "cancel_sync") return reply.code(204).send();
    throw new BrokerError("bad-request", `action: expected sync or cancel_sync, found "${action}"`);
  });
}

function* bindingsTo(host: VirtualHost, queue: Queue): Iterable<ShownBinding | undefined> {
  yield defaultBinding(host, queue);
  for (const exchange of host.exchanges.all()) {
    for (const binding of exchange.bindings.values()) {
      yield binding.owner === queue ? shownBinding(host, binding) : undefined;
    }
  }
}

/** Declares a queue as a client of AMQP 0-9-1 does. Throws BrokerError and AmqpError. */
export function declareQueue(client: Parameters<Parameters<typeof asClient>[2]>[0], name: string, body: Body): void {
  const address = queueAddress(name);
  if (name === "") throw new BrokerError("bad-request", "The name of the queue is empty");
  if (name.startsWith(RESERVED) && !client.host.queues.has(address.name)) {
    throw new BrokerError("not-authorized", `queue name '${name}' contains reserved prefix '${RESERVED}*'`);
  }
  const { policy, expiresMs, given } = readQueueArguments(scalars(body.group("arguments")), `queue '${name}'`);
  client.declareQueue({
    address,
    durable: body.flag("durable", true),
    exclusive: false,
    autoDelete: body.flag("auto_delete", false),
    policy,
    expiresMs,
    arguments: given,
  });
}

/** The queue of a name of AMQP 0-9-1. Throws BrokerError. */
export function queueOf(host: VirtualHost, name: string): Queue {
  const queue = host.queues.get(queueAddress(name).name);
  if (queue !== undefined) return queue;
  throw new BrokerError("not-found", `no queue '${name}' in vhost '${host.name}'`);
}

function* queuesOf(hosts: readonly VirtualHost[]): Iterable<In<Queue>> {
  for (const host of hosts) for (const item of host.queues.values()) yield { host, item };
}
