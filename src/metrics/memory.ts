import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import process from "node:process";

const KIBI = 1024;
/** Of the memory there is. */
const USABLE = 0.8;

/**
 * Bytes of memory that this process needs. Where the system tells, without those that only mirror files: what the store has
 * of its files in memory can be dropped at any time.
 */
export function memoryInUse(): number {
  try {
    const found = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "latin1"));
    if (found !== null) return Number(found[1]) * KIBI;
  } catch {
    // Another system than Linux: it tells less.
  }
  return process.memoryUsage.rss();
}

/** What a process may use at most of this machine, or of its container. */
export function usableMemory(): number {
  const constrained = process.constrainedMemory();
  const total = totalmem();
  return Math.floor((constrained > 0 ? Math.min(constrained, total) : total) * USABLE);
}
