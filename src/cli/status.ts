import { EXIT, print, readOptions } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { ManagementClient, REMOTE_HELP, REMOTE_OPTIONS } from "./management-client.ts";
import { numberOf, type Row, rowOf, rowsOf, textOf } from "./reply.ts";
import { bytesText, jsonText, shown, textList, textTable, timeText } from "./text-table.ts";

/** `delos status`: how the broker is. */
export const status: Command = {
  help: `Usage: delos status [OPTIONS]

Tells how the broker is: whether it is ready, what it holds, who is connected, which alarms are raised.
Exit code 1 when it is not ready.

${REMOTE_HELP}`,

  async run(args) {
    const { values } = readOptions(args, REMOTE_OPTIONS);
    const client = await ManagementClient.open(values);
    const broker = rowOf(await client.ask("GET", "/broker"));
    const alarms = rowsOf(await client.ask("GET", "/alarms")).filter(({ raised }) => raised === true);
    const notReady = await client.notReady();
    if (values.json) print(jsonText({ ready: notReady === "", ...broker, alarms }, 2));
    else print(...linesOf(broker, alarms, notReady));
    return notReady === "" ? EXIT.ok : EXIT.failed;
  },
};

function linesOf(broker: Row, alarms: readonly Row[], notReady: string): string[] {
  const figures = rowOf(broker["figures"]);
  const memory = rowOf(broker["memory"]);
  const store = rowOf(broker["store"]);
  const stored = `${shown(figures["stored"])} messages, ${bytesText(figures["stored_bytes"])}`;
  const lines = textList([
    ["broker", `${textOf(broker["name"])}, Delos ${textOf(broker["version"])}, process ${shown(broker["pid"])}`],
    ["ready", notReady === "" ? "yes" : `no: ${reasons(notReady)}`],
    ["started", timeText(broker["started_at"])],
    ["clients", `${shown(figures["clients"])} connected, ${shown(figures["sessions_away"])} sessions away`],
    ["stored", stored],
    ["unsettled", `${shown(figures["inflight"])} deliveries`],
    ["received", `${shown(figures["received"])} messages since the start`],
    ["sent", `${shown(figures["sent"])} messages since the start`],
    ["there are", thereAre(figures)],
    ["memory", `${bytesText(memory["resident"])} resident, ${bytesText(memory["messages"])} of messages`],
    ["disk", `${bytesText(store["disk_bytes"])}, ${bytesText(store["pending_bytes"])} still to be written`],
    ["publishers", broker["blocked_by"] === null ? "go on" : `wait: ${shown(broker["blocked_by"])}`],
    ...alarms.map(({ name, reason }) => [`alarm ${shown(name)}`, shown(reason)] as const),
  ]);
  const listeners = rowsOf(broker["listeners"]);
  const columns = [
    { title: "LISTENER", field: "name" },
    { title: "CONNECTIONS", field: "connections" },
    { title: "SO FAR", field: "accepted" },
  ];
  return [...lines, "", ...textTable(columns, listeners)];
}

function thereAre(figures: Row): string {
  return ["queues", "topics", "durable_subscriptions", "exchanges", "subscriptions"]
    .map((name) => `${numberOf(figures[name])} ${name.replaceAll("_", " ")}`)
    .join(", ");
}

function reasons(told: string): string {
  try {
    const reply: unknown = JSON.parse(told);
    const named = rowsOf(rowOf(reply)["reasons"]).map(({ reason }) => textOf(reason));
    return named.length === 0 ? told : named.join("; ");
  } catch {
    return told;
  }
}
