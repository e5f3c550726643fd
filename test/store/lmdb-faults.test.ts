import { expect, test } from "vitest";
import { LmdbDisk } from "../../store/lmdb/disk.ts";
import { FaultyDisk } from "../support/store-faulty.ts";
import { lmdbHarness, temporaryDirectory, testEntry } from "../support/store-harness.ts";
import { contentsOf, StorePlayer } from "../support/store-player.ts";
import { StoreScript } from "../support/store-script.ts";

const SEED = 77;
const TURNS = 6;

/** Plays the script until a write fails; returns what must be on disk, and how many operations there were. */
async function playWith(directory: string, fails: number): Promise<{ expected: string[]; operations: number }> {
  let disk: FaultyDisk | undefined;
  const h = lmdbHarness(directory, {
    wrapDisk: (journaled) => {
      disk = new FaultyDisk(journaled, fails);
      return disk;
    },
  });
  await h.open();
  const script = new StoreScript(SEED);
  const player = new StorePlayer(h.store);
  player.putQueues();
  await h.commit();
  let expected = script.expected();
  for (let turn = 0; turn < TURNS && h.failures.length === 0; turn++) {
    player.play(script.turn());
    await h.commit();
    if (h.failures.length === 0) expected = script.expected();
    player.release();
  }
  const operations = disk?.operations ?? 0;
  if (fails <= operations) {
    expect(h.failures).toHaveLength(1);
    expect(h.failures[0]?.message).toMatch(/is full \(ENOSPC: no space left on device\).*store\.directory/);
    const durable = [...h.durable];
    const entry = testEntry(1_000_000);
    expect(() => {
      h.store.putQueue(9, "nine");
      h.store.enqueue(1, entry);
      h.store.dequeue(1, entry);
      h.store.redeliver(1, entry);
      h.store.release(1, entry);
      h.store.purge(1);
      h.store.deleteQueue(2);
      h.store.put("kind", "after", Buffer.from("the end"));
      h.store.remove("kind", "k1");
      h.store.load(1, 0, 9, 9, () => {});
      h.store.statistics();
    }).not.toThrow();
    expect(h.store.expired(1e13, 5)).toEqual([]);
    h.turn();
    await h.store.close();
    expect(h.durable).toEqual(durable);
    expect(h.failures).toHaveLength(1);
  } else {
    expect(h.failures).toEqual([]);
    await h.store.close();
  }
  return { expected, operations };
}

test("whichever write fails, the store says so once, does nothing more, and holds what was durable", async () => {
  using scratch = temporaryDirectory();
  const { operations } = await playWith(scratch.path, Number.POSITIVE_INFINITY);
  expect(operations).toBeGreaterThan(60);
  for (let fails = 1; fails <= operations; fails++) {
    using directory = temporaryDirectory();
    const { expected } = await playWith(directory.path, fails);
    const h = lmdbHarness(directory.path);
    await h.open();
    if (h.recovered.queues.length > 0) expect(contentsOf(h.store)).toEqual(expected);
    else expect(expected).toEqual([]);
    await h.store.close();
  }
});

test("a disk that is full when the store opens is named, with the setting", async () => {
  using directory = temporaryDirectory();
  const h = lmdbHarness(directory.path, { openDisk: (path) => new FaultyDisk(new LmdbDisk(path), 1) });
  await expect(h.open()).rejects.toThrow(/^The disk of the data directory .* is full; .*store\.directory/);
  const again = lmdbHarness(directory.path);
  await again.open();
  await again.store.close();
});
