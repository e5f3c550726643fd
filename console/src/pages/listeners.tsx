import type { JSX } from "preact";
import { number, record, type Row, rows, text, texts } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { count } from "../format.ts";
import { confirm } from "../ui/dialog.tsx";
import { Badge, Card, Failure, PageHead, State } from "../ui/parts.tsx";
import { Time } from "../ui/time.tsx";
import { attempt } from "../ui/toast.tsx";

const EVERY_MS = 3000;
const SOON_DAYS = 30;

/** Where the broker listens, and the certificates it shows. */
export function ListenersPage(): JSX.Element {
  const listeners = usePolled("/listeners", EVERY_MS);
  const certificates = usePolled("/certificates", 0);
  const shown = rows(certificates.value.value, "value");
  return (
    <>
      <PageHead
        title="Listeners"
        intro="Ports of protocols. Each recognises what a connection speaks by its first bytes."
      />
      <Failure text={listeners.failure.value || certificates.failure.value} />
      <Card title="Ports" flush>
        <table class="plain-table">
          <thead>
            <tr>
              <th>Listener</th>
              <th>State</th>
              <th>Address</th>
              <th>Speaks</th>
              <th>TLS</th>
              <th class="number">Connections</th>
              <th class="number">Accepted</th>
              <th class="number">Refused</th>
              <th aria-label="Actions" />
            </tr>
          </thead>
          <tbody>
            {rows(listeners.value.value, "value").map((listener) => (
              <ListenerRow key={text(listener, "name")} listener={listener} again={listeners.again} />
            ))}
          </tbody>
        </table>
      </Card>
      <Card title="Certificates" flush>
        {certificates.value.value !== undefined && shown.length === 0 ? (
          <p class="empty">
            No port speaks TLS: <code>tls.certificate</code> and <code>tls.key</code> name no files
          </p>
        ) : (
          <Certificates certificates={shown} />
        )}
      </Card>
    </>
  );
}

function ListenerRow({ listener, again }: { readonly listener: Row; readonly again: () => void }): JSX.Element {
  const name = text(listener, "name");
  const state = text(listener, "state");
  const path = at("listeners", name);
  const causes = record(listener, "refused");
  const refused = Object.keys(causes)
    .map((why) => [why, number(causes, why)] as const)
    .filter(([, times]) => times > 0);
  const stop = (): void =>
    confirm("Stop", `Have ${name} accept no more connections? Those there are stay.`, "Stop", async () => {
      await ask(`${path}/stop`, { method: "POST", body: {} });
      again();
    });
  const start = (): void => {
    void attempt(() => ask(`${path}/start`, { method: "POST", body: {} }), `${name} listens again`).then(again);
  };
  return (
    <tr>
      <td>{name}</td>
      <td>
        <State value={state} />
      </td>
      <td class="nowrap">
        {text(listener, "host")}:{text(listener, "port")}
      </td>
      <td>
        {texts(listener, "protocols").join(", ") || "everything"}
        {listener["websocket"] === true && ", WebSocket too"}
      </td>
      <td>{text(listener, "tls")}</td>
      <td class="number">{count(number(listener, "connections"))}</td>
      <td class="number">{count(number(listener, "accepted"))}</td>
      <td class="number">
        {count(refused.reduce((sum, [, times]) => sum + times, 0))}
        {refused.map(([why, times]) => (
          <div key={why} class="quiet">
            {why} {count(times)}
          </div>
        ))}
      </td>
      <td class="number">
        {state === "listening" && (
          <button type="button" class="button small" onClick={stop}>
            Stop
          </button>
        )}
        {state === "stopped" && (
          <button type="button" class="button small" onClick={start}>
            Start
          </button>
        )}
      </td>
    </tr>
  );
}

function Certificates({ certificates }: { readonly certificates: readonly Row[] }): JSX.Element {
  return (
    <table class="plain-table">
      <thead>
        <tr>
          <th>Subject</th>
          <th>Shown by</th>
          <th>For</th>
          <th>Valid until</th>
          <th class="number">Days left</th>
        </tr>
      </thead>
      <tbody>
        {certificates.map((certificate) => (
          <tr key={`${text(certificate, "fingerprint")} ${text(certificate, "name")} ${text(certificate, "use")}`}>
            <td class="break">
              {text(certificate, "subject")}
              <div class="quiet">{texts(certificate, "alternative_names").join(", ")}</div>
            </td>
            <td>{texts(certificate, "listeners").join(", ")}</td>
            <td>
              {text(certificate, "use") === "authority"
                ? "certificates of clients"
                : text(certificate, "name") || "everybody"}
            </td>
            <td class="nowrap">
              <Time at={number(certificate, "valid_to")} />
            </td>
            <td class="number">
              <DaysLeft days={number(certificate, "days_left")} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function DaysLeft({ days }: { readonly days: number }): JSX.Element {
  if (days > SOON_DAYS) return <>{count(days)}</>;
  return <Badge tone={days < 0 ? "bad" : "warn"}>{days < 0 ? "expired" : count(days)}</Badge>;
}
