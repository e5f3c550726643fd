import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { groupsOf } from "../api/groups.ts";
import { flag, type Json, type Row, rows, text, texts } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { type Filled, Form } from "../ui/form.tsx";
import { Badge, Card, Failure, PageHead } from "../ui/parts.tsx";

const ACTIONS = ["send", "receive", "consume", "create", "destroy", "connect", "monitor", "admin", "config"];
const KINDS = ["queue", "topic", "exchange", "dsub", "virtual-host", "connector", "broker"];

/** Who may do what, and a place to ask. */
export function AccessRulesPage(): JSX.Element {
  const polled = usePolled("/access-rules", 0);
  const reply = polled.value.value;
  const rules = rows(reply, "rules");
  return (
    <>
      <PageHead
        title="Access rules"
        intro="Asked in this order; the first one that matches decides, and what none allows is refused."
      />
      <Failure text={polled.failure.value} />
      {reply !== undefined && !flag(reply, "enforced") && (
        <p class="note warn">
          There are no rules: whoever may log in may do everything. <code>access_rules</code> in the configuration says
          who may do what.
        </p>
      )}
      <Tester />
      {rules.length > 0 && (
        <Card title="Rules" flush aside={<span class="quiet">changed in the configuration</span>}>
          <RuleTable rules={rules} />
        </Card>
      )}
    </>
  );
}

function Tester(): JSX.Element {
  const [answer, setAnswer] = useState<Row | undefined>(undefined);
  return (
    <div class="grid">
      <Card title="What might somebody do?">
        <Form
          fields={[
            { name: "user", label: "User", placeholder: "nobody" },
            { name: "groups", label: "Groups", hint: "Empty: those that the broker knows of the user" },
            { name: "action", label: "Action", kind: "choice", choices: ACTIONS },
            { name: "kind", label: "On a", kind: "choice", choices: KINDS },
            { name: "name", label: "Name", required: true, placeholder: "orders.new" },
            { name: "address", label: "From the address", placeholder: "any" },
            { name: "client_id", label: "Client id" },
            { name: "listener", label: "Listener" },
          ]}
          action="Ask"
          onSubmit={async (filled) => {
            setAnswer(undefined);
            setAnswer(
              await ask(`${at("hosts", host.value)}/access`, { method: "POST", body: await questionOf(filled) }),
            );
          }}
        />
      </Card>
      <Card title="Answer">
        {answer === undefined ? (
          <p class="quiet">Nothing is done, and nobody need be connected.</p>
        ) : (
          <div class="stack" role="status">
            <p>{flag(answer, "allowed") ? <Badge tone="good">allowed</Badge> : <Badge tone="bad">refused</Badge>}</p>
            <p class="break">{text(answer, "explanation")}</p>
            {text(answer, "except") !== "" && <p class="note warn">Except by {text(answer, "except")}</p>}
          </div>
        )}
      </Card>
    </div>
  );
}

async function questionOf(filled: Filled): Promise<Json> {
  const { user = "", groups = "", action = "", kind = "", name = "" } = filled;
  const named = groups
    .split(",")
    .map((group) => group.trim())
    .filter(Boolean);
  const optional = ["user", "address", "client_id", "listener"].flatMap((field) => {
    const value = filled[field] ?? "";
    return value === "" ? [] : [[field, value] as const];
  });
  const known = named.length > 0 ? named : await groupsOf(user);
  return { ...Object.fromEntries(optional), groups: known, action, kind, name };
}

function RuleTable({ rules }: { readonly rules: readonly Row[] }): JSX.Element {
  return (
    <table class="plain-table">
      <thead>
        <tr>
          <th>Rule</th>
          <th>Says</th>
          <th>Whom</th>
          <th>Actions</th>
          <th>On</th>
          <th>Names</th>
        </tr>
      </thead>
      <tbody>
        {rules.map((rule) => (
          <tr key={`${text(rule, "host")} ${text(rule, "origin")}`}>
            <td class="quiet nowrap">{text(rule, "origin")}</td>
            <td>
              {texts(rule, "deny").length > 0 && <Badge tone="bad">deny</Badge>}{" "}
              {texts(rule, "allow").length > 0 && <Badge tone="good">allow</Badge>}
            </td>
            <td class="break">{principalsOf(rule)}</td>
            <td>{listed(texts(rule, "actions"))}</td>
            <td>{listed(texts(rule, "kinds"))}</td>
            <td class="break">
              {text(rule, "id") || text(rule, "id_regex") || "all"}
              {text(rule, "connector") !== "" && ` by ${text(rule, "connector")}`}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A star, or nothing at all, is whatever there is. */
function listed(words: readonly string[]): string {
  return words.length === 0 || words.includes("*") ? "all" : words.join(", ");
}

function principalsOf(rule: Row): string {
  const kinds = texts(rule, "principal_kinds").join(", ");
  const named = [...new Set([...texts(rule, "deny"), ...texts(rule, "allow")])].join(", ");
  return kinds === "" ? named : `${kinds}: ${named}`;
}
