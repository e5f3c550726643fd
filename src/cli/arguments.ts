import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { nearest } from "../config/nearest.ts";

/** A wrong command line: one sentence, exit code 2. */
export class UsageError extends Error {}

/** How a process ends. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, refused: 4 } as const;

/** Options that commands with a configuration share. */
export const CONFIG_OPTIONS = {
  config: { type: "string", short: "c" },
  set: { type: "string", multiple: true, short: "s" },
} as const satisfies ParseArgsOptionsConfig;

/** What a help text says about them. */
export const CONFIG_HELP = `  -c, --config FILE  the configuration; otherwise the file that DELOS_CONFIG names, otherwise the
                     built-in defaults
  -s, --set KEY=VALUE
                     override one setting, as in --set stomp.max_body=1m; may be repeated.
                     The environment overrides the file in the same way: DELOS__stomp__max_body=1m,
                     or DELOS__stomp__max_body__FILE=PATH for a value that is in a file`;

/** Reads the options of a command. `names` says which further words it takes; all but the last `optional` are required. */
export function readOptions<const T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
  names: readonly string[] = [],
  optional = 0,
) {
  const parsed = parse(args, options);
  const { positionals } = parsed;
  const required = names.slice(0, names.length - optional);
  if (positionals.length > names.length) throw new UsageError(`"${positionals[names.length]}" is one word too many`);
  if (positionals.length < required.length)
    throw new UsageError(`${required.slice(positionals.length).join(" and ")} is missing`);
  return parsed;
}

function parse<const T extends ParseArgsOptionsConfig>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const unknown = /^Unknown option '(-[^']*)'/.exec(error.message)?.[1];
    if (unknown === undefined) throw new UsageError(error.message.split("\n")[0]);
    const near = nearest(
      unknown,
      Object.keys(options).map((name) => `--${name}`),
    );
    throw new UsageError(`the option ${unknown} is not known${near === undefined ? "" : `; did you mean ${near}?`}`);
  }
}

/** Writes lines for people, or for programs that were told to read them. */
export function print(...lines: readonly string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** Writes lines about what went wrong. */
export function complain(...lines: readonly string[]): void {
  process.stderr.write(`${lines.join("\n")}\n`);
}
