import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { count } from "../format.ts";
import { reasonOf } from "../api/request.ts";
import { visit } from "../api/session.ts";
import { type Field, type Filled, Form, useHere } from "./form.tsx";
import { Icon } from "./icon.tsx";
import { complain } from "./toast.tsx";

interface Shown {
  /** Whose it is. */
  readonly visit: number;
  readonly title: string;
  readonly content: (close: () => void) => JSX.Element;
  readonly small: boolean;
}

const shown = signal<Shown | undefined>(undefined);

function close(): void {
  shown.value = undefined;
}

/** Shows something before everything else, until it is closed. */
export function openDialog(title: string, content: (close: () => void) => JSX.Element, small = false): void {
  shown.value = { visit: visit.peek(), title, content, small };
}

/** A form in a dialog, which closes when what was asked for is done. */
export interface FormDialog {
  readonly title: string;
  readonly intro?: string;
  readonly fields: readonly Field[];
  readonly action: string;
  readonly danger?: boolean;
  readonly run: (filled: Filled) => Promise<void>;
}

/** Asks for what is needed to do something. */
export function askFor({ title, intro, fields, action, danger = false, run }: FormDialog): void {
  openDialog(title, (closeIt) => (
    <FormContent
      intro={intro}
      fields={fields}
      action={action}
      danger={danger}
      run={async (filled) => {
        await run(filled);
        closeIt();
      }}
      close={closeIt}
    />
  ));
}

interface FormContentProps extends Omit<FormDialog, "title" | "intro"> {
  readonly intro: string | undefined;
  readonly close: () => void;
}

function FormContent({ intro, fields, action, danger, run, close: cancel }: FormContentProps): JSX.Element {
  const id = useId();
  const [busy, setBusy] = useState(false);
  return (
    <>
      <div class="dialog-body">
        {intro !== undefined && <p class="field">{intro}</p>}
        <Form id={id} fields={fields} action={action} onSubmit={run} onBusy={setBusy} bare />
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={cancel}>
          Cancel
        </button>
        <button
          type="submit"
          form={id}
          class={danger === true ? "button primary danger" : "button primary"}
          aria-disabled={busy}
        >
          {action}
        </button>
      </footer>
    </>
  );
}

/** Asks whether something is meant; `names` are what it is about, when that is more than the question says. */
export function confirm(
  title: string,
  question: string,
  action: string,
  run: () => Promise<void>,
  names: readonly string[] = [],
): void {
  openDialog(
    title,
    (closeIt) => <Question question={question} names={names} action={action} run={run} close={closeIt} />,
    true,
  );
}

interface QuestionProps {
  readonly question: string;
  readonly names: readonly string[];
  readonly action: string;
  readonly run: () => Promise<void>;
  readonly close: () => void;
}

const MOST_NAMES = 8;

function Question({ question, names, action, run, close: cancel }: QuestionProps): JSX.Element {
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const here = useHere();
  const carryOut = async (): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setFailure("");
    try {
      await run();
      if (here.current) cancel();
    } catch (error) {
      // Who closed the dialog meanwhile is told all the same.
      if (here.current) setFailure(reasonOf(error));
      else complain(reasonOf(error));
    }
    setBusy(false);
  };
  return (
    <>
      <div class="dialog-body">
        {failure !== "" && (
          <p class="failure" role="alert">
            {failure}
          </p>
        )}
        <p class="field">{question}</p>
        {names.length > 1 && (
          <ul class="names">
            {names.slice(0, MOST_NAMES).map((name) => (
              <li key={name}>
                <bdi>{name}</bdi>
              </li>
            ))}
          </ul>
        )}
        {names.length > MOST_NAMES && <p class="field quiet">and {count(names.length - MOST_NAMES)} more</p>}
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" autofocus onClick={cancel}>
          Cancel
        </button>
        <button
          type="button"
          class="button primary danger"
          aria-disabled={busy}
          aria-busy={busy}
          onClick={() => void carryOut()}
        >
          {busy ? "Working" : action}
        </button>
      </footer>
    </>
  );
}

/** Where dialogs are shown. */
export function Dialogs(): JSX.Element | null {
  const current = shown.value;
  return current === undefined || current.visit !== visit.value ? null : (
    <Dialog key={current} title={current.title} small={current.small}>
      {current.content(close)}
    </Dialog>
  );
}

interface DialogProps {
  readonly title: string;
  readonly small: boolean;
  readonly children: ComponentChildren;
}

/** What is to be filled in or decided first. */
const FIRST = "[autofocus], .dialog-body input, .dialog-body select, .dialog-body textarea";

function Dialog({ title, small, children }: DialogProps): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Before anything that is typed meanwhile comes.
  useLayoutEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    element.current?.querySelector<HTMLElement>(FIRST)?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
      // What it was opened with may go, together with what it was about.
      requestAnimationFrame(() => {
        if (document.activeElement === document.body) document.querySelector<HTMLElement>("main")?.focus();
      });
    };
  }, []);
  return (
    <dialog ref={element} class={small ? "small" : ""} aria-labelledby={id} onClose={close}>
      <header class="dialog-head">
        <h2 id={id}>{title}</h2>
        <button type="button" class="button plain icon" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      {children}
    </dialog>
  );
}
