import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TRAIT } from "../../core/message.ts";
import type { QueueKey } from "../../core/store.ts";
import {
  lmdbHarness,
  memoryHarness,
  type StoreHarness,
  type TestEntry,
  temporaryDirectory,
  testAddress,
  testEntry,
  testFormat,
  testMessage,
} from "../support/store-harness.ts";

const Q: QueueKey = 1;
const R: QueueKey = 2;

function expiring(sequence: number, second: number): TestEntry {
  return testEntry(sequence, testMessage({ expiresAt: second * 1000 }));
}

describe.each(["memory", "lmdb"])("the %s store", (kind) => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let h: StoreHarness;

  beforeEach(async () => {
    directory = temporaryDirectory();
    h = kind === "memory" ? memoryHarness() : lmdbHarness(directory.path);
    await h.open();
    h.store.putQueue(Q, "first");
    h.store.putQueue(R, "second");
  });

  afterEach(async () => {
    await h.store.close();
    directory[Symbol.dispose]();
  });

  function sums(key: QueueKey): { count: number; bytes: number } | undefined {
    const queue = h.recovered.queues.find((candidate) => candidate.key === key);
    return queue && { count: queue.count, bytes: queue.bytes };
  }

  test("gives back what was enqueued, in order, with all that belongs to a message", async () => {
    const message = testMessage({
      body: "grüße",
      address: testAddress("x.y", "topic"),
      durable: false,
      priority: 9,
      expiresAt: 5e12 + 1,
    });
    h.enqueue(Q, testEntry(1), testEntry(5, message), testEntry(6));
    await h.commit();
    await h.reopen();
    expect(h.recovered.queues.map((queue) => queue.description).sort()).toEqual(["first", "second"]);
    const entries = h.load(Q).entries;
    expect(entries.map((entry) => entry.sequence)).toEqual([1, 5, 6]);
    const found = entries[1]?.message;
    expect(found).toMatchObject({ durable: false, priority: 9, expiresAt: 5e12 + 1, receivedAt: 1234.5 });
    expect(found?.body.toString()).toBe("grüße");
    expect(found?.data.toString("utf8", found.start, found.end)).toBe("<grüße>");
    expect(found?.address).toBe(testAddress("x.y", "topic"));
    expect(entries[0]?.message.address).toBe(testAddress("a.b"));
    expect(found?.content.messageId).toBe("grüße");
  });

  test("gives back what the broker added to a message, and that it belongs to a group, beside others without", async () => {
    const annotations = { reason: "limit", count: 3, last: true, grüße: "ü" };
    const plain = testMessage({ body: "plain" });
    const annotated = testMessage({ body: "annotated", annotations });
    const grouped = testMessage({ body: "grouped", traits: TRAIT.grouped });
    const both = testMessage({ body: "both", durable: false, traits: TRAIT.grouped, annotations });
    const last = testMessage({ body: "last", address: testAddress("x.k", "exchange"), traits: TRAIT.readdressed });
    const all = [plain, annotated, grouped, both, last];
    all.forEach((message, i) => void h.enqueue(Q, testEntry(i + 1, message)));
    h.enqueue(R, testEntry(1, both), testEntry(2, plain));
    await h.commit();
    await h.reopen();
    const read = h.load(Q).entries.map(({ message }) => message);
    expect(read.map(({ body }) => body.toString())).toEqual(["plain", "annotated", "grouped", "both", "last"]);
    expect(read.map(({ traits }) => traits)).toEqual([0, 0, TRAIT.grouped, TRAIT.grouped, TRAIT.readdressed]);
    expect(read.at(-1)?.address).toMatchObject({ kind: "exchange", levels: ["x", "k"] });
    expect(read.map(({ annotations: found }) => Object.fromEntries(found))).toEqual([
      {},
      annotations,
      {},
      annotations,
      {},
    ]);
    expect(read.map(({ durable }) => durable)).toEqual([true, true, true, false, true]);
    expect(read[1]?.data.toString("utf8", read[1].start, read[1].end)).toBe("<annotated>");
    expect(sums(Q)).toEqual({ count: 5, bytes: all.reduce((bytes, message) => bytes + message.size, 0) });
    expect(h.bodies(R)).toEqual(["1:both", "2:plain"]);
  });

  test("numbers batches from 1 and says when each is durable", async () => {
    expect(h.store.gathering).toBe(1);
    const [entry] = h.enqueue(Q, testEntry(1));
    expect(entry?.batch).toBe(1);
    expect(h.store.durable).toBe(0);
    await h.commit();
    expect(h.durable).toEqual([1]);
    h.enqueue(Q, testEntry(2));
    h.enqueue(R, testEntry(1));
    await h.commit();
    expect(h.durable).toEqual([1, 2]);
    expect(h.store.durable).toBe(2);
  });

  test("knows sums and bounds of queues when it opens again", async () => {
    h.enqueue(Q, testEntry(3), testEntry(4), testEntry(9));
    await h.commit();
    const [first] = h.entries(Q, 3, 3);
    if (first) h.store.dequeue(Q, first);
    await h.commit();
    await h.reopen();
    expect(sums(Q)).toEqual({ count: 2, bytes: 8 });
    expect(sums(R)).toEqual({ count: 0, bytes: 0 });
    const queue = h.recovered.queues.find((candidate) => candidate.key === Q);
    expect(queue?.firstSequence).toBeLessThanOrEqual(4);
    expect(queue?.lastSequence).toBe(9);
  });

  test("an entry dequeued while its batch gathers is never written, and its batch is still durable in that turn", async () => {
    await h.commit();
    const [entry, stays] = h.enqueue(Q, testEntry(1), testEntry(2));
    if (entry) h.store.dequeue(Q, entry);
    await h.commit();
    expect(h.store.statistics().cancelled).toBe(1);
    expect(h.bodies(Q)).toEqual(["2:m2"]);
    if (stays) h.store.dequeue(Q, stays);
    await h.commit();
    const [alone] = h.enqueue(Q, testEntry(3));
    const before = h.store.statistics();
    const batch = h.store.gathering;
    if (alone) h.store.dequeue(Q, alone);
    await h.commit();
    expect(h.durable.at(-1)).toBe(batch);
    expect(h.store.statistics().dequeued).toBe(before.dequeued);
    await h.reopen();
    expect(sums(Q)).toEqual({ count: 0, bytes: 0 });
    expect(h.bodies(Q)).toEqual([]);
  });

  test("an entry dequeued while its batch is being written is deleted by the next", async () => {
    const [entry] = h.enqueue(Q, testEntry(1), testEntry(2));
    h.turn();
    if (entry) h.store.dequeue(Q, entry);
    await h.commit();
    expect(h.bodies(Q)).toEqual(["2:m2"]);
    await h.reopen();
    expect(h.bodies(Q)).toEqual(["2:m2"]);
    expect(sums(Q)).toEqual({ count: 1, bytes: 4 });
  });

  test("a load never gives what was dequeued before it, even if that is not on disk yet", async () => {
    h.enqueue(Q, testEntry(1), testEntry(2), testEntry(3));
    await h.commit();
    const [, second] = h.entries(Q);
    if (second) h.store.dequeue(Q, second);
    expect(h.bodies(Q)).toEqual(["1:m1", "3:m3"]);
    h.turn();
    expect(h.bodies(Q)).toEqual(["1:m1", "3:m3"]);
    await h.commit();
    expect(h.bodies(Q)).toEqual(["1:m1", "3:m3"]);
  });

  test("keeps delivery counts, before and after they are on disk and when it opens again", async () => {
    const [first] = h.enqueue(Q, testEntry(1), testEntry(2));
    if (first) {
      first.deliveries = 3;
      h.store.redeliver(Q, first);
    }
    await h.commit();
    expect(h.load(Q).entries.map((entry) => entry.deliveries)).toEqual([3, 0]);
    const [, second] = h.entries(Q);
    if (second) {
      second.deliveries = 200;
      h.store.redeliver(Q, second);
      second.message = undefined;
      h.store.release(Q, second);
    }
    expect(h.load(Q).entries.map((entry) => entry.deliveries)).toEqual([3, 200]);
    await h.commit();
    await h.reopen();
    expect(h.load(Q).entries.map((entry) => entry.deliveries)).toEqual([3, 200]);
  });

  test("loads about as many bytes as asked for, at least one entry, and says where to go on", async () => {
    for (let sequence = 1; sequence <= 2000; sequence++) {
      h.enqueue(Q, testEntry(sequence * 2, testMessage({ body: "y".repeat(98) })));
    }
    await h.commit();
    expect(h.load(Q, 0, 4000, 1)).toMatchObject({ next: 4 });
    const seen: number[] = [];
    for (let from: number | undefined = 100; from !== undefined; ) {
      const loaded = h.load(Q, from, 3001, 50_000);
      expect(loaded.entries.length).toBeLessThanOrEqual(501);
      expect(loaded.entries.length).toBeGreaterThan(0);
      seen.push(...loaded.entries.map((entry) => entry.sequence));
      from = loaded.next;
    }
    expect(seen).toEqual(Array.from({ length: 1451 }, (_, i) => 100 + 2 * i));
    expect(h.load(Q, 4001, 9000)).toEqual({ entries: [], next: undefined });
    expect(h.load(Q, 5, 5)).toEqual({ entries: [], next: undefined });
  });

  test("released entries can be loaded and settled; so can those that another load gave", async () => {
    const entries = h.enqueue(Q, testEntry(1), testEntry(2), testEntry(3));
    await h.commit();
    for (const entry of entries) {
      h.store.release(Q, entry);
      entry.message = undefined;
    }
    const again = h.entries(Q);
    for (const entry of again) if (entry.sequence !== 2) h.store.dequeue(Q, entry);
    await h.commit();
    await h.reopen();
    expect(h.bodies(Q)).toEqual(["2:m2"]);
  });

  test.each(["still gathers", "is being written"])(
    "a settlement and a delivery count that are not on disk yet outlive the release of all else: the batch %s",
    async (state) => {
      const entries = h.enqueue(Q, testEntry(1), testEntry(2), testEntry(3));
      await h.commit();
      const [first, second, third] = entries;
      if (first) h.store.dequeue(Q, first);
      if (second) {
        second.deliveries = 5;
        h.store.redeliver(Q, second);
      }
      if (state === "is being written") h.turn();
      for (const entry of [second, third]) if (entry) h.store.release(Q, entry);
      expect(h.load(Q).entries.map((entry) => [entry.sequence, entry.deliveries])).toEqual([
        [2, 5],
        [3, 0],
      ]);
    },
  );

  test("an entry whose message left memory can be settled, and the sums stay right", async () => {
    const entries = h.enqueue(Q, ...[1, 2, 3].map((n) => testEntry(n, testMessage({ body: "z".repeat(n * 10) }))));
    await h.commit();
    const second = entries[1];
    if (second) {
      second.message = undefined;
      h.store.dequeue(Q, second);
    }
    await h.commit();
    await h.reopen();
    expect(sums(Q)).toEqual({ count: 2, bytes: 12 + 32 });
  });

  test("a message for several queues lives in each until it is settled there", async () => {
    const message = testMessage({ body: "shared" });
    for (const key of [Q, R]) h.enqueue(key, testEntry(1, message), testEntry(2, message));
    await h.commit();
    for (const entry of h.entries(Q)) h.store.dequeue(Q, entry);
    await h.commit();
    await h.reopen();
    expect(h.bodies(Q)).toEqual([]);
    expect(h.bodies(R)).toEqual(["1:shared", "2:shared"]);
  });

  test("queues that take turns in a batch keep their own order", async () => {
    for (let i = 1; i <= 300; i++) {
      h.enqueue(Q, testEntry(i));
      if (i % 3 === 0) h.enqueue(R, testEntry(i * 10));
    }
    await h.commit();
    await h.reopen();
    expect(h.bodies(Q)).toEqual(Array.from({ length: 300 }, (_, i) => `${i + 1}:m${i + 1}`));
    expect(h.bodies(R)).toEqual(Array.from({ length: 100 }, (_, i) => `${30 * (i + 1)}:m${30 * (i + 1)}`));
  });

  test("settlement in any order over several batches leaves exactly the rest", async () => {
    h.enqueue(Q, ...Array.from({ length: 50 }, (_, i) => testEntry(i + 1)));
    await h.commit();
    const entries = h.entries(Q);
    for (const modulus of [7, 5, 3]) {
      for (const entry of entries) if (entry.sequence % modulus === 0) h.store.dequeue(Q, entry);
      await h.commit();
    }
    const left = Array.from({ length: 50 }, (_, i) => i + 1).filter((n) => n % 7 && n % 5 && n % 3);
    await h.reopen();
    expect(h.bodies(Q)).toEqual(left.map((n) => `${n}:m${n}`));
    expect(sums(Q)?.count).toBe(left.length);
  });

  test("a purge takes what is on disk, what is being written and what gathers; what comes later stays", async () => {
    h.enqueue(Q, testEntry(1), testEntry(2));
    await h.commit();
    h.enqueue(Q, testEntry(3));
    h.turn();
    h.enqueue(Q, testEntry(4));
    h.enqueue(R, testEntry(1));
    h.store.purge(Q);
    h.enqueue(Q, testEntry(2), testEntry(5));
    expect(h.bodies(Q).filter((body) => !body.startsWith("2") && !body.startsWith("5"))).toEqual([]);
    await h.commit();
    expect(h.bodies(Q)).toEqual(["2:m2", "5:m5"]);
    await h.reopen();
    expect(h.bodies(Q)).toEqual(["2:m2", "5:m5"]);
    expect(h.bodies(R)).toEqual(["1:m1"]);
    expect(sums(Q)).toEqual({ count: 2, bytes: 8 });
  });

  test("a settlement that comes after a purge touches nothing", async () => {
    h.enqueue(Q, testEntry(1), testEntry(2));
    await h.commit();
    const [loaded] = h.entries(Q);
    const [gathering] = h.enqueue(Q, testEntry(3));
    h.store.purge(Q);
    h.enqueue(Q, testEntry(7));
    for (const entry of [loaded, gathering]) if (entry) h.store.dequeue(Q, entry);
    await h.commit();
    await h.reopen();
    expect(h.bodies(Q)).toEqual(["7:m7"]);
    expect(sums(Q)?.count).toBe(1);
  });

  test("a deleted queue is gone with all it held", async () => {
    h.enqueue(Q, testEntry(1));
    await h.commit();
    h.enqueue(Q, testEntry(2));
    h.store.deleteQueue(Q);
    h.store.putQueue(3, "third");
    h.store.deleteQueue(3);
    await h.commit();
    await h.reopen();
    expect(h.recovered.queues.map((queue) => queue.key)).toEqual([R]);
  });

  test("a description can change", async () => {
    h.enqueue(Q, testEntry(1));
    await h.commit();
    h.store.putQueue(Q, "renamed");
    await h.commit();
    await h.reopen();
    expect(h.recovered.queues.find((queue) => queue.key === Q)).toMatchObject({ description: "renamed", count: 1 });
  });

  test("records can be put, replaced, removed and listed in order, on disk or not", async () => {
    const put = (key: string, value: string): void => h.store.put("thing", key, Buffer.from(value));
    const list = (): string[] => [...h.store.keys("thing")].map(({ key, bytes }) => `${key}=${bytes}`);
    for (const key of ["b", "ä", "a", "a.b", "\u{1F600}", "\uFFFD"]) put(key, key);
    h.store.put("thing2", "x", Buffer.from("other"));
    expect(list()).toEqual(["a=1", "a.b=3", "b=1", "ä=2", "\uFFFD=3", "\u{1F600}=4"]);
    h.turn();
    put("b", "bbb");
    h.store.remove("thing", "a");
    put("aa", "");
    expect(list()).toEqual(["a.b=3", "aa=0", "b=3", "ä=2", "\uFFFD=3", "\u{1F600}=4"]);
    expect(h.store.get("thing", "a")).toBeUndefined();
    expect(h.store.get("thing", "b")?.toString()).toBe("bbb");
    expect(h.store.get("thing", "aa")?.length).toBe(0);
    await h.commit();
    expect(list()).toEqual(["a.b=3", "aa=0", "b=3", "ä=2", "\uFFFD=3", "\u{1F600}=4"]);
    await h.reopen();
    expect(list()).toEqual(["a.b=3", "aa=0", "b=3", "ä=2", "\uFFFD=3", "\u{1F600}=4"]);
    expect(h.store.get("thing", "b")?.toString()).toBe("bbb");
    expect(h.store.get("thing2", "x")?.toString()).toBe("other");
    expect([...h.store.keys("none")]).toEqual([]);
  });

  test("records are listed from a key on, a few of them without reading the rest", async () => {
    const list = (from: string): string[] => [...h.store.keys("thing", from)].map(({ key }) => key);
    const [even, odd] = [0, 1].map((rest) => Array.from({ length: 900 }, (_, i) => `k${1000 + 2 * i + rest}`));
    h.store.put("think", "k1", Buffer.from("other"));
    for (const key of even ?? []) h.store.put("thing", key, Buffer.from(key));
    await h.commit();
    for (const key of (odd ?? []).toReversed()) h.store.put("thing", key, Buffer.from(key));
    for (const key of ["k1000", "k2797", "k2798"]) h.store.remove("thing", key);
    for (let round = 0; round < 2; round++) {
      expect(list("")).toHaveLength(1797);
      expect(list("k1").slice(0, 3)).toEqual(["k1001", "k1002", "k1003"]);
      expect(list("k2001").slice(0, 3)).toEqual(["k2001", "k2002", "k2003"]);
      expect(list("k20011")[0]).toBe("k2002");
      expect(list("k2795")).toEqual(["k2795", "k2796", "k2799"]);
      expect(list("k28")).toEqual([]);
      await h.commit();
    }
    await h.reopen();
    expect(list("k2795")).toEqual(["k2795", "k2796", "k2799"]);
  });

  test("records that are put and removed while they are listed disturb nobody else", () => {
    for (let i = 0; i < 2000; i++) h.store.put("thing", `k${1000 + i}`, Buffer.from("x"));
    const seen: string[] = [];
    for (const { key } of h.store.keys("thing")) {
      seen.push(key);
      h.store.remove("thing", key);
      h.store.put("thing", `${key}+`.slice(0, 6), Buffer.from("x"));
    }
    const originals = seen.filter((key) => !key.endsWith("+"));
    expect(originals).toEqual(Array.from({ length: 2000 }, (_, i) => `k${1000 + i}`));
    expect([...h.store.keys("thing")].every(({ key }) => key.endsWith("+"))).toBe(true);
  });

  test("the bytes of a record are the caller's before and after", () => {
    const value = Buffer.from("before");
    h.store.put("thing", "k", value);
    value.fill(0);
    h.store.get("thing", "k")?.fill(0);
    expect(h.store.get("thing", "k")?.toString()).toBe("before");
  });

  test("a message becomes a record and a message again; one of an unknown format is a body of bytes", () => {
    const message = testMessage({ body: "kept", address: testAddress("t", "topic"), expiresAt: 17 });
    const found = h.store.decode(h.store.encode(message));
    expect(found).toMatchObject({ expiresAt: 17, durable: true, format: testFormat, detached: true });
    expect(found.body.toString()).toBe("kept");
    expect(found.address).toBe(testAddress("t", "topic"));
    const foreign = testMessage({ format: { name: "martian", open: () => testFormat.open(foreign) } });
    const opaque = h.store.decode(h.store.encode(foreign));
    expect(opaque.format.name).toBe("martian");
    expect(opaque.content).toMatchObject({ bodyKind: "bytes", messageId: undefined });
    expect(opaque.body.toString()).toBe("hello");
    expect(() => h.store.decode(Buffer.from("nonsense"))).toThrow(/no record/);
    const traits = TRAIT.grouped | TRAIT.timed | TRAIT.identified;
    const later = h.store.decode(h.store.encode(testMessage({ traits, annotations: { why: "so" } })));
    expect(later.traits).toBe(TRAIT.grouped);
    expect(later.annotations.get("why")).toBe("so");
  });

  test("a record with a damaged length is refused, or read as another message, but never beyond its bytes", () => {
    for (const annotations of [undefined, { reason: "limit" }]) {
      const record = h.store.encode(testMessage({ body: "a body", ...(annotations && { annotations }) }));
      for (let cut = 0; cut < record.length; cut++) expect(() => h.store.decode(record.subarray(0, cut))).toThrow();
      for (let at = 0; at < record.length; at++) {
        for (const bits of [1, 4, 128, 255]) {
          const damaged = Buffer.from(record);
          damaged[at] = Number(damaged[at]) ^ bits;
          try {
            const { start, bodyStart, bodyEnd, end } = h.store.decode(damaged);
            expect([start, bodyStart, bodyEnd, end].every((place) => place <= record.length)).toBe(true);
          } catch (error) {
            expect(String(error)).toMatch(/no record|contradicts|cut short|name/);
          }
        }
      }
    }
  });

  test("reports what expired once, and again only after the next expiry in it", async () => {
    h.enqueue(Q, expiring(1, 100), testEntry(2), expiring(3, 200), expiring(4, 100));
    h.enqueue(R, expiring(1, 150), testEntry(2));
    await h.commit();
    expect(h.store.expired(99_000, 10)).toEqual([]);
    const covers = (now: number, key: QueueKey, sequence: number): boolean =>
      h.store.expired(now, 10).some((found) => found.key === key && found.from <= sequence && sequence <= found.to);
    expect(covers(100_000, Q, 4)).toBe(true);
    expect(h.store.expired(120_000, 10)).toEqual([]);
    expect(covers(160_000, R, 1)).toBe(true);
    for (const entry of h.entries(Q)) if (entry.sequence === 1 || entry.sequence === 4) h.store.dequeue(Q, entry);
    await h.commit();
    expect(h.store.expired(199_000, 10)).toEqual([]);
    expect(covers(200_000, Q, 3)).toBe(true);
    expect(h.store.expired(9e6, 10)).toEqual([]);
  });

  test("reports the next expiry also if nobody settled the first, after a restart all of them again", async () => {
    h.enqueue(Q, expiring(1, 100), expiring(2, 200), testEntry(3));
    await h.commit();
    expect(h.store.expired(100_000, 10)).toMatchObject([{ key: Q, from: 1 }]);
    expect(h.store.expired(199_000, 10)).toEqual([]);
    expect(h.store.expired(200_000, 10)).toMatchObject([{ key: Q, to: 2 }]);
    expect(h.store.expired(300_000, 10)).toEqual([]);
    if (kind === "memory") return;
    await h.reopen();
    expect(h.store.expired(200_000, 10)).toEqual([{ key: Q, from: 1, to: 2 }]);
  });

  test("reports at most as many intervals as asked for", async () => {
    for (let key = 10; key < 15; key++) {
      h.store.putQueue(key, "q");
      h.enqueue(key, testEntry(1, testMessage({ expiresAt: 1000 })));
    }
    await h.commit();
    const found = [h.store.expired(5000, 3), h.store.expired(5000, 3), h.store.expired(5000, 3)];
    expect(found.map((intervals) => intervals.length)).toEqual([3, 2, 0]);
    expect(new Set(found.flat().map(({ key }) => key)).size).toBe(5);
  });

  test("a message that stays does not keep its network chunk alive", async () => {
    const message = testMessage();
    const chunk = message.data;
    h.enqueue(Q, testEntry(1, message));
    await h.commit();
    expect(message.detached).toBe(true);
    expect(message.data).not.toBe(chunk);
    expect(message.data.toString("utf8", message.start, message.end)).toBe("<hello>");
    expect(message.body.toString()).toBe("hello");
  });

  test("refuses an entry out of order and an unknown queue", () => {
    h.enqueue(Q, testEntry(5));
    expect(() => h.enqueue(Q, testEntry(5))).toThrow(/sequence 5 after 5/);
    expect(() => h.enqueue(77, testEntry(1))).toThrow(/no queue 77/);
  });
});
