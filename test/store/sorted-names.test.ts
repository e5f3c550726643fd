import * as fc from "fast-check";
import { expect, test } from "vitest";
import { SortedNames } from "../../store/sorted-names.ts";

const name = fc.integer({ min: 0, max: 4000 }).map((n) => `k${n}`);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("add" as const), names: fc.uniqueArray(name, { maxLength: 900 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("delete" as const), names: fc.uniqueArray(name, { maxLength: 300 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("up" as const, "down" as const),
      from: name,
      to: name,
      most: fc.nat(1500),
    }),
  },
);

test("names are read in order, upwards and downwards, whatever was added and deleted before", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25, size: "max" }), (steps) => {
      const names = new SortedNames();
      const model = new Set<string>();
      for (const one of steps) {
        if (one.do === "add") {
          for (const added of one.names) if (!model.has(added)) names.add(added);
          for (const added of one.names) model.add(added);
        } else if (one.do === "delete") {
          for (const deleted of one.names) {
            names.delete(deleted);
            model.delete(deleted);
          }
        } else {
          const { from, to, most } = one;
          const up = one.do === "up";
          const expected = [...model]
            .filter((each) => (up ? each >= from && each < to : each <= from && each > to))
            .sort((a, b) => (a < b === up ? -1 : 1))
            .slice(0, most);
          const found: string[] = [];
          if (most > 0) {
            for (const each of up ? names.upwards(from, to) : names.downwards(from, to)) {
              found.push(each);
              if (found.length === most) break;
            }
          }
          expect(found).toEqual(expected);
        }
      }
      expect([...names.upwards("", "~")]).toEqual([...model].sort());
      expect([...names.downwards("~", "")]).toEqual([...model].sort().reverse());
    }),
    { numRuns: 100 },
  );
});
