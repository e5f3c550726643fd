import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { complain, EXIT, print, readOptions, UsageError } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { ManagementClient, REMOTE_HELP, REMOTE_OPTIONS } from "./management-client.ts";
import { rowOf } from "./reply.ts";
import { jsonText, printable, shown } from "./text-table.ts";

const WHAT = `Definitions are queues, exchanges, bindings and, of the whole broker, users with their groups, in the form that
RabbitMQ gives them. They hold no messages and no passwords; the configuration is not among them either.`;

/** `delos export`: what a broker has besides messages. */
export const exportDefinitions: Command = {
  help: `Usage: delos export [FILE] [OPTIONS]

Writes the definitions of a broker, or with --vhost those of one virtual host, to FILE or standard output.
${WHAT}

${REMOTE_HELP}`,

  async run(args) {
    const { values, positionals } = readOptions(args, REMOTE_OPTIONS, ["FILE"], 1);
    const [file] = positionals;
    const client = await ManagementClient.open(values);
    const document = jsonText(await client.definitions("GET", values.vhost), 2);
    if (file === undefined) print(document);
    else return written(file, document);
    return EXIT.ok;
  },
};

/** `delos import`: takes definitions in. */
export const importDefinitions: Command = {
  help: `Usage: delos import FILE [OPTIONS]

Takes in the definitions that FILE holds, or with - standard input: what is there already stays, what is missing is
made. Those of RabbitMQ are taken too. With --vhost all of them go into that virtual host. What cannot be taken in is
told, the rest is; exit code 1 then.
${WHAT}

${REMOTE_HELP}`,

  async run(args) {
    const { values, positionals } = readOptions(args, REMOTE_OPTIONS, ["FILE"]);
    const [file = "-"] = positionals;
    const document = parsed(file === "-" ? await text(process.stdin) : onDisk(() => readFileSync(file, "utf8")));
    const client = await ManagementClient.open(values);
    const reply = rowOf(await client.definitions("POST", values.vhost, document));
    const skipped = Array.isArray(reply["skipped"]) ? reply["skipped"].map(shown) : [];
    if (values.json) print(jsonText(reply, 2));
    else {
      print(
        Object.entries(rowOf(reply["imported"]))
          .map(([name, count]) => `${shown(count)} ${name}`)
          .join(", "),
      );
      for (const what of skipped) complain(`not taken: ${printable(what)}`);
    }
    return skipped.length === 0 ? EXIT.ok : EXIT.failed;
  },
};

function parsed(document: string): unknown {
  try {
    return JSON.parse(document);
  } catch (error) {
    throw new UsageError(`FILE holds no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Writes a new file, whole or not at all. */
function written(file: string, document: string): number {
  try {
    writeFileSync(file, `${document}\n`, { flag: "wx", mode: 0o600 });
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    if (error.code === "EEXIST") throw new UsageError(`${file} is there already; choose another name`);
    if (error.code === "ENOSPC" || error.code === "EDQUOT") rmSync(file, { force: true });
    complain(`delos export: ${error.message}`);
    return EXIT.failed;
  }
}

function onDisk<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
