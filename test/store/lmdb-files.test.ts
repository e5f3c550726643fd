import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { DATA_FILE, LmdbDisk, type Table } from "../../store/lmdb/disk.ts";
import {
  lmdbHarness,
  type StoreHarness,
  temporaryDirectory,
  testEntry,
  testMessage,
} from "../support/store-harness.ts";

const HOLDER = fileURLToPath(new URL("../support/store-holder.ts", import.meta.url));

async function holder(directory: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [HOLDER, directory], { stdio: ["ignore", "pipe", "inherit"] });
  if (child.stdout !== null) await once(child.stdout, "data");
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, "close");
  child.kill("SIGKILL");
  await ended;
}

async function opened(directory: string): Promise<StoreHarness> {
  const h = lmdbHarness(directory);
  await h.open();
  return h;
}

/** How many keys the tables of a closed store have. */
async function sizes(directory: string, ...tables: Table[]): Promise<number[]> {
  const disk = new LmdbDisk(directory);
  const all = { from: Buffer.from([0]), to: Buffer.alloc(16, 255) };
  const counts = tables.map((table) => [...disk.range(table, all)].length);
  await disk.close();
  return counts;
}

/** A store with some queues, some of it settled. */
async function filled(directory: string): Promise<void> {
  const h = await opened(directory);
  for (const key of [1, 2, 3]) h.store.putQueue(key, `queue ${key}`);
  for (let round = 0; round < 8; round++) {
    for (let i = 1; i <= 60; i++) {
      h.enqueue(1 + (i % 3), testEntry(round * 100 + i, testMessage({ body: "x".repeat(round * 40) })));
    }
    await h.commit();
    for (const entry of h.entries(2).slice(0, 5)) h.store.dequeue(2, entry);
  }
  await h.store.close();
}

describe("the lock", () => {
  test("keeps a second store of the same process out, and lets it in afterwards", async () => {
    using directory = temporaryDirectory();
    const first = await opened(directory.path);
    await expect(opened(directory.path)).rejects.toThrow(
      `The data directory ${directory.path} is in use by process ${process.pid}; stop it or choose another with store.directory.`,
    );
    first.store.putQueue(1, "still works");
    await first.commit();
    await first.store.close();
    const second = await opened(directory.path);
    expect(second.recovered.queues).toHaveLength(1);
    await second.store.close();
  });

  test("keeps another process out until that one is gone, even by kill -9", async () => {
    using directory = temporaryDirectory();
    const child = await holder(directory.path);
    const message = `in use by process ${child.pid}; stop it`;
    await expect(opened(directory.path)).rejects.toThrow(message);
    await expect(opened(directory.path)).rejects.toThrow(message);
    await killed(child);
    const h = await opened(directory.path);
    expect(h.recovered.queues).toHaveLength(1);
    await h.store.close();
  });

  test("keeps other processes out after a second store of the same process was refused", async () => {
    using directory = temporaryDirectory();
    const first = await opened(directory.path);
    await expect(opened(directory.path)).rejects.toThrow(/in use/);
    const child = spawn(process.execPath, [HOLDER, directory.path], { stdio: ["ignore", "pipe", "pipe"] });
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    // If it was let in, it would stay for ever.
    child.stdout.once("data", () => child.kill("SIGKILL"));
    await once(child, "close");
    expect(complaint).toContain(`in use by process ${process.pid}`);
    await first.store.close();
  });

  test("is not held by what a dead process left, whoever has its number now", async () => {
    using directory = temporaryDirectory();
    await killed(await holder(directory.path));
    for (const pid of [process.pid, process.ppid, 1]) {
      writeFileSync(join(directory.path, "lock"), `${pid} 12345.678\n`);
      const h = await opened(directory.path);
      expect(readFileSync(join(directory.path, "lock"), "utf8")).toMatch(new RegExp(`^${process.pid} `));
      await h.store.close();
    }
  });
});

describe("what cannot be opened is refused with one sentence that names store.directory", () => {
  test("a file in place of the directory", async () => {
    using directory = temporaryDirectory();
    const file = join(directory.path, "file");
    writeFileSync(file, "");
    await expect(opened(file)).rejects.toThrow(/is not a directory; choose another with store\.directory/);
    await expect(opened(join(file, "below"))).rejects.toThrow(/lies below a file.*store\.directory/);
  });

  test("a directory that this process may not write", async () => {
    using directory = temporaryDirectory();
    const closed = join(directory.path, "closed");
    await (await opened(closed)).store.close();
    chmodSync(closed, 0o500);
    // Root may write anyway.
    if (process.getuid?.() === 0) return;
    await expect(opened(closed)).rejects.toThrow(/may not be written.*store\.directory/);
    chmodSync(closed, 0o700);
  });

  test("another format version", async () => {
    using directory = temporaryDirectory();
    await (await opened(directory.path)).store.close();
    const disk = new LmdbDisk(directory.path);
    await disk.commit([{ table: "meta", key: Buffer.from("version"), value: Buffer.from([9, 0, 0, 0]) }]);
    await disk.close();
    await expect(opened(directory.path)).rejects.toThrow(
      /has format version 9, but this release reads versions 2 and 3; .*store\.directory/,
    );
  });

  test("a file that is something else", async () => {
    using directory = temporaryDirectory();
    writeFileSync(join(directory.path, DATA_FILE), "not a database ".repeat(1000));
    await expect(opened(directory.path)).rejects.toThrow(/is damaged: .*store\.directory/);
  });

  test.each([0.05, 0.3, 0.6, 0.9])("a file cut at %d of its length", async (part) => {
    using directory = temporaryDirectory();
    await filled(directory.path);
    const file = join(directory.path, DATA_FILE);
    truncateSync(file, Math.floor(statSync(file).size * part));
    await expect(opened(directory.path)).rejects.toThrow(/is damaged: it .*store\.directory/);
  });
});

describe("a directory of format version 2", () => {
  test("is read and becomes one of version 3, which an older release refuses", async () => {
    using directory = temporaryDirectory();
    await filled(directory.path);
    const versionKey = Buffer.from("version");
    const before = new LmdbDisk(directory.path);
    expect(before.get("meta", versionKey)).toEqual(Buffer.from([3, 0, 0, 0]));
    // Messages without annotations and groups are written as they were in version 2.
    await before.commit([{ table: "meta", key: versionKey, value: Buffer.from([2, 0, 0, 0]) }]);
    await before.close();
    const h = await opened(directory.path);
    expect(h.recovered.damage).toEqual([]);
    expect(h.entries(2).length).toBeGreaterThan(100);
    await h.store.close();
    const after = new LmdbDisk(directory.path);
    expect(after.get("meta", versionKey)).toEqual(Buffer.from([3, 0, 0, 0]));
    await after.close();
  });
});

describe("damage in the file", () => {
  test("wherever it is, the store opens with what can be read or refuses with a sentence", async () => {
    using directory = temporaryDirectory();
    await filled(directory.path);
    const file = join(directory.path, DATA_FILE);
    const sound = readFileSync(file);
    for (let at = 0; at < sound.length; at += 8200) {
      writeFileSync(file, sound);
      const fd = openSync(file, "r+");
      writeSync(fd, Buffer.alloc(300, 0xa5), 0, 300, at);
      closeSync(fd);
      const h = lmdbHarness(directory.path);
      try {
        await h.open();
      } catch (error) {
        expect(String(error)).toMatch(/store\.directory/);
        continue;
      }
      for (const { key } of h.recovered.queues) {
        for (const entry of h.entries(key)) expect(entry.message?.body.toString()).toMatch(/^x*$/);
      }
      await h.store.close();
    }
  });

  test("in messages is set aside, reported once, and the rest is served", async () => {
    using directory = temporaryDirectory();
    const h = await opened(directory.path);
    h.store.putQueue(1, "q");
    for (const sequence of [1, 2, 3]) {
      h.enqueue(1, testEntry(sequence));
      await h.commit();
    }
    await h.store.close();
    const disk = new LmdbDisk(directory.path);
    const key = Buffer.from([0, 0, 0, 0, 0, 2]);
    const segment = Buffer.from(disk.get("segments", key) ?? []);
    segment[20] = Number(segment[20]) ^ 1;
    await disk.commit([{ table: "segments", key, value: segment }]);
    await disk.close();

    await expect(h.open()).rejects.toThrow(/opens once/);
    const again = await opened(directory.path);
    expect(again.bodies(1)).toEqual(["1:m1", "3:m3"]);
    expect(again.bodies(1)).toEqual(["1:m1", "3:m3"]);
    expect(again.damage).toEqual(["1 messages of queue 1 were set aside: segment 2 is missing or fails its checksum"]);
    await again.commit();
    await again.reopen();
    expect(again.recovered.queues[0]).toMatchObject({ count: 2, bytes: 8 });
    expect(again.bodies(1)).toEqual(["1:m1", "3:m3"]);
    expect(again.damage).toHaveLength(1);
    await again.store.close();
    expect(await sizes(directory.path, "damaged")).toEqual([1]);
  });
});

describe("space", () => {
  test("a message for several queues is written once", async () => {
    using directory = temporaryDirectory();
    const h = await opened(directory.path);
    for (let key = 1; key <= 20; key++) h.store.putQueue(key, "q");
    const messages = [1, 2, 3].map(() => testMessage({ body: "y".repeat(40_000) }));
    for (let key = 1; key <= 20; key++) messages.forEach((m, i) => void h.enqueue(key, testEntry(i + 1, m)));
    await h.commit();
    for (let key = 1; key <= 20; key++) expect(h.load(key).entries).toHaveLength(3);
    await h.store.close();
    expect(await sizes(directory.path, "segments", "packs", "references")).toEqual([3, 60, 3]);
    expect(statSync(join(directory.path, DATA_FILE)).size).toBeLessThan(300_000);
  });

  test("is freed as messages are settled, and nothing is left of an empty queue", async () => {
    using directory = temporaryDirectory();
    const h = await opened(directory.path);
    h.store.putQueue(1, "q");
    h.store.putQueue(2, "r");
    let sequence = 0;
    const waiting: [number, ReturnType<typeof testEntry>][] = [];
    let written = 0;
    for (let batch = 0; batch < 400; batch++) {
      for (let i = 0; i < 100; i++) {
        const expiresAt = i % 7 === 0 ? 1e15 : 0;
        const key = i % 10 === 0 ? 2 : 1;
        const [entry] = h.enqueue(key, testEntry(++sequence, testMessage({ body: "z".repeat(900), expiresAt })));
        if (entry) waiting.push([key, entry]);
      }
      await h.commit();
      while (waiting.length > 300) {
        const [key, entry] = waiting.splice(batch % 2 === 0 ? 0 : 17, 1)[0] ?? [];
        if (key !== undefined && entry !== undefined) h.store.dequeue(key, entry);
      }
      written += 100 * 900;
    }
    // How much of it is in the file at once depends on when batches are applied, but not on how many there were.
    expect(statSync(join(directory.path, DATA_FILE)).size).toBeLessThan(written / 4);
    for (const [key, entry] of waiting) h.store.dequeue(key, entry);
    await h.commit();
    await h.store.close();
    const tables = ["segments", "packs", "states", "references", "expiries"] as const;
    expect(await sizes(directory.path, ...tables)).toEqual([0, 0, 0, 0, 0]);
  });

  test("of a purged or deleted queue is freed in slices, also after a restart", async () => {
    using directory = temporaryDirectory();
    const h = await opened(directory.path);
    for (const key of [1, 2, 3]) h.store.putQueue(key, "q");
    for (let sequence = 1; sequence <= 700; sequence++) {
      for (const key of [1, 2]) {
        h.enqueue(key, testEntry(sequence, testMessage({ expiresAt: sequence % 2 === 0 ? 1e15 : 0 })));
      }
      h.turn();
      if (sequence % 50 === 0) await h.commit();
      else while (h.store.durable < h.store.gathering - 1) await h.commit();
    }
    h.enqueue(3, testEntry(1));
    h.store.purge(1);
    h.store.deleteQueue(2);
    h.enqueue(1, testEntry(1));
    await h.store.close();
    const [left = 0, doomed] = await sizes(directory.path, "packs", "doomed");
    expect(left).toBeGreaterThan(700);
    expect(doomed).toBeGreaterThan(0);
    const again = await opened(directory.path);
    expect(again.bodies(1)).toEqual(["1:m1"]);
    for (let i = 0; i < 20; i++) await again.commit();
    expect(again.bodies(1)).toEqual(["1:m1"]);
    expect(again.bodies(3)).toEqual(["1:m1"]);
    await again.store.close();
    const tables = ["segments", "packs", "states", "expiries", "doomed", "references"] as const;
    expect(await sizes(directory.path, ...tables)).toEqual([1, 2, 0, 0, 0, 1]);
  });
});

describe("back-pressure", () => {
  test("says that it is congested above its bound and that it is not below half of it", async () => {
    using directory = temporaryDirectory();
    const h = lmdbHarness(directory.path, { congestionBytes: 10_000 });
    await h.open();
    h.store.putQueue(1, "q");
    const entries = [1, 2, 3].map((n) => testEntry(n, testMessage({ body: "w".repeat(4000) })));
    h.enqueue(1, ...entries.slice(0, 2));
    expect(h.congestion).toEqual([]);
    h.enqueue(1, ...entries.slice(2));
    expect(h.congestion).toEqual([true]);
    h.turn();
    expect(h.congestion).toEqual([true]);
    await h.commit();
    expect(h.congestion).toEqual([true, false]);
    expect(h.store.statistics().pendingBytes).toBe(0);
    await h.store.close();
  });
});
