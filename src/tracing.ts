/*
 * Spans of what the broker does with messages whose senders trace them, by OpenTelemetry:
 *
 *     producer's span --traceparent, a property of the message--> "publish orders"   as it is taken
 *                                                             \-> "deliver orders"   from then until a client is given it
 *
 * The message is passed on as it is: consumers go on from the span of whoever made it, as OpenTelemetry's conventions want it
 * of intermediaries. The spans here are its children, not linked to it: each is of one message, and there is no other span
 * that they could belong to. Without an SDK nobody looks at messages.
 */
import {
  type Attributes,
  type Context,
  createTraceState,
  isSpanContextValid,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer as SpanTracer,
  trace,
} from "@opentelemetry/api";
import type { Client } from "../core/client.ts";
import { BrokerError } from "../core/errors.ts";
import type { Message } from "../core/message.ts";
import { isTemporary } from "../core/routing/admission.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Tracer } from "../core/traffic.ts";

const NAME = "delos";
/** W3C Trace Context, 3.2: version, trace, parent and flags. Later versions may have more at the end. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/;

/** An address and a port: `127.0.0.1:61613`, `[::1]:61613`. */
const ENDPOINT = /^\[?(.+?)\]?:(\d+)$/;

/** What the broker does with a message, and what that is to the conventions. */
const TYPES = { publish: "receive", deliver: "send" } as const;

type Operation = keyof typeof TYPES;

/** A tracer, if an SDK of OpenTelemetry was loaded before the broker. */
export function openTracer(clock: Clock, version: string): Tracer | undefined {
  const provider = trace.getTracerProvider();
  if (provider instanceof ProxyTracerProvider && provider.getDelegateTracer(NAME) === undefined) return undefined;
  return new MessageTracer(provider.getTracer(NAME, version), clock);
}

class MessageTracer implements Tracer {
  private readonly tracer: SpanTracer;
  private readonly clock: Clock;

  constructor(tracer: SpanTracer, clock: Clock) {
    this.tracer = tracer;
    this.clock = clock;
  }

  published(message: Message, client: Client, refusal?: unknown): void {
    this.span("publish", SpanKind.CONSUMER, message, client, refusal);
  }

  delivered(message: Message, client: Client): void {
    this.span("deliver", SpanKind.PRODUCER, message, client, undefined);
  }

  private span(operation: Operation, kind: SpanKind, message: Message, client: Client, refusal: unknown): void {
    const parent = parentOf(message);
    if (parent === undefined) return;
    const { address, receivedAt } = message;
    const temporary = isTemporary(address);
    const span = this.tracer.startSpan(
      `${operation} ${temporary ? "(temporary)" : address.name}`,
      { kind, startTime: receivedAt, attributes: attributesOf(operation, message, client, temporary) },
      parent,
    );
    if (refusal !== undefined) {
      span.setAttribute("error.type", refusal instanceof BrokerError ? refusal.code : "_OTHER");
      span.setStatus({ code: SpanStatusCode.ERROR, message: refusal instanceof Error ? refusal.message : "" });
    }
    span.end(Math.max(receivedAt, this.clock.now()));
  }
}

/** By OpenTelemetry's conventions for messaging and for networks. */
function attributesOf(operation: Operation, message: Message, client: Client, temporary: boolean): Attributes {
  const { address, size, content } = message;
  // `STOMP 1.2`
  const [protocol = "", version] = client.protocol.toLowerCase().split(" ");
  const [, peer, port] = ENDPOINT.exec(client.peer.remoteAddress) ?? [];
  return {
    "messaging.system": NAME,
    "messaging.operation.name": operation,
    "messaging.operation.type": TYPES[operation],
    "messaging.destination.name": address.name,
    "messaging.message.id": content.messageId,
    "messaging.message.conversation_id": content.correlationId,
    "messaging.message.envelope.size": size,
    "messaging.client.id": client.clientId,
    "network.protocol.name": protocol,
    "network.protocol.version": version,
    "network.peer.address": peer,
    "network.peer.port": port === undefined ? undefined : Number(port),
    "delos.destination.kind": address.kind,
    "delos.virtual_host": client.host.name,
    "delos.connection": client.id,
    ...(temporary ? { "messaging.destination.temporary": true } : {}),
  };
}

/** The span that a message was made in; undefined where it does not say. */
function parentOf({ content: { properties } }: Message): Context | undefined {
  const text = properties.get("traceparent");
  const found = typeof text === "string" ? TRACEPARENT.exec(text) : null;
  if (found === null) return undefined;
  const [, traceId = "", spanId = "", flags = ""] = found;
  const state = properties.get("tracestate");
  const parent = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(typeof state === "string" ? { traceState: createTraceState(state) } : {}),
  };
  return isSpanContextValid(parent) ? trace.setSpanContext(ROOT_CONTEXT, parent) : undefined;
}
