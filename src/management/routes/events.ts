import type { FastifyReply } from "fastify";
import { Type } from "typebox";
import { BrokerError } from "../../../core/errors.ts";
import { type Caller, callerOf, hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { EventStreams } from "../event-streams.ts";
import { checkCaller } from "../rights.ts";

const HostParams = Type.Object({ host: Type.String() });
const tags = ["events"];
const STREAM = {
  produces: ["text/event-stream"],
  description:
    "Server-sent events named figures, one a second: { time, figures, rates, hosts }. A reader that is too slow is cut off.",
} as const;

/** Live figures, for whoever watches. */
export function eventRoutes(app: ManagementApp, context: ManagementContext): void {
  const { broker, clock } = context;
  const streams = new EventStreams(broker, context.looks);
  // Before requests are waited for, of which these would never end.
  app.addHook("preClose", async () => streams.close());

  const begin = (caller: Caller, reply: FastifyReply, host: string | undefined): void => {
    streams.check();
    const review = async (): Promise<void> => {
      const login = await broker.review(caller.login, caller.peer);
      if (login.expiresAt !== undefined && login.expiresAt <= clock.now()) {
        throw new BrokerError("not-authenticated", "The login has expired");
      }
      checkCaller(broker, { ...caller, login }, host === undefined ? "monitor broker" : "monitor host", host);
    };
    // What keeps a browser from misusing it, as with every reply.
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value);
    }
    reply.hijack();
    reply.raw.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no" });
    if (reply.request.method === "HEAD") reply.raw.end();
    else streams.open(reply.raw, host, review);
  };

  app.get(
    "/events",
    { config: { right: "monitor broker" }, schema: { tags, summary: "Watch the broker", ...STREAM } },
    (request, reply) => begin(callerOf(request), reply, undefined),
  );

  app.get(
    "/hosts/:host/events",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "Watch a virtual host", params: HostParams, ...STREAM },
    },
    (request, reply) => begin(callerOf(request), reply, hostOf(context, request.params.host).name),
  );
}
