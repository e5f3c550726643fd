import { Type } from "typebox";
import type { AuditEntry } from "../../audit.ts";
import type { ManagementApp, ManagementContext } from "../context.ts";
import { PageQuery, Table } from "../table.ts";

const EVENTS: Table<AuditEntry> = new Table<AuditEntry>("AuditEvent", "id", {
  id: { schema: Type.Integer({ description: "Greater than that of every earlier one." }), read: ({ id }) => id },
  at: { schema: Type.Integer({ description: "Milliseconds since 1970." }), read: ({ at }) => at },
  user: {
    schema: Type.Union([Type.String(), Type.Null()], { description: "Null when nobody had logged in." }),
    read: ({ user }) => user ?? null,
  },
  address: {
    schema: Type.String({ description: "Where it came from; empty for what the broker did by itself." }),
    read: ({ address }) => address,
  },
  action: { schema: Type.String({ description: "Such as queue.delete." }), read: ({ action }) => action },
  resource: { schema: Type.String(), read: ({ resource }) => resource },
  result: {
    schema: Type.Union(["ok", "refused", "failed"].map((result) => Type.Literal(result))),
    read: ({ result }) => result,
  },
  detail: {
    schema: Type.Union([Type.String(), Type.Null()], { description: "Why." }),
    read: ({ detail }) => detail ?? null,
  },
  times: {
    schema: Type.Integer({ description: "How often, for what happened many times within a minute." }),
    read: ({ times }) => times ?? 1,
  },
});

/** Who did what of late: the last events that are in memory (audit.kept). */
export function auditRoutes(app: ManagementApp, { audit }: ManagementContext): void {
  app.get(
    "/audit",
    {
      config: { right: "admin broker" },
      schema: {
        tags: ["audit"],
        summary: "List events, by default the newest first",
        querystring: PageQuery,
        response: { 200: EVENTS.page },
      },
    },
    ({ query }) => {
      const recent = audit.recent();
      return EVENTS.list({ size: recent.length, values: () => recent }, query);
    },
  );
}
