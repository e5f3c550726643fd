/** Splits a composite at its commas; those inside `{...}` belong to a regular expression. */
export function splitComposite(text: string): string[] {
  if (!text.includes(",")) return [text];
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === "{") depth++;
    else if (character === "}") depth--;
    else if (character === "," && depth <= 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
