import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import { Message, type PropertyValue } from "../../core/message.ts";
import { compileSelector } from "../../core/selector/selector.ts";

type Truth = "true" | "false" | "unknown";
type Scalar = string | number | bigint | boolean;
type Value = PropertyValue | undefined;

/** A selector as this test sees it: binary, and with the signs and negations spelt out. */
type Node =
  | { kind: "literal"; value: Scalar }
  | { kind: "name"; name: string }
  | { kind: "sign"; sign: "+" | "-"; of: Node }
  | { kind: "calculate"; operator: "+" | "-" | "*" | "/"; left: Node; right: Node }
  | { kind: "compare"; operator: string; left: Node; right: Node }
  | { kind: "between"; negated: boolean; of: Node; low: Node; high: Node }
  | { kind: "in"; negated: boolean; of: Node; values: (string | number)[] }
  | { kind: "like"; negated: boolean; of: Node; pattern: string; escape: string | undefined }
  | { kind: "null"; negated: boolean; of: Node }
  | { kind: "not"; of: Node }
  | { kind: "and" | "or"; left: Node; right: Node };

type Properties = ReadonlyMap<string, PropertyValue>;

// The reference: slow, and written from the rules rather than from the compiler.

function not(value: Truth): Truth {
  if (value === "unknown") return value;
  return value === "true" ? "false" : "true";
}

function and(left: Truth, right: Truth): Truth {
  if (left === "false" || right === "false") return "false";
  return left === "true" && right === "true" ? "true" : "unknown";
}

function or(left: Truth, right: Truth): Truth {
  return not(and(not(left), not(right)));
}

function truthOf(answer: boolean): Truth {
  return answer ? "true" : "false";
}

function judge(node: Node, properties: Properties): Truth {
  switch (node.kind) {
    case "and":
      return and(judge(node.left, properties), judge(node.right, properties));
    case "or":
      return or(judge(node.left, properties), judge(node.right, properties));
    case "not":
      return not(judge(node.of, properties));
    case "null": {
      const value = valueOf(node.of, properties).value;
      return negateIf(node.negated, truthOf(value === null || value === undefined));
    }
    case "compare":
      return compare(node.operator, valueOf(node.left, properties), valueOf(node.right, properties));
    case "between": {
      const of = valueOf(node.of, properties);
      const above = compare(">=", of, valueOf(node.low, properties));
      return negateIf(node.negated, and(above, compare("<=", of, valueOf(node.high, properties))));
    }
    case "in": {
      const of = valueOf(node.of, properties);
      const each = node.values.map((value) => compare("=", of, { value, converts: false }));
      return negateIf(node.negated, each.reduce(or));
    }
    case "like": {
      const value = valueOf(node.of, properties).value;
      if (typeof value !== "string") return "unknown";
      return negateIf(node.negated, truthOf(isLike(Array.from(value), patternOf(node.pattern, node.escape))));
    }
    default: {
      const { value, converts } = valueOf(node, properties);
      if (typeof value === "boolean") return truthOf(value);
      return converts && (value === "true" || value === "false") ? value : "unknown";
    }
  }
}

function negateIf(negated: boolean, value: Truth): Truth {
  return negated ? not(value) : value;
}

interface Typed {
  value: Value;
  converts: boolean;
}

function valueOf(node: Node, properties: Properties): Typed {
  switch (node.kind) {
    case "literal":
      return { value: node.value, converts: false };
    case "name":
      return { value: properties.get(node.name), converts: true };
    case "sign": {
      const value = numeric(valueOf(node.of, properties));
      if (value === null || node.sign === "+") return { value, converts: false };
      return { value: -value, converts: false };
    }
    case "calculate": {
      const left = numeric(valueOf(node.left, properties));
      const right = numeric(valueOf(node.right, properties));
      return { value: calculate(node.operator, left, right), converts: false };
    }
    default: {
      const truth = judge(node, properties);
      return { value: truth === "unknown" ? null : truth === "true", converts: false };
    }
  }
}

function numeric({ value, converts }: Typed): number | bigint | null {
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (!converts || typeof value !== "string" || !/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(value.trim()))
    return null;
  const double = Number(value);
  return Number.isInteger(double) && !Number.isSafeInteger(double) && !/[.e]/i.test(value) ? BigInt(value) : double;
}

function calculate(operator: string, left: number | bigint | null, right: number | bigint | null): Value {
  if (left === null || right === null) return null;
  const inexact = [left, right].some((value) => typeof value === "number" && !Number.isSafeInteger(value));
  if (inexact || (typeof left === "number" && typeof right === "number")) {
    const [a, b] = [Number(left), Number(right)];
    if (operator === "/") return b === 0 ? null : a / b;
    return operator === "+" ? a + b : operator === "-" ? a - b : a * b;
  }
  const [a, b] = [BigInt(left), BigInt(right)];
  if (operator === "/") {
    if (b === 0n) return null;
    return a % b === 0n ? a / b : Number(a) / Number(b);
  }
  const exact = operator === "+" ? a + b : operator === "-" ? a - b : a * b;
  return exact > 2n ** 127n || exact < -(2n ** 127n) ? Number(exact) : exact;
}

function compare(operator: string, left: Typed, right: Typed): Truth {
  const equality = operator === "=" || operator === "<>";
  const holds = (equal: boolean) => truthOf(equal === (operator === "="));
  if (typeof left.value === "string" && typeof right.value === "string" && equality)
    return holds(left.value === right.value);
  const numbers = [numeric(left), numeric(right)] as const;
  if (numbers[0] !== null && numbers[1] !== null) return compareNumbers(operator, numbers[0], numbers[1]);
  if (typeof left.value !== "boolean" && typeof right.value !== "boolean") return "unknown";
  const [a, b] = [booleanOf(left), booleanOf(right)];
  return a === undefined || b === undefined || !equality ? "unknown" : holds(a === b);
}

function booleanOf({ value, converts }: Typed): boolean | undefined {
  if (typeof value === "boolean") return value;
  if (!converts || (value !== "true" && value !== "false")) return undefined;
  return value === "true";
}

function compareNumbers(operator: string, left: number | bigint, right: number | bigint): Truth {
  if (Number.isNaN(left) || Number.isNaN(right)) return truthOf(operator === "<>");
  const order = orderOf(left, right);
  const orders: Record<string, boolean> = {
    "=": order === 0,
    "<>": order !== 0,
    "<": order < 0,
    "<=": order <= 0,
    ">": order > 0,
    ">=": order >= 0,
  };
  return truthOf(orders[operator] === true);
}

function orderOf(left: number | bigint, right: number | bigint): number {
  if (left === Infinity || right === -Infinity) return left === right ? 0 : 1;
  if (left === -Infinity || right === Infinity) return left === right ? 0 : -1;
  const [a, b] = [wholeAndRest(left), wholeAndRest(right)];
  if (a.whole !== b.whole) return a.whole < b.whole ? -1 : 1;
  return Math.sign(a.rest - b.rest);
}

function wholeAndRest(value: number | bigint): { whole: bigint; rest: number } {
  if (typeof value === "bigint") return { whole: value, rest: 0 };
  return { whole: BigInt(Math.floor(value)), rest: value - Math.floor(value) };
}

type Sign = { any: "one" | "many" } | string;

function patternOf(pattern: string, escape: string | undefined): Sign[] {
  const signs: Sign[] = [];
  const characters = Array.from(pattern);
  while (characters.length > 0) {
    const character = characters.shift() ?? "";
    if (character === escape) signs.push(characters.shift() ?? "");
    else if (character === "%") signs.push({ any: "many" });
    else signs.push(character === "_" ? { any: "one" } : character);
  }
  return signs;
}

/** All the places in the text that the pattern so far can reach. */
function isLike(text: string[], pattern: Sign[]): boolean {
  let reached = new Set([0]);
  for (const sign of pattern) {
    const next = new Set<number>();
    for (const at of reached) {
      if (typeof sign === "string") {
        if (text[at] === sign) next.add(at + 1);
      } else if (sign.any === "one") {
        if (at < text.length) next.add(at + 1);
      } else {
        for (let to = at; to <= text.length; to++) next.add(to);
      }
    }
    reached = next;
  }
  return reached.has(text.length);
}

// The printer: the same selector in one of its many spellings.

const LEVELS: Record<string, number> = {
  or: 1,
  and: 2,
  not: 3,
  "+": 5,
  "-": 5,
  "*": 6,
  "/": 6,
  sign: 7,
  literal: 8,
  name: 8,
};

function levelOf(node: Node): number {
  return LEVELS[node.kind === "calculate" ? node.operator : node.kind] ?? 4;
}

class Printer {
  private readonly words: string[] = [];
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  print(node: Node): string {
    this.put(node, 1);
    return this.words.reduce((text, word) => text + this.gap(text, word) + word, "");
  }

  private pick<T>(...choices: [T, ...T[]]): T {
    this.state = (Math.imul(this.state, 1103515245) + 12345) >>> 0;
    return choices[(this.state >>> 16) % choices.length] ?? choices[0];
  }

  private gap(text: string, word: string): string {
    const tight = text === "" || /[(),=<>'"]$/.test(text) || /^[(),=<>'"]/.test(word);
    const gap = this.pick("", " ", "  ", "\n", "\t", " /* ' OR */ ", " -- AND (\n");
    return gap === "" && !tight ? " " : gap;
  }

  private keyword(text: string): void {
    for (const word of text.split(" ")) {
      this.words.push(
        Array.from(word)
          .map((letter) => this.pick(letter, letter.toLowerCase()))
          .join(""),
      );
    }
  }

  private put(node: Node, level: number): void {
    const bracketed = levelOf(node) < level || this.pick(false, false, false, true);
    if (bracketed) this.words.push("(");
    this.putPlain(node);
    if (bracketed) this.words.push(")");
  }

  private putPlain(node: Node): void {
    switch (node.kind) {
      case "literal":
        return this.literal(node.value);
      case "name":
        this.words.push(/^[a-z-]+$/.test(node.name) ? this.pick(node.name, `"${node.name}"`) : `"${node.name}"`);
        return;
      case "sign":
        this.words.push(node.sign);
        return this.put(node.of, 7);
      case "calculate":
      case "compare": {
        const calculation = node.kind === "calculate";
        this.put(node.left, calculation ? levelOf(node) : 5);
        this.words.push(node.operator === "<>" ? this.pick("<>", "!=") : node.operator);
        return this.put(node.right, calculation ? levelOf(node) + 1 : 5);
      }
      case "not":
        this.keyword("NOT");
        return this.put(node.of, 3);
      case "and":
      case "or":
        this.put(node.left, levelOf(node));
        this.keyword(node.kind === "and" ? "AND" : "OR");
        return this.put(node.right, levelOf(node) + 1);
      default:
        this.put(node.of, 5);
        return this.predicate(node);
    }
  }

  private predicate(node: Extract<Node, { negated: boolean }>): void {
    if (node.kind === "null") return this.keyword(node.negated ? "IS NOT NULL" : "IS NULL");
    if (node.negated) this.keyword("NOT");
    if (node.kind === "between") {
      this.keyword("BETWEEN");
      this.put(node.low, 5);
      this.keyword("AND");
      this.put(node.high, 5);
    } else if (node.kind === "like") {
      this.keyword("LIKE");
      this.literal(node.pattern);
      if (node.escape === undefined) return;
      this.keyword("ESCAPE");
      this.literal(node.escape);
    } else {
      this.keyword("IN");
      node.values.forEach((value, at) => {
        this.words.push(at === 0 ? "(" : ",");
        if (typeof value === "number" && value < 0) this.words.push("-");
        this.literal(typeof value === "number" ? Math.abs(value) : value);
      });
      this.words.push(")");
    }
  }

  private literal(value: Scalar): void {
    if (typeof value === "boolean") this.keyword(value ? "TRUE" : "FALSE");
    else if (typeof value === "string") this.words.push(`'${value.replaceAll("'", "''")}'`);
    else if (typeof value === "bigint") this.words.push(this.pick(`${value}`, `${value}l`, `0x${value.toString(16)}`));
    else if (!Number.isInteger(value)) this.words.push(this.pick(`${value}`, `${value}D`, value.toExponential()));
    else {
      const octal = `0${value.toString(8)}`;
      this.words.push(
        this.pick(`${value}`, `0X${value.toString(16)}L`, octal, `${value}L`, `${value}.`, `${value}e0d`),
      );
    }
  }
}

// The generators.

const NAMES = ["a", "b", "c", "d", "content-type", "it is"];
const numbers = fc.constantFrom(0, 1, 2, 3, 10, 0.5, 2.5, 9007199254740991);
const integers = fc.constantFrom(9007199254740992n, 9007199254740993n, 18446744073709551615n);
const texts = fc.oneof(
  fc.constantFrom("", "a", "ab", "b", "1", "2.5", "true", "it's", "\u{1f600}a"),
  fc.string({ unit: fc.constantFrom("a", "b", "\u{1f600}"), maxLength: 6 }),
);
const patterns = fc.string({ unit: fc.constantFrom("a", "b", "_", "%", "%", "!", "\u{1f600}"), maxLength: 7 });
const operators = fc.constantFrom("=", "<>", "<", "<=", ">", ">=");
const name = fc.record({ kind: fc.constant("name" as const), name: fc.constantFrom(...NAMES) });
const literal = (value: fc.Arbitrary<Scalar>) => fc.record({ kind: fc.constant("literal" as const), value });

const { condition } = fc.letrec<{ value: Node; condition: Node }>((tie) => {
  const value = tie("value");
  const negated = fc.boolean();
  const inner = tie("condition");
  return {
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      { weight: 4, arbitrary: name },
      { weight: 3, arbitrary: literal(numbers) },
      literal(integers),
      literal(texts),
      literal(fc.boolean()),
      fc.record({ kind: fc.constant("sign" as const), sign: fc.constantFrom("+" as const, "-" as const), of: value }),
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant("calculate" as const),
          operator: fc.constantFrom("+" as const, "-" as const, "*" as const, "/" as const),
          left: value,
          right: value,
        }),
      },
      inner,
    ),
    condition: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      name,
      literal(fc.boolean()),
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constant("compare" as const), operator: operators, left: value, right: value }),
      },
      fc.record({ kind: fc.constant("between" as const), negated, of: value, low: value, high: value }),
      fc.record({
        kind: fc.constant("in" as const),
        negated,
        of: value,
        values: fc.array(fc.oneof(texts, fc.constantFrom(-1, 1, 2, 2.5)), { minLength: 1, maxLength: 4 }),
      }),
      fc.record({
        kind: fc.constant("like" as const),
        negated,
        of: value,
        pattern: patterns,
        escape: fc.constantFrom(undefined, undefined, "!", "\u{1f600}"),
      }),
      fc.record({ kind: fc.constant("null" as const), negated, of: value }),
      fc.record({ kind: fc.constant("not" as const), of: inner }),
      fc.record({ kind: fc.constantFrom("and" as const, "or" as const), left: inner, right: inner }),
      fc.record({ kind: fc.constantFrom("and" as const, "or" as const), left: inner, right: inner }),
    ),
  };
});

const propertyValue: fc.Arbitrary<PropertyValue> = fc.oneof(
  numbers,
  integers,
  fc.constantFrom(-1, 1n, 2n, -3n, Number.NaN, Infinity, 1e300, null, new Uint8Array([1])),
  fc.boolean(),
  texts,
  fc.constantFrom("0", "1", " 2 ", "-1", "2.5", "1e1", "9007199254740993", "true", "false", "0x1", "."),
);
const properties = fc
  .array(fc.tuple(fc.constantFrom(...NAMES), propertyValue), { maxLength: 8 })
  .map((entries) => new Map(entries));

function messageOf(held: Properties): Message {
  const content = {
    messageId: undefined,
    correlationId: undefined,
    replyTo: undefined,
    subject: undefined,
    contentType: undefined,
    contentEncoding: undefined,
    userId: undefined,
    groupId: undefined,
    groupSequence: undefined,
    bodyKind: "bytes" as const,
    properties: held,
  };
  const envelope = { address: new Address("topic", ["t"]), durable: false, priority: 4, expiresAt: 0, receivedAt: 1 };
  return new Message({ name: "test", open: () => content }, envelope, Buffer.alloc(0), 0, 0, 0, 0);
}

function evaluate(text: string, message: Message): Truth {
  if (compileSelector(text).matches(message)) return "true";
  return compileSelector(`NOT (${text}\n)`).matches(message) ? "false" : "unknown";
}

function isRefusedOrRuns(text: string, message: Message): void {
  try {
    compileSelector(text).matches(message);
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== "bad-selector") throw error;
    expect(error.message).toMatch(/^Selector, position \d+: found .+, expected .+$/s);
  }
}

/** A pattern must not end in the middle of an escape, or the selector is refused. */
function complete(node: Node): boolean {
  if (node.kind === "like") {
    const signs = Array.from(node.pattern);
    let escaped = false;
    for (const sign of signs) escaped = !escaped && sign === node.escape;
    if (escaped) return false;
  }
  return Object.values(node).every((part: unknown) => !isNode(part) || complete(part));
}

function isNode(part: unknown): part is Node {
  return typeof part === "object" && part !== null && "kind" in part;
}

describe("any selector", () => {
  it("means what the rules say, however it is spelt", () => {
    const spelt = fc.tuple(
      condition.filter(complete),
      fc.nat(),
      fc.nat(),
      fc.array(properties, { minLength: 1, maxLength: 4 }),
    );
    const met = new Set<Truth>();
    fc.assert(
      fc.property(spelt, ([node, one, other, sets]) => {
        for (const held of sets) {
          const message = messageOf(held);
          const expected = judge(node, held);
          met.add(expected);
          expect(evaluate(new Printer(one).print(node), message)).toBe(expected);
          expect(evaluate(new Printer(other).print(node), message)).toBe(expected);
        }
      }),
      { numRuns: 3000 },
    );
    expect(met.size).toBe(3);
  });

  it("answers LIKE as the rules say", () => {
    fc.assert(
      fc.property(texts, patterns, (text, pattern) => {
        const message = messageOf(new Map([["a", text]]));
        const expected = truthOf(isLike(Array.from(text), patternOf(pattern, undefined)));
        expect(evaluate(`a LIKE '${pattern}'`, message)).toBe(expected);
      }),
      { numRuns: 3000 },
    );
  });

  it("of random text is refused or runs", () => {
    const message = messageOf(new Map<string, PropertyValue>([["a", 1]]));
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => isRefusedOrRuns(text, message)),
      { numRuns: 2000 },
    );
  });

  it("of random words is refused or runs", () => {
    const message = messageOf(
      new Map<string, PropertyValue>([
        ["a", 1],
        ["b", "2"],
      ]),
    );
    const word = fc.constantFrom(
      ..."a b 1 0x 09 1.5 1e9 'x' '' ' \" AND OR NOT IN LIKE BETWEEN ESCAPE IS NULL TRUE ( ) , = <> < + - -- * / /* */ . \ud800".split(
        " ",
      ),
      "\n",
    );
    const text = fc.array(word, { maxLength: 14 }).map((words) => words.join(" "));
    const tight = fc.array(word, { maxLength: 14 }).map((words) => words.join(""));
    fc.assert(
      fc.property(fc.oneof(text, tight), (words) => isRefusedOrRuns(words, message)),
      { numRuns: 4000 },
    );
  });

  it("with a piece cut out is refused or runs", () => {
    const message = messageOf(new Map<string, PropertyValue>([["a", 1]]));
    const cut = fc.tuple(condition.filter(complete), fc.nat(), fc.nat(), fc.nat({ max: 5 }));
    fc.assert(
      fc.property(cut, ([node, seed, at, length]) => {
        const text = new Printer(seed).print(node);
        const start = at % text.length;
        isRefusedOrRuns(text.slice(0, start) + text.slice(start + length), message);
      }),
      { numRuns: 2000 },
    );
  });
});
