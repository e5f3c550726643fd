import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { hashPassword } from "../security/password.ts";
import { deriveScramKeys, formatScramKeys } from "../security/scram.ts";
import { complain, EXIT, print, readOptions } from "./arguments.ts";
import type { Command } from "./commands.ts";

/** `delos hash-password`: reads a password and prints its hash. */
export const hashPasswordCommand: Command = {
  help: `Usage: delos hash-password [--scram]

Reads a password from standard input (its first line; on a terminal it is asked for and not shown)
and prints the hash, for security.users.NAME.password_hash in a configuration.

  --scram  print the keys for logins by SCRAM-SHA-256, for security.users.NAME.scram_sha_256;
           a user may have both`,

  async run(args) {
    const { scram } = readOptions(args, { scram: { type: "boolean" } }).values;
    const password = process.stdin.isTTY ? await ask("Password: ") : await firstLine();
    if (password === "") {
      complain("delos hash-password: the password is empty");
      return EXIT.usage;
    }
    print(scram === true ? formatScramKeys(await deriveScramKeys(password)) : await hashPassword(password));
    return EXIT.ok;
  },
};

async function ask(question: string): Promise<string> {
  process.stderr.write(question);
  // What readline would echo goes nowhere.
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silence, terminal: true });
  try {
    return await reader.question("");
  } finally {
    reader.close();
    process.stderr.write("\n");
  }
}

async function firstLine(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8").split(/\r?\n/, 1)[0] ?? "";
}
