import { spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./broker.ts";

/** What a command came to. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `delos` beside whatever else the test does; nothing of the environment's own settings counts. */
export async function delos(
  args: readonly string[],
  { input = "", env = {} }: { input?: string; env?: Readonly<Record<string, string>> } = {},
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
  const code = await new Promise<number | null>((done, fail) => {
    child.once("close", done);
    child.once("error", fail);
  });
  return { code, out, err };
}
