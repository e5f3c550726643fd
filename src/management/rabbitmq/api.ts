/*
 * A part of the HTTP API of RabbitMQ's management plugin, for the tools that speak it: rabbitmqadmin, tests of client
 * libraries, monitoring. What has no like here is an empty list, or refused with a reason; nothing pretends to be done.
 *
 *     /api/...  -> the same logins, rights, audit log and core as /api/v1
 *
 * Failures hold `error` and `reason` besides what problem+json says.
 */
import { Readable } from "node:stream";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { BrokerError } from "../../../core/errors.ts";
import { AmqpError } from "../../../protocols/amqp091/errors.ts";
import { challenge } from "../authentication.ts";
import type { ManagementApp, ManagementContext } from "../context.ts";
import { HttpError, problemOf } from "../problem.ts";
import { bindingRoutes } from "./bindings.ts";
import { connectionRoutes } from "./connections.ts";
import { definitionRoutes } from "./definitions.ts";
import { exchangeRoutes } from "./exchanges.ts";
import { healthRoutes } from "./health.ts";
import { messageRoutes } from "./messages.ts";
import { overviewRoutes } from "./overview.ts";
import { queueRoutes } from "./queues.ts";
import { userRoutes } from "./users.ts";

const PARTS = [
  overviewRoutes,
  queueRoutes,
  exchangeRoutes,
  bindingRoutes,
  messageRoutes,
  connectionRoutes,
  userRoutes,
  definitionRoutes,
  healthRoutes,
];

const OTHER_API = /^\/api\/v1(?=[/?]|$)/;

/** What is under /api besides /api/v1. */
export function rabbitRoutes(app: ManagementApp, context: ManagementContext): void {
  app.register(
    async (api: ManagementApp) => {
      // RabbitMQ looks at no content type: whatever comes is JSON.
      api.removeAllContentTypeParsers();
      api.addContentTypeParser("*", { parseAs: "string" }, (_request, text, done) => {
        try {
          done(null, text === "" ? undefined : JSON.parse(String(text)));
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          done(Object.assign(new Error(`The body is no JSON: ${why}`), { statusCode: 400 }));
        }
      });
      api.addHook("onSend", async (_request, reply, payload) => {
        if (payload instanceof Readable) reply.type("application/json");
        return payload;
      });
      api.setErrorHandler((error: FastifyError, request, reply) => fail(context, error, request, reply));
      api.setNotFoundHandler((request, reply) => {
        const error = new HttpError(404, "not-found", `There is nothing at ${request.method} ${request.url}`);
        if (!OTHER_API.test(request.url)) return fail(context, error, request, reply);
        // This prefix holds the other one.
        return reply.code(404).type("application/problem+json").send(problemOf(error, request.url));
      });
      for (const part of PARTS) part(api, context);
    },
    { prefix: "/api" },
  );
}

function fail({ log }: ManagementContext, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = error instanceof AmqpError ? new BrokerError("bad-request", error.message) : error;
  const problem = problemOf(known, request.url);
  request.failure = problem;
  if (problem.status >= 500) log.error({ err: error, method: request.method, url: request.url }, "a request failed");
  if (problem.status === 401) challenge(request, reply);
  if (problem.status === 503 || problem.status === 429) reply.header("retry-after", "1");
  // What differs from what is there is a bad request to RabbitMQ.
  const status = problem.status === 409 ? 400 : problem.status;
  const told = { ...problem, status, error: problem.code.replaceAll("-", "_"), reason: problem.detail };
  return reply.code(status).type("application/json").send(told);
}
