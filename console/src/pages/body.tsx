import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { flag, number, type Row, text } from "../api/json.ts";
import { bytes } from "../format.ts";
import { Segments } from "../ui/parts.tsx";

type View = "text" | "json" | "hex";

const VIEWS = [
  ["text", "Text"],
  ["json", "JSON"],
  ["hex", "Hex"],
] as const;
/** Bytes shown as hexadecimal; more of them make the page slow and tell nobody anything. */
const MOST_HEX = 16 * 1024;
const LINE = 16;

/** The body of a message, which was asked for as base64, as what it seems to be, or as somebody wants to see it. */
export function Body({ message }: { readonly message: Row }): JSX.Element {
  const raw = Uint8Array.from(atob(text(message, "body")), (character) => character.charCodeAt(0));
  const decoded = decode(raw);
  const json = decoded === undefined ? undefined : indented(decoded);
  const [chosen, setChosen] = useState<View | undefined>(undefined);
  const view = chosen ?? (json !== undefined ? "json" : decoded !== undefined ? "text" : "hex");
  return (
    <div class="stack">
      <div class="actions spread">
        <Segments label="View" choices={VIEWS} value={view} onChoose={setChosen} />
        <span class="quiet">
          {bytes(number(message, "body_bytes"))}
          {flag(message, "body_truncated") && ", cut"}
        </span>
      </div>
      {view === "hex" ? (
        <pre class="bytes" tabIndex={0}>
          {hex(raw)}
        </pre>
      ) : (
        <pre class="source" tabIndex={0}>
          {view === "json" ? (json ?? "This is no JSON") : (decoded ?? new TextDecoder().decode(raw))}
        </pre>
      )}
    </div>
  );
}

function decode(raw: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(raw);
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
