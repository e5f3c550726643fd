/*
 * Who makes a request:
 *
 *     Authorization: Basic user:password  -> the login modules, as for any client
 *     Authorization: Bearer token         -> a key of management.api_keys, else the login modules, with the token as password
 *     Cookie: delos_session               -> whoever signed in (POST /api/v1/session)
 *
 * A browser adds a cookie, and what it once asked for with a prompt, to requests that other sites make it send. So what
 * changes something needs the session's token in a header, and nothing is taken from a page of another origin.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { type Login, subjectOf } from "../../core/access/access.ts";
import type { Broker } from "../../core/broker.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Config } from "../config/schema.ts";
import { Forwarded } from "../net/forwarded.ts";
import { ApiKeys } from "./api-keys.ts";
import type { Caller, ManagementContext } from "./context.ts";
import { HttpPeer } from "./http-peer.ts";
import { HttpError } from "./problem.ts";
import { showsCsrfToken, type WebSession, WebSessions } from "./web-sessions.ts";

/** The cookie that a browser keeps. */
export const SESSION_COOKIE = "delos_session";
const SESSION_PATH = "/api/v1/session";
const CSRF_HEADER = "x-csrf-token";
/** Said by a page that asks by itself: it is no sign of somebody who uses the session. */
const BACKGROUND_HEADER = "x-background";
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Finds out who makes a request. */
export class Authentication {
  readonly sessions: WebSessions;
  private readonly broker: Broker;
  private readonly settings: () => Config["management"];
  private readonly vouch: ManagementContext["vouch"];
  private readonly keys = new ApiKeys();
  private readonly forwarded = new Forwarded();
  private requests = 0;

  constructor(broker: Broker, settings: () => Config["management"], vouch: ManagementContext["vouch"]) {
    this.broker = broker;
    this.vouch = vouch;
    this.settings = settings;
    this.sessions = new WebSessions(broker.clock, () => settings().sessions);
  }

  /** Undefined when a request says nothing of it. Throws BrokerError or HttpError for what is not accepted. */
  async callerOf(request: FastifyRequest): Promise<Caller | undefined> {
    const caller = await this.find(request);
    if (caller !== undefined) checkPlace(caller, request);
    return caller;
  }

  /**
   * Where a login is for a request about a virtual host: one with users of its own knows these, and those of the broker too.
   */
  placeOf(host: string | undefined): { host?: string; orBroker?: boolean } {
    const realm = this.broker.hosts.get(host ?? "")?.settings.realm;
    return realm === undefined ? {} : { host: realm, orBroker: true };
  }

  private async find(request: FastifyRequest): Promise<Caller | undefined> {
    const { authorization } = request.headers;
    if (!SAFE_METHODS.has(request.method)) this.checkOrigin(request);
    if (authorization === undefined) return this.bySession(request);
    const [scheme = "", value = ""] = authorization.split(/ +/, 2);
    if (scheme.toLowerCase() === "basic") return this.byPassword(value, request);
    if (scheme.toLowerCase() === "bearer") return this.byToken(value, request);
    throw new BrokerError("not-authenticated", `Authorization by "${scheme}" is not known; expected Basic or Bearer`);
  }

  /** As login modules know whoever sends this request. */
  peerOf({ raw }: FastifyRequest): HttpPeer {
    const address = this.forwarded.addressOf(raw, this.settings().trusted_proxies);
    return new HttpPeer(`http-${++this.requests}`, raw.socket, this.broker.clock.now(), address);
  }

  /** Whether a proxy says that it was asked by TLS. It is believed from anybody: all it does is to keep a cookie safer. */
  isForwardedByTls({ headers }: FastifyRequest): boolean {
    return this.settings().trusted_proxies.length > 0 && headers["x-forwarded-proto"] === "https";
  }

  /** The session of a request that has one. */
  sessionOf({ cookies, headers, method }: FastifyRequest): WebSession | undefined {
    const token = cookies[SESSION_COOKIE];
    if (token === undefined) return undefined;
    // A stream of events begins anew by itself, and a browser lets no page add a header to it.
    const alone = headers[BACKGROUND_HEADER] === "true" || headers.accept === "text/event-stream";
    return this.sessions.find(token, alone && SAFE_METHODS.has(method));
  }

  private async byPassword(encoded: string, request: FastifyRequest): Promise<Caller> {
    const text = Buffer.from(encoded, "base64").toString("utf8");
    const cut = text.indexOf(":");
    if (cut <= 0) throw new BrokerError("not-authenticated", "The credentials are not a user, a colon and a password");
    const peer = this.peerOf(request);
    const [user, password] = [text.slice(0, cut), text.slice(cut + 1)];
    const login = await this.broker.login({ user, password, peer, ...this.placeOf(hostParam(request)) });
    return { login, by: "password", peer };
  }

  private async byToken(token: string, request: FastifyRequest): Promise<Caller> {
    if (token === "") throw new BrokerError("not-authenticated", "The token is empty");
    const peer = this.peerOf(request);
    const find = (): Login | undefined => {
      const owner = this.keys.find(token, this.settings().api_keys);
      return owner === undefined ? undefined : { ...owner, principals: subjectOf(owner, peer).principals };
    };
    const owner = find();
    if (owner !== undefined) {
      // Whoever watches or waits is out when the key is deleted.
      this.vouch(owner, find);
      return { login: owner, by: "key", peer };
    }
    const place = this.placeOf(hostParam(request));
    const login = await this.broker.login({ user: undefined, password: token, peer, ...place });
    return { login, by: "token", peer };
  }

  private async bySession(request: FastifyRequest): Promise<Caller | undefined> {
    const session = this.sessionOf(request);
    if (session === undefined) return undefined;
    if (!SAFE_METHODS.has(request.method)) {
      const shown = request.headers[CSRF_HEADER];
      if (!showsCsrfToken(session, typeof shown === "string" ? shown : undefined)) {
        throw new HttpError(
          403,
          "csrf",
          "The header X-CSRF-Token does not hold the token of this session (csrf of GET /api/v1/session)",
        );
      }
    }
    const peer = this.peerOf(request);
    // Who may not log in any more is out at once, and not when the session ends.
    return { login: await this.broker.review(session.login, peer), by: "session", peer };
  }

  /** Throws HttpError when a page of another origin sends this. */
  checkOrigin({ headers }: FastifyRequest): void {
    const { origin, host } = headers;
    if (origin === undefined || allowsOrigin(this.settings().cors_origins, origin)) return;
    if (URL.canParse(origin) && new URL(origin).host === host) return;
    throw new HttpError(403, "origin", `Pages of ${origin} may change nothing here (management.cors_origins)`);
  }
}

/** Users of a virtual host are nobody elsewhere. Throws BrokerError. */
function checkPlace({ login: { realm, user } }: Caller, request: FastifyRequest): void {
  if (realm === undefined || realm === hostParam(request) || request.routeOptions.url === SESSION_PATH) return;
  throw new BrokerError(
    "not-authorized",
    `User ${user ?? "(none)"} is one of virtual host ${realm}, and is known under /api/v1/hosts/${realm}/ only ` +
      `(hosts.${realm}.security)`,
  );
}

function hostParam({ params }: FastifyRequest): string | undefined {
  if (typeof params !== "object" || params === null || !("host" in params)) return undefined;
  return typeof params.host === "string" ? params.host : undefined;
}

/** Whether pages of an origin may use the API. */
export function allowsOrigin(allowed: readonly string[], origin: string): boolean {
  return allowed.includes("*") || allowed.includes(origin);
}

/** Tells a client how it could show who it is; without a prompt if it says `AuthPrompt: false`. */
export function challenge(request: FastifyRequest, reply: FastifyReply): void {
  const schemes = ['Bearer realm="delos"'];
  if (request.headers["authprompt"] !== "false") schemes.unshift('Basic realm="delos", charset="UTF-8"');
  reply.header("www-authenticate", schemes.join(", "));
}
