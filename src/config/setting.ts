import type { Origin, Problem } from "./given.ts";
import { childOf, type SchemaNode } from "./schema.ts";
import { formatQuantity } from "./units.ts";

/** A value that a setting can have. */
export type SettingValue = string | number | boolean;

/** Settings that were checked against the schema, each with its origin. */
export type Setting =
  | { readonly kind: "group"; readonly entries: ReadonlyMap<string, Setting>; readonly origin: Origin }
  | { readonly kind: "list"; readonly items: readonly Setting[]; readonly origin: Origin }
  | { readonly kind: "value"; readonly value: SettingValue; readonly origin: Origin };

/**
 * Lays one layer of settings over another: groups and maps key by key, lists and values as a whole. Where the schema has a
 * list and the upper layer a group, that changes single items of the list, by their index.
 */
export function lay(
  node: SchemaNode,
  below: Setting | undefined,
  above: Setting,
  key: string,
  problems: Problem[],
): Setting {
  if (above.kind !== "group") return above;
  if (node.items !== undefined) return layItems(node.items, below, above.entries, above.origin, key, problems);
  const entries = new Map(below?.kind === "group" ? below.entries : []);
  for (const [name, setting] of above.entries) {
    entries.set(name, lay(childOf(node, name) ?? {}, entries.get(name), setting, joinKey(key, name), problems));
  }
  return { kind: "group", entries, origin: above.origin };
}

function layItems(
  node: SchemaNode,
  below: Setting | undefined,
  above: ReadonlyMap<string, Setting>,
  origin: Origin,
  key: string,
  problems: Problem[],
): Setting {
  const items = below?.kind === "list" ? [...below.items] : [];
  for (const [name, setting] of above) {
    const index = Number(name);
    if (index <= items.length) items[index] = lay(node, items[index], setting, `${key}[${index}]`, problems);
    else problems.push({ origin, text: `${key}[${index}]: the next entry to be made is ${key}[${items.length}]` });
  }
  return { kind: "list", items, origin };
}

/** The settings without their origins. */
export function plain(setting: Setting): unknown {
  switch (setting.kind) {
    case "group":
      return Object.fromEntries([...setting.entries].map(([key, inner]) => [key, plain(inner)]));
    case "list":
      return setting.items.map(plain);
    case "value":
      return setting.value;
  }
}

/** The origin of a setting, or of the nearest group or list around it that there is. */
export function originOf(setting: Setting, path: readonly (string | number)[]): Origin {
  const [step, ...rest] = path;
  if (step === undefined) return setting.origin;
  const inner =
    setting.kind === "group"
      ? setting.entries.get(`${step}`)
      : setting.kind === "list"
        ? setting.items[Number(step)]
        : undefined;
  return inner === undefined ? setting.origin : originOf(inner, rest);
}

/** One line of the effective configuration. */
export interface EffectiveSetting {
  /** As `--set` takes it: `listeners.stomp.port`, `queues[0].match`. */
  readonly key: string;
  /** As it may be written, sizes and durations with their units; secrets masked. */
  readonly value: SettingValue | readonly SettingValue[] | null;
  readonly origin: Origin;
}

const MASK = "********";

/** Every value there is with its origin, in the order of the schema. Secrets are masked. */
export function* effective(setting: Setting, node: SchemaNode, key = ""): Iterable<EffectiveSetting> {
  if (setting.kind === "value") {
    yield { key, value: shown(setting.value, node), origin: setting.origin };
  } else if (setting.kind === "list") {
    yield* effectiveList(setting.items, setting.origin, node.items ?? {}, key);
  } else {
    if (setting.entries.size === 0) yield { key, value: null, origin: setting.origin };
    for (const [name, inner] of setting.entries) yield* effective(inner, childOf(node, name) ?? {}, joinKey(key, name));
  }
}

function* effectiveList(
  items: readonly Setting[],
  origin: Origin,
  node: SchemaNode,
  key: string,
): Iterable<EffectiveSetting> {
  const values: SettingValue[] = [];
  for (const item of items) {
    if (item.kind === "value") values.push(shown(item.value, node));
  }
  if (values.length === items.length) yield { key, value: values, origin };
  else for (const [index, item] of items.entries()) yield* effective(item, node, `${key}[${index}]`);
}

function shown(value: SettingValue, node: SchemaNode): SettingValue {
  if (node.writeOnly === true) return MASK;
  return node.unit !== undefined && typeof value === "number" ? formatQuantity(node.unit, value) : value;
}

/** Puts a name behind a key, in quotes where it has a dot of its own. */
export function joinKey(key: string, name: string): string {
  const quoted = /^[^.[\]"=\s]+$/.test(name) ? name : JSON.stringify(name);
  return key === "" ? quoted : `${key}.${quoted}`;
}
