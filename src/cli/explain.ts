import { EXIT, print, readOptions } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { ManagementClient, REMOTE_HELP, REMOTE_OPTIONS } from "./management-client.ts";
import { messageProperties } from "./publish.ts";
import { type Row, rowsOf, textOf } from "./reply.ts";
import { jsonText, printable, shown, textTable } from "./text-table.ts";

/** `delos explain`: what would become of a message. */
export const explain: Command = {
  help: `Usage: delos explain PROTOCOL DESTINATION [OPTIONS]

Tells what would become of a message, and sends nothing: the name that a destination stands for, the access
rules and limits that decide, the policy with its origins, who would receive it and as what. PROTOCOL is stomp,
mqtt, amqp091, amqp10 or canonical, and DESTINATION is written as its clients write it. For amqp091 that is
QUEUE, /topic/KEY (of amq.topic) or /exchange/NAME/KEY. Exit code 1 when the send would be refused.

      --as USER      who would send it
      --group NAME   a group of theirs; may be repeated
      --from ADDRESS where they come from
      --listener NAME, --client-id ID
                     by what else rules may know them
      --body TEXT    what it would say
  -p, --property NAME=VALUE
                     a property, as of "delos pub"
      --policy       print all of the policy, not only what somebody has set
${REMOTE_HELP}`,

  async run(args) {
    const { values, positionals } = readOptions(
      args,
      {
        ...REMOTE_OPTIONS,
        as: { type: "string" },
        group: { type: "string", multiple: true },
        from: { type: "string" },
        listener: { type: "string" },
        "client-id": { type: "string" },
        body: { type: "string" },
        property: { type: "string", short: "p", multiple: true },
        policy: { type: "boolean", default: false },
      },
      ["PROTOCOL", "DESTINATION"],
    );
    const [protocol, destination] = positionals;
    const properties = values.property === undefined ? {} : { properties: messageProperties(values.property) };
    const client = await ManagementClient.open(values);
    const given = {
      user: values.as,
      groups: values.group,
      address: values.from,
      listener: values.listener,
      client_id: values["client-id"],
    };
    const answers = rowsOf(
      await client.askHost("POST", ["explain"], undefined, {
        ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
        protocol,
        destination,
        message: { ...(values.body === undefined ? {} : { body: values.body }), ...properties },
      }),
    );
    if (values.json) print(jsonText(answers, 2));
    else for (const answer of answers) print(...linesOf(answer, values.policy), "");
    return answers.every(({ accepted }) => accepted === true) ? EXIT.ok : EXIT.failed;
  },
};

const READERS = [
  { title: "READER", field: "kind" },
  { title: "ID", field: "id" },
  { title: "VIA", field: "via" },
  { title: "USER", field: "user" },
  { title: "PROTOCOL", field: "protocol" },
  { title: "GETS IT", field: "matches" },
  { title: "SELECTOR", field: "selector" },
  { title: "SEES", field: "destination" },
  { title: "BODY", field: "body" },
];

function linesOf(answer: Row, wholePolicy: boolean): string[] {
  const policy = rowsOf(answer["policy"]).filter(({ origin }) => wholePolicy || origin !== "default");
  const readers = rowsOf(answer["readers"]);
  const heads = readers.flatMap(({ id, headers }) =>
    Array.isArray(headers) && headers.length > 0
      ? [printable(`  ${shown(id)} gets ${headers.map(shown).join(" | ")}`)]
      : [],
  );
  const there = answer["exists"] === true ? "" : " (not there)";
  return [
    printable(`${textOf(answer["destination"])} is the ${textOf(answer["kind"])} ${textOf(answer["name"])}${there}`),
    answer["accepted"] === true ? "It would be accepted." : "It would be refused:",
    ...listed(answer["refusals"]),
    ...rowsOf(answer["rights"]).flatMap(({ allowed, text }) =>
      allowed === true ? [`  ${printable(shown(text))}`] : [],
    ),
    ...listed(answer["notes"]),
    ...policy.map(({ key, value, origin }) => printable(`  ${shown(key)} = ${shown(value)}  # ${shown(origin)}`)),
    ...(readers.length === 0 ? ["Nobody would receive it now."] : textTable(READERS, readers)),
    ...heads,
  ];
}

function listed(sentences: unknown): string[] {
  return Array.isArray(sentences) ? sentences.map((sentence) => `  ${printable(shown(sentence))}`) : [];
}
