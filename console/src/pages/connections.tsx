import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { doToEach } from "../api/each.ts";
import { number, type Row, rows, text } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { bytes, count } from "../format.ts";
import { go, link } from "../route.ts";
import { askFor } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Card, Facts, Failure, PageHead, Tiles } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { say } from "../ui/toast.tsx";

/** What the list of connections shows. */
const CONNECTION_COLUMNS: readonly Column[] = [
  { field: "id", title: "Connection", width: "minmax(130px, 1fr)" },
  { field: "user", title: "User" },
  { field: "protocol", title: "Protocol", width: "100px" },
  { field: "client_id", title: "Client", width: "minmax(120px, 1.2fr)" },
  { field: "address", title: "From", width: "minmax(150px, 1fr)" },
  { field: "subscriptions", title: "Subscriptions", kind: "number", width: "minmax(124px, 0.6fr)" },
  { field: "messages_received", title: "Sent by it", kind: "number" },
  { field: "messages_sent", title: "Sent to it", kind: "number" },
  { field: "connected_at", title: "Since", kind: "ago", width: "minmax(120px, 0.7fr)" },
];

/** What the list of a connection's subscriptions shows. */
const SUBSCRIPTION_COLUMNS: readonly Column[] = [
  {
    field: "patterns",
    title: "Subscription to",
    ordered: false,
    width: "minmax(200px, 2fr)",
    show: (row) =>
      rows(row, "patterns")
        .map((pattern) => `${text(pattern, "kind")} ${text(pattern, "name")}`)
        .join(", ") || <span class="quiet">all that its session is subscribed to</span>,
  },
  { field: "selector", title: "Selector", width: "minmax(120px, 1fr)" },
  { field: "waiting_on", title: "Waits for" },
  { field: "held", title: "Unsettled", kind: "number" },
  { field: "credit_messages", title: "Credit", kind: "number" },
  { field: "delivered", title: "Delivered", kind: "number" },
];

const again = signal(0);

/** Who is connected, or one of them. */
export function ConnectionsPage({ id }: { readonly id: string | undefined }): JSX.Element {
  if (id !== undefined) return <ConnectionPage key={id} id={id} />;
  return (
    <>
      <PageHead title="Connections" intro="Clients that are connected now, whatever they speak." />
      <Table
        label="Connections"
        path={`${at("hosts", host.value)}/connections`}
        columns={CONNECTION_COLUMNS}
        name="id"
        href={(row) => link(["connections", text(row, "id")])}
        empty="Nobody is connected"
        again={again}
        picked={(names, done) => (
          <button type="button" class="button small danger" onClick={() => askClose(names, done)}>
            Close
          </button>
        )}
      />
    </>
  );
}

function ConnectionPage({ id }: { readonly id: string }): JSX.Element {
  const path = at("hosts", host.value, "connections", id);
  const polled = usePolled(path, 2000);
  const row = polled.value.value;
  return (
    <>
      <PageHead up={{ path: ["connections"], title: "Connections" }} title={id}>
        <button type="button" class="button danger" onClick={() => askClose([id], () => go(["connections"]))}>
          <Icon name="close" /> Close
        </button>
      </PageHead>
      <Failure text={polled.failure.value} />
      {row !== undefined && <Known row={row} />}
      <Table
        label="Subscriptions"
        path={`${path}/subscriptions`}
        columns={SUBSCRIPTION_COLUMNS}
        name="id"
        filtered={false}
        empty="It is subscribed to nothing"
      />
    </>
  );
}

function Known({ row }: { readonly row: Row }): JSX.Element {
  const expires = number(row, "login_expires_at");
  return (
    <>
      <Tiles
        tiles={[
          { label: "Messages from it", value: count(number(row, "messages_received")) },
          { label: "Messages to it", value: count(number(row, "messages_sent")) },
          { label: "Bytes from it", value: bytes(number(row, "bytes_received")) },
          { label: "Bytes to it", value: bytes(number(row, "bytes_sent")) },
          { label: "Waiting to be written", value: bytes(number(row, "bytes_waiting")) },
        ]}
      />
      <div class="grid">
        <Card title="Who">
          <Facts
            facts={[
              ["User", text(row, "user")],
              ["Client", text(row, "client_id")],
              ["Protocol", text(row, "protocol")],
              ["Session", sessionOf(row)],
              ["From", text(row, "address")],
              ["To", `${text(row, "local_address")} (${text(row, "listener")}, ${text(row, "transport")})`],
              ["Certificate", text(row, "certificate")],
            ]}
          />
        </Card>
        <Card title="How it does">
          <Facts
            facts={[
              ["The broker waits for", text(row, "waiting_on")],
              ["Held up by", text(row, "limited_by")],
              ["Connected", <Time key="connected" at={number(row, "connected_at")} as="ago" />],
              ["Last heard of", <Time key="heard" at={number(row, "last_received_at")} as="ago" />],
              ["Last written to", <Time key="written" at={number(row, "last_sent_at")} as="ago" />],
              ["Unconfirmed", count(number(row, "unconfirmed"))],
              ["Login ends", expires === 0 ? "" : <Time key="ends" at={expires} as="ago" />],
            ]}
          />
        </Card>
      </div>
    </>
  );
}

/** Sessions that may outlive connections are those of MQTT. */
function sessionOf(row: Row): ComponentChildren {
  const id = text(row, "session");
  return id.startsWith("mqtt/") ? <a href={link(["sessions", id])}>{id}</a> : id;
}

function askClose(ids: readonly string[], done: () => void): void {
  askFor({
    title: ids.length === 1 ? `Close the connection ${ids[0]}` : `Close ${count(ids.length)} connections`,
    intro: "The client is told why in the words of its protocol. What it had and did not settle goes to others.",
    fields: [{ name: "reason", label: "Reason", placeholder: "closed by an operator", wide: true }],
    action: "Close",
    danger: true,
    run: async ({ reason = "" }) => {
      await doToEach(ids, (id) =>
        ask(at("hosts", host.value, "connections", id), { method: "DELETE", query: { reason } }),
      );
      say(ids.length === 1 ? "The connection is closed" : `${count(ids.length)} connections are closed`);
      again.value++;
      done();
    },
  });
}
