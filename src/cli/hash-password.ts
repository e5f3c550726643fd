import { hashPassword } from "../security/password.ts";
import { deriveScramKeys, formatScramKeys } from "../security/scram.ts";
import { complain, EXIT, print, readOptions } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { readPassword } from "./password-input.ts";

/** `delos hash-password`: reads a password and prints its hash. */
export const hashPasswordCommand: Command = {
  help: `Usage: delos hash-password [--scram]

Reads a password from standard input (its first line; on a terminal it is asked for and not shown)
and prints the hash, for security.users.NAME.password_hash in a configuration.

  --scram  print the keys for logins by SCRAM-SHA-256, for security.users.NAME.scram_sha_256;
           a user may have both`,

  async run(args) {
    const { scram } = readOptions(args, { scram: { type: "boolean" } }).values;
    const password = await readPassword("Password: ");
    if (password === "") {
      complain("delos hash-password: the password is empty");
      return EXIT.usage;
    }
    print(scram === true ? formatScramKeys(await deriveScramKeys(password)) : await hashPassword(password));
    return EXIT.ok;
  },
};
