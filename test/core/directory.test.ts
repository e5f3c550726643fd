import fc from "fast-check";
import { expect, it } from "vitest";
import { Directory } from "../../core/routing/directory.ts";

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
          expect(directory.inOrder()).toEqual([...model].sort());
        }
      }
      expect(directory.inOrder()).toEqual([...model].sort());
      directory.clear();
      expect(directory.inOrder()).toEqual([]);
    }),
  );
});

it("is in order again after nobody asked while very many came and went", () => {
  const directory = new Directory<number>();
  directory.set("m", 1);
  expect(directory.inOrder()).toEqual(["m"]);
  for (let each = 0; each < 3000; each++) directory.set(`${each}`, each);
  for (let each = 0; each < 2999; each++) directory.delete(`${each}`);
  expect(directory.inOrder()).toEqual(["2999", "m"]);
});
