import { describe, expect, it } from "vitest";
import { Alarms } from "../../core/alarms.ts";
import { type Levels, Resources } from "../../src/metrics/resources.ts";
import { usableMemory } from "../../src/metrics/memory.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const PLENTY: Levels = { memoryUsed: 0, diskFree: 10_000 };
const SETTINGS = { interval: 1000, memory: 1000, disk_free: 1000 };

function quiet(): void {}

/** What is raised after each of these levels was seen, one after the other. */
async function raisedBy(levels: readonly Partial<Levels>[], settings = SETTINGS): Promise<string[]> {
  const clock = new VirtualClock();
  const alarms = new Alarms((task) => clock.endOfTurn(task), quiet);
  let next = 0;
  const resources = new Resources(alarms, {
    settings: () => settings,
    measure: () => Promise.resolve({ ...PLENTY, ...levels[next++] }),
    clock,
    heard: quiet,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  });
  const raised: string[] = [];
  await resources.start();
  for (let looks = 1; looks <= levels.length; looks++) {
    raised.push(alarms.active.map(({ name }) => name).join(" "));
    clock.advance(SETTINGS.interval);
    await new Promise(setImmediate);
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

  it("of memory go by what the machine has, if nothing else is said", async () => {
    const settings = { ...SETTINGS, memory: 0 };
    const limit = usableMemory();
    expect(await raisedBy([{ memoryUsed: limit }, { memoryUsed: limit + 1 }], settings)).toEqual(["", "memory"]);
  });
});
