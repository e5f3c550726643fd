import { randomBytes } from "node:crypto";
import { apiKeyHash } from "../management/api-keys.ts";
import { EXIT, print, readOptions } from "./arguments.ts";
import type { Command } from "./commands.ts";

const KEY_BYTES = 32;

/** `delos api-key`: makes a key and prints it with its hash. */
export const apiKeyCommand: Command = {
  help: `Usage: delos api-key

Makes a key for management over HTTP and prints it, once, with the hash that a configuration keeps
of it (management.api_keys.NAME.hash). Programs send it as "Authorization: Bearer KEY".`,

  run(args) {
    readOptions(args, {});
    const key = `delos_${randomBytes(KEY_BYTES).toString("base64url")}`;
    print(`key:  ${key}`, `hash: ${apiKeyHash(key)}`);
    return Promise.resolve(EXIT.ok);
  },
};
