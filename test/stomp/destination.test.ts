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
  ["/exchange/amq.direct/k.l", "exchange amq%2Edirect.k%2El"],
  ["/exchange/x/k/l", "exchange x.k/l"],
  ["/exchange/x%2Fy/k", "exchange x/y.k"],
  ["/exchange/x/", "exchange x."],
  ["/exchange/x", "exchange x."],
  ["/exchange/x/a.*", "exchange x.a%2E%2A"],
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
    ["/exchange//k", /names no exchange/],
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
        fc.constantFrom<AddressKind>("queue", "topic", "exchange"),
        fc.array(level, { minLength: 1, maxLength: 5 }),
        (kind, all) => {
          const levels = kind === "exchange" ? [all[0] ?? "", all[1] ?? ""] : all;
          const address = new Address(kind, levels);
          // Of no exchange is the name empty in an address, and amq.topic leads to topics.
          fc.pre(address.name !== "");
          fc.pre(kind !== "exchange" || !["", "amq.topic"].includes(levels[0] ?? ""));
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

  it("subscribes to what an exchange leads on with a key, which has no wildcards of its own", () => {
    const [pattern] = parseSource("/exchange/x/a.*", temporary).patterns;
    expect(pattern?.address).toMatchObject({ kind: "exchange", levels: ["x", "a.*"] });
  });

  it("attaches to a durable subscription by its name", () => {
    expect(parseSource("/dsub/my.name", temporary)).toEqual({ patterns: [], attachDurable: "my.name" });
    expect(() => parseSource("/dsub/x,/topic/a", temporary)).toThrow(/part of a composite/);
  });
});
