/*
 * Distinguished names as people write them, and patterns of them:
 *
 *     CN=pump-7, OU=Plant 2, O=Example      the same as  cn=pump-7,ou=Plant 2,o=Example
 *     CN=pump-*,O=Example                   * is anything within one part
 *     *,O=Example                           * alone is any number of parts
 */

/** One form for all spellings of a distinguished name. */
export function canonicalName(name: string): string {
  return partsOf(name).join(",");
}

/** Distinguished names, and patterns of them. */
export class NamePattern {
  private readonly expression: RegExp;

  constructor(pattern: string) {
    const parts = partsOf(pattern).map((part) => {
      if (part === "*") return "(?:[^,\\\\]|\\\\.)+(?:,(?:[^,\\\\]|\\\\.)+)*";
      return part.split("*").map(quoted).join("(?:[^,\\\\]|\\\\.)*");
    });
    this.expression = new RegExp(`^${parts.join(",")}$`, "s");
  }

  /** Whether a name in its canonical form is meant. */
  matches(canonical: string): boolean {
    return this.expression.test(canonical);
  }
}

/** Commas with a backslash before them are part of a value. */
function partsOf(name: string): string[] {
  const parts = name.match(/(?:\\.|[^\\,])+/gs) ?? [];
  return parts.map((part) => {
    const [, type = "", value = ""] = /^\s*([^=]*?)\s*=\s*(.*?)\s*$/s.exec(part) ?? [];
    return type === "" ? part.trim() : `${type.toUpperCase()}=${value}`;
  });
}

function quoted(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
