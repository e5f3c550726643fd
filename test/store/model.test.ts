import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
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
  testMessage,
} from "../support/store-harness.ts";

type Step =
  | {
      readonly do: "send";
      readonly queues: readonly number[];
      readonly count: number;
      readonly size: number;
      readonly expires: number;
      readonly traits: number;
      readonly note: string | undefined;
    }
  | {
      readonly do: "settle" | "redeliver" | "release" | "forget";
      readonly queue: number;
      readonly pick: number;
      readonly count: number;
    }
  | {
      readonly do: "load";
      readonly queue: number;
      readonly from: number;
      readonly span: number;
      readonly bytes: number;
    }
  | { readonly do: "purge" | "replace"; readonly queue: number }
  | { readonly do: "put" | "remove"; readonly key: number; readonly value: number }
  | { readonly do: "expire"; readonly second: number }
  | { readonly do: "turn" | "commit" | "reopen" };

function weighted<const T>(weight: number, model: { [K in keyof T]: fc.Arbitrary<T[K]> }) {
  return { weight, arbitrary: fc.record(model) };
}

const queue = fc.constantFrom(0, 0, 0, 1, 1, 2);
const size = fc.oneof({ weight: 5, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.nat(90_000) });
const count = fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(1000));
const expires = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 20 }));
const step: fc.Arbitrary<Step> = fc.oneof(
  weighted(6, {
    do: fc.constant("send"),
    queues: fc.subarray([0, 1, 2], { minLength: 1 }),
    count,
    size,
    expires,
    traits: fc.constantFrom(0, TRAIT.grouped),
    note: fc.option(fc.string({ unit: "binary", maxLength: 200 }), { nil: undefined }),
  }),
  weighted(8, { do: fc.constant("settle"), queue, pick: fc.nat(), count }),
  weighted(8, { do: fc.constantFrom("redeliver", "release", "release", "forget"), queue, pick: fc.nat(), count }),
  weighted(8, { do: fc.constant("load"), queue, from: fc.nat(40), span: fc.nat(40), bytes: fc.nat(500) }),
  weighted(1, { do: fc.constantFrom("purge", "replace"), queue }),
  weighted(2, { do: fc.constantFrom("put", "remove"), key: fc.nat(5), value: fc.nat(300) }),
  weighted(1, { do: fc.constant("expire"), second: fc.nat(25) }),
  weighted(5, { do: fc.constantFrom("turn", "commit", "commit") }),
  weighted(1, { do: fc.constant("reopen") }),
);

/** What must be in the store: the simplest thing that could be right. */
interface Stored {
  readonly text: string;
  readonly traits: number;
  readonly note: string | undefined;
  readonly second: number;
  deliveries: number;
  /** The entry while it is in memory. */
  entry: TestEntry | undefined;
  durable: boolean;
  reported: boolean;
}

class Model {
  readonly h: StoreHarness;
  readonly keys: QueueKey[] = [1, 2, 3];
  readonly queues: Map<number, Stored>[] = [new Map(), new Map(), new Map()];
  readonly records = new Map<string, string>();
  private lastKey = 3;
  private sequence = 0;

  constructor(h: StoreHarness) {
    this.h = h;
  }

  async start(): Promise<void> {
    await this.h.open();
    for (const key of this.keys) this.h.store.putQueue(key, `queue ${key}`);
  }

  async run(one: Step): Promise<void> {
    switch (one.do) {
      case "send":
        for (let i = 0; i < Math.min(one.count, 8); i++) this.send(one);
        return;
      case "settle":
      case "redeliver":
      case "release":
      case "forget":
        for (let i = 0; i < one.count; i++) this.touch(one.do, one.queue, one.pick);
        return;
      case "load":
        return this.load(one.queue, one.from, one.from + one.span, one.bytes);
      case "purge":
      case "replace":
        return this.clear(one.do, one.queue);
      case "put":
        this.records.set(`k${one.key}`, "v".repeat(one.value));
        return this.h.store.put("kind", `k${one.key}`, Buffer.alloc(one.value, "v"));
      case "remove":
        this.records.delete(`k${one.key}`);
        return this.h.store.remove("kind", `k${one.key}`);
      case "expire":
        return this.expire(one.second);
      case "turn":
        this.h.turn();
        return;
      case "commit":
        return this.commit();
      case "reopen":
        return this.reopen();
    }
  }

  /** Everything is as it should be, read in one go. */
  check(): void {
    for (const [index, stored] of this.queues.entries()) {
      const loaded = this.h.load(this.key(index)).entries;
      const found = loaded.map(({ sequence, deliveries, message }) => {
        const note = message.annotations.get("note");
        return `${sequence} ${deliveries} ${message.traits} ${note} ${message.body.toString()}`;
      });
      expect(found).toEqual(
        [...stored].map(([sequence, s]) => `${sequence} ${s.deliveries} ${s.traits} ${s.note} ${s.text}`),
      );
      for (const entry of loaded) this.h.store.release(this.key(index), { ...entry, batch: -1 });
    }
    const records = [...this.h.store.keys("kind")];
    const keys = [...this.records.keys()].sort();
    expect(records.map(({ key }) => key)).toEqual(keys);
    for (const from of ["", "k2", "k3+", "l"]) {
      expect([...this.h.store.keys("kind", from)].map(({ key }) => key)).toEqual(keys.filter((key) => key >= from));
    }
    for (const { key, bytes } of records) {
      expect(this.h.store.get("kind", key)?.toString()).toBe(this.records.get(key));
      expect(bytes).toBe(this.records.get(key)?.length);
    }
  }

  async commit(): Promise<void> {
    await this.h.commit();
    for (const stored of this.queues) for (const one of stored.values()) one.durable = true;
  }

  private async reopen(): Promise<void> {
    await this.h.reopen();
    for (const [index, stored] of this.queues.entries()) {
      let bytes = 0;
      for (const one of stored.values()) {
        one.entry = undefined;
        one.durable = true;
        bytes += Buffer.byteLength(one.text) + 2;
      }
      const found = this.h.recovered.queues.find(({ key }) => key === this.key(index));
      expect(found).toMatchObject({ description: `queue ${this.key(index)}`, count: stored.size, bytes });
      if (stored.size === 0) continue;
      expect(found?.firstSequence).toBeLessThanOrEqual(Math.min(...stored.keys()));
      expect(found?.lastSequence).toBeGreaterThanOrEqual(Math.max(...stored.keys()));
    }
    expect(this.h.recovered).toMatchObject({ damage: [], queues: { length: 3 } });
    this.check();
  }

  private send({ queues, size: bytes, expires: second, traits, note }: Step & { readonly do: "send" }): void {
    this.sequence++;
    const text = `${this.sequence}`.padEnd(bytes, ".");
    const address = testAddress(`a${this.sequence % 3}`);
    const annotations = note === undefined ? {} : { annotations: { note } };
    const message = testMessage({ body: text, address, expiresAt: second * 1000, traits, ...annotations });
    for (const index of queues) {
      const [entry] = this.h.enqueue(this.key(index), testEntry(this.sequence, message));
      const stored = { text, traits, note, second, deliveries: 0, entry, durable: false, reported: false };
      this.queues[index]?.set(this.sequence, stored);
    }
  }

  private touch(what: "settle" | "redeliver" | "release" | "forget", index: number, pick: number): void {
    const held = [...(this.queues[index] ?? [])].filter(([, stored]) => stored.entry !== undefined);
    const [sequence, stored] = held[pick % Math.max(held.length, 1)] ?? [];
    const entry = stored?.entry;
    if (sequence === undefined || stored === undefined || entry === undefined) return;
    const key = this.key(index);
    if (what === "settle") {
      this.h.store.dequeue(key, entry);
      this.queues[index]?.delete(sequence);
    } else if (what === "redeliver") {
      entry.deliveries = ++stored.deliveries;
      this.h.store.redeliver(key, entry);
    } else if (stored.durable) {
      entry.message = undefined;
      if (what === "forget") return;
      this.h.store.release(key, entry);
      stored.entry = undefined;
    }
  }

  private load(index: number, from: number, to: number, bytes: number): void {
    const stored = this.queues[index] ?? new Map<number, Stored>();
    const loaded = this.h.load(this.key(index), from, to, bytes);
    const until = loaded.next ?? to + 1;
    const due = [...stored].filter(([sequence, one]) => one.durable && sequence >= from && sequence < until);
    const found = new Map(loaded.entries.map((entry) => [entry.sequence, entry]));
    for (const [sequence] of due) expect(found.has(sequence)).toBe(true);
    let last = -1;
    for (const entry of loaded.entries) {
      expect(entry.sequence).toBeGreaterThan(last);
      last = entry.sequence;
      const one = stored.get(entry.sequence);
      expect(entry.message.body.toString()).toBe(one?.text);
      expect(entry.deliveries).toBe(one?.deliveries);
      const own = { ...entry, batch: -1 };
      if (one !== undefined && one.entry === undefined) one.entry = own;
      else this.h.store.release(this.key(index), own);
    }
  }

  private clear(what: "purge" | "replace", index: number): void {
    this.queues[index] = new Map();
    if (what === "purge") return this.h.store.purge(this.key(index));
    this.h.store.deleteQueue(this.key(index));
    this.keys[index] = ++this.lastKey;
    this.h.store.putQueue(this.lastKey, `queue ${this.lastKey}`);
  }

  private expire(second: number): void {
    const found = this.h.store.expired(second * 1000, 1000);
    for (const [index, stored] of this.queues.entries()) {
      for (const [sequence, one] of stored) {
        if (one.second === 0 || one.second > second) continue;
        const covered = found.some(
          ({ key, from, to }) => key === this.key(index) && from <= sequence && sequence <= to,
        );
        if (one.durable && !one.reported) expect(covered).toBe(true);
        if (covered) one.reported = true;
      }
    }
    expect(this.h.store.expired(second * 1000, 1000)).toEqual([]);
  }

  private key(index: number): QueueKey {
    return this.keys[index] ?? 0;
  }
}

describe("whatever is said in whatever order, a store holds what a simple model holds", () => {
  test.each(["memory", "lmdb"])("%s", async (kind) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 100, size: "max" }), async (steps) => {
        using directory = temporaryDirectory();
        const model = new Model(kind === "memory" ? memoryHarness() : lmdbHarness(directory.path));
        await model.start();
        try {
          for (const one of steps) await model.run(one);
          await model.commit();
          model.check();
          await model.run({ do: "reopen" });
          expect(model.h.failures).toEqual([]);
          expect(model.h.damage).toEqual([]);
        } finally {
          await model.h.store.close();
        }
      }),
      { numRuns: 80 },
    );
  });
});
