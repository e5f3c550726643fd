import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");

/** Which rooms a file may import from, by the folder it is in. */
function allowed(file: string): readonly RegExp[] {
  if (file.startsWith("core/")) return [/^core\//];
  if (file.startsWith("store/")) return [/^core\//, /^store\//];
  const protocol = /^protocols\/[^/]+\//.exec(file);
  if (protocol !== null) return [/^core\//, new RegExp(`^${protocol[0]}`)];
  // What runs in a browser; the broker serves it and never runs it.
  if (file.startsWith("console/")) return [/^console\/src\//];
  if (file.startsWith("src/")) return [/^(core|store|protocols|src)\//];
  return [/./];
}

/** Packages and built-in modules a room may use besides. */
function allowedPackage(file: string, name: string): boolean {
  if (file.startsWith("core/")) return false;
  if (file.startsWith("protocols/")) return file.startsWith("protocols/mqtt/") && name === "mqtt-packet";
  if (file.startsWith("console/")) return CONSOLE_PACKAGES.includes(name);
  if (file.startsWith("store/")) return name.startsWith("node:") || name === "lmdb";
  return true;
}

const CONSOLE_PACKAGES = ["preact", "preact/hooks", "@preact/signals", "uplot"];

function sources(directory: string): string[] {
  return readdirSync(join(ROOT, directory), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => `${directory}/${name}`);
}

function imports(file: string): string[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  // Ordinary imports begin a line; `[^"]*?` may span the lines of a list of names, but never a string before `from`.
  const found = /^(?:import|export)\s+(?:[^"'`;=()]*?\sfrom\s+)?"([^"]+)"|\bimport\("([^"]+)"\)/gm;
  return [...text.matchAll(found)].map((match) => match[1] ?? match[2] ?? "");
}

const files = ["core", "store", "protocols", "src", "console/src"].flatMap(sources);

describe("the rooms", () => {
  it.each(files)("%s imports only what its room may", (file) => {
    for (const name of imports(file)) {
      if (!name.startsWith(".")) {
        expect(allowedPackage(file, name), `${file} imports the package ${name}`).toBe(true);
        continue;
      }
      const target = relative(ROOT, resolve(ROOT, dirname(file), name));
      expect(
        allowed(file).some((room) => room.test(target)),
        `${file} imports ${target}`,
      ).toBe(true);
    }
  });

  it("are all there is at the top level", () => {
    const known = ["bench", "conf", "console", "core", "docs", "node_modules", "protocols", "src", "store", "test"];
    const folders = readdirSync(ROOT, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map((entry) => entry.name);
    expect(folders.filter((name) => !known.includes(name) && name !== "data" && name !== "dist")).toEqual([]);
  });
});
