import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Change } from "../../store/lmdb/disk.ts";
import { readJournal } from "../../store/lmdb/journal-reading.ts";
import { recordBytes } from "../../store/lmdb/journal-record.ts";
import { JournaledDisk } from "../../store/lmdb/journaled-disk.ts";
import { temporaryDirectory } from "../support/store-harness.ts";
import { MapDisk } from "../support/store-map-disk.ts";

function batch(number: number): Change[] {
  return [
    { table: "records", key: Buffer.from(`k${number}`), value: Buffer.from(`value ${number}`) },
    { table: "packs", key: Buffer.from("last"), value: Buffer.from(`${number}`) },
    { table: "states", key: Buffer.from("gone"), value: undefined },
  ];
}

const RECORD_BYTES = recordBytes(batch(1));

/** A journal of which nothing was applied: its one file as far as it is used, and its mark. */
async function written(directory: string, batches: number): Promise<{ file: MapDisk; bytes: Buffer; mark: Buffer }> {
  const file = new MapDisk();
  const { disk } = await JournaledDisk.open(file, { directory, failed: () => {}, applyMs: 60_000 });
  for (let i = 1; i <= batches; i++) await disk.commit(batch(i));
  const bytes = Buffer.from(readFileSync(join(directory, "journal-1")).subarray(0, (batches + 1) * RECORD_BYTES));
  const unapplied = file.copy();
  await disk.close();
  const mark = Buffer.from(unapplied.get("meta", Buffer.from("journal"))?.subarray(8) ?? []);
  return { file: unapplied, bytes, mark };
}

function put(directory: string, bytes: Buffer): void {
  writeFileSync(join(directory, "journal-1"), bytes);
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = Number(copy[at]) ^ 0x10;
  return copy;
}

async function reopened(directory: string, file: MapDisk) {
  const { disk, damage } = await JournaledDisk.open(file, { directory, failed: () => {} });
  const keys = [...disk.range("records", { from: Buffer.from("k"), to: Buffer.from("l") })];
  return { disk, damage, keys: keys.map(({ key }) => key.toString()) };
}

describe("a batch that was being written when the power went", () => {
  test("does not count, and all before it do: cut, zeroed or garbled at every byte", async () => {
    using directory = temporaryDirectory();
    const { bytes, mark } = await written(directory.path, 3);
    const from = 2 * RECORD_BYTES;
    const last = (content: Buffer): number => {
      put(directory.path, content);
      const found = readJournal(directory.path, mark, 0);
      expect(found.damage).toBeUndefined();
      expect(found.changes).toHaveLength(3 * found.last);
      return found.last;
    };
    expect(last(bytes)).toBe(3);
    for (let at = from; at < from + RECORD_BYTES; at++) {
      expect(last(bytes.subarray(0, at))).toBe(2);
      const zeroed = Buffer.from(bytes).fill(0, at);
      // The last bytes may be zeros anyway.
      if (!zeroed.equals(bytes)) expect(last(zeroed)).toBe(2);
      expect(last(flipped(bytes, at))).toBe(2);
    }
  });

  test("is written anew after that", async () => {
    using directory = temporaryDirectory();
    const { file, bytes } = await written(directory.path, 3);
    put(directory.path, bytes.subarray(0, 3 * RECORD_BYTES - 1));
    const first = await reopened(directory.path, file);
    expect(first).toMatchObject({ damage: [], keys: ["k1", "k2"] });
    await first.disk.commit(batch(4));
    await first.disk.close();
    const second = await reopened(directory.path, file);
    expect(second).toMatchObject({ damage: [], keys: ["k1", "k2", "k4"] });
    await second.disk.close();
  });
});

describe("a batch that is damaged with others behind it", () => {
  test("is reported; what was before it is there, and the file is kept", async () => {
    using directory = temporaryDirectory();
    const { file, bytes } = await written(directory.path, 5);
    put(directory.path, flipped(bytes, 2 * RECORD_BYTES + 50));
    const first = await reopened(directory.path, file);
    expect(first.damage).toEqual([
      "the journal lacks batch 3: it and the 2 after it were set aside as journal-1.damaged",
    ]);
    expect(first.keys).toEqual(["k1", "k2"]);
    await first.disk.commit(batch(9));
    await first.disk.close();
    expect(readdirSync(directory.path)).toEqual(["journal-1.damaged"]);
    const second = await reopened(directory.path, file);
    expect(second).toMatchObject({ damage: [], keys: ["k1", "k2", "k9"] });
    expect(readdirSync(directory.path).sort()).toEqual(["journal-1.damaged", "journal-2"]);
    await second.disk.close();
  });

  test("is reported too when the data file is older than the journal's first batch", async () => {
    using directory = temporaryDirectory();
    const { file, bytes } = await written(directory.path, 5);
    put(directory.path, bytes.subarray(3 * RECORD_BYTES));
    const { damage, disk, keys } = await reopened(directory.path, file);
    expect(damage).toEqual([
      "the journal lacks batch 1 to 3: it and the 2 after it were set aside as journal-1.damaged",
    ]);
    expect(keys).toEqual([]);
    await disk.close();
  });
});

test("a journal of another directory is not taken for its own", async () => {
  using one = temporaryDirectory();
  using other = temporaryDirectory();
  const { bytes } = await written(one.path, 3);
  put(other.path, bytes);
  const found = await reopened(other.path, new MapDisk());
  expect(found).toMatchObject({ damage: [], keys: [] });
  await found.disk.close();
});

test("a message that holds a copy of a journal is not taken for batches", async () => {
  using directory = temporaryDirectory();
  const { bytes, mark } = await written(directory.path, 3);
  const guess = Buffer.from(bytes);
  for (let at = 0; at < guess.length; at += RECORD_BYTES) guess.fill(7, at, at + mark.length);
  put(directory.path, Buffer.concat([bytes.subarray(0, 2 * RECORD_BYTES), guess]));
  expect(readJournal(directory.path, mark, 0)).toMatchObject({ last: 2, highest: 2, damage: undefined });
});
