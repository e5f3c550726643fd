import { Type } from "typebox";
import type { Grave } from "../../../core/routing/graves.ts";
import { hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { queueFields } from "../queue-fields.ts";
import { nullable } from "../schemas.ts";
import { PageQuery, Table } from "../table.ts";

const GRAVES: Table<Grave> = new Table<Grave>("DeadLetters", "name", {
  name: {
    schema: Type.String({ description: "The canonical name of the queue." }),
    read: ({ queue }) => queue.address?.name ?? "",
  },
  first_at: {
    schema: Type.Integer({ description: "When the first dead letter came, in milliseconds since 1970." }),
    read: ({ since }) => since,
  },
  last_at: {
    schema: nullable(Type.Integer(), "When the last one came; null if none did since the broker started."),
    read: ({ lastAt }) => lastAt ?? null,
  },
  ...queueFields<Grave>(({ queue }) => queue),
});

/** Where the dead letters are. */
export function deadLetterRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/hosts/:host/dead-letters",
    {
      config: { right: "monitor host" },
      schema: {
        tags: ["queues"],
        summary: "List queues that dead letters came to",
        description:
          "However they came: by dead_letter_queue, expiry_queue, or dead_letter_exchange. Such a queue is listed until it is " +
          "deleted; with q=messages > 0 those that hold something. Redrive sends dead letters back.",
        params: Type.Object({ host: Type.String() }),
        querystring: PageQuery,
        response: { 200: GRAVES.page },
      },
    },
    ({ params, query }) => GRAVES.list(hostOf(context, params.host).graves, query),
  );
}
