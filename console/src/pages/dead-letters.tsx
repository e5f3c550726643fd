import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { number, type Row, text } from "../api/json.ts";
import { doToEach } from "../api/each.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { count, named } from "../format.ts";
import { link } from "../route.ts";
import { confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Badge, Failure, PageHead, Tabs, tabNow } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { Messages } from "./messages.tsx";
import { askRedrive, runJob, soMany } from "./move.tsx";

/** What the list of queues shows that dead letters came to. */
const GRAVE_COLUMNS: readonly Column[] = [
  { field: "name", title: "Queue", width: "minmax(200px, 2.4fr)" },
  { field: "messages", title: "Messages", kind: "number" },
  { field: "bytes", title: "Size", kind: "bytes" },
  { field: "last_at", title: "Last one came", width: "minmax(150px, 0.9fr)", show: (row) => cameAt(row, "last_at") },
  { field: "first_at", title: "First one came", width: "minmax(150px, 0.9fr)", show: (row) => cameAt(row, "first_at") },
  { field: "consumers", title: "Consumers", kind: "number" },
];

/** What the list of queues shows that gave messages up. */
const ORIGIN_COLUMNS: readonly Column[] = [
  { field: "name", title: "Queue", width: "minmax(200px, 2fr)" },
  { field: "dead_letter_queue", title: "Dead letters go to", width: "minmax(200px, 1.6fr)", show: goalOf },
  { field: "dead_lettered", title: "Given up", kind: "number" },
  { field: "expired", title: "Expired", kind: "number" },
  { field: "dropped", title: "No room", kind: "number" },
  { field: "messages", title: "Messages", kind: "number" },
];

const TABS = [
  ["queues", "Where they are"],
  ["origins", "Where they come from"],
] as const;
const again = signal(0);

/** Messages that queues gave up: the queues they came to, or the messages of one of those. */
export function DeadLettersPage({ name }: { readonly name: string | undefined }): JSX.Element {
  if (name !== undefined) return <GravePage key={name} name={name} />;
  const tab = tabNow(TABS);
  return (
    <>
      <PageHead
        title="Dead letters"
        intro="Messages that were rejected, delivered too often or not consumed in time, or that their queue had no room for."
      />
      <Tabs tabs={TABS} />
      {tab === "queues" ? (
        <Table
          label="Queues of dead letters"
          path={`${at("hosts", host.value)}/dead-letters`}
          columns={GRAVE_COLUMNS}
          name="name"
          order="-messages"
          href={(row) => link(["dead-letters", text(row, "name")])}
          empty="No message has died. Where dead letters go say dead_letter_queue, expiry_queue and dead_letter_exchange in the configuration."
          again={again}
          picked={(names, done) => <Picked names={names} done={done} />}
        />
      ) : (
        <Table
          label="Queues that gave messages up"
          path={`${at("hosts", host.value)}/queues`}
          columns={ORIGIN_COLUMNS}
          name="name"
          order="-dead_lettered"
          where="dead_lettered > 0 OR expired > 0 OR dropped > 0"
          besides={["dead_letter_exchange"]}
          href={(row) => link(["queues", text(row, "name")])}
          empty="No queue has given a message up since the broker started"
        />
      )}
    </>
  );
}

function cameAt(row: Row, field: string): JSX.Element {
  const moment = number(row, field);
  if (moment === 0) return <span class="quiet">before the start</span>;
  return <Time at={moment} as="clock" />;
}

function goalOf(row: Row): JSX.Element {
  const queue = text(row, "dead_letter_queue");
  const exchange = text(row, "dead_letter_exchange");
  if (exchange !== "") return <>the exchange {exchange}</>;
  return queue === "" ? <Badge tone="warn">nowhere</Badge> : <>{queue}</>;
}

function Picked({ names, done }: { readonly names: readonly string[]; readonly done: () => void }): JSX.Element {
  const many = names.length === 1 ? `the queue ${named(names[0] ?? "")}` : `${count(names.length)} queues`;
  return (
    <div class="actions">
      <button
        type="button"
        class="button small"
        onClick={() =>
          confirm(
            "Redrive",
            `Send all dead letters of ${many} back to where they come from?`,
            "Redrive",
            async () => {
              await doToEach(names, (name) => runJob(at("hosts", host.value, "queues", name), "redrive", {}));
              done();
            },
            names,
          )
        }
      >
        Redrive
      </button>
      <button type="button" class="button small danger" onClick={() => askPurge(names, many, done)}>
        Purge
      </button>
    </div>
  );
}

function askPurge(names: readonly string[], many: string, done: () => void): void {
  const run = async (): Promise<void> => {
    await doToEach(names, (name) =>
      ask(`${at("hosts", host.value, "queues", name)}/purge`, { method: "POST", body: {} }),
    );
    done();
  };
  confirm("Purge", `Throw away every message in ${many} that nobody holds?`, "Purge", run, names);
}

function GravePage({ name }: { readonly name: string }): JSX.Element {
  const path = at("hosts", host.value, "queues", name);
  const polled = usePolled(path, 3000);
  const held = number(polled.value.value, "messages");
  const refresh = (): void => {
    polled.again();
    again.value++;
  };
  return (
    <>
      <PageHead
        up={{ path: ["dead-letters"], title: "Dead letters" }}
        title={name}
        intro={
          polled.value.value !== undefined && (
            <>
              {soMany(held)}, <a href={link(["queues", name])}>the queue itself</a>
            </>
          )
        }
      >
        <button type="button" class="button primary" onClick={() => askRedrive(path, undefined, refresh)}>
          <Icon name="refresh" /> Redrive all
        </button>
        <button
          type="button"
          class="button danger"
          onClick={() => askPurge([name], `the queue ${named(name)}`, refresh)}
        >
          Purge
        </button>
      </PageHead>
      <Failure text={polled.failure.value} />
      <Messages path={path} name={name} dead again={again} />
    </>
  );
}
