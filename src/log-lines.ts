/*
 * How lines of the log look: JSON as it is, or for people. What peers call themselves and their things comes into both, and
 * must not begin a line of its own, nor tell a terminal what to do.
 */
import type { DestinationStream } from "pino";

// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;
/** Of these, what JSON writes as it is. */
const UNESCAPED = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;
/** Of these, what belongs to the stack of an error. */
const STACK = "stack";

/** Lines of JSON, safe to be shown. */
export function jsonLines(target: DestinationStream): DestinationStream {
  return { write: (line) => target.write(line.replace(UNESCAPED, escape)) };
}

/** Lines for people. Loaded only when it is wanted: it takes a tenth of a second. */
export async function prettyLines(target: DestinationStream, colorize: boolean): Promise<DestinationStream> {
  const { prettyFactory } = await import("pino-pretty");
  const format = prettyFactory({ colorize, translateTime: "SYS:standard", ignore: "pid,hostname" });
  return {
    write: (line) => {
      const event: unknown = JSON.parse(line);
      target.write(format(shown(event, "")) ?? line);
    },
  };
}

function shown(value: unknown, key: string): unknown {
  if (typeof value === "string") return key === STACK ? value.split("\n").map(plain).join("\n") : plain(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => shown(item, ""));
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [plain(name), shown(inner, name)]));
}

function plain(text: string): string {
  return text.replace(CONTROLS, escape);
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
