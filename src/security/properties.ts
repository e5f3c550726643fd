/**
 * Reads a file of properties as Java writes them (java.util.Properties): `name=value`, `name: value` or `name value`, with
 * `#` and `!` before comments, `\` before what is to be taken as it is, and at the end of a line that goes on.
 */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  for (const line of logicalLines(text)) {
    const cut = /^((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)$/s.exec(line);
    if (cut === null) continue;
    const [, name = "", value = ""] = cut;
    properties.set(unescape(name), unescape(value));
  }
  return properties;
}

function* logicalLines(text: string): Iterable<string> {
  let before = "";
  for (const line of text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/)) {
    const rest = line.replace(/^[ \t\f]+/, "");
    if (before === "" && (rest === "" || rest.startsWith("#") || rest.startsWith("!"))) continue;
    const whole = before + rest;
    if (/(?<!\\)(?:\\\\)*\\$/.test(whole)) {
      before = whole.slice(0, -1);
    } else {
      before = "";
      yield whole;
    }
  }
  if (before !== "") yield before;
}

const LETTERS: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f" };

function unescape(text: string): string {
  return text.replace(/\\u([0-9a-fA-F]{4})|\\(.)/gs, (_whole, code?: string, letter?: string) =>
    code === undefined ? (LETTERS[letter ?? ""] ?? letter ?? "") : String.fromCharCode(Number.parseInt(code, 16)),
  );
}
