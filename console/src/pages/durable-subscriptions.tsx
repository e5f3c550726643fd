import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { doToEach } from "../api/each.ts";
import { text } from "../api/json.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { link } from "../route.ts";
import { count, named } from "../format.ts";
import { askFor, confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { PageHead, State } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { say } from "../ui/toast.tsx";
import { HolderPage } from "./queue.tsx";

/** What the list of durable subscriptions shows. */
const DURABLE_COLUMNS: readonly Column[] = [
  { field: "id", title: "Durable subscription", width: "minmax(200px, 2fr)" },
  { field: "kind", title: "Kind", width: "100px" },
  {
    field: "topics",
    title: "Over",
    ordered: false,
    width: "minmax(160px, 1.6fr)",
    show: ({ topics }) => (Array.isArray(topics) ? topics.join(", ") : ""),
  },
  { field: "state", title: "State", width: "110px", show: (row) => <State value={text(row, "state")} /> },
  { field: "messages", title: "Messages", kind: "number" },
  { field: "bytes", title: "Size", kind: "bytes" },
  { field: "consumers", title: "Consumers", kind: "number" },
  { field: "delivered", title: "Delivered", kind: "number" },
  { field: "lost", title: "Lost", kind: "number" },
];

const again = signal(0);

/** All durable subscriptions of a virtual host, or one of them. */
export function DurableSubscriptionsPage({ id }: { readonly id: string | undefined }): JSX.Element {
  if (id !== undefined) return <HolderPage key={id} kind="durable-subscriptions" name={id} />;
  return (
    <>
      <PageHead title="Durable subscriptions" intro="Queues bound to topics, which keep messages for who is away.">
        <button type="button" class="button primary" onClick={create}>
          <Icon name="plus" /> New durable subscription
        </button>
      </PageHead>
      <Table
        label="Durable subscriptions"
        path={`${at("hosts", host.value)}/durable-subscriptions`}
        columns={DURABLE_COLUMNS}
        name="id"
        href={(row) => link(["durable-subscriptions", text(row, "id")])}
        empty="There are no durable subscriptions"
        again={again}
        picked={(ids, done) => (
          <button type="button" class="button small danger" onClick={() => askDelete(ids, done)}>
            Delete
          </button>
        )}
      />
    </>
  );
}

function askDelete(ids: readonly string[], done: () => void): void {
  const what = ids.length === 1 ? named(ids[0] ?? "") : `${count(ids.length)} durable subscriptions`;
  const run = async (): Promise<void> => {
    await doToEach(ids, (id) => ask(at("hosts", host.value, "durable-subscriptions", id), { method: "DELETE" }));
    done();
  };
  confirm("Delete", `Delete ${what} with all that waits in them?`, "Delete", run, ids);
}

function create(): void {
  askFor({
    title: "New durable subscription",
    fields: [
      { name: "id", label: "Id", required: true },
      { name: "topics", label: "Topics", required: true, hint: "Separated by commas; * and ** are wildcards" },
      { name: "selector", label: "Selector", placeholder: "every message", wide: true },
    ],
    action: "Create",
    run: async ({ id = "", topics = "", selector = "" }) => {
      const body = {
        topics: topics.split(",").map((topic) => topic.trim()),
        ...(selector.trim() === "" ? {} : { selector }),
      };
      await ask(at("hosts", host.value, "durable-subscriptions", id), { method: "PUT", body });
      say(`The durable subscription ${id} is there`);
      again.value++;
    },
  });
}
