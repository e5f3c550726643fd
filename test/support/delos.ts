import { spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./broker.ts";
import { eventually } from "./eventually.ts";

/** What a command came to. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** What goes with a command. */
export interface Beside {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What it is sent once `when` holds. */
  readonly signal?: NodeJS.Signals;
  readonly when?: () => boolean;
}

/** Runs `delos` beside whatever else the test does; nothing of the environment's own settings counts. */
export async function delos(
  args: readonly string[],
  { input = "", env = {}, signal, when = () => true }: Beside = {},
): Promise<Ended> {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("DELOS"));
  const child = spawn(process.execPath, [join(ROOT, "src/main.ts"), ...args], {
    cwd: ROOT,
    env: { ...Object.fromEntries(own), ...env },
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  if (signal !== undefined) void eventually(when, 25_000).then(() => child.kill(signal));
  const code = await new Promise<number | null>((done, fail) => {
    child.once("close", done);
    child.once("error", fail);
  });
  return { code, out, err };
}
