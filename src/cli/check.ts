import { editorSchema } from "../config/editor-schema.ts";
import { originText } from "../config/given.ts";
import { loadConfig } from "../config/load.ts";
import { configSchema } from "../config/schema.ts";
import { type EffectiveSetting, effective } from "../config/setting.ts";
import { CONFIG_HELP, CONFIG_OPTIONS, complain, EXIT, print, readOptions } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { configSources } from "./sources.ts";

/** `delos check`: the effective configuration with the origin of every value, or all that is wrong with it. */
export const check: Command = {
  help: `Usage: delos check [OPTIONS]

Checks a configuration and prints every value with where it comes from; secrets are masked.
Exit code 2 when something is wrong with it.

${CONFIG_HELP}
      --json         print it as JSON: an array of {key, value, origin}
      --schema       print the JSON schema of the configuration instead, for editors`,

  run(args) {
    const { values } = readOptions(args, {
      ...CONFIG_OPTIONS,
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
    for (const warning of loaded.warnings) complain(`warning: ${warning}`);
    const settings = [...effective(loaded.settings, configSchema)];
    if (values.json) {
      print(
        JSON.stringify(
          settings.map(({ key, value, origin }) => ({ key, value, origin: originText(origin) })),
          null,
          2,
        ),
      );
    } else {
      const lines = settings.map(({ key, value, origin }) => ({
        text: `${key} = ${shown(value)}`,
        origin: originText(origin),
      }));
      const width = Math.min(60, Math.max(...lines.map(({ text }) => text.length)));
      print(...lines.map(({ text, origin }) => `${text.padEnd(width)}  # ${origin}`));
    }
    return Promise.resolve(EXIT.ok);
  },
};

function shown(value: EffectiveSetting["value"]): string {
  if (value === null) return "{}";
  return typeof value === "object" ? `[${value.join(", ")}]` : String(value);
}
