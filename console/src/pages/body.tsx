import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { flag, number, type Row, text } from "../api/json.ts";
import { bytes } from "../format.ts";
import { offer } from "../ui/offer.ts";
import { Segments } from "../ui/parts.tsx";
import { attempt } from "../ui/toast.tsx";

/** As much of a body as is shown, and as much of it as the broker gives. */
export const SHOWN_BODY = { body: "base64", max_body: 256 * 1024 } as const;
export const WHOLE_BODY = { body: "base64", max_body: 16 * 1024 * 1024 } as const;

type View = "text" | "json" | "hex";

const VIEWS = [
  ["text", "Text"],
  ["json", "JSON"],
  ["hex", "Hex"],
] as const;
/** Bytes shown as hexadecimal; more of them make the page slow and tell nobody anything. */
const MOST_HEX = 16 * 1024;
const LINE = 16;

interface BodyProps {
  readonly message: Row;
  readonly load: () => Promise<Row | undefined>;
}

/** The body of a message, which was asked for as base64, as what it seems to be, or as somebody wants to see it. */
export function Body({ message, load }: BodyProps): JSX.Element {
  const isCut = flag(message, "body_truncated");
  const body = text(message, "body");
  const { raw, decoded, json } = useMemo(() => viewsOf(body, isCut), [body, isCut]);
  const [chosen, setChosen] = useState<View | undefined>(undefined);
  const view = chosen ?? (json !== undefined ? "json" : decoded !== undefined ? "text" : "hex");
  return (
    <div class="stack">
      <div class="actions spread">
        <Segments label="View" choices={VIEWS} value={view} onChoose={setChosen} />
        <span class="quiet">
          {bytes(number(message, "body_bytes"))}
          {isCut && `, of which the first ${bytes(raw.length)} are shown`}
        </span>
        <button type="button" class="button small" onClick={() => void attempt(() => save(message, load), "")}>
          Save
        </button>
      </div>
      {view === "hex" ? (
        <pre class="bytes" tabIndex={0}>
          {hex(raw)}
        </pre>
      ) : (
        <pre class="source" tabIndex={0}>
          {view === "json" ? (json ?? noJson(isCut)) : (decoded ?? new TextDecoder().decode(raw))}
        </pre>
      )}
    </div>
  );
}

interface Views {
  readonly raw: Uint8Array<ArrayBuffer>;
  readonly decoded: string | undefined;
  readonly json: string | undefined;
}

function viewsOf(base64: string, isCut: boolean): Views {
  const raw = bytesOf(base64);
  const decoded = decode(raw, isCut);
  return { raw, decoded, json: decoded === undefined || isCut ? undefined : indented(decoded) };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function noJson(isCut: boolean): string {
  return isCut ? "Too long to be shown as JSON; Save has all of it" : "This is no JSON";
}

/** Gives the whole body to the browser as a file. */
async function save(message: Row, load: () => Promise<Row | undefined>): Promise<void> {
  const whole = flag(message, "body_truncated") ? await load() : message;
  if (whole === undefined) throw new Error("The message is not there any more");
  if (flag(whole, "body_truncated")) {
    throw new Error(`The body is longer than the broker shows of one: consume or copy the message instead`);
  }
  const name = text(message, "sequence") || text(message, "message_id") || "retained";
  offer(new Blob([bytesOf(text(whole, "body"))]), `message-${name.replaceAll(/[^\w.-]+/g, "_")}.bin`);
}

/** Text if it is; what is cut may end within a character. */
function decode(raw: Uint8Array, isCut: boolean): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(raw, { stream: isCut });
  } catch {
    return undefined;
  }
}

function indented(source: string): string | undefined {
  if (!/^\s*[[{]/.test(source)) return undefined;
  try {
    return JSON.stringify(JSON.parse(source), null, 2);
  } catch {
    return undefined;
  }
}

function hex(raw: Uint8Array): string {
  const lines: string[] = [];
  for (let start = 0; start < Math.min(raw.length, MOST_HEX); start += LINE) {
    const line = raw.subarray(start, start + LINE);
    const codes = Array.from(line, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const signs = Array.from(line, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${start.toString(16).padStart(8, "0")}  ${codes.padEnd(LINE * 3 - 1)}  ${signs}`);
  }
  if (raw.length > MOST_HEX) lines.push("...");
  return lines.join("\n");
}
