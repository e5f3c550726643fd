/*
 * A level of a pattern that is more than a name: literal text, "*" for any run of characters, and regular expressions.
 * Patterns come from clients nobody trusts, and a backtracking matcher takes exponential time on expressions as plain as
 * "a?a?a?...aaa". So a level is compiled to a machine whose states advance together, one character at a time: the time is
 * at most characters x states, whatever the expression.
 */
import { BrokerError } from "../errors.ts";
import { escapeCanonical } from "./escape.ts";
import { Characters, parseRegex, type RegexNode } from "./regex-parser.ts";

/** A piece of such a level. */
export type LevelPart = string | { readonly any: true } | { readonly regex: string };

/** The most states that the expressions of one pattern may compile to together. */
export const maxStates = 1024;

/** The copies that counted repeats may make for each state while compiling, those of empty groups included. */
const copiesPerState = 4;

type State =
  | { readonly is: "one"; readonly set: Characters; readonly next: number }
  | { readonly is: "fork"; readonly next: number; readonly other: number }
  | { readonly is: "start" | "end"; readonly next: number }
  | { readonly is: "match" };

/** Matches whole levels against a row of parts; not to be used again from within itself. */
export class LevelExpression {
  readonly parts: readonly LevelPart[];
  /** Canonical text, as it stands in the text of a pattern. */
  readonly text: string;
  private readonly states: readonly State[];
  private readonly first: number;
  private current: Int32Array;
  private following: Int32Array;
  private readonly marks: Uint32Array;
  private mark = 0;
  private count = 0;

  /** Throws BrokerError("bad-address") for a regular expression that is wrong, not supported or too large. */
  constructor(parts: readonly LevelPart[], mostStates: number = maxStates) {
    this.parts = parts;
    this.text = parts.map(canonicalPart).join("");
    const compiler = new Compiler(mostStates);
    this.first = compiler.compile({ is: "sequence", items: parts.flatMap(partNodes) });
    this.states = compiler.states;
    this.current = new Int32Array(this.states.length);
    this.following = new Int32Array(this.states.length);
    this.marks = new Uint32Array(this.states.length);
  }

  /** States of the compiled machine. */
  get size(): number {
    return this.states.length;
  }

  /** Whether the whole level matches. */
  test(level: string): boolean {
    let at = 0;
    this.begin();
    this.enter(this.first, true, level === "");
    for (const character of level) {
      const from = this.current;
      const count = this.count;
      if (count === 0) return false;
      at += character.length;
      this.current = this.following;
      this.following = from;
      this.begin();
      for (let i = 0; i < count; i++) {
        const state = this.states[from[i] ?? 0];
        if (state?.is === "one" && state.set.has(character)) this.enter(state.next, false, at === level.length);
      }
    }
    for (let i = 0; i < this.count; i++) if (this.states[this.current[i] ?? 0]?.is === "match") return true;
    return false;
  }

  private begin(): void {
    this.count = 0;
    this.mark = (this.mark + 1) >>> 0;
    if (this.mark === 0) {
      this.marks.fill(0);
      this.mark = 1;
    }
  }

  /** Adds a state to the current ones, and those that it leads to without a character. */
  private enter(index: number, atStart: boolean, atEnd: boolean): void {
    if (this.marks[index] === this.mark) return;
    this.marks[index] = this.mark;
    const state = this.states[index];
    if (state === undefined) return;
    if (state.is === "fork") {
      this.enter(state.next, atStart, atEnd);
      this.enter(state.other, atStart, atEnd);
    } else if (state.is === "start") {
      if (atStart) this.enter(state.next, atStart, atEnd);
    } else if (state.is === "end") {
      if (atEnd) this.enter(state.next, atStart, atEnd);
    } else {
      this.current[this.count++] = index;
    }
  }
}

function canonicalPart(part: LevelPart): string {
  if (typeof part === "string") return escapeCanonical(part);
  return "any" in part ? "*" : `{${part.regex}}`;
}

const anyRun: RegexNode = {
  is: "repeat",
  item: { is: "one", set: new Characters("[^]") },
  min: 0,
  max: Number.POSITIVE_INFINITY,
};

function partNodes(part: LevelPart): RegexNode[] {
  if (typeof part !== "string") return ["any" in part ? anyRun : parseRegex(part.regex)];
  return Array.from(part, (character) => ({
    is: "one",
    set: new Characters(`\\u{${character.codePointAt(0)?.toString(16)}}`),
  }));
}

/** Compiles from the back to the front: each node is given the state that follows it. */
class Compiler {
  readonly states: State[] = [];
  private readonly most: number;
  private copies = 0;

  constructor(most: number) {
    this.most = most;
  }

  compile(node: RegexNode): number {
    return this.emit(node, this.push({ is: "match" }));
  }

  private push(state: State): number {
    if (this.states.length >= this.most) throw tooLarge();
    return this.states.push(state) - 1;
  }

  private emit(node: RegexNode, next: number): number {
    if (++this.copies > copiesPerState * this.most) throw tooLarge();
    switch (node.is) {
      case "one":
        return this.push({ is: "one", set: node.set, next });
      case "start":
      case "end":
        return this.push({ is: node.is, next });
      case "sequence":
        return node.items.reduceRight((after, item) => this.emit(item, after), next);
      case "choice":
        return node.items
          .map((item) => this.emit(item, next))
          .reduceRight((other, entry) => this.push({ is: "fork", next: entry, other }));
      case "repeat":
        return this.emitRepeat(node, next);
    }
  }

  private emitRepeat({ item, min, max }: RegexNode & { is: "repeat" }, next: number): number {
    let entry = next;
    if (max === Number.POSITIVE_INFINITY) {
      entry = this.push({ is: "fork", next, other: next });
      this.states[entry] = { is: "fork", next: this.emit(item, entry), other: next };
    } else {
      for (let i = min; i < max; i++) entry = this.push({ is: "fork", next: this.emit(item, entry), other: next });
    }
    for (let i = 0; i < min; i++) entry = this.emit(item, entry);
    return entry;
  }
}

function tooLarge(): BrokerError {
  return new BrokerError(
    "bad-address",
    `a regular expression of the pattern is too large: with its repeats written out it needs more than ${maxStates} states`,
  );
}
