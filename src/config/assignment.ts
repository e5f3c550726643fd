import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Given, Origin, Problem } from "./given.ts";
import { childOf, configSchema, type SchemaNode } from "./schema.ts";
import type { Setting } from "./setting.ts";
import { readInlineYaml } from "./yaml-source.ts";

const PREFIX = /^DELOS__/i;
const FILE = "file";

/** The layers that the environment makes: `DELOS__a__b=v`, `DELOS__list__0__b=v`, and `DELOS__a__b__FILE=path` for a file. */
export function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  settings: Setting,
  directory: string,
  problems: Problem[],
): Given[] {
  const layers: Given[] = [];
  // By number, so that the second item of a list comes before the tenth.
  for (const name of Object.keys(environment).sort(new Intl.Collator("en", { numeric: true }).compare)) {
    const text = environment[name];
    if (text === undefined || !PREFIX.test(name)) continue;
    const origin: Origin = { kind: "environment", name };
    const path = name.replace(PREFIX, "").split("__");
    const fromFile = path.length > 1 && path.at(-1)?.toLowerCase() === FILE;
    if (fromFile) path.pop();
    const value = fromFile ? readSecret(resolve(directory, text), origin, problems) : text;
    if (value === undefined) continue;
    const layer = assign(spell(path, settings), value, origin, problems);
    if (layer !== undefined) layers.push(layer);
  }
  return layers;
}

/** The layers that `--set key=value` makes; keys with dots are quoted: `hosts."a.b".aliases=[c]`, `queues[0].full=reject`. */
export function readArguments(sets: readonly string[], problems: Problem[]): Given[] {
  const layers: Given[] = [];
  for (const set of sets) {
    const parsed = /^((?:"[^"]*"|[^"=.]+)(?:\.(?:"[^"]*"|[^"=.]+))*)=(.*)$/s.exec(set);
    if (parsed === null) {
      // Not even this is shown as a whole: it may hold a secret.
      const origin: Origin = { kind: "argument", key: set.split("=", 1)[0] ?? "" };
      problems.push({ origin, text: "expected key=value, such as --set stomp.max_body=1m" });
      continue;
    }
    const [, key = "", text = ""] = parsed;
    const path = [...key.matchAll(/"([^"]*)"|[^".]+/g)].flatMap(([part, quoted]) =>
      quoted === undefined ? stepsOf(part) : [quoted],
    );
    const layer = assign(path, text, { kind: "argument", key }, problems);
    if (layer !== undefined) layers.push(layer);
  }
  return layers;
}

/** What is between two dots: a key, or a key and the place in its list, as in `queues[0]`. */
function stepsOf(part: string): string[] {
  const [, name = part, indexes = ""] = /^(.+?)((?:\[\d+\])*)$/.exec(part) ?? [];
  return [name, ...Array.from(indexes.matchAll(/\d+/g), ([index]) => index)];
}

/** Finds the keys meant by names in whatever case: those of the schema, and in maps and lists those there are already. */
function spell(path: readonly string[], settings: Setting): string[] {
  const spelled: string[] = [];
  let node: SchemaNode | undefined = configSchema;
  let setting: Setting | undefined = settings;
  for (const step of path) {
    const entries: ReadonlyMap<string, Setting> = setting?.kind === "group" ? setting.entries : new Map();
    const items: readonly Setting[] = setting?.kind === "list" ? setting.items : [];
    const known: string[] = [...Object.keys(node?.properties ?? {}), ...entries.keys()];
    const key: string = known.includes(step)
      ? step
      : (known.find((name) => name.toLowerCase() === step.toLowerCase()) ?? step);
    spelled.push(key);
    node = node === undefined ? undefined : childOf(node, key);
    setting = entries.get(key) ?? items[Number(key)];
  }
  return spelled;
}

function assign(path: readonly string[], text: string, origin: Origin, problems: Problem[]): Given | undefined {
  let value = valueAt(schemaAt(path), text, origin, problems);
  if (value === undefined) return undefined;
  for (const key of [...path].reverse()) value = { kind: "map", entries: [{ key, keyOrigin: origin, value }], origin };
  return value;
}

/** Text is taken as it is, so that a password of digits needs no quotes; everything else is YAML. */
function valueAt(node: SchemaNode | undefined, text: string, origin: Origin, problems: Problem[]): Given | undefined {
  const asText = node?.type === "string" || node?.enum !== undefined || node?.unit !== undefined;
  // What is meant by an unknown key is for nobody to guess: that it is unknown gets told.
  if (asText || node === undefined) return { kind: "scalar", value: text, origin };
  const { given, problems: found } = readInlineYaml(text, origin);
  problems.push(...found);
  return given;
}

function schemaAt(path: readonly string[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = configSchema;
  for (const key of path) {
    node = node === undefined ? undefined : childOf(node, key);
  }
  return node;
}

function readSecret(file: string, origin: Origin, problems: Problem[]): string | undefined {
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    problems.push({ origin, text: `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}` });
    return undefined;
  }
}
