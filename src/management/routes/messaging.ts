import { type Static, Type } from "typebox";
import type { FastifyReply } from "fastify";
import { Pattern } from "../../../core/addresses/pattern.ts";
import type { Address } from "../../../core/addresses/address.ts";
import { canonical } from "../../../core/addresses/spelling.ts";
import type { Client } from "../../../core/client.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { Route } from "../../../core/routing/route.ts";
import { compileSelector } from "../../../core/selector/selector.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { collect } from "../collecting.ts";
import { type Caller, callerOf, hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { type HolderKind, HOLDER_KINDS } from "../holders.ts";
import { HostClient } from "../host-client.ts";
import { Leases } from "../leases.ts";
import { HttpError } from "../problem.ts";
import { messageOf, NewMessage, type Said, withTrace } from "../sending.ts";
import { ShownMessage } from "../shown-message.ts";
import { words } from "../schemas.ts";

const NameParams = Type.Object({ host: Type.String(), name: Type.String({ description: "The canonical name." }) });
const CLOSED = { additionalProperties: false };
const waitMs = (fallback: number) =>
  Type.Integer({
    default: fallback,
    minimum: 0,
    description: "How long to wait for the first message, in milliseconds; at most management.max_wait.",
  });
const max = Type.Integer({ default: 1, minimum: 1, maximum: 1000, description: "How many messages at most." });
const selector = Type.Optional(Type.String({ maxLength: 65_536, description: "Only messages that it matches." }));

const Consume = Type.Object(
  {
    max,
    wait_ms: waitMs(0),
    selector,
    ack: words(["auto", "requeue", "lease"], {
      default: "auto",
      description:
        "auto: they are consumed before the reply is sent. requeue: they go back at once. lease: they are the caller's " +
        "until it settles them (POST leases/ID) or lease_ms are over.",
    }),
    lease_ms: Type.Integer({ default: 30_000, minimum: 100, maximum: 3_600_000 }),
  },
  { ...CLOSED, title: "Consume" },
);

const Receive = Type.Object({ max, wait_ms: waitMs(1000), selector }, { ...CLOSED, title: "Receive" });

const Consumed = Type.Object(
  {
    messages: Type.Array(ShownMessage),
    lease: Type.Optional(Type.String({ description: "By which to settle them." })),
    expires_at: Type.Optional(Type.Integer({ description: "When the lease ends, in milliseconds since 1970." })),
  },
  { title: "Consumed" },
);

const Settle = Type.Object(
  {
    outcome: words(["accepted", "released", "failed", "rejected"], {
      default: "accepted",
      description: "accepted: consumed. released, failed: back to its place, uncounted or counted. rejected: no more.",
    }),
    sequences: Type.Optional(Type.Array(Type.Integer(), { maxItems: 1000, description: "Which; all if absent." })),
  },
  { ...CLOSED, title: "Settle" },
);

const Settled = Type.Object({
  settled: Type.Integer(),
  left: Type.Integer({ description: "Messages that the lease still holds." }),
});

const Sent = Type.Object({ sent: Type.Integer({ description: "Messages that are safe now." }) }, { title: "Sent" });
const AskMessage = Type.Object(
  { ...NewMessage.properties, timeout_ms: waitMs(10_000) },
  { ...CLOSED, title: "Request" },
);

/** Sending, receiving, asking: by the rights of the caller, as over any protocol. */
export function messagingRoutes(app: ManagementApp, context: ManagementContext): void {
  sending(app, context);
  consuming(app, context);
  receiving(app, context);
  asking(app, context);
}

function sending(app: ManagementApp, context: ManagementContext): void {
  for (const kind of ["queue", "topic"] as const) {
    app.post(
      `/hosts/:host/${kind}s/:name/messages`,
      {
        config: { right: "login" },
        schema: {
          tags: ["messages"],
          summary: `Send to a ${kind}`,
          description: "Answered once the message is safe. The caller needs the right to send.",
          params: NameParams,
          body: NewMessage,
          response: { 200: Sent },
        },
      },
      (request) => {
        const { params, headers } = request;
        const body = withTrace(request.body, headers);
        const address = canonical.parse(kind, params.name);
        if (body.retain && kind !== "topic") throw new BrokerError("bad-request", "Only topics retain a message");
        return send(context, hostOf(context, params.host), callerOf(request), body, (client) =>
          client.route([address]),
        );
      },
    );
  }

  app.post(
    "/hosts/:host/exchanges/:name/messages",
    {
      config: { right: "login" },
      schema: {
        tags: ["messages"],
        summary: "Send to an exchange",
        description: "Answered once the message is safe. The caller needs the right to send.",
        params: NameParams,
        querystring: Type.Object({ key: Type.String({ default: "", maxLength: 255 }) }, CLOSED),
        body: NewMessage,
        response: { 200: Sent },
      },
    },
    (request) => {
      const { params, query, headers } = request;
      const body = withTrace(request.body, headers);
      if (body.retain) throw new BrokerError("bad-request", "Only topics retain a message");
      const routeOf = (client: Client): Route => client.exchangeRoute(params.name, query.key);
      return send(context, hostOf(context, params.host), callerOf(request), body, routeOf);
    },
  );
}

async function send(
  context: ManagementContext,
  host: VirtualHost,
  caller: Caller,
  said: Said,
  routeOf: (client: Client) => Route,
): Promise<Static<typeof Sent>> {
  const own = new HostClient(host, caller);
  try {
    publish(context, own.client, routeOf(own.client), said);
    if (own.client.blocked) await Promise.race([own.ready(), patience(context)]);
    await own.settled();
    return { sent: 1 };
  } finally {
    own.close();
  }
}

function publish(
  { broker, clock, limits }: ManagementContext,
  client: Client,
  route: Route,
  said: Said,
  replyTo?: Address,
): void {
  const [address] = route.addresses;
  if (address === undefined) throw new BrokerError("bad-address", "There is no address");
  // Whoever sends by HTTP cannot be kept from sending the next request: it is told to come later.
  const queue = address.kind === "queue" ? client.host.queues.get(address.name) : undefined;
  const closed = broker.engine.closedGate ?? (queue?.gate.closed === true ? queue.gate : undefined);
  if (closed !== undefined) throw new BrokerError("full", `There is no room: ${closed.subject}; try again in a moment`);
  limits.check(client, "in");
  const message = messageOf(said, address, client.user, clock.now(), replyTo);
  limits.charge(client, "in", 1, message.size);
  client.publish(route, message);
  if (said.retain) client.retain(route, message.bodyStart === message.bodyEnd ? undefined : message);
}

function consuming(app: ManagementApp, context: ManagementContext): void {
  const leases = new Leases(context.clock, context.broker.random);
  for (const holder of HOLDER_KINDS) {
    app.post(
      `/hosts/:host/${holder.segment}/:name/consume`,
      {
        config: { right: "login" },
        schema: {
          tags: ["messages"],
          summary: `Consume from a ${holder.noun}`,
          description: "What is there, or waits for the first message. The caller needs the right to consume.",
          params: NameParams,
          body: Consume,
          response: { 200: Consumed },
        },
      },
      (request, reply) => {
        const { params, body } = request;
        const host = hostOf(context, params.host);
        return consume({ context, leases, host, holder, name: params.name, caller: callerOf(request), reply }, body);
      },
    );
  }

  app.post(
    "/hosts/:host/leases/:lease",
    {
      config: { right: "login" },
      schema: {
        tags: ["messages"],
        summary: "Settle what was consumed",
        params: Type.Object({ host: Type.String(), lease: Type.String() }),
        body: Settle,
        response: { 200: Settled },
      },
    },
    (request) => {
      const { params, body } = request;
      const { user } = callerOf(request).login;
      return leases.settle(hostOf(context, params.host).name, user, params.lease, body.outcome, body.sequences);
    },
  );
}

interface Consuming {
  readonly context: ManagementContext;
  readonly leases: Leases;
  readonly host: VirtualHost;
  readonly holder: HolderKind;
  readonly name: string;
  readonly caller: Caller;
  readonly reply: FastifyReply;
}

async function consume(
  { context, leases, host, holder, name, caller, reply }: Consuming,
  wanted: Static<typeof Consume>,
): Promise<Static<typeof Consumed>> {
  const { clock } = context;
  if (wanted.ack === "lease") leases.checkRoom();
  const own = new HostClient(host, caller);
  let kept = false;
  try {
    holder.find(host, name);
    const { messages, subscription, deliveries } = await collect(clock, own.client, {
      ...holder.subscribe(name),
      selector: wanted.selector === undefined ? undefined : compileSelector(wanted.selector),
      max: wanted.max,
      maxBytes: context.config().management.max_body,
      limits: context.limits,
      waitMs: boundedWait(context, wanted.wait_ms),
      settling: true,
      gone: AbortSignal.any([goneSignal(reply), own.ended]),
    });
    const collected = { messages: [...messages] };
    // It takes nothing more; what it has stays with it.
    subscription.stop();
    if (wanted.ack === "lease" && deliveries.size > 0) {
      const lease = leases.open(own, subscription, deliveries, wanted.lease_ms);
      kept = true;
      return { ...collected, lease, expires_at: clock.now() + wanted.lease_ms };
    }
    // Before they are consumed: what cannot be written down stays where it is.
    const text = written(collected);
    const outcome = wanted.ack === "auto" ? "accepted" : "released";
    for (const delivery of deliveries.values()) own.client.settle(subscription, delivery, outcome);
    await own.settled();
    reply.type("application/json; charset=utf-8").serializer(() => text);
    return collected;
  } finally {
    if (!kept) own.close();
  }
}

function written(collected: Static<typeof Consumed>): string {
  try {
    return JSON.stringify(collected);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new BrokerError("too-large", "The messages are too much for one reply; ask for less of them (max)");
  }
}

function receiving(app: ManagementApp, context: ManagementContext): void {
  app.post(
    "/hosts/:host/topics/:name/consume",
    {
      config: { right: "login" },
      schema: {
        tags: ["messages"],
        summary: "Receive from a topic",
        description:
          "What is published while the request waits; the name may have wildcards. The caller needs the right to receive.",
        params: NameParams,
        body: Receive,
        response: { 200: Consumed },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const own = new HostClient(hostOf(context, params.host), callerOf(request));
      try {
        const { messages } = await collect(context.clock, own.client, {
          patterns: [canonical.parsePattern("topic", params.name)],
          selector: body.selector === undefined ? undefined : compileSelector(body.selector),
          max: body.max,
          maxBytes: context.config().management.max_body,
          limits: context.limits,
          waitMs: boundedWait(context, body.wait_ms),
          settling: false,
          gone: AbortSignal.any([goneSignal(reply), own.ended]),
        });
        return { messages: [...messages] };
      } finally {
        own.close();
      }
    },
  );
}

function asking(app: ManagementApp, context: ManagementContext): void {
  for (const kind of ["queue", "topic"] as const) {
    app.post(
      `/hosts/:host/${kind}s/:name/request`,
      {
        config: { right: "login" },
        schema: {
          tags: ["messages"],
          summary: `Send to a ${kind} and wait for a reply`,
          description: "With reply_to set by the broker. The caller needs the right to send; 504 if no reply comes.",
          params: NameParams,
          body: AskMessage,
          response: { 200: ShownMessage },
        },
      },
      async (request, reply) => {
        const { params, body } = request;
        const { timeout_ms: timeoutMs, ...asked } = body;
        const said = withTrace(asked, request.headers);
        const own = new HostClient(hostOf(context, params.host), callerOf(request));
        try {
          const { client } = own;
          const replies = client.temporary("queue", "replies");
          const collected = collect(context.clock, client, {
            patterns: [Pattern.of(replies)],
            max: 1,
            maxBytes: context.config().management.max_body,
            limits: context.limits,
            waitMs: boundedWait(context, timeoutMs),
            settling: false,
            gone: AbortSignal.any([goneSignal(reply), own.ended]),
          });
          // Nobody waits for it when the request cannot be sent.
          collected.catch(() => {});
          publish(context, client, client.route([canonical.parse(kind, params.name)]), said, replies);
          const [answer] = (await collected).messages;
          if (answer !== undefined) return answer;
          throw new HttpError(504, "timeout", `No reply came within ${boundedWait(context, timeoutMs)} ms`);
        } finally {
          own.close();
        }
      },
    );
  }
}

function boundedWait({ config }: ManagementContext, ms: number): number {
  return Math.min(ms, config().management.max_wait);
}

function patience({ clock, config }: ManagementContext): Promise<void> {
  return new Promise((resolve) => void clock.after(config().management.max_wait, resolve));
}

/** Aborted when whoever waits for a reply has gone. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once("close", () => {
    if (!raw.writableFinished) controller.abort(new BrokerError("shutting-down", "Whoever asked has gone"));
  });
  return controller.signal;
}
