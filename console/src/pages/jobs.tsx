import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { doToEach } from "../api/each.ts";
import { number, record, type Row, text } from "../api/json.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { count, span } from "../format.ts";
import { openDialog } from "../ui/dialog.tsx";
import { Facts, PageHead, State } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { attempt } from "../ui/toast.tsx";

/** What the list of jobs shows. */
const JOB_COLUMNS: readonly Column[] = [
  { field: "kind", title: "What", width: "100px" },
  { field: "source", title: "From", width: "minmax(180px, 1.4fr)" },
  { field: "target", title: "To", width: "minmax(180px, 1.4fr)" },
  { field: "state", title: "State", width: "130px", show: (row) => <State value={text(row, "state")} /> },
  { field: "done", title: "Done", kind: "number" },
  { field: "skipped", title: "Stayed", kind: "number" },
  { field: "user", title: "By" },
  {
    field: "started_at",
    title: "Begun",
    width: "minmax(120px, 0.8fr)",
    show: (row) => <Time at={number(row, "started_at")} as="clock" />,
  },
];

const again = signal(0);

/** What operators do to many messages, or have done since the broker started. */
export function JobsPage(): JSX.Element {
  return (
    <>
      <PageHead title="Jobs" intro="Messages that are moved, copied, redriven or purged by an operator." />
      <Table
        label="Jobs"
        path={`${at("hosts", host.value)}/jobs`}
        columns={JOB_COLUMNS}
        name="id"
        order="-started_at"
        filtered={false}
        besides={["ended_at", "waiting_on", "failure", "skipped_by_reason"]}
        onOpen={(row) => openDialog(`Job ${text(row, "id")}`, () => <Job row={row} />)}
        empty="Nothing was done to many messages since the broker started"
        again={again}
        picked={(ids, done) => (
          <button type="button" class="button small danger" onClick={() => void cancel(ids, done)}>
            Cancel
          </button>
        )}
      />
    </>
  );
}

function Job({ row }: { readonly row: Row }): JSX.Element {
  const ended = number(row, "ended_at");
  const begun = number(row, "started_at");
  return (
    <div class="dialog-body padded">
      <Facts
        facts={[
          ["What", text(row, "kind")],
          ["From", text(row, "source")],
          ["To", text(row, "target")],
          ["State", text(row, "state")],
          ["Waits for", text(row, "waiting_on")],
          ["Done", count(number(row, "done"))],
          ...Object.entries(record(row, "skipped_by_reason")).map(
            ([reason, value]) => [`Stayed: ${reason}`, String(Number(value))] as const,
          ),
          ["Begun", <Time key="begun" at={begun} />],
          ["Took", ended === 0 ? "" : span(ended - begun)],
          ["By", text(row, "user")],
          ["Failed", text(row, "failure")],
        ]}
      />
    </div>
  );
}

async function cancel(ids: readonly string[], done: () => void): Promise<void> {
  await attempt(async () => {
    await doToEach(ids, (id) => ask(at("hosts", host.value, "jobs", id), { method: "DELETE" }));
  }, "Cancelled; what is done stays done");
  done();
}
