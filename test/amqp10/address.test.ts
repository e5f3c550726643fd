import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Address, type AddressKind } from "../../core/addresses/address.ts";
import { formatAddress, kindOf, parseSource, parseTarget } from "../../protocols/amqp10/address.ts";

const temporary = (kind: AddressKind, name: string): Address => new Address(kind, ["temp", "me", name]);

function targets(text: string, plain: AddressKind = "queue"): string[] {
  return parseTarget(text, plain, temporary).map(({ kind, name }) => `${kind} ${name}`);
}

describe("addresses of AMQP 1.0", () => {
  it.each([
    ["a.b", "queue a.b"],
    ["queue://a.b", "queue a.b"],
    ["/queue/a.b", "queue a.b"],
    ["/amq/queue/a.b", "queue a.b"],
    ["topic://a.b", "topic a.b"],
    ["/topic/a.b", "topic a.b"],
    ["/exchange/amq.topic/a.b", "topic a.b"],
    ["/exchanges/amq.topic/a.b", "topic a.b"],
    ["/queues/a%2Fb.c", "queue a/b.c"],
    ["/queues/%2A", "queue %2A"],
    ["/exchange/logs/error/disk", "exchange logs.error/disk"],
    ["/exchanges/my%20logs/a.b", "exchange my logs.a%2Eb"],
    ["/exchanges/logs", "exchange logs."],
    ["/exchange/logs", "exchange logs."],
    ["temp-queue://x", "queue temp.me.x"],
    ["/temp-topic/x", "topic temp.me.x"],
  ])("%s is sent to as %s", (text, expected) => {
    expect(targets(text)).toEqual([expected]);
  });

  it("that are plain names are what they are said to be", () => {
    expect(targets("a.b", "topic")).toEqual(["topic a.b"]);
    expect(targets("queue://a.b", "topic")).toEqual(["queue a.b"]);
    expect(kindOf(["x", "topic"])).toBe("topic");
    expect(kindOf(["temporary-queue"])).toBe("queue");
    expect(kindOf(["shared"])).toBeUndefined();
    expect(kindOf(undefined)).toBeUndefined();
  });

  it("may be composite, of any kinds", () => {
    expect(targets("a,topic://b,/queues/c")).toEqual(["queue a", "topic b", "queue c"]);
  });

  it("may have wildcards to receive from, but not to send to", () => {
    const { patterns } = parseSource("topic://a.*,queue://b.{[0-9,]+}", "queue", temporary);
    expect(patterns.map(({ kind, text }) => `${kind} ${text}`)).toEqual(["topic a.*", "queue b.{[0-9,]+}"]);
    expect(() => targets("topic://a.*")).toThrow(/wildcard/);
    const bound = parseSource("/exchange/amq.topic/a.*.#", "queue", temporary);
    expect(bound.patterns.map(({ kind, text }) => `${kind} ${text}`)).toEqual(["topic a.**"]);
  });

  it("have no wildcards where they are percent-encoded", () => {
    expect(parseSource("/queues/a.*", "queue", temporary).patterns[0]?.address?.levels).toEqual(["a", "*"]);
  });

  it("name durable subscriptions to receive from, alone", () => {
    expect(parseSource("dsub://mine", "queue", temporary)).toEqual({ patterns: [], attachDurable: "mine" });
    expect(() => parseSource("a,dsub://mine", "queue", temporary)).toThrow(/cannot be part of a composite/);
    expect(() => targets("/dsub/mine")).toThrow(/cannot be sent to/);
  });

  it.each([
    ["", /is empty/],
    ["a,", /is empty/],
    ["queue://", /has no name after queue:/],
    ["/queues/%zz", /is not percent-encoded/],
    ["/exchanges/a/b/c", /as %2F/],
  ])('"%s" is refused', (text, message) => {
    expect(() => targets(text)).toThrow(message);
  });

  it("are written so that they are read as the same, whatever a plain name is", () => {
    const level = fc.string({ unit: "grapheme", maxLength: 8 });
    const levels = fc.array(level, { minLength: 1, maxLength: 4 }).filter(([first]) => first !== "");
    const kind = fc.constantFrom<AddressKind>("queue", "topic");
    fc.assert(
      fc.property(kind, levels, (ofKind, names) => {
        const address = new Address(ofKind, names);
        const text = formatAddress(address);
        fc.pre(!text.endsWith("://"));
        expect(parseTarget(text, "topic", temporary)).toEqual([address]);
      }),
    );
    const name = level.filter((text) => text !== "" && text !== "amq.topic");
    fc.assert(
      fc.property(name, level, (exchange, key) => {
        const address = new Address("exchange", [exchange, key]);
        expect(parseTarget(formatAddress(address), "queue", temporary)).toEqual([address]);
      }),
    );
  });
});
