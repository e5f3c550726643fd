import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import { type Content, Message, type PropertyValue } from "../../core/message.ts";
import { compileSelector } from "../../core/selector/selector.ts";

const blank: Content = {
  messageId: undefined,
  correlationId: undefined,
  replyTo: undefined,
  subject: undefined,
  contentType: undefined,
  contentEncoding: undefined,
  userId: undefined,
  groupId: undefined,
  groupSequence: undefined,
  bodyKind: "bytes",
  properties: new Map(),
};

function messageWith(open: () => Content): Message {
  const address = new Address("queue", ["orders", "eu"]);
  const envelope = { address, durable: true, priority: 7, expiresAt: 2000, receivedAt: 1000 };
  return new Message({ name: "test", open }, envelope, Buffer.alloc(0), 0, 0, 0, 0);
}

function evaluate(text: string, message: Message): boolean | undefined {
  if (compileSelector(text).matches(message)) return true;
  return compileSelector(`NOT (${text}\n)`).matches(message) ? false : undefined;
}

const properties = new Map<string, PropertyValue>([
  ["n", 5],
  ["half", 2.5],
  ["float", Math.fround(0.1)],
  ["nan", Number.NaN],
  ["big", 9007199254740993n],
  ["small", 5n],
  ["min", -9223372036854775808n],
  ["yes", true],
  ["no", false],
  ["nothing", null],
  ["bytes", new Uint8Array([1])],
  ["name", "Müller"],
  ["quote", "it's"],
  ["empty", ""],
  ["blank", "  "],
  ["five", " 5 "],
  ["six", "6"],
  ["ten", "10"],
  ["decimal", "-2.5e1"],
  ["huge", "9007199254740993"],
  ["hex", "0x10"],
  ["infinity", "Infinity"],
  ["long", "123456789012345678901234567890"],
  ["yesText", "true"],
  ["noText", "false"],
  ["YesText", "TRUE"],
  ["content-type", "text/plain"],
  ["a-1", "hyphenated"],
  ["a.b.c", "dotted"],
  ["$_x1", "signs"],
  ["größe", 3],
  ["not a name", 1],
  ['say "hi"', 1],
  ["NOT", 1],
  ["face", "\u{1f600}!"],
  ["file", "50%_off"],
  ["JMSRedelivered", true],
]);

const content: Content = {
  ...blank,
  messageId: "id-1",
  correlationId: "42",
  replyTo: new Address("queue", ["answers"]),
  subject: "order",
  userId: "ann",
  groupId: "g",
  groupSequence: 3,
  properties,
};

const table: Record<string, [string, boolean | undefined][]> = {
  "comparisons of numbers": [
    ["n = 5", true],
    ["n <> 5", false],
    ["n != 4", true],
    ["n < 5", false],
    ["n <= 5", true],
    ["n > 4.9", true],
    ["n >= 5.1", false],
    ["5 = n", true],
    ["4 < n", true],
    ["6 <= n", false],
    ["n = small", true],
    ["n <> small", false],
    ["small >= n", true],
    ["nan = nan", false],
    ["nan <> 1", true],
    ["nan >= 1", false],
    ["nan = small", false],
    ["1 = 1", true],
    ["1 > 2", false],
    ["missing = 5", undefined],
    ["missing <> 5", undefined],
    ["nothing = nothing", undefined],
    ["missing < n", undefined],
  ],
  "exact integers": [
    ["big = 9007199254740993", true],
    ["big = 9007199254740992", false],
    ["big > 9007199254740992", true],
    ["huge = 9007199254740993", true],
    ["huge = 9007199254740992", false],
    ["huge = big", true],
    ["big + 1 = 9007199254740994L", true],
    ["min = -9223372036854775808", true],
    ["min < -9223372036854775807", true],
    ["big IN (9007199254740992, 9007199254740994)", false],
    ["big IN (9007199254740993)", true],
    ["big = 18446744073709551615", false],
  ],
  "values of unlike types": [
    ["n = 'x'", undefined],
    ["n <> 'x'", undefined],
    ["n = TRUE", undefined],
    ["yes = 1", undefined],
    ["name = 5", undefined],
    ["bytes = bytes", undefined],
    ["bytes IS NOT NULL", true],
    ["yes < no", undefined],
    ["yes > FALSE", undefined],
    ["name < 'z'", undefined],
    ["name < empty", undefined],
    ["'1' = 1", undefined],
    ["'a' = TRUE", undefined],
    ["n + 1 = TRUE", undefined],
  ],
  strings: [
    ["name = 'Müller'", true],
    ["'Müller' <> name", false],
    ["name <> 'Muller'", true],
    ["name = 'müller'", false],
    ["quote = 'it''s'", true],
    ["empty = ''", true],
    ["empty IS NULL", false],
    ["'a' = 'a'", true],
    ["'a' <> 'a'", false],
    ["name = name", true],
    ["name <> quote", true],
    ["yesText = 'true'", true],
  ],
  booleans: [
    ["yes", true],
    ["no", false],
    ["missing", undefined],
    ["n", undefined],
    ["TRUE", true],
    ["false", false],
    ["yes = TRUE", true],
    ["no = yes", false],
    ["no <> yes", true],
    ["TRUE <> no", true],
    ["yes = true AND NOT no", true],
    ["missing = TRUE", undefined],
    ["TRUE = TRUE", true],
    ["(n = 5) = TRUE", true],
    ["(n = 5) <> (n = 6)", true],
    ["(missing = 5) = (n = 5)", undefined],
  ],
  "text properties where a number or a truth value is wanted": [
    ["five = 5", true],
    ["five < 6", true],
    ["five + 1 = six", true],
    ["six < ten", true],
    ["ten < six", false],
    ["ten = 10.0", true],
    ["decimal = -25", true],
    ["decimal BETWEEN -26 AND -24", true],
    ["-five = -5", true],
    ["+five = '5'", undefined],
    ["six = n", false],
    ["five = n", true],
    ["small < six", true],
    ["six = '6.0'", false],
    ["six < '7'", undefined],
    ["empty = 0", undefined],
    ["blank = 0", undefined],
    ["hex = 16", undefined],
    ["infinity > 0", undefined],
    ["long > 1e29", true],
    ["'5' + 1 = 6", undefined],
    ["six IN (5, 6)", true],
    ["six IN ('5', '6')", true],
    ["yesText = TRUE", true],
    ["yesText", true],
    ["noText", false],
    ["noText <> yes", true],
    ["YesText = TRUE", undefined],
  ],
  "three-valued logic": [
    ["missing = 1 AND no", false],
    ["no AND missing = 1", false],
    ["missing = 1 AND yes", undefined],
    ["missing = 1 OR yes", true],
    ["yes OR missing = 1", true],
    ["missing = 1 OR no", undefined],
    ["NOT missing = 1", undefined],
    ["NOT NOT n = 5", true],
    ["NOT n = 5 OR yes", true],
    ["no AND yes OR yes", true],
    ["yes OR no AND no", true],
    ["(yes OR no) AND no", false],
    ["1/0 = 1 OR yes", true],
    ["1/0 = 1 AND yes", undefined],
    ["1/0 = 1 OR no", undefined],
    ["1/0 = 1 AND no", false],
    ["FALSE OR TRUE AND yes", true],
  ],
  arithmetic: [
    ["n + 2 * 3 = 11", true],
    ["(n + 2) * 3 = 21", true],
    ["n - 2 - 1 = 2", true],
    ["n / 2 = half", true],
    ["20 / 2 / 5 = 2", true],
    ["n * half - 0.5 = 12", true],
    ["-n = -5", true],
    ["- -n = +5", true],
    ["n / 0 = 1", undefined],
    ["n / 0 IS NULL", true],
    ["small / 0 IS NULL", true],
    ["small / 2 = 2.5", true],
    ["small * 2 = 10", true],
    ["big - 1 = 9007199254740992", true],
    ["big * 0.5 > 1", true],
    ["small + nan = 1", false],
    ["n + missing = 5", undefined],
    ["n + yes = 6", undefined],
    ["n + name IS NULL", true],
    ["2 * 3 * n + 1 = 31", true],
    ["n+1+1+1 = 8", true],
    ["n -1 = 4", true],
    ["5-n = 0", true],
  ],
  BETWEEN: [
    ["n BETWEEN 5 AND 6", true],
    ["n BETWEEN 6 AND 5", false],
    ["n NOT BETWEEN 1 AND 4", true],
    ["n BETWEEN half AND half * 2", true],
    ["n BETWEEN missing AND 4", false],
    ["n BETWEEN missing AND 6", undefined],
    ["missing NOT BETWEEN 1 AND 2", undefined],
    ["n BETWEEN 1 AND 9 AND no", false],
    ["name BETWEEN 'a' AND 'z'", undefined],
  ],
  IN: [
    ["name IN ('x', 'Müller')", true],
    ["name IN ('x')", false],
    ["name NOT IN ('x', 'y')", true],
    ["missing IN ('x')", undefined],
    ["missing NOT IN ('x')", undefined],
    ["n IN ('5')", undefined],
    ["n IN (4, 5)", true],
    ["small IN (-5, +5)", true],
    ["n IN ('x', 5)", true],
    ["n IN ('x', 6)", undefined],
    ["name IN ('x', 5)", undefined],
    ["yes IN ('true')", undefined],
    ["n + 1 IN (6)", true],
    ["n / 0 IN (6)", undefined],
    ["'a' IN ('a')", true],
    ["'a' IN ('b')", false],
    ["'5' IN (5)", undefined],
    ["(n = 5) IN ('x')", undefined],
  ],
  LIKE: [
    ["name LIKE 'M%r'", true],
    ["name LIKE 'M_ller'", true],
    ["name LIKE 'M_er'", false],
    ["name NOT LIKE '%x%'", true],
    ["name LIKE '%lle%'", true],
    ["name LIKE 'Müller'", true],
    ["name LIKE '%'", true],
    ["empty LIKE '%%'", true],
    ["empty LIKE ''", true],
    ["empty LIKE '_%'", false],
    ["name LIKE 'Mü%üller'", false],
    ["name LIKE '%l%l%_r'", true],
    ["name LIKE '%l%l%l%'", false],
    ["name LIKE '%____ler'", false],
    ["face LIKE '_!'", true],
    ["face LIKE '__!'", false],
    ["face LIKE '%_!'", true],
    ["face LIKE '%__!'", false],
    ["file LIKE '50!%!_off' ESCAPE '!'", true],
    ["file LIKE '50!%!!off' ESCAPE '!'", false],
    ["file LIKE '50\\%%' ESCAPE '\\'", true],
    ["file LIKE '50%%_%_%_off'", false],
    ["n LIKE '5'", undefined],
    ["missing LIKE '%'", undefined],
    ["missing NOT LIKE '%'", undefined],
    ["'abc' LIKE 'a%'", true],
    ["n + 1 LIKE '6'", undefined],
  ],
  "IS NULL": [
    ["missing IS NULL", true],
    ["nothing IS NULL", true],
    ["n IS NULL", false],
    ["n is not null", true],
    ["missing IS NOT NULL", false],
    ["(missing = 1) IS NULL", true],
    ["1 IS NULL", false],
  ],
  names: [
    ["content-type = 'text/plain'", true],
    ["a-1 = 'hyphenated'", true],
    ["a -1 IS NULL", true],
    ["a.b.c = 'dotted'", true],
    ["$_x1 = 'signs'", true],
    ["größe = 3", true],
    ['"not a name" = 1', true],
    ['"say ""hi""" = 1', true],
    ['"NOT" = 1', true],
    ['"n" = 5', true],
    ["N = 5", undefined],
    ["n--5\n = 5", true],
    ["xpath IS NULL", true],
  ],
  literals: [
    ["n = 0x5", true],
    ["255 = 0xFfL", true],
    ["8 = 010", true],
    ["0 = 00", true],
    ["n = 5L", true],
    ["n = 5f", true],
    ["n = 5.", true],
    ["half = .25E1", true],
    ["half = 2.5D", true],
    ["half = 25e-1d", true],
    ["float = 0.1F", true],
    ["float = 0.1", false],
    ["1e3 = 1000", true],
    ["09.5 = 9.5", true],
  ],
  "words, comments and blanks": [
    ["n=5 and(yes)Or no", true],
    ["n -- the number\n = 5", true],
    ["n /* a = 'b */ = /**/ 5", true],
    ["\t\r\n\f n = 5 -- last", true],
    ["convert_string_expressions:five = 5", true],
    ["hyphenated_props:content-type = 'text/plain'", true],
    [" convert_string_expressions: hyphenated_props:six = 6", true],
  ],
  "JMS headers": [
    ["JMSDeliveryMode = 'PERSISTENT'", true],
    ["JMSDeliveryMode = 'NON_PERSISTENT'", false],
    ["JMSPriority > 6", true],
    ["JMSTimestamp = 1000", true],
    ["JMSExpiration = 2000", true],
    ["JMSDestination = 'orders.eu'", true],
    ["JMSMessageID LIKE 'id-%'", true],
    ["JMSCorrelationID = 42", true],
    ["JMSCorrelationID = '42'", true],
    ["JMSType IN ('order')", true],
    ["JMSReplyTo = 'answers'", true],
    ["JMSXGroupID = 'g'", true],
    ["JMSXGroupSeq = 3", true],
    ["JMSXUserID = 'ann'", true],
    ["JMSRedelivered", true],
    ["JMSpriority IS NULL", true],
  ],
};

describe("a selector", () => {
  const message = messageWith(() => content);
  for (const [title, rows] of Object.entries(table)) {
    it.each(rows)(`${title}: %s is %s`, (text, expected) => {
      expect(evaluate(text, message)).toBe(expected);
    });
  }

  it("keeps the text it was made from", () => {
    const text = "convert_string_expressions: n = 5 ";
    expect(compileSelector(text).text).toBe(text);
  });

  it.each(["", " \n", "-- nothing", "hyphenated_props:"])("without words matches everything: %j", (text) => {
    expect(compileSelector(text).matches(message)).toBe(true);
  });

  it("finds absent headers to be null", () => {
    const bare = messageWith(() => blank);
    for (const name of ["MessageID", "CorrelationID", "Type", "ReplyTo", "XGroupID", "XGroupSeq", "XUserID"]) {
      expect(evaluate(`JMS${name} IS NULL`, bare)).toBe(true);
    }
  });

  it("answers from the envelope without opening the content", () => {
    const closed = messageWith(() => {
      throw new Error("the content was opened");
    });
    const text =
      "JMSPriority = 7 AND JMSDeliveryMode = 'PERSISTENT' AND JMSTimestamp = 1000 AND JMSExpiration > 1 AND JMSDestination LIKE 'o%'";
    expect(compileSelector(text).matches(closed)).toBe(true);
  });
});

function refusal(text: string): string {
  try {
    compileSelector(text);
  } catch (error) {
    if (error instanceof BrokerError && error.code === "bad-selector") return error.message;
    throw error;
  }
  throw new Error(`it was not refused: ${text}`);
}

const VALUE = "an identifier, a literal or (";
const COMPARISON = "a comparison (=, <>, <, <=, >, >=, BETWEEN, IN, LIKE or IS)";

describe("a selector that cannot be read", () => {
  it.each([
    ["a = 'x' AN b", 9, '"AN"', "AND, OR or the end"],
    ["a AN b", 3, '"AN"', `${COMPARISON}, AND, OR or the end`],
    ["(a = 1", 7, "the end", "AND, OR or )"],
    ["(a + 1 = 2))", 12, '")"', "AND, OR or the end"],
    ["a + 1", 6, "the end", COMPARISON],
    ["5", 2, "the end", COMPARISON],
    ["'x' AND a", 5, '"AND"', COMPARISON],
    ["a AND 5 OR b", 9, '"OR"', COMPARISON],
    ["NOT 5", 6, "the end", COMPARISON],
    ["(5 5) = 1", 4, '"5"', "an operator or )"],
    ["a =", 4, "the end", VALUE],
    ["a = = 1", 5, '"="', VALUE],
    ["a == 1", 4, '"="', VALUE],
    ["a = 1 = 1", 7, '"="', "AND, OR or the end"],
    ["AND a", 1, '"AND"', VALUE],
    ["a = NULL", 5, '"NULL"', VALUE],
    ["a IS 1", 6, '"1"', "NULL or NOT NULL"],
    ["a IS NOT 1", 10, '"1"', "NULL"],
    ["a NOT = 1", 7, '"="', "BETWEEN, IN or LIKE"],
    ["a BETWEEN 1 OR 2", 13, '"OR"', "AND and the upper bound"],
    ["a IN 'x'", 6, "\"'x'\"", "( and a list of literals"],
    ["a IN ()", 7, '")"', "a string or a number"],
    ["a IN ('x' 'y')", 11, "\"'y'\"", ", or )"],
    ["a IN (-'x')", 8, "\"'x'\"", "a number"],
    ["a LIKE b", 8, '"b"', "a pattern in single quotes"],
    ["a LIKE 'x' ESCAPE '!!'", 19, "\"'!!'\"", "one character in single quotes"],
    ["a LIKE 'x!' ESCAPE '!'", 8, "\"'x!'\"", "a character after the escape character at its end"],
    ["a = 'x", 5, '"\'x"', "a closing '"],
    ['"a = 1', 1, '"\\"a = 1"', 'a closing "'],
    ["a = 1 /* x", 7, '"/* x"', "*/ at the end of the comment"],
    ["a = #", 5, '"#"', "an operator or a value"],
    ["a = 5x", 5, '"5x"', "a number"],
    ["a = 08", 5, '"08"', "octal digits after the leading 0"],
    ["a = 1.5L", 5, '"1.5L"', "an integer before the suffix L"],
    ["a = 1e999", 5, '"1e999"', "a number in the range of a double (of a float with F)"],
    ["a = 18446744073709551616", 5, '"18446744073709551616"', "an integer of at most 64 bits"],
    ["xpath '//a'", 1, '"xpath"', "no XPATH: selectors read headers and properties, not the body"],
    ["a OR XQUERY 'x'", 6, '"XQUERY"', "no XQUERY: selectors read headers and properties, not the body"],
    ["hyphenated_props:a = ", 22, "the end", VALUE],
  ])("%s: position %i, found %s", (text, position, found, expected) => {
    expect(refusal(text)).toBe(`Selector, position ${position}: found ${found}, expected ${expected}`);
  });

  it("is shown shortened", () => {
    expect(refusal(`a = '${"x".repeat(100)}`)).toBe(
      `Selector, position 5: found "'${"x".repeat(39)}...", expected a closing '`,
    );
  });

  it("is refused over 16 KiB", () => {
    const text = `a = '${"ü".repeat(8189)}'`;
    expect(compileSelector(text).text).toBe(text);
    expect(refusal(`${text} `)).toBe("The selector has 16385 bytes, the limit is 16384 bytes");
    expect(refusal("(".repeat(100_000))).toContain("has 100000 bytes");
  });

  it.each(["(", "NOT ", "- ", "+ ", "NOT("])("is refused when nested over 100 levels deep with %j", (opening) => {
    const limit = /expected at most 100 levels of brackets, NOT and signs$/;
    expect(refusal(opening.repeat(4000))).toMatch(limit);
    expect(refusal(`1 = ${opening.repeat(4000)}`)).not.toBe("");
  });

  it("may be nested 100 levels deep", () => {
    const text = `${"(".repeat(100)}n = 5${")".repeat(100)}`;
    expect(compileSelector(text).matches(messageWith(() => content))).toBe(true);
    expect(refusal(`(${text})`)).toContain("position 101");
    const side = "NOT (-(-n) = 6) AND ".repeat(200);
    expect(compileSelector(`${side}yes`).matches(messageWith(() => content))).toBe(true);
  });
});

describe("a selector of great length", () => {
  const message = messageWith(() => content);

  it("may chain thousands of conditions", () => {
    const yes = "n OR ".repeat(3000);
    expect(compileSelector(`${yes}yes`).matches(message)).toBe(true);
    const all = "yes AND ".repeat(2000);
    expect(evaluate(`${all}yes`, message)).toBe(true);
    expect(evaluate(`${all}no`, message)).toBe(false);
  });

  it("may chain thousands of operations, and its integers do not grow without end", () => {
    expect(evaluate(`${"n+".repeat(4000)}0 = 20000`, message)).toBe(true);
    expect(evaluate(`${"small*".repeat(2500)}1 > 1e300`, message)).toBe(true);
    const rounded = `${"small*".repeat(60)}1`;
    expect(evaluate(`${rounded} + 1 = ${rounded}`, message)).toBe(true);
    const exact = `${"small*".repeat(50)}1`;
    expect(evaluate(`${exact} + 1 = ${exact}`, message)).toBe(false);
  });

  it("does not search again and again for a hard LIKE pattern", () => {
    const value = "ab".repeat(2000);
    const hard = messageWith(() => ({ ...content, properties: new Map([["p", value]]) }));
    expect(evaluate(`p LIKE '${"%a_".repeat(2000)}c'`, hard)).toBe(false);
    expect(evaluate(`p LIKE '${"%_b".repeat(2000)}'`, hard)).toBe(true);
    expect(evaluate(`p LIKE '${"%ab".repeat(2001)}'`, hard)).toBe(false);
  });
});
