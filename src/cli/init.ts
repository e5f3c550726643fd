import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { isNode, parseDocument } from "yaml";
import { hashPassword, newPassword } from "../security/password.ts";
import { complain, EXIT, print, readOptions } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { packageRoot } from "./package.ts";

/** `delos init`: a directory that `delos serve` can run from. */
export const init: Command = {
  help: `Usage: delos init DIR [OPTIONS]

Makes a directory to run a broker from: DIR/delos.yaml, a configuration with every key explained,
and DIR/data for the messages. A user "admin" gets a new password, which is printed once; access
without an account is off.

      --force        also when DIR is not empty; replaces DIR/delos.yaml, leaves the data alone`,

  async run(args) {
    const { values, positionals } = readOptions(args, { force: { type: "boolean", default: false } }, ["DIR"]);
    const directory = resolve(positionals[0] ?? "");
    try {
      const names = filesIn(directory);
      if (names.length > 0 && !values.force) {
        complain(
          `delos init: ${directory} is not empty (${names.slice(0, 3).join(", ")}...); choose another or use --force`,
        );
        return EXIT.usage;
      }
      const password = newPassword();
      await fill(directory, password);
      tell(directory, password);
      return EXIT.ok;
    } catch (error) {
      complain(`delos init: ${error instanceof Error ? error.message : String(error)}`);
      return EXIT.failed;
    }
  },
};

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

async function fill(directory: string, password: string): Promise<void> {
  const conf = join(packageRoot(), "conf");
  const hash = await hashPassword(password);
  const users = `\n    admin:\n      password_hash: ${JSON.stringify(hash)}\n      groups: [admins]`;
  let text = readFileSync(join(conf, "delos.yaml"), "utf8");
  text = replaceValue(text, ["security", "users"], users);
  text = replaceValue(text, ["security", "guest", "enabled"], "false");
  mkdirSync(join(directory, "data"), { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, "delos.yaml"), text, { mode: 0o600 });
  copyFileSync(join(conf, "delos.schema.json"), join(directory, "delos.schema.json"));
}

/** Replaces one value in a YAML text and leaves everything else, comments included, as it is. */
function replaceValue(text: string, path: readonly string[], value: string): string {
  const node: unknown = parseDocument(text).getIn(path, true);
  if (!isNode(node) || node.range === null || node.range === undefined) {
    throw new Error(`The configuration that comes with the package has no ${path.join(".")}`);
  }
  const before = text.slice(0, node.range[0]);
  return (value.startsWith("\n") ? before.trimEnd() : before) + value + text.slice(node.range[1]);
}

function tell(directory: string, password: string): void {
  const file = join(directory, "delos.yaml");
  const fromHere = relative(process.cwd(), file);
  const shortest = fromHere.length < file.length ? fromHere : file;
  print(
    `Made ${file}`,
    `     ${join(directory, "data")}`,
    "",
    "  User      admin",
    `  Password  ${password}   (shown only now: the file keeps a hash)`,
    "",
    "Start the broker with",
    "",
    `  delos serve --config ${/^[\w./-]+$/.test(shortest) ? shortest : `'${shortest.replaceAll("'", "'\\''")}'`}`,
  );
}
