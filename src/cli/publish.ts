import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { buffer } from "node:stream/consumers";
import { isUtf8 } from "node:buffer";
import { parseQuantity } from "../config/units.ts";
import { EXIT, print, readOptions, UsageError } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { DESTINATION_HELP, destinationName, wholeNumber } from "./destination-name.ts";
import { ManagementClient, REMOTE_HELP, REMOTE_OPTIONS } from "./management-client.ts";
import { ManagementError } from "./management-error.ts";
import { jsonText } from "./text-table.ts";

const OPTIONS = {
  ...REMOTE_OPTIONS,
  file: { type: "string", short: "f" },
  lines: { type: "boolean", default: false },
  property: { type: "string", short: "p", multiple: true },
  "content-type": { type: "string" },
  "message-id": { type: "string" },
  "correlation-id": { type: "string" },
  "reply-to": { type: "string" },
  subject: { type: "string" },
  group: { type: "string" },
  priority: { type: "string" },
  ttl: { type: "string" },
  delay: { type: "string" },
  transient: { type: "boolean", default: false },
  retain: { type: "boolean", default: false },
} as const;

type Options = ReturnType<typeof optionsOf>["values"];

function optionsOf(args: readonly string[]) {
  return readOptions(args, OPTIONS, ["DESTINATION", "BODY"], 1);
}

/** `delos pub`: sends a message. */
export const publish: Command = {
  help: `Usage: delos pub DESTINATION [BODY] [OPTIONS]

Sends a message and waits until it is safe; without BODY, what comes by standard input.
${DESTINATION_HELP}

  -f, --file FILE    the body is in this file; bytes that are no text are sent as they are
      --lines        each line of standard input is a message
  -p, --property NAME=VALUE
                     a property; true, false and numbers are what they look like, unless they are in
                     double quotes; may be repeated
      --content-type, --message-id, --correlation-id, --subject, --group TEXT
      --reply-to DESTINATION
      --priority N   0 to 9; otherwise 4
      --ttl, --delay DURATION
                     until it expires, until it is delivered: 500ms, 30s, 5m
      --transient    need not survive a restart of the broker
      --retain       its topic retains it
${REMOTE_HELP}`,

  async run(args) {
    const { values, positionals } = optionsOf(args);
    const [text = "", body] = positionals;
    const { path } = destinationName(text, ["queue", "topic"]);
    if ([body !== undefined, values.file !== undefined, values.lines].filter(Boolean).length > 1) {
      throw new UsageError("BODY, --file and --lines exclude each other");
    }
    const head = headOf(values);
    const client = await ManagementClient.open(values);
    const send = (said: object): Promise<unknown> =>
      client.askHost("POST", [...path, "messages"], undefined, { ...head, ...said });
    let sent = 0;
    if (values.lines) {
      for await (const line of createInterface({ input: process.stdin })) {
        await send({ body: line }).catch((error: unknown) => {
          if (!(error instanceof ManagementError) || sent === 0) throw error;
          throw new ManagementError(
            `${error.message} (after ${sent} messages were sent)`,
            error.exitCode,
            error.status,
          );
        });
        sent++;
      }
    } else {
      await send(body === undefined ? bodyOf(await bytesOf(values.file)) : { body });
      sent = 1;
    }
    if (values.json) print(jsonText({ sent }));
    return EXIT.ok;
  },
};

async function bytesOf(file: string | undefined): Promise<Buffer> {
  if (file === undefined) return buffer(process.stdin);
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`--file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function bodyOf(bytes: Buffer): object {
  if (isUtf8(bytes)) return { body: bytes.toString() };
  return { body: bytes.toString("base64"), body_encoding: "base64" };
}

function headOf(options: Options): object {
  const { group, priority, subject, ttl, delay } = options;
  const given = {
    content_type: options["content-type"],
    message_id: options["message-id"],
    correlation_id: options["correlation-id"],
    subject,
    group_id: group,
    reply_to: options["reply-to"] === undefined ? undefined : replyTo(options["reply-to"]),
    priority: priority === undefined ? undefined : wholeNumber("--priority", priority, 0),
    ttl_ms: duration("--ttl", ttl),
    delay_ms: duration("--delay", delay),
    durable: options.transient ? false : undefined,
    retain: options.retain ? true : undefined,
    properties: options.property === undefined ? undefined : messageProperties(options.property),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function replyTo(text: string): object {
  const { kind, name } = destinationName(text, ["queue", "topic"]);
  return { kind, name };
}

function duration(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseQuantity("ms", text);
  if (ms === undefined) throw new UsageError(`${option} ${text}: expected a duration such as 500ms, 30s or 5m`);
  return ms;
}

/** The properties of a message as a command line writes them: NAME=VALUE. Throws UsageError. */
export function messageProperties(pairs: readonly string[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const cut = pair.indexOf("=");
      if (cut < 1) throw new UsageError(`--property ${pair}: expected NAME=VALUE`);
      return [pair.slice(0, cut), propertyValue(pair.slice(cut + 1))];
    }),
  );
}

function propertyValue(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  if (/^-?(0|[1-9]\d*)(\.\d+)?$/.test(text)) return Number(text);
  return /^".*"$/s.test(text) ? text.slice(1, -1) : text;
}
