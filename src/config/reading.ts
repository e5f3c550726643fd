import { type Given, type GivenEntry, givenFrom, type Origin, type Problem } from "./given.ts";
import { nearest } from "./nearest.ts";
import { childOf, mapValues, type SchemaNode } from "./schema.ts";
import { joinKey, type Setting, type SettingValue } from "./setting.ts";
import { parseQuantity, UNIT_WORDS } from "./units.ts";

const DEFAULT: Origin = { kind: "default" };
/** What virtual hosts, users and listeners may be called. */
const NAME = /^[^\p{Cc}]{1,128}$/u;

/** Checks what was given against the schema. What is wrong is left out and told in `problems`. */
export function read(node: SchemaNode, given: Given, key: string, problems: Problem[]): Setting | undefined {
  const section = node.type === "object" || node.type === "array";
  // A section whose lines are all commented out is read as nothing by YAML.
  if (section && given.kind === "scalar" && given.value === null) return undefined;
  if (node.type === "object") return readGroup(node, given, key, problems);
  if (node.type === "array") return readList(node, given, key, problems);
  const value = given.kind === "scalar" ? readValue(node, given.value) : undefined;
  if (value !== undefined) return { kind: "value", value, origin: given.origin };
  problems.push({ origin: given.origin, text: `${key}: expected ${expectation(node)}, ${found(node, given)}` });
  return undefined;
}

function readGroup(node: SchemaNode, given: Given, key: string, problems: Problem[]): Setting | undefined {
  if (given.kind !== "map") {
    const where = key === "" ? "expected" : `${key}: expected`;
    problems.push({ origin: given.origin, text: `${where} keys and values, ${found(node, given)}` });
    return undefined;
  }
  const entries = new Map<string, Setting>();
  for (const { key: name, keyOrigin, value } of given.entries) {
    const child = childOf(node, name);
    if (child === undefined) {
      problems.push({ origin: keyOrigin, text: unknownKey(node, joinKey(key, name), name) });
    } else if (node.properties === undefined && !NAME.test(name)) {
      problems.push({
        origin: keyOrigin,
        text: `${key}: a name must have 1 to 128 characters and no control characters`,
      });
    } else {
      const setting = read(child, value, joinKey(key, name), problems);
      // A new name in a map counts even when nothing is set under it.
      if (setting !== undefined) entries.set(name, setting);
      else if (isEmpty(value) && mapValues(node) !== undefined) entries.set(name, emptyGroup(value.origin));
    }
  }
  return { kind: "group", entries, origin: given.origin };
}

function isEmpty(given: Given): boolean {
  return given.kind === "scalar" && given.value === null;
}

function emptyGroup(origin: Origin): Setting {
  return { kind: "group", entries: new Map(), origin };
}

function readList(node: SchemaNode, given: Given, key: string, problems: Problem[]): Setting | undefined {
  if (given.kind === "map" && given.origin.kind !== "file") {
    const { entries } = given;
    if (entries.every((entry) => childOf(node, entry.key) !== undefined))
      return readItems(node, entries, given.origin, key, problems);
  }
  if (given.kind !== "list") {
    problems.push({ origin: given.origin, text: `${key}: expected ${expectation(node)}, ${found(node, given)}` });
    return undefined;
  }
  const items: Setting[] = [];
  for (const [index, item] of given.items.entries()) {
    const setting = read(node.items ?? {}, item, `${key}[${index}]`, problems);
    if (setting !== undefined) items.push(setting);
  }
  return { kind: "list", items, origin: given.origin };
}

/** Single items of a list, by their index: a group that is to be laid over the list. */
function readItems(
  node: SchemaNode,
  given: readonly GivenEntry[],
  origin: Origin,
  key: string,
  problems: Problem[],
): Setting {
  const entries = new Map<string, Setting>();
  for (const { key: index, value } of given) {
    const setting = read(node.items ?? {}, value, `${key}[${index}]`, problems);
    if (setting !== undefined) entries.set(index, setting);
  }
  return { kind: "group", entries, origin };
}

function readValue(node: SchemaNode, value: unknown): SettingValue | undefined {
  if (node.unit !== undefined) {
    const quantity = parseQuantity(node.unit, value);
    return quantity !== undefined && quantity >= (node.minimum ?? 0) ? quantity : undefined;
  }
  if (node.enum !== undefined) return typeof value === "string" && node.enum.includes(value) ? value : undefined;
  switch (node.type) {
    case "boolean":
      return typeof value === "boolean" ? value : undefined;
    case "string":
      return typeof value === "string" && fitsText(node, value) ? value : undefined;
    case "integer":
    case "number":
      return typeof value === "number" && fitsNumber(node, value) ? value : undefined;
    default:
      return undefined;
  }
}

function fitsText(node: SchemaNode, value: string): boolean {
  return value.length >= (node.minLength ?? 0) && (node.pattern === undefined || new RegExp(node.pattern).test(value));
}

function fitsNumber(node: SchemaNode, value: number): boolean {
  if (node.type === "integer" ? !Number.isSafeInteger(value) : !Number.isFinite(value)) return false;
  return value >= (node.minimum ?? Number.NEGATIVE_INFINITY) && value <= (node.maximum ?? Number.POSITIVE_INFINITY);
}

function expectation(node: SchemaNode): string {
  if (node.unit !== undefined) return UNIT_WORDS[node.unit] + (node.minimum ? `, at least ${node.minimum}` : "");
  if (node.enum !== undefined) return `one of ${node.enum.join(", ")}`;
  switch (node.type) {
    case "boolean":
      return "true or false";
    case "integer":
    case "number":
      return `a ${node.type === "integer" ? "whole " : ""}number${range(node)}`;
    case "array":
      return "a list such as [a, b]";
    default:
      return node.pattern === undefined ? "text" : `text that matches ${node.pattern}`;
  }
}

function range(node: SchemaNode): string {
  if (node.maximum !== undefined && node.maximum < Number.MAX_SAFE_INTEGER)
    return ` from ${node.minimum ?? 0} to ${node.maximum}`;
  return node.minimum === undefined ? "" : ` of at least ${node.minimum}`;
}

/** What there was instead; nothing of it when it may be a secret. */
function found(node: SchemaNode, given: Given): string {
  if (node.writeOnly === true) {
    const unquoted = given.kind === "scalar" && given.value !== null && typeof given.value !== "string";
    return `found something else (not shown, as it is a secret)${unquoted ? "; put it in quotes" : ""}`;
  }
  if (given.kind !== "scalar") return `found a ${given.kind === "map" ? "section of keys" : "list"}`;
  if (given.value === null) return "found nothing";
  const text = `found ${JSON.stringify(given.value)}`;
  if (node.enum !== undefined && typeof given.value === "string")
    return text + suggestion(given.value, node.enum.map(String));
  return node.type === "string" && typeof given.value !== "string" ? `${text}; put it in quotes` : text;
}

function unknownKey(node: SchemaNode, key: string, name: string): string {
  const known = Object.keys(node.properties ?? {});
  return `key "${key}" is not known${suggestion(name, known) || `; known here: ${known.join(", ")}`}`;
}

function suggestion(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  return near === undefined ? "" : `; did you mean "${near}"?`;
}

/** Fills in the defaults of whatever is not set. What has no default and must be set is told in `problems`. */
export function complete(
  node: SchemaNode,
  setting: Setting | undefined,
  key: string,
  problems: Problem[],
): Setting | undefined {
  if (node.properties !== undefined) return completeGroup(node, node.properties, setting, key, problems);
  const given = setting ?? defaultOf(node);
  const inner = mapValues(node);
  if (given?.kind === "group" && inner !== undefined) {
    const entries = new Map<string, Setting>();
    for (const [name, value] of given.entries) {
      const done = complete(inner, value, joinKey(key, name), problems);
      if (done !== undefined) entries.set(name, done);
    }
    return { ...given, entries };
  }
  if (given?.kind === "list" && node.items !== undefined) {
    const item = node.items;
    const items = given.items.map((value, index) => complete(item, value, `${key}[${index}]`, problems));
    return { ...given, items: items.filter((value) => value !== undefined) };
  }
  return given;
}

function completeGroup(
  node: SchemaNode,
  properties: Readonly<Record<string, SchemaNode>>,
  setting: Setting | undefined,
  key: string,
  problems: Problem[],
): Setting {
  const given = setting?.kind === "group" ? setting.entries : undefined;
  const origin = setting?.origin ?? DEFAULT;
  const entries = new Map<string, Setting>();
  for (const [name, child] of Object.entries(properties)) {
    const present = given?.get(name);
    if (present === undefined && node.required?.includes(name) !== true) continue;
    const done = complete(child, present, joinKey(key, name), problems);
    if (done !== undefined) entries.set(name, done);
    else problems.push({ origin, text: `${joinKey(key, name)}: must be set; expected ${expectation(child)}` });
  }
  return { kind: "group", entries, origin };
}

function defaultOf(node: SchemaNode): Setting | undefined {
  if (node.default === undefined) return undefined;
  const problems: Problem[] = [];
  const setting = read(node, givenFrom(node.default, DEFAULT), "default", problems);
  if (problems.length > 0) throw new Error(`The schema contradicts itself: ${problems[0]?.text}`);
  return setting;
}
