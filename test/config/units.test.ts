import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nearest } from "../../src/config/nearest.ts";
import { formatQuantity, parseQuantity } from "../../src/config/units.ts";

describe("sizes and durations", () => {
  it.each([
    ["64k", 65_536],
    ["10m", 10_485_760],
    ["1g", 1_073_741_824],
    ["1.5K", 1536],
    ["2MB", 2_097_152],
    ["7b", 7],
    ["123", 123],
    [123, 123],
    [0, 0],
  ])("reads the size %j as %d bytes", (given, bytes) => {
    expect(parseQuantity("bytes", given)).toBe(bytes);
  });

  it.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["1.5s", 1500],
    ["250", 250],
    [250, 250],
  ])("reads the duration %j as %d milliseconds", (given, ms) => {
    expect(parseQuantity("ms", given)).toBe(ms);
  });

  it.each([
    "",
    "k",
    "-1",
    "1 k",
    "1kk",
    "5x",
    "1e3",
    ".5k",
    "99999999999g",
    "0x10",
    -1,
    1.5,
    Number.NaN,
    true,
    null,
    undefined,
  ])("takes %j for neither", (given) => {
    expect(parseQuantity("bytes", given)).toBeUndefined();
    expect(parseQuantity("ms", given)).toBeUndefined();
  });

  it("keep their value when they are written with a unit and read again", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("bytes" as const, "ms" as const),
        fc.maxSafeNat(),
        fc.integer({ min: 0, max: 40 }),
        (unit, n, zeros) => {
          const quantity = Math.min(n * 2 ** zeros, Number.MAX_SAFE_INTEGER);
          expect(parseQuantity(unit, formatQuantity(unit, quantity))).toBe(quantity);
        },
      ),
    );
  });

  it("are written with the largest unit that fits", () => {
    expect([formatQuantity("bytes", 65_536), formatQuantity("bytes", 65_537)]).toEqual(["64k", "65537"]);
    expect([formatQuantity("ms", 90_000), formatQuantity("ms", 1500), formatQuantity("ms", 0)]).toEqual([
      "90s",
      "1500ms",
      "0",
    ]);
  });
});

describe("a suggestion", () => {
  it.each([
    ["stmp", "stomp"],
    ["STOMP", "stomp"],
    ["sotmp", "stomp"],
    ["listner", "listeners"],
    ["prot", "port"],
  ])("for %s is %s", (word, meant) => {
    expect(nearest(word, ["broker", "listeners", "stomp", "port", "host"])).toBe(meant);
  });

  it("is not made when nothing is near", () => {
    expect(nearest("banana", ["broker", "listeners", "stomp"])).toBeUndefined();
    expect(nearest("x", ["port"])).toBeUndefined();
  });
});
