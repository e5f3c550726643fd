/*
 * What a request is told that failed: RFC 9457, application/problem+json.
 */
import { type Static, Type } from "typebox";
import { BrokerError, type ErrorCode } from "../../core/errors.ts";

/** The body of every reply that is not a success. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: "A URI for this kind of problem." }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: "What was found, what was expected and which setting changes it." }),
    code: Type.String({ description: "The core's word for it." }),
    resource: Type.String({ description: "The path of the request." }),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: Type.String(), message: Type.String() }), {
        description: "Every value in the request that is not as it must be.",
      }),
    ),
  },
  { $id: "Problem", title: "Problem" },
);

/** A problem as it goes out. */
export type Problem = Static<typeof ProblemSchema>;

/** A refusal by HTTP itself, that the core has no word for. */
export class HttpError extends Error {
  readonly statusCode: number;
  readonly code: string;

  constructor(statusCode: number, code: string, text: string) {
    super(text);
    this.name = "HttpError";
    this.statusCode = statusCode;
    this.code = code;
  }
}

/** One value in a request that is not as its schema says. */
export interface InvalidValue {
  readonly path: string;
  readonly message: string;
}

/** A request that is not as its schema says. */
export class InvalidRequest extends HttpError {
  readonly errors: readonly InvalidValue[];

  constructor(part: string, errors: readonly InvalidValue[]) {
    const [first] = errors;
    super(400, "bad-request", first === undefined ? `${part} is invalid` : `${first.path}: ${first.message}`);
    this.name = "InvalidRequest";
    this.errors = errors;
  }
}

const STATUS: Readonly<Record<ErrorCode, number>> = {
  "bad-request": 400,
  "bad-address": 400,
  "bad-selector": 400,
  "not-found": 404,
  "not-authenticated": 401,
  "not-authorized": 403,
  "in-use": 409,
  exclusive: 409,
  limit: 409,
  throttled: 429,
  "too-large": 413,
  full: 503,
  conflict: 409,
  "shutting-down": 503,
  internal: 500,
};

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad request",
  401: "Not authenticated",
  403: "Not authorized",
  404: "Not found",
  405: "Method not allowed",
  406: "Not acceptable",
  408: "Request timeout",
  409: "Conflict",
  412: "Precondition failed",
  413: "Too large",
  414: "Path too long",
  415: "Unsupported media type",
  429: "Too many requests",
  431: "Headers too large",
  500: "Internal error",
  503: "Unavailable",
  504: "Timeout",
};

/** The problem that an error is to whoever made the request; what is a fault of the broker is told without any detail. */
export function problemOf(error: unknown, resource: string): Problem {
  if (error instanceof BrokerError) return problem(STATUS[error.code], error.code, error.message, resource);
  const status = statusOf(error);
  if (status === undefined || (status >= 500 && !(error instanceof HttpError))) {
    return problem(500, "internal", "The broker made a mistake; its log says which", resource);
  }
  const tooLarge = status === 413 && !(error instanceof HttpError);
  const said = error instanceof Error ? error.message : String(error);
  const text = tooLarge ? `${said} (management.max_body)` : said;
  const code = error instanceof HttpError ? error.code : codeOf(status);
  const made = problem(status, code, text, resource);
  return error instanceof InvalidRequest ? { ...made, errors: [...error.errors] } : made;
}

function problem(status: number, code: string, detail: string, resource: string): Problem {
  return { type: `urn:delos:problem:${code}`, title: TITLES[status] ?? "Failed", status, detail, code, resource };
}

/** Of what fastify refuses by itself. */
function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("statusCode" in error)) return undefined;
  return typeof error.statusCode === "number" && error.statusCode >= 400 ? error.statusCode : undefined;
}

function codeOf(status: number): string {
  if (status === 404) return "not-found";
  return status === 413 ? "too-large" : "bad-request";
}
