import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { rows, text } from "../api/json.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { link } from "../route.ts";
import { Badge, PageHead } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { askRedrive } from "./move.tsx";

/** What the list of queues shows that give messages up; where those go is a link if it is there. */
function columnsOf(graves: ReadonlySet<string>): readonly Column[] {
  return [
    { field: "name", title: "Queue", width: "minmax(200px, 2fr)" },
    {
      field: "dead_letter_queue",
      title: "Dead letters go to",
      width: "minmax(200px, 1.6fr)",
      show: (row) => {
        const grave = text(row, "dead_letter_queue");
        if (grave === "") return <Badge tone="warn">nowhere</Badge>;
        if (!graves.has(grave)) return <span class="quiet">{grave}</span>;
        return (
          <a href={link(["queues", grave], { tab: "messages" })} tabIndex={-1}>
            {grave}
          </a>
        );
      },
    },
    { field: "messages", title: "Messages", kind: "number" },
    { field: "dead_lettered", title: "Given up", kind: "number" },
    { field: "expired", title: "Expired", kind: "number" },
    { field: "returned", title: "Returned", kind: "number" },
  ];
}

/** Queues asked for by name at a time; a filter has a length. */
const MOST_GRAVES = 40;
const MOST_SOURCES = 1000;

/** Messages that queues gave up, and the queues they came from. */
export function DeadLettersPage(): JSX.Element {
  const graves = useGraves();
  const path = `${at("hosts", host.value)}/queues`;
  return (
    <>
      <PageHead
        title="Dead letters"
        intro="Messages that were delivered too often, rejected, or not consumed in time, with their reason and origin."
      />
      {graves.length > 0 && (
        <section class="card" aria-label="Queues of dead letters">
          <header>
            <h2>Where they are</h2>
          </header>
          <div class="scroll">
            <table class="plain-table">
              <thead>
                <tr>
                  <th>Queue</th>
                  <th class="number">Messages</th>
                  <th aria-label="Actions" />
                </tr>
              </thead>
              <tbody>
                {graves.map(({ name, messages, again }) => (
                  <tr key={name}>
                    <td class="break">
                      <a href={link(["queues", name], { tab: "messages" })}>{name}</a>
                    </td>
                    <td class="number">{messages}</td>
                    <td class="number">
                      <button
                        type="button"
                        class="button small"
                        onClick={() => askRedrive(at("hosts", host.value, "queues", name), undefined, again)}
                      >
                        Redrive
                      </button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
      <Table
        label="Queues that give messages up"
        path={path}
        columns={columnsOf(new Set(graves.map(({ name }) => name)))}
        name="name"
        order="-dead_lettered"
        href={(row) => link(["queues", text(row, "name")])}
        empty="There are no queues"
      />
    </>
  );
}

interface Grave {
  readonly name: string;
  readonly messages: string;
  readonly again: () => void;
}

/** The queues that others name as theirs for dead letters, if they are there. */
function useGraves(): readonly Grave[] {
  const [found, setFound] = useState<readonly Grave[]>([]);
  const name = host.value;
  const load = (): void => {
    void findGraves(name).then(
      (names) => setFound(names.map((one) => ({ ...one, again: load }))),
      () => undefined,
    );
  };
  useEffect(load, [name]);
  return found;
}

async function findGraves(hostName: string): Promise<{ readonly name: string; readonly messages: string }[]> {
  const path = `${at("hosts", hostName)}/queues`;
  const sources = await ask(path, {
    query: { f: "dead_letter_queue", q: "dead_letter_queue IS NOT NULL", o: "-dead_lettered", ps: MOST_SOURCES },
  });
  const names = [...new Set(rows(sources, "items").map((row) => text(row, "dead_letter_queue")))].slice(0, MOST_GRAVES);
  if (names.length === 0) return [];
  const quoted = names.map((name) => `'${name.replaceAll("'", "''")}'`);
  const graves = await ask(path, { query: { f: "name,messages", q: `name IN (${quoted.join(",")})`, o: "-messages" } });
  return rows(graves, "items").map((row) => ({ name: text(row, "name"), messages: text(row, "messages") }));
}
