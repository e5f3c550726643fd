import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Address, type AddressKind } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import { formatAddress, parseSource, parseTarget } from "../../protocols/stomp/destination.ts";

const temporary = (kind: AddressKind, name: string): Address => new Address(kind, ["temp", "me", name]);

const TARGETS: readonly (readonly [string, ...string[]])[] = [
  ["/queue/a.b", "queue a.b"],
  ["/topic/a.b", "topic a.b"],
  ["queue://a.b", "queue a.b"],
  ["topic://a.b", "topic a.b"],
  ["a.b", "queue a.b"],
  ["/amq/queue/a.b", "queue a.b"],
  ["/exchange/amq.topic/a.b", "topic a.b"],
  ["/temp-queue/x", "queue temp.me.x"],
  ["/temp-topic/x", "topic temp.me.x"],
  ["/queue/a/b", "queue a/b"],
  ["/queue/a%2Cb", "queue a%2Cb"],
  ["/queue/a,/topic/b,c", "queue a", "topic b", "queue c"],
];

describe("STOMP destinations", () => {
  it.each(TARGETS)("sends %s to %s", (text, ...expected) => {
    expect(parseTarget(text, temporary).map(({ kind, name }) => `${kind} ${name}`)).toEqual(expected);
  });

  it.each([
    ["/nowhere/a", /begins with none of/],
    ["/queue/", /no name after \/queue\//],
    ["", /is empty/],
    ["/queue/a,", /is empty/],
    ["/dsub/x", /cannot be sent to/],
    ["/exchange/amq.direct/k", /no exchange "amq.direct"/],
    ["/exchange/amq.topic", /no routing key/],
    ["/queue/a.*", /./],
  ])("refuses to send to %s", (text, reason) => {
    expect(() => parseTarget(text, temporary)).toThrow(BrokerError);
    expect(() => parseTarget(text, temporary)).toThrow(reason);
  });

  it("gives back every address it spells", () => {
    const level = fc.string({ unit: "grapheme", maxLength: 8 }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(
        fc.constantFrom<AddressKind>("queue", "topic"),
        fc.array(level, { minLength: 1, maxLength: 5 }),
        (kind, levels) => {
          const address = new Address(kind, levels);
          fc.pre(address.name !== "");
          const [back, ...others] = parseTarget(formatAddress(address), temporary);
          expect(others).toEqual([]);
          expect([back?.kind, back?.levels]).toEqual([kind, levels]);
        },
      ),
    );
  });

  it("subscribes to wildcards, and to regular expressions with commas in them", () => {
    const { patterns } = parseSource("/topic/a.*.**,/queue/{[0-9]{1,2}}", temporary);
    expect(patterns.map(({ kind, text }) => `${kind} ${text}`)).toEqual(["topic a.*.**", "queue {[0-9]{1,2}}"]);
  });

  it("attaches to a durable subscription by its name", () => {
    expect(parseSource("/dsub/my.name", temporary)).toEqual({ patterns: [], attachDurable: "my.name" });
    expect(() => parseSource("/dsub/x,/topic/a", temporary)).toThrow(/part of a composite/);
  });
});
