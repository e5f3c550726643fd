import { BrokerError } from "../errors.ts";

/** The most characters that one regular expression in a pattern may have. */
export const maxRegexLength = 256;

/** A set of characters, as one element of a regular expression writes it. */
export class Characters {
  private readonly regex: RegExp;
  private last = "";
  private had = false;

  /** `source` matches exactly one character, so that testing it takes constant time. */
  constructor(source: string) {
    this.regex = new RegExp(`^(?:${source})$`, "u");
  }

  has(character: string): boolean {
    // A counted repeat asks for the same character many times in a row.
    if (character !== this.last) {
      this.last = character;
      this.had = this.regex.test(character);
    }
    return this.had;
  }
}

/** A parsed regular expression. */
export type RegexNode =
  | { readonly is: "one"; readonly set: Characters }
  | { readonly is: "start" | "end" }
  | { readonly is: "sequence" | "choice"; readonly items: readonly RegexNode[] }
  | { readonly is: "repeat"; readonly item: RegexNode; readonly min: number; readonly max: number };

/** Parses the regular expression of a pattern level; throws BrokerError("bad-address") saying what is wrong with it. */
export function parseRegex(source: string): RegexNode {
  if (source === "") throw new BrokerError("bad-address", 'the pattern has an empty regular expression "{}"');
  if (source.length > maxRegexLength) {
    throw new BrokerError(
      "bad-address",
      `a regular expression of the pattern has ${source.length} characters, the limit is ${maxRegexLength} characters`,
    );
  }
  try {
    RegExp(source, "u");
  } catch (error) {
    throw refusal(source, error instanceof Error ? error.message : String(error));
  }
  return new Parser(source).parse();
}

function refusal(source: string, why: string): BrokerError {
  return new BrokerError("bad-address", `the regular expression "{${source}}" of the pattern is refused: ${why}`);
}

const element =
  /\[(?:\\.|[^\]\\])*\]|\\(?:u\{[^}]*\}|u[dD][89abAB]..\\u[dD][c-fC-F]..|u....|x..|c.|[pP]\{[^}]*\}|.)|./suy;
const quantifier = /(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/y;

/** Takes apart what the platform's own parser found to be valid, so it has to tell only the elements from each other. */
class Parser {
  private readonly source: string;
  private at = 0;

  constructor(source: string) {
    this.source = source;
  }

  parse(): RegexNode {
    return this.choice();
  }

  private choice(): RegexNode {
    const items = [this.sequence()];
    while (this.source[this.at] === "|") {
      this.at++;
      items.push(this.sequence());
    }
    return items.length === 1 && items[0] !== undefined ? items[0] : { is: "choice", items };
  }

  private sequence(): RegexNode {
    const items: RegexNode[] = [];
    while (this.at < this.source.length && this.source[this.at] !== "|" && this.source[this.at] !== ")") {
      items.push(this.quantified(this.item()));
    }
    return { is: "sequence", items };
  }

  private item(): RegexNode {
    if (this.source[this.at] === "(") return this.group();
    const text = this.take(element)?.[0] ?? "";
    if (text === "^") return { is: "start" };
    if (text === "$") return { is: "end" };
    if (/^\\[1-9k]/.test(text)) throw refusal(this.source, `back-references ("${text}") are not supported`);
    if (/^\\[bB]$/.test(text)) throw refusal(this.source, `look-around ("${text}") is not supported`);
    return { is: "one", set: new Characters(text) };
  }

  private group(): RegexNode {
    this.at++;
    if (this.source[this.at] === "?") {
      if (this.source[this.at + 1] !== ":") {
        throw refusal(this.source, 'look-around, named groups and flags are not supported, only "(...)" and "(?:...)"');
      }
      this.at += 2;
    }
    const node = this.choice();
    this.at++;
    return node;
  }

  private quantified(item: RegexNode): RegexNode {
    const found = this.take(quantifier);
    if (found === null) return item;
    const [text, sign, least, comma, most] = found;
    const min = sign === undefined ? Number(least) : sign === "+" ? 1 : 0;
    let max = sign === "?" ? 1 : Number.POSITIVE_INFINITY;
    if (sign === undefined && comma === undefined) max = min;
    else if (sign === undefined && most !== undefined && most !== "") max = Number(most);
    if (max > 1 && contains(item, unbounded)) {
      throw refusal(this.source, `"${text}" stands after a group that has an unbounded quantifier in it`);
    }
    if (max === Number.POSITIVE_INFINITY && contains(item, (node) => node.is === "choice")) {
      throw refusal(this.source, `"${text}" stands after a group that has alternatives in it`);
    }
    return { is: "repeat", item, min, max };
  }

  private take(what: RegExp): RegExpExecArray | null {
    what.lastIndex = this.at;
    const found = what.exec(this.source);
    if (found !== null) this.at += found[0].length;
    return found;
  }
}

function unbounded(node: RegexNode): boolean {
  return node.is === "repeat" && node.max === Number.POSITIVE_INFINITY;
}

function contains(node: RegexNode, what: (node: RegexNode) => boolean): boolean {
  if (what(node)) return true;
  if (node.is === "repeat") return contains(node.item, what);
  return (node.is === "sequence" || node.is === "choice") && node.items.some((item) => contains(item, what));
}
