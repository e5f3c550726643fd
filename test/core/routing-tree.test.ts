import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import type { Pattern } from "../../core/addresses/pattern.ts";
import { AddressTree, PatternTree } from "../../core/addresses/routing-tree.ts";
import { canonical } from "../../core/addresses/spelling.ts";

function pattern(text: string): Pattern {
  return canonical.parsePattern("topic", text);
}

function address(text: string): Address {
  return canonical.parse("topic", text);
}

const patterns = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom("a", "b", "*", "**", "#") },
      fc.constantFrom("a*", "{[ab]}", "*{[0-9]}", ""),
    ),
    {
      minLength: 1,
      maxLength: 6,
    },
  )
  .map((levels) => pattern(levels.join(".")));
const addresses = fc
  .array(fc.constantFrom("a", "b", "a1", "c", ""), { minLength: 1, maxLength: 7 })
  .map((levels) => new Address("topic", levels));

function found<T>(visit: (each: (value: T) => void) => void): T[] {
  const values: T[] = [];
  visit((value) => values.push(value));
  return values.sort((one, other) => (String(one) < String(other) ? -1 : 1));
}

describe("a tree of patterns", () => {
  test("finds what filtering all patterns finds, after any adds and removals, and keeps no empty branches", () => {
    const change = fc.record({
      add: fc.constantFrom(true, true, false),
      at: fc.nat(),
      pattern: patterns,
      value: fc.nat(2),
    });
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 40 }),
        fc.array(addresses, { minLength: 1, maxLength: 5 }),
        (changes, looked) => {
          const tree = new PatternTree<string>();
          const stored = new Map<string, { pattern: Pattern; value: string }>();
          for (const { add, at, pattern: one, value } of changes) {
            const known = [...stored.values()];
            const other = known[at % Math.max(known.length, 1)];
            if (add) {
              const entry = { pattern: one, value: `${one.text} ${value}` };
              stored.set(entry.value, entry);
              tree.add(one, entry.value);
            } else if (other === undefined) {
              expect(tree.remove(one, `${one.text} ${value}`)).toBe(false);
            } else {
              stored.delete(other.value);
              expect(tree.remove(other.pattern, other.value)).toBe(true);
            }
          }
          for (const one of looked) {
            const expected = [...stored.values()]
              .filter((entry) => entry.pattern.matches(one))
              .map((entry) => entry.value);
            expect(found<string>((each) => tree.match(one, each))).toEqual(found((each) => expected.forEach(each)));
          }
          const fresh = new PatternTree<string>();
          for (const entry of stored.values()) fresh.add(entry.pattern, entry.value);
          expect(tree.branches).toBe(fresh.branches);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("is empty again when everything was removed", () => {
    const tree = new PatternTree<number>();
    const all = ["a.b.c", "a.b", "a.*.**.c", "#", "a.{x}", "a.{y}", "**"].map(pattern);
    for (const one of all) tree.add(one, 1);
    expect(tree.branches).toBeGreaterThan(0);
    for (const one of all) expect(tree.remove(one, 1)).toBe(true);
    expect(tree.branches).toBe(0);
    expect(tree.remove(pattern("a.b"), 1)).toBe(false);
  });

  test("holds many values under one pattern, each once, and lets go of each", () => {
    const tree = new PatternTree<number>();
    const all = Array.from({ length: 50 }, (_, value) => value);
    for (const value of [...all, ...all]) tree.add(pattern("a.*"), value);
    expect(found<number>((each) => tree.match(address("a.b"), each)).length).toBe(50);
    for (const value of all) expect(tree.remove(pattern("a.*"), value)).toBe(true);
    expect(tree.remove(pattern("a.*"), 0)).toBe(false);
    expect(tree.branches).toBe(0);
  });

  test("visits a value once for each of its patterns that match", () => {
    const tree = new PatternTree<string>();
    for (const text of ["a.b", "a.*", "a.#", "**.b", "b.*"]) tree.add(pattern(text), "x");
    expect(found<string>((each) => tree.match(address("a.b"), each))).toEqual(["x", "x", "x", "x"]);
  });

  test("ends soon with many rests in one pattern, where trying every split would never end", () => {
    const tree = new PatternTree<number>();
    tree.add(pattern(`${"a.**.".repeat(30)}b`), 1);
    tree.add(pattern(`${"#.a.".repeat(30)}#`), 2);
    expect(found<number>((each) => tree.match(address(Array(128).fill("a").join(".")), each))).toEqual([2]);
  });
});

describe("a tree of addresses", () => {
  test("finds what filtering all addresses finds, after any changes, and keeps no empty branches", () => {
    const change = fc.record({ set: fc.constantFrom(true, true, false), at: fc.nat(), address: addresses });
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 40 }),
        fc.array(patterns, { minLength: 1, maxLength: 5 }),
        (changes, looked) => {
          const tree = new AddressTree<string>();
          const stored = new Map<string, Address>();
          for (const { set, at, address: one } of changes) {
            const known = [...stored.values()];
            const other = known[at % Math.max(known.length, 1)] ?? one;
            if (set) tree.set(one, one.name);
            else expect(tree.delete(other)).toBe(stored.has(other.name));
            if (set) stored.set(one.name, one);
            else stored.delete(other.name);
            expect(tree.get(one)).toBe(stored.get(one.name)?.name);
          }
          for (const one of looked) {
            const expected = [...stored.values()].filter((held) => one.matches(held)).map((held) => held.name);
            expect(found<string>((each) => tree.matching(one, each))).toEqual(found((each) => expected.forEach(each)));
            expect(new Set(tree.walk(one))).toEqual(new Set(expected));
          }
          const fresh = new AddressTree<string>();
          for (const held of stored.values()) fresh.set(held, held.name);
          expect(tree.branches).toBe(fresh.branches);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("lets others have their turn while a walk finds nothing", () => {
    const tree = new AddressTree<number>();
    for (let i = 0; i < 1000; i++) tree.set(address(`a.${i}.b`), i);
    tree.set(address("a.1000.c"), 1000);
    const walked = Array.from(tree.walk(pattern("a.*.c")));
    expect(walked.filter((value) => value !== undefined)).toEqual([1000]);
    expect(walked.length).toBeGreaterThan(3);
  });

  test("holds the last value set, and an undefined one too", () => {
    const tree = new AddressTree<number | undefined>();
    tree.set(address("a.b"), 1);
    tree.set(address("a.b"), undefined);
    expect(found<number | undefined>((each) => tree.matching(pattern("a.b"), each))).toEqual([undefined]);
    expect(tree.delete(address("a.b"))).toBe(true);
    expect(tree.branches).toBe(0);
  });

  test("ends soon with many rests in one pattern, where trying every split would never end", () => {
    const tree = new AddressTree<number>();
    tree.set(address(Array(128).fill("a").join(".")), 1);
    expect(found<number>((each) => tree.matching(pattern(`${"a.**.".repeat(30)}b`), each))).toEqual([]);
    expect(found<number>((each) => tree.matching(pattern(`${"#.a.".repeat(30)}#`), each))).toEqual([1]);
  });
});
