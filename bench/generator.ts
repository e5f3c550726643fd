import { execFile, spawnSync } from "node:child_process";

/** What one run of the load generator `mqload` reported. */
export interface Report {
  readonly ok: boolean;
  /** Why it failed. */
  readonly error: string;
  /** NaN for what it does not report. */
  number(key: string): number;
}

/** Runs the generator and waits for its report. */
export function generate(mqload: string, args: readonly string[], timeoutMs = 180_000): Report {
  const result = spawnSync(mqload, [...args, "--json"], { encoding: "utf8", timeout: timeoutMs });
  return reportOf(result);
}

/** The same, while this process goes on with what it has to do. */
export function generateBeside(mqload: string, args: readonly string[], timeoutMs = 180_000): Promise<Report> {
  return new Promise((done) => {
    execFile(mqload, [...args, "--json"], { encoding: "utf8", timeout: timeoutMs }, (error, stdout, stderr) => {
      done(reportOf({ status: error === null ? 0 : 1, stdout, stderr }));
    });
  });
}

function reportOf(result: {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}): Report {
  const line = result.stdout.trim().split("\n").at(-1) ?? "";
  const report: unknown = line.startsWith("{") ? JSON.parse(line) : {};
  const values = new Map(Object.entries(typeof report === "object" && report !== null ? report : {}));
  return {
    ok: result.status === 0,
    error: `${String(values.get("error") ?? "")} ${result.stderr.slice(-200)}`.trim(),
    number: (key) => Number(values.get(key) ?? Number.NaN),
  };
}

/** The middle one; NaN when there is none. Those that are NaN do not count. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** A number for people. */
export function human(value: number): string {
  if (Number.isNaN(value)) return "-";
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
}
