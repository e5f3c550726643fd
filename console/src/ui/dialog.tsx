import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { reasonOf } from "../api/request.ts";
import { type Field, type Filled, Form } from "./form.tsx";
import { Icon } from "./icon.tsx";

interface Shown {
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
  shown.value = { title, content, small };
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
  return (
    <>
      <div class="dialog-body">
        {intro !== undefined && <p class="field">{intro}</p>}
        <Form id={id} fields={fields} action={action} onSubmit={run} bare />
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={cancel}>
          Cancel
        </button>
        <button type="submit" form={id} class={danger === true ? "button primary danger" : "button primary"}>
          {action}
        </button>
      </footer>
    </>
  );
}

/** Asks whether something is meant. */
export function confirm(title: string, question: string, action: string, run: () => Promise<void>): void {
  openDialog(title, (closeIt) => <Question question={question} action={action} run={run} close={closeIt} />, true);
}

interface QuestionProps {
  readonly question: string;
  readonly action: string;
  readonly run: () => Promise<void>;
  readonly close: () => void;
}

function Question({ question, action, run, close: cancel }: QuestionProps): JSX.Element {
  const [failure, setFailure] = useState("");
  const carryOut = async (): Promise<void> => {
    try {
      await run();
      cancel();
    } catch (error) {
      setFailure(reasonOf(error));
    }
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
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" autofocus onClick={cancel}>
          Cancel
        </button>
        <button type="button" class="button primary danger" onClick={() => void carryOut()}>
          {action}
        </button>
      </footer>
    </>
  );
}

/** Where dialogs are shown. */
export function Dialogs(): JSX.Element | null {
  const current = shown.value;
  return current === undefined ? null : (
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

function Dialog({ title, small, children }: DialogProps): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Before anything that is typed meanwhile comes.
  useLayoutEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    element.current?.querySelector<HTMLElement>("[autofocus], .dialog-body input, .dialog-body textarea")?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
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
