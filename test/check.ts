/** Runs every check there is, cheapest first, and stops at the first that fails: `npm test`, `npm run check`, CI. */
import { spawnSync } from "node:child_process";
import process from "node:process";

const STEPS: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ["types", "tsc", "--noEmit"],
  ["types of the console", "tsc", "--noEmit", "-p", "console"],
  ["format", "biome", "format", "."],
  ["lint", "oxlint", "--type-aware", "--deny-warnings"],
  ["dead code", "knip"],
  ["tests", "vitest", "run", ...process.argv.slice(2)],
];

for (const [name, command, ...args] of STEPS) {
  console.log(`== ${name}: ${command} ${args.join(" ")}`);
  const { status, error } = spawnSync(command, args, { stdio: "inherit" });
  if (status === 0) continue;
  console.error(`== ${name} failed${error === undefined ? "" : `: ${error.message}`}`);
  process.exit(status ?? 1);
}
console.log("== every check passed");
