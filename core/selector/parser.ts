import { BrokerError } from "../errors.ts";
import { refusal, type Token, tokenize } from "./lexer.ts";
import { type LikePattern, parseLike } from "./like.ts";
import type { ArithmeticOperator } from "./numeric.ts";

/** The six comparisons. */
export type ComparisonOperator = "=" | "<>" | "<" | "<=" | ">" | ">=";

/** What a selector says. Chains are flat lists, so that only brackets, NOT and signs make a tree deep. */
export type Expression =
  | { readonly kind: "literal"; readonly value: string | number | bigint | boolean }
  | { readonly kind: "identifier"; readonly name: string }
  | { readonly kind: "sign"; readonly negative: boolean; readonly operand: Expression }
  | { readonly kind: "arithmetic"; readonly first: Expression; readonly rest: readonly ArithmeticStep[] }
  | {
      readonly kind: "comparison";
      readonly operator: ComparisonOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: "between"; readonly operand: Expression; readonly low: Expression; readonly high: Expression }
  | { readonly kind: "in"; readonly operand: Expression; readonly values: readonly (string | number | bigint)[] }
  | { readonly kind: "like"; readonly operand: Expression; readonly pattern: LikePattern }
  | { readonly kind: "null"; readonly operand: Expression }
  | { readonly kind: "not"; readonly operand: Expression }
  | { readonly kind: "and" | "or"; readonly operands: readonly Expression[] };

/** One more operation on what was calculated so far, from left to right. */
export interface ArithmeticStep {
  readonly operator: ArithmeticOperator;
  readonly operand: Expression;
}

const MAX_BYTES = 16 * 1024;
const MAX_DEPTH = 100;
const COMPARISON = "a comparison (=, <>, <, <=, >, >=, BETWEEN, IN, LIKE or IS)";
const VALUE = "an identifier, a literal or (";

/** Reads a selector, undefined if it says nothing; throws BrokerError("bad-selector"). JMS 2.0, 3.8.1.1. */
export function parseSelector(text: string): Expression | undefined {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BYTES) {
    throw new BrokerError("bad-selector", `The selector has ${bytes} bytes, the limit is ${MAX_BYTES} bytes`);
  }
  return new Parser(tokenize(text)).run();
}

class Parser {
  private readonly tokens: readonly Token[];
  private index = 0;
  private depth = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  run(): Expression | undefined {
    if (this.ended) return undefined;
    const whole = this.condition(this.or());
    if (!this.ended) throw this.unexpected(follow(whole, "the end"));
    return whole;
  }

  private or(): Expression {
    return this.chain("OR", "or", () => this.and());
  }

  private and(): Expression {
    return this.chain("AND", "and", () => this.not());
  }

  private chain(keyword: string, kind: "and" | "or", operand: () => Expression): Expression {
    const first = operand();
    if (!this.sees("keyword", keyword)) return first;
    const operands = [this.condition(first)];
    while (this.accept("keyword", keyword)) operands.push(this.condition(operand()));
    return { kind, operands };
  }

  private not(): Expression {
    if (!this.sees("keyword", "NOT")) return this.comparison();
    return this.nested(() => ({ kind: "not", operand: this.condition(this.not()) }));
  }

  private comparison(): Expression {
    const operand = this.sum();
    const token = this.token;
    if (token.kind === "symbol" && isComparison(token.text)) {
      this.index++;
      return { kind: "comparison", operator: token.text, left: operand, right: this.sum() };
    }
    if (this.accept("keyword", "IS")) {
      const negated = this.accept("keyword", "NOT");
      if (!this.accept("keyword", "NULL")) throw this.unexpected(negated ? "NULL" : "NULL or NOT NULL");
      return unless(negated, { kind: "null", operand });
    }
    const negated = this.accept("keyword", "NOT");
    if (this.accept("keyword", "BETWEEN")) return unless(negated, this.between(operand));
    if (this.accept("keyword", "IN")) return unless(negated, this.in(operand));
    if (this.accept("keyword", "LIKE")) return unless(negated, this.like(operand));
    if (negated) throw this.unexpected("BETWEEN, IN or LIKE");
    return operand;
  }

  private between(operand: Expression): Expression {
    const low = this.sum();
    if (!this.accept("keyword", "AND")) throw this.unexpected("AND and the upper bound");
    return { kind: "between", operand, low, high: this.sum() };
  }

  private in(operand: Expression): Expression {
    const values: (string | number | bigint)[] = [];
    if (!this.accept("symbol", "(")) throw this.unexpected("( and a list of literals");
    do {
      values.push(this.listed());
    } while (this.accept("symbol", ","));
    if (!this.accept("symbol", ")")) throw this.unexpected(", or )");
    return { kind: "in", operand, values };
  }

  private listed(): string | number | bigint {
    const negative = this.sees("symbol", "-");
    if (negative || this.sees("symbol", "+")) {
      this.index++;
      const number = this.token;
      if (number.kind !== "number") throw this.unexpected("a number");
      this.index++;
      return negative ? -number.value : number.value;
    }
    const token = this.token;
    if (token.kind !== "string" && token.kind !== "number") throw this.unexpected("a string or a number");
    this.index++;
    return token.kind === "number" ? token.value : token.text;
  }

  private like(operand: Expression): Expression {
    const patternToken = this.token;
    if (patternToken.kind !== "string") throw this.unexpected("a pattern in single quotes");
    this.index++;
    let escape: string | undefined;
    if (this.accept("keyword", "ESCAPE")) {
      const token = this.token;
      if (token.kind !== "string" || !/^.$/su.test(token.text)) throw this.unexpected("one character in single quotes");
      this.index++;
      escape = token.text;
    }
    const pattern = parseLike(patternToken.text, escape);
    if (pattern === undefined) {
      throw refusal(patternToken.position, patternToken.source, "a character after the escape character at its end");
    }
    return { kind: "like", operand, pattern };
  }

  private sum(): Expression {
    return this.arithmetic("+", "-", () => this.product());
  }

  private product(): Expression {
    return this.arithmetic("*", "/", () => this.signed());
  }

  private arithmetic(one: ArithmeticOperator, other: ArithmeticOperator, operand: () => Expression): Expression {
    const first = operand();
    const rest: ArithmeticStep[] = [];
    for (;;) {
      if (this.accept("symbol", one)) rest.push({ operator: one, operand: operand() });
      else if (this.accept("symbol", other)) rest.push({ operator: other, operand: operand() });
      else return rest.length === 0 ? first : { kind: "arithmetic", first, rest };
    }
  }

  private signed(): Expression {
    const negative = this.sees("symbol", "-");
    if (!negative && !this.sees("symbol", "+")) return this.primary();
    return this.nested(() => ({ kind: "sign", negative, operand: this.signed() }));
  }

  private primary(): Expression {
    const token = this.token;
    if (token.kind === "symbol" && token.text === "(") {
      return this.nested(() => {
        const inner = this.or();
        if (!this.accept("symbol", ")")) throw this.unexpected(follow(inner, ")"));
        return inner;
      });
    }
    if (token.kind === "keyword" && (token.text === "TRUE" || token.text === "FALSE")) {
      this.index++;
      return { kind: "literal", value: token.text === "TRUE" };
    }
    if (token.kind === "symbol" || token.kind === "keyword" || token.kind === "end") throw this.unexpected(VALUE);
    this.index++;
    if (token.kind === "number") return { kind: "literal", value: token.value };
    if (token.kind === "string") return { kind: "literal", value: token.text };
    this.refuseBodyQuery(token);
    return { kind: "identifier", name: token.text };
  }

  private refuseBodyQuery(token: Token): void {
    if (this.token.kind !== "string" || !/^(?:xpath|xquery)$/i.test(token.source)) return;
    const name = token.source.toUpperCase();
    throw refusal(token.position, token.source, `no ${name}: selectors read headers and properties, not the body`);
  }

  private get token(): Token {
    const token = this.tokens[this.index] ?? this.tokens.at(-1);
    if (token === undefined) throw new BrokerError("internal", "A selector without tokens");
    return token;
  }

  private get ended(): boolean {
    return this.token.kind === "end";
  }

  private sees(kind: "keyword" | "symbol", text: string): boolean {
    const token = this.token;
    return token.kind === kind && token.text === text;
  }

  private accept(kind: "keyword" | "symbol", text: string): boolean {
    if (!this.sees(kind, text)) return false;
    this.index++;
    return true;
  }

  /** Goes past one token and one level down; the limit keeps hostile text from using up the stack. */
  private nested(inside: () => Expression): Expression {
    if (this.depth === MAX_DEPTH) {
      throw this.unexpected(`at most ${MAX_DEPTH} levels of brackets, NOT and signs`);
    }
    this.index++;
    this.depth++;
    const inner = inside();
    this.depth--;
    return inner;
  }

  /** The same expression, once it is known to be one that can be true or false. */
  private condition(expression: Expression): Expression {
    if (isCondition(expression)) return expression;
    throw this.unexpected(COMPARISON);
  }

  private unexpected(expected: string): BrokerError {
    return refusal(this.token.position, this.token.source, expected);
  }
}

function follow(expression: Expression, end: string): string {
  const logical = `AND, OR or ${end}`;
  if (!isCondition(expression)) return `an operator or ${end}`;
  const complete = expression.kind !== "identifier" && expression.kind !== "literal";
  return complete ? logical : `${COMPARISON}, ${logical}`;
}

function isCondition(expression: Expression): boolean {
  if (expression.kind === "literal") return typeof expression.value === "boolean";
  return expression.kind !== "arithmetic" && expression.kind !== "sign";
}

function isComparison(symbol: string): symbol is ComparisonOperator {
  return /^(?:[<>]=?|=|<>)$/.test(symbol);
}

function unless(negated: boolean, expression: Expression): Expression {
  return negated ? { kind: "not", operand: expression } : expression;
}
