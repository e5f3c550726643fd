import { isUtf8 } from "node:buffer";
import { Type } from "typebox";
import type { Address } from "../../../core/addresses/address.ts";
import type { Client } from "../../../core/client.ts";
import { BrokerError } from "../../../core/errors.ts";
import { routingOf } from "../../../core/exchanges/routing-key.ts";
import type { Message } from "../../../core/message.ts";
import type { Delivery, Outcome } from "../../../core/protocol.ts";
import type { Queue } from "../../../core/queue/queue.ts";
import type { Subscription } from "../../../core/subscription.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { envelopeOf, messageOf } from "../../../protocols/amqp091/convert.ts";
import { outgoingProperties } from "../../../protocols/amqp091/outgoing.ts";
import { composedPublish } from "../../../protocols/amqp091/publish.ts";
import { type Caller, callerOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { HostClient } from "../host-client.ts";
import { Body } from "./body.ts";
import { exchangeName } from "./exchanges.ts";
import type { Row } from "./listing.ts";
import { readProperties, showProperties } from "./properties.ts";
import { queueOf } from "./queues.ts";
import { queueAddress } from "./views.ts";
import { vhostOf } from "./vhosts.ts";

const ExchangeParams = Type.Object({ vhost: Type.String(), exchange: Type.String() });
const QueueParams = Type.Object({ vhost: Type.String(), queue: Type.String() });

/** Bytes of messages in one reply, beyond which no further one is taken. */
const MOST_BYTES = 16 * 1024 * 1024;
const MOST_MESSAGES = 10_000;

const OUTCOMES: Readonly<Record<string, Outcome>> = {
  ack_requeue_true: "released",
  reject_requeue_true: "released",
  ack_requeue_false: "accepted",
  reject_requeue_false: "rejected",
};

/** A message that was taken and is to be settled. */
interface Taken {
  readonly message: Message;
  readonly delivery: Delivery | undefined;
  readonly deliveries: number;
  readonly subscription: Subscription;
}

/** Publishing and getting, as RabbitMQ has it; by the rights of whoever asks. */
export function messageRoutes(app: ManagementApp, context: ManagementContext): void {
  app.post(
    "/exchanges/:vhost/:exchange/publish",
    { config: { right: "login" }, schema: { hide: true, params: ExchangeParams } },
    (request) => {
      const { vhost, exchange } = request.params;
      const host = vhostOf(context, request, vhost, "login");
      const body = new Body(request.body);
      return asHostClient(host, callerOf(request), async (own) => {
        const routed = publish(context, own.client, exchangeName(exchange), body);
        // What it has filled holds it up, as it would any other publisher.
        await room(context, own);
        await own.settled();
        return { routed };
      });
    },
  );

  app.post(
    "/queues/:vhost/:queue/get",
    { config: { right: "login" }, schema: { hide: true, params: QueueParams } },
    (request) => {
      const { vhost, queue: name } = request.params;
      const host = vhostOf(context, request, vhost, "login");
      const wanted = wantedOf(new Body(request.body));
      return asHostClient(host, callerOf(request), async (own) => {
        context.limits.check(own.client, "out");
        // Who may not consume does not hear what there is.
        const taken = await take(own.client, queueAddress(name), wanted.count);
        const queue = queueOf(host, name);
        for (const { message } of taken) context.limits.charge(own.client, "out", 1, message.size);
        const now = context.clock.now();
        const shown = taken.map((one) => messageRow(one, queue, wanted, now));
        for (const { subscription, delivery } of taken) {
          if (delivery !== undefined) own.client.settle(subscription, delivery, wanted.outcome);
        }
        await own.settled();
        return shown;
      });
    },
  );
}

/** Does something as a client that is gone afterwards. */
async function asHostClient<T>(host: VirtualHost, caller: Caller, act: (own: HostClient) => Promise<T>): Promise<T> {
  const own = new HostClient(host, caller);
  try {
    return await act(own);
  } finally {
    own.close();
  }
}

/** Whether anybody got it. Throws BrokerError and AmqpError. */
function publish({ broker, clock, limits }: ManagementContext, client: Client, exchange: string, body: Body): boolean {
  const properties = readProperties(body.group("properties"));
  const { userId } = properties;
  if (userId !== undefined && userId !== client.user) {
    throw new BrokerError("bad-request", `user_id property set to '${userId}' but the user is '${client.user ?? ""}'`);
  }
  const route = client.exchangeRoute(exchange, body.text("routing_key"));
  const [address] = route.addresses;
  if (address === undefined) throw new RangeError("A route without an address");
  // Whoever sends by HTTP cannot be kept from sending the next request: it is told to come later.
  const queue = exchange === "" ? client.host.queues.get(address.name) : undefined;
  const full = broker.engine.closedGate ?? (queue?.gate.closed === true ? queue.gate : undefined);
  if (full !== undefined) throw new BrokerError("full", `Publishers have to wait: ${full.subject}`);
  limits.check(client, "in");
  const now = clock.now();
  const published = composedPublish(properties, payloadOf(body));
  const message = messageOf(published, envelopeOf(published, address, now));
  limits.charge(client, "in", 1, message.size);
  const routed = route.reaches(message);
  client.publish(route, message);
  return routed;
}

/** Fulfilled once what it has sent has found room, or when it has waited for long enough. */
async function room({ clock, config }: ManagementContext, own: HostClient): Promise<void> {
  if (!own.client.blocked) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.after(config().management.max_wait, resolve);
  await Promise.race([own.ready(), promise]);
  timer.cancel();
}

function payloadOf(body: Body): Buffer {
  const payload = body.text("payload");
  const encoding = body.text("payload_encoding", "string");
  if (encoding === "string") return Buffer.from(payload);
  if (encoding !== "base64") {
    throw new BrokerError("bad-request", `payload_encoding: expected string or base64, found "${encoding}"`);
  }
  if (/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(payload)) return Buffer.from(payload, "base64");
  throw new BrokerError("bad-request", "The payload is not base64, which payload_encoding says it is");
}

interface Wanted {
  readonly count: number;
  readonly outcome: Outcome;
  readonly base64: boolean;
  readonly truncate: number;
}

function wantedOf(body: Body): Wanted {
  const count = body.integer("count", 1);
  if (count < 1 || count > MOST_MESSAGES) {
    throw new BrokerError("bad-request", `count: expected 1 to ${MOST_MESSAGES}, found ${count}`);
  }
  const requeue = body.flag("requeue", true);
  const mode = body.text("ackmode", requeue ? "ack_requeue_true" : "ack_requeue_false");
  const outcome = Object.hasOwn(OUTCOMES, mode) ? OUTCOMES[mode] : undefined;
  if (outcome === undefined) {
    throw new BrokerError(
      "bad-request",
      `ackmode: expected one of ${Object.keys(OUTCOMES).join(", ")}, found "${mode}"`,
    );
  }
  const truncate = body.integer("truncate", Number.MAX_SAFE_INTEGER);
  return { count, outcome, base64: body.text("encoding", "auto") === "base64", truncate };
}

async function take(client: Client, address: Address, count: number): Promise<Taken[]> {
  const taken: Taken[] = [];
  let bytes = 0;
  while (taken.length < count && bytes < MOST_BYTES) {
    const one = await pull(client, address);
    if (one === undefined) break;
    taken.push(one);
    bytes += one.message.size;
  }
  return taken;
}

/** One message, if there is any. */
async function pull(client: Client, address: Address): Promise<Taken | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Omit<Taken, "subscription"> | undefined>();
  const subscription = client.pull({
    address,
    settling: true,
    consumer: {
      deliver: (message, delivery, deliveries) => {
        resolve({ message, delivery, deliveries });
        return false;
      },
      exhausted: () => resolve(undefined),
      cancelled: (reason) => reject(new BrokerError("not-found", reason)),
    },
  });
  const found = await promise;
  return found && { ...found, subscription };
}

function messageRow({ message, deliveries }: Taken, queue: Queue, { base64, truncate }: Wanted, now: number): Row {
  const { exchange, key } = routingOf(message.address);
  const { body } = message.flat;
  const shown = body.subarray(0, Math.max(0, truncate));
  const asText = !base64 && isUtf8(shown);
  return {
    payload_bytes: body.length,
    redelivered: deliveries > 0,
    exchange,
    routing_key: key,
    message_count: Math.max(0, queue.count - queue.held),
    properties: showProperties(outgoingProperties(message, now)),
    payload: asText ? shown.toString() : shown.toString("base64"),
    payload_encoding: asText ? "string" : "base64",
  };
}
