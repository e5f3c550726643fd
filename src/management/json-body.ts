import type { FastifyRequest } from "fastify";
import type { ManagementApp } from "./context.ts";
import { HttpError } from "./problem.ts";

/** Whole numbers with so many digits may be more than a number can hold. */
const LONG = /-?(?<![0-9.eE+])[0-9]{16,}(?![0-9.eE])/g;

const MOST_DIGITS = 300;

/** Has bodies read as JSON. A number that would lose digits is refused instead of being changed without a word. */
export function readJson(app: ManagementApp): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser(
    "application/json",
    { parseAs: "string" },
    (request: FastifyRequest, text: string, done: (error: Error | null, body?: unknown) => void) => {
      const lossy = lossyNumber(text);
      if (lossy === undefined) void parse(request, text, done);
      else {
        const why = `The number ${lossy.slice(0, 40)} has more digits than JSON numbers keep here; send it as a text`;
        done(new HttpError(400, "bad-request", why));
      }
    },
  );
}

/** The first whole number of a JSON text that would come out as another one. */
function lossyNumber(text: string): string | undefined {
  for (let from = 0; from < text.length; ) {
    const quote = text.indexOf('"', from);
    const end = quote < 0 ? text.length : quote;
    if (end - from >= 16) {
      for (const [digits] of text.slice(from, end).matchAll(LONG)) {
        // So many make no number at all.
        if (digits.length > MOST_DIGITS || BigInt(Number(digits)) !== BigInt(digits)) return digits;
      }
    }
    from = quote < 0 ? text.length : endOfText(text, quote);
  }
  return undefined;
}

/** Where it goes on after the text in quotes that begins there. */
function endOfText(text: string, quote: number): number {
  for (let end = text.indexOf('"', quote + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charAt(end - 1 - escapes) === "\\") escapes++;
    if (escapes % 2 === 0) return end + 1;
  }
  return text.length;
}
