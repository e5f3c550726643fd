import { type Static, Type } from "typebox";
import type { Interest } from "../../../core/sessions/interests.ts";
import type { SessionState } from "../../../core/sessions/session-state.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { BrokerError } from "../../../core/errors.ts";
import { hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { PageQuery, Table } from "../table.ts";

const SESSIONS: Table<SessionState> = new Table<SessionState>("Session", "id", {
  id: { schema: Type.String({ description: "With its protocol: mqtt/sensor-7." }), read: ({ id }) => id },
  user: { schema: Type.Union([Type.String(), Type.Null()]), read: ({ user }) => user ?? null },
  connected: { schema: Type.Boolean(), read: ({ connection }) => connection !== undefined },
  connection: {
    schema: Type.Union([Type.String(), Type.Null()], { description: "The id of its connection." }),
    read: ({ connection }) => connection?.client.id ?? null,
  },
  since: {
    schema: Type.Integer({ description: "Since when it is connected, or is not, in milliseconds since 1970." }),
    read: ({ since }) => since,
  },
  kept: {
    schema: Type.Boolean({ description: "Whether it may outlive its connection." }),
    read: ({ kept }) => kept,
  },
  expiry_ms: {
    schema: Type.Union([Type.Integer(), Type.Null()], { description: "How long it does; null is for ever." }),
    read: ({ expiryMs }) => (Number.isFinite(expiryMs) ? expiryMs : null),
  },
  subscriptions: { schema: Type.Integer(), read: ({ interests }) => interests.size },
  shared_subscriptions: { schema: Type.Integer(), read: ({ shares }) => shares.size },
  messages: {
    schema: Type.Integer({ description: "Messages that wait for it, or for it to settle them." }),
    read: ({ durable, connection }) => durable?.queue.count ?? connection?.subscription.feed?.stored ?? 0,
  },
  bytes: {
    schema: Type.Integer(),
    read: ({ durable, connection }) => durable?.queue.bytes ?? connection?.subscription.feed?.pendingBytes ?? 0,
  },
});

const InterestSchema = Type.Object({
  kind: Type.String(),
  pattern: Type.String({ description: "Canonical." }),
  group: Type.Union([Type.String(), Type.Null()], { description: "With whom it shares; null with nobody." }),
  quality: Type.Integer({ description: "0 at most once, 1 at least once, 2 exactly once." }),
  no_local: Type.Boolean(),
});
const Detail = Type.Object(
  {
    ...SESSIONS.row.properties,
    interests: Type.Array(InterestSchema, { description: "The first thousand of its subscriptions." }),
  },
  { title: "SessionDetail" },
);

const HostParams = Type.Object({ host: Type.String() });
const Params = Type.Object({ host: Type.String(), session: Type.String() });
const SHOWN = 1000;
const tags = ["sessions"];

/** Sessions, which may outlive connections. */
export function sessionStateRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/hosts/:host/sessions",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "List", params: HostParams, querystring: PageQuery, response: { 200: SESSIONS.page } },
    },
    ({ params, query }) => {
      const { all } = hostOf(context, params.host).sessions;
      return SESSIONS.list({ size: all.size, values: () => all.values() }, query);
    },
  );

  app.get(
    "/hosts/:host/sessions/:session",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "Look at one", params: Params, response: { 200: Detail } },
    },
    ({ params }) => {
      const session = sessionOf(hostOf(context, params.host), params.session);
      return { ...SESSIONS.show(session), interests: interestsOf(session) };
    },
  );

  app.delete(
    "/hosts/:host/sessions/:session",
    {
      config: { right: "admin host", audit: "session.delete" },
      schema: {
        tags,
        summary: "End with all that waits for it",
        description: "If it is connected its client is told so, and closed.",
        params: Params,
        response: { 204: Type.Null() },
      },
    },
    async ({ params }, reply) => {
      const host = hostOf(context, params.host);
      host.sessions.remove(sessionOf(host, params.session).id);
      reply.code(204);
      return null;
    },
  );
}

/** Throws BrokerError when it is not there. */
function sessionOf(host: VirtualHost, id: string): SessionState {
  const session = host.sessions.all.get(id);
  if (session !== undefined) return session;
  throw new BrokerError("not-found", `There is no session ${id} in virtual host ${host.name}`);
}

function interestsOf(session: SessionState): Static<typeof InterestSchema>[] {
  const shown: Static<typeof InterestSchema>[] = [];
  for (const interest of session.interests.all()) {
    if (shown.push(interestJson(interest, null)) === SHOWN) return shown;
  }
  for (const { group, members } of session.shares.values()) {
    const interest = members.get(session);
    if (interest !== undefined && shown.push(interestJson(interest, group)) === SHOWN) break;
  }
  return shown;
}

function interestJson({ pattern, quality, noLocal }: Interest, group: string | null): Static<typeof InterestSchema> {
  return { kind: pattern.kind, pattern: pattern.text, group, quality, no_local: noLocal };
}
