import process from "node:process";
import type { ConfigSources } from "../config/load.ts";

/** Where the configuration of a command comes from, by its options and the environment. */
export function configSources(options: { config?: string | undefined; set?: string[] | undefined }): ConfigSources {
  return {
    file: options.config ?? (process.env["DELOS_CONFIG"] || undefined),
    environment: process.env,
    sets: options.set ?? [],
    directory: process.cwd(),
  };
}
