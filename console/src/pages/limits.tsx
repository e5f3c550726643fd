import type { JSX } from "preact";
import { flag, number, record, type Row, rows, text, texts } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { live } from "../api/live.ts";
import { bytes, count, span } from "../format.ts";
import { Badge, Card, Failure, PageHead, Tiles } from "../ui/parts.tsx";
import { Time } from "../ui/time.tsx";

const EVERY_MS = 3000;
/** Who waits now, the longest first. */
const THROTTLED = { q: "throttled", o: "-owed_in,-owed_out", ps: 20 };

/** What the broker may run short of, and how much others may do. */
export function LimitsPage(): JSX.Element {
  const alarms = usePolled("/alarms", EVERY_MS);
  const limits = usePolled("/limits", EVERY_MS);
  const waiting = usePolled("/limits/subjects", EVERY_MS, THROTTLED);
  const broker = live.broker.value;
  const memory = record(broker, "memory");
  const blocked = text(broker, "blocked_by");
  return (
    <>
      <PageHead
        title="Limits and alarms"
        intro="While an alarm is raised publishers wait, as their protocols have it, and consumers go on."
      />
      <Failure text={alarms.failure.value || limits.failure.value || waiting.failure.value} />
      <Tiles
        tiles={[
          { label: "Publishers", value: blocked === "" ? "go on" : "wait" },
          { label: "Messages in memory", value: bytes(number(memory, "messages")) },
          { label: "Of at most", value: bytes(number(memory, "messages_limit")) },
          { label: "Memory of the process", value: bytes(number(memory, "resident")) },
        ]}
      />
      <Card title="Alarms" flush>
        <table class="plain-table">
          <thead>
            <tr>
              <th>Alarm</th>
              <th>State</th>
              <th>Since</th>
              <th>Why</th>
              <th>Setting</th>
            </tr>
          </thead>
          <tbody>
            {rows(alarms.value.value, "value").map((alarm) => (
              <AlarmRow key={text(alarm, "name")} alarm={alarm} />
            ))}
          </tbody>
        </table>
      </Card>
      <Card title="Limits" flush aside={<span class="quiet">of the configuration; the first that matches holds</span>}>
        {limits.value.value !== undefined && <LimitTable limits={rows(limits.value.value, "value")} />}
      </Card>
      <WaitingCard waiting={waiting.value.value} />
    </>
  );
}

function AlarmRow({ alarm }: { readonly alarm: Row }): JSX.Element {
  const raised = flag(alarm, "raised");
  const threshold = number(alarm, "threshold");
  return (
    <tr>
      <td>{text(alarm, "name")}</td>
      <td>{raised ? <Badge tone="bad">raised</Badge> : <Badge tone="good">clear</Badge>}</td>
      <td class="nowrap">{raised && <Time at={number(alarm, "since")} as="ago" />}</td>
      <td>{text(alarm, "reason")}</td>
      <td>
        <code>{text(alarm, "setting")}</code> {threshold === 0 ? "0" : bytes(threshold)}
      </td>
    </tr>
  );
}

function LimitTable({ limits }: { readonly limits: readonly Row[] }): JSX.Element {
  if (limits.length === 0) {
    return (
      <p class="empty">
        Nobody is limited. <code>limits</code> in the configuration says who may have how many connections and messages.
      </p>
    );
  }
  const columns = ["connections", "connect_rate", "messages_in", "bytes_in", "messages_out", "bytes_out"];
  return (
    <table class="plain-table">
      <thead>
        <tr>
          <th>Each</th>
          <th>Of</th>
          {columns.map((name) => (
            <th key={name} class="number">
              {TITLES[name]}
            </th>
          ))}
          <th>Who sends more</th>
          <th class="number" title="Connections that wait for it now">
            Waiting
          </th>
          <th class="number" title="Times that a connection had to wait for it, or ended">
            Waits
          </th>
          <th class="number" title="Connections that were refused by it">
            Refused
          </th>
        </tr>
      </thead>
      <tbody>
        {limits.map((limit) => (
          <tr key={text(limit, "key")}>
            <td>{text(limit, "per").replace("_", " ")}</td>
            <td>{texts(limit, "match").join(", ") || "everybody"}</td>
            {columns.map((name) => (
              <td key={name} class="number">
                {amount(limit, name)}
              </td>
            ))}
            <td>{text(limit, "exceeding")}</td>
            {["waiting", "waits", "refused"].map((name) => (
              <td key={name} class="number">
                {count(number(limit, name))}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Who is slowed down right now; nothing while nobody is. */
function WaitingCard({ waiting }: { readonly waiting: Row | undefined }): JSX.Element | null {
  const total = number(waiting, "total_rows");
  if (total === 0) return null;
  return (
    <Card title="Waiting now" flush aside={<span class="quiet">{count(total)} in all</span>}>
      <table class="plain-table">
        <thead>
          <tr>
            <th>Who</th>
            <th>Limit</th>
            <th class="number">Connections</th>
            <th class="number">May send more in</th>
            <th class="number">Is sent more in</th>
          </tr>
        </thead>
        <tbody>
          {rows(waiting, "items").map((subject) => (
            <tr key={`${text(subject, "limit")} ${text(subject, "subject")}`}>
              <td class="break">{text(subject, "subject")}</td>
              <td>
                <code>{text(subject, "limit")}</code> per {text(subject, "per").replace("_", " ")}
              </td>
              <td class="number">{count(number(subject, "connections"))}</td>
              <td class="number">{owed(subject, "owed_in")}</td>
              <td class="number">{owed(subject, "owed_out")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function owed(subject: Row, name: string): string {
  const ms = number(subject, name);
  return ms === 0 ? "" : span(ms);
}

function amount(limit: Row, name: string): string {
  const value = number(limit, name);
  if (value === 0) return "";
  return name.startsWith("bytes") ? bytes(value) : count(value);
}

const TITLES: Readonly<Record<string, string>> = {
  connections: "Connections",
  connect_rate: "Connects/s",
  messages_in: "Messages in/s",
  bytes_in: "Bytes in/s",
  messages_out: "Messages out/s",
  bytes_out: "Bytes out/s",
};
