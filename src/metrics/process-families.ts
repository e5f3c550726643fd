import { readdirSync } from "node:fs";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import process from "node:process";
import { getHeapStatistics } from "node:v8";
import type { Exposition } from "./exposition.ts";

const MICROS = 1e6;
const NANOS = 1e9;
const MS_PER_SECOND = 1000;
const LAGS: readonly [name: string, percentile: number, help: string][] = [
  ["nodejs_eventloop_lag_p50_seconds", 50, "half of the time at most"],
  ["nodejs_eventloop_lag_p99_seconds", 99, "99 % of the time at most"],
  ["nodejs_eventloop_lag_max_seconds", 100, "at most"],
];
/** How often the event loop is looked at; what is measured has it in it. */
const RESOLUTION_MS = 20;

/** Measures how late the event loop is, and tells of the process. */
export class ProcessFamilies {
  private readonly delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.delay.enable();
  }

  stop(): void {
    this.delay.disable();
  }

  /** The names are those that Prometheus' clients have in common. */
  write(to: Exposition): void {
    const { user, system } = process.cpuUsage();
    to.counter("process_cpu_seconds_total", "CPU time used, of all threads.", (sample) =>
      sample((user + system) / MICROS),
    );
    const { rss, external } = process.memoryUsage();
    to.gauge("process_resident_memory_bytes", "Memory of the process, mirrors of files included.", (sample) =>
      sample(rss),
    );
    to.gauge("process_start_time_seconds", "When the process began, since 1970.", (sample) =>
      sample(performance.timeOrigin / MS_PER_SECOND),
    );
    const descriptors = openDescriptors();
    if (descriptors !== undefined) {
      to.gauge("process_open_fds", "Files and sockets that are open.", (sample) => sample(descriptors));
    }
    const heap = getHeapStatistics();
    to.gauge("nodejs_heap_size_used_bytes", "JavaScript's heap in use.", (sample) => sample(heap.used_heap_size));
    to.gauge("nodejs_heap_size_limit_bytes", "What the heap may grow to.", (sample) => sample(heap.heap_size_limit));
    to.gauge("nodejs_external_memory_bytes", "Memory of buffers, outside the heap.", (sample) => sample(external));
    this.writeEventLoop(to);
  }

  private writeEventLoop(to: Exposition): void {
    const { active } = performance.eventLoopUtilization();
    to.counter("nodejs_eventloop_active_seconds_total", "Time that the event loop was busy.", (sample) =>
      sample(active / MS_PER_SECOND),
    );
    for (const [name, percentile, help] of LAGS) {
      const nanos = this.delay.count === 0 ? 0 : this.delay.percentile(percentile);
      to.gauge(name, `How late the event loop was since the last look: ${help}.`, (sample) =>
        sample(Math.max(0, nanos / NANOS - RESOLUTION_MS / MS_PER_SECOND)),
      );
    }
    this.delay.reset();
  }
}

/** Undefined where the system does not tell. */
function openDescriptors(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}
