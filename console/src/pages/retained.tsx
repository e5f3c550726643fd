import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { doToEach } from "../api/each.ts";
import { type Row, text } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { count, named } from "../format.ts";
import { askFor, confirm, openDialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Failure, PageHead } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { say } from "../ui/toast.tsx";
import { SHOWN_BODY, WHOLE_BODY } from "./body.tsx";
import { MessageView } from "./message.tsx";

/** What the list of retained messages shows. */
const RETAINED_COLUMNS: readonly Column[] = [
  { field: "topic", title: "Topic", width: "minmax(240px, 4fr)" },
  { field: "bytes", title: "Size", kind: "bytes" },
];

const again = signal(0);

/** The messages that topics keep for subscribers to come. */
export function RetainedPage(): JSX.Element {
  return (
    <>
      <PageHead title="Retained messages" intro="The last message of a topic, for whoever subscribes later.">
        <button type="button" class="button primary" onClick={set}>
          <Icon name="plus" /> Retain a message
        </button>
      </PageHead>
      <Table
        label="Retained messages"
        path={`${at("hosts", host.value)}/retained`}
        columns={RETAINED_COLUMNS}
        name="topic"
        onOpen={(row) => {
          const topic = text(row, "topic");
          openDialog(topic, () => <Retained topic={topic} />);
        }}
        empty="No topic retains a message"
        again={again}
        picked={(topics, done) => (
          <button
            type="button"
            class="button small danger"
            onClick={() =>
              confirm(
                "Clear",
                `Have ${topics.length === 1 ? `the topic ${named(topics[0] ?? "")}` : `${count(topics.length)} topics`} retain nothing?`,
                "Clear",
                async () => {
                  await doToEach(topics, (topic) =>
                    ask(at("hosts", host.value, "retained", topic), { method: "DELETE" }),
                  );
                  done();
                },
                topics,
              )
            }
          >
            Clear
          </button>
        )}
      />
    </>
  );
}

function Retained({ topic }: { readonly topic: string }): JSX.Element {
  const polled = usePolled(at("hosts", host.value, "retained", topic), 0, SHOWN_BODY);
  const load = async (): Promise<Row> => {
    const whole = await ask(at("hosts", host.value, "retained", topic), { query: WHOLE_BODY });
    return whole;
  };
  const message = polled.value.value;
  return (
    <div class="dialog-body padded">
      <Failure text={polled.failure.value} />
      {message !== undefined && <MessageView message={message} load={load} />}
    </div>
  );
}

function set(): void {
  askFor({
    title: "Retain a message",
    intro: "The topic keeps it for subscribers to come; it is not published to those there are.",
    fields: [
      { name: "topic", label: "Topic", required: true, wide: true },
      { name: "body", label: "Body", kind: "area" },
    ],
    action: "Retain",
    run: async ({ topic = "", body = "" }) => {
      await ask(at("hosts", host.value, "retained", topic), { method: "PUT", body: { body } });
      say(`The topic ${topic} retains it`);
      again.value++;
    },
  });
}
