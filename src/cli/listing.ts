/*
 * Lists of what a virtual host has: `delos queues`, `topics`, `connections`, `sessions`. They differ in their columns only.
 */
import { EXIT, print, readOptions, UsageError } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { ManagementClient, REMOTE_HELP, REMOTE_OPTIONS } from "./management-client.ts";
import { numberOf, rowOf, rowsOf, type Row } from "./reply.ts";
import { bytesText, type Column, jsonText, printable, shown, textList, textTable, timeText } from "./text-table.ts";

interface Listing {
  /** The segment of the path, and the name of the command. */
  readonly segment: string;
  readonly noun: string;
  readonly columns: readonly Column[];
  readonly examples: string;
}

const ROWS = 100;
const MOST_ROWS = 1000;

const LISTINGS: readonly Listing[] = [
  {
    segment: "queues",
    noun: "queue",
    columns: [
      { title: "QUEUE", field: "name" },
      { title: "STATE", field: "state" },
      { title: "MESSAGES", field: "messages" },
      { title: "BYTES", field: "bytes", show: bytesText },
      { title: "READY", field: "ready" },
      { title: "HELD", field: "held" },
      { title: "CONSUMERS", field: "consumers" },
      { title: "RECEIVED", field: "received" },
      { title: "CONSUMED", field: "consumed" },
      { title: "LOST", field: "lost" },
    ],
    examples: "-q \"messages > 0 AND name LIKE 'orders.%'\" -o messages -r",
  },
  {
    segment: "topics",
    noun: "topic",
    columns: [
      { title: "TOPIC", field: "name" },
      { title: "SUBSCRIBERS", field: "subscribers" },
      { title: "RECEIVED", field: "received" },
      { title: "DELIVERED", field: "delivered" },
      { title: "LOST", field: "lost" },
      { title: "LAST USED", field: "last_used", show: timeText },
    ],
    examples: '-q "subscribers = 0" -o received -r',
  },
  {
    segment: "connections",
    noun: "connection",
    columns: [
      { title: "CONNECTION", field: "id" },
      { title: "USER", field: "user" },
      { title: "PROTOCOL", field: "protocol" },
      { title: "CLIENT ID", field: "client_id" },
      { title: "ADDRESS", field: "address" },
      { title: "SUBSCRIPTIONS", field: "subscriptions" },
      { title: "IN", field: "messages_received" },
      { title: "OUT", field: "messages_sent" },
      { title: "SINCE", field: "connected_at", show: timeText },
      { title: "WAITS FOR", field: "waiting_on" },
    ],
    examples: "-q \"protocol LIKE 'MQTT%'\" -o bytes_received -r",
  },
  {
    segment: "sessions",
    noun: "session",
    columns: [
      { title: "SESSION", field: "id" },
      { title: "USER", field: "user" },
      { title: "CONNECTED", field: "connected" },
      { title: "KEPT", field: "kept" },
      { title: "SUBSCRIPTIONS", field: "subscriptions" },
      { title: "MESSAGES", field: "messages" },
      { title: "BYTES", field: "bytes", show: bytesText },
      { title: "SINCE", field: "since", show: timeText },
    ],
    examples: '-q "connected = FALSE AND messages > 0" -o messages -r',
  },
];

const OPTIONS = {
  ...REMOTE_OPTIONS,
  filter: { type: "string", short: "q" },
  order: { type: "string", short: "o" },
  reverse: { type: "boolean", short: "r", default: false },
  limit: { type: "string", short: "n" },
} as const;

function listing({ segment, noun, columns, examples }: Listing): Command {
  return {
    help: `Usage: delos ${segment} [NAME] [OPTIONS]

Lists the ${segment} of a virtual host; with a name, tells all about that ${noun}.

  -q, --filter SELECTOR
                     only those that a selector over the fields of the reply matches
  -o, --order FIELDS by which to order, with commas between; a minus before one turns it round
  -n, --limit N      how many at most, 1 to ${MOST_ROWS}; otherwise ${ROWS}
${REMOTE_HELP}

Example: delos ${segment} ${examples}`,

    async run(args) {
      const { values, positionals } = readOptions(args, OPTIONS, ["NAME"], 1);
      const [name] = positionals;
      const query = name === undefined ? queryOf(values, columns[0]?.field ?? "name") : undefined;
      const client = await ManagementClient.open(values);
      const reply = await client.askHost("GET", name === undefined ? [segment] : [segment, name], query);
      if (values.json) print(jsonText(reply, 2));
      else if (name === undefined) print(...page(columns, rowOf(reply), segment));
      else print(...detail(rowOf(reply)));
      return EXIT.ok;
    },
  };
}

function queryOf(
  {
    filter,
    order,
    reverse,
    limit = String(ROWS),
  }: {
    readonly filter?: string | undefined;
    readonly order?: string | undefined;
    readonly reverse: boolean;
    readonly limit?: string | undefined;
  },
  key: string,
): URLSearchParams {
  const count = Number(limit);
  if (!Number.isInteger(count) || count < 1 || count > MOST_ROWS) {
    throw new UsageError(`--limit ${limit}: expected a whole number from 1 to ${MOST_ROWS}`);
  }
  const query = new URLSearchParams({ ps: String(count) });
  if (filter !== undefined) query.set("q", filter);
  const fields = order ?? (reverse ? key : undefined);
  for (const field of fields?.split(",") ?? []) query.append("o", reverse ? `-${field}` : field);
  return query;
}

function page(columns: readonly Column[], reply: Row, noun: string): string[] {
  const rows = rowsOf(reply["items"]);
  const all = numberOf(reply["total_rows"]);
  const lines = textTable(columns, rows);
  if (rows.length < all) lines.push(`(${rows.length} of ${all} ${noun}; --limit shows more, --filter others)`);
  return lines;
}

/** What is plain first, then each list as a table of its own. */
function detail(reply: Row): string[] {
  const entries = Object.entries(reply);
  const plain = entries.filter(([, value]) => !Array.isArray(value));
  const lines = textList(plain.map(([name, value]) => [name, plainText(name, value)]));
  for (const [name, value] of entries) {
    if (!Array.isArray(value) || value.length === 0) continue;
    lines.push("", `${name}:`);
    const rows = rowsOf(value);
    const fields = Object.keys(rows[0] ?? {});
    if (fields.length === 0) lines.push(...value.map((one) => printable(shown(one))));
    else
      lines.push(
        ...textTable(
          fields.map((field) => ({ title: field.toUpperCase(), field })),
          rows,
        ),
      );
  }
  return lines;
}

function plainText(name: string, value: unknown): string {
  if (/(^|_)bytes$/.test(name)) return bytesText(value);
  if (/_at$|^last_used$|^since$/.test(name)) return timeText(value);
  return shown(value);
}

/** The command that lists what is under a segment of the path. */
export function listingCommand(segment: string): Command {
  const found = LISTINGS.find((each) => each.segment === segment);
  if (found === undefined) throw new RangeError(`There is no list of ${segment}`);
  return listing(found);
}
