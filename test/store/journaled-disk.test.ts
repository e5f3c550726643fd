import { cpSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Change, Entry, KeyRange, Table } from "../../store/lmdb/disk.ts";
import { JournaledDisk } from "../../store/lmdb/journaled-disk.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryDirectory } from "../support/store-harness.ts";
import { MapDisk } from "../support/store-map-disk.ts";

const MEBI = 1024 * 1024;
const ALL: KeyRange = { from: Buffer.from([0]), to: Buffer.alloc(8, 255) };

function change(key: string, value: string | Buffer | undefined, table: Table = "records"): Change {
  return { table, key: Buffer.from(key, "latin1"), value: value === undefined ? undefined : Buffer.from(value) };
}

function texts(entries: Iterable<Entry>): string[] {
  return [...entries].map(({ key, value }) => `${key.toString("latin1")}=${value.toString("latin1")}`);
}

interface Opened {
  readonly disk: JournaledDisk;
  readonly file: MapDisk;
  readonly damage: string[];
  readonly failures: unknown[];
}

async function opened(directory: string, file = new MapDisk(), applyMs = 0): Promise<Opened> {
  const failures: unknown[] = [];
  file.closed = false;
  const options = { directory, failed: (cause: unknown) => failures.push(cause), applyMs };
  return { ...(await JournaledDisk.open(file, options)), file, failures };
}

function filesOf(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.startsWith("journal-"));
}

/** Opens what a crash at this instant would leave. */
async function crashed({ file }: Opened, directory: string): Promise<Opened> {
  const copy = join(directory, "crashed");
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy);
  for (const name of filesOf(directory)) cpSync(join(directory, name), join(copy, name));
  return opened(copy, file.copy());
}

type Step =
  | { readonly do: "commit"; readonly changes: readonly Change[] }
  | { readonly do: "range"; readonly table: Table; readonly range: KeyRange }
  | { readonly do: "hold" | "apply" | "crash" | "reopen" };

const table = fc.constantFrom<Table>("packs", "records");
const key = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 }).map((bytes) => Buffer.from(bytes));
const value = fc.oneof(
  { weight: 4, arbitrary: fc.nat(99).map((n) => Buffer.from(`v${n}`)) },
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom(70_000, 400_000).map((n) => Buffer.alloc(n, "x")) },
);
const range = fc
  .tuple(key, key, fc.boolean())
  .map(([a, b, backwards]) =>
    a.compare(b) < 0 === backwards ? { from: b, to: a, backwards } : { from: a, to: b, backwards },
  );
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      changes: fc.array(fc.record({ table, key, value }), { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("range" as const), table, range }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("hold" as const, "apply" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("crash" as const, "reopen" as const) }) },
);

function check({ disk }: Opened, model: MapDisk): void {
  for (const one of ["packs", "records"] as const) {
    expect(texts(disk.range(one, ALL))).toEqual(texts(model.range(one, ALL)));
    for (const entry of model.range(one, ALL)) expect(disk.get(one, entry.key)?.equals(entry.value)).toBe(true);
  }
}

test("whenever it applies what it confirmed, reads show all of it, and a crash at any instant leaves all of it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: "max" }), async (steps) => {
      using directory = temporaryDirectory();
      let now = await opened(directory.path);
      const model = new MapDisk();
      let commits = 0;
      for (const one of steps) {
        if (one.do === "commit") {
          commits++;
          await now.disk.commit(one.changes);
          model.write(one.changes);
        } else if (one.do === "range") {
          expect(texts(now.disk.range(one.table, one.range))).toEqual(texts(model.range(one.table, one.range)));
        } else if (one.do === "hold") now.file.held = true;
        else if (one.do === "apply") {
          now.file.letGo();
          const { file } = now;
          await eventually(() => file.applied === commits);
        } else if (one.do === "crash") {
          const after = await crashed(now, directory.path);
          expect(after.damage).toEqual([]);
          check(after, model);
          await after.disk.close();
        } else {
          now.file.letGo();
          await now.disk.close();
          expect(filesOf(directory.path)).toEqual([]);
          now = await opened(directory.path, now.file);
        }
        expect(now.damage).toEqual([]);
      }
      check(now, model);
      now.file.letGo();
      await now.disk.close();
      expect(now.failures).toEqual([]);
      expect(texts(now.file.range("records", ALL))).toEqual(texts(model.range("records", ALL)));
    }),
    { numRuns: 40 },
  );
}, 60_000);

describe("the journal's files", () => {
  test("are all accounted for when some are given back while another is being made, and gone when it is closed", async () => {
    using directory = temporaryDirectory();
    const now = await opened(directory.path);
    const seventh = Buffer.alloc(150_000, "v");
    const commit = (): Promise<void> => now.disk.commit([change("k", seventh)]);
    // The first file is full, and everything applied.
    for (let i = 0; i < 6; i++) await commit();
    await eventually(() => now.file.applied === 6);
    // What makes it free waits, until the second file is half full and a third is being made.
    now.file.held = true;
    await commit();
    await eventually(() => now.file.waits);
    for (let i = 0; i < 6; i++) await commit();
    now.file.letGo();
    await eventually(() => now.file.applied === 13);
    await eventually(() => {
      const sizes = filesOf(directory.path).map((name) => statSync(join(directory.path, name)).size);
      expect(sizes).toHaveLength(3);
      expect(sizes.reduce((sum, size) => sum + size)).toBe(now.disk.bytes);
    });
    await now.disk.close();
    expect(filesOf(directory.path)).toEqual([]);
  });

  test("are used again: their space is bounded, and records of an earlier use are never taken for new ones", async () => {
    using directory = temporaryDirectory();
    const now = await opened(directory.path);
    for (let i = 1; i <= 120; i++) {
      await now.disk.commit([change("a", `${i} ${"x".repeat(100_000)}`), change(`k${i % 7}`, `${i}`)]);
      if (i % 5 === 0) await eventually(() => now.file.applied === i);
      if (i % 20 !== 3) continue;
      const after = await crashed(now, directory.path);
      expect(after.damage).toEqual([]);
      expect(after.disk.get("records", Buffer.from("a"))?.toString()).toMatch(new RegExp(`^${i} x`));
      expect(after.disk.get("records", Buffer.from(`k${i % 7}`))?.toString()).toBe(`${i}`);
      await after.disk.close();
    }
    expect(now.disk.bytes).toBeLessThanOrEqual(7 * MEBI);
    await now.disk.close();
  });

  test("are made large enough for a record that is larger than a file, and do not stay so large", async () => {
    using directory = temporaryDirectory();
    const now = await opened(directory.path);
    now.file.held = true;
    const large = Buffer.alloc(20 * MEBI, "large");
    await now.disk.commit([change("before", "1")]);
    await now.disk.commit([change("large", large)]);
    await now.disk.commit([change("after", "1")]);
    const after = await crashed(now, directory.path);
    expect(after.disk.get("records", Buffer.from("large"))?.equals(large)).toBe(true);
    expect(after.disk.get("records", Buffer.from("after"))?.toString()).toBe("1");
    await after.disk.close();
    now.file.letGo();
    await eventually(() => now.file.applied === 3);
    await now.disk.commit([change("more", Buffer.alloc(17 * MEBI))]);
    await now.disk.commit([change("more", "")]);
    await eventually(() => now.file.applied === 5);
    await eventually(() => now.disk.bytes < 36 * MEBI);
    await now.disk.close();
  });
});

describe("when the data file is slow", () => {
  test("commits wait above a bound, and go on when it has caught up", async () => {
    using directory = temporaryDirectory();
    const now = await opened(directory.path);
    now.file.held = true;
    const large = Buffer.alloc(MEBI, "v");
    for (let i = 0; i < 32; i++) await now.disk.commit([change(`k${i}`, large)]);
    const order: string[] = [];
    const waiting = now.disk.commit([change("waits", "1")]).then(() => order.push("commit"));
    // Long enough for a commit that does not wait.
    const probe = await open(join(directory.path, "probe"), "w");
    for (let i = 0; i < 10; i++) {
      await probe.write(large);
      await probe.sync();
    }
    await probe.close();
    order.push("let go");
    now.file.letGo();
    await waiting;
    expect(order).toEqual(["let go", "commit"]);
    expect(now.disk.get("records", Buffer.from("waits"))?.toString()).toBe("1");
    await now.disk.close();
    expect(texts(now.file.range("records", ALL))).toHaveLength(33);
  });

  test("what is written and removed meanwhile never reaches it, and many batches are one commit", async () => {
    using directory = temporaryDirectory();
    const now = await opened(directory.path);
    now.file.held = true;
    await now.disk.commit([change("first", "1")]);
    const before = now.file.commits;
    for (let i = 0; i < 50; i++) await now.disk.commit([change(`k${i}`, "1"), change(`k${i - 1}`, undefined)]);
    now.file.letGo();
    await eventually(() => now.file.applied === 51);
    expect(now.file.commits - before).toBeLessThanOrEqual(2);
    expect(texts(now.file.range("records", ALL))).toEqual(["first=1", "k49=1"]);
    await now.disk.close();
  });
});

describe("when it is closed", () => {
  test("what gathered while the data file was written reaches it before that is closed", async () => {
    using directory = temporaryDirectory();
    const now = await opened(directory.path, new MapDisk(), 60_000);
    now.file.held = true;
    await now.disk.commit([change("a", Buffer.alloc(5 * MEBI))]);
    expect(now.file.waits).toBe(true);
    await now.disk.commit([change("b", Buffer.alloc(5 * MEBI))]);
    const closed = now.disk.close();
    now.file.letGo();
    now.file.held = true;
    await eventually(() => now.file.waits);
    // Whoever does not wait for the second commit is through with its own by then.
    for (let turn = 0; turn < 100 && filesOf(directory.path).length > 0; turn++) await nextTurn();
    now.file.letGo();
    await closed;
    expect(now.failures).toEqual([]);
    expect(now.file.get("records", Buffer.from("b"))).toHaveLength(5 * MEBI);
    expect(filesOf(directory.path)).toEqual([]);
  });
});

describe("very many changes", () => {
  const many = Array.from({ length: 10_000 }, (_, i) => change(`k${String(i).padStart(5, "0")}`, "1"));

  test("are applied in several commits, and only the last one says so", async () => {
    using directory = temporaryDirectory();
    const now = await opened(directory.path, new MapDisk(), 60_000);
    await now.disk.commit(many);
    now.file.failsAfter = 2;
    await now.disk.close();
    expect(now.failures).toHaveLength(1);
    expect([texts(now.file.range("records", ALL)).length, now.file.applied]).toEqual([8192, 0]);
    const again = await opened(directory.path, now.file.copy());
    expect(texts(again.disk.range("records", ALL))).toHaveLength(many.length);
    await again.disk.close();
  });
});

describe("when the data file fails", () => {
  test("that is told once, nothing is confirmed after it, reads go on, and the journal has what was confirmed", async () => {
    using directory = temporaryDirectory();
    const now = await opened(directory.path);
    now.file.broken = true;
    await now.disk.commit([change("a", "1")]);
    await eventually(() => now.failures.length > 0);
    await expect(now.disk.commit([change("b", "1")])).rejects.toThrow("does not answer");
    expect(now.disk.get("records", Buffer.from("a"))?.toString()).toBe("1");
    expect(now.disk.get("records", Buffer.from("b"))).toBeUndefined();
    await now.disk.close();
    expect(now.failures).toHaveLength(1);
    const again = await opened(directory.path, now.file.copy());
    expect(texts(again.disk.range("records", ALL))).toEqual(["a=1"]);
    await again.disk.close();
  });

  test("while it closes, the journal stays", async () => {
    using directory = temporaryDirectory();
    const now = await opened(directory.path, new MapDisk(), 60_000);
    await now.disk.commit([change("a", "1")]);
    now.file.broken = true;
    await now.disk.close();
    expect(now.failures).toHaveLength(1);
    expect(statSync(join(directory.path, "journal-1")).size).toBe(MEBI);
    const again = await opened(directory.path, now.file.copy());
    expect(texts(again.disk.range("records", ALL))).toEqual(["a=1"]);
    await again.disk.close();
  });
});
