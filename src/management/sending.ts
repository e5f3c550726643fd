/*
 * Messages as requests hold them.
 *
 *     { "body": "hello" }                                              a text
 *     { "body": "aGVsbG8=", "body_encoding": "base64" }                bytes
 *     { "body": { "a": 1 }, "body_encoding": "json" }                  a text that is JSON
 *     { "body": { "a": 1 }, "body_encoding": "structured" }            a map; of an array a list, else a value
 */
import type { IncomingHttpHeaders } from "node:http";
import { type Static, Type } from "typebox";
import type { Address } from "../../core/addresses/address.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { BrokerError } from "../../core/errors.ts";
import type { BodyKind, Message } from "../../core/message.ts";
import { type Head, httpMessage } from "./http-message.ts";
import { words } from "./schemas.ts";

const ENCODINGS = ["text", "base64", "json", "structured"] as const;
const text = (description: string) => Type.Optional(Type.String({ maxLength: 65_536, description }));
const milliseconds = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description }));

/** A message to be sent. */
export const NewMessage = Type.Object(
  {
    body: Type.Optional(Type.Unknown({ description: "A text or, with the encodings json and structured, any value." })),
    body_encoding: Type.Unsafe<(typeof ENCODINGS)[number]>({ type: "string", enum: ENCODINGS, default: "text" }),
    durable: Type.Boolean({ default: true, description: "Whether it survives a restart of the broker." }),
    priority: Type.Integer({ default: 4, minimum: 0, maximum: 9 }),
    ttl_ms: milliseconds("Milliseconds until it expires; 0 is never."),
    delay_ms: milliseconds("Milliseconds until it is delivered."),
    retain: Type.Boolean({ default: false, description: "Whether its topic retains it too." }),
    message_id: text("Its id, as its readers see it."),
    correlation_id: text("What it belongs to."),
    reply_to: Type.Optional(
      Type.Object(
        {
          kind: words(["queue", "topic"], { default: "queue" }),
          name: Type.String({ minLength: 1, maxLength: 4096, description: "Canonical." }),
        },
        { additionalProperties: false },
      ),
    ),
    subject: text("JMS type."),
    content_type: text("What the body is."),
    content_encoding: text("How the body is packed."),
    group_id: Type.Optional(Type.String({ minLength: 1, maxLength: 4096, description: "Its message group." })),
    group_sequence: Type.Optional(Type.Integer({ minimum: -(2 ** 31), maximum: 2 ** 31 - 1 })),
    duplicate_id: Type.Optional(
      Type.String({ minLength: 1, maxLength: 4096, description: "By which a repeated send is found out." }),
    ),
    properties: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]), {
        maxProperties: 1000,
      }),
    ),
  },
  { additionalProperties: false, title: "NewMessage" },
);

/** What `NewMessage` describes. */
export type Said = Static<typeof NewMessage>;

/** What is said, in the trace that the request belongs to (W3C Trace Context) unless it says another one. */
export function withTrace(said: Said, { traceparent, tracestate }: IncomingHttpHeaders): Said {
  if (typeof traceparent !== "string" || said.properties?.["traceparent"] !== undefined) return said;
  const trace = typeof tracestate === "string" ? { traceparent, tracestate } : { traceparent };
  return { ...said, properties: { ...said.properties, ...trace } };
}

/** The message that a request says. Throws BrokerError for a body that is not what its encoding says. */
export function messageOf(
  said: Said,
  address: Address,
  user: string | undefined,
  now: number,
  replyTo?: Address,
): Message {
  const { body, kind, contentType } = bodyOf(said);
  const { ttl_ms: ttlMs = 0, delay_ms: delayMs = 0, reply_to: reply } = said;
  const answered = replyTo ?? (reply === undefined ? undefined : canonical.parse(reply.kind, reply.name));
  const head: Head = {
    messageId: said.message_id,
    correlationId: said.correlation_id,
    replyTo: answered === undefined ? undefined : shortAddress(answered),
    subject: said.subject,
    contentType: said.content_type ?? contentType,
    contentEncoding: said.content_encoding,
    userId: user,
    groupId: said.group_id,
    groupSequence: said.group_sequence,
    duplicateId: said.duplicate_id,
    timing: delayMs === 0 ? undefined : { deliverAt: now + delayMs, periodMs: undefined, repeats: 0, cron: undefined },
    bodyKind: kind,
    properties: said.properties,
  };
  const expiresAt = ttlMs === 0 ? 0 : now + ttlMs;
  return httpMessage(
    { address, durable: said.durable, priority: said.priority, expiresAt, receivedAt: now },
    head,
    body,
  );
}

function shortAddress({ kind, levels }: Address): NonNullable<Head["replyTo"]> {
  return { kind: kind === "topic" ? "topic" : "queue", levels };
}

/** Lists and objects in one another, at most: whoever converts or writes a body goes into each of them. */
const MOST_DEPTH = 64;

function checkDepth(body: unknown, depth = 0): void {
  if (typeof body !== "object" || body === null) return;
  if (depth === MOST_DEPTH) {
    throw new BrokerError("bad-request", `The body has more than ${MOST_DEPTH} lists or objects inside one another`);
  }
  for (const inner of Object.values(body)) checkDepth(inner, depth + 1);
}

function bodyOf({ body, body_encoding: encoding }: Said): { body: Buffer; kind: BodyKind; contentType?: string } {
  switch (encoding) {
    case "text":
      return { body: Buffer.from(textOf(body, encoding)), kind: "text" };
    case "base64":
      return { body: decoded(textOf(body, encoding)), kind: "bytes" };
    case "json":
      checkDepth(body);
      return { body: Buffer.from(JSON.stringify(body ?? null)), kind: "text", contentType: "application/json" };
    case "structured":
      checkDepth(body);
      return { body: Buffer.from(JSON.stringify(body ?? null)), kind: kindOf(body) };
  }
}

function textOf(body: unknown, encoding: string): string {
  if (body === undefined) return "";
  if (typeof body === "string") return body;
  throw new BrokerError(
    "bad-request",
    `The body is no text, which body_encoding ${encoding} asks for; json takes any value`,
  );
}

function decoded(body: string): Buffer {
  if (/^[A-Za-z0-9+/]*={0,2}$/.test(body)) return Buffer.from(body, "base64");
  throw new BrokerError("bad-request", "The body is not base64, which body_encoding says it is");
}

function kindOf(body: unknown): BodyKind {
  if (Array.isArray(body)) return "list";
  return typeof body === "object" && body !== null ? "map" : "value";
}
