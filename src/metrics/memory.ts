import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const KIBI = 1024;
const MEBI = KIBI * KIBI;
/** Of the memory there is; in small containers less, as programs and files of the store have to be in memory too. */
const USABLE = 0.8;
const LEAST_USABLE = 0.5;
const BESIDES = 96 * MEBI;
/** What was given back to the allocator is used again, but for the gaps between. */
const REUSED = 0.8;

/** What is known of the memory of this process, in bytes. */
export interface MemoryLevels {
  /** What it needs. */
  readonly memoryUsed: number;
  /** JavaScript's heap, and what it may grow to. */
  readonly heapUsed: number;
  readonly heapLimit: number;
}

/**
 * Measures the memory that this process needs. The system keeps on counting what was used once and given back to the allocator,
 * which seldom returns it: after a flood a process would seem full for ever. So what was seen to be given back does not count.
 */
export class MemoryGauge {
  private mostHeld = 0;
  private mostUsed = 0;

  measure(): MemoryLevels {
    const { heapUsed, external } = process.memoryUsage();
    const used = memoryInUse();
    return {
      memoryUsed: this.needed(used, heapUsed + external),
      heapUsed,
      heapLimit: getHeapStatistics().heap_size_limit,
    };
  }

  /** Of what the system counts, with so many bytes held by JavaScript. */
  needed(used: number, held: number): number {
    this.mostHeld = Math.max(this.mostHeld, held);
    const grows = used > this.mostUsed;
    this.mostUsed = Math.max(this.mostUsed, used);
    // What grows beyond all that was before does not make do with what was given back.
    if (grows) return used;
    return Math.max(held, Math.round(used - (this.mostHeld - held) * REUSED));
  }
}

/**
 * Bytes of memory that this process has. Where the system tells, without those that only mirror files: what the store has
 * of its files in memory can be dropped at any time.
 */
function memoryInUse(): number {
  try {
    const found = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "latin1"));
    if (found !== null) return Number(found[1]) * KIBI;
  } catch {
    // Another system than Linux: it tells less.
  }
  return process.memoryUsage.rss();
}

/** The same, of so much memory. */
export function usableOf(memory: number): number {
  return Math.floor(Math.max(memory * LEAST_USABLE, Math.min(memory * USABLE, memory - BESIDES)));
}

/** What a process may use at most of this machine, or of its container. */
export function usableMemory(): number {
  const constrained = process.constrainedMemory();
  const total = totalmem();
  return usableOf(constrained > 0 ? Math.min(constrained, total) : total);
}

/**
 * What has everything given back that nobody uses any more, and returns how many milliseconds that took. By itself it happens
 * only while more is being used, which it is not while publishers wait for memory.
 */
export function garbageCollector(): () => number {
  let collect: unknown;
  return () => {
    const began = performance.now();
    collect ??= exposedCollector();
    if (typeof collect === "function") collect({ type: "major", flavor: "last-resort" });
    return performance.now() - began;
  };
}

function exposedCollector(): unknown {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}
