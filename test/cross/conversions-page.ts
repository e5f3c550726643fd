import { AMQP_091, AMQP_10, CONVERSIONS, MQTT_FIVE, type Row, STOMP, type Tongue } from "./conversions.ts";

const COLUMNS: readonly Tongue[] = [STOMP, MQTT_FIVE, AMQP_091, AMQP_10];

const HEAD = `# Conversions between the protocols

What a message says in one protocol, and what a consumer of another one hears. A row has the words of each protocol for one
thing: a message sent with the words of one column is received with those of any other, and with nothing besides. This page is
written by a test, \`test/cross/conversions.test.ts\`, which sends every row from every protocol to every other one, by a queue and
by a topic.

- \`words\`: can be said, and are heard so. → \`words\`: heard, but not said: the protocol has no such thing of its own. –: neither said
  nor heard.
- Within a protocol a message stays what it was, byte for byte, whatever a row says.
- MQTT 3.1.1 has the payload as MQTT 5.0 has it, always as bytes, and the QoS; nothing else.
- What is not in a row has its ordinary form: the body is a text, nothing is kept on disk, the priority is 4. That a body is text is
  the payload format indicator 1 in MQTT 5.0 (\`UTF-8\` below) and an \`amqp-value\` string in AMQP 1.0; in STOMP and AMQP 0-9-1 it is what
  is valid UTF-8, unless a content type or an encoding says otherwise.
- Maps, lists and values become JSON where bodies are bytes: binary data is base64, times are as in RFC 3339, whole numbers beyond
  2^53 are strings.
- The broker names every message that comes by STOMP, and others see that name as its message id.
`;

const TAIL = `
## Later deliveries

Said in these ways, and not heard: a message is delivered when its time has come.

| STOMP | MQTT | AMQP 0-9-1 | AMQP 1.0 |
|---|---|---|---|
| \`delay\`, \`deliver-at\`, \`AMQ_SCHEDULED_DELAY\`, \`_PERIOD\`, \`_REPEAT\`, \`_CRON\` | \`$delayed/SECONDS/TOPIC\` | headers \`x-delay\`, \`AMQ_SCHEDULED_DELAY\` | annotations \`x-opt-delivery-time\`, \`x-opt-delivery-delay\`; \`AMQ_SCHEDULED_DELAY\`, \`_PERIOD\`, \`_REPEAT\`, \`_CRON\` |

## Annotations

What the broker itself says of a message, above all why it is a dead letter: headers of its names in STOMP
(\`dead_letter_reason\`), user properties in MQTT 5.0, \`x-death\` and its company in AMQP 0-9-1, message annotations in AMQP 1.0
(\`x-opt-dead-letter-reason\`). Nobody who sends a message can forge them.

## Requests and answers

A place to answer to can be a queue, a topic, an exchange with a key, or a temporary queue of any protocol: \`/temp-queue/x\` of STOMP,
an exclusive queue or \`amq.rabbitmq.reply-to\` of AMQP 0-9-1, a dynamic node of AMQP 1.0. Whoever answers uses what it heard as it is: a
SEND to \`reply-to\`, a PUBLISH to the response topic, a basic.publish to the exchange \`""\` with the reply-to as routing key, a
transfer to the reply-to. MQTT 3.1.1 has no place for it.
`;

/** The table of conversions as a page of documentation. */
export function conversionsPage(): string {
  const parts = CONVERSIONS.map(({ title, rows }) => {
    const head = ["", ...COLUMNS.map(({ name }) => name)];
    const lines = [
      head,
      head.map(() => "---"),
      ...rows.map((row) => [row.what, ...COLUMNS.map((it) => cell(it, row))]),
    ];
    return `\n## ${title}\n\n${lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("")}`;
  });
  return HEAD + parts.join("") + TAIL;
}

function cell(tongue: Tongue, row: Row): string {
  const said = tongue.said(row);
  const heard = words(tongue.heard(row));
  if (said === undefined) return heard === NOTHING ? heard : `→ ${heard}`;
  const says = words(said);
  return says === heard ? says : `${says}, → ${heard}`;
}

const NOTHING = "–";

function words(lines: readonly string[]): string {
  if (lines.length === 0) return NOTHING;
  return lines.map((line) => `\`${line.replaceAll("|", "\\|")}\``).join("<br>");
}
