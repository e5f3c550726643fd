import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { rows, text } from "../api/json.ts";
import { filterOf } from "../api/list.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import type { Page } from "../pages.tsx";
import { link } from "../route.ts";
import { openDialog } from "./dialog.tsx";

interface Goal {
  readonly href: string;
  readonly title: string;
  readonly what: string;
}

const TYPING_MS = 150;
const MOST_NAMES = 6;

/** Opens the way to anything by its name. */
export function openJump(pages: readonly Page[]): void {
  openDialog("Go to", (close) => <Jump pages={pages} close={close} />);
}

function Jump({ pages, close }: { readonly pages: readonly Page[]; readonly close: () => void }): JSX.Element {
  const [typed, setTyped] = useState("");
  const [named, setNamed] = useState<readonly Goal[]>([]);
  const [chosen, setChosen] = useState(0);
  useEffect(() => {
    if (typed.trim() === "") {
      setNamed([]);
      return undefined;
    }
    const abort = new AbortController();
    const timer = window.setTimeout(() => {
      void find(typed, abort.signal).then(setNamed, () => undefined);
    }, TYPING_MS);
    return () => {
      window.clearTimeout(timer);
      abort.abort();
    };
  }, [typed]);
  const wanted = typed.trim().toLowerCase();
  const goals = [
    ...pages
      .filter(({ title, hidden }) => hidden !== true && title.toLowerCase().includes(wanted))
      .map(({ id, title }) => ({ href: link([id]), title, what: "page" })),
    ...named,
  ].slice(0, 12);
  const current = Math.min(chosen, Math.max(0, goals.length - 1));
  const id = useId();
  return (
    <div class="dialog-body">
      <input
        class="input"
        role="combobox"
        aria-label="Name"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={goals.length === 0 ? undefined : `${id}-${current}`}
        autocomplete="off"
        placeholder="A page, or part of the name of a queue, topic or durable subscription"
        spellcheck={false}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setChosen(Math.min(current + 1, goals.length - 1));
          else if (event.key === "ArrowUp") setChosen(Math.max(0, current - 1));
          else if (event.key === "Enter") {
            const goal = goals[current];
            if (goal !== undefined) location.hash = goal.href;
            close();
          } else return;
          event.preventDefault();
        }}
      />
      <ul class="jump-list" role="listbox" id={id} aria-label="Places to go to">
        {goals.map(({ href, title, what }, index) => (
          <li key={href} id={`${id}-${index}`} role="option" aria-selected={index === current}>
            <a href={href} tabIndex={-1} class={index === current ? "chosen" : undefined} onClick={close}>
              {title} <small>{what}</small>
            </a>
          </li>
        ))}
      </ul>
      {goals.length === 0 && (
        <p class="field quiet" role="status">
          Nothing has such a name
        </p>
      )}
    </div>
  );
}

async function find(typed: string, signal: AbortSignal): Promise<Goal[]> {
  const kinds = [
    ["queues", "name", "queue"],
    ["topics", "name", "topic"],
    ["durable-subscriptions", "id", "durable subscription"],
  ] as const;
  const found = await Promise.all(
    kinds.map(async ([kind, name, what]) => {
      const query = { f: name, q: filterOf(typed, name), ps: MOST_NAMES };
      const page = await ask(`${at("hosts", host.value)}/${kind}`, { query, signal });
      return rows(page, "items").map((row) => ({ href: link([kind, text(row, name)]), title: text(row, name), what }));
    }),
  );
  return found.flat();
}
