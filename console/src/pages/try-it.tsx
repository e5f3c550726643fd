import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { flag, type Row, rows, text, texts } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { me, visit } from "../api/session.ts";
import type { TryClient, TryListener, TryLogin } from "../try/client.ts";
import { MqttClient } from "../try/mqtt.ts";
import { StompClient } from "../try/stomp.ts";
import { Form } from "../ui/form.tsx";
import { Badge, Card, PageHead, Segments } from "../ui/parts.tsx";
import { Time } from "../ui/time.tsx";

type Protocol = "stomp" | "mqtt";

interface Line {
  readonly id: number;
  readonly at: number;
  readonly way: "in" | "out" | "message";
  readonly what: string;
  readonly body: string;
}

const MOST_LINES = 200;
const PROTOCOLS = [
  ["stomp", "STOMP"],
  ["mqtt", "MQTT"],
] as const;
const EXAMPLES = {
  stomp: { destination: "/topic/demo.hello", hint: "/queue/NAME, /topic/NAME; levels are separated by dots" },
  mqtt: { destination: "demo/hello", hint: "a topic; $queue/NAME is a queue. Filters may have + and #" },
} as const;

const protocol = signal<Protocol>("stomp");
const state = signal<"closed" | "opening" | "open">("closed");
const reason = signal("");
const lines = signal<readonly Line[]>([]);
let client: TryClient | undefined;
let counter = 0;

// What one user heard is not for another.
visit.subscribe(() => {
  close();
  lines.value = [];
});

/** A client in this page, that connects as any client does. */
export function TryItPage(): JSX.Element {
  useEffect(() => close, []);
  return (
    <>
      <PageHead
        title="Try it"
        intro="A client in this page, over WebSocket. What one protocol publishes the other receives."
      />
      <div class="grid">
        <Connection />
        {state.value === "open" ? (
          <Exchange key={protocol.value} />
        ) : (
          <p class="card empty">Connect, then subscribe and publish</p>
        )}
      </div>
      <Log />
    </>
  );
}

function Connection(): JSX.Element {
  const spoken = protocol.value;
  const polled = usePolled("/listeners", 0);
  const address = addressOf(spoken, rows(polled.value.value, "value"));
  return (
    <Card title="Connection" aside={<Standing />}>
      <div class="stack">
        <Segments
          label="Protocol"
          choices={PROTOCOLS}
          value={spoken}
          onChoose={(chosen) => {
            close();
            protocol.value = chosen;
          }}
        />
        {state.value === "closed" ? (
          <Form
            key={address}
            fields={[
              { name: "url", label: "Address", value: address, required: true, wide: true },
              { name: "user", label: "User", value: text(me.value ?? undefined, "user") },
              { name: "password", label: "Password", kind: "password" },
            ]}
            action="Connect"
            onSubmit={async ({ url = "", user = "", password = "" }) => open({ url, user, password })}
          />
        ) : (
          <div>
            <button type="button" class="button" onClick={close}>
              Disconnect
            </button>
          </div>
        )}
      </div>
    </Card>
  );
}

function Standing(): JSX.Element {
  if (state.value === "open") return <Badge tone="good">connected</Badge>;
  if (state.value === "opening") return <Badge tone="accent">connecting</Badge>;
  return reason.value === "" ? <Badge>not connected</Badge> : <Badge tone="bad">{reason.value}</Badge>;
}

function Exchange(): JSX.Element {
  const { destination, hint } = EXAMPLES[protocol.value];
  return (
    <Card title="Subscribe and publish">
      <div class="stack">
        <Form
          fields={[
            { name: "destination", label: "Subscribe to", value: destination, required: true, wide: true, hint },
          ]}
          action="Subscribe"
          onSubmit={async ({ destination: wanted = "" }) => client?.subscribe(wanted)}
        />
        <Form
          fields={[
            { name: "destination", label: "Publish to", value: destination, required: true, wide: true },
            { name: "body", label: "Body", value: "Hello from the console", wide: true },
          ]}
          action="Publish"
          onSubmit={async ({ destination: goal = "", body = "" }) => client?.publish(goal, body)}
        />
      </div>
    </Card>
  );
}

function Log(): JSX.Element {
  return (
    <Card
      title="What happened"
      flush
      aside={
        <button
          type="button"
          class="button small"
          onClick={() => {
            lines.value = [];
          }}
        >
          Clear
        </button>
      }
    >
      <table class="plain-table" data-log="">
        <thead class="visually-hidden">
          <tr>
            <th>When</th>
            <th>Which way</th>
            <th>What</th>
          </tr>
        </thead>
        <tbody>
          {lines.value.map(({ id, at, way, what, body }) => (
            <tr key={id}>
              <td class="quiet nowrap">
                <Time at={at} as="clock" />
              </td>
              <td>
                <Badge {...(way === "message" ? { tone: "good" as const } : {})}>{WAYS[way]}</Badge>
              </td>
              <td class="break wide">
                {what} {body !== "" && <code>{body}</code>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {lines.value.length === 0 && <p class="empty">Nothing yet</p>}
    </Card>
  );
}

const WAYS = { in: "to the page", out: "to the broker", message: "message" } as const;

function open(login: TryLogin): void {
  close();
  state.value = "opening";
  reason.value = "";
  const listener: TryListener = {
    opened: () => {
      state.value = "open";
    },
    received: (destination, body) => note("message", destination, body),
    noted: (way, what) => note(way, what),
    closed: (why) => {
      if (client !== own) return;
      client = undefined;
      state.value = "closed";
      reason.value = why;
      note("in", why);
    },
  };
  let own: TryClient | undefined;
  try {
    own = protocol.value === "stomp" ? new StompClient(login, listener) : new MqttClient(login, listener);
    client = own;
  } catch (error) {
    // What is no address, or none that this page may connect to.
    state.value = "closed";
    throw error;
  }
}

function close(): void {
  const before = client;
  client = undefined;
  before?.close();
  state.value = "closed";
  reason.value = "";
}

function note(way: Line["way"], what: string, body = ""): void {
  lines.value = [{ id: ++counter, at: Date.now(), way, what, body }, ...lines.value].slice(0, MOST_LINES);
}

/**
 * Where the broker listens for a protocol; every listener speaks all of them unless it is told otherwise. A page that came
 * over TLS may connect over TLS only.
 */
function addressOf(spoken: Protocol, listeners: readonly Row[]): string {
  const isSecure = location.protocol === "https:";
  const usable = listeners.filter(
    (one) => text(one, "state") === "listening" && flag(one, "websocket") && (!isSecure || text(one, "tls") !== "none"),
  );
  const listener =
    usable.find((one) => text(one, "name") === spoken) ??
    usable.find((one) => texts(one, "protocols").includes(spoken)) ??
    usable.find((one) => texts(one, "protocols").length === 0);
  const port = text(listener, "port") || (spoken === "stomp" ? "61613" : "1883");
  const scheme = isSecure || text(listener, "tls") === "required" ? "wss" : "ws";
  return `${scheme}://${location.hostname}:${port}/`;
}
