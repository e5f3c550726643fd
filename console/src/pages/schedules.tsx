import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { doToEach } from "../api/each.ts";
import { number, record, type Row, text } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { ago, span } from "../format.ts";
import { confirm, openDialog } from "../ui/dialog.tsx";
import { Failure, PageHead } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { soMany } from "./move.tsx";
import { openPublish } from "./publish.tsx";
import { SHOWN_BODY, WHOLE_BODY } from "./body.tsx";
import { MessageView } from "./message.tsx";
import { Icon } from "../ui/icon.tsx";

/** What the list of scheduled messages shows. */
const SCHEDULE_COLUMNS: readonly Column[] = [
  { field: "address", title: "For", width: "minmax(180px, 1.6fr)" },
  { field: "kind", title: "Kind", width: "90px" },
  {
    field: "deliver_at",
    title: "Due",
    width: "minmax(320px, 1.6fr)",
    show: (row) => (
      <>
        <Time at={number(row, "deliver_at")} /> <span class="quiet">{ago(number(row, "deliver_at"))}</span>
      </>
    ),
  },
  { field: "period_ms", title: "Again", ordered: false, width: "minmax(150px, 1fr)", show: (row) => againOf(row) },
  { field: "bytes", title: "Size", kind: "bytes" },
];

const again = signal(0);

/** Messages that wait for their time. */
export function SchedulesPage(): JSX.Element {
  return (
    <>
      <PageHead title="Schedules" intro="Messages that wait for their time, in the order in which they are due.">
        <button
          type="button"
          class="button primary"
          onClick={() =>
            openPublish(undefined, () => {
              again.value++;
            })
          }
        >
          <Icon name="plus" /> Publish later
        </button>
      </PageHead>
      <Table
        label="Scheduled messages"
        path={`${at("hosts", host.value)}/schedules`}
        columns={SCHEDULE_COLUMNS}
        name="id"
        filtered={false}
        besides={["repeats", "remaining", "cron"]}
        onOpen={(row) => {
          const id = text(row, "id");
          openDialog(`For ${text(row, "address")}`, () => <Scheduled id={id} />);
        }}
        empty="Nothing waits for its time"
        again={again}
        picked={(ids, done) => (
          <button
            type="button"
            class="button small danger"
            onClick={() =>
              confirm("Cancel", `Cancel ${soMany(ids.length)}, with all repetitions?`, "Cancel them", async () => {
                await doToEach(ids, (id) => ask(at("hosts", host.value, "schedules", id), { method: "DELETE" }));
                done();
              })
            }
          >
            Cancel
          </button>
        )}
      />
    </>
  );
}

function Scheduled({ id }: { readonly id: string }): JSX.Element {
  const polled = usePolled(at("hosts", host.value, "schedules", id), 0, SHOWN_BODY);
  const load = async (): Promise<Row> => {
    const whole = await ask(at("hosts", host.value, "schedules", id), { query: WHOLE_BODY });
    return record(whole, "message");
  };
  const message = record(polled.value.value, "message");
  return (
    <div class="dialog-body padded">
      <Failure text={polled.failure.value} />
      {"body" in message && <MessageView message={message} load={load} />}
    </div>
  );
}

function againOf(row: Row): string {
  const cron = text(row, "cron");
  const remaining = number(row, "remaining");
  const times = remaining < 0 ? "for ever" : remaining === 0 ? "" : `${remaining} times`;
  if (cron !== "") return [`cron ${cron}`, times].filter(Boolean).join(", ");
  return times === "" ? "" : `every ${span(number(row, "period_ms"))}, ${times}`;
}
