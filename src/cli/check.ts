import { BrokerError } from "../../core/errors.ts";
import type { PolicySection } from "../config/destinations.ts";
import { editorSchema } from "../config/editor-schema.ts";
import { originText } from "../config/given.ts";
import { loadConfig } from "../config/load.ts";
import { effectivePolicy } from "../config/effective-policy.ts";
import { type Config, configSchema } from "../config/schema.ts";
import { type EffectiveSetting, effective, type Setting } from "../config/setting.ts";
import { CONFIG_HELP, CONFIG_OPTIONS, complain, EXIT, print, readOptions, UsageError } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { configSources } from "./sources.ts";
import { jsonText } from "./text-table.ts";

/** `delos check`: the effective configuration with the origin of every value, or all that is wrong with it. */
export const check: Command = {
  help: `Usage: delos check [OPTIONS]

Checks a configuration and prints every value with where it comes from; secrets are masked.
Exit code 2 when something is wrong with it.

${CONFIG_HELP}
      --queue NAME   print what holds for a queue instead, and which entry of "queues" says so
      --topic NAME   the same for a topic
      --durable-subscription ID
                     the same for a durable subscription
      --json         print it as JSON: an array of {key, value, origin}
      --schema       print the JSON schema of the configuration instead, for editors`,

  run(args) {
    const { values } = readOptions(args, {
      ...CONFIG_OPTIONS,
      queue: { type: "string" },
      topic: { type: "string" },
      "durable-subscription": { type: "string" },
      json: { type: "boolean", default: false },
      schema: { type: "boolean", default: false },
    });
    if (values.schema) {
      process.stdout.write(editorSchema());
      return Promise.resolve(EXIT.ok);
    }
    const loaded = loadConfig(configSources(values));
    if (!loaded.ok) {
      complain(...loaded.problems);
      return Promise.resolve(EXIT.usage);
    }
    const asked = askedFor(values);
    const lines = asked === undefined ? settingLines(loaded.settings) : policyLines(loaded.config, ...asked);
    for (const warning of loaded.warnings) complain(`warning: ${warning}`);
    print(values.json ? jsonText(lines, 2) : table(lines));
    return Promise.resolve(EXIT.ok);
  },
};

interface Line {
  readonly key: string;
  readonly value: EffectiveSetting["value"];
  readonly origin: string;
}

function settingLines(settings: Setting): Line[] {
  return Array.from(effective(settings, configSchema), ({ key, value, origin }) => ({
    key,
    value,
    origin: originText(origin),
  }));
}

/** The list of policies and the name that the options ask about. */
function askedFor(options: Readonly<Record<string, unknown>>): [section: PolicySection, name: string] | undefined {
  const asked: [section: PolicySection, name: string][] = [];
  for (const section of ["queues", "topics", "durable_subscriptions"] as const) {
    const name = options[OPTIONS[section]];
    if (typeof name === "string") asked.push([section, name]);
  }
  if (asked.length > 1) throw new UsageError("--queue, --topic and --durable-subscription exclude each other");
  return asked[0];
}

const OPTIONS: Readonly<Record<PolicySection, string>> = {
  queues: "queue",
  topics: "topic",
  durable_subscriptions: "durable-subscription",
};

function policyLines(config: Config, section: PolicySection, name: string): Line[] {
  try {
    return effectivePolicy(config, section, name);
  } catch (error) {
    if (error instanceof BrokerError) throw new UsageError(`--${OPTIONS[section]}: ${error.message}`);
    throw error;
  }
}

function table(lines: readonly Line[]): string {
  const rows = lines.map(({ key, value, origin }) => ({ text: `${key} = ${shown(value)}`, origin }));
  const width = Math.min(60, Math.max(...rows.map(({ text }) => text.length)));
  return rows.map(({ text, origin }) => `${text.padEnd(width)}  # ${origin}`).join("\n");
}

function shown(value: EffectiveSetting["value"]): string {
  if (value === null) return "{}";
  if (value === "") return '""';
  return typeof value === "object" ? `[${value.join(", ")}]` : String(value);
}
