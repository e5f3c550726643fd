import { describe, expect, it } from "vitest";
import { Alarms } from "../../core/alarms.ts";
import { type Levels, Resources } from "../../src/metrics/resources.ts";
import { garbageCollector, MemoryGauge, usableMemory, usableOf } from "../../src/metrics/memory.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const PLENTY: Levels = { memoryUsed: 0, heapUsed: 0, heapLimit: 1, diskFree: 10_000, storeFree: 0 };
const SETTINGS = { interval: 1000, memory: 1000, disk_free: 1000 };

function quiet(): void {}

/** Little by little: it is looked more often where little is left. */
async function passUntil(clock: VirtualClock, done: () => boolean): Promise<void> {
  while (!done()) {
    clock.advance(SETTINGS.interval / 10);
    await new Promise(setImmediate);
  }
}

/** What is raised after each of these levels was seen, one after the other. */
async function raisedBy(
  levels: readonly Partial<Levels>[],
  settings = SETTINGS,
  collected: number[] = [],
): Promise<string[]> {
  const clock = new VirtualClock();
  const alarms = new Alarms((task) => clock.endOfTurn(task), quiet);
  let next = 0;
  const resources = new Resources(alarms, {
    settings: () => settings,
    measure: () => Promise.resolve({ ...PLENTY, ...levels[next++] }),
    clock,
    heard: quiet,
    collect: () => {
      collected.push(clock.now());
      return 1;
    },
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  });
  const raised: string[] = [];
  await resources.start();
  for (let looks = 1; looks <= levels.length; looks++) {
    raised.push(alarms.active.map(({ name }) => name).join(" "));
    const seen = next;
    await passUntil(clock, () => next > seen);
  }
  resources.stop();
  return raised;
}

describe("alarms", () => {
  it("of the disk begin below what must be free, and end only when there is a quarter more", async () => {
    const levels = [1000, 999, 1000, 1249, 1250, 1000].map((diskFree) => ({ diskFree }));
    expect(await raisedBy(levels)).toEqual(["", "disk", "disk", "disk", "", ""]);
  });

  it("of memory begin above what may be used, and end only when it is a twentieth less", async () => {
    const levels = [1000, 1001, 1000, 951, 950, 1000].map((memoryUsed) => ({ memoryUsed }));
    expect(await raisedBy(levels)).toEqual(["", "memory", "memory", "memory", "", ""]);
  });

  it("of the disk are never raised where nothing must be free, or nobody knows what is", async () => {
    expect(await raisedBy([{ diskFree: 0 }], { ...SETTINGS, disk_free: 0 })).toEqual([""]);
    expect(await raisedBy([{ diskFree: undefined }])).toEqual([""]);
  });

  it("of memory begin when the heap is nearly what it may grow to, where it would end the process", async () => {
    const levels = [600, 601, 580, 570, 600].map((heapUsed) => ({ heapUsed, heapLimit: 1000 }));
    expect(await raisedBy(levels)).toEqual(["", "memory", "memory", "", ""]);
  });

  it("of memory have what is unused given back before they begin, and again and again while they last", async () => {
    const collected: number[] = [];
    const levels = [800, 801, ...Array.from({ length: 25 }, () => 1001), 900].map((memoryUsed) => ({ memoryUsed }));
    const raised = await raisedBy(levels, SETTINGS, collected);
    expect(raised.indexOf("memory")).toBe(2);
    const gaps = collected.slice(1).map((at, place) => at - (collected[place] ?? 0));
    expect(collected.length).toBeGreaterThan(2);
    // Nothing is found: from the second time on it is sought after twice the time each time, at the next look.
    expect(gaps.slice(0, 4)).toEqual([200, 200, 400, 800]);
  });

  it("of memory go by what the machine has, if nothing else is said", async () => {
    const settings = { ...SETTINGS, memory: 0 };
    const limit = usableMemory();
    expect(await raisedBy([{ memoryUsed: limit }, { memoryUsed: limit + 1 }], settings)).toEqual(["", "memory"]);
  });
});

describe("the memory that the process needs", () => {
  it("is without what was given back and is still counted by the system, unless that grows", () => {
    const gauge = new MemoryGauge();
    expect(gauge.needed(1000, 200)).toBe(1000);
    expect(gauge.needed(2000, 1200)).toBe(2000);
    expect(gauge.needed(2000, 200)).toBe(1200);
    expect(gauge.needed(2000, 1200)).toBe(2000);
    expect(gauge.needed(2100, 200)).toBe(2100);
    expect(gauge.needed(900, 900)).toBe(900);
  });

  it("is less after what nobody uses was given back", () => {
    const collect = garbageCollector();
    collect();
    let unused: ArrayBuffer[] = Array.from({ length: 64 }, () => new ArrayBuffer(1 << 20));
    const before = process.memoryUsage().arrayBuffers;
    expect(unused.length).toBe(64);
    unused = [];
    expect(collect()).toBeGreaterThan(0);
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(before - (32 << 20));
  });

  it("may be four fifths of what there is, or less where that is little", () => {
    const mebi = 1024 * 1024;
    expect([10_000, 1000, 256, 128].map((memory) => usableOf(memory * mebi) / mebi)).toEqual([8000, 800, 160, 64]);
  });
});
