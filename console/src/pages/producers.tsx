import type { JSX } from "preact";
import { text } from "../api/json.ts";
import { link } from "../route.ts";
import { type Column, Table } from "../ui/table.tsx";

/** What the list of those shows who send somewhere. */
const PRODUCER_COLUMNS: readonly Column[] = [
  { field: "connection", title: "Connection", width: "minmax(140px, 1fr)" },
  { field: "user", title: "User" },
  { field: "protocol", title: "Protocol" },
  { field: "client_id", title: "Client", width: "minmax(120px, 1.2fr)" },
  { field: "address", title: "From", width: "minmax(150px, 1fr)" },
  { field: "messages", title: "Sent here", kind: "number" },
  { field: "waiting_on", title: "The broker waits for", width: "minmax(150px, 1fr)" },
];

/** Who sends to something, by the path of that. */
export function Producers({ path }: { readonly path: string }): JSX.Element {
  return (
    <Table
      label="Producers"
      path={`${path}/producers`}
      columns={PRODUCER_COLUMNS}
      name="connection"
      order="-messages"
      href={(row) => link(["connections", text(row, "connection")])}
      empty="Nobody who is connected has sent anything here"
    />
  );
}
