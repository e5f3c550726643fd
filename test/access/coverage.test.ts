import fc from "fast-check";
import { expect, it } from "vitest";
import { covers, meets } from "../../core/access/coverage.ts";
import type { AccessRule } from "../../core/access/rule.ts";
import { AccessRules } from "../../core/access/rules.ts";
import type { Action, ResourceKind, Subject } from "../../core/access/access.ts";
import { Address } from "../../core/addresses/address.ts";
import { canonical } from "../../core/addresses/spelling.ts";

/** "z" is a name that no pattern knows. The shortest name that two patterns share is as long as both together. */
const NAMES = namesUpTo(6, ["a", "b", "z"]);

function namesUpTo(length: number, levels: readonly string[]): Address[] {
  let rows: string[][] = [[]];
  const found: Address[] = [];
  for (let i = 0; i < length; i++) {
    rows = rows.flatMap((row) => levels.map((level) => [...row, level]));
    found.push(...rows.map((row) => new Address("topic", row)));
  }
  return found;
}

const patternText = fc
  .array(fc.constantFrom("a", "b", "*", "**", "#", "{a|b}", "a*"), { minLength: 1, maxLength: 3 })
  .map((levels) => levels.join("."));

it("of two patterns, covering is never said of one that leaves out a name of the other", () => {
  fc.assert(
    fc.property(patternText, patternText, (wideText, narrowText) => {
      const wide = canonical.parsePattern("topic", wideText);
      const narrow = canonical.parsePattern("topic", narrowText);
      const leftOut = NAMES.find((name) => narrow.matches(name) && !wide.matches(name));
      if (leftOut !== undefined) expect(covers(wide.levels, narrow.levels)).toBe(false);
    }),
    { numRuns: 500 },
  );
});

it("of two patterns without expressions it is exactly known whether one covers the other, and whether they meet", () => {
  const plain = patternText.filter((text) => !/\{|a\*/.test(text));
  fc.assert(
    fc.property(plain, plain, (wideText, narrowText) => {
      const wide = canonical.parsePattern("topic", wideText);
      const narrow = canonical.parsePattern("topic", narrowText);
      const inside = NAMES.filter((name) => narrow.matches(name));
      expect(covers(wide.levels, narrow.levels)).toBe(inside.every((name) => wide.matches(name)));
      expect(meets(wide.levels, narrow.levels)).toBe(inside.some((name) => wide.matches(name)));
    }),
    { numRuns: 500 },
  );
});

it("patterns that share a name always meet", () => {
  fc.assert(
    fc.property(patternText, patternText, (one, other) => {
      const a = canonical.parsePattern("topic", one);
      const b = canonical.parsePattern("topic", other);
      if (NAMES.some((name) => a.matches(name) && b.matches(name))) expect(meets(a.levels, b.levels)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

const SUBJECTS: readonly Subject[] = [
  { user: "ann", groups: ["x"], principals: [], listener: "l", clientId: "a" },
  { user: "bob", groups: ["x", "y"], principals: [], listener: "m", clientId: "b" },
  { user: undefined, groups: [], principals: [], listener: "l", clientId: undefined },
];
const principals = fc.uniqueArray(fc.constantFrom("*", "+", "x", "y", "ann", "bob"), { maxLength: 2 });
const anyRule: fc.Arbitrary<AccessRule> = fc.record({
  origin: fc.string(),
  allow: principals,
  deny: principals,
  principalKinds: fc.constantFrom(["group"] as const, ["user"] as const, ["*"] as const),
  actions: fc.constantFrom(["*"] as const, ["send"] as const, ["receive", "consume"] as const),
  kinds: fc.constantFrom(["*"] as const, ["topic"] as const, ["queue", "dsub"] as const),
  id: fc.option(fc.oneof(patternText, fc.constantFrom("%u", "%c", "a.%c")), { nil: undefined }),
  connector: fc.option(fc.constantFrom("l", "m"), { nil: undefined }),
});

/** As the rules are told to operators, word for word, one name at a time. */
function naive(rules: readonly AccessRule[], subject: Subject, action: Action, kind: ResourceKind, name: Address) {
  for (const rule of rules) {
    if (rule.connector !== undefined && rule.connector !== subject.listener) continue;
    if (!rule.actions.some((one) => one === "*" || one === action)) continue;
    if (!rule.kinds.some((one) => one === "*" || one === kind)) continue;
    const id = rule.id?.replace("%u", subject.user ?? "%u").replace("%c", subject.clientId ?? "%c");
    if (id?.includes("%") === true) continue;
    if (id !== undefined && !canonical.parsePattern("topic", id).matches(name)) continue;
    const kinds = rule.principalKinds;
    const names = [
      ...(kinds.some((one) => one === "*" || one === "group") ? subject.groups : []),
      ...(kinds.some((one) => one === "*" || one === "user") && subject.user !== undefined ? [subject.user] : []),
    ];
    const named = (list: readonly string[]): boolean =>
      list.includes("*") || (list.includes("+") && names.length > 0) || names.some((one) => list.includes(one));
    if (named(rule.deny)) return false;
    if (named(rule.allow)) return true;
  }
  return rules.length === 0;
}

it("rules decide as whoever reads them one by one, and a wildcard stands for no more than its names", () => {
  const subjects = fc.constantFrom(...SUBJECTS);
  fc.assert(
    fc.property(fc.array(anyRule, { maxLength: 6 }), subjects, patternText, (rules, subject, text) => {
      const permissions = new AccessRules({ broker: rules, hosts: new Map() }).permissions(subject, "h");
      for (const name of NAMES.filter((_, index) => index % 7 === 0)) {
        const allowed = naive(rules, subject, "receive", "topic", name);
        expect(permissions.decide("receive", "topic", name.name).allowed).toBe(allowed);
        if (permissions.receivesAll) expect(allowed).toBe(true);
      }
      const pattern = canonical.parsePattern("topic", text);
      const decision = permissions.decide("receive", "topic", pattern.text);
      if (!decision.allowed || decision.except !== undefined) return;
      for (const name of NAMES)
        if (pattern.matches(name)) expect(naive(rules, subject, "receive", "topic", name)).toBe(true);
    }),
    { numRuns: 150 },
  );
});
