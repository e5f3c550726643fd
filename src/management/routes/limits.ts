import { type Static, Type } from "typebox";
import { ALARMS } from "../../../core/alarms.ts";
import type { ManagementApp, ManagementContext } from "../context.ts";
import { words } from "../schemas.ts";

const Alarm = Type.Object(
  {
    name: words(ALARMS),
    raised: Type.Boolean({ description: "Whether publishers wait for it." }),
    reason: Type.Union([Type.String(), Type.Null()], { description: "What was found, and what is needed." }),
    since: Type.Union([Type.Integer(), Type.Null()], { description: "Milliseconds since 1970." }),
    setting: Type.String({ description: "Which setting says when." }),
    threshold: Type.Integer({
      description: "In bytes: above so much memory, or below so much free disk, it is raised; 0 is never.",
    }),
    level: Type.Union([Type.Integer(), Type.Null()], {
      description: "Bytes of memory in use, or free on the disk, when they were last looked at; null if nobody knows.",
    }),
  },
  { title: "Alarm" },
);

const count = (description: string) => Type.Integer({ description: `${description}; 0 is any number.` });

const Limit = Type.Object(
  {
    per: Type.String({ description: "Whose connections count together." }),
    match: Type.Array(Type.String(), { description: "Of whom it holds; of everybody if empty." }),
    connections: count("Connections at a time"),
    connect_rate: count("Connections a second"),
    messages_in: count("Messages a second to the broker"),
    bytes_in: count("Bytes a second to the broker"),
    messages_out: count("Messages a second from the broker"),
    bytes_out: count("Bytes a second from the broker"),
    exceeding: Type.String({ description: "What becomes of who sends more." }),
  },
  { title: "Limit" },
);

const tags = ["limits"];

/** What the broker as a whole may run short of, and how much users, addresses, listeners and virtual hosts may do. */
export function limitRoutes(app: ManagementApp, { broker, config, resources }: ManagementContext): void {
  app.get(
    "/alarms",
    {
      config: { right: "monitor broker" },
      schema: { tags, summary: "List alarms, raised or not", response: { 200: Type.Array(Alarm) } },
    },
    (): Static<typeof Alarm>[] => {
      const { levels, memoryLimit, diskLimit } = resources;
      const settings = {
        memory: { setting: "alarms.memory", threshold: memoryLimit, level: levels?.memoryUsed ?? null },
        disk: { setting: "alarms.disk_free", threshold: diskLimit, level: levels?.diskFree ?? null },
      };
      return ALARMS.map((name) => {
        const active = broker.engine.alarms.active.find((alarm) => alarm.name === name);
        const { reason = null, since = null } = active ?? {};
        return { name, raised: active !== undefined, reason, since, ...settings[name] };
      });
    },
  );

  app.get(
    "/limits",
    {
      config: { right: "monitor broker" },
      schema: {
        tags,
        summary: "List limits",
        description: "For each kind of per the first entry holds that matches. They are of the configuration (limits).",
        response: { 200: Type.Array(Limit) },
      },
    },
    () => config().limits.map((limit) => ({ ...limit, match: [...limit.match] })),
  );
}
