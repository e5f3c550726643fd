import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { allowsOrigin } from "./authentication.ts";

const YEAR_SECONDS = 31_536_000;

/** What keeps a browser from doing with the pages and replies of the broker what they are not for. */
export function guard(request: FastifyRequest, reply: FastifyReply, proxied: boolean): void {
  reply.headers({
    "content-security-policy":
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
      `connect-src 'self'${socketsOf(request, proxied)}; base-uri 'none'; form-action 'none'; ` +
      "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    // Replies hold what not everybody may see; what can be kept says so itself.
    "cache-control": "no-store",
  });
  if (request.protocol === "https") reply.header("strict-transport-security", `max-age=${YEAR_SECONDS}`);
}

/**
 * What the try-it page may connect to by WebSocket: the ports of this host. Any where its name cannot be known or said: a
 * proxy has its own, and there is no way to write an address of IPv6.
 */
function socketsOf({ headers: { host = "" } }: FastifyRequest, proxied: boolean): string {
  if (proxied || host.startsWith("[")) return " ws: wss:";
  const [, name] = /^([\w.-]+)(?::\d+)?$/.exec(host) ?? [];
  return name === undefined ? "" : ` ws://${name}:* wss://${name}:*`;
}

/** Lets pages of the origins of `management.cors_origins` in. Returns whether that was all that was asked. */
export function allowOrigin(allowed: readonly string[], request: FastifyRequest, reply: FastifyReply): boolean {
  const { origin } = request.headers;
  if (allowed.length === 0) return false;
  reply.header("vary", "origin");
  if (origin === undefined || !allowsOrigin(allowed, origin)) return false;
  reply.header("access-control-allow-origin", origin);
  reply.header("access-control-expose-headers", "etag, location");
  reply.header("cross-origin-resource-policy", "cross-origin");
  // A cookie is for origins that are named one by one.
  if (!allowed.includes("*")) reply.header("access-control-allow-credentials", "true");
  if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined) return false;
  reply.header("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
  reply.header(
    "access-control-allow-headers",
    "authorization, content-type, if-match, if-none-match, x-csrf-token, x-background, authprompt",
  );
  reply.header("access-control-max-age", "600");
  return true;
}

/** Marks what was read, so that who has it already gets 304 instead of it. */
export function entityTag(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
  if (request.method !== "GET" && request.method !== "HEAD") return payload;
  if (reply.statusCode !== 200 || typeof payload !== "string" || reply.hasHeader("etag")) return payload;
  if (request.routeOptions.config.bodies === true) return payload;
  const tag = `"${createHash("sha1").update(payload).digest("base64url")}"`;
  reply.header("etag", tag);
  // Kept by a browser, it is to be asked for again each time.
  if (reply.getHeader("cache-control") === "no-store") reply.header("cache-control", "private, no-cache");
  const known = request.headers["if-none-match"];
  if (known === undefined || !known.split(/ *, */).some((one) => one === tag || one === `W/${tag}` || one === "*")) {
    return payload;
  }
  reply.code(304);
  reply.removeHeader("content-length");
  reply.removeHeader("content-type");
  return "";
}
