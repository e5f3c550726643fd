import type { Pattern, PatternLevel } from "./pattern.ts";

/**
 * Orders patterns that match the same names from general to specific, to sort with. They are compared level by level
 * from the left: a name is more specific than an expression, that than `*`, that than `**`, that than `#`.
 */
export function compareSpecificity(a: Pattern, b: Pattern): number {
  const length = Math.max(a.levels.length, b.levels.length);
  for (let i = 0; i < length; i++) {
    const difference = rank(a.levels[i]) - rank(b.levels[i]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function rank(level: PatternLevel | undefined): number {
  // "**" says less than "**.a", but "a" says more than "a.#".
  if (level === undefined) return 2;
  if (typeof level === "string") return 5;
  if ("regex" in level) return 4;
  return "any" in level ? 3 : level.rest;
}
