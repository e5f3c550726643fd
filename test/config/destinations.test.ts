import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { DEFAULT_POLICY, Policies, type Policy } from "../../core/policy.ts";
import { divertRules, durableRules, policyRules, virtualTopicRules } from "../../src/config/destinations.ts";
import { effectivePolicy } from "../../src/config/effective-policy.ts";
import { defaultConfig, loadConfig } from "../../src/config/load.ts";
import { POLICY_KEYS } from "../../src/config/policy-keys.ts";
import { type Config, configSchema, type SchemaNode } from "../../src/config/schema.ts";

function load(...sets: readonly string[]) {
  return loadConfig({ directory: "/", sets });
}

function config(...sets: readonly string[]): Config {
  const loaded = load(...sets);
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  return loaded.config;
}

/** The settings of one entry, by their keys. */
function* leaves(node: SchemaNode | undefined, key = ""): Iterable<[string, SchemaNode]> {
  for (const [name, child] of Object.entries(node?.properties ?? {})) {
    const inner = key === "" ? name : `${key}.${name}`;
    if (child.properties === undefined) yield [inner, child];
    else yield* leaves(child, inner);
  }
}

const SECTIONS = ["queues", "topics", "durable_subscriptions"] as const;
type Section = (typeof SECTIONS)[number];
const keys = SECTIONS.flatMap((section) =>
  Array.from(leaves(configSchema.properties?.[section]?.items), ([key, node]) => ({ section, key, node })),
).filter(({ key }) => key !== "match");

function policyOf(loaded: Config, section: Section): Policy {
  const policies = new Policies(policyRules(loaded), durableRules(loaded));
  if (section === "durable_subscriptions") return policies.ofDurable("a");
  return policies.of(new Address(section === "queues" ? "queue" : "topic", ["a"]));
}

/** A value that is not the default, as it is written and as the core has it. */
function another(node: SchemaNode): [text: string, value: string | number | boolean] {
  if (node.unit === "bytes") return ["5000", 5000];
  if (node.unit === "ms") return ["50m", 3_000_000];
  if (node.enum !== undefined) return [String(node.enum[1]), String(node.enum[1])];
  if (node.type === "boolean") return [String(node.default !== true), node.default !== true];
  if (node.type === "string") return ["name", "name"];
  return node.maximum === 1 ? ["0.5", 0.5] : ["7", 7];
}

describe("the settings of queues, topics and durable subscriptions", () => {
  it.each(keys)(
    "$section: $key is set in the policy of those that match, and in no other",
    ({ section, key, node }) => {
      const [text, value] = another(node);
      const loaded = config(`${section}[0].${key}=${text}`);
      const [field] = Object.entries(POLICY_KEYS).find(([, name]) => name === key) ?? [];
      expect(policyOf(loaded, section)).toEqual({ ...DEFAULT_POLICY, [field ?? "none"]: value });
      for (const other of SECTIONS) if (other !== section) expect(policyOf(loaded, other)).toBe(DEFAULT_POLICY);
    },
  );

  it.each(keys)("$section: $key has the default that the core has", ({ section, key, node }) => {
    const found = effectivePolicy(defaultConfig("/"), section, "a").find((setting) => setting.key === key);
    expect(found).toEqual({ key, value: node.unit === "bytes" ? found?.value : node.default, origin: "default" });
    const loaded = config(`${section}[0].${key}=${String(node.default)}`);
    expect(policyOf(loaded, section)).toEqual(DEFAULT_POLICY);
  });

  it("reach every field of a policy", () => {
    expect(Object.values(POLICY_KEYS).filter((name) => !keys.some(({ key }) => key === name))).toEqual([]);
  });

  it("can take back a name that a more general entry sets", () => {
    const general = "{match: '**', dead_letter_queue: dlq, expiry_queue: dlq, last_value_key: k}";
    const back = "{match: a, dead_letter_queue: '', expiry_queue: '', last_value_key: ''}";
    expect(policyOf(config(`queues=[${back}, ${general}]`), "queues")).toEqual(DEFAULT_POLICY);
  });

  it("keep the star in the name of a dead-letter queue, and write the rest canonically", () => {
    expect(policyOf(config("queues[0].dead_letter_queue=dlq%2e*.x-*%41"), "queues").deadLetterQueue).toBe(
      "dlq%2E*.x-*A",
    );
  });

  it("are explained with the entry that says so", () => {
    const loaded = config("queues=[{match: a, full: reject}, {redelivery: {delay: 90s}}]", "queues[1].max_bytes=1536k");
    const settings = effectivePolicy(loaded, "queues", "a");
    expect(settings).toContainEqual({ key: "full", value: "reject", origin: "queues[0] (a)" });
    expect(settings).toContainEqual({ key: "redelivery.delay", value: "90s", origin: "queues[1] (**)" });
    expect(settings).toContainEqual({ key: "max_bytes", value: "1536k", origin: "queues[1] (**)" });
    expect(settings).toContainEqual({ key: "max_messages", value: 0, origin: "default" });
    expect(settings.map(({ key }) => key)).not.toContain("slow_subscriber");
  });
});

describe("diverts", () => {
  it("come with their patterns, targets and selectors", () => {
    const [divert, all] = divertRules(
      config(
        "diverts=[{from: {queue: 'orders.**'}, to: [{queue: 'audit.*'}, {topic: 'a%2e'}], selector: 'a > 1', exclusive: true}," +
          "{from: {topic: x}, to: [{queue: x}]}]",
      ),
    );
    expect(divert).toMatchObject({
      from: { kind: "queue", text: "orders.**" },
      to: [
        { kind: "queue", name: "audit.*" },
        { kind: "topic", name: "a%2E" },
      ],
      selector: { text: "a > 1" },
      exclusive: true,
    });
    expect(all).toMatchObject({ from: { kind: "topic", text: "x" }, selector: undefined, exclusive: false });
  });
});

describe("virtual topics", () => {
  it("are those of ActiveMQ by default", () => {
    expect(virtualTopicRules(defaultConfig("/"))).toMatchObject([
      { topics: { kind: "topic", text: "VirtualTopic.**" }, consumers: "Consumer.*" },
    ]);
    expect(virtualTopicRules(config("virtual_topics=[]"))).toEqual([]);
    expect(virtualTopicRules(config("virtual_topics[0].consumers=Group.*.of"))).toMatchObject([
      { topics: { text: "VirtualTopic.**" }, consumers: "Group.*.of" },
    ]);
  });
});

describe("settings that make no sense together", () => {
  it.each([
    ["queues[0].match=a{", /^queues\[0\]\.match: the "\{" at character 2/],
    ["topics[0].match=a{", /^topics\[0\]\.match: /],
    ["durable_subscriptions[0].match={(}", /^durable_subscriptions\[0\]\.match: /],
    [
      "queues[0].dead_letter_queue=dlq.**",
      'queues[0].dead_letter_queue: expected a name in which only "*" has a meaning, found "dlq.**"',
    ],
    ["queues[0].dead_letter_queue=dlq.{a}", /^queues\[0\]\.dead_letter_queue: expected a name in which only/],
    ["durable_subscriptions[0].expiry_queue=#", /^durable_subscriptions\[0\]\.expiry_queue: expected a name in which/],
    ["queues=[{min_ttl: 2m, max_ttl: 1m}]", "queues[0].max_ttl: 1m is less than min_ttl, which is 2m (queues[0] (**))"],
    [
      "topics=[{default_ttl: 2m, max_ttl: 1m}]",
      "topics[0].max_ttl: 1m is less than default_ttl, which is 2m (topics[0] (**))",
    ],
    [
      "topics=[{match: '*', default_ttl: 1m, min_ttl: 2m}]",
      "topics[0].default_ttl: 1m is less than min_ttl, which is 2m (topics[0] (*))",
    ],
    [
      "queues=[{match: 'a*.**', min_ttl: 2m}, {max_ttl: 1m}]",
      "queues[0].min_ttl: 2m is more than max_ttl, which is 1m (queues[1] (**))",
    ],
    [
      "queues=[{max_ttl: 1m}, {match: a.b, min_ttl: 2m}]",
      "queues[1].min_ttl: 2m is more than max_ttl, which is 1m (queues[0] (**))",
    ],
    [
      "queues=[{max_ttl: 1m}, {match: 'a.**', min_ttl: 2m}, {match: a.b, memory: 1m}]",
      "queues[1].min_ttl: 2m is more than max_ttl, which is 1m (queues[0] (**))",
    ],
    [
      "queues=[{redelivery: {delay: 2h}}]",
      "queues[0].redelivery.delay: 2h is more than redelivery.max_delay, which is 1h (default)",
    ],
    [
      "durable_subscriptions=[{match: '{a|b}', redelivery: {delay: 2m, max_delay: 1m}}]",
      "durable_subscriptions[0].redelivery.max_delay: 1m is less than redelivery.delay, which is 2m (durable_subscriptions[0] ({a|b}))",
    ],
    ["diverts=[{to: [{queue: a}]}]", "diverts[0].from: must be set; expected either queue or topic"],
    [
      "diverts=[{from: {queue: a, topic: b}, to: [{queue: c}]}]",
      "diverts[0].from: expected either queue or topic, found both",
    ],
    ["diverts=[{from: {queue: a}, to: [{}]}]", "diverts[0].to[0]: expected either queue or topic, found neither"],
    ["diverts=[{from: {queue: a}}]", "diverts[0].to: must be set; expected a list such as [a, b]"],
    ["diverts=[{from: {queue: a}, to: []}]", "diverts[0].to: must name at least one queue or topic"],
    [
      "diverts=[{from: {queue: a}, to: [{queue: b}, {queue: c, topic: d}]}]",
      "diverts[0].to[1]: expected either queue or topic, found both",
    ],
    ["diverts=[{from: {queue: 'a{'}, to: [{queue: b}]}]", /^diverts\[0\]\.from\.queue: /],
    [
      "diverts=[{from: {topic: 'a.*'}, to: [{topic: '**'}]}]",
      /^diverts\[0\]\.to\[0\]\.topic: expected a name in which/,
    ],
    ["diverts=[{from: {queue: a}, to: [{topic: b}], selector: 'a >'}]", /^diverts\[0\]\.selector: /],
    [
      "diverts=[{from: {queue: a}, to: [{queue: '*'}, {queue: a}]}]",
      "diverts[0].to: leads nowhere but back to where messages come from",
    ],
    [
      "diverts=[{from: {topic: 'a.*'}, to: [{topic: '*'}]}]",
      "diverts[0].to: leads nowhere but back to where messages come from",
    ],
    ["virtual_topics[0].topics=a{", /^virtual_topics\[0\]\.topics: /],
    ["virtual_topics[0].consumers=Consumer.**", /^virtual_topics\[0\]\.consumers: expected a name in which/],
    ["virtual_topics[0].consumers=Consumer.{a}", /^virtual_topics\[0\]\.consumers: expected a name in which/],
    ["queues[0].redelivery.jitter=1.5", "queues[0].redelivery.jitter: expected a number from 0 to 1, found 1.5"],
    [
      "queues[0].full=drop",
      'queues[0].full: expected one of block, drop-head, drop-tail, reject, reject-dead-letter, found "drop"',
    ],
    ["queues[0].max_groups=0", "queues[0].max_groups: expected a whole number of at least 1, found 0"],
  ])("are refused with their place: %s", (set, problem) => {
    const loaded = load(set);
    const found = loaded.ok ? [] : loaded.problems.map((text) => text.replace(/^--set [^ ]+: /, ""));
    expect(found).toEqual([typeof problem === "string" ? problem : expect.stringMatching(problem)]);
  });

  it.each([
    "queues=[{min_ttl: 2m, max_ttl: 0}]",
    "queues=[{min_ttl: 1m, default_ttl: 1m, max_ttl: 1m}]",
    "queues=[{match: a, min_ttl: 2m}, {match: b, max_ttl: 1m}]",
    "queues=[{match: '**', min_ttl: 2m}, {match: a, min_ttl: 1s, max_ttl: 1m}]",
    "queues=[{match: '{a}', redelivery: {delay: 2h}}, {redelivery: {max_delay: 1d}}]",
    "queues[0].dead_letter_queue=dlq",
    "diverts=[{from: {queue: a}, to: [{topic: '*'}]}]",
    "diverts=[{from: {queue: a}, to: [{queue: a}, {queue: b}], exclusive: true}]",
  ])("are told from those that do: %s", (set) => {
    expect(load(set)).toMatchObject({ ok: true, warnings: [] });
  });

  it("are warned about where messages would be lost unasked", () => {
    const warning = "queues[0].max_deliveries: there is no dead_letter_queue, so messages at this limit are lost";
    expect(load("queues=[{match: a, max_deliveries: 5}]")).toMatchObject({
      warnings: [expect.stringContaining(warning)],
    });
    const dlq = "{match: '**', dead_letter_queue: dlq}";
    expect(load(`queues=[{match: a, max_deliveries: 5}, ${dlq}]`)).toMatchObject({ warnings: [] });
  });
});
