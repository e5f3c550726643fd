import { BrokerError } from "../errors.ts";
import type { Message, PropertyValue } from "../message.ts";

const MODES = ["all", "any", "all-with-x", "any-with-x"] as const;

/** What a binding of a headers exchange asks of a message. */
export class HeaderMatch {
  private readonly any: boolean;
  /** A value of null asks for the property alone. */
  private readonly wanted: readonly (readonly [string, PropertyValue])[];

  /** Throws BrokerError("bad-request") when `x-match` is none that is known. */
  constructor(given: ReadonlyMap<string, PropertyValue>) {
    const mode = given.get("x-match") ?? "all";
    if (!MODES.some((known) => known === mode)) {
      throw new BrokerError(
        "bad-request",
        `Invalid x-match field value '${String(mode)}'; expected ${MODES.join(", ")}`,
      );
    }
    this.any = mode === "any" || mode === "any-with-x";
    const withX = mode === "all-with-x" || mode === "any-with-x";
    this.wanted = Array.from(given).filter(([name]) => name !== "x-match" && (withX || !name.startsWith("x-")));
  }

  /** Whether a message has what is asked for: all of it, or any. */
  test(message: Message): boolean {
    const { wanted, any } = this;
    if (wanted.length === 0) return !any;
    const { properties } = message.content;
    for (let i = 0; i < wanted.length; i++) {
      const pair = wanted[i];
      if (pair === undefined) continue;
      const found = properties.get(pair[0]);
      const fits = found !== undefined && (pair[1] === null || isSame(found, pair[1]));
      if (fits === any) return any;
    }
    return !any;
  }
}

/** Numbers are the same whatever their width; nothing else is the same as what is of another type. */
function isSame(a: PropertyValue, b: PropertyValue): boolean {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (typeof a === "bigint" && typeof b === "number") return a === toBigInt(b);
  if (typeof b === "bigint" && typeof a === "number") return b === toBigInt(a);
  return a === b;
}

function toBigInt(value: number): bigint | undefined {
  return Number.isInteger(value) ? BigInt(value) : undefined;
}
