import type { JSX } from "preact";
import { doToEach } from "../api/each.ts";
import { flag, number, type Row, rows, text } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { bytes, count, named, span } from "../format.ts";
import { go, link } from "../route.ts";
import { confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Card, Facts, Failure, PageHead, State } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";

/** What the list of sessions shows. */
const SESSION_COLUMNS: readonly Column[] = [
  { field: "id", title: "Session", width: "minmax(180px, 2fr)" },
  { field: "user", title: "User" },
  {
    field: "connected",
    title: "State",
    width: "120px",
    show: (row) => <State value={flag(row, "connected") ? "connected" : "away"} />,
  },
  { field: "since", title: "Since", kind: "ago", width: "minmax(130px, 0.8fr)" },
  {
    field: "expiry_ms",
    title: "Is kept",
    width: "minmax(110px, 0.7fr)",
    show: (row) => keptFor(row),
  },
  { field: "subscriptions", title: "Subscriptions", kind: "number", width: "minmax(124px, 0.6fr)" },
  { field: "messages", title: "Messages", kind: "number" },
  { field: "bytes", title: "Size", kind: "bytes" },
];

/** Sessions, which may outlive connections, or one of them. */
export function SessionsPage({ id }: { readonly id: string | undefined }): JSX.Element {
  if (id !== undefined) return <SessionPage key={id} id={id} />;
  return (
    <>
      <PageHead title="Sessions" intro="What clients are interested in and what waits for them while they are away." />
      <Table
        label="Sessions"
        path={`${at("hosts", host.value)}/sessions`}
        columns={SESSION_COLUMNS}
        name="id"
        besides={["kept"]}
        href={(row) => link(["sessions", text(row, "id")])}
        empty="There are no sessions"
        picked={(names, done) => (
          <button type="button" class="button small danger" onClick={() => askEnd(names, done)}>
            End
          </button>
        )}
      />
    </>
  );
}

function SessionPage({ id }: { readonly id: string }): JSX.Element {
  const polled = usePolled(at("hosts", host.value, "sessions", id), 2000);
  const row = polled.value.value;
  const interests = rows(row, "interests");
  return (
    <>
      <PageHead up={{ path: ["sessions"], title: "Sessions" }} title={id}>
        <button type="button" class="button danger" onClick={() => askEnd([id], () => go(["sessions"]))}>
          <Icon name="trash" /> End
        </button>
      </PageHead>
      <Failure text={polled.failure.value} />
      {row !== undefined && (
        <div class="grid">
          <Card title="State">
            <Facts
              facts={[
                ["User", text(row, "user")],
                ["State", <State key="state" value={flag(row, "connected") ? "connected" : "away"} />],
                ["Since", <Time key="since" at={number(row, "since")} as="ago" />],
                ["Is kept", keptFor(row)],
                ["Messages", count(number(row, "messages"))],
                ["Size", bytes(number(row, "bytes"))],
              ]}
            />
          </Card>
          <Card title="Subscriptions" flush>
            <table class="plain-table">
              <thead>
                <tr>
                  <th>Over</th>
                  <th>Quality</th>
                  <th>Shared with</th>
                </tr>
              </thead>
              <tbody>
                {interests.map((interest) => (
                  <tr key={`${text(interest, "group")} ${text(interest, "pattern")}`}>
                    <td class="break">
                      {text(interest, "kind")} {text(interest, "pattern")}
                    </td>
                    <td>{text(interest, "quality")}</td>
                    <td>{text(interest, "group")}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Card>
        </div>
      )}
    </>
  );
}

function keptFor(row: Row): string {
  if (!flag(row, "kept")) return "no";
  return row["expiry_ms"] === null ? "for ever" : span(number(row, "expiry_ms"));
}

function askEnd(ids: readonly string[], done: () => void): void {
  const what = ids.length === 1 ? `the session ${named(ids[0] ?? "")}` : `${count(ids.length)} sessions`;
  confirm(
    "End",
    `End ${what} with all that waits? Clients that are connected are closed.`,
    "End",
    async () => {
      await doToEach(ids, (id) => ask(at("hosts", host.value, "sessions", id), { method: "DELETE" }));
      done();
    },
    ids,
  );
}
