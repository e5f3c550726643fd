import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The directory of the package, whether it runs from its sources or built. */
export function packageRoot(): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, "package.json"))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error(`There is no package.json above ${import.meta.dirname}`);
    directory = parent;
  }
  return directory;
}

/** The version of the package. */
export function packageVersion(): string {
  const description: unknown = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
  const isDescription = typeof description === "object" && description !== null && "version" in description;
  return isDescription ? String(description.version) : "unknown";
}
