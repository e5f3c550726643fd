import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { flag, type Json, type Row, rows, text, texts } from "../api/json.ts";
import { ask, at } from "../api/request.ts";
import { groupsOf } from "../api/groups.ts";
import { host } from "../api/session.ts";
import { type Filled, Form } from "../ui/form.tsx";
import { Badge, Card, Facts, PageHead } from "../ui/parts.tsx";
import { propertiesOf } from "./publish.tsx";

const PROTOCOLS = [
  ["stomp", "STOMP"],
  ["mqtt", "MQTT"],
  ["amqp091", "AMQP 0-9-1"],
  ["amqp10", "AMQP 1.0"],
  ["canonical", "Canonical names"],
] as const;

/** What would become of a message, and why. */
export function ExplainPage(): JSX.Element {
  const [answers, setAnswers] = useState<readonly Row[]>([]);
  return (
    <>
      <PageHead title="Explain" intro="What would become of a message, and why. Nothing is sent, made or counted." />
      <Card title="Which message?">
        <Form
          fields={[
            { name: "protocol", label: "Sent by", kind: "choice", choices: PROTOCOLS },
            {
              name: "destination",
              label: "To",
              required: true,
              placeholder: "/queue/orders",
              hint: "As that protocol writes it",
            },
            { name: "user", label: "By the user", placeholder: "nobody" },
            { name: "address", label: "From the address", placeholder: "any" },
            { name: "client_id", label: "Client id" },
            { name: "listener", label: "Listener" },
            { name: "priority", label: "Priority", kind: "number", value: "4" },
            { name: "ttl_ms", label: "Expires after (ms)", kind: "number", placeholder: "never" },
            { name: "body", label: "Body", kind: "area" },
            {
              name: "properties",
              label: "Properties",
              kind: "area",
              placeholder: '{ "colour": "blue", "size": 3 }',
              hint: "What selectors look at: a JSON object of texts, numbers and booleans",
            },
          ]}
          action="Explain"
          onSubmit={async (filled) => {
            const path = `${at("hosts", host.value)}/explain`;
            setAnswers([]);
            setAnswers(rows(await ask(path, { method: "POST", body: await questionOf(filled) }), "value"));
          }}
        />
      </Card>
      {answers.map((answer) => (
        <Answer key={`${text(answer, "kind")} ${text(answer, "name")}`} answer={answer} />
      ))}
    </>
  );
}

async function questionOf(filled: Filled): Promise<Json> {
  const { protocol = "canonical", destination = "", body = "", priority = "", ttl_ms: ttl = "" } = filled;
  const optional = ["user", "address", "client_id", "listener"].flatMap((field) => {
    const value = filled[field] ?? "";
    return value === "" ? [] : [[field, value] as const];
  });
  const message = {
    body,
    priority: Number(priority || 4),
    ...(ttl === "" ? {} : { ttl_ms: Number(ttl) }),
    ...propertiesOf(filled),
  };
  const groups = await groupsOf(filled["user"] ?? "");
  return { protocol, destination, ...Object.fromEntries(optional), groups, message };
}

function Answer({ answer }: { readonly answer: Row }): JSX.Element {
  const accepted = flag(answer, "accepted");
  const policy = rows(answer, "policy").filter((setting) => text(setting, "origin") !== "default");
  return (
    <>
      <Card
        title={`${text(answer, "kind")} ${text(answer, "name")}`}
        aside={accepted ? <Badge tone="good">accepted</Badge> : <Badge tone="bad">refused</Badge>}
      >
        <div class="stack" role="status">
          {texts(answer, "refusals").map((refusal) => (
            <p key={refusal} class="note bad">
              {refusal}
            </p>
          ))}
          <Facts
            facts={[
              ["Is there", flag(answer, "exists") ? "yes" : "no, it would be made if that is allowed"],
              ...rows(answer, "rights").map(
                (right, index) => [`Right ${index + 1}`, `${text(right, "text")}${ruleOf(right)}`] as const,
              ),
              ...texts(answer, "notes").map((note, index) => [`Note ${index + 1}`, note] as const),
              ...policy.map(
                (setting) =>
                  [text(setting, "key"), `${text(setting, "value")}, by ${text(setting, "origin")}`] as const,
              ),
            ]}
          />
        </div>
      </Card>
      <Card title="Who would receive it" flush>
        <Readers readers={rows(answer, "readers")} />
      </Card>
    </>
  );
}

function ruleOf(right: Row): string {
  const rule = text(right, "rule");
  return rule === "" || text(right, "text").includes(rule) ? "" : ` (${rule})`;
}

function Readers({ readers }: { readonly readers: readonly Row[] }): JSX.Element {
  if (readers.length === 0) return <p class="empty">Nobody reads from there now</p>;
  return (
    <table class="plain-table">
      <thead>
        <tr>
          <th>Reader</th>
          <th>Led there by</th>
          <th>Wants it</th>
          <th>As</th>
          <th>Headers</th>
          <th>Body</th>
        </tr>
      </thead>
      <tbody>
        {readers.map((reader) => (
          <tr key={`${text(reader, "kind")} ${text(reader, "id")} ${text(reader, "via")}`}>
            <td class="break">
              {text(reader, "kind")} {text(reader, "id")}
              <div class="quiet">{[text(reader, "protocol"), text(reader, "user")].filter(Boolean).join(", ")}</div>
            </td>
            <td class="break">{text(reader, "via")}</td>
            <td>
              {flag(reader, "matches") ? <Badge tone="good">yes</Badge> : <Badge tone="warn">no</Badge>}
              <div class="quiet">{text(reader, "selector")}</div>
            </td>
            <td class="break">{text(reader, "destination")}</td>
            <td class="break">{texts(reader, "headers").join(", ")}</td>
            <td>{text(reader, "body")}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
