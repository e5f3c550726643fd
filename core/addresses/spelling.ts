import { Address, type AddressKind } from "./address.ts";
import { BrokerError } from "../errors.ts";
import { canonicalReserved, type Escape, escapable, escape, escapeOnly, unescape } from "./escape.ts";
import { LevelExpression, type LevelPart } from "./level-expression.ts";
import { Pattern, type PatternLevel } from "./pattern.ts";

/** The signs of a spelling. None may have a letter, a digit or "%" in it. */
export interface SpellingOptions {
  readonly separator: string;
  /** Any one level; with `regex` also any run of characters inside a level. */
  readonly any?: string;
  /** One or more levels. */
  readonly rest?: string;
  /** No level or more. */
  readonly restOrNone?: string;
  /** Whether "{...}" is a regular expression. */
  readonly regex?: boolean;
  /** Further characters that are escaped inside a level. */
  readonly reserved?: string;
  /** Whether each text is another name: then nothing but the separator, one character, can be written as an escape. */
  readonly exact?: boolean;
}

/** One protocol's way to write addresses and patterns. Whatever the levels are, `format` writes what `parse` reads back. */
export class Spelling {
  private readonly separator: string;
  private readonly any: string | undefined;
  private readonly rest: string | undefined;
  private readonly restOrNone: string | undefined;
  private readonly regex: boolean;
  private readonly escape: Escape;

  /** Throws BrokerError("bad-request") for signs that cannot be told from each other or from an escape. */
  constructor(options: SpellingOptions) {
    const { separator, any, rest, restOrNone, regex = false, reserved = "", exact = false } = options;
    const wildcards = [any, rest, restOrNone].filter((sign) => sign !== undefined);
    checkSigns(separator, wildcards, regex);
    this.separator = separator;
    this.any = any;
    this.rest = rest;
    this.restOrNone = restOrNone;
    this.regex = regex;
    const what = escapable([separator, ...wildcards, regex ? "{}" : "", reserved].join(""));
    this.escape = exact ? escapeOnly(separator) : { escape: (level) => escape(level, what), unescape };
  }

  /** Reads an address; throws BrokerError("bad-address") for a wildcard or if a limit is passed. */
  parse(kind: AddressKind, text: string): Address {
    const levels: string[] = [];
    for (const part of this.split(text)) {
      const level = this.parseLevel(part);
      if (typeof level !== "string") {
        throw new BrokerError(
          "bad-address",
          `${quote(text)} has the wildcard ${quote(part)}, but a name without wildcards is expected here; ` +
            `to have it in a name, write ${quote(this.escape.escape(part))}`,
        );
      }
      levels.push(level);
    }
    return new Address(kind, levels);
  }

  /** Reads a pattern; throws BrokerError("bad-address") for a bad regular expression or if a limit is passed. */
  parsePattern(kind: AddressKind, text: string): Pattern {
    return new Pattern(
      kind,
      this.split(text).map((part) => this.parseLevel(part)),
    );
  }

  /** Writes the levels of an address. */
  format(levels: readonly string[]): string {
    let text = "";
    for (let i = 0; i < levels.length; i++) {
      if (i > 0) text += this.separator;
      text += this.escape.escape(levels[i] ?? "");
    }
    return text;
  }

  /** Writes a pattern; throws BrokerError("bad-address") if this spelling has no sign for one of its wildcards. */
  formatPattern(pattern: Pattern): string {
    return pattern.levels.map((level) => this.formatLevel(level, pattern)).join(this.separator);
  }

  private split(text: string): string[] {
    if (!this.regex || !text.includes("{")) return text.split(this.separator);
    const parts: string[] = [];
    let from = 0;
    for (let at = 0; at < text.length; ) {
      if (text[at] === "{") {
        at = regexEnd(text, at);
      } else if (text.startsWith(this.separator, at)) {
        parts.push(text.slice(from, at));
        at += this.separator.length;
        from = at;
      } else {
        at++;
      }
    }
    parts.push(text.slice(from));
    return parts;
  }

  private parseLevel(text: string): PatternLevel {
    if (text === this.any) return { any: true };
    if (text === this.rest) return { rest: 1 };
    if (text === this.restOrNone) return { rest: 0 };
    if (!this.regex) return this.escape.unescape(text);
    const parts = this.parseParts(text);
    const [first] = parts;
    if (first === undefined) return "";
    if (parts.length === 1 && typeof first === "string") return first;
    if (parts.length === 1 && typeof first !== "string" && "any" in first) return first;
    const regex = new LevelExpression(parts);
    return { regex, text: regex.text };
  }

  private parseParts(text: string): LevelPart[] {
    const parts: LevelPart[] = [];
    const any = this.any;
    let from = 0;
    let afterAny = false;
    const literal = (end: number): void => {
      if (end > from) parts.push(this.escape.unescape(text.slice(from, end)));
    };
    for (let at = 0; at < text.length; ) {
      if (text[at] === "{") {
        literal(at);
        from = regexEnd(text, at);
        parts.push({ regex: text.slice(at + 1, from - 1) });
        at = from;
        afterAny = false;
      } else if (any !== undefined && text.startsWith(any, at)) {
        literal(at);
        at += any.length;
        from = at;
        // Two runs of any characters in a row are one.
        if (!afterAny) parts.push({ any: true });
        afterAny = true;
      } else {
        at++;
        afterAny = false;
      }
    }
    literal(text.length);
    return parts;
  }

  private formatLevel(level: PatternLevel, pattern: Pattern): string {
    if (typeof level === "string") return this.escape.escape(level);
    if ("regex" in level) return level.regex.parts.map((part) => this.formatPart(part, pattern)).join("");
    if ("any" in level) return this.sign(this.any, pattern);
    if (level.rest === 0) return this.sign(this.restOrNone, pattern);
    if (this.rest !== undefined) return this.rest;
    return this.sign(this.any, pattern) + this.separator + this.sign(this.restOrNone, pattern);
  }

  private formatPart(part: LevelPart, pattern: Pattern): string {
    if (typeof part === "string") return this.escape.escape(part);
    if (!this.regex) return this.sign(undefined, pattern);
    return "any" in part ? this.sign(this.any, pattern) : `{${part.regex}}`;
  }

  private sign(sign: string | undefined, pattern: Pattern): string {
    if (sign !== undefined) return sign;
    throw new BrokerError("bad-address", `this protocol has no way to write the wildcards of ${quote(pattern.text)}`);
  }
}

/** How the core itself writes names and patterns, in its configuration and wherever a protocol has no way of its own. */
export const canonical: Spelling = new Spelling({
  separator: ".",
  any: "*",
  rest: "**",
  restOrNone: "#",
  regex: true,
  reserved: canonicalReserved,
});

/** The place after the "}" that belongs to the "{" at `from`; inside, "\" takes the meaning from a brace. */
function regexEnd(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (character === "{") depth++;
    else if (character === "}" && --depth === 0) return at + 1;
  }
  throw new BrokerError(
    "bad-address",
    `the "{" at character ${from + 1} of ${quote(text)} has no "}"; to have "{" in a name, write "%7B"`,
  );
}

function checkSigns(separator: string, wildcards: readonly string[], regex: boolean): void {
  const signs = [separator, ...wildcards];
  for (const sign of signs) {
    if (sign === "" || /[%0-9A-Za-z]/.test(sign) || !sign.isWellFormed() || (regex && /[{}\\]/.test(sign))) {
      throw new BrokerError("bad-request", `"${sign}" cannot be a sign of a spelling: expected other characters`);
    }
  }
  if (
    new Set(signs).size < signs.length ||
    Array.from(separator).some((character) => wildcards.join("").includes(character))
  ) {
    throw new BrokerError(
      "bad-request",
      `the signs of a spelling (${signs.join(" ")}) have to differ, those of the separator from all others`,
    );
  }
}

/** A name as error texts have it. They go to clients and logs: a name of a megabyte does not. */
export function quote(text: string): string {
  return text.length > 100 ? `"${text.slice(0, 100)}..."` : `"${text}"`;
}
