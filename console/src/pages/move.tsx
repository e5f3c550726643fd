import { type Json, number, type Row, text } from "../api/json.ts";
import { ask, at } from "../api/request.ts";
import { host } from "../api/session.ts";
import { count } from "../format.ts";
import { askFor } from "../ui/dialog.tsx";
import type { Field, Filled } from "../ui/form.tsx";
import { say } from "../ui/toast.tsx";

/** How long a job is waited for before it is left to itself; the page of jobs shows it. */
const PATIENCE_MS = 3000;
const LOOK_MS = 150;

const WHICH: readonly Field[] = [
  { name: "selector", label: "Only those that match", placeholder: "every message", wide: true },
  { name: "max", label: "How many at most", kind: "number", placeholder: "all" },
];
const RATE: Field = {
  name: "per_second",
  label: "A second at most",
  kind: "number",
  placeholder: "as fast as it goes",
};

/** Asks where messages are to go, and takes them there: those at the places given, or those that a selector matches. */
export function askMove(path: string, sequences: readonly number[] | undefined, done: () => void): void {
  askFor({
    title: sequences === undefined ? "Move or copy messages" : `Move or copy ${soMany(sequences.length)}`,
    fields: [
      {
        name: "how",
        label: "What to do",
        kind: "choice",
        choices: [
          ["move", "Move"],
          ["copy", "Copy"],
        ],
      },
      { name: "kind", label: "To", kind: "choice", choices: ["queue", "topic"] },
      { name: "name", label: "Name", required: true, wide: true, hint: "It is made if it is not there." },
      ...(sequences === undefined ? [...WHICH, RATE] : []),
    ],
    action: "Start",
    run: async (filled) => {
      const { how = "move", kind = "queue", name = "" } = filled;
      const rate = how === "move" ? rateOf(filled) : {};
      await runJob(path, how, { to: { kind, name }, ...which(filled, sequences), ...rate });
      done();
    },
  });
}

/** Asks which dead letters are to go back to where they come from. */
export function askRedrive(path: string, sequences: readonly number[] | undefined, done: () => void): void {
  askFor({
    title: sequences === undefined ? "Redrive dead letters" : `Redrive ${soMany(sequences.length)}`,
    intro: "Dead letters go back to the queue or the durable subscription they come from. Other messages stay.",
    fields: sequences === undefined ? [...WHICH, RATE] : [],
    action: "Redrive",
    run: async (filled) => {
      await runJob(path, "redrive", { ...which(filled, sequences), ...rateOf(filled) });
      done();
    },
  });
}

/** Begins something that is done to many messages, and says what came of it if that does not take long. */
export async function runJob(path: string, kind: string, body: { readonly [name: string]: Json }): Promise<void> {
  let job = await ask(`${path}/${kind}`, { method: "POST", body });
  const until = Date.now() + PATIENCE_MS;
  while (text(job, "state") === "running" && Date.now() < until) {
    await new Promise((resolve) => window.setTimeout(resolve, LOOK_MS));
    job = await ask(at("hosts", host.value, "jobs", text(job, "id")));
  }
  say(outcomeOf(kind, job));
}

function outcomeOf(kind: string, job: Row): string {
  const skipped = number(job, "skipped");
  const beside = skipped === 0 ? "" : `, ${count(skipped)} stayed`;
  const state = text(job, "state");
  const end = state === "finished" ? "" : ` (${state})`;
  return `${kind}: ${soMany(number(job, "done"))}${beside}${end}`;
}

/** So many messages, in words. */
export function soMany(messages: number): string {
  return messages === 1 ? "1 message" : `${count(messages)} messages`;
}

function which(filled: Filled, sequences: readonly number[] | undefined): { readonly [name: string]: Json } {
  if (sequences !== undefined) return { sequences };
  const { selector = "", max = "" } = filled;
  return { ...(selector.trim() === "" ? {} : { selector }), ...(max === "" ? {} : { max: Number(max) }) };
}

function rateOf({ per_second: rate = "" }: Filled): { readonly [name: string]: Json } {
  return rate === "" ? {} : { per_second: Number(rate) };
}
