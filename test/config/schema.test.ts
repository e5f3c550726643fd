import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { Value } from "typebox/value";
import { parse } from "yaml";
import { editorSchema } from "../../src/config/editor-schema.ts";
import { defaultConfig, loadConfig } from "../../src/config/load.ts";
import { configSchema, type SchemaNode } from "../../src/config/schema.ts";

const CONF = resolve(import.meta.dirname, "../../conf");
const yaml = readFileSync(join(CONF, "delos.yaml"), "utf8");

/** Every key of the schema, as `listeners.*.port`. */
function* keys(node: SchemaNode, path = ""): Iterable<{ path: string; name: string; node: SchemaNode }> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const inner = path === "" ? name : `${path}.${name}`;
    yield { path: inner, name, node: child };
    yield* keys(child, inner);
  }
  for (const child of Object.values(node.patternProperties ?? {})) yield* keys(child, `${path}.*`);
  if (node.items !== undefined) yield* keys(node.items, `${path}[]`);
}

/** The file with the comment signs before its samples taken away. */
const withSamples = yaml
  .replace(/^(queues|topics|durable_subscriptions|diverts|limits|access_rules): \[\]$/gm, "$1:")
  .replace(/^ {2}users: \{\}$/m, "  users:")
  .replace(/^ {2}names: \[\]$/m, "  names:")
  .replace(/^ {2}api_keys: \{\}$/m, "  api_keys:")
  .replace(/^ {2}modules: \[\]$/m, "  modules:")
  .replace(/^( *)# {2}(?=- | {2}|alice:|machines:|reports:)/gm, "$1  ");

/** What stands at a path, in every entry of the maps and lists on the way. */
function valuesAt(value: unknown, path: readonly string[]): unknown[] {
  const [step, ...rest] = path;
  if (step === undefined) return [value];
  if (typeof value !== "object" || value === null) return [];
  if (step === "*") return Object.values(value).flatMap((inner) => valuesAt(inner, rest));
  const list = step.endsWith("[]");
  const inner: unknown = Object.entries(value).find(([key]) => key === (list ? step.slice(0, -2) : step))?.[1];
  if (inner === undefined) return [];
  return Array.isArray(inner) && list ? inner.flatMap((item) => valuesAt(item, rest)) : valuesAt(inner, rest);
}

/** But for the sections of a virtual host that are explained where those of the broker are. */
const allKeys = [...keys(configSchema)].filter(({ path }) => !/^hosts\.\*\.(security\.|access_rules\[\])/.test(path));

describe("the configuration that comes with the broker", () => {
  it("equals the defaults", () => {
    const loaded = loadConfig({ file: join(CONF, "delos.yaml"), directory: "/elsewhere" });
    expect(loaded).toMatchObject({ ok: true, warnings: [] });
    if (loaded.ok) expect(loaded.config).toEqual(defaultConfig(CONF));
  });

  it("names the schema for editors in its first line", () => {
    expect(yaml.split("\n")[0]).toBe("# yaml-language-server: $schema=delos.schema.json");
  });

  it.each(allKeys)("has the key $path, in a sample if it has no value by default", ({ path }) => {
    expect(valuesAt(parse(withSamples), path.split("."))).not.toEqual([]);
  });

  it("shows samples that are valid, but for the user who has both kinds of password", () => {
    const directory = mkdtempSync(join(tmpdir(), "delos-samples-"));
    writeFileSync(join(directory, "delos.yaml"), withSamples);
    const loaded = loadConfig({ file: "delos.yaml", directory });
    rmSync(directory, { recursive: true });
    if (loaded.ok) throw new Error("Expected a problem");
    expect(loaded.problems).toEqual([expect.stringContaining("security.users.alice: must have either")]);
  });
});

describe("the schema for editors", () => {
  it("in conf/ is the one that the code says", () => {
    expect(readFileSync(join(CONF, "delos.schema.json"), "utf8")).toBe(editorSchema());
  });

  it("describes every key, and has a default for every value that need not be set", () => {
    expect(allKeys.filter(({ node }) => node.description === undefined).map(({ path }) => path)).toEqual([]);
    const values = allKeys.filter(({ node }) => node.type !== "object");
    const without = values.filter(({ node }) => node.default === undefined).map(({ path }) => path);
    expect(without).toEqual([
      "listeners.*.port",
      "listeners.*.tls.names[].match",
      "tls.names[].match",
      "management.tls.names[].match",
      ...["from.queue", "from.topic", "to", "to[].queue", "to[].topic"].map((key) => `diverts[].${key}`),
      "security.users.*.password_hash",
      "security.users.*.scram_sha_256",
      "security.users.*.password",
      "security.modules[].control",
    ]);
  });

  it.each([
    ["broker: {name: x}\nqueues: [{match: a, memory: 1m}]", true],
    ["stomp:\nqueues:\nlisteners: {stomp: {enabled: false}}", true],
    ["stomp: {max_body: 1k, connect_timeout: 5s}", true],
    ["stmp: {}", false],
    ["stomp: {max_body: 5x}", false],
    ["stomp: {max_body: -1}", false],
    ["log: {level: loud}", false],
    ["listeners: {a: {prot: 5}}", false],
    ["queues: [{mach: a}]", false],
    ["broker: {name: 5}", false],
  ])("and the broker agree about %j", (text, valid) => {
    const schema: object = JSON.parse(editorSchema());
    expect(Value.Check(schema, parse(text))).toBe(valid);
    const sets = text.split("\n").map((line) => line.replace(/:\s*/, "="));
    expect(loadConfig({ directory: "/", sets }).ok).toBe(valid);
  });
});
