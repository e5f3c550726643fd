import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { reasonOf } from "../api/request.ts";
import { visit } from "../api/session.ts";
import { Icon } from "./icon.tsx";

interface Toast {
  readonly id: number;
  readonly text: string;
  readonly bad: boolean;
}

const SHOWN_MS = 6000;
const MOST = 4;
const toasts = signal<readonly Toast[]>([]);
let counter = 0;

// What one user was told is not for another.
visit.subscribe(() => {
  toasts.value = [];
});

/** Says what was done, for a few seconds. */
export function say(text: string): void {
  show(text, false);
}

/** Says what went wrong, for a while longer. */
export function complain(text: string): void {
  show(text, true);
}

/** Does something, and says what came of it. Returns whether it was done. */
export async function attempt(work: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await work();
    if (done !== "") show(done, false);
    return true;
  } catch (error) {
    show(reasonOf(error), true);
    return false;
  }
}

function show(text: string, bad: boolean): void {
  const id = ++counter;
  toasts.value = [...toasts.value, { id, text, bad }].slice(-MOST);
  window.setTimeout(() => dismiss(id), bad ? 2 * SHOWN_MS : SHOWN_MS);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

/** Where it is said. */
export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, bad }) => (
        <div key={id} class={bad ? "toast bad" : "toast"} role={bad ? "alert" : undefined}>
          <span>{text}</span>
          <button type="button" class="button plain icon small" aria-label="Dismiss" onClick={() => dismiss(id)}>
            <Icon name="close" size={14} />
          </button>
        </div>
      ))}
    </div>
  );
}
