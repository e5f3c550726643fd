import { styleText } from "node:util";

/** A column of a table for people. */
export interface Column {
  readonly title: string;
  /** The name of what it shows. */
  readonly field: string;
  readonly show?: (value: unknown) => string;
  /** However long it is: only for the last column. */
  readonly whole?: boolean;
}

const MOST_CHARACTERS = 80;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Rows under titles; numbers stand to the right. */
export function textTable(columns: readonly Column[], rows: readonly Readonly<Record<string, unknown>>[]): string[] {
  const cells = rows.map((row) =>
    columns.map(({ field, show = shown, whole = false }) => {
      const text = printable(show(row[field]));
      return whole ? text : cut(text, MOST_CHARACTERS);
    }),
  );
  const right = columns.map(({ field }) => rows.some((row) => typeof row[field] === "number"));
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, at) => (right[at] === true ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  const head = line(columns.map(({ title }) => title));
  return [process.stdout.isTTY ? styleText("bold", head) : head, ...cells.map(line)];
}

/** Names with their values, one in a line. */
export function textList(entries: readonly (readonly [name: string, value: string])[]): string[] {
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`.trimEnd());
}

/** As a person reads it. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return "-";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** Bytes in the largest unit that leaves something before the point. */
export function bytesText(value: unknown): string {
  if (typeof value !== "number") return shown(value);
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${UNITS[unit]}`;
}

/** A time in the zone of whoever looks; milliseconds since 1970. */
export function timeText(value: unknown): string {
  if (typeof value !== "number" || value === 0) return "-";
  return new Date(value).toLocaleString("sv-SE");
}

/** JSON of a value; what a terminal would take for a command is written as an escape, which means the same. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(/[\u007f-\u009f\u2028\u2029]|\p{Cf}/gu, (character) =>
    character
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

/** Without what a terminal would take for a command: names and bodies come from anybody. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
