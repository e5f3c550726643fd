import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { reasonOf } from "../api/request.ts";
import { complain } from "./toast.tsx";

/** One thing to fill in. */
export interface Field {
  readonly name: string;
  readonly label: string;
  readonly kind?: "text" | "password" | "number" | "area" | "choice" | "check";
  readonly choices?: readonly (string | readonly [value: string, label: string])[];
  readonly value?: string;
  readonly hint?: string;
  readonly placeholder?: string;
  readonly required?: boolean;
  /** What a browser may fill in by itself. */
  readonly autocomplete?: "username" | "current-password" | "new-password";
  readonly wide?: boolean;
}

/** What was filled in, by name; a check that is set is "true". */
export type Filled = Readonly<Record<string, string>>;

/** A form: its fields, what is done with them, and what went wrong when that failed. */
export interface FormProps {
  readonly id?: string;
  readonly fields: readonly Field[];
  readonly action: string;
  readonly danger?: boolean;
  readonly onSubmit: (filled: Filled) => Promise<void>;
  /** Whether the button is somewhere else, and submits by `id`. */
  readonly bare?: boolean;
  /** Told when it begins to do something, and when that is over. */
  readonly onBusy?: (busy: boolean) => void;
}

/** Whether what asks is still shown. */
export function useHere(): { readonly current: boolean } {
  const here = useRef(true);
  useEffect(
    () => () => {
      here.current = false;
    },
    [],
  );
  return here;
}

/** The one form of the console. */
export function Form({ id, fields, action, danger = false, onSubmit, bare = false, onBusy }: FormProps): JSX.Element {
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const here = useHere();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy || !(event.currentTarget instanceof HTMLFormElement)) return;
    const data = new FormData(event.currentTarget);
    setBusy(true);
    onBusy?.(true);
    setFailure("");
    try {
      await onSubmit(
        Object.fromEntries(Array.from(data, ([name, value]) => [name, typeof value === "string" ? value : ""])),
      );
    } catch (error) {
      // Who closed it meanwhile is told all the same.
      if (here.current) setFailure(reasonOf(error));
      else complain(reasonOf(error));
    }
    setBusy(false);
    onBusy?.(false);
  };
  return (
    <form id={id} onSubmit={(event) => void submit(event)}>
      {failure !== "" && (
        <p class="failure" role="alert">
          {failure}
        </p>
      )}
      <div class="form-grid">
        {fields.map((field) => (
          <FormField key={field.name} field={field} />
        ))}
      </div>
      {!bare && (
        <button type="submit" class={danger ? "button primary danger" : "button primary"} aria-disabled={busy}>
          {action}
        </button>
      )}
    </form>
  );
}

function FormField({ field }: { readonly field: Field }): JSX.Element {
  const id = useId();
  const { label, kind, hint, wide = kind === "area" } = field;
  return (
    <div class={wide ? "field wide" : "field"}>
      {kind === "check" ? (
        <span class="label" id={`${id}-label`}>
          {label}
        </span>
      ) : (
        <label for={id}>{label}</label>
      )}
      <Control id={id} field={field} />
      {hint !== undefined && kind !== "check" && <small id={`${id}-hint`}>{hint}</small>}
    </div>
  );
}

function Control({ id, field }: { readonly id: string; readonly field: Field }): JSX.Element {
  const { name, kind = "text", choices = [], value = "", placeholder, required = false, hint, autocomplete } = field;
  const described = hint === undefined ? undefined : `${id}-hint`;
  if (kind === "check") {
    return (
      <label class="check">
        <input
          type="checkbox"
          id={id}
          name={name}
          value="true"
          defaultChecked={value === "true"}
          aria-labelledby={`${id}-label`}
          aria-describedby={described}
        />
        <span id={described}>{hint}</span>
      </label>
    );
  }
  if (kind === "area") {
    return (
      <textarea
        id={id}
        name={name}
        aria-describedby={described}
        defaultValue={value}
        placeholder={placeholder}
        required={required}
        spellcheck={false}
      />
    );
  }
  if (kind === "choice") {
    return (
      <select id={id} name={name} defaultValue={value} aria-describedby={described}>
        {choices.map((choice) => {
          const [given, label] = typeof choice === "string" ? [choice, choice] : choice;
          return (
            <option key={given} value={given} selected={given === value}>
              {label}
            </option>
          );
        })}
      </select>
    );
  }
  const common = {
    "aria-describedby": described,
    class: "input",
    id,
    name,
    defaultValue: value,
    placeholder,
    required,
    spellcheck: false,
  } as const;
  if (kind === "number") return <input {...common} type="number" min={0} />;
  if (kind === "password") return <input {...common} type="password" autocomplete={autocomplete ?? "off"} />;
  return <input {...common} type="text" autocomplete={autocomplete ?? "off"} />;
}
