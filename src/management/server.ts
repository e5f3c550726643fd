/*
 * Management over HTTP:
 *
 *     port -> fastify -> who is it, may it? -> body -> schema -> route -> the broker
 *                                          any failure: application/problem+json
 *
 * To add routes: write a file in routes/ and name its function in API_ROUTES (under /api/v1) or ROOT_ROUTES.
 */
import cookie from "@fastify/cookie";
import swagger from "@fastify/swagger";
import fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { BrokerError } from "../../core/errors.ts";
import type { Config } from "../config/schema.ts";
import { metricsRoutes } from "../metrics/routes.ts";
import type { TlsOptions } from "../net/tls.ts";
import { Authentication, challenge } from "./authentication.ts";
import type { ManagementApp, ManagementContext } from "./context.ts";
import { meansThisHost } from "../net/own-host.ts";
import { allowOrigin, entityTag, guard } from "./headers.ts";
import { openApi } from "./openapi.ts";
import { HTTP } from "./host-client.ts";
import { ManagementPort } from "./port.ts";
import type { HttpPeer } from "./http-peer.ts";
import { readJson } from "./json-body.ts";
import { HttpError, problemOf } from "./problem.ts";
import { rabbitRoutes } from "./rabbitmq/api.ts";
import { checkMeaning, RequestCount } from "./requests.ts";
import { checkCaller } from "./rights.ts";
import { accessRuleRoutes } from "./routes/access-rules.ts";
import { auditRoutes } from "./routes/audit.ts";
import { backupRoutes } from "./routes/backup.ts";
import { brokerRoutes } from "./routes/broker.ts";
import { certificateRoutes } from "./routes/certificates.ts";
import { configurationRoutes } from "./routes/configuration.ts";
import { connectionRoutes } from "./routes/connections.ts";
import { consoleRoutes } from "./routes/console.ts";
import { deadLetterRoutes } from "./routes/dead-letters.ts";
import { durableSubscriptionRoutes } from "./routes/durable-subscriptions.ts";
import { eventRoutes } from "./routes/events.ts";
import { exchangeRoutes } from "./routes/exchanges.ts";
import { explainRoutes } from "./routes/explain.ts";
import { jobRoutes } from "./routes/jobs.ts";
import { limitRoutes } from "./routes/limits.ts";
import { listenerRoutes } from "./routes/listeners.ts";
import { logRoutes } from "./routes/log.ts";
import { messageRoutes } from "./routes/messages.ts";
import { messagingRoutes } from "./routes/messaging.ts";
import { queueRoutes } from "./routes/queues.ts";
import { retainedRoutes } from "./routes/retained.ts";
import { scheduleRoutes } from "./routes/schedules.ts";
import { sessionRoutes } from "./routes/session.ts";
import { sessionStateRoutes } from "./routes/sessions.ts";
import { topicRoutes } from "./routes/topics.ts";
import { userRoutes } from "./routes/users.ts";
import { TooManyFailures } from "../security/throttle.ts";
import { compileValidator } from "./validation.ts";

type Routes = (app: ManagementApp, context: ManagementContext) => void;

/** What is under /api/v1. */
const API_ROUTES: readonly Routes[] = [
  brokerRoutes,
  auditRoutes,
  limitRoutes,
  queueRoutes,
  deadLetterRoutes,
  topicRoutes,
  durableSubscriptionRoutes,
  jobRoutes,
  messageRoutes,
  messagingRoutes,
  connectionRoutes,
  sessionStateRoutes,
  retainedRoutes,
  scheduleRoutes,
  exchangeRoutes,
  accessRuleRoutes,
  explainRoutes,
  eventRoutes,
  userRoutes,
  certificateRoutes,
  listenerRoutes,
  logRoutes,
  configurationRoutes,
  backupRoutes,
];
/** What has a place of its own, such as /metrics. */
const ROOT_ROUTES: readonly Routes[] = [metricsRoutes, consoleRoutes, rabbitRoutes];

const API_PREFIX = "/api/v1";
/** Names of destinations may be long, and each of their bytes take three. */
const MAX_PARAM_CHARACTERS = 4096;
/** Such as reading messages from the store. */
const LONG_WORK_MS = 30_000;

/** Management that listens. */
export class Management {
  private readonly context: ManagementContext;
  private readonly authentication: Authentication;
  private readonly app: ManagementApp;
  private readonly port: ManagementPort;

  private constructor(context: ManagementContext, app: ManagementApp, port: ManagementPort, auth: Authentication) {
    this.context = context;
    this.app = app;
    this.port = port;
    this.authentication = auth;
  }

  /** Puts it together; `listen` opens the port. */
  static async create(context: ManagementContext, tls: TlsOptions | undefined): Promise<Management> {
    const { management } = context.config();
    const authentication = new Authentication(context.broker, () => context.config().management, context.vouch);
    const { promise: opened, resolve: open } = Promise.withResolvers<ManagementPort>();
    const app: ManagementApp = fastify({
      serverFactory: (handler) => {
        const port = new ManagementPort(
          {
            host: management.host,
            port: management.port,
            maxConnections: management.max_connections,
            requestTimeoutMs: management.request_timeout,
            silenceMs: silenceOf(management),
            tls,
            log: context.log,
          },
          handler,
        );
        open(port);
        return port.server;
      },
      bodyLimit: management.max_body,
      routerOptions: { maxParamLength: MAX_PARAM_CHARACTERS },
      frameworkErrors: (error, request, reply) => void sendProblem(context, error, request, reply),
    });
    await setUp(app, context, authentication);
    return new Management(context, app, await opened, authentication);
  }

  listen(): Promise<{ host: string; port: number }> {
    return this.port.listen();
  }

  /** The configuration has changed: what is known of users may not be true any more. Returns whether TLS has changed. */
  reload(tls: TlsOptions | undefined): boolean {
    this.authentication.sessions.clear();
    this.port.bear(silenceOf(this.context.config().management));
    return this.port.secure(tls);
  }

  /** Ends the sessions of a user's browsers. */
  endSessions(user: string): void {
    this.authentication.sessions.endOf(user);
  }

  /** Accepts nothing more and ends: who waits for a message is told why, other requests have until the timeout. */
  async close(reason: string): Promise<void> {
    const { broker, config } = this.context;
    for (const { clients } of broker.hosts.values()) {
      for (const client of clients) if (client.protocol === HTTP) client.evict(reason, "administrative");
    }
    // First those who stream: they would go on until the timeout.
    await this.app.close();
    await this.port.close(config().shutdown.timeout);
  }
}

/** Who waits for a message hears nothing until then, nor does who asks for something that takes long. */
function silenceOf({ max_wait: wait, request_timeout: timeout }: Config["management"]): number {
  return wait + timeout + LONG_WORK_MS;
}

async function setUp(app: ManagementApp, context: ManagementContext, authentication: Authentication): Promise<void> {
  app.setValidatorCompiler(compileValidator);
  // What a schema of a reply says is for readers and for tests; every reply is made here and needs no filter.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.setErrorHandler((error, request, reply) => sendProblem(context, error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const error = new HttpError(404, "not-found", `There is nothing at ${request.method} ${request.url}`);
    return sendProblem(context, error, request, reply);
  });
  app.decorateRequest("caller", undefined);
  app.decorateRequest("failure", undefined);
  app.addHook("onRoute", ({ config, url }) => {
    if (config?.right === undefined) throw new Error(`The route ${url} does not say what it takes to use it`);
  });
  readJson(app);
  await app.register(cookie);
  await app.register(swagger, openApi(context.broker.version));
  const underWay = new RequestCount();
  app.addHook("onRequest", async (request, reply) => {
    underWay.begin(request, reply);
    const { trusted_proxies: proxies } = context.config().management;
    guard(request, reply, proxies.length > 0);
    // Behind a proxy of this machine the name is the proxy's.
    if (proxies.length === 0 && !meansThisHost(request.headers.host, request.socket.localAddress)) {
      throw new HttpError(
        421,
        "bad-request",
        `The request is for ${request.headers.host}; over the loopback expected localhost or an address ` +
          "(management.trusted_proxies names proxies that may use another name)",
      );
    }
    if (allowOrigin(context.config().management.cors_origins, request, reply)) return reply.code(204).send();
    await admit(request, context, authentication);
    return undefined;
  });
  app.addHook("onSend", async (request, reply, payload) => entityTag(request, reply, payload));
  app.addHook("onResponse", async (request, reply) => note(request, reply, context, authentication.peerOf(request)));
  for (const routes of ROOT_ROUTES) routes(app, context);
  await app.register(
    async (api: ManagementApp) => {
      api.addHook("preValidation", async (request) => checkMeaning(request));
      sessionRoutes(api, context, authentication);
      for (const routes of API_ROUTES) routes(api, context);
    },
    { prefix: API_PREFIX },
  );
  await app.ready();
}

/** Lets a request in or throws; before its body is read. */
async function admit(
  request: FastifyRequest,
  { broker }: ManagementContext,
  authentication: Authentication,
): Promise<void> {
  const { right } = request.routeOptions.config;
  if (right === undefined) return;
  request.caller = right === "none" ? undefined : await authentication.callerOf(request);
  if (right === "none") return;
  if (request.caller === undefined) {
    throw new BrokerError("not-authenticated", "This needs a login: by Basic, a Bearer token, or a session");
  }
  checkCaller(broker, request.caller, right, hostParam(request.params));
}

function hostParam(params: unknown): string | undefined {
  if (typeof params !== "object" || params === null || !("host" in params)) return undefined;
  return typeof params.host === "string" ? params.host : undefined;
}

function sendProblem(
  { log }: ManagementContext,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const problem = problemOf(error, request.url);
  request.failure = problem;
  if (problem.status === 500) log.error({ err: error, method: request.method, url: request.url }, "a request failed");
  if (problem.status === 401) challenge(request, reply);
  if (problem.status === 503 || problem.status === 429) {
    reply.header("retry-after", error instanceof TooManyFailures ? error.seconds : 1);
  }
  return reply.code(problem.status).type("application/problem+json").send(problem);
}

/** Changes, and tries at them that came to nothing. */
function note(
  request: FastifyRequest,
  { statusCode }: FastifyReply,
  { audit, clock }: ManagementContext,
  { remoteAddress: address }: HttpPeer,
): void {
  const { audit: action } = request.routeOptions.config;
  if (action === undefined) return;
  const { caller, failure } = request;
  const refused = statusCode === 401 || statusCode === 403;
  audit.record({
    at: clock.now(),
    user: caller?.login.user,
    address,
    action,
    resource: request.url,
    result: failure === undefined ? "ok" : refused ? "refused" : "failed",
    ...(failure === undefined ? {} : { detail: failure.detail }),
  });
}
