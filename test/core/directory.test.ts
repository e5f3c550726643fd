import fc from "fast-check";
import { expect, it } from "vitest";
import { Directory } from "../../core/routing/directory.ts";

function namesOf(directory: Directory<number>): readonly string[] {
  const ordering = directory.inOrder();
  for (;;) {
    const { done, value } = ordering.next();
    if (done === true) return value;
  }
}

it("tells its names in order, whatever came and went since it was last asked", () => {
  const step = fc.record({ name: fc.string({ maxLength: 2 }), go: fc.constantFrom("in", "out", "ask") });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const directory = new Directory<number>();
      const model = new Set<string>();
      for (const { name, go } of steps) {
        if (go === "in") {
          directory.set(name, 1);
          model.add(name);
        } else if (go === "out") {
          expect(directory.delete(name)).toBe(model.delete(name));
        } else {
          expect(namesOf(directory)).toEqual([...model].sort());
        }
      }
      expect(namesOf(directory)).toEqual([...model].sort());
      directory.clear();
      expect(namesOf(directory)).toEqual([]);
    }),
  );
});

it("is in order again after nobody asked while very many came and went", () => {
  const directory = new Directory<number>();
  directory.set("m", 1);
  expect(namesOf(directory)).toEqual(["m"]);
  for (let each = 0; each < 3000; each++) directory.set(`${each}`, each);
  for (let each = 0; each < 2999; each++) directory.delete(`${each}`);
  expect(namesOf(directory)).toEqual(["2999", "m"]);
});

/** Names that come in no order. */
function nameOf(n: number): string {
  return `${(n * 7919) % 100_003}`;
}

it("puts very many names in order in short pieces, while others come and go and somebody else asks too", () => {
  const directory = new Directory<number>();
  for (let n = 0; n < 20_000; n++) directory.set(nameOf(n), n);
  const first = directory.inOrder();
  const second = directory.inOrder();
  let pieces = 0;
  for (let n = 0; first.next().done !== true; n++) {
    pieces++;
    second.next();
    directory.delete(nameOf(n));
    directory.set(nameOf(30_000 + n), n);
  }
  expect(pieces).toBeGreaterThan(20);
  expect(namesOf(directory)).toEqual([...directory.keys()].sort());
  for (let n = 0; n < 50; n++) directory.set(`new ${n}`, n);
  const given = directory.inOrder();
  given.next();
  directory.set("later", 1);
  given.return([]);
  expect(namesOf(directory)).toEqual([...directory.keys()].sort());
});

it("that was cleared while its names were put in order has none", () => {
  const directory = new Directory<number>();
  for (let n = 0; n < 5000; n++) directory.set(`${n}`, n);
  const ordering = directory.inOrder();
  ordering.next();
  directory.clear();
  directory.set("a", 1);
  while (ordering.next().done !== true);
  expect(namesOf(directory)).toEqual(["a"]);
});
