import { nearest } from "../config/nearest.ts";
import { complain, EXIT, print, readOptions, UsageError } from "./arguments.ts";
import { ManagementError } from "./management-error.ts";
import { packageVersion } from "./package.ts";
import { Unanswered } from "./password-input.ts";
import { printable } from "./text-table.ts";

/** One command of `delos`; each is in a module of its own, which is loaded when it is needed. */
export interface Command {
  /** What `delos COMMAND --help` prints. */
  readonly help: string;
  /** Does it. Resolves to the exit code. Throws `UsageError` for a wrong command line. */
  run(args: readonly string[]): Promise<number>;
}

const COMMANDS: Readonly<Record<string, { readonly summary: string; load(): Promise<Command> }>> = {
  serve: { summary: "run the broker", load: async () => (await import("./serve.ts")).serve },
  check: {
    summary: "check a configuration and show where each value comes from",
    load: async () => (await import("./check.ts")).check,
  },
  init: {
    summary: "make a directory with a configuration, a password and room for data",
    load: async () => (await import("./init.ts")).init,
  },
  "hash-password": {
    summary: "turn a password into what a configuration keeps of it",
    load: async () => (await import("./hash-password.ts")).hashPasswordCommand,
  },
  "api-key": {
    summary: "make a key for management, and what a configuration keeps of it",
    load: async () => (await import("./api-key.ts")).apiKeyCommand,
  },
  doctor: {
    summary: "check what a broker needs where it is to run",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  backup: { summary: "copy all that a broker has stored", load: async () => (await import("./backup.ts")).backup },
  restore: { summary: "put such a copy in its place", load: async () => (await import("./backup.ts")).restore },
  status: { summary: "how the broker is", load: async () => (await import("./status.ts")).status },
  top: { summary: "watch its busiest queues", load: async () => (await import("./top.ts")).top },
  queues: { summary: "list queues, or look at one", load: () => listingOf("queues") },
  topics: { summary: "list topics, or look at one", load: () => listingOf("topics") },
  connections: { summary: "list who is connected", load: () => listingOf("connections") },
  sessions: { summary: "list what outlives connections", load: () => listingOf("sessions") },
  pub: { summary: "send a message", load: async () => (await import("./publish.ts")).publish },
  sub: { summary: "print messages and consume them", load: async () => (await import("./subscribe.ts")).subscribe },
  browse: { summary: "print messages and leave them", load: async () => (await import("./subscribe.ts")).browse },
  purge: { summary: "throw messages away", load: async () => (await import("./bulk.ts")).purge },
  redrive: {
    summary: "send dead letters back to where they come from",
    load: async () => (await import("./bulk.ts")).redrive,
  },
  explain: { summary: "what would become of a message", load: async () => (await import("./explain.ts")).explain },
  export: {
    summary: "write queues, exchanges, bindings and users to a file",
    load: async () => (await import("./definitions.ts")).exportDefinitions,
  },
  import: { summary: "take them in", load: async () => (await import("./definitions.ts")).importDefinitions },
  passwd: { summary: "give a user a password", load: async () => (await import("./accounts.ts")).passwd },
  acl: { summary: "list access rules, or ask what they say", load: async () => (await import("./accounts.ts")).acl },
  version: { summary: "print the version", load: () => Promise.resolve(version) },
};

async function listingOf(segment: string): Promise<Command> {
  return (await import("./listing.ts")).listingCommand(segment);
}

const version: Command = {
  help: "Usage: delos version\n\nPrints the version.",
  run(args) {
    readOptions(args, {});
    print(`delos ${packageVersion()} (node ${process.versions.node})`);
    return Promise.resolve(EXIT.ok);
  },
};

/** Runs the command line `args`, without the program's own name. Resolves to the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === undefined) {
    complain(overview());
    return EXIT.usage;
  }
  if (first === "--version" || first === "-v") return version.run([]);
  const asksForHelp = first === "help" || first === "--help" || first === "-h";
  const name = asksForHelp ? rest[0] : first;
  if (name === undefined) {
    print(overview());
    return EXIT.ok;
  }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) {
    complain(`delos: the command "${name}" is not known${suggestion(name)}`, 'Try "delos help".');
    return EXIT.usage;
  }
  const command = await entry.load();
  const options = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (asksForHelp || options.includes("--help") || options.includes("-h")) {
    print(command.help);
    return EXIT.ok;
  }
  // A broker goes on whoever reads; a command has nobody left to work for.
  if (name !== "serve") endWithReaders();
  try {
    return await command.run(rest);
  } catch (error) {
    // What it says may come from the broker, which has it from anybody.
    const what = error instanceof Error ? printable(`delos ${name}: ${error.message.trim()}`) : "";
    if (error instanceof ManagementError || error instanceof Unanswered) {
      complain(what);
      return error instanceof ManagementError ? error.exitCode : EXIT.failed;
    }
    if (!(error instanceof UsageError)) throw error;
    complain(what, `Try "delos ${name} --help".`);
    return EXIT.usage;
  }
}

/** Ends the process, without a word, when whoever reads what it prints has gone. */
function endWithReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(EXIT.failed);
      throw error;
    });
  }
}

function suggestion(name: string): string {
  const near = nearest(name, Object.keys(COMMANDS));
  return near === undefined ? "" : `; did you mean "${near}"?`;
}

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(15)}${summary}`);
  return `Usage: delos COMMAND [OPTIONS]

A message broker that speaks many protocols over one core.

${lines.join("\n")}
  help           print this, or with the name of a command, about that

Exit codes: 0 done, 1 failed while running, 2 wrong command line or configuration; of commands that ask a
running broker also 3 it cannot be reached, 4 not allowed.`;
}
