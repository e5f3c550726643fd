import { BrokerError, type ErrorCode } from "../../core/errors.ts";
import { ProtocolError } from "../../core/protocol.ts";

/** The error conditions of AMQP 1.0 (2.8.15 to 2.8.18, 4.5.8) by name. */
export const CONDITION = {
  internalError: "amqp:internal-error",
  notFound: "amqp:not-found",
  unauthorizedAccess: "amqp:unauthorized-access",
  decodeError: "amqp:decode-error",
  resourceLimitExceeded: "amqp:resource-limit-exceeded",
  notAllowed: "amqp:not-allowed",
  invalidField: "amqp:invalid-field",
  notImplemented: "amqp:not-implemented",
  resourceLocked: "amqp:resource-locked",
  preconditionFailed: "amqp:precondition-failed",
  resourceDeleted: "amqp:resource-deleted",
  illegalState: "amqp:illegal-state",
  frameSizeTooSmall: "amqp:frame-size-too-small",
  connectionForced: "amqp:connection:forced",
  framingError: "amqp:connection:framing-error",
  redirect: "amqp:connection:redirect",
  windowViolation: "amqp:session:window-violation",
  errantLink: "amqp:session:errant-link",
  handleInUse: "amqp:session:handle-in-use",
  unattachedHandle: "amqp:session:unattached-handle",
  detachForced: "amqp:link:detach-forced",
  transferLimitExceeded: "amqp:link:transfer-limit-exceeded",
  messageSizeExceeded: "amqp:link:message-size-exceeded",
  stolen: "amqp:link:stolen",
  unknownTransaction: "amqp:transaction:unknown-id",
  transactionRollback: "amqp:transaction:rollback",
  transactionTimeout: "amqp:transaction:timeout",
} as const;

/** One of the error conditions of AMQP 1.0. */
export type Condition = (typeof CONDITION)[keyof typeof CONDITION];

/** What ends with an error: the whole connection by close, a session by end, a link by detach. */
export type Scope = "connection" | "session" | "link";

/** Breach of AMQP 1.0 by the peer, or a refusal, with what it ends. */
export class AmqpError extends ProtocolError {
  readonly scope: Scope;
  readonly condition: Condition;

  constructor(scope: Scope, condition: Condition, text: string) {
    super(text);
    this.name = "AmqpError";
    this.scope = scope;
    this.condition = condition;
  }
}

/** Bytes that are no value, no performative or no message. */
export function malformed(text: string): AmqpError {
  return new AmqpError("connection", CONDITION.decodeError, text);
}

/** Bytes that are no frame. */
export function unframed(text: string): AmqpError {
  return new AmqpError("connection", CONDITION.framingError, text);
}

const CONDITIONS: Readonly<Record<ErrorCode, Condition>> = {
  "bad-request": CONDITION.invalidField,
  "bad-address": CONDITION.invalidField,
  "bad-selector": CONDITION.invalidField,
  "not-found": CONDITION.notFound,
  "not-authenticated": CONDITION.unauthorizedAccess,
  "not-authorized": CONDITION.unauthorizedAccess,
  "in-use": CONDITION.resourceLocked,
  exclusive: CONDITION.resourceLocked,
  limit: CONDITION.resourceLimitExceeded,
  throttled: CONDITION.resourceLimitExceeded,
  "too-large": CONDITION.messageSizeExceeded,
  full: CONDITION.resourceLimitExceeded,
  conflict: CONDITION.preconditionFailed,
  "shutting-down": CONDITION.connectionForced,
  internal: CONDITION.internalError,
};

/** What an error is called on the wire, for the `error` of a close, an end, a detach or an outcome. */
export function conditionOf(error: unknown): Condition {
  if (error instanceof AmqpError) return error.condition;
  return error instanceof BrokerError ? CONDITIONS[error.code] : CONDITION.internalError;
}

/** What went wrong in words, for the `description` beside the condition; what the broker did not foresee stays inside. */
export function describe(error: unknown): string {
  return error instanceof BrokerError || error instanceof ProtocolError ? error.message : "The broker failed";
}
