import { describe, expect, it } from "vitest";
import {
  headerBit,
  headerNumber,
  identifyHeader,
  KNOWN_HEADERS,
  LAST_BIT,
} from "../../protocols/stomp/header-names.ts";
import { TIMING_HEADERS, TRAIT_BITS } from "../../protocols/stomp/traits.ts";

const OF_SEND = ["message_group", "JMSXGroupID", "JMSXGroupSeq", "duplicate-id", "_AMQ_DUPL_ID", ...TIMING_HEADERS];

describe("the names of headers", () => {
  it("that a SEND may have for its traits have a bit each, none of them shared", () => {
    const bits = TIMING_HEADERS.map((name) => headerBit(name));
    expect(new Set(bits).size).toBe(TIMING_HEADERS.length);
    for (const bit of bits) expect(bit & TRAIT_BITS).toBe(bit);
    expect(OF_SEND.length).toBe(11);
    let count = 0;
    for (let bit = 0; bit <= LAST_BIT; bit++) if ((TRAIT_BITS & (1 << bit)) !== 0) count++;
    expect(count).toBe(11);
    expect(TRAIT_BITS & (1 << (LAST_BIT + 1))).toBe(0);
  });

  it("are found by their bytes, and by nothing else", () => {
    for (const name of [...OF_SEND, "browser", "include-seq", "x-priority"]) {
      const bytes = Buffer.from(`:${name}:`);
      const number = identifyHeader(bytes, 1, bytes.length - 1);
      expect([name, number >= 0 && number < KNOWN_HEADERS]).toEqual([name, true]);
      expect(identifyHeader(bytes, 1, bytes.length - 2)).not.toBe(number);
      expect(identifyHeader(Buffer.from(name.toUpperCase().replace("AMQ", "amq")), 0, name.length)).not.toBe(number);
    }
    expect(identifyHeader(Buffer.from("delay"), 0, 5)).toBe(headerNumber("delay"));
  });

  it("of a SUBSCRIBE have no bit of their own", () => {
    for (const name of ["from-seq", "include-seq", "exclusive", "x-priority"] as const) {
      expect(() => headerBit(name)).toThrow(/no bit of its own/);
    }
  });
});
