import type { JSX } from "preact";
import { number, record, type Row, rows, text } from "../api/json.ts";
import { live } from "../api/live.ts";
import { bytes, count, short, span } from "../format.ts";
import { link } from "../route.ts";
import { Chart } from "../ui/chart.tsx";
import { Card, Facts, Failure, PageHead, Tiles } from "../ui/parts.tsx";
import { openPublish } from "./publish.tsx";
import { Icon } from "../ui/icon.tsx";

/** How the broker does. */
export function OverviewPage(): JSX.Element {
  const broker = live.broker.value;
  const figures = live.figures.value;
  const of = (name: string): string => count(number(figures, name));
  const blocked = text(broker, "blocked_by");
  return (
    <>
      <PageHead title="Overview" intro={introOf(text(broker, "name"), text(broker, "version"))}>
        <button type="button" class="button primary" onClick={() => openPublish()}>
          <Icon name="send" /> Publish
        </button>
      </PageHead>
      <Failure text={live.failure.value} />
      {blocked !== "" && (
        <p class="note warn" role="alert">
          All publishers wait: {blocked}
        </p>
      )}
      <Tiles
        tiles={[
          { label: "Received", value: short(live.messages.newest(0)), unit: "/s" },
          { label: "Sent", value: short(live.messages.newest(1)), unit: "/s" },
          { label: "Stored messages", value: short(number(figures, "stored")) },
          { label: "Connections", value: of("clients"), href: link(["connections"]) },
          { label: "Queues", value: of("queues"), href: link(["queues"]) },
          { label: "Topics", value: of("topics"), href: link(["topics"]) },
        ]}
      />
      <div class="grid">
        <Chart title="Messages a second" series={live.messages} lines={["received", "sent", "dropped"]} />
        <Chart title="Bytes a second" series={live.bytes} lines={["in", "out"]} format={bytes} />
        <Chart title="Messages here" series={live.stored} lines={["stored", "unsettled"]} />
        <Chart title="Clients" series={live.clients} lines={["connections", "subscriptions"]} />
      </div>
      <Known />
    </>
  );
}

function Known(): JSX.Element {
  const broker = live.broker.value;
  const figures = live.figures.value;
  const memory = record(broker, "memory");
  const machine = record(broker, "machine");
  const listeners = rows(broker, "listeners");
  return (
    <div class="grid">
      <Card title="Broker">
        <Facts
          facts={[
            ["Running for", span(Math.max(0, number(broker, "time") - number(broker, "started_at")))],
            ["Machine", [text(machine, "name"), text(machine, "system")].filter(Boolean).join(", ")],
            ["Its load", loadOf(machine)],
            ["Process", `${text(broker, "pid")}, Node.js ${text(broker, "node")}`],
            ["Memory", bytes(number(memory, "resident"))],
            ["Of messages", `${bytes(number(memory, "messages"))} of ${bytes(number(memory, "messages_limit"))}`],
            ["Stored", bytes(number(figures, "stored_bytes"))],
            ["On disk", bytes(number(record(broker, "store"), "disk_bytes"))],
            ["Durable subscriptions", count(number(figures, "durable_subscriptions"))],
            ["Sessions away", count(number(figures, "sessions_away"))],
            ["Retained messages", count(number(figures, "retained"))],
          ]}
        />
      </Card>
      <Card title="Listeners" flush>
        <table class="plain-table">
          <thead>
            <tr>
              <th>Listener</th>
              <th class="number">Connections</th>
              <th class="number">Accepted so far</th>
            </tr>
          </thead>
          <tbody>
            {listeners.map((listener) => (
              <tr key={text(listener, "name")}>
                <td>{text(listener, "name")}</td>
                <td class="number">{count(number(listener, "connections"))}</td>
                <td class="number">{count(number(listener, "accepted"))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Card>
    </div>
  );
}

/** Averages of one, five and fifteen minutes, and how many processors there are for that. */
function loadOf(machine: Row): string {
  const { load } = machine;
  if (!Array.isArray(load)) return "";
  const averages = load.map((average) => Number(average).toFixed(2)).join(", ");
  return `${averages} on ${count(number(machine, "processors"))} processors`;
}

function introOf(name: string, version: string): string {
  return name === "" ? "" : `${name}, Delos ${version}`;
}
