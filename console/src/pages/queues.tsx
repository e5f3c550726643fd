import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { doToEach } from "../api/each.ts";
import { flag, text } from "../api/json.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { count, named } from "../format.ts";
import { link } from "../route.ts";
import { askFor, confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { PageHead, State } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { attempt, say } from "../ui/toast.tsx";
import { QueuePage } from "./queue.tsx";

/** What the list of queues shows. */
const QUEUE_COLUMNS: readonly Column[] = [
  { field: "name", title: "Queue", width: "minmax(180px, 2.4fr)" },
  {
    field: "state",
    title: "State",
    width: "96px",
    show: (row) => <State value={flag(row, "full") ? "full" : text(row, "state")} />,
  },
  { field: "messages", title: "Messages", kind: "number" },
  { field: "bytes", title: "Size", kind: "bytes" },
  { field: "held", title: "Unsettled", kind: "number" },
  { field: "consumers", title: "Consumers", kind: "number" },
  { field: "received", title: "Received", kind: "number" },
  { field: "consumed", title: "Consumed", kind: "number" },
  { field: "lost", title: "Lost", kind: "number" },
];

const again = signal(0);

/** All queues of a virtual host, or one of them. */
export function QueuesPage({ name }: { readonly name: string | undefined }): JSX.Element {
  if (name !== undefined) return <QueuePage key={name} name={name} />;
  return (
    <>
      <PageHead title="Queues" intro="Hold messages in order until each is consumed once.">
        <button type="button" class="button primary" onClick={declare}>
          <Icon name="plus" /> New queue
        </button>
      </PageHead>
      <Table
        label="Queues"
        path={`${at("hosts", host.value)}/queues`}
        columns={QUEUE_COLUMNS}
        name="name"
        besides={["full"]}
        href={(row) => link(["queues", text(row, "name")])}
        empty="No queues match. They are made when somebody sends to them or consumes from them."
        again={again}
        picked={(names, done) => <Picked names={names} done={done} />}
      />
    </>
  );
}

function Picked({ names, done }: { readonly names: readonly string[]; readonly done: () => void }): JSX.Element {
  const each = async (method: "POST" | "DELETE", action: string): Promise<void> => {
    await doToEach(names, (name) =>
      ask(`${at("hosts", host.value, "queues", name)}${action}`, {
        method,
        ...(method === "POST" ? { body: {} } : {}),
      }),
    );
    done();
  };
  const many = names.length === 1 ? `the queue ${named(names[0] ?? "")}` : `${count(names.length)} queues`;
  return (
    <div class="actions">
      <button
        type="button"
        class="button small"
        onClick={() => void attempt(() => each("POST", "/pause"), `Paused: ${many}`)}
      >
        Pause
      </button>
      <button
        type="button"
        class="button small"
        onClick={() => void attempt(() => each("POST", "/resume"), `Resumed: ${many}`)}
      >
        Resume
      </button>
      <button
        type="button"
        class="button small danger"
        onClick={() =>
          confirm(
            "Purge",
            `Throw away every message in ${many} that nobody holds?`,
            "Purge",
            () => each("POST", "/purge"),
            names,
          )
        }
      >
        Purge
      </button>
      <button
        type="button"
        class="button small danger"
        onClick={() =>
          confirm("Delete", `Delete ${many} with all messages?`, "Delete", () => each("DELETE", ""), names)
        }
      >
        Delete
      </button>
    </div>
  );
}

function declare(): void {
  askFor({
    title: "New queue",
    fields: [
      { name: "name", label: "Name", required: true, wide: true, hint: "Levels are separated by dots: orders.new" },
      { name: "durable", label: "Durable", kind: "check", value: "true", hint: "there again after a restart" },
      { name: "auto_delete", label: "Auto-delete", kind: "check", hint: "goes with its last consumer" },
    ],
    action: "Create",
    run: async ({ name = "", durable, auto_delete: autoDelete }) => {
      const body = { durable: durable === "true", auto_delete: autoDelete === "true" };
      await ask(at("hosts", host.value, "queues", name), { method: "PUT", body });
      say(`The queue ${name} is there`);
      again.value++;
    },
  });
}
