import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;

/** A process and its descendants. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const line of execFileSync("ps", ["-e", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n")) {
    const [child = 0, parent = 0] = line.trim().split(/\s+/).map(Number);
    children.set(parent, [...(children.get(parent) ?? []), child]);
  }
  const all = [pid];
  for (const one of all) all.push(...(children.get(one) ?? []));
  return all;
}

/** Bytes of memory that processes have resident: all of it, or what no file stands behind. */
export function memoryOf(pids: readonly number[], kind: "VmRSS" | "RssAnon" = "VmRSS"): number {
  let bytes = 0;
  for (const one of pids) {
    const status = readFileSync(`/proc/${one}/status`, "utf8");
    bytes += Number(new RegExp(`${kind}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024;
  }
  return bytes;
}

/** Seconds of CPU that processes have used so far. */
export function cpuSecondsOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const one of pids) {
    const fields = readFileSync(`/proc/${one}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Seconds, of all cores together, that this machine waited so far while its host served others. */
export function stolenSeconds(): number {
  const [total = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
  return Number(total.split(/\s+/)[8] ?? 0) / TICKS_PER_SECOND;
}
