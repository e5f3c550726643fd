/** A number of bytes. In a configuration also written `64k`, `10m`, `1g` (powers of 1024). */
export type Bytes = number;

/** A number of milliseconds. In a configuration also written `500ms`, `30s`, `5m`, `1h`, `1d`. */
export type Milliseconds = number;

/** Which of the two a setting is. */
export type Unit = "bytes" | "ms";

const UNITS: Readonly<Record<Unit, readonly (readonly [suffix: string, factor: number])[]>> = {
  bytes: [
    ["g", 1024 ** 3],
    ["m", 1024 ** 2],
    ["k", 1024],
    ["b", 1],
  ],
  ms: [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
    ["ms", 1],
  ],
};

/** What a setting with this unit looks like in words, for error texts. */
export const UNIT_WORDS: Readonly<Record<Unit, string>> = {
  bytes: "a size such as 64k, 10m or 1g, or a number of bytes",
  ms: "a duration such as 500ms, 30s, 5m or 1h, or a number of milliseconds",
};

/** The same as a regular expression, for editors. */
export const UNIT_PATTERNS: Readonly<Record<Unit, string>> = {
  bytes: "^[0-9]+(\\.[0-9]+)?([kKmMgG][bB]?|[bB])?$",
  ms: "^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)?$",
};

/** Reads a size or a duration; undefined when it is none. Parts of a byte or a millisecond are rounded. */
export function parseQuantity(unit: Unit, given: unknown): number | undefined {
  if (typeof given === "number") return Number.isSafeInteger(given) && given >= 0 ? given : undefined;
  if (typeof given !== "string" || !new RegExp(UNIT_PATTERNS[unit]).test(given)) return undefined;
  const digits = /^[0-9.]+/.exec(given)?.[0] ?? "";
  let suffix = given.slice(digits.length);
  if (unit === "bytes") suffix = suffix.toLowerCase().replace(/(?<=.)b$/, "");
  const factor = suffix === "" ? 1 : UNITS[unit].find(([name]) => name === suffix)?.[1];
  const quantity = Math.round(Number(digits) * (factor ?? Number.NaN));
  return Number.isSafeInteger(quantity) ? quantity : undefined;
}

/** The shortest exact way to write a quantity; `parseQuantity` reads it back. */
export function formatQuantity(unit: Unit, quantity: number): string {
  if (quantity === 0) return "0";
  for (const [suffix, factor] of UNITS[unit]) {
    if (quantity % factor === 0)
      return unit === "bytes" && factor === 1 ? `${quantity}` : `${quantity / factor}${suffix}`;
  }
  return `${quantity}`;
}
