import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { brief, flag, record, type Row, rows, text, texts } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, reasonOf } from "../api/request.ts";
import { confirm } from "../ui/dialog.tsx";
import { Form } from "../ui/form.tsx";
import { Icon } from "../ui/icon.tsx";
import { Badge, Card, Failure, PageHead, Tabs, tabNow } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { attempt, say } from "../ui/toast.tsx";

/** What the list of settings shows. */
const SETTING_COLUMNS: readonly Column[] = [
  { field: "key", title: "Setting", width: "minmax(260px, 1.4fr)", show: (row) => <code>{text(row, "key")}</code> },
  { field: "value", title: "Value", ordered: false, width: "minmax(180px, 1fr)", show: (row) => valueOf(row) },
  { field: "origin", title: "Written in", width: "minmax(160px, 1fr)", show: (row) => originOf(row) },
];

const TABS = [
  ["settings", "Settings"],
  ["check", "Check a file"],
  ["log", "Log"],
] as const;
const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

/** What holds and why, and what another configuration would change. */
export function ConfigurationPage(): JSX.Element {
  const tab = tabNow(TABS);
  return (
    <>
      <PageHead title="Configuration" intro="What holds, and where it is written. Files are edited where they are.">
        <button type="button" class="button primary" onClick={reload}>
          <Icon name="refresh" /> Read it again
        </button>
      </PageHead>
      <Tabs tabs={TABS} />
      {tab === "settings" && (
        <Table
          label="Settings"
          path="/configuration"
          columns={SETTING_COLUMNS}
          name="key"
          besides={["changed", "written"]}
        />
      )}
      {tab === "check" && <Check />}
      {tab === "log" && <LogLevels />}
    </>
  );
}

function valueOf(row: Row): JSX.Element {
  const value = brief(row["value"]);
  if (!flag(row, "changed")) return value === "" ? <span class="quiet">none</span> : <code>{value}</code>;
  return (
    <>
      <code>{value}</code> <Badge tone="warn">written: {brief(row["written"])}</Badge>
    </>
  );
}

function originOf(row: Row): JSX.Element {
  const origin = text(row, "origin");
  return <span class={origin === "" || origin === "default" ? "quiet" : ""}>{origin}</span>;
}

function reload(): void {
  confirm(
    "Read it again",
    "Read the configuration and the certificates again? Those signed in to the console sign in once more.",
    "Read it again",
    async () => {
      const done = await ask("/configuration/reload", { method: "POST", body: {} });
      const applied = texts(done, "applied");
      const restart = texts(done, "needs_restart");
      say(applied.length === 0 ? "Nothing changed" : `Taken over: ${applied.join(", ")}`);
      if (restart.length > 0) say(`Needs a restart: ${restart.join(", ")}`);
    },
  );
}

function Check(): JSX.Element {
  const [plan, setPlan] = useState<Row | undefined>(undefined);
  const [failure, setFailure] = useState("");
  const check = async (written: string): Promise<void> => {
    setFailure("");
    setPlan(undefined);
    try {
      setPlan(
        await ask("/configuration/plan", { method: "POST", body: written.trim() === "" ? {} : { text: written } }),
      );
    } catch (error) {
      setFailure(reasonOf(error));
    }
  };
  return (
    <div class="grid">
      <Card title="What would change">
        <Form
          fields={[
            {
              name: "text",
              label: "YAML",
              kind: "area",
              placeholder: "Empty: the file as it is now",
              hint: "Nothing is taken over by this.",
            },
          ]}
          action="Check"
          onSubmit={({ text: written = "" }) => check(written)}
        />
      </Card>
      <Card title="Outcome">
        <Failure text={failure} />
        {plan === undefined ? <p class="quiet">Not checked yet</p> : <Outcome plan={plan} />}
      </Card>
    </div>
  );
}

function Outcome({ plan }: { readonly plan: Row }): JSX.Element {
  const changes = rows(plan, "changes");
  const faults = [...texts(plan, "problems"), ...texts(plan, "warnings")];
  return (
    <div class="stack">
      <p>{flag(plan, "valid") ? <Badge tone="good">valid</Badge> : <Badge tone="bad">not valid</Badge>}</p>
      {faults.map((fault) => (
        <p key={fault} class={flag(plan, "valid") ? "note warn" : "note bad"}>
          {fault}
        </p>
      ))}
      {flag(plan, "valid") && changes.length === 0 && <p class="quiet">It would change nothing.</p>}
      {changes.map((change) => (
        <p key={text(change, "key")} class="break">
          <code>{text(change, "key")}</code>: {brief(change["from"]) || "none"} becomes {brief(change["to"]) || "none"}{" "}
          {flag(change, "needs_restart") && <Badge tone="warn">needs a restart</Badge>}
        </p>
      ))}
    </div>
  );
}

function LogLevels(): JSX.Element {
  const polled = usePolled("/log", 0);
  const levels = polled.value.value;
  const change = (body: Row): void => {
    void attempt(() => ask("/log", { method: "PUT", body }), "The log is told").then(polled.again);
  };
  return (
    <Card title="What is logged, until the next start" flush>
      <Failure text={polled.failure.value} />
      <table class="plain-table">
        <thead>
          <tr>
            <th>Part</th>
            <th>From this level on</th>
          </tr>
        </thead>
        <tbody>
          {levels !== undefined && (
            <tr>
              <td class="wide">All of it</td>
              <td>
                <Level name="all" level={text(levels, "level")} onChange={(level) => change({ level })} />
              </td>
            </tr>
          )}
          {Object.entries(record(levels, "components")).map(([name, level]) => (
            <tr key={name}>
              <td class="wide">{name}</td>
              <td>
                <Level name={name} level={brief(level)} onChange={(to) => change({ components: { [name]: to } })} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

interface LevelProps {
  readonly name: string;
  readonly level: string;
  readonly onChange: (level: string) => void;
}

function Level({ name, level, onChange }: LevelProps): JSX.Element {
  return (
    <select aria-label={`Level of ${name}`} value={level} onChange={(event) => onChange(event.currentTarget.value)}>
      {LEVELS.map((one) => (
        <option key={one} value={one}>
          {one}
        </option>
      ))}
    </select>
  );
}
