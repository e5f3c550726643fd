import { Address, type AddressKind, checkLevelCount, checkNameLength } from "./address.ts";
import { BrokerError } from "../errors.ts";
import { escapeCanonical } from "./escape.ts";
import { type LevelExpression, maxStates } from "./level-expression.ts";

/**
 * One level of a pattern: a name, any one level, the rest (so many levels or more, anywhere in the pattern), or an
 * expression that one level has to match.
 */
export type PatternLevel =
  | string
  | { readonly any: true }
  | { readonly rest: 0 | 1 }
  | { readonly regex: LevelExpression; readonly text: string };

/** What is subscribed to: an address, or a wildcard over the addresses of one kind. Never changes. */
export class Pattern {
  readonly kind: AddressKind;
  /** With at most one wildcard for the rest in a row of wildcards, standing last, so that equal rows look equal. */
  readonly levels: readonly PatternLevel[];
  /** Canonical text; equal texts mean equal patterns, within the kind. */
  readonly text: string;
  /** Set when there is no wildcard in it. */
  readonly address: Address | undefined;

  /** Throws BrokerError("bad-address") if there is no level or a limit is passed. */
  constructor(kind: AddressKind, levels: readonly PatternLevel[]) {
    checkLevelCount(levels.length);
    this.kind = kind;
    if (levels.every((level) => typeof level === "string")) {
      this.address = new Address(kind, levels);
      this.levels = this.address.levels;
      this.text = this.address.name;
      return;
    }
    this.address = undefined;
    this.levels = normalize(levels);
    this.text = this.levels.map(canonicalLevel).join(".");
    if (!this.text.isWellFormed()) throw new BrokerError("bad-address", "the pattern has a lone surrogate");
    checkNameLength(this.text);
    checkStates(this.levels);
  }

  /** The pattern that matches this address alone. */
  static of(address: Address): Pattern {
    return new Pattern(address.kind, address.levels);
  }

  /** Whether the address is of this kind and all of it matches. */
  matches(address: Address): boolean {
    if (this.kind !== address.kind) return false;
    if (this.address !== undefined) return this.text === address.name;
    return matchLevels(this.levels, address.levels);
  }
}

/** Whether a level that stands for exactly one level matches it. */
export function matchesLevel(level: PatternLevel, name: string): boolean {
  if (typeof level === "string") return level === name;
  if ("regex" in level) return level.regex.test(name);
  return "any" in level;
}

/** Whether all levels of a name match those of a pattern. */
export function matchLevels(pattern: readonly PatternLevel[], names: readonly string[]): boolean {
  let p = 0;
  let n = 0;
  // Between two rests the first place that fits is as good as any later one, so only the last rest is ever tried again.
  let lastRest = -1;
  let restEnd = 0;
  while (n < names.length || p < pattern.length) {
    const level = pattern[p];
    const name = names[n];
    if (level !== undefined && typeof level !== "string" && "rest" in level) {
      lastRest = p++;
      n += level.rest;
      if (n > names.length) return false;
      restEnd = n;
    } else if (level !== undefined && name !== undefined && matchesLevel(level, name)) {
      p++;
      n++;
    } else if (lastRest >= 0 && restEnd < names.length) {
      n = ++restEnd;
      p = lastRest + 1;
    } else {
      return false;
    }
  }
  return true;
}

const any = { any: true } as const;

/** Rewrites rows of wildcards: "**.*" and "*.#.*" mean "two or more" as "*.**" does. */
function normalize(levels: readonly PatternLevel[]): PatternLevel[] {
  const normal: PatternLevel[] = [];
  let least = 0;
  let rest = false;
  const endRow = (): void => {
    const anys = rest && least > 0 ? least - 1 : least;
    for (let i = 0; i < anys; i++) normal.push(any);
    if (rest) normal.push({ rest: least > 0 ? 1 : 0 });
    least = 0;
    rest = false;
  };
  for (const level of levels) {
    if (typeof level === "string" || "regex" in level) {
      endRow();
      normal.push(level);
    } else if ("any" in level) {
      least++;
    } else {
      least += level.rest;
      rest = true;
    }
  }
  endRow();
  return normal;
}

function canonicalLevel(level: PatternLevel): string {
  if (typeof level === "string") return escapeCanonical(level);
  if ("regex" in level) return level.text;
  if ("any" in level) return "*";
  return level.rest === 1 ? "**" : "#";
}

function checkStates(levels: readonly PatternLevel[]): void {
  let states = 0;
  for (const level of levels) if (typeof level !== "string" && "regex" in level) states += level.regex.size;
  if (states > maxStates) {
    throw new BrokerError(
      "bad-address",
      `the expressions of the pattern are too large: they need ${states} states together, the limit is ${maxStates} states`,
    );
  }
}
