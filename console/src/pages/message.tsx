import type { ComponentChildren, JSX } from "preact";
import { brief, type Json, number, record, type Row, text } from "../api/json.ts";
import { Facts } from "../ui/parts.tsx";
import { Time } from "../ui/time.tsx";
import { Body } from "./body.tsx";

interface MessageViewProps {
  readonly message: Row;
  /** Asks for it once more, with all of its body. */
  readonly load: () => Promise<Row | undefined>;
}

/** All there is to see of a message that was asked for with its body as base64. */
export function MessageView({ message, load }: MessageViewProps): JSX.Element {
  return (
    <div class="stack">
      <Body message={message} load={load} />
      <Facts facts={factsOf(message)} />
      <Scalars title="Properties" values={record(message, "properties")} />
      <Scalars title="What the broker says of it" values={record(message, "annotations")} ofBroker />
    </div>
  );
}

function factsOf(message: Row): (readonly [string, ComponentChildren])[] {
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
    ["Received", <Time key="received" at={number(message, "received_at")} />],
    ["Expires", expires === 0 ? "never" : <Time key="expires" at={expires} />],
    ["Priority", text(message, "priority")],
    ["Durable", message["durable"] === true ? "yes" : "no"],
    ["Delivered before", text(message, "deliveries")],
  ];
}

interface ScalarsProps {
  readonly title: string;
  readonly values: Row;
  /** Whether the broker made them: its moments are in milliseconds since 1970. */
  readonly ofBroker?: boolean;
}

function Scalars({ title, values, ofBroker = false }: ScalarsProps): JSX.Element | null {
  const entries = Object.entries(values);
  if (entries.length === 0) return null;
  return (
    <div>
      <h3 class="label">{title}</h3>
      <Facts
        facts={entries.map(([name, value]) => [name, ofBroker ? ofTheBroker(name, value) : brief(value)] as const)}
      />
    </div>
  );
}

function ofTheBroker(name: string, value: Json): ComponentChildren {
  return name.endsWith("_at") && typeof value === "number" ? <Time at={value} /> : brief(value);
}
