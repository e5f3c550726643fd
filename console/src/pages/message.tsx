import type { ComponentChildren, JSX } from "preact";
import { brief, type Json, number, record, type Row, rows, text } from "../api/json.ts";
import { count } from "../format.ts";
import { Facts } from "../ui/parts.tsx";
import { Time } from "../ui/time.tsx";
import { Body } from "./body.tsx";

/** The annotation with all deaths of a message, as JSON. */
const HISTORY = "dead_letter_history";

interface MessageViewProps {
  readonly message: Row;
  /** Asks for it once more, with all of its body. */
  readonly load: () => Promise<Row | undefined>;
}

/** All there is to see of a message that was asked for with its body as base64. */
export function MessageView({ message, load }: MessageViewProps): JSX.Element {
  const annotations = record(message, "annotations");
  return (
    <div class="stack">
      <Body message={message} load={load} />
      <Facts facts={factsOf(message)} />
      <Scalars title="Properties" values={record(message, "properties")} />
      <Deaths history={text(annotations, HISTORY)} />
      <Scalars
        title="What the broker says of it"
        values={Object.fromEntries(Object.entries(annotations).filter(([name]) => name !== HISTORY))}
        ofBroker
      />
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

/** How often a message died of what, and where, the newest first. */
function Deaths({ history }: { readonly history: string }): JSX.Element | null {
  const deaths = history === "" ? [] : rows({ deaths: read(history) }, "deaths");
  if (deaths.length === 0) return null;
  return (
    <div>
      <h3 class="label">How it died</h3>
      <table class="plain-table inner">
        <thead>
          <tr>
            <th>Where</th>
            <th>Of what</th>
            <th class="number">Times</th>
            <th>First</th>
          </tr>
        </thead>
        <tbody>
          {deaths.map((death) => (
            <tr key={`${text(death, "queue")} ${text(death, "reason")}`}>
              <td class="break">{text(death, "queue")}</td>
              <td>{text(death, "reason")}</td>
              <td class="number">{count(number(death, "count"))}</td>
              <td class="nowrap">
                <Time at={number(death, "at")} as="clock" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function read(json: string): Json {
  try {
    const value: Json = JSON.parse(json);
    return value;
  } catch {
    return [];
  }
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
