import type { JSX } from "preact";
import { brief, type Json, number, record, type Row, text } from "../api/json.ts";
import { moment } from "../format.ts";
import { Facts } from "../ui/parts.tsx";
import { Body } from "./body.tsx";

/** All there is to see of a message that was asked for with its body as base64. */
export function MessageView({ message }: { readonly message: Row }): JSX.Element {
  return (
    <div class="stack">
      <Body message={message} />
      <Facts facts={factsOf(message)} />
      <Scalars title="Properties" values={record(message, "properties")} />
      <Scalars title="What the broker says of it" values={record(message, "annotations")} />
    </div>
  );
}

function factsOf(message: Row): (readonly [string, string])[] {
  const expires = number(message, "expires_at");
  const reply = record(message, "reply_to");
  return [
    ["Message id", text(message, "message_id")],
    ["Correlation id", text(message, "correlation_id")],
    ["Reply to", "name" in reply ? `${text(reply, "kind")} ${text(reply, "name")}` : ""],
    ["Subject", text(message, "subject")],
    ["Content type", text(message, "content_type")],
    ["Encoding", text(message, "content_encoding")],
    ["User", text(message, "user_id")],
    ["Message group", text(message, "group_id")],
    ["Came by", text(message, "protocol")],
    ["Received", moment(number(message, "received_at"))],
    ["Expires", expires === 0 ? "never" : moment(expires)],
    ["Priority", text(message, "priority")],
    ["Durable", message["durable"] === true ? "yes" : "no"],
    ["Delivered before", text(message, "deliveries")],
  ];
}

function Scalars({ title, values }: { readonly title: string; readonly values: Row }): JSX.Element | null {
  const entries = Object.entries(values);
  if (entries.length === 0) return null;
  return (
    <div>
      <h3 class="label">{title}</h3>
      <Facts facts={entries.map(([name, value]) => [name, shownValue(name, value)] as const)} />
    </div>
  );
}

/** What the broker says of moments is in milliseconds since 1970. */
function shownValue(name: string, value: Json): string {
  return name.endsWith("_at") && typeof value === "number" ? moment(value) : brief(value);
}
