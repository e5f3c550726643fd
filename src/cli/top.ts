import { setTimeout } from "node:timers/promises";
import { EXIT, print, readOptions, UsageError } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { ManagementClient, REMOTE_HELP, REMOTE_OPTIONS } from "./management-client.ts";
import { numberOf, type Row, rowOf, rowsOf, textOf } from "./reply.ts";
import { bytesText, type Column, jsonText, textTable } from "./text-table.ts";

/** Queues that are looked at each time: those with the most messages that came. */
const LOOKED_AT = 200;
const FLOWS = ["received", "delivered", "consumed"] as const;
const COLUMNS: readonly Column[] = [
  { title: "QUEUE", field: "name" },
  { title: "MESSAGES", field: "messages" },
  { title: "BYTES", field: "bytes", show: bytesText },
  { title: "CONSUMERS", field: "consumers" },
  { title: "IN/S", field: "received_rate" },
  { title: "OUT/S", field: "delivered_rate" },
  { title: "DONE/S", field: "consumed_rate" },
];
const CLEAR = "\u001b[H\u001b[2J";

/** `delos top`: the busiest queues, again and again. */
export const top: Command = {
  help: `Usage: delos top [OPTIONS]

Shows what the broker does and its busiest queues, again and again until it is interrupted.

      --interval SECONDS
                     how long between two looks; otherwise 2
      --count N      how many looks; otherwise any number
      --rows N       how many queues to show; otherwise 20
${REMOTE_HELP}`,

  async run(args) {
    const { values } = readOptions(args, {
      ...REMOTE_OPTIONS,
      interval: { type: "string", default: "2" },
      count: { type: "string" },
      rows: { type: "string", default: "20" },
    });
    const intervalMs = number("--interval", values.interval) * 1000;
    const count = values.count === undefined ? Number.POSITIVE_INFINITY : number("--count", values.count);
    const rows = number("--rows", values.rows);
    const client = await ManagementClient.open(values);
    let before = await look(client);
    for (let n = 0; n < count; n++) {
      await setTimeout(intervalMs);
      const now = await look(client);
      const shown = compared(before, now);
      if (values.json) print(jsonText({ time: now.at, broker: shown.broker, queues: shown.queues.slice(0, rows) }));
      else print(...linesOf(shown, rows));
      before = now;
    }
    return EXIT.ok;
  },
};

interface Look {
  readonly at: number;
  readonly figures: Row;
  readonly queues: readonly Row[];
}

interface Compared {
  readonly broker: Readonly<Record<string, number>>;
  readonly queues: readonly Row[];
}

async function look(client: ManagementClient): Promise<Look> {
  const query = new URLSearchParams({ o: "-received", ps: String(LOOKED_AT) });
  const overview = rowOf(await client.ask("GET", "/broker"));
  const queues = rowsOf(rowOf(await client.askHost("GET", ["queues"], query))["items"]);
  return { at: numberOf(overview["time"]), figures: rowOf(overview["figures"]), queues };
}

function compared(before: Look, now: Look): Compared {
  const seconds = Math.max(0.001, (now.at - before.at) / 1000);
  const earlier = new Map(before.queues.map((queue) => [textOf(queue["name"]), queue]));
  const rate = (was: Row | undefined, is: Row, field: string): number =>
    was === undefined ? 0 : Math.max(0, Math.round((numberOf(is[field]) - numberOf(was[field])) / seconds));
  const queues = now.queues.map((queue) => {
    const was = earlier.get(textOf(queue["name"]));
    return { ...queue, ...Object.fromEntries(FLOWS.map((flow) => [`${flow}_rate`, rate(was, queue, flow)])) };
  });
  queues.sort((a, b) => busy(b) - busy(a) || numberOf(b["messages"]) - numberOf(a["messages"]));
  return {
    broker: {
      clients: numberOf(now.figures["clients"]),
      stored: numberOf(now.figures["stored"]),
      received_rate: rate(before.figures, now.figures, "received"),
      sent_rate: rate(before.figures, now.figures, "sent"),
      dropped_rate: rate(before.figures, now.figures, "dropped"),
    },
    queues,
  };
}

function busy(queue: Row): number {
  return numberOf(queue["received_rate"]) + numberOf(queue["delivered_rate"]);
}

function linesOf({ broker, queues }: Compared, rows: number): string[] {
  const head =
    `${broker["clients"]} clients, ${broker["stored"]} messages stored; ` +
    `a second: ${broker["received_rate"]} in, ${broker["sent_rate"]} out, ${broker["dropped_rate"]} dropped`;
  return [(process.stdout.isTTY ? CLEAR : "") + head, "", ...textTable(COLUMNS, queues.slice(0, rows)), ""];
}

function number(option: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new UsageError(`${option} ${text}: expected a number above 0`);
}
