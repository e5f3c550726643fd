import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { brief, number, record, type Row, rows, text } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { Rates, Series } from "../api/series.ts";
import { host } from "../api/session.ts";
import { bytes, count, named } from "../format.ts";
import { go, link } from "../route.ts";
import { Chart } from "../ui/chart.tsx";
import { askFor, confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Card, Facts, Failure, PageHead, Tabs, tabNow, Tiles } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { say } from "../ui/toast.tsx";
import { Producers } from "./producers.tsx";
import { openPublish } from "./publish.tsx";
import { PolicyCard } from "./queue.tsx";

/** What the list of topics shows. */
const TOPIC_COLUMNS: readonly Column[] = [
  { field: "name", title: "Topic", width: "minmax(220px, 2.4fr)" },
  { field: "subscribers", title: "Subscribers", kind: "number" },
  { field: "received", title: "Received", kind: "number" },
  { field: "received_bytes", title: "Received size", kind: "bytes" },
  { field: "delivered", title: "Delivered", kind: "number" },
  { field: "lost", title: "Lost", kind: "number" },
  { field: "last_used", title: "Last used", kind: "ago", width: "minmax(130px, 0.8fr)" },
];

/** What the list of a topic's subscribers shows. */
const SUBSCRIBER_COLUMNS: readonly Column[] = [
  { field: "id", title: "Subscriber", width: "minmax(180px, 1.4fr)" },
  { field: "kind", title: "Kind" },
  { field: "user", title: "User" },
  { field: "waiting_on", title: "Waits for" },
  { field: "pending_bytes", title: "Waiting", kind: "bytes" },
  { field: "held", title: "Unsettled", kind: "number" },
  { field: "delivered", title: "Delivered", kind: "number" },
];

const TABS = [
  ["now", "Overview"],
  ["subscribers", "Subscribers"],
  ["producers", "Producers"],
  ["policy", "Policy"],
] as const;
const EVERY_MS = 2000;
const again = signal(0);

/** All topics of a virtual host, or one of them. */
export function TopicsPage({ name }: { readonly name: string | undefined }): JSX.Element {
  if (name !== undefined) return <TopicPage key={name} name={name} />;
  return (
    <>
      <PageHead title="Topics" intro="Hand each message to everybody who is subscribed.">
        <button type="button" class="button primary" onClick={create}>
          <Icon name="plus" /> New topic
        </button>
      </PageHead>
      <Table
        label="Topics"
        path={`${at("hosts", host.value)}/topics`}
        columns={TOPIC_COLUMNS}
        name="name"
        href={(row) => link(["topics", text(row, "name")])}
        empty="No topics match. They are made when somebody publishes to them or subscribes."
        again={again}
      />
    </>
  );
}

function TopicPage({ name }: { readonly name: string }): JSX.Element {
  const path = at("hosts", host.value, "topics", name);
  const polled = usePolled(path, EVERY_MS);
  const row = polled.value.value;
  const tab = tabNow(TABS);
  return (
    <>
      <PageHead up={{ path: ["topics"], title: "Topics" }} title={name}>
        <button type="button" class="button primary" onClick={() => openPublish({ kind: "topic", name }, polled.again)}>
          <Icon name="send" /> Publish
        </button>
        <button
          type="button"
          class="button danger"
          onClick={() =>
            confirm("Delete", `Delete the topic ${named(name)}? It must have no subscribers.`, "Delete", async () => {
              await ask(path, { method: "DELETE" });
              go(["topics"]);
            })
          }
        >
          <Icon name="trash" /> Delete
        </button>
      </PageHead>
      <Failure text={polled.failure.value} />
      <Tabs tabs={TABS} />
      {tab === "now" && row !== undefined && <Now row={row} />}
      {tab === "subscribers" && (
        <Table
          label="Subscribers"
          path={`${path}/subscribers`}
          columns={SUBSCRIBER_COLUMNS}
          name="id"
          empty="Nobody is subscribed"
        />
      )}
      {tab === "producers" && <Producers path={path} />}
      {tab === "policy" && <PolicyCard policy={rows(row, "policy")} />}
    </>
  );
}

function Now({ row }: { readonly row: Row }): JSX.Element {
  const rates = useMemo(() => new Rates(), []);
  const flow = useMemo(() => new Series(2), []);
  useEffect(() => {
    const now = Date.now();
    const made = rates.of(now, [number(row, "received"), number(row, "delivered")]);
    if (made !== undefined) flow.add(now, made);
  }, [row]);
  return (
    <>
      <Tiles
        tiles={[
          { label: "Subscribers", value: count(number(row, "subscribers")) },
          { label: "Received", value: count(number(row, "received")) },
          { label: "Delivered", value: count(number(row, "delivered")) },
          { label: "Lost", value: count(number(row, "lost")) },
        ]}
      />
      <div class="grid">
        <Chart title="Messages a second" series={flow} lines={["received", "delivered"]} />
        <Card title="Account">
          <Facts
            facts={[
              ["Received", bytes(number(row, "received_bytes"))],
              ["Delivered", bytes(number(row, "delivered_bytes"))],
              ["Retained message", row["retained"] === true ? "yes" : "no"],
              ["Last used", <Time key="used" at={number(row, "last_used")} as="ago" />],
              ...Object.entries(record(row, "lost_by_reason")).map(
                ([reason, value]) => [`Lost: ${reason}`, brief(value)] as const,
              ),
            ]}
          />
        </Card>
      </div>
    </>
  );
}

function create(): void {
  askFor({
    title: "New topic",
    fields: [
      { name: "name", label: "Name", required: true, wide: true, hint: "Levels are separated by dots: news.sport" },
    ],
    action: "Create",
    run: async ({ name = "" }) => {
      await ask(at("hosts", host.value, "topics", name), { method: "PUT", body: {} });
      say(`The topic ${name} is there`);
      again.value++;
    },
  });
}
