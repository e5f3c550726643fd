/*
 * Builds the console into dist/console unless what is there was made of the same sources. `npm start` has this done first
 * (preload.ts); it never fails, for a broker without its console is a broker still.
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";

const HERE = import.meta.dirname;
const OUT = join(HERE, "../dist/console");
/** Says which sources a built console was made of. */
const STAMP = ".sources";

/** Whether what is in dist/console was made of these sources. */
export function isConsoleBuilt(): boolean {
  return stampOf(OUT) === digestOfSources();
}

/** Builds what is not built yet; returns whether there was anything to do. */
export async function buildConsole(): Promise<boolean> {
  const digest = digestOfSources();
  if (stampOf(OUT) === digest) return false;
  const { build } = await import("vite");
  // Made beside its place and then moved there, so that nobody sees half of it.
  const made = mkdtempSync(join(createFolder(dirname(OUT)), "console-"));
  await build({
    configFile: join(HERE, "vite.config.ts"),
    logLevel: "warn",
    build: { outDir: made },
  });
  // Another user may run the broker.
  chmodSync(made, 0o755);
  writeFileSync(join(made, STAMP), digest);
  try {
    // Somebody else may have built the same meanwhile, and use it already.
    if (stampOf(OUT) === digest) return false;
    rmSync(OUT, { recursive: true, force: true });
    renameSync(made, OUT);
    return true;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

function createFolder(folder: string): string {
  mkdirSync(folder, { recursive: true });
  return folder;
}

function stampOf(folder: string): string | undefined {
  const file = join(folder, STAMP);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function digestOfSources(): string {
  const hash = createHash("sha256");
  const files = readdirSync(HERE, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).toSorted();
  for (const path of [...paths, join(HERE, "../package.json")])
    hash.update(path.slice(HERE.length)).update(readFileSync(path));
  return hash.digest("hex");
}

if (import.meta.main) {
  try {
    if (await buildConsole()) process.stdout.write("The console is built.\n");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`The console could not be built, and the broker starts without it: ${reason}\n`);
  }
}
