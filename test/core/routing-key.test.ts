import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exchangeAddress, routingOf, topicPattern } from "../../core/exchanges/routing-key.ts";

describe("an exchange and a routing key", () => {
  it.each([
    ["", "a.b", "queue", ["a", "b"]],
    ["amq.topic", "a.b", "topic", ["a", "b"]],
    ["amq.topic", "a%2Eb.{*", "topic", ["a.b", "{*"]],
    ["amq.topic", "", "topic", [""]],
    ["x.y", "a.b", "exchange", ["x.y", "a.b"]],
    ["x", "", "exchange", ["x", ""]],
  ])("%j with %j is the %s %j, and the other way round", (exchange, key, kind, levels) => {
    const address = exchangeAddress(exchange, key);
    expect(address).toMatchObject({ kind, levels });
    expect(routingOf(address)).toEqual({ exchange, key });
  });

  it("are the same again for every address they make", () => {
    const text = fc.string({ maxLength: 12, unit: fc.constantFrom("a", ".", "%", "2", "E", "*", "#", "{", ",", "é") });
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom("", "amq.topic"), text), text, (exchange, key) => {
        const address = exchangeAddress(exchange, key);
        const routing = routingOf(address);
        expect(exchangeAddress(routing.exchange, routing.key)).toEqual(address);
      }),
    );
  });

  it("bound with wildcards are a pattern of topics", () => {
    expect(topicPattern("a.*.#").matches(exchangeAddress("amq.topic", "a.b"))).toBe(true);
    expect(topicPattern("a.*.#").matches(exchangeAddress("amq.topic", "a"))).toBe(false);
    expect(topicPattern("#").matches(exchangeAddress("amq.topic", ""))).toBe(true);
    expect(topicPattern("a*").matches(exchangeAddress("amq.topic", "ab"))).toBe(false);
  });
});
