import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { brief, flag, number, record, type Row, rows, text } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { Rates, Series } from "../api/series.ts";
import { host } from "../api/session.ts";
import { bytes, count, named } from "../format.ts";
import { go, link } from "../route.ts";
import { Chart } from "../ui/chart.tsx";
import { confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Card, Facts, Failure, PageHead, State, Tabs, tabNow, Tiles } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { attempt } from "../ui/toast.tsx";
import { Messages } from "./messages.tsx";
import { askMove, askRedrive } from "./move.tsx";
import { Producers } from "./producers.tsx";
import { openPublish } from "./publish.tsx";

const EVERY_MS = 2000;
const TABS = [
  ["now", "Overview"],
  ["messages", "Messages"],
  ["consumers", "Consumers"],
  ["policy", "Policy"],
] as const;
/** Producers send to the topics of a durable subscription, and not to that. */
const QUEUE_TABS = [...TABS.slice(0, 3), ["producers", "Producers"], ...TABS.slice(3)] as const;

/** What the list of a queue's consumers shows. */
const CONSUMER_COLUMNS: readonly Column[] = [
  { field: "connection", title: "Connection", width: "minmax(140px, 1fr)" },
  { field: "user", title: "User" },
  { field: "protocol", title: "Protocol" },
  { field: "address", title: "From", width: "minmax(150px, 1fr)" },
  { field: "waiting_on", title: "Waits for" },
  { field: "held", title: "Unsettled", kind: "number" },
  { field: "credit_messages", title: "Credit", kind: "number" },
  { field: "delivered", title: "Delivered", kind: "number" },
  { field: "selector", title: "Selector", width: "minmax(120px, 1.4fr)" },
];

/** One queue. */
export function QueuePage({ name }: { readonly name: string }): JSX.Element {
  return <HolderPage kind="queues" name={name} />;
}

/** Something that holds messages: a queue, or a durable subscription with its queue. */
export function HolderPage({
  kind,
  name,
}: {
  readonly kind: "queues" | "durable-subscriptions";
  readonly name: string;
}): JSX.Element {
  const path = at("hosts", host.value, kind, name);
  const polled = usePolled(path, EVERY_MS);
  const row = polled.value.value;
  const tabs = kind === "queues" ? QUEUE_TABS : TABS;
  const tab = tabNow(tabs);
  const up = { path: [kind], title: kind === "queues" ? "Queues" : "Durable subscriptions" };
  return (
    <>
      <PageHead
        up={up}
        title={
          <>
            {name} <State value={flag(row, "full") ? "full" : text(row, "state")} />
          </>
        }
      >
        <Actions kind={kind} name={name} row={row} path={path} again={polled.again} />
      </PageHead>
      <Failure text={polled.failure.value} />
      <Tabs tabs={tabs} />
      {tab === "now" && row !== undefined && <Now row={row} />}
      {tab === "producers" && <Producers path={path} />}
      {tab === "messages" && <Messages path={path} name={name} />}
      {tab === "consumers" && (
        <Table
          label="Consumers"
          path={`${path}/consumers`}
          columns={CONSUMER_COLUMNS}
          name="connection"
          href={(consumer) => link(["connections", text(consumer, "connection")])}
          empty="Nobody consumes here"
        />
      )}
      {tab === "policy" && <PolicyCard policy={rows(row, "policy")} />}
    </>
  );
}

interface ActionsProps {
  readonly kind: "queues" | "durable-subscriptions";
  readonly name: string;
  readonly row: Row | undefined;
  readonly path: string;
  readonly again: () => void;
}

function Actions({ kind, name, row, path, again }: ActionsProps): JSX.Element {
  const paused = text(row, "state") === "paused";
  const act = (action: string, done: string): void => {
    void attempt(() => ask(`${path}/${action}`, { method: "POST", body: {} }), done).then(again);
  };
  return (
    <>
      {kind === "queues" && (
        <button type="button" class="button primary" onClick={() => openPublish({ kind: "queue", name }, again)}>
          <Icon name="send" /> Publish
        </button>
      )}
      <button
        type="button"
        class="button"
        onClick={() =>
          act(paused ? "resume" : "pause", paused ? "It delivers again" : "It delivers nothing until it is resumed")
        }
      >
        <Icon name={paused ? "try" : "pause"} /> {paused ? "Resume" : "Pause"}
      </button>
      <button type="button" class="button" onClick={() => askMove(path, undefined, again)}>
        Move or copy
      </button>
      <button type="button" class="button" onClick={() => askRedrive(path, undefined, again)}>
        Redrive
      </button>
      <button
        type="button"
        class="button danger"
        onClick={() =>
          confirm("Purge", `Throw away every message of ${named(name)} that nobody holds?`, "Purge", async () => {
            await ask(`${path}/purge`, { method: "POST", body: {} });
            again();
          })
        }
      >
        Purge
      </button>
      <button
        type="button"
        class="button danger"
        onClick={() =>
          confirm("Delete", `Delete ${named(name)} with all its messages?`, "Delete", async () => {
            await ask(path, { method: "DELETE" });
            go([kind]);
          })
        }
      >
        <Icon name="trash" /> Delete
      </button>
    </>
  );
}

function Now({ row }: { readonly row: Row }): JSX.Element {
  const rates = useMemo(() => new Rates(), []);
  const flow = useMemo(() => new Series(2), []);
  const depth = useMemo(() => new Series(1), []);
  useEffect(() => {
    const now = Date.now();
    depth.add(now, [number(row, "messages")]);
    const made = rates.of(now, [number(row, "received"), number(row, "delivered")]);
    if (made !== undefined) flow.add(now, made);
  }, [row]);
  const lost = Object.entries(record(row, "lost_by_reason"));
  return (
    <>
      <Tiles
        tiles={[
          { label: "Messages", value: count(number(row, "messages")) },
          { label: "Ready", value: count(number(row, "ready")) },
          { label: "Unsettled", value: count(number(row, "held")) },
          { label: "Resting", value: count(number(row, "resting")) },
          { label: "Consumers", value: count(number(row, "consumers")) },
          { label: "Size", value: bytes(number(row, "bytes")) },
        ]}
      />
      <div class="grid">
        <Chart title="Messages a second" series={flow} lines={["received", "delivered"]} />
        <Chart title="Messages here" series={depth} lines={["messages"]} />
      </div>
      <div class="grid">
        <Card title="Account">
          <Facts
            facts={[
              ["Received", `${count(number(row, "received"))} (${bytes(number(row, "received_bytes"))})`],
              ["Delivered", `${count(number(row, "delivered"))} (${bytes(number(row, "delivered_bytes"))})`],
              ["Consumed", count(number(row, "consumed"))],
              ["Returned", count(number(row, "returned"))],
              ["Stored", count(number(row, "messages"))],
              ["Lost", count(number(row, "lost"))],
              ...lost.map(([reason, value]) => [`  ${reason}`, brief(value)] as const),
            ]}
          />
        </Card>
        <Card title="State">
          <Facts
            facts={[
              ["Over", brieflyOver(row)],
              ["Selector", text(row, "selector")],
              ["In memory", bytes(number(row, "memory_bytes"))],
              ["Browsers", count(number(row, "browsers"))],
              ["Message groups", count(number(row, "groups"))],
              ["Producers that wait", count(number(row, "blocked_producers"))],
              ["Newest place", count(number(row, "last_sequence"))],
              ["Last message came", momentOf(row, "last_received_at")],
              ["Last one consumed", momentOf(row, "last_consumed_at")],
              ["Last used", <Time key="used" at={number(row, "last_used")} as="ago" />],
            ]}
          />
        </Card>
      </div>
    </>
  );
}

function momentOf(row: Row, name: string): JSX.Element | string {
  const moment = number(row, name);
  return moment === 0 ? "not since the start" : <Time key={name} at={moment} as="ago" />;
}

function brieflyOver(row: Row): string {
  const { topics } = row;
  return Array.isArray(topics) ? topics.join(", ") : "";
}

/** What holds for something, and who says so. */
export function PolicyCard({ policy }: { readonly policy: readonly Row[] }): JSX.Element {
  return (
    <Card title="What holds, and who says so" flush>
      <table class="plain-table">
        <thead>
          <tr>
            <th>Setting</th>
            <th>Value</th>
            <th>Said by</th>
          </tr>
        </thead>
        <tbody>
          {policy.map((setting) => (
            <tr key={text(setting, "key")}>
              <td>
                <code>{text(setting, "key")}</code>
              </td>
              <td>{text(setting, "value")}</td>
              <td class={text(setting, "origin") === "default" ? "quiet" : ""}>{text(setting, "origin")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}
