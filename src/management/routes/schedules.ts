import { Type } from "typebox";
import { BrokerError } from "../../../core/errors.ts";
import type { ScheduledMessage } from "../../../core/schedule/schedule.ts";
import { compileSelector } from "../../../core/selector/selector.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { ShownMessage, showMessage } from "../shown-message.ts";
import { PageQuery, Table } from "../table.ts";

const SCHEDULES: Table<ScheduledMessage> = new Table<ScheduledMessage>("Scheduled", "id", {
  id: { schema: Type.String(), read: ({ id }) => id },
  kind: { schema: Type.String({ description: "What it is for: queue, topic or exchange." }), read: kindOf },
  address: { schema: Type.String({ description: "Canonical." }), read: ({ address }) => address.name },
  deliver_at: {
    schema: Type.Integer({ description: "When it is due next, in milliseconds since 1970." }),
    read: ({ deliverAt }) => deliverAt,
  },
  bytes: { schema: Type.Integer(), read: ({ bytes }) => bytes },
  period_ms: { schema: Type.Union([Type.Integer(), Type.Null()]), read: ({ timing }) => timing.periodMs ?? null },
  repeats: {
    schema: Type.Integer({ description: "How often it was to be repeated; -1 without end." }),
    read: ({ timing }) => timing.repeats,
  },
  remaining: {
    schema: Type.Integer({ description: "Deliveries after the next one; -1 without end." }),
    read: ({ remaining }) => remaining,
  },
  cron: { schema: Type.Union([Type.String(), Type.Null()]), read: ({ timing }) => timing.cron ?? null },
});

const HostParams = Type.Object({ host: Type.String() });
const Params = Type.Object({ host: Type.String(), schedule: Type.String({ description: "Its id." }) });
const Detail = Type.Object(
  { ...SCHEDULES.row.properties, message: Type.Union([ShownMessage, Type.Null()]) },
  { title: "ScheduledDetail" },
);
const MessageQuery = Type.Object(
  {
    max_body: Type.Integer({ default: 65_536, minimum: 0, maximum: 16_777_216, description: "Bytes to show of it." }),
    body: Type.Union([Type.Literal("auto"), Type.Literal("base64")], { default: "auto" }),
  },
  { additionalProperties: false },
);
const CancelQuery = Type.Object(
  {
    kind: Type.Optional(Type.Union(["queue", "topic", "exchange"].map((kind) => Type.Literal(kind)))),
    address: Type.Optional(Type.String({ maxLength: 4096, description: "Those for this address only; canonical." })),
    selector: Type.Optional(Type.String({ maxLength: 65_536, description: "Only messages that it matches." })),
    all: Type.Boolean({ default: false, description: "To be true where nothing else says which." }),
  },
  { additionalProperties: false },
);
const Cancelled = Type.Object({ messages: Type.Integer({ description: "How many were cancelled." }) });

/** Read in one turn. */
const SLICE = 500;
const tags = ["schedules"];

/** Messages that wait for their time. */
export function scheduleRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/hosts/:host/schedules",
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List, by default in the order in which they are due",
        params: HostParams,
        querystring: PageQuery,
        response: { 200: SCHEDULES.page },
      },
    },
    async ({ params, query }) => {
      const host = hostOf(context, params.host);
      const { p, ps, q, o = [] } = query;
      if ((q ?? "").trim() !== "" || o.length > 0) {
        const all = await listed(host, Number.POSITIVE_INFINITY);
        return SCHEDULES.list({ size: all.length, values: () => all }, query);
      }
      const total = host.schedule.count;
      const upTo = await listed(host, Math.min((p + 1) * ps, total));
      const page = upTo.slice(p * ps);
      const { items } = await SCHEDULES.list({ size: page.length, values: () => page }, { ...query, p: 0 });
      return { page: p, page_size: ps, total_pages: Math.ceil(total / ps), total_rows: total, items };
    },
  );

  app.get(
    "/hosts/:host/schedules/:schedule",
    {
      // Whoever cancels may look at what: the message is in no queue whose rights could be asked for.
      config: { right: "admin host", bodies: true },
      schema: {
        tags,
        summary: "Look at one, with its message",
        params: Params,
        querystring: MessageQuery,
        response: { 200: Detail },
      },
    },
    ({ params, query }) => {
      const host = hostOf(context, params.host);
      const found = host.schedule.about(params.schedule);
      if (found === undefined) throw nothing(host, params.schedule);
      const message = host.schedule.get(params.schedule);
      const place = { sequence: 0, deliveries: 0 };
      const shown = message === undefined ? null : showMessage(message, place, query.max_body, query.body);
      return { ...SCHEDULES.show(found), message: shown };
    },
  );

  app.delete(
    "/hosts/:host/schedules/:schedule",
    {
      config: { right: "admin host", audit: "schedule.cancel" },
      schema: {
        tags,
        summary: "Cancel with all deliveries that were still to come",
        params: Params,
        response: { 204: Type.Null() },
      },
    },
    async ({ params }, reply) => {
      const host = hostOf(context, params.host);
      if (!host.schedule.cancel(params.schedule)) throw nothing(host, params.schedule);
      reply.code(204);
      return null;
    },
  );

  app.delete(
    "/hosts/:host/schedules",
    {
      config: { right: "admin host", audit: "schedule.cancel" },
      schema: {
        tags,
        summary: "Cancel those of an address, those that a selector matches, or all",
        params: HostParams,
        querystring: CancelQuery,
        response: { 200: Cancelled },
      },
    },
    async ({ params, query }) => {
      const { kind, address, selector: text, all } = query;
      if (!all && kind === undefined && address === undefined && text === undefined) {
        throw new BrokerError("bad-request", "Nothing says which ones: kind, address, selector, or all=true");
      }
      const host = hostOf(context, params.host);
      const selector = text === undefined ? undefined : compileSelector(text);
      const wanted = (scheduled: ScheduledMessage): boolean => {
        if (kind !== undefined && scheduled.address.kind !== kind) return false;
        if (address !== undefined && scheduled.address.name !== address) return false;
        const message = selector === undefined ? undefined : host.schedule.get(scheduled.id);
        return selector === undefined || (message !== undefined && selector.matches(message));
      };
      return { messages: await cancel(host, wanted) };
    },
  );
}

/** The first ones, in the order in which they are due. */
async function listed({ schedule }: VirtualHost, count: number): Promise<ScheduledMessage[]> {
  const found: ScheduledMessage[] = [];
  while (found.length < count) {
    const last = found.at(-1)?.id;
    const slice = schedule.list({
      ...(last === undefined ? {} : { after: last }),
      limit: Math.min(SLICE, count - found.length),
    });
    if (slice.length === 0) break;
    found.push(...slice);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return found;
}

/** What comes while this goes on, and is due before what was looked at, stays. */
async function cancel({ schedule }: VirtualHost, wanted: (scheduled: ScheduledMessage) => boolean): Promise<number> {
  let cancelled = 0;
  let after: string | undefined;
  for (;;) {
    const slice = schedule.list({ ...(after === undefined ? {} : { after }), limit: SLICE });
    for (const scheduled of slice) if (wanted(scheduled) && schedule.cancel(scheduled.id)) cancelled++;
    after = slice.at(-1)?.id;
    if (slice.length < SLICE || after === undefined) return cancelled;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function nothing({ name }: VirtualHost, id: string): BrokerError {
  return new BrokerError("not-found", `No message ${id} waits for its time in virtual host ${name}`);
}

function kindOf({ address }: ScheduledMessage): string {
  return address.kind;
}
