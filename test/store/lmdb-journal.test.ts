import { copyFileSync, cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Change, DATA_FILE, LmdbDisk } from "../../store/lmdb/disk.ts";
import { readU64 } from "../../store/lmdb/journal-record.ts";
import { eventually } from "../support/eventually.ts";
import { FaultyDisk } from "../support/store-faulty.ts";
import { lmdbHarness, type StoreHarness, temporaryDirectory } from "../support/store-harness.ts";
import { contentsOf, StorePlayer } from "../support/store-player.ts";
import { StoreScript } from "../support/store-script.ts";

/** A data file that is only written while it is let. */
class HeldDisk extends LmdbDisk {
  private held: Promise<void> = Promise.resolve();
  private release: () => void = () => {};

  /** The last batch that was applied from the journal. */
  get applied(): number {
    return readU64(this.get("meta", Buffer.from("journal")) ?? Buffer.alloc(8), 0);
  }

  hold(): void {
    this.held = new Promise((resolve) => {
      this.release = resolve;
    });
  }

  letGo(): void {
    this.release();
  }

  override async commit(changes: readonly Change[]): Promise<void> {
    await this.held;
    await super.commit(changes);
  }
}

/** A store over such a file, with a script to play. */
async function played(directory: string, seed: number) {
  let disk: HeldDisk | undefined;
  const h = lmdbHarness(directory, {
    openDisk: (path) => {
      disk = new HeldDisk(path);
      return disk;
    },
  });
  await h.open();
  const script = new StoreScript(seed);
  const player = new StorePlayer(h.store);
  player.putQueues();
  await h.commit();
  if (disk === undefined) throw new Error("no disk was made");
  const turns = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      player.play(script.turn());
      await h.commit();
      player.release();
    }
  };
  return { h, disk, script, turns };
}

/** Opens what a crash would leave: the journal as it is, and a given copy of the data file. */
async function openedCopy(directory: string, dataFile: string, copy: string): Promise<StoreHarness> {
  for (const name of readdirSync(directory)) {
    if (name.startsWith("journal-")) cpSync(join(directory, name), join(copy, name));
  }
  copyFileSync(dataFile, join(copy, DATA_FILE));
  const h = lmdbHarness(copy);
  await h.open();
  return h;
}

test("what the journal has and the data file has not is there after a crash, if nothing was ever applied", async () => {
  using directory = temporaryDirectory();
  using copy = temporaryDirectory();
  const { h, disk, script, turns } = await played(directory.path, 5);
  disk.hold();
  await turns(40);
  expect(contentsOf(h.store)).toEqual(script.expected());
  const after = await openedCopy(directory.path, join(directory.path, DATA_FILE), copy.path);
  expect(after.recovered.damage).toEqual([]);
  expect(contentsOf(after.store)).toEqual(script.expected());
  await after.store.close();
  disk.letGo();
  await h.store.close();
});

test("a data file that fell back to its last sync, as after a power loss, gets the rest from the journal", async () => {
  using directory = temporaryDirectory();
  const { h, disk, script, turns } = await played(directory.path, 6);
  for (let round = 0; round < 5; round++) {
    using copy = temporaryDirectory();
    await turns(10);
    await eventually(() => disk.applied === h.store.statistics().batches);
    disk.hold();
    const old = join(copy.path, "old");
    copyFileSync(join(directory.path, DATA_FILE), old);
    await turns(10);
    const after = await openedCopy(directory.path, old, copy.path);
    expect(after.recovered.damage).toEqual([]);
    expect(contentsOf(after.store)).toEqual(script.expected());
    await after.reopen();
    expect(contentsOf(after.store)).toEqual(script.expected());
    await after.store.close();
    disk.letGo();
  }
  await h.store.close();
});

test("whichever write to the data file fails, the store says so once and has all it confirmed when it opens again", async () => {
  let failed = true;
  for (let fails = 10; failed; fails += 10) {
    using directory = temporaryDirectory();
    const h = lmdbHarness(directory.path, { openDisk: (path) => new FaultyDisk(new LmdbDisk(path), fails) });
    await h.open();
    const script = new StoreScript(78);
    const player = new StorePlayer(h.store);
    player.putQueues();
    await h.commit();
    let confirmed: string[] = script.expected();
    let said = confirmed;
    for (let turn = 0; turn < 12 && h.failures.length === 0; turn++) {
      player.play(script.turn());
      said = script.expected();
      await h.commit();
      if (h.failures.length > 0) break;
      confirmed = said;
      player.release();
    }
    await h.store.close();
    failed = h.failures.length > 0;
    expect(h.failures.length).toBeLessThanOrEqual(1);
    if (failed) expect(h.failures[0]?.message).toMatch(/is full \(ENOSPC: no space left on device\).*store\.directory/);
    const again = lmdbHarness(directory.path);
    await again.open();
    expect(again.recovered.damage).toEqual([]);
    expect([confirmed.join("\n"), said.join("\n")]).toContain(contentsOf(again.store).join("\n"));
    await again.store.close();
  }
});
