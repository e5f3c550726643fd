import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

/** Whether a command can be run and ends well: is the interpreter with its library there? */
export function runs(file: string, args: readonly string[]): boolean {
  return spawnSync(file, args, { stdio: "ignore" }).status === 0;
}

/** Runs a client program that stands beside this file and reads the JSON it prints. */
export async function runProgram(interpreter: string, program: string, args: readonly string[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)(interpreter, [join(import.meta.dirname, program), ...args], {
    timeout: 25_000,
    maxBuffer: 16 << 20,
  });
  return JSON.parse(stdout);
}
