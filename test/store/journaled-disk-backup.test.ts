import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Change } from "../../store/lmdb/disk.ts";
import { JournaledDisk } from "../../store/lmdb/journaled-disk.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryDirectory } from "../support/store-harness.ts";
import { MapDisk } from "../support/store-map-disk.ts";

/** More than one commit of the data file takes. */
const MANY = 10_000;

/** A disk whose copy is one of the moment at which it is let: as that of lmdb, which is of some moment after it was asked for. */
class CopiedDisk extends MapDisk {
  readonly copies: MapDisk[] = [];
  private readonly gate = Promise.withResolvers<void>();
  copying = false;

  async backup(): Promise<void> {
    this.copying = true;
    await this.gate.promise;
    this.copies.push(this.copy());
  }

  finish(): void {
    this.gate.resolve();
  }

  override async close(): Promise<void> {
    if (this.copying && this.copies.length === 0) throw new Error("closed while it is read");
    await super.close();
  }
}

function changes(count: number, value: string): Change[] {
  return Array.from({ length: count }, (_, n) => ({
    table: "records",
    key: Buffer.from(`key ${n}`),
    value: Buffer.from(value),
  }));
}

async function opened(file: MapDisk, directory: string): Promise<JournaledDisk> {
  const options = { directory, failed: () => {}, applyMs: 60_000 };
  return (await JournaledDisk.open(file, options)).disk;
}

test("a copy has all that was confirmed before it was asked for, applied or not", async () => {
  using directory = temporaryDirectory();
  const file = new CopiedDisk();
  const disk = await opened(file, directory.path);
  await disk.commit(changes(3, "confirmed"));
  expect(file.get("records", Buffer.from("key 0"))).toBeUndefined();
  const done = disk.backup("copy");
  file.finish();
  await done;
  for (let n = 0; n < 3; n++) expect(String(file.copies[0]?.get("records", Buffer.from(`key ${n}`)))).toBe("confirmed");
  await disk.close();
});

test("whatever moment a copy is of, no batch is in it by half", async () => {
  using directory = temporaryDirectory();
  const file = new CopiedDisk();
  const disk = await opened(file, directory.path);
  await disk.commit(changes(MANY, "before"));
  const done = disk.backup("copy");
  await eventually(() => expect(file.copying).toBe(true));
  file.held = true;
  const commits = file.commits;
  await disk.commit([...changes(MANY, "after".padEnd(500))]);
  const closing = disk.close();
  await eventually(() => expect(file.waits).toBe(true));
  file.letGo();
  await nextTurn();
  file.finish();
  await done;
  await closing;
  expect(file.commits - commits).toBe(1);
  const values = [0, MANY / 2, MANY - 1].map((n) =>
    String(file.copies[0]?.get("records", Buffer.from(`key ${n}`))).trim(),
  );
  expect(new Set(values).size).toBe(1);
});

test("a disk that cannot be copied says so", async () => {
  using directory = temporaryDirectory();
  const disk = await opened(new MapDisk(), directory.path);
  await expect(disk.backup("copy")).rejects.toThrow(/cannot be copied/);
  await disk.close();
});

test("it is not closed while a copy is being made", async () => {
  using directory = temporaryDirectory();
  const file = new CopiedDisk();
  const disk = await opened(file, directory.path);
  const done = disk.backup("copy");
  await eventually(() => expect(file.copying).toBe(true));
  const closing = disk.close();
  // Time enough to delete the journal's files, which comes before the end.
  for (let turn = 0; turn < 500; turn++) await nextTurn();
  file.finish();
  await Promise.all([done, closing]);
  expect(file.closed).toBe(true);
});
