import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Address, maxLevels, maxNameBytes } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import { LevelExpression } from "../../core/addresses/level-expression.ts";
import { Pattern, type PatternLevel } from "../../core/addresses/pattern.ts";
import { maxRegexLength } from "../../core/addresses/regex-parser.ts";
import { canonical, Spelling } from "../../core/addresses/spelling.ts";

const mqtt = new Spelling({ separator: "/", any: "+", restOrNone: "#" });
const amqp = new Spelling({ separator: ".", any: "*", restOrNone: "#" });
const openwire = new Spelling({ separator: ".", any: "*", rest: ">" });
const odd = new Spelling({
  separator: "::",
  any: "~",
  rest: "~~",
  restOrNone: "\u{1f600}",
  regex: true,
  reserved: " é",
});
const spellings = { canonical, mqtt, amqp, openwire, odd };

const signs = fc.constantFrom(...Array.from(".%*#{},/+>:~ é\u{1f600}\n\0\x7f2EabC3A9"));
const level = fc.oneof(
  fc.string({ unit: signs, maxLength: 6 }),
  fc.string({ unit: "grapheme", maxLength: 6 }),
  fc.constantFrom("*", "**", "#", "+", ">", "", "%2E", "%C3%A9", "%C3", "~~", "{a}"),
);
const levels = fc.array(level, { minLength: 1, maxLength: 6 });
const spelling = fc.constantFrom(...Object.values(spellings));

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof BrokerError && error.code === "bad-address") return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

function readLevel(text: string): string {
  return canonical.parse("queue", text).levels.join("|");
}

function textOf(pattern: string): string {
  return canonical.parsePattern("topic", pattern).text;
}

function why(regex: string): string {
  return refusal(() => canonical.parsePattern("topic", `{${regex}}`));
}

describe("an address", () => {
  test("has a name that escapes what has a meaning in the canonical spelling", () => {
    expect(new Address("topic", ["a.b", "%*#", "{},", "\n\x7f", "é /:"]).name).toBe(
      "a%2Eb.%25%2A%23.%7B%7D%2C.%0A%7F.é /:",
    );
  });

  test("may have empty levels", () => {
    expect(new Address("queue", [""]).name).toBe("");
    expect(new Address("queue", ["", "a", ""]).name).toBe(".a.");
  });

  test("does not change when the array it was made from does", () => {
    const array = ["a"];
    const address = new Address("queue", array);
    array[0] = "b";
    expect(address.levels).toEqual(["a"]);
  });

  test("refuses no levels, lone surrogates and names past the limits, naming the limit", () => {
    expect(refusal(() => new Address("queue", []))).toContain("no levels");
    expect(refusal(() => new Address("queue", ["a", "\ud800"]))).toContain("level 2");
    expect(refusal(() => canonical.parse("queue", "a\udc00"))).toContain("surrogate");
    const long = "é".repeat(maxNameBytes / 2);
    expect(new Address("queue", [long]).name).toBe(long);
    expect(refusal(() => new Address("queue", [`${long}a`]))).toContain("1024 bytes");
    expect(
      new Address(
        "queue",
        Array.from({ length: maxLevels }, () => "a"),
      ).levels,
    ).toHaveLength(maxLevels);
    expect(
      refusal(
        () =>
          new Address(
            "queue",
            Array.from({ length: maxLevels + 1 }, () => "a"),
          ),
      ),
    ).toContain("128 levels");
  });

  test("has a name that is its canonical spelling, and no other address has it", () => {
    fc.assert(
      fc.property(levels, levels, (one, other) => {
        const name = new Address("topic", one).name;
        expect(canonical.format(one)).toBe(name);
        expect(new Address("topic", other).name === name).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });
});

describe("a spelling", () => {
  test("reads back what it wrote, whatever the levels", () => {
    fc.assert(
      fc.property(levels, spelling, (written, by) => {
        expect(by.parse("topic", by.format(written)).levels).toEqual(written);
      }),
      { numRuns: 1000 },
    );
  });

  test("keeps a name over a hop through any other spelling", () => {
    fc.assert(
      fc.property(fc.array(level, { minLength: 1, maxLength: 4 }), spelling, spelling, (written, one, other) => {
        const there = one.parse("topic", one.format(written));
        const back = one.parse("topic", one.format(other.parse("topic", other.format(there.levels)).levels));
        expect(back.name).toBe(there.name);
      }),
      { numRuns: 1000 },
    );
  });

  test("writes an MQTT name for STOMP and back", () => {
    expect(canonical.format(mqtt.parse("topic", "a/b.c").levels)).toBe("a.b%2Ec");
    expect(mqtt.format(canonical.parse("topic", "a.b%2Ec").levels)).toBe("a/b.c");
    expect(mqtt.format(["a/b", "+", "#x"])).toBe("a%2Fb/%2B/%23x");
  });

  test("leaves a percent sign alone that nobody could take for an escape, unless it is reserved", () => {
    expect(mqtt.format(["100%", "%zz", "%41"])).toBe("100%/%zz/%2541");
    expect(canonical.format(["100%"])).toBe("100%25");
  });

  test("takes a percent sign that begins no character for itself, and hex digits in either case", () => {
    expect(readLevel("%2e%2E%c3%A9")).toBe("..é");
    expect(readLevel("%f0%9f%98%80")).toBe("\u{1f600}");
    for (const text of [
      "%",
      "%2",
      "%zz",
      "% 2",
      "%C3",
      "%C3%",
      "%C3%41x",
      "%80",
      "%C0%80",
      "%ED%A0%80",
      "%F5%80%80%80",
    ]) {
      expect(readLevel(text)).toBe(text.replace("%41", "A"));
    }
  });

  test("refuses wildcards in an address and says how to write the name", () => {
    expect(refusal(() => canonical.parse("queue", "a.*"))).toContain('write "%2A"');
    for (const text of ["**", "a.#.b", "I*", "a.{[0-9]}"])
      expect(refusal(() => canonical.parse("queue", text))).toContain("wildcard");
    expect(refusal(() => mqtt.parse("topic", "a/+"))).toContain("wildcard");
  });

  test("refuses signs that cannot be told apart", () => {
    for (const options of [
      { separator: "" },
      { separator: "a" },
      { separator: "%" },
      { separator: ".", any: "." },
      { separator: "**", any: "*" },
      { separator: ".", any: "*", rest: "*" },
      { separator: "{", regex: true },
    ]) {
      expect(() => new Spelling(options)).toThrow(/sign/);
    }
  });

  test("keeps error texts short however long the name", () => {
    expect(refusal(() => canonical.parse("queue", `{${"a".repeat(100_000)}`)).length).toBeLessThan(400);
    expect(refusal(() => canonical.parse("queue", `${"a".repeat(100_000)}*`)).length).toBeLessThan(400);
  });
});

/** Whether it matches, by trying everything. */
function reference(pattern: readonly PatternLevel[], names: readonly string[]): boolean {
  const [first, ...others] = pattern;
  if (first === undefined) return names.length === 0;
  const [name, ...left] = names;
  if (typeof first !== "string" && "rest" in first) {
    if (first.rest === 0 && reference(others, names)) return true;
    return name !== undefined && (reference(others, left) || reference([{ rest: 0 }, ...others], left));
  }
  if (name === undefined) return false;
  const fits = typeof first === "string" ? first === name : "regex" in first ? first.regex.test(name) : true;
  return fits && reference(others, left);
}

const expression = fc
  .constantFrom("a*", "*a", "*{[0-9]}", "{a|b}", "{[ab]+}1", "*1*", "{a.b}")
  .map((text): PatternLevel => canonical.parsePattern("topic", text).levels[0] ?? "");
const patternLevel: fc.Arbitrary<PatternLevel> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<PatternLevel>("a", "b", { any: true }, { rest: 0 }, { rest: 1 }) },
  { weight: 1, arbitrary: fc.oneof(expression, level) },
);
const patternLevels = fc.array(patternLevel, { minLength: 1, maxLength: 6 });
const fewNames = fc.array(fc.constantFrom("a", "b", "a1", "ab1", ""), { minLength: 1, maxLength: 7 });

function matches(text: string, name: string): boolean {
  return canonical.parsePattern("topic", text).matches(canonical.parse("topic", name));
}

describe("a pattern", () => {
  test("matches what a reference finds by trying everything", () => {
    fc.assert(
      fc.property(patternLevels, fewNames, (pattern, names) => {
        expect(new Pattern("topic", pattern).matches(new Address("topic", names))).toBe(reference(pattern, names));
      }),
      { numRuns: 5000 },
    );
  });

  test("has one level for *, one or more for ** and none or more for #", () => {
    expect([matches("a.*", "a"), matches("a.*", "a.b"), matches("a.*", "a."), matches("a.*", "a.b.c")]).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect([matches("a.**", "a"), matches("a.**", "a.b"), matches("a.**", "a.b.c")]).toEqual([false, true, true]);
    expect([matches("a.#", "a"), matches("a.#", "a.b.c"), matches("#", "a"), matches("a.#.b", "a.b")]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([matches("a.**.b", "a.b"), matches("a.**.b", "a.x.y.b"), matches("**.b", "b")]).toEqual([
      false,
      true,
      false,
    ]);
  });

  test("takes # and an escaped wildcard inside a level for themselves", () => {
    expect(canonical.parsePattern("topic", "a#.b").address?.levels).toEqual(["a#", "b"]);
    expect(canonical.parsePattern("topic", "%2A.%2A%2A").address?.levels).toEqual(["*", "**"]);
    expect(mqtt.parsePattern("topic", "a+/+").levels).toEqual(["a+", { any: true }]);
  });

  test("mixes text, runs and regular expressions inside a level, and all of the level has to match", () => {
    expect([matches("I*", "I"), matches("I*", "IBM"), matches("I*", "XI")]).toEqual([true, true, false]);
    expect([matches("*{[0-9]}", "a1"), matches("*{[0-9]}", "1"), matches("*{[0-9]}", "a1b")]).toEqual([
      true,
      true,
      false,
    ]);
    expect([matches("a{[0-9]+}b", "a12b"), matches("a{[0-9]+}b", "ab"), matches("a{[0-9]+}b", "xa1b")]).toEqual([
      true,
      false,
      false,
    ]);
    expect([matches("a.{[0-9]{2}}.c", "a.12.c"), matches("a.{[0-9]{2}}.c", "a.1.c")]).toEqual([true, false]);
    expect([matches("{a.b}", "axb"), matches("{a\\.b}", "a%2Eb"), matches("{a|bc}d", "bcd")]).toEqual([
      true,
      true,
      true,
    ]);
    expect([matches("{\\{}", "%7B"), matches("***", "abc"), matches("a**c", "abbc")]).toEqual([true, true, true]);
  });

  test("matches addresses of its kind only", () => {
    const address = new Address("queue", ["a"]);
    expect(Pattern.of(address).matches(new Address("queue", ["a"]))).toBe(true);
    expect(Pattern.of(address).matches(new Address("topic", ["a"]))).toBe(false);
    expect(canonical.parsePattern("topic", "*").matches(address)).toBe(false);
    expect(Pattern.of(address).address?.name).toBe("a");
  });

  test("has the same text as another way to write the same wildcards", () => {
    expect([textOf("**.*"), textOf("*.#.*"), textOf("*.**"), textOf("**.**")]).toEqual([
      "*.**",
      "*.**",
      "*.**",
      "*.**",
    ]);
    expect([textOf("#.#"), textOf("a.*.#.b"), textOf("a.***.b"), textOf("a**b")]).toEqual([
      "#",
      "a.**.b",
      "a.*.b",
      "a*b",
    ]);
    expect(mqtt.parsePattern("topic", "a/+/#").text).toBe("a.**");
  });

  test("is read back from its text and from every spelling that can write it", () => {
    fc.assert(
      fc.property(patternLevels, spelling, (written, by) => {
        const pattern = new Pattern("topic", written);
        expect(canonical.formatPattern(pattern)).toBe(pattern.text);
        expect(canonical.parsePattern("topic", pattern.text).text).toBe(pattern.text);
        expect(pattern.text === pattern.address?.name).toBe(written.every((one) => typeof one === "string"));
        const has = (kind: (one: PatternLevel) => boolean): boolean => pattern.levels.some(kind);
        if (by !== canonical && by !== odd && has((one) => typeof one !== "string" && "regex" in one)) return;
        if (by === openwire && has((one) => typeof one !== "string" && "rest" in one && one.rest === 0)) return;
        expect(by.parsePattern("topic", by.formatPattern(pattern)).text).toBe(pattern.text);
      }),
      { numRuns: 3000 },
    );
  });

  test("cannot be written in a spelling that has no sign for it", () => {
    expect(refusal(() => mqtt.formatPattern(canonical.parsePattern("topic", "a.I*")))).toContain(
      'no way to write the wildcards of "a.I*"',
    );
    expect(refusal(() => openwire.formatPattern(canonical.parsePattern("topic", "a.#")))).toContain("no way");
    expect(mqtt.formatPattern(canonical.parsePattern("topic", "a.**"))).toBe("a/+/#");
  });

  test("refuses what passes the limits, naming the limit", () => {
    expect(refusal(() => canonical.parsePattern("topic", "*.".repeat(maxLevels)))).toContain("128 levels");
    expect(refusal(() => canonical.parsePattern("topic", `*.${"a".repeat(maxNameBytes - 1)}`))).toContain("1024 bytes");
    expect(refusal(() => canonical.parsePattern("topic", `*.\ud800`))).toContain("surrogate");
    expect(refusal(() => canonical.parsePattern("topic", "{a{600}}.{a{600}}"))).toContain("1024 states");
  });
});

describe("a regular expression of a pattern", () => {
  test("is refused with the reason when it is empty, wrong or too long", () => {
    expect(why("")).toContain("empty");
    expect(refusal(() => canonical.parsePattern("topic", "a{}b"))).toContain("empty");
    expect(why("(a")).toContain("Unterminated group");
    expect(why("[b-a]")).toContain("out of order");
    expect(refusal(() => canonical.parsePattern("topic", "a.{b"))).toContain('no "}"');
    expect(canonical.parsePattern("topic", `{${"a".repeat(maxRegexLength)}}`).address).toBeUndefined();
    expect(why("a".repeat(maxRegexLength + 1))).toContain("256 characters");
    // What is valid only together with the text around it.
    expect(why("a)|(b")).toContain("Unmatched");
  });

  test("is refused when it has back-references or looks around", () => {
    expect(why("(a)\\1")).toContain("back-references");
    expect(why("(?<x>a)\\k<x>")).toContain("not supported");
    for (const source of ["(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", "a\\b", "\\Ba", "(?i:a)"])
      expect(why(source)).toContain("not supported");
  });

  test("is refused when unbounded quantifiers are nested or repeat alternatives", () => {
    for (const source of ["(a+)+", "(a*)*b", "(?:x(a{2,})y){3}", "((a+)b)*"])
      expect(why(source)).toContain("unbounded");
    for (const source of ["(a|aa)+", "(x(a|b))*", "(a|b){2,}"]) expect(why(source)).toContain("alternatives");
    expect([matches("{(a+)?b}", "aab"), matches("{(a|b){2}}", "ba"), matches("{(ab)+}", "abab")]).toEqual([
      true,
      true,
      true,
    ]);
  });

  test("is refused when its repeats are too large", () => {
    for (const source of ["a{5000}", "((a{99}){99}){99}", "((?:){99999}){99999}", "(((){9999}){9999}){9999}"]) {
      expect(why(source)).toContain("1024 states");
    }
  });

  test("takes steps for each character of the level and state, where trying everything would never end", () => {
    const name = "a".repeat(1000);
    const hostile = [
      "*a".repeat(100) + "b",
      `{${"a?".repeat(60)}${"a".repeat(60)}}b`,
      `{${"(a|aa)".repeat(40)}}b`,
      `{${".*".repeat(100)}b}`,
    ];
    for (const text of hostile) expect(matches(text, name)).toBe(false);
    expect(matches(`{${"a?".repeat(60)}${"a".repeat(60)}}`, "a".repeat(100))).toBe(true);
  });

  test("matches what the platform's regular expressions match", () => {
    const atom = fc.constantFrom(
      "a",
      "b",
      ".",
      "[ab]",
      "[^a]",
      "\\d",
      "\\w",
      "\\.",
      "\\u{1f600}",
      "\\ud83d\\ude00",
      "\\p{L}",
      "[\\]1]",
      "é",
      "^",
      "$",
      "",
    );
    const quantified = fc
      .tuple(
        fc.constantFrom("a", "b", ".", "[ab]", "\\W", "(ab)", "(?:b1)", "(a.)"),
        fc.constantFrom("*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "{0}"),
      )
      .map(([one, sign]) => one + sign);
    const choice = fc.array(fc.oneof(atom, quantified), { maxLength: 4 }).map((parts) => parts.join(""));
    const source = fc
      .tuple(choice, choice, choice, fc.constantFrom("", "?", "{2}"))
      .map(
        ([a, b, c, sign]) =>
          `${a}(${b.replaceAll(/[*+]\??|\{1,\}/g, "")}|${c.replaceAll(/[*+]\??|\{1,\}/g, "")})${sign}`,
      );
    const text = fc.string({ unit: fc.constantFrom("a", "b", "1", ".", "]", "é", "\u{1f600}", "\n"), maxLength: 7 });
    fc.assert(
      fc.property(fc.oneof(choice, source), text, (written, name) => {
        fc.pre(written !== "");
        expect(new LevelExpression([{ regex: written }]).test(name)).toBe(
          new RegExp(`^(?:${written})$`, "u").test(name),
        );
      }),
      { numRuns: 5000 },
    );
  });
});
