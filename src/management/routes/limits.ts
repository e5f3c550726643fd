import { type Static, Type } from "typebox";
import { ALARMS } from "../../../core/alarms.ts";
import type { ManagementApp, ManagementContext } from "../context.ts";
import type { Account } from "../../net/limits.ts";
import { type Allowance, owedMs } from "../../net/meter.ts";
import { words } from "../schemas.ts";
import { PageQuery, Table } from "../table.ts";

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
      description:
        "Bytes of memory in use, or free on the disk and in the store's files, when they were last looked at; null if unknown.",
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
    key: Type.String({ description: "Where it is in the configuration." }),
    refused: Type.Integer({ description: "Connections that were refused by it since it was configured." }),
    waits: Type.Integer({
      description: "Times that a connection had to wait for it, or ended, since it was configured.",
    }),
    waiting: Type.Integer({ description: "Connections that wait for it now." }),
  },
  { title: "Limit" },
);

/** Who is under a limit, at a time. */
interface Seen {
  readonly account: Account;
  readonly now: number;
}

const SUBJECTS: Table<Seen> = new Table<Seen>("LimitSubject", "subject", {
  limit: {
    schema: Type.String({ description: "Its key in the configuration." }),
    read: ({ account }) => account.rule.key,
  },
  per: { schema: Type.String(), read: ({ account }) => account.rule.limit.per },
  subject: {
    schema: Type.String({ description: "Whose connections count together: a name, an address, or a /64 of IPv6." }),
    read: ({ account }) => account.subject,
  },
  connections: { schema: Type.Integer(), read: ({ account }) => account.connections },
  throttled: {
    schema: Type.Boolean({ description: "Whether its connections wait now, to send more or to be sent more." }),
    read: ({ account, now }) => owed(account.in, now) + owed(account.out, now) > 0,
  },
  owed_in: {
    schema: Type.Integer({ description: "Milliseconds until it may send more; 0: it may." }),
    read: ({ account, now }) => owed(account.in, now),
  },
  owed_out: {
    schema: Type.Integer({ description: "Milliseconds until it may be sent more; 0: it may." }),
    read: ({ account, now }) => owed(account.out, now),
  },
});

const tags = ["limits"];

/** What the broker as a whole may run short of, and how much users, addresses, listeners and virtual hosts may do. */
export function limitRoutes(app: ManagementApp, { broker, clock, limits, resources }: ManagementContext): void {
  app.get(
    "/alarms",
    {
      config: { right: "monitor broker" },
      schema: { tags, summary: "List alarms, raised or not", response: { 200: Type.Array(Alarm) } },
    },
    (): Static<typeof Alarm>[] => {
      const { levels, memoryLimit, diskLimit, diskRoom } = resources;
      const settings = {
        memory: { setting: "alarms.memory", threshold: memoryLimit, level: levels?.memoryUsed ?? null },
        disk: { setting: "alarms.disk_free", threshold: diskLimit, level: diskRoom ?? null },
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
    () => limits.rules.map(({ limit, key, tally }) => ({ ...limit, match: [...limit.match], key, ...tally })),
  );

  app.get(
    "/limits/subjects",
    {
      config: { right: "monitor broker" },
      schema: {
        tags,
        summary: "List who is under a limit",
        description:
          "Users, addresses, listeners and virtual hosts that have connections or owe something; q=throttled shows who waits. A limit per " +
          "connection is seen at the connections (limited_by).",
        querystring: PageQuery,
        response: { 200: SUBJECTS.page },
      },
    },
    ({ query }) => SUBJECTS.list({ size: limits.size, values: () => seen(limits.accounts(), clock.now()) }, query),
  );
}

function* seen(accounts: Iterable<Account>, now: number): Iterable<Seen> {
  for (const account of accounts) yield { account, now };
}

function owed(allowance: Allowance | undefined, now: number): number {
  return allowance === undefined ? 0 : owedMs(allowance, now);
}
