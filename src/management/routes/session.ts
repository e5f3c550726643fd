import { type Static, Type } from "typebox";
import type { Broker } from "../../../core/broker.ts";
import { BrokerError } from "../../../core/errors.ts";
import { Authentication, SESSION_COOKIE } from "../authentication.ts";
import { type Caller, callerOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { checkCaller } from "../rights.ts";
import type { WebSession } from "../web-sessions.ts";
import { nullable, words } from "../schemas.ts";

const Whoami = Type.Object(
  {
    user: nullable(Type.String()),
    groups: Type.Array(Type.String()),
    host: Type.Optional(
      Type.String({ description: "The virtual host that knows this user; absent for one of the broker." }),
    ),
    by: words(["password", "token", "key", "session"]),
    csrf: Type.Optional(
      Type.String({
        description: "To be sent as X-CSRF-Token with every request of this session that changes something.",
      }),
    ),
    hosts: Type.Optional(
      Type.Array(Type.String(), { description: "The virtual hosts that whoever signed in may look at." }),
    ),
    expires_at: Type.Optional(Type.Integer({ description: "When the session ends, in milliseconds since 1970." })),
  },
  { title: "Whoami" },
);

const SignIn = Type.Object(
  {
    user: Type.String({ minLength: 1, maxLength: 1024 }),
    password: Type.String({ maxLength: 4096 }),
    host: Type.Optional(
      Type.String({ maxLength: 255, description: "The virtual host whose user this is, if it has users of its own." }),
    ),
  },
  { additionalProperties: false },
);

const SignOut = Type.Object(
  { everywhere: Type.Boolean({ default: false, description: "In all browsers, and not only in this one." }) },
  { additionalProperties: false },
);

/** Signing in and out, and who one is. */
export function sessionRoutes(app: ManagementApp, { broker }: ManagementContext, authentication: Authentication): void {
  app.get(
    "/session",
    { config: { right: "login" }, schema: { tags: ["session"], summary: "Who I am", response: { 200: Whoami } } },
    (request) => whoami(broker, callerOf(request), authentication.sessionOf(request)),
  );

  app.post(
    "/session",
    {
      config: { right: "none", audit: "session.open" },
      schema: { tags: ["session"], summary: "Sign in", body: SignIn, response: { 200: Whoami } },
    },
    async (request, reply) => {
      authentication.checkOrigin(request);
      const peer = authentication.peerOf(request);
      const { user, password, host } = request.body;
      const login = await broker.login({ user, password, peer, ...authentication.placeOf(host) });
      request.caller = { login, by: "session", peer };
      const old = request.cookies[SESSION_COOKIE];
      if (old !== undefined) authentication.sessions.close(old);
      const { token, session } = authentication.sessions.open(login);
      reply.setCookie(SESSION_COOKIE, token, {
        path: "/",
        httpOnly: true,
        sameSite: "strict",
        secure: peer.transport === "tls" || authentication.isForwardedByTls(request),
        expires: new Date(session.expiresAt),
      });
      return whoami(broker, request.caller, session);
    },
  );

  app.delete(
    "/session",
    {
      config: { right: "login", audit: "session.close" },
      schema: { tags: ["session"], summary: "Sign out", querystring: SignOut, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      const token = request.cookies[SESSION_COOKIE];
      if (token !== undefined) authentication.sessions.close(token);
      const { user, realm } = callerOf(request).login;
      if (request.query.everywhere && user !== undefined) authentication.sessions.endOf(user, realm);
      reply.clearCookie(SESSION_COOKIE, { path: "/" });
      reply.code(204);
      return null;
    },
  );
}

function whoami(broker: Broker, caller: Caller, session: WebSession | undefined): Static<typeof Whoami> {
  const { login, by } = caller;
  const { user = null, groups, realm } = login;
  const known = { user, groups: [...groups], ...(realm === undefined ? {} : { host: realm }), by };
  if (session === undefined || by !== "session") return known;
  const hosts = Array.from(broker.hosts.keys()).filter((name) => mayMonitor(broker, caller, name));
  return { ...known, hosts, csrf: session.csrf, expires_at: session.expiresAt };
}

function mayMonitor(broker: Broker, caller: Caller, host: string): boolean {
  try {
    checkCaller(broker, caller, "monitor host", host);
    return true;
  } catch (refusal) {
    if (refusal instanceof BrokerError) return false;
    throw refusal;
  }
}
