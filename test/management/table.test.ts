import fc from "fast-check";
import { Type } from "typebox";
import { expect, it } from "vitest";
import { Directory } from "../../core/routing/directory.ts";
import { Table } from "../../src/management/table.ts";

interface Thing {
  readonly name: string;
  readonly size: number;
  readonly kind: string;
}

/** A table that counts how often values are read. */
function countingTable(): { table: Table<Thing>; reads: Record<string, number> } {
  const reads: Record<string, number> = { name: 0, size: 0, kind: 0 };
  const field = <K extends keyof Thing>(key: K) => ({
    schema: Type.Unknown(),
    read: (thing: Thing) => {
      reads[key] = (reads[key] ?? 0) + 1;
      return thing[key];
    },
  });
  const fields = { name: field("name"), size: field("size"), kind: field("kind") };
  return { table: new Table<Thing>("Thing", "name", fields), reads };
}

function directoryOf(things: readonly Thing[]): Directory<Thing> {
  const directory = new Directory<Thing>();
  for (const thing of things) directory.set(thing.name, thing);
  return directory;
}

const many = directoryOf(
  Array.from({ length: 100_000 }, (_, at) => ({ name: `thing.${at}`, size: (at * 7919) % 1000, kind: "k" })),
);

it("builds the rows of one page and looks at no other, in the order of names", async () => {
  const { table, reads } = countingTable();
  const page = await table.list(many, { p: 500, ps: 100 });
  expect(page).toMatchObject({ page: 500, page_size: 100, total_pages: 1000, total_rows: 100_000 });
  expect(page.items.map(({ name }) => name)).toEqual([...many.keys()].sort().slice(50_000, 50_100));
  expect(reads).toEqual({ name: 100, size: 100, kind: 100 });
});

it("reads one value of each row to order them by a number, and the rest for the page only", async () => {
  const { table, reads } = countingTable();
  const { items } = await table.list(many, { o: ["-size"], p: 0, ps: 10, f: ["name,size"] });
  expect(items.map(({ size }) => size)).toEqual(Array.from({ length: 10 }, () => 999));
  expect(reads).toEqual({ name: 10, size: 100_010, kind: 0 });
});

it("reads what a filter asks for of each row, and the rest for the page only", async () => {
  const { table, reads } = countingTable();
  const { items, total_rows } = await table.list(many, { q: "size = 5 AND kind = 'k'", p: 0, ps: 10, f: ["name"] });
  expect(total_rows).toBe(100);
  expect(items).toHaveLength(10);
  expect(reads).toEqual({ name: 10, size: 100_000, kind: 100 });
});

it("lets others have their turn while it looks at very many", async () => {
  const { table } = countingTable();
  let turns = 0;
  let done = false;
  const count = (): void => {
    turns++;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  await table.list(many, { q: "size > 990", o: ["size"], p: 0, ps: 10 });
  done = true;
  expect(turns).toBeGreaterThanOrEqual(2);
});

it("gives the same pages as a plain sort of everything", async () => {
  const thing = fc.record({
    name: fc.string({ minLength: 1, maxLength: 3 }),
    size: fc.integer({ min: 0, max: 5 }),
    kind: fc.constantFrom("a", "b"),
  });
  const order = fc.constantFrom("name", "-name", "size", "-size", "kind", "-kind");
  await fc.assert(
    fc.asyncProperty(
      fc.array(thing, { maxLength: 40 }),
      fc.array(order, { maxLength: 2 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 7 }),
      async (things, o, filtered, ps) => {
        const { table } = countingTable();
        const directory = directoryOf(things);
        const wanted = [...directory.values()]
          .filter(({ kind }) => !filtered || kind === "a")
          .sort((a, b) => compareBy(o.length === 0 ? ["name"] : o, a, b));
        const got: unknown[] = [];
        for (let p = 0; ; p++) {
          const page = await table.list(directory, { o, p, ps, f: ["name"], ...(filtered ? { q: "kind = 'a'" } : {}) });
          expect(page.total_rows).toBe(wanted.length);
          if (page.items.length === 0) break;
          got.push(...page.items.map(({ name }) => name));
        }
        const keys = (found: Thing | undefined) => o.map((key) => found?.[keyOf(key)]);
        expect(got.map((name) => keys(directory.get(String(name))))).toEqual(wanted.map(keys));
        expect(new Set(got)).toEqual(new Set(wanted.map(({ name }) => name)));
      },
    ),
  );
});

it("refuses fields that are not there and names those that are", async () => {
  const { table } = countingTable();
  for (const request of [{ f: ["colour"] }, { o: ["-colour"] }, { q: "colour = 1" }]) {
    await expect(table.list(many, { p: 0, ps: 1, ...request })).rejects.toThrow(
      "There is no field colour; expected one of name, size, kind",
    );
  }
});

function keyOf(order: string): keyof Thing {
  const name = order.replace("-", "");
  return name === "size" || name === "kind" ? name : "name";
}

function compareBy(orders: readonly string[], a: Thing, b: Thing): number {
  for (const order of orders) {
    const key = keyOf(order);
    const compared = a[key] < b[key] ? -1 : Number(a[key] > b[key]);
    if (compared !== 0) return order.startsWith("-") ? -compared : compared;
  }
  return 0;
}

it("goes through what can only be gone through as far as to the end of the page", async () => {
  const { table, reads } = countingTable();
  let seen = 0;
  function* walk(): Iterable<Thing | undefined> {
    for (const thing of many.values()) {
      seen++;
      yield undefined;
      yield thing;
    }
  }
  const page = await table.listWalk(walk(), many.size, { p: 3, ps: 5, f: ["name"] });
  expect(page).toMatchObject({ page: 3, page_size: 5, total_pages: 20_000, total_rows: 100_000 });
  expect(page.items.map(({ name }) => name)).toEqual([15, 16, 17, 18, 19].map((n) => `thing.${n}`));
  expect([seen, reads]).toEqual([20, { name: 5, size: 0, kind: 0 }]);
  const filtered = await table.listWalk(walk(), many.size, { p: 0, ps: 5, f: ["name"], q: "name = 'thing.99999'" });
  expect(filtered).toMatchObject({ total_rows: 1, items: [{ name: "thing.99999" }] });
  expect(await table.listWalk(walk(), many.size, { p: 1_000_000_000, ps: 5 })).toMatchObject({ items: [] });
});
