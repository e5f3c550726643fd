/*
 * What patterns have to do with each other, as sets of names. Both answers are exact for names, "*", "**" and "#"; of
 * regular expressions only what is plain to see is found out, and where that is not enough each answer is the one that
 * lets nobody do more.
 */
import { matchesLevel, type PatternLevel } from "../addresses/pattern.ts";

/** Whether everything that `narrow` matches is certainly matched by `wide` as well. */
export function covers(wide: readonly PatternLevel[], narrow: readonly PatternLevel[]): boolean {
  return relate(unrolled(wide), unrolled(narrow), (w, n, go, i, j) => {
    if (w === REST) return go(i + 1, j) || (n !== undefined && go(i, j + 1));
    if (n === undefined) return w === undefined;
    // Any number of levels: none, or one more and then any number.
    if (n === REST) return w !== undefined && go(i, j + 1) && isAny(w) && go(i + 1, j);
    return w !== undefined && covering(w, n) && go(i + 1, j + 1);
  });
}

/** Whether there may be a name that both match. */
export function meets(one: readonly PatternLevel[], other: readonly PatternLevel[]): boolean {
  return relate(unrolled(one), unrolled(other), (a, b, go, i, j) => {
    if (a === REST) return go(i + 1, j) || (b !== undefined && go(i, j + 1));
    if (b === REST) return go(i, j + 1) || (a !== undefined && go(i + 1, j));
    if (a === undefined || b === undefined) return a === b;
    return meeting(a, b) && go(i + 1, j + 1);
  });
}

/** Any number of levels. */
const REST = "rest";

type Single = Exclude<PatternLevel, { readonly rest: 0 | 1 }>;
/** A name is wrapped, so that it is not taken for REST. */
type Step = { readonly single: Single } | typeof REST;
type Rule = (
  a: Step | undefined,
  b: Step | undefined,
  go: (i: number, j: number) => boolean,
  i: number,
  j: number,
) => boolean;

/** With "one level or more" as one level and any number of others. */
function unrolled(levels: readonly PatternLevel[]): Step[] {
  const [only] = levels;
  // No name is without a level.
  if (levels.length === 1 && only !== undefined && typeof only !== "string" && "rest" in only) {
    return [{ single: { any: true } }, REST];
  }
  return levels.flatMap((level): Step[] => {
    if (typeof level === "string" || !("rest" in level)) return [{ single: level }];
    return level.rest === 0 ? [REST] : [{ single: { any: true } }, REST];
  });
}

/** Applies a rule from the beginning of both to their ends, to each pair of places once. */
function relate(first: readonly Step[], second: readonly Step[], rule: Rule): boolean {
  const width = second.length + 1;
  const known = new Map<number, boolean>();
  const go = (i: number, j: number): boolean => {
    const key = i * width + j;
    let answer = known.get(key);
    if (answer === undefined) {
      answer = rule(first[i], second[j], go, i, j);
      known.set(key, answer);
    }
    return answer;
  };
  return go(0, 0);
}

function isAny(step: Step): boolean {
  return step !== REST && typeof step.single !== "string" && "any" in step.single;
}

function covering(wide: Step, narrow: Step): boolean {
  if (isAny(wide)) return true;
  if (wide === REST || narrow === REST) return false;
  if (typeof narrow.single === "string") return matchesLevel(wide.single, narrow.single);
  return isSameExpression(wide.single, narrow.single);
}

function meeting(a: Step, b: Step): boolean {
  if (a === REST || b === REST) return true;
  if (typeof a.single === "string") return matchesLevel(b.single, a.single);
  if (typeof b.single === "string") return matchesLevel(a.single, b.single);
  return true;
}

function isSameExpression(a: Single, b: Single): boolean {
  return typeof a !== "string" && typeof b !== "string" && "regex" in a && "regex" in b && a.text === b.text;
}
