import type { JSX } from "preact";
import { number, text } from "../api/json.ts";
import { count } from "../format.ts";
import { Facts, PageHead, State } from "../ui/parts.tsx";
import { openDialog } from "../ui/dialog.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";

/** What the audit log shows. */
const AUDIT_COLUMNS: readonly Column[] = [
  {
    field: "at",
    title: "When",
    width: "minmax(170px, 0.8fr)",
    show: (row) => <Time at={number(row, "at")} as="clock" />,
  },
  { field: "user", title: "User", width: "minmax(100px, 0.7fr)" },
  { field: "action", title: "What", width: "minmax(130px, 0.8fr)" },
  { field: "resource", title: "To what", width: "minmax(220px, 2fr)" },
  { field: "result", title: "Result", width: "100px", show: (row) => <State value={text(row, "result")} /> },
  { field: "address", title: "From", width: "minmax(150px, 0.8fr)" },
];

/** Who did what. */
export function AuditPage(): JSX.Element {
  return (
    <>
      <PageHead
        title="Audit"
        intro="Who logged in, changed something or was refused: the last events in memory. The log or the audit file has them all."
      />
      <Table
        label="Audit events"
        path="/audit"
        columns={AUDIT_COLUMNS}
        name="resource"
        besides={["id", "detail", "times"]}
        order="-at"
        onOpen={(row) =>
          openDialog(text(row, "action"), () => (
            <div class="dialog-body padded">
              <Facts
                facts={[
                  ["When", <Time key="at" at={number(row, "at")} />],
                  ["User", text(row, "user") || "nobody"],
                  ["From", text(row, "address") || "the broker itself"],
                  ["To what", text(row, "resource")],
                  ["Result", text(row, "result")],
                  ["Why", text(row, "detail")],
                  ["How often", number(row, "times") > 1 ? count(number(row, "times")) : ""],
                ]}
              />
            </div>
          ))
        }
        empty="Nothing was noted yet"
      />
    </>
  );
}
