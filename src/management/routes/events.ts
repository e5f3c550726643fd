import type { FastifyReply } from "fastify";
import { Type } from "typebox";
import { hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { EventStreams } from "../event-streams.ts";

const HostParams = Type.Object({ host: Type.String() });
const tags = ["events"];
const STREAM = {
  produces: ["text/event-stream"],
  description:
    "Server-sent events named figures, one a second: { time, figures, rates, hosts }. A reader that is too slow is cut off.",
} as const;

/** Live figures, for whoever watches. */
export function eventRoutes(app: ManagementApp, context: ManagementContext): void {
  const streams = new EventStreams(context.broker, context.looks);
  // Before requests are waited for, of which these would never end.
  app.addHook("preClose", async () => streams.close());

  const begin = (reply: FastifyReply, host: string | undefined): void => {
    streams.check();
    // What keeps a browser from misusing it, as with every reply.
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value);
    }
    reply.hijack();
    reply.raw.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no" });
    streams.open(reply.raw, host);
  };

  app.get(
    "/events",
    { config: { right: "monitor broker" }, schema: { tags, summary: "Watch the broker", ...STREAM } },
    (_request, reply) => begin(reply, undefined),
  );

  app.get(
    "/hosts/:host/events",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "Watch a virtual host", params: HostParams, ...STREAM },
    },
    ({ params }, reply) => begin(reply, hostOf(context, params.host).name),
  );
}
