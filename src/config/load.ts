/*
 * The configuration, put together from four layers; what a later one says overrides an earlier one:
 *
 *     defaults  <  YAML file  <  environment DELOS__a__b=v  <  --set a.b=v
 *
 * Each layer is read against the schema by itself, so that everything that is wrong anywhere is told at once.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Value } from "typebox/value";
import { systemClock } from "../clock.ts";
import { readArguments, readEnvironment } from "./assignment.ts";
import { readCertificates } from "./certificates.ts";
import { checkCoherence } from "./coherence.ts";
import { type Given, givenFrom, originText, type Problem } from "./given.ts";
import { complete, read } from "./reading.ts";
import { type Config, ConfigSchema, configSchema } from "./schema.ts";
import { lay, originOf, plain, type Setting } from "./setting.ts";
import { locateLoginFiles, readLoginFiles } from "./login-files.ts";
import type { TlsSection } from "./tls-schema.ts";
import { readYaml } from "./yaml-source.ts";

const TLS_FILES = ["certificate", "key", "ca"] as const;
const NAMED_FILES = ["certificate", "key"] as const;

/** Where a configuration comes from. */
export interface ConfigSources {
  /** The YAML file, as the operator wrote it; undefined for none. */
  readonly file?: string | undefined;
  /** What is in the file, when it is not to be read. */
  readonly text?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** What comes before all others: settings that a variable of the environment stands for. */
  readonly base?: { readonly name: string; readonly settings: object };
  /** `key=value` each, in order. */
  readonly sets?: readonly string[];
  /** What relative paths count from that are not in a file. */
  readonly directory: string;
}

/** A configuration, or the sentences that say all that is wrong with it and where. */
export type LoadedConfig =
  | { readonly ok: true; readonly config: Config; readonly settings: Setting; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads, checks and completes a configuration. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const problems: Problem[] = [];
  const defaults = required(complete(configSchema, undefined, "", problems));
  let settings = defaults;
  const add = (layers: readonly Given[]) => {
    for (const layer of layers) {
      const setting = read(configSchema, layer, "", problems);
      if (setting !== undefined) settings = lay(configSchema, settings, setting, "", problems);
    }
  };
  const { base } = sources;
  if (base !== undefined) add([givenFrom(base.settings, { kind: "environment", name: base.name })]);
  const { file = sources.text === undefined ? undefined : "configuration" } = sources;
  if (file !== undefined) {
    const text = sources.text ?? readConfigFile(sources, file);
    if (typeof text !== "string") return { ok: false, problems: [text.problem] };
    const source = readYaml(text, file);
    problems.push(...source.problems);
    if (source.given !== undefined) add([source.given]);
  }
  add(readEnvironment(sources.environment ?? {}, settings, sources.directory, problems));
  add(readArguments(sources.sets ?? [], problems));

  const unset: Problem[] = [];
  settings = required(complete(configSchema, settings, "", unset));
  problems.push(...unset.filter((one) => !problems.some((other) => keyIn(other) === keyIn(one))));
  if (problems.length > 0) return { ok: false, problems: problems.map(problemText) };

  const config = configOf(settings);
  const coherence = checkCoherence(config, settings);
  if (coherence.problems.length > 0) return { ok: false, problems: coherence.problems.map(problemText) };
  makePathsAbsolute(config, settings, sources.directory);
  const warnings = [...coherence.warnings];
  const tellInto = (into: Problem[]) => (path: readonly (string | number)[], text: string) => {
    into.push({ origin: originOf(settings, path), text });
  };
  readCertificates(config, systemClock.now(), { refuse: tellInto(problems), warn: tellInto(warnings) });
  readLoginFiles(config, tellInto(problems), tellInto(warnings));
  if (problems.length > 0) return { ok: false, problems: problems.map(problemText) };
  return { ok: true, config, settings, warnings: warnings.map(problemText) };
}

/** The configuration of a broker that nobody configured; relative paths count from `directory`. */
export function defaultConfig(directory: string): Config {
  const loaded = loadConfig({ directory });
  if (!loaded.ok) throw new Error(`The schema contradicts itself: ${loaded.problems.join("; ")}`);
  return loaded.config;
}

function readConfigFile(sources: ConfigSources, file: string): string | { readonly problem: string } {
  try {
    return readFileSync(resolve(sources.directory, file), "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") return { problem: `${file}: there is no such file` };
    if (code === "EISDIR") return { problem: `${file}: is a directory; name the file in it` };
    return { problem: `${file}: cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function makePathsAbsolute(config: Config, settings: Setting, directory: string): void {
  const absolute = (path: string, at: readonly (string | number)[]): string => {
    const origin = originOf(settings, at);
    const base = origin.kind === "file" ? dirname(origin.file) : ".";
    return resolve(directory, base, path);
  };
  const inSection = (section: Partial<TlsSection>, at: readonly (string | number)[]): void => {
    for (const key of TLS_FILES) if (section[key]) section[key] = absolute(section[key], [...at, key]);
    for (const [index, entry] of section.names?.entries() ?? []) {
      for (const key of NAMED_FILES) {
        if (entry[key]) entry[key] = absolute(entry[key], [...at, "names", index, key]);
      }
    }
  };
  config.store.directory = absolute(config.store.directory, ["store", "directory"]);
  config.audit.file = absolute(config.audit.file, ["audit", "file"]);
  inSection(config.tls, ["tls"]);
  for (const [name, { tls }] of Object.entries(config.listeners)) inSection(tls, ["listeners", name, "tls"]);
  inSection(config.management.tls, ["management", "tls"]);
  locateLoginFiles(config, absolute);
}

function configOf(settings: Setting): Config {
  const config = plain(settings);
  if (Value.Check(ConfigSchema, config)) return config;
  const [error] = Value.Errors(ConfigSchema, config);
  throw new Error(
    `The configuration was read otherwise than the schema says: ${error?.instancePath} ${error?.message}`,
  );
}

function required(setting: Setting | undefined): Setting {
  if (setting === undefined) throw new Error("The schema has no defaults");
  return setting;
}

/** The key a problem is about: what stands before the colon. */
function keyIn(problem: Problem): string {
  return problem.text.split(": ", 1)[0] ?? "";
}

function problemText(problem: Problem): string {
  return `${originText(problem.origin)}: ${problem.text}`;
}
