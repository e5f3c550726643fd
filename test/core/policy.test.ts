import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { DEFAULT_POLICY, Policies, type Policy, type PolicyRule } from "../../core/policy.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { parse, parsePattern } from "../support/core-broker.ts";

function rule(pattern: string, settings: Partial<Policy>, origin?: string): PolicyRule {
  return { pattern: parsePattern(pattern), ...settings, ...(origin === undefined ? {} : { origin }) };
}

/** What `maxMessages` is for an address when each pattern sets it to its place in the list, from 1. */
function winner(patterns: readonly string[], address: string): string | undefined {
  const policies = new Policies(patterns.map((pattern, index) => rule(pattern, { maxMessages: index + 1 })));
  return patterns[policies.of(parse(address)).maxMessages - 1];
}

describe("policies of destinations", () => {
  it("are the defaults where nothing matches", () => {
    const policies = new Policies([rule("queue:a.*", { maxMessages: 5 })]);
    expect(policies.of(parse("queue:b"))).toBe(DEFAULT_POLICY);
    expect(policies.of(parse("topic:a.b"))).toBe(DEFAULT_POLICY);
  });

  it("merge all rules that match, field by field", () => {
    const policies = new Policies([
      rule("queue:orders.eu", { maxMessages: 10 }),
      rule("queue:**", { maxMessages: 1, maxBytes: 2, full: "reject" }),
      rule("queue:orders.*", { maxBytes: 20 }),
    ]);
    expect(policies.of(parse("queue:orders.eu"))).toEqual({
      ...DEFAULT_POLICY,
      maxMessages: 10,
      maxBytes: 20,
      full: "reject",
    });
  });

  it("can take back what a more general rule sets", () => {
    const policies = new Policies([
      rule("queue:orders.log", { deadLetterQueue: undefined }),
      rule("queue:orders.**", { deadLetterQueue: "dlq.*" }),
    ]);
    expect(policies.of(parse("queue:orders.eu")).deadLetterQueue).toBe("dlq.*");
    expect(policies.of(parse("queue:orders.log")).deadLetterQueue).toBeUndefined();
  });

  it.each([
    [["a.b", "a.x*"], "a.b"],
    [["a.b", "a.{b|c}"], "a.b"],
    [["a.b*", "a.*"], "a.b*"],
    [["a.{b}", "a.*"], "a.{b}"],
    [["a.*", "a.**"], "a.*"],
    [["a.**", "a.#"], "a.**"],
    [["a.b", "a.b.#"], "a.b"],
    [["a.#", "**"], "a.#"],
    [["a.**", "*.b"], "a.**"],
    [["**.b", "**"], "**.b"],
    [["*.**", "**"], "*.**"],
  ])("prefer the more specific of %j, in either order", (patterns, best) => {
    const named = patterns.map((pattern) => `queue:${pattern}`);
    expect(winner(named, "queue:a.b")).toBe(`queue:${best}`);
    expect(winner(named.toReversed(), "queue:a.b")).toBe(`queue:${best}`);
  });

  it("of rules that are as specific have what the later one says", () => {
    expect(winner(["queue:a.{b|x}", "queue:a.b*"], "queue:a.b")).toBe("queue:a.b*");
    expect(winner(["queue:a.b*", "queue:a.{b|x}"], "queue:a.b")).toBe("queue:a.{b|x}");
    const same = new Policies([rule("queue:a", { maxMessages: 1 }), rule("queue:a", { maxMessages: 2 })]);
    expect(same.of(parse("queue:a")).maxMessages).toBe(2);
  });

  it("are one object for all destinations that the same rules match", () => {
    const policies = new Policies([rule("queue:a.**", { maxMessages: 1 }), rule("queue:a.b", { maxBytes: 1 })]);
    expect(policies.of(parse("queue:a.x"))).toBe(policies.of(parse("queue:a.y")));
    expect(policies.of(parse("queue:a.b"))).not.toBe(policies.of(parse("queue:a.y")));
  });

  it("stay right when there are more different ones than are kept", () => {
    const rules = Array.from({ length: 1500 }, (_, index) => rule(`queue:q.${index}`, { maxMessages: index + 1 }));
    const policies = new Policies(rules);
    for (const _round of [1, 2]) {
      for (let index = 0; index < rules.length; index++)
        expect(policies.of(parse(`queue:q.${index}`)).maxMessages).toBe(index + 1);
    }
  });

  it("name the destinations without wildcards, of one kind, in the order they stand", () => {
    const policies = new Policies(["queue:z", "topic:t", "queue:a.*", "queue:a.b"].map((text) => rule(text, {})));
    expect([...policies.named("queue")].map(({ name }) => name)).toEqual(["z", "a.b"]);
    expect([...policies.named("topic")].map(({ name }) => name)).toEqual(["t"]);
  });
});

describe("an explained policy", () => {
  it("says for every field who set it", () => {
    const policies = new Policies([
      rule("queue:a.b", { maxMessages: 10 }, "queues[0] (a.b)"),
      rule("queue:a.**", { maxMessages: 1, deadLetterQueue: undefined }, "queues[1] (a.**)"),
    ]);
    const explained = policies.explain(parse("queue:a.b"));
    expect(explained.get("maxMessages")).toEqual({ value: 10, origin: "queues[0] (a.b)" });
    expect(explained.get("deadLetterQueue")).toEqual({ value: undefined, origin: "queues[1] (a.**)" });
    expect(explained.get("full")).toEqual({ value: "block", origin: "default" });
    expect([...explained.keys()].sort()).toEqual(Object.keys(DEFAULT_POLICY).sort());
  });

  it("names the pattern where a rule has no origin", () => {
    const policies = new Policies([rule("topic:*", { maxTtlMs: 5 })]);
    expect(policies.explain(parse("topic:a")).get("maxTtlMs")).toEqual({ value: 5, origin: "*" });
  });
});

describe("policies of durable subscriptions", () => {
  const policies = new Policies(
    [rule("queue:**", { maxMessages: 1 }), rule("topic:**", { maxMessages: 2 })],
    [
      { match: parsePattern("queue:billing.*"), maxMessages: 4, origin: "durable_subscriptions[0] (billing.*)" },
      { match: parsePattern("queue:**"), maxMessages: 3, maxBytes: 9 },
    ],
  );

  it("come from rules of their own, over their ids", () => {
    expect(policies.ofDurable("billing.eu")).toEqual({ ...DEFAULT_POLICY, maxMessages: 4, maxBytes: 9 });
    expect(policies.ofDurable("billing")).toEqual({ ...DEFAULT_POLICY, maxMessages: 3, maxBytes: 9 });
    expect(policies.explainDurable("billing.eu").get("maxMessages")).toEqual({
      value: 4,
      origin: "durable_subscriptions[0] (billing.*)",
    });
    expect(new Policies([rule("queue:**", { maxMessages: 1 })]).ofDurable("a")).toBe(DEFAULT_POLICY);
  });

  it("take an id for what it is, whatever is in it", () => {
    const starred = new Policies([], [{ match: parsePattern("queue:a%2A"), maxMessages: 7 }]);
    expect(starred.ofDurable("a*").maxMessages).toBe(7);
    expect(starred.ofDurable("ab").maxMessages).toBe(0);
    for (const id of ["", ".", "..", "**", "{", "a%", "\ud800", "\0", "x".repeat(5000), "a.".repeat(5000)])
      expect(policies.ofDurable(id).maxMessages, JSON.stringify(id.slice(0, 20))).toBe(3);
  });

  it("exist for every id, also where expressions have to look at it", () => {
    const expressions = new Policies([], [{ match: parsePattern("queue:**.{a+|[^b]}*.#"), maxMessages: 1 }]);
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 50 }), (id) => {
        expect([0, 1]).toContain(expressions.ofDurable(id).maxMessages);
      }),
    );
    expect(expressions.ofDurable("\udc00.\ud800").maxMessages).toBe(1);
  });
});

/** How specific each level of a pattern is, read from its text. */
function ranks(text: string): string {
  const levels = text.split(".").map((level) => {
    if (level === "#") return 1;
    if (level === "**") return 2;
    if (level === "*") return 4;
    return /[*{]/.test(level) ? 5 : 6;
  });
  return levels.join("").padEnd(10, "3");
}

/** As slow and plain as it gets. */
function naivePolicy(rules: readonly PolicyRule[], address: Address): Policy {
  const matching = rules.filter(({ pattern }) => pattern.matches(address));
  let policy = DEFAULT_POLICY;
  while (matching.length > 0) {
    let least = 0;
    for (const [index, { pattern }] of matching.entries()) {
      const text = matching[least]?.pattern.text ?? "";
      if (ranks(pattern.text) < ranks(text)) least = index;
    }
    for (const { pattern: _, ...settings } of matching.splice(least, 1)) policy = { ...policy, ...settings };
  }
  return policy;
}

const patternText = fc
  .array(fc.constantFrom("a", "b", "*", "**", "#", "a*", "{a|b}", "{[^a]}"), { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join("."));

const settings = fc.record(
  {
    maxMessages: fc.nat(9),
    maxBytes: fc.nat(9),
    full: fc.constantFrom("block", "drop-head", "reject"),
    deadLetterQueue: fc.constantFrom(undefined, "dlq", "dlq.*"),
    redeliveryDelayMs: fc.nat(9),
  },
  { requiredKeys: [] },
);

describe("merging", () => {
  it("gives what a naive reference gives, whatever the rules and their order", () => {
    const rules = fc.array(fc.tuple(fc.constantFrom<"queue" | "topic">("queue", "topic"), patternText, settings), {
      maxLength: 8,
    });
    const levels = fc.array(fc.constantFrom("a", "b", "ab", ""), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(rules, fc.array(levels, { maxLength: 5 }), (given, names) => {
        const parsed = given.map(([kind, text, fields]) => ({
          ...fields,
          pattern: canonical.parsePattern(kind, text),
        }));
        const durable = parsed.map(({ pattern, ...fields }) => ({ ...fields, match: pattern }));
        const policies = new Policies(
          parsed,
          durable.filter(({ match }) => match.kind === "queue"),
        );
        for (const name of names) {
          for (const kind of ["queue", "topic"] as const) {
            const address = new Address(kind, name);
            const expected = naivePolicy(parsed, address);
            expect(policies.of(address)).toEqual(expected);
            const explained = policies.explain(address);
            expect(Object.fromEntries([...explained].map(([field, { value }]) => [field, value]))).toEqual(expected);
            if (kind === "queue") expect(policies.ofDurable(name.join("."))).toEqual(expected);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
