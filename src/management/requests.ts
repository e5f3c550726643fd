import type { Socket } from "node:net";
import type { FastifyReply, FastifyRequest } from "fastify";
import { HttpError } from "./problem.ts";

/** Requests of one connection at a time: browsers and clients send one after the other. */
const MOST_AT_A_TIME = 32;
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Counts what connections ask for at a time: requests may come in a row without a wait for the replies. */
export class RequestCount {
  private readonly open = new WeakMap<Socket, number>();

  /** Throws HttpError when a connection has too many requests under way. */
  begin({ raw: { socket } }: FastifyRequest, { raw: reply }: FastifyReply): void {
    const count = this.open.get(socket) ?? 0;
    if (count >= MOST_AT_A_TIME) {
      throw new HttpError(429, "throttled", `${count} requests of this connection are under way; wait for the replies`);
    }
    this.open.set(socket, count + 1);
    reply.once("close", () => this.open.set(socket, (this.open.get(socket) ?? 1) - 1));
  }
}

/** Refuses what would otherwise do something else than it says. Throws HttpError. */
export function checkMeaning({ method, url, headers, params }: FastifyRequest): void {
  if (typeof params === "object" && params !== null && Object.values(params).includes("")) {
    throw new HttpError(404, "not-found", `There is nothing at ${method} ${url}: a name in the path is empty`);
  }
  if (SAFE_METHODS.has(method)) return;
  // Whoever sends it relies on it.
  for (const condition of ["if-match", "if-unmodified-since"]) {
    if (headers[condition] === undefined) continue;
    throw new HttpError(412, "condition", `Changes on a condition (${condition}) are not offered; ask without it`);
  }
}
