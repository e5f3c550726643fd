import { EXIT, print, readOptions } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { DESTINATION_HELP, destinationName, wholeNumber } from "./destination-name.ts";
import { ManagementClient, REMOTE_HELP, REMOTE_OPTIONS } from "./management-client.ts";
import { numberOf, type Row, rowOf, rowsOf, textOf } from "./reply.ts";
import { messageLines } from "./shown-messages.ts";
import { jsonText } from "./text-table.ts";

/** How long one request waits; the next follows. */
const WAIT_MS = 10_000;
const AT_ONCE = 100;

/** `delos sub`: prints the messages of a destination, which are consumed. */
export const subscribe: Command = {
  help: `Usage: delos sub DESTINATION [OPTIONS]

Prints what comes, until it is interrupted. Messages of a queue or a durable subscription are consumed once they
are printed; "delos browse" leaves them. What is published to a topic between two requests of this command is
not seen: use a durable subscription, or a client of a protocol, where each message counts.
${DESTINATION_HELP} A topic may have wildcards: topic:orders.**

  -n, --count N      end after so many messages
      --once         end when there is nothing more, without waiting
  -s, --selector TEXT
                     only messages that it matches
  -v, --verbose      print what a message has besides its body
${REMOTE_HELP}

With --json each message is one line.`,

  async run(args) {
    const { values, positionals } = readOptions(
      args,
      {
        ...REMOTE_OPTIONS,
        count: { type: "string", short: "n" },
        once: { type: "boolean", default: false },
        selector: { type: "string", short: "s" },
        verbose: { type: "boolean", short: "v", default: false },
      },
      ["DESTINATION"],
    );
    const { kind, path } = destinationName(positionals[0] ?? "", ["queue", "topic", "dsub"]);
    let left = values.count === undefined ? Number.POSITIVE_INFINITY : wholeNumber("--count", values.count, 1);
    const client = await ManagementClient.open(values);
    const wanted = {
      wait_ms: values.once && kind !== "topic" ? 0 : WAIT_MS,
      ...(values.selector === undefined ? {} : { selector: values.selector }),
      ...(kind === "topic" ? {} : { ack: "lease" }),
    };
    while (left > 0) {
      const body = { ...wanted, max: Math.min(left, AT_ONCE) };
      const reply = rowOf(await client.askHost("POST", [...path, "consume"], undefined, body));
      const messages = rowsOf(reply["messages"]);
      for (const message of messages) print(...linesOf(message, values));
      // Only what was printed is consumed: whoever is killed before loses nothing.
      const lease = textOf(reply["lease"]);
      if (lease !== "") await client.askHost("POST", ["leases", lease], undefined, { outcome: "accepted" });
      left -= messages.length;
      if (messages.length === 0 && values.once) break;
    }
    return EXIT.ok;
  },
};

/** `delos browse`: prints messages that stay where they are. */
export const browse: Command = {
  help: `Usage: delos browse DESTINATION [OPTIONS]

Prints the messages of a queue or a durable subscription; they stay as they are.
${DESTINATION_HELP}

  -n, --count N      how many at most; otherwise 100
      --from N       from this place on
      --max-body N   bytes to show of each body; otherwise 4096
  -s, --selector TEXT
                     only messages that it matches
${REMOTE_HELP}`,

  async run(args) {
    const { values, positionals } = readOptions(
      args,
      {
        ...REMOTE_OPTIONS,
        count: { type: "string", short: "n", default: "100" },
        from: { type: "string", default: "0" },
        "max-body": { type: "string", default: "4096" },
        selector: { type: "string", short: "s" },
      },
      ["DESTINATION"],
    );
    const { path } = destinationName(positionals[0] ?? "", ["queue", "dsub"]);
    const query = new URLSearchParams({
      max: String(wholeNumber("--count", values.count, 1)),
      from: String(wholeNumber("--from", values.from, 0)),
      max_body: String(wholeNumber("--max-body", values["max-body"], 0)),
    });
    if (values.selector !== undefined) query.set("selector", values.selector);
    const client = await ManagementClient.open(values);
    const reply = rowOf(await client.askHost("GET", [...path, "messages"], query));
    if (values.json) {
      print(jsonText(reply, 2));
      return EXIT.ok;
    }
    const messages = rowsOf(reply["messages"]);
    for (const message of messages) print(...messageLines(message, true));
    const all = numberOf(reply["total_messages"]);
    if (reply["more"] === true) print(`(${messages.length} of ${all} messages; --count and --from show others)`);
    return EXIT.ok;
  },
};

function linesOf(message: Row, { json, verbose }: { readonly json: boolean; readonly verbose: boolean }): string[] {
  return json ? [jsonText(message)] : messageLines(message, verbose);
}
