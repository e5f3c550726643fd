import { statfs } from "node:fs/promises";
import type { AlarmName, Alarms } from "../../core/alarms.ts";
import type { Clock, Timer } from "../../core/time/clock.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../net/network.ts";
import { MemoryGauge, type MemoryLevels, usableMemory } from "./memory.ts";

/** What is looked at, in bytes. */
export interface Levels extends MemoryLevels {
  /** Undefined where nothing is kept on a disk, or it does not tell. */
  readonly diskFree: number | undefined;
  /** In the store's own files, which never shrink. */
  readonly storeFree: number;
}

/** Measures; rejects if it cannot. */
export type Measure = () => Promise<Levels>;

/** Of the limit: an alarm is over when memory is below this part of it, and free disk above that one. */
const MEMORY_RECOVERED = 0.95;
const DISK_RECOVERED = 1.25;
/** Of what the heap may grow to, of which a part is for young objects only: the process would end where the others have all of theirs. */
const MOST_HEAP = 0.6;
/** Of the limits: from there on it is looked more often, so many times. */
const NEAR_MEMORY = 0.75;
const NEAR_DISK = 2;
const OFTEN = 5;
const SHORTEST_MS = 10;
/** Of the limit: from there on unused memory is sought, soon after the last time, and for a part of the time at most. */
const SCARCE_MEMORY = 0.8;
const COLLECT_MS = 100;
const COLLECT_SHARE = 1 / 10;
/** Where nothing was found, it takes twice as long until it is sought again, up to this. */
const MOST_PAUSE_MS = 300_000;
const MOST_PAUSE_RAISED_MS = 30_000;
/** What is left, at most, where something was found. */
const FRUITFUL = 0.95;
/** Of what is free in the files of the store, what counts. */
const STORE_REUSED = 0.75;
/** Of what must be free, what has to be so outside these files. */
const LEAST_DISK = 0.25;
const MEBI = 1024 * 1024;

/** Measures the process, and the disk that a directory is on; `storeFree` says what is free in the files there. */
export function measureIn(directory: string | undefined, storeFree: () => number): Measure {
  const gauge = new MemoryGauge();
  return async () => {
    const memory = gauge.measure();
    if (directory === undefined) return { ...memory, diskFree: undefined, storeFree: 0 };
    const { bavail, bsize } = await statfs(directory);
    return { ...memory, diskFree: bavail * bsize, storeFree: storeFree() };
  };
}

/** Hears of an alarm that was raised, or is over; with the reason it was raised for. */
export type AlarmHeard = (alarm: AlarmName, raised: boolean, reason: string) => void;

/** Raises and clears alarms, by what it measures again and again. */
export class Resources {
  levels: Levels | undefined = undefined;
  private readonly alarms: Alarms;
  private readonly settings: () => Config["alarms"];
  private readonly measure: Measure;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly heard: AlarmHeard;
  private readonly collect: () => number;
  private timer: Timer | undefined = undefined;
  private stopped = false;
  private nextCollection = 0;
  private patience = 1;
  private before: Pick<MemoryLevels, "memoryUsed" | "heapUsed"> | undefined = undefined;

  constructor(
    alarms: Alarms,
    options: {
      /** As they are now. */
      readonly settings: () => Config["alarms"];
      readonly measure: Measure;
      readonly clock: Clock;
      readonly log: Log;
      readonly heard: AlarmHeard;
      /** Has unused memory given back; returns how many milliseconds that took. */
      readonly collect: () => number;
    },
  ) {
    this.alarms = alarms;
    this.settings = options.settings;
    this.measure = options.measure;
    this.clock = options.clock;
    this.log = options.log;
    this.heard = options.heard;
    this.collect = options.collect;
  }

  /** Looks at once, and then as often as the settings say, or more often where little is left. */
  async start(): Promise<void> {
    await this.look();
    if (!this.stopped) this.timer = this.clock.after(this.pauseMs, () => void this.start());
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  /** Bytes of memory above which there is an alarm. */
  get memoryLimit(): number {
    const { memory } = this.settings();
    return memory === 0 ? usableMemory() : memory;
  }

  /** Bytes of free disk below which there is an alarm; 0 for none. */
  get diskLimit(): number {
    return this.settings().disk_free;
  }

  private get pauseMs(): number {
    const { levels, memoryLimit, diskLimit } = this;
    const { interval } = this.settings();
    if (levels === undefined) return interval;
    const { memoryUsed, heapUsed, heapLimit, diskFree } = levels;
    const isNear =
      memoryUsed > memoryLimit * NEAR_MEMORY ||
      heapUsed > heapLimit * NEAR_MEMORY ||
      (diskFree !== undefined && diskFree < diskLimit * NEAR_DISK);
    return isNear ? Math.max(SHORTEST_MS, interval / OFTEN) : interval;
  }

  private async look(): Promise<void> {
    try {
      this.levels = await this.measure();
    } catch (error) {
      // What was raised stays so: nobody knows better.
      this.log.warn({ err: error }, "memory and disk could not be measured (alarms)");
      return;
    }
    if (this.stopped) return;
    this.judgeMemory(this.levels);
    this.judgeDisk(this.levels);
  }

  /** Bytes of room there are for messages, on the disk and in the store's own files; undefined where nobody knows. */
  get diskRoom(): number | undefined {
    if (this.levels?.diskFree === undefined) return undefined;
    const { diskFree, storeFree } = this.levels;
    // Some of it lies in gaps that are too small; and something must be left for the journal and what others write.
    return Math.floor(Math.min(diskFree + storeFree * STORE_REUSED, diskFree / LEAST_DISK));
  }

  private judgeDisk({ diskFree, storeFree }: Levels): void {
    const { diskLimit, diskRoom: room } = this;
    if (diskFree === undefined || room === undefined || diskLimit === 0) {
      this.judge("disk", false, true, () => "");
      return;
    }
    this.judge("disk", room < diskLimit, room >= diskLimit * DISK_RECOVERED, () => {
      const found = `${mebi(diskFree)} free, and ${mebi(storeFree)} in the files of the store`;
      return `the disk of store.directory has ${found}; less than ${mebi(diskLimit)} is too little (alarms.disk_free)`;
    });
  }

  private judgeMemory({ memoryUsed, heapUsed, heapLimit }: MemoryLevels): void {
    const { memoryLimit } = this;
    const mostHeap = heapLimit * MOST_HEAP;
    const recovered = memoryUsed <= memoryLimit * MEMORY_RECOVERED && heapUsed <= mostHeap * MEMORY_RECOVERED;
    this.judge("memory", memoryUsed > memoryLimit || heapUsed > mostHeap, recovered, () =>
      memoryUsed > memoryLimit
        ? `the process needs ${mebi(memoryUsed)} of memory; more than ${mebi(memoryLimit)} is too much (alarms.memory)`
        : `JavaScript's heap has ${mebi(heapUsed)} in use; it may grow to ${mebi(heapLimit)} (--max-old-space-size of node)`,
    );
    this.seekUnused(memoryUsed, heapUsed);
  }

  /** Has unused memory given back where it matters; less and less often where there is none. */
  private seekUnused(memoryUsed: number, heapUsed: number): void {
    const { before } = this;
    if (before !== undefined) {
      const isLess = memoryUsed < before.memoryUsed * FRUITFUL || heapUsed < before.heapUsed * FRUITFUL;
      this.patience = isLess ? 1 : this.patience * 2;
      this.before = undefined;
    }
    const now = this.clock.now();
    const isRaised = this.alarms.active.some(({ name }) => name === "memory");
    if (now < this.nextCollection || !(isRaised || memoryUsed > this.memoryLimit * SCARCE_MEMORY)) return;
    const pauseMs = Math.max(COLLECT_MS, this.collect() / COLLECT_SHARE) * this.patience;
    this.nextCollection = now + Math.min(pauseMs, isRaised ? MOST_PAUSE_RAISED_MS : MOST_PAUSE_MS);
    this.before = { memoryUsed, heapUsed };
  }

  private judge(name: AlarmName, short: boolean, recovered: boolean, reason: () => string): void {
    if (short) {
      const text = reason();
      if (this.alarms.raise(name, text, this.clock.now())) {
        this.log.error({ alarm: name }, `publishers have to wait: ${text}`);
        this.heard(name, true, text);
      }
      return;
    }
    const raised = this.alarms.active.find((alarm) => alarm.name === name);
    if (raised === undefined || !recovered) return;
    this.alarms.clear(name);
    this.log.warn({ alarm: name }, `the ${name} alarm is over; publishers go on`);
    this.heard(name, false, raised.reason);
  }
}

function mebi(bytes: number): string {
  return `${Math.round(bytes / MEBI)} MiB`;
}
