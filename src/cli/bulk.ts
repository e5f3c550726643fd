import { setTimeout } from "node:timers/promises";
import { complain, EXIT, print, readOptions, UsageError } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { DESTINATION_HELP, destinationName, wholeNumber } from "./destination-name.ts";
import { ManagementClient, REMOTE_HELP, REMOTE_OPTIONS } from "./management-client.ts";
import { confirms } from "./password-input.ts";
import { numberOf, type Row, rowOf, textOf } from "./reply.ts";
import { jsonText, printable, shown } from "./text-table.ts";

const LOOK_MS = 200;

const OPTIONS = {
  ...REMOTE_OPTIONS,
  selector: { type: "string", short: "s" },
  count: { type: "string", short: "n" },
  "per-second": { type: "string" },
  yes: { type: "boolean", short: "y", default: false },
} as const;

/** `delos purge`: throws messages away. */
export const purge: Command = bulk("purge", "Throws the messages of a queue or a durable subscription away.", true);

/** `delos redrive`: sends dead letters back to where they come from. */
export const redrive: Command = bulk(
  "redrive",
  "Sends the dead letters of a queue back to the destinations that gave them up.",
  false,
);

/** What is done to many messages at once: the broker does it, this waits for its end. */
function bulk(verb: "purge" | "redrive", what: string, destroys: boolean): Command {
  return {
    help: `Usage: delos ${verb} DESTINATION [OPTIONS]

${what} Messages that somebody holds stay.
${DESTINATION_HELP}

  -s, --selector TEXT
                     only messages that it matches
  -n, --count N      how many at most
      --per-second N how fast at most
  -y, --yes          do not ask${destroys ? "; needed when standard input is no terminal" : ""}
${REMOTE_HELP}`,

    async run(args) {
      const { values, positionals } = readOptions(args, OPTIONS, ["DESTINATION"]);
      const { path, name } = destinationName(positionals[0] ?? "", ["queue", "dsub"]);
      const wanted = {
        ...(values.selector === undefined ? {} : { selector: values.selector }),
        ...(values.count === undefined ? {} : { max: wholeNumber("--count", values.count, 1) }),
        ...(values["per-second"] === undefined
          ? {}
          : { per_second: wholeNumber("--per-second", values["per-second"], 1) }),
      };
      const client = await ManagementClient.open(values);
      if (destroys && !values.yes) {
        const agreed = await confirms(`Throw away ${wordsOf(wanted)} of ${name}?`);
        if (agreed === undefined) throw new UsageError("--yes is missing: there is no terminal to ask at");
        if (!agreed) return EXIT.failed;
      }
      const job = await finished(client, rowOf(await client.askHost("POST", [...path, verb], undefined, wanted)));
      if (values.json) print(jsonText(job, 2));
      else
        print(
          printable(
            `${shown(job["state"])}: ${numberOf(job["done"])} done, ${numberOf(job["skipped"])} stayed${why(job)}`,
          ),
        );
      if (job["state"] === "finished") return EXIT.ok;
      const failure = textOf(job["failure"]) || `it ended as ${shown(job["state"])}`;
      complain(printable(`delos ${verb}: ${failure}`));
      return EXIT.failed;
    },
  };
}

async function finished(client: ManagementClient, begun: Row): Promise<Row> {
  let job = begun;
  while (job["state"] === "running") {
    await setTimeout(LOOK_MS);
    job = rowOf(await client.askHost("GET", ["jobs", textOf(job["id"])], undefined));
  }
  return job;
}

function wordsOf({ selector, max }: { readonly selector?: string; readonly max?: number }): string {
  const some = max === undefined ? "all messages" : `up to ${max} messages`;
  return selector === undefined ? some : `${some} that match ${selector}`;
}

function why(job: Row): string {
  const reasons = Object.entries(rowOf(job["skipped_by_reason"])).map(([reason, count]) => `${shown(count)} ${reason}`);
  return reasons.length === 0 ? "" : ` (${reasons.join(", ")})`;
}
