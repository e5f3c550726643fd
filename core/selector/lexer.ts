import { BrokerError } from "../errors.ts";

interface Place {
  /** Offset of the first character in the selector's text. */
  readonly position: number;
  /** As it was written; empty at the end. */
  readonly source: string;
}

/** A word of a selector. A keyword's text is in capitals, a string's and a quoted identifier's is without its quotes. */
export type Token =
  | (Place & { readonly kind: "identifier" | "keyword" | "string" | "symbol" | "end"; readonly text: string })
  | (Place & { readonly kind: "number"; readonly value: number | bigint });

const KEYWORDS = new Set("AND OR NOT BETWEEN IN LIKE ESCAPE IS NULL TRUE FALSE".split(" "));

// Both behaviours are always on: STOMP's headers are strings, and their names have hyphens.
const PREFIX = /\s*(?:convert_string_expressions|hyphenated_props):/y;
const SPACE = /\s+/y;
// A "-" or "." between two identifier characters belongs to the identifier: a-b is one name, a - b and a -1 subtract.
const WORD =
  /[\p{L}\p{Nl}\p{Sc}\p{Pc}][\p{L}\p{Nl}\p{Sc}\p{Pc}\p{Nd}\p{Mn}\p{Mc}\p{Cf}]*(?:[-.][\p{L}\p{Nl}\p{Sc}\p{Pc}\p{Nd}\p{Mn}\p{Mc}\p{Cf}]+)*/uy;
const NUMBER = /0[xX][0-9a-fA-F]+[lL]?|(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdDlL]?/y;
const NUMBER_START = /\.?[0-9]/y;
const SYMBOL = /<>|!=|<=|>=|[=<>(),+\-*/]/y;

const MAX_INTEGER = 0xffff_ffff_ffff_ffffn;
const MAX_SHOWN = 40;

/** The error for what stands at an offset of the text: what was found, what was expected. */
export function refusal(position: number, found: string, expected: string): BrokerError {
  const shown = found.length > MAX_SHOWN ? `${found.slice(0, MAX_SHOWN)}...` : found;
  const what = found === "" ? "the end" : JSON.stringify(shown);
  return new BrokerError("bad-selector", `Selector, position ${position + 1}: found ${what}, expected ${expected}`);
}

/** Cuts a selector into words, the last of kind "end"; throws BrokerError("bad-selector"). */
export function tokenize(text: string): Token[] {
  return new Lexer(text).run();
}

class Lexer {
  private readonly text: string;
  private readonly tokens: Token[] = [];
  private offset = 0;

  constructor(text: string) {
    this.text = text;
  }

  run(): Token[] {
    for (let prefix = this.at(PREFIX); prefix !== ""; prefix = this.at(PREFIX)) this.offset += prefix.length;
    for (;;) {
      this.skip();
      if (this.offset >= this.text.length) break;
      this.tokens.push(this.next());
    }
    this.tokens.push({ kind: "end", position: this.text.length, source: "", text: "" });
    return this.tokens;
  }

  private skip(): void {
    for (;;) {
      this.offset += this.at(SPACE).length;
      if (this.text.startsWith("--", this.offset)) {
        while (this.offset < this.text.length && !/[\r\n]/.test(this.text.charAt(this.offset))) this.offset++;
      } else if (this.text.startsWith("/*", this.offset)) {
        const end = this.text.indexOf("*/", this.offset + 2);
        if (end === -1) throw refusal(this.offset, this.text.slice(this.offset), "*/ at the end of the comment");
        this.offset = end + 2;
      } else return;
    }
  }

  private next(): Token {
    const position = this.offset;
    const first = this.text.charAt(position);
    if (first === "'" || first === '"') return this.quoted(first);
    const word = this.at(WORD);
    if (word !== "") {
      const place = { position, source: this.take(word) };
      const keyword = word.toUpperCase();
      if (KEYWORDS.has(keyword)) return { ...place, kind: "keyword", text: keyword };
      return { ...place, kind: "identifier", text: word };
    }
    if (this.at(NUMBER_START) !== "") return this.number();
    const symbol = this.at(SYMBOL);
    if (symbol === "") {
      throw refusal(position, String.fromCodePoint(this.text.codePointAt(position) ?? 0), "an operator or a value");
    }
    return { position, source: this.take(symbol), kind: "symbol", text: symbol === "!=" ? "<>" : symbol };
  }

  private quoted(quote: "'" | '"'): Token {
    const position = this.offset;
    let end = this.text.indexOf(quote, position + 1);
    while (end !== -1 && this.text.charAt(end + 1) === quote) end = this.text.indexOf(quote, end + 2);
    if (end === -1) throw refusal(position, this.text.slice(position), `a closing ${quote}`);
    const source = this.take(this.text.slice(position, end + 1));
    const text = source.slice(1, -1).replaceAll(quote + quote, quote);
    return { position, source, kind: quote === "'" ? "string" : "identifier", text };
  }

  private number(): Token {
    const position = this.offset;
    const source = this.take(this.at(NUMBER));
    const glued = this.at(/[\p{L}\p{Nl}\p{Sc}\p{Pc}\p{Nd}]+/uy);
    if (glued !== "") throw refusal(position, source + glued, "a number");
    return { position, source, kind: "number", value: numberOf(position, source) };
  }

  private take(source: string): string {
    this.offset += source.length;
    return source;
  }

  private at(expression: RegExp): string {
    expression.lastIndex = this.offset;
    return expression.exec(this.text)?.[0] ?? "";
  }
}

function numberOf(position: number, source: string): number | bigint {
  if (/^[0-9]+[lL]?$|^0[xX]/.test(source)) return integerOf(position, source.replace(/[lL]$/, ""));
  if (/[lL]$/.test(source)) throw refusal(position, source, "an integer before the suffix L");
  const double = Number(source.replace(/[fFdD]$/, ""));
  // A Java float: a float property that was made from the same digits has this value.
  const value = /[fF]$/.test(source) ? Math.fround(double) : double;
  if (!Number.isFinite(value)) throw refusal(position, source, "a number in the range of a double (of a float with F)");
  return value;
}

function integerOf(position: number, digits: string): number | bigint {
  const octal = /^0[0-9]+$/.test(digits);
  if (octal && /[89]/.test(digits)) throw refusal(position, digits, "octal digits after the leading 0");
  const value = BigInt(octal ? `0o${digits.slice(1)}` : digits);
  if (value > MAX_INTEGER) throw refusal(position, digits, "an integer of at most 64 bits");
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
