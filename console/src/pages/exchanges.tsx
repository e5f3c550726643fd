import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { doToEach } from "../api/each.ts";
import { brief, number, record, type Row, text } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { count, named } from "../format.ts";
import { go, link } from "../route.ts";
import { askFor, confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Failure, PageHead, Tabs, tabNow, Tiles } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { say } from "../ui/toast.tsx";
import { Producers } from "./producers.tsx";
import { openPublish } from "./publish.tsx";

/** The default exchange has no name; this is what it is called in addresses. */
const DEFAULT = "amq.default";

/** What the list of exchanges shows. */
const EXCHANGE_COLUMNS: readonly Column[] = [
  { field: "name", title: "Exchange", width: "minmax(180px, 2fr)", show: (row) => nameOf(row) },
  { field: "type", title: "Type", width: "100px" },
  { field: "durable", title: "Durable", kind: "yes", width: "90px" },
  { field: "alternate", title: "Alternate" },
  { field: "bindings", title: "Bindings", kind: "number" },
  { field: "received", title: "Received", kind: "number" },
  { field: "delivered", title: "Led on", kind: "number" },
  { field: "lost", title: "Lost", kind: "number" },
];

/** What the list of an exchange's bindings shows. */
const BINDING_COLUMNS: readonly Column[] = [
  { field: "key", title: "Routing key", width: "minmax(160px, 1.4fr)", show: (row) => text(row, "key") || "(any)" },
  { field: "destination_kind", title: "To", width: "120px" },
  { field: "destination", title: "Name", width: "minmax(160px, 1.4fr)" },
  { field: "arguments", title: "Arguments", ordered: false, show: (row) => argumentsOf(row) },
  { field: "durable", title: "Durable", kind: "yes", width: "90px" },
];

const TABS = [
  ["bindings", "Bindings"],
  ["producers", "Producers"],
] as const;
const again = signal(0);

/** All exchanges of a virtual host, or one of them with its bindings. */
export function ExchangesPage({ name }: { readonly name: string | undefined }): JSX.Element {
  if (name !== undefined) return <ExchangePage key={name} name={name} />;
  return (
    <>
      <PageHead title="Exchanges" intro="Lead messages on by their routing keys or headers, and keep none.">
        <button type="button" class="button primary" onClick={declare}>
          <Icon name="plus" /> New exchange
        </button>
      </PageHead>
      <Table
        label="Exchanges"
        path={`${at("hosts", host.value)}/exchanges`}
        columns={EXCHANGE_COLUMNS}
        name="name"
        href={(row) => link(["exchanges", nameOf(row)])}
        again={again}
      />
    </>
  );
}

function ExchangePage({ name }: { readonly name: string }): JSX.Element {
  const path = at("hosts", host.value, "exchanges", name);
  const polled = usePolled(path, 2000);
  const row = polled.value.value;
  const tab = tabNow(TABS);
  return (
    <>
      <PageHead up={{ path: ["exchanges"], title: "Exchanges" }} title={name} intro={introOf(row)}>
        <button type="button" class="button primary" onClick={() => bind(name)}>
          <Icon name="plus" /> Bind
        </button>
        <button
          type="button"
          class="button"
          disabled={text(row, "name") === "" || row?.["internal"] === true}
          onClick={() => openPublish({ kind: "exchange", name: text(row, "name") }, polled.again)}
        >
          <Icon name="send" /> Publish
        </button>
        <button
          type="button"
          class="button danger"
          disabled={row?.["predeclared"] === true}
          onClick={() =>
            confirm("Delete", `Delete the exchange ${named(name)} with all its bindings?`, "Delete", async () => {
              await ask(path, { method: "DELETE" });
              go(["exchanges"]);
            })
          }
        >
          <Icon name="trash" /> Delete
        </button>
      </PageHead>
      <Failure text={polled.failure.value} />
      <Tiles
        tiles={[
          { label: "Received", value: count(number(row, "received")) },
          { label: "Led on", value: count(number(row, "delivered")) },
          { label: "Lost", value: count(number(row, "lost")) },
          { label: "Bindings", value: count(number(row, "bindings")) },
        ]}
      />
      <Tabs tabs={TABS} />
      {tab === "producers" ? <Producers path={path} /> : <Bindings path={path} />}
    </>
  );
}

function Bindings({ path }: { readonly path: string }): JSX.Element {
  return (
    <Table
      label="Bindings"
      path={`${path}/bindings`}
      columns={BINDING_COLUMNS}
      name="id"
      filtered={false}
      empty="Nothing is bound to it"
      again={again}
      picked={(ids, done) => (
        <button
          type="button"
          class="button small danger"
          onClick={() =>
            confirm(
              "Unbind",
              `Take ${ids.length === 1 ? "this binding" : `${ids.length} bindings`} back?`,
              "Unbind",
              async () => {
                await doToEach(ids, (id) => ask(at("hosts", host.value, "bindings", id), { method: "DELETE" }));
                done();
              },
            )
          }
        >
          Unbind
        </button>
      )}
    />
  );
}

function nameOf(row: Row): string {
  return text(row, "name") || DEFAULT;
}

function introOf(row: Row | undefined): string {
  if (row === undefined) return "";
  const said = [
    text(row, "type"),
    row["durable"] === true ? "durable" : "",
    row["internal"] === true ? "internal" : "",
  ];
  return said.filter(Boolean).join(", ");
}

function argumentsOf(row: Row): string {
  return Object.entries(record(row, "arguments"))
    .map(([name, value]) => `${name}=${brief(value)}`)
    .join(", ");
}

function declare(): void {
  askFor({
    title: "New exchange",
    fields: [
      { name: "name", label: "Name", required: true },
      { name: "type", label: "Type", kind: "choice", choices: ["direct", "fanout", "topic", "headers"] },
      { name: "alternate", label: "Alternate exchange", placeholder: "none" },
      { name: "durable", label: "Durable", kind: "check", value: "true", hint: "there again after a restart" },
    ],
    action: "Create",
    run: async ({ name = "", type = "direct", alternate = "", durable }) => {
      const body = { type, durable: durable === "true", ...(alternate === "" ? {} : { alternate }) };
      await ask(at("hosts", host.value, "exchanges", name), { method: "PUT", body });
      say(`The exchange ${name} is there`);
      again.value++;
    },
  });
}

function bind(source: string): void {
  askFor({
    title: `Bind to ${source}`,
    fields: [
      { name: "destination_kind", label: "What", kind: "choice", choices: ["queue", "exchange"] },
      { name: "destination", label: "Name", required: true },
      {
        name: "key",
        label: "Routing key",
        wide: true,
        hint: "Of a topic exchange: * is one word, # any number of them",
      },
    ],
    action: "Bind",
    run: async ({ destination_kind: kind = "queue", destination = "", key = "" }) => {
      const body = { source, destination, destination_kind: kind, key };
      await ask(`${at("hosts", host.value)}/bindings`, { method: "POST", body });
      say(`${destination} gets what comes with ${key || "any key"}`);
      again.value++;
    },
  });
}
