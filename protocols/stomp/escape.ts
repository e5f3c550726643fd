import { ProtocolError } from "../../core/protocol.ts";

/** A version of STOMP that was agreed on. */
export type Version = "1.0" | "1.1" | "1.2";

const LF = 10;
const CR = 13;
const COLON = 58;
const BACKSLASH = 92;
const LOWER_C = 99;
const LOWER_N = 110;
const LOWER_R = 114;

/** Refuses undefined escapes in `data[start, end)`: stomp12 "Value Encoding", stomp11 the same without `\r`. */
export function checkEscapes(data: Uint8Array, start: number, end: number, version: Version): void {
  for (let i = start; i < end; i++) {
    if (data[i] !== BACKSLASH) continue;
    const next = i + 1 < end ? data[i + 1] : undefined;
    const defined =
      next === BACKSLASH || next === LOWER_N || next === LOWER_C || (next === LOWER_R && version === "1.2");
    if (!defined) {
      const found = next === undefined ? "a backslash at the end" : `"\\${String.fromCharCode(next)}"`;
      const known = version === "1.2" ? "\\r \\n \\c \\\\" : "\\n \\c \\\\";
      throw new ProtocolError(`Undefined escape in a header: ${found}; STOMP ${version} knows ${known} only`);
    }
    i++;
  }
}

/** The text in `data[start, end)` with its escapes resolved; they were checked before. */
export function unescape(data: Buffer, start: number, end: number): string {
  const bytes = Buffer.allocUnsafe(end - start);
  let length = 0;
  for (let i = start; i < end; i++) {
    let byte = data[i] ?? 0;
    if (byte === BACKSLASH && i + 1 < end) {
      byte = meaning(data[++i] ?? 0);
    }
    bytes[length++] = byte;
  }
  return bytes.toString("utf8", 0, length);
}

function meaning(letter: number): number {
  if (letter === LOWER_N) return LF;
  if (letter === LOWER_R) return CR;
  return letter === LOWER_C ? COLON : letter;
}

/**
 * Spells a header's name or value for a version. 1.0 has no escapes: a line feed, which would end the header, stays
 * a visible `\n` there.
 */
export function escape(text: string, version: Version): string {
  if (!/[\\:\n\r\0]/.test(text)) return text;
  if (version === "1.0") return text.replace(/\n/g, "\\n").replace(/\0/g, "");
  const escaped = text.replace(/\0/g, "").replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/:/g, "\\c");
  return version === "1.2" ? escaped.replace(/\r/g, "\\r") : escaped;
}
