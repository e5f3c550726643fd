import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Address, type AddressKind } from "../../core/addresses/address.ts";
import { PatternTree } from "../../core/addresses/routing-tree.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { MqttError } from "../../protocols/mqtt/errors.ts";
import { type Filter, formatTopic, parseFilter, parseTopic } from "../../protocols/mqtt/topic.ts";

function address(text: string): Address {
  const parsed = parseTopic(text);
  if (parsed instanceof MqttError) throw parsed;
  return parsed;
}

function filter(text: string): Filter {
  const parsed = parseFilter(text);
  if (parsed instanceof MqttError) throw parsed;
  return parsed;
}

/** What MQTT says about matching, word for word and slowly [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1]. */
function matchesByTheBook(pattern: string, topic: string): boolean {
  if (topic.startsWith("$") && /^[+#]/.test(pattern)) return false;
  const levels = topic.split("/");
  const parts = pattern.split("/");
  for (const [i, part] of parts.entries()) {
    if (part === "#") return true;
    if (i >= levels.length || (part !== "+" && part !== levels[i])) return false;
  }
  return parts.length === levels.length;
}

const level = fc.oneof(
  fc.constantFrom("", "a", "b", "$SYS", "%2F", "%252F", "%25", "%2f", "%41", "a.b", "*", "#{x}", " ", "é"),
  fc.string({ maxLength: 6, unit: "binary" }),
);
const topicText = fc
  .array(level, { minLength: 1, maxLength: 6 })
  .map((levels) => levels.join("/").replace(/[+#\0]/g, "_"))
  .filter((text) => text !== "" && text.isWellFormed() && !/^\$(share|queue)\//.test(text));

describe("the MQTT spelling of topics", () => {
  it("has empty levels", () => {
    expect(address("a//b").levels).toEqual(["a", "", "b"]);
    expect(address("/a").levels).toEqual(["", "a"]);
    expect(address("/").levels).toEqual(["", ""]);
  });

  it("tells topics apart that differ in case, in slashes and in what looks like an escape [MQTT-4.7.3-4]", () => {
    const texts = [
      "a",
      "A",
      "/a",
      "a/",
      "a//",
      "%61",
      "%2F",
      "%2f",
      "%252F",
      " a",
      "a.b",
      "a/b",
      "a%2Fb",
      "\u00e9",
      "e\u0301",
    ];
    expect(new Set(texts.map((text) => address(text).name)).size).toBe(texts.length);
  });

  it("gives any topic back from the core's canonical name [MQTT-4.7.3-4]", () => {
    fc.assert(
      fc.property(topicText, (text) => {
        const there = address(text);
        const back = canonical.parse("topic", there.name);
        expect(back.levels).toEqual(there.levels);
        expect(formatTopic(back)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it("writes any address so that it is read as the same one", () => {
    const any = fc.oneof(
      level,
      fc.string({ maxLength: 6, unit: fc.constantFrom("%", "2", "5", "F", "/", "#", "+", "\0", "3") }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom<AddressKind>("queue", "topic", "exchange"),
        fc.array(any, { minLength: 1, maxLength: 4 }),
        (kind, all) => {
          const levels = kind === "exchange" ? [all[0] ?? "", all[1] ?? ""] : all;
          fc.pre(levels.every((each) => each.isWellFormed()) && levels.some((each) => each !== ""));
          fc.pre(kind !== "topic" || !/^\$(share|queue|exchange)$/.test(levels[0] ?? ""));
          fc.pre(kind !== "exchange" || levels[0] !== "");
          const there = new Address(kind, levels);
          const text = formatTopic(there);
          expect(text).not.toMatch(/[+#\0]/);
          expect(address(text)).toEqual(there);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("has queues behind $queue/", () => {
    expect(address("$queue/orders/eu")).toMatchObject({ kind: "queue", levels: ["orders", "eu"] });
    expect(formatTopic(new Address("queue", ["orders", "eu"]))).toBe("$queue/orders/eu");
    expect(filter("$queue/orders/eu").pattern.address?.kind).toBe("queue");
    expect(address("$queue")).toMatchObject({ kind: "topic", levels: ["$queue"] });
  });

  it("has exchanges behind $exchange/, with all that follows the name as the key", () => {
    expect(address("$exchange/amq.direct/a.b/c")).toMatchObject({ kind: "exchange", levels: ["amq.direct", "a.b/c"] });
    expect(address("$exchange/x/")).toMatchObject({ kind: "exchange", levels: ["x", ""] });
    expect(formatTopic(new Address("exchange", ["x", "a.b/c"]))).toBe("$exchange/x/a.b/c");
    expect(address("$exchange/amq.topic/a.b")).toMatchObject({ kind: "topic", levels: ["a", "b"] });
  });

  it.each([
    ["an exchange without a key", "$exchange/x", 0x90],
    ["an exchange without a name", "$exchange//k", 0x90],
    ["an empty one [MQTT-4.7.3-1]", "", 0x90],
    ["a queue without a name", "$queue/", 0x90],
    ["one with + [MQTT-3.3.2-2]", "a/+", 0x90],
    ["one with # inside a level [MQTT-4.7.0-1]", "a#", 0x90],
    ["one with U+0000 [MQTT-4.7.3-2]", "a\0", 0x81],
    ["one that is a shared subscription", "$share/g/a", 0x90],
    ["one that is longer than text can be [MQTT-4.7.3-3]", "a".repeat(65_536), 0x90],
    ["one past the core's limits", "a/".repeat(200), 0x90],
  ])("refuses as a topic %s", (_what, text, code) => {
    expect(parseTopic(text)).toMatchObject({ name: "MqttError", reasonCode: code });
  });
});

describe("the MQTT spelling of filters", () => {
  it.each([
    ["an empty one [MQTT-4.7.3-1]", ""],
    ["# before the last level [MQTT-4.7.1-1]", "a/#/b"],
    ["# beside other characters [MQTT-4.7.1-1]", "a/b#"],
    ["# twice [MQTT-4.7.1-1]", "##"],
    ["+ beside other characters [MQTT-4.7.1-2]", "a+/b"],
    ["a shared subscription without a name [MQTT-4.8.2-1]", "$share//a"],
    ["a share name with + [MQTT-4.8.2-1]", "$share/g+/a"],
    ["a share name with # [MQTT-4.8.2-1]", "$share/#/a"],
    ["a shared subscription without a filter [MQTT-4.8.2-2]", "$share/g"],
    ["a shared subscription with an empty filter [MQTT-4.8.2-2]", "$share/g/"],
    ["$share alone", "$share"],
    ["a shared subscription with a bad filter", "$share/g/a/#/b"],
    ["a queue without a name", "$queue/"],
  ])("refuses %s", (_what, text) => {
    expect(parseFilter(text)).toMatchObject({ name: "MqttError", reasonCode: 0x8f });
  });

  it("has shared subscriptions [MQTT-4.8.2-1] [MQTT-4.8.2-2]", () => {
    expect(filter("$share/g/a/+")).toMatchObject({ group: "g", text: "a/+" });
    expect(filter("$share/g/a/+").pattern.text).toBe(filter("a/+").pattern.text);
    expect(filter("$share/g//").pattern.address?.levels).toEqual(["", ""]);
    expect(filter("a/+").group).toBeUndefined();
    expect(filter("$shared/g/a").group).toBeUndefined();
  });

  it.each([
    ["#", "a/b", true],
    ["#", "$SYS/a", false],
    ["+/a", "$SYS/a", false],
    ["$share/g/#", "$SYS/a", false],
    ["$SYS/#", "$SYS/a/b", true],
    ["$SYS/+", "$SYS/a", true],
    ["a/#", "a", true],
    ["a/+", "a", false],
    ["a/+", "a/", true],
    ["+", "/a", false],
    ["+/+", "/a", true],
    ["/+", "/a", true],
    ["a/+/#", "a", false],
    ["+/#", "a", true],
    ["a/$x", "a/$x", true],
    ["a/+", "a/$x", true],
    ["#", "/", true],
  ])("lets %s match %s: %s [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1]", (pattern, topic, matches) => {
    expect(filter(pattern).pattern.matches(address(topic))).toBe(matches);
  });

  it("matches as the specification has it, alone and in the core's tree [MQTT-4.7.2-1]", () => {
    const part = fc.constantFrom("a", "b", "", "+", "$x", "%2F");
    const filters = fc
      .tuple(fc.array(part, { maxLength: 4 }), fc.boolean())
      .map(([parts, rest]) => [...parts, ...(rest ? ["#"] : [])].join("/"))
      .filter((text) => text !== "");
    const topics = fc
      .array(fc.constantFrom("a", "b", "", "$x", "$", "%2F", "c"), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join("/"))
      .filter((text) => text !== "");
    fc.assert(
      fc.property(fc.uniqueArray(filters, { maxLength: 8 }), topics, (texts, topic) => {
        const tree = new PatternTree<string>();
        for (const text of texts) tree.add(filter(text).pattern, text);
        const found: string[] = [];
        tree.match(address(topic), (text) => found.push(text));
        const wanted = texts.filter((text) => matchesByTheBook(text, topic));
        expect(found.toSorted()).toEqual(wanted.toSorted());
        expect(texts.filter((text) => filter(text).pattern.matches(address(topic))).toSorted()).toEqual(
          wanted.toSorted(),
        );
      }),
      { numRuns: 1000 },
    );
  });
});
