/*
 * Loaded by `npm start` before the broker: builds the console if its sources have changed. It is loaded into the broker's
 * process, and not run before it by a shell, so that signals reach the broker; the building itself is done in another one,
 * whose memory is given back.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { isMainThread } from "node:worker_threads";
import { isConsoleBuilt } from "./build.ts";

if (isMainThread && !isConsoleBuilt()) {
  spawnSync(process.execPath, [join(import.meta.dirname, "build.ts")], { stdio: "inherit" });
}
