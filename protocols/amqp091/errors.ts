import { BrokerError, type ErrorCode } from "../../core/errors.ts";
import { ProtocolError } from "../../core/protocol.ts";
import { cutShort } from "./strings.ts";

/** The reply codes of AMQP 0-9-1 (1.1) by name, as they begin a reply text. */
export const REPLY = {
  REPLY_SUCCESS: 200,
  CONTENT_TOO_LARGE: 311,
  NO_ROUTE: 312,
  NO_CONSUMERS: 313,
  CONNECTION_FORCED: 320,
  INVALID_PATH: 402,
  ACCESS_REFUSED: 403,
  NOT_FOUND: 404,
  RESOURCE_LOCKED: 405,
  PRECONDITION_FAILED: 406,
  FRAME_ERROR: 501,
  SYNTAX_ERROR: 502,
  COMMAND_INVALID: 503,
  CHANNEL_ERROR: 504,
  UNEXPECTED_FRAME: 505,
  RESOURCE_ERROR: 506,
  NOT_ALLOWED: 530,
  NOT_IMPLEMENTED: 540,
  INTERNAL_ERROR: 541,
} as const;

/** The name of a reply code. */
export type ReplyName = keyof typeof REPLY;

/** What an error ends: the whole connection or one channel. */
export type Scope = "connection" | "channel";

/** Those that end one channel only (1.1, "soft errors"). */
const SOFT: ReadonlySet<ReplyName> = new Set<ReplyName>([
  "CONTENT_TOO_LARGE",
  "NO_ROUTE",
  "NO_CONSUMERS",
  "ACCESS_REFUSED",
  "NOT_FOUND",
  "RESOURCE_LOCKED",
  "PRECONDITION_FAILED",
]);

/** Breach of AMQP 0-9-1 by the peer, or a refusal in its words. */
export class AmqpError extends ProtocolError {
  readonly reply: ReplyName;
  /** As the specification says of the reply code, unless whoever threw knows better. */
  readonly scope: Scope;

  constructor(reply: ReplyName, text: string, scope: Scope = SOFT.has(reply) ? "channel" : "connection") {
    super(text);
    this.name = "AmqpError";
    this.reply = reply;
    this.scope = scope;
  }
}

/** A frame is not formed as the specification says, or is too large. */
export function frameError(text: string): AmqpError {
  return new AmqpError("FRAME_ERROR", text);
}

/** The fields of a frame are not what they should be. */
export function syntaxError(text: string): AmqpError {
  return new AmqpError("SYNTAX_ERROR", text);
}

/** A frame is well formed, but not at its place. */
export function unexpectedFrame(text: string): AmqpError {
  return new AmqpError("UNEXPECTED_FRAME", text);
}

/** The reply code for what the core refuses, as RabbitMQ has it for the like. */
const REPLIES: Readonly<Record<ErrorCode, ReplyName>> = {
  "bad-request": "PRECONDITION_FAILED",
  "bad-address": "PRECONDITION_FAILED",
  "bad-selector": "PRECONDITION_FAILED",
  "not-found": "NOT_FOUND",
  "not-authenticated": "ACCESS_REFUSED",
  "not-authorized": "ACCESS_REFUSED",
  "in-use": "PRECONDITION_FAILED",
  exclusive: "RESOURCE_LOCKED",
  limit: "PRECONDITION_FAILED",
  throttled: "RESOURCE_ERROR",
  full: "PRECONDITION_FAILED",
  "too-large": "PRECONDITION_FAILED",
  conflict: "PRECONDITION_FAILED",
  "shutting-down": "CONNECTION_FORCED",
  internal: "INTERNAL_ERROR",
};

/** What is to be said of an error in connection.close, channel.close or basic.cancel. */
export interface Refusal {
  readonly code: number;
  /** `NOT_FOUND - no queue 'x'`: at most 255 bytes. */
  readonly text: string;
  readonly scope: Scope;
  /** True for what is neither the peer's fault nor a refusal: a fault of the broker. */
  readonly fault: boolean;
}

/** How an error is to be told to the client. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof AmqpError) {
    return { code: REPLY[error.reply], text: replyText(error.reply, error.message), scope: error.scope, fault: false };
  }
  if (error instanceof BrokerError) {
    const reply = REPLIES[error.code];
    const scope = SOFT.has(reply) && error.code !== "not-authenticated" ? "channel" : "connection";
    return { code: REPLY[reply], text: replyText(reply, error.message), scope, fault: false };
  }
  const text = replyText("INTERNAL_ERROR", "the broker failed; its log says why");
  return { code: REPLY.INTERNAL_ERROR, text, scope: "connection", fault: true };
}

/** A reply text as RabbitMQ writes it, cut to what a short string holds. */
function replyText(reply: ReplyName, text: string): string {
  return cutShort(reply === "REPLY_SUCCESS" ? text : `${reply} - ${text}`);
}
