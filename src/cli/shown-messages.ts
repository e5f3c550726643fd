import { type Row, rowOf, textOf } from "./reply.ts";
import { bytesText, printable, shown } from "./text-table.ts";

/** A message for people: a line of what it is, its properties if it has any, its body. */
export function messageLines(message: Row, withHead: boolean): string[] {
  const body = bodyText(message);
  if (!withHead) return [body];
  const head = [
    `#${shown(message["sequence"])}`,
    textOf(message["protocol"]),
    bytesText(message["body_bytes"]),
    ...["message_id", "correlation_id", "subject", "content_type", "group_id", "user_id"].flatMap((name) =>
      message[name] === null || message[name] === undefined ? [] : [`${name}=${printable(shown(message[name]))}`],
    ),
    ...(message["deliveries"] === 0 ? [] : [`deliveries=${shown(message["deliveries"])}`]),
    ...(message["durable"] === true ? [] : ["transient"]),
  ];
  const notes = [...named("property", message["properties"]), ...named("annotation", message["annotations"])];
  return [head.join("  "), ...notes, `  ${body}`, ""];
}

function named(word: string, values: unknown): string[] {
  return Object.entries(rowOf(values)).map(([name, value]) => `  ${word} ${printable(`${name} = ${shown(value)}`)}`);
}

function bodyText({ body, body_encoding: encoding, body_truncated: truncated }: Row): string {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  // A program gets what was sent; a terminal would take some of it for commands.
  const safe = process.stdout.isTTY ? printable(text) : text;
  return `${encoding === "base64" ? `base64:${safe}` : safe}${truncated === true ? "..." : ""}`;
}
