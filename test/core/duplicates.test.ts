import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { DuplicateWindow } from "../../core/routing/duplicates.ts";
import { Engine } from "../../core/engine.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Store } from "../../core/store.ts";
import { testStore } from "../support/core-broker.ts";
import { lmdbHarness, type StoreHarness, temporaryDirectory } from "../support/store-harness.ts";
import { CountingRandom, VirtualClock } from "../support/virtual-clock.ts";

const KEY = "default\0queue orders";

function engineOver(store: Store, clock: VirtualClock): Engine {
  return new Engine({ clock, random: new CountingRandom(), store, memoryLimit: 1 << 26 });
}

async function memoryEngine(): Promise<{ engine: Engine; clock: VirtualClock }> {
  const clock = new VirtualClock();
  const store = testStore(clock);
  await store.open({ durable: () => {}, failed: () => {}, congested: () => {} });
  return { engine: engineOver(store, clock), clock };
}

function records(engine: Engine, key: string): number {
  return [...engine.store.keys("duplicates")].filter((record) => record.key.startsWith(`${key}\0`)).length;
}

describe("a window of ids", () => {
  it("knows an id until as many others as it holds came after it", async () => {
    const { engine } = await memoryEngine();
    const window = new DuplicateWindow(engine, KEY, 3);
    const repeated = ["a", "b", "c", "a", "d", "b", "a"].filter((id) => window.seen(id, true));
    expect(repeated).toEqual(["a", "b"]);
  });

  it("finds a durable message that is sent again after a restart", async () => {
    const { engine } = await memoryEngine();
    new DuplicateWindow(engine, KEY, 3).seen("a", true);
    const restarted = new DuplicateWindow(engine, KEY, 3);
    expect(restarted.seen("b", true)).toBe(false);
    expect(restarted.seen("a", true)).toBe(true);
  });

  it("keeps nothing in the store of messages that do not survive", async () => {
    const { engine } = await memoryEngine();
    const window = new DuplicateWindow(engine, KEY, 3);
    expect([window.seen("a", false), window.seen("a", false)]).toEqual([false, true]);
    expect(engine.writes).toBe(0);
    expect(new DuplicateWindow(engine, KEY, 3).seen("a", false)).toBe(false);
  });

  it("has whoever repeats a send wait for the first one to be safe", async () => {
    const { engine, clock } = await memoryEngine();
    const window = new DuplicateWindow(engine, KEY, 3);
    window.seen("a", true);
    const { writes } = engine;
    expect(window.seen("a", true)).toBe(true);
    expect(engine.writes).toBeGreaterThan(writes);
    clock.settle();
    const safe = engine.writes;
    expect(window.seen("a", true)).toBe(true);
    expect(engine.writes).toBe(safe);
  });

  it("does not touch the ids of an address whose name only begins like its own", async () => {
    const { engine } = await memoryEngine();
    const other = new DuplicateWindow(engine, `${KEY}.eu`, 3);
    other.seen("a", true);
    const window = new DuplicateWindow(engine, KEY, 3);
    expect(window.seen("a", true)).toBe(false);
    window.forget();
    expect([records(engine, KEY), records(engine, `${KEY}.eu`)]).toEqual([0, 1]);
    expect([window.seen("a", true), other.seen("a", true)]).toEqual([false, true]);
  });

  it("forgets also what it has not read since the restart", async () => {
    const { engine } = await memoryEngine();
    new DuplicateWindow(engine, KEY, 3).seen("a", true);
    new DuplicateWindow(engine, KEY, 3).forget();
    expect(new DuplicateWindow(engine, KEY, 3).seen("a", true)).toBe(false);
  });

  it("with a size of 0 finds nothing and keeps nothing", async () => {
    const { engine } = await memoryEngine();
    const window = new DuplicateWindow(engine, KEY, 0);
    expect([window.seen("a", true), window.seen("a", true), engine.writes]).toEqual([false, false, 0]);
  });

  it("passes over records that mean nothing, and removes them", async () => {
    const { engine } = await memoryEngine();
    engine.put("duplicates", `${KEY}\0${"7".padStart(10, "0")}`, Buffer.from("odd"));
    expect(new DuplicateWindow(engine, KEY, 3).seen("a", true)).toBe(false);
    expect(records(engine, KEY)).toBe(1);
  });

  test.each([
    ["", "The duplicate id has 0 bytes, expected 1 to 256"],
    ["é".repeat(129), "The duplicate id has 258 bytes, expected 1 to 256"],
  ])("refuses an id of no or too many bytes (%#)", async (id, text) => {
    const { engine } = await memoryEngine();
    const window = new DuplicateWindow(engine, KEY, 3);
    expect(() => window.seen(id, true)).toThrow(new BrokerError("bad-request", text));
    expect(window.seen("é".repeat(128), true)).toBe(false);
    expect(window.seen("é".repeat(128), true)).toBe(true);
  });
});

/** The reference: everything that was ever noted, with its number. */
class Model {
  private noted: { id: string; ordinal: number; durable: boolean }[] = [];
  private last = 0;
  private size: number;
  /** A window that was not used since the restart has not looked at what the store has. */
  private used = false;

  constructor(size: number) {
    this.size = size;
  }

  seen(id: string, durable: boolean): boolean {
    this.use();
    if (this.known.some((item) => item.id === id)) return true;
    this.noted.push({ id, durable, ordinal: ++this.last });
    this.noted = this.known;
    return false;
  }

  /** Ends the process and starts it again, with another size maybe. */
  restart(size: number): void {
    this.noted = this.noted.filter(({ durable }) => durable);
    this.last = Math.max(0, ...this.noted.map(({ ordinal }) => ordinal));
    this.size = size;
    this.used = false;
  }

  /** Ids of durable messages that are remembered. */
  get durables(): number {
    return this.known.filter(({ durable }) => durable).length;
  }

  private use(): void {
    if (!this.used) this.noted = this.known;
    this.used = true;
  }

  private get known(): { id: string; ordinal: number; durable: boolean }[] {
    return this.noted.filter(({ ordinal }) => ordinal > this.last - this.size);
  }
}

type Step = { send: string; durable: boolean } | { restart: number };

const steps = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({ send: fc.integer({ min: 0, max: 14 }).map((id) => `ö${id}`), durable: fc.boolean() }),
    },
    { weight: 3, arbitrary: fc.record({ restart: fc.integer({ min: 1, max: 9 }) }) },
  ),
  { maxLength: 120 },
);

function play(engine: () => Engine, size: number, script: readonly Step[]): void {
  const model = new Model(size);
  let window = new DuplicateWindow(engine(), KEY, size);
  const stranger = new DuplicateWindow(engine(), `${KEY}s`, 2);
  stranger.seen("ö1", true);
  for (const step of script) {
    if ("restart" in step) {
      model.restart(step.restart);
      window = new DuplicateWindow(engine(), KEY, step.restart);
      continue;
    }
    expect(window.seen(step.send, step.durable), JSON.stringify(step)).toBe(model.seen(step.send, step.durable));
    expect(records(engine(), KEY), "records in the store").toBe(model.durables);
  }
  expect(records(engine(), `${KEY}s`)).toBe(1);
}

describe("a window of ids, against a model", () => {
  it("agrees with it, over restarts and changes of its size", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9 }), steps, async (size, script) => {
        const { engine } = await memoryEngine();
        play(() => engine, size, script);
      }),
      { numRuns: 1000 },
    );
  });

  it("is found again in the store on disk, as it was written", async () => {
    using directory = temporaryDirectory();
    const h: StoreHarness = lmdbHarness(directory.path);
    await h.open();
    const model = new Model(5);
    let size = 5;
    try {
      for (const next of [5, 3, 8, 2, 9]) {
        const window = new DuplicateWindow(engineOver(h.store, h.clock), KEY, size);
        for (let i = 0; i < 25; i++) {
          const id = `id-${(i * 7 + next) % 11}`;
          expect(window.seen(id, i % 4 !== 0), `${id} with a size of ${size}`).toBe(model.seen(id, i % 4 !== 0));
          if (i % 6 === 0) await h.commit();
        }
        await h.commit();
        await h.reopen();
        size = next;
        model.restart(size);
      }
    } finally {
      await h.store.close();
    }
  });
});
