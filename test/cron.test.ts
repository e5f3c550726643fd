import { describe, expect, test } from "vitest";
import { parseCron } from "../src/cron.ts";

/** Milliseconds of a local time. */
function local(month: number, day: number, hour: number, minute: number): number {
  return new Date(2026, month - 1, day, hour, minute).getTime();
}

describe("cron expressions", () => {
  test.each([
    ["*/5 * * * *", local(3, 1, 10, 2), local(3, 1, 10, 5)],
    ["*/5 * * * *", local(3, 1, 10, 5), local(3, 1, 10, 10)],
    ["30 8 * * *", local(3, 1, 10, 0), local(3, 2, 8, 30)],
    ["0 9-17 * * MON-FRI", local(3, 6, 17, 0), local(3, 9, 9, 0)],
    ["0 0 13 * 5", local(3, 1, 0, 0), local(3, 6, 0, 0)],
    ["0 0 29 2 *", local(3, 1, 0, 0), new Date(2028, 1, 29).getTime()],
    ["  0   12 1 1  * ", local(3, 1, 0, 0), new Date(2027, 0, 1, 12).getTime()],
    ["@daily", local(3, 1, 10, 0), local(3, 2, 0, 0)],
  ])("%s comes next, in local time, strictly after a time", (expression, after, next) => {
    expect(parseCron(expression).next(after)).toBe(next);
  });

  test("one that never comes due has no next time", () => {
    expect(parseCron("0 0 30 2 *").next(local(1, 1, 0, 0))).toBeUndefined();
  });

  test.each([
    ["", /has no fields, expected five/],
    ["* * * *", /has 4 fields, expected five/],
    ["* * * * * *", /has 6 fields, expected five/],
    ["2030-01-01T00:00:00", /has 1 fields, expected five/],
    ["61 * * * *", /cannot be read: Invalid value for minute: 61/],
    ["a b c d e", /cannot be read: /],
    ["@never", /cannot be read: /],
  ])("%j is refused with a sentence", (expression, sentence) => {
    expect(() => parseCron(expression)).toThrow(sentence);
  });
});
