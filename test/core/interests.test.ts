import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { type Grant, type Interest, Interests } from "../../core/sessions/interests.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { parse } from "../support/core-broker.ts";
import { interest } from "../support/core-sessions.ts";

const level = fc.constantFrom("a", "b", "c");
const address = fc
  .tuple(fc.constantFrom("topic" as const, "queue" as const), fc.array(level, { minLength: 1, maxLength: 4 }))
  .map(([kind, levels]) => new Address(kind, levels));
const pattern = fc
  .tuple(
    fc.constantFrom("topic" as const, "queue" as const),
    fc.array(fc.oneof(level, fc.constantFrom("*", "**", "#")), { minLength: 1, maxLength: 4 }),
  )
  .map(([kind, levels]) => canonical.parsePattern(kind, levels.join(".")));
const wanted: fc.Arbitrary<Interest> = fc.record({
  pattern,
  quality: fc.constantFrom(0 as const, 1 as const, 2 as const),
  noLocal: fc.boolean(),
  retainAsPublished: fc.boolean(),
  tag: fc.integer({ min: 0, max: 3 }),
});

function naive(interests: Iterable<Interest>, of: Address): Grant | undefined {
  const matching = [...interests].filter((one) => one.pattern.matches(of));
  if (matching.length === 0) return undefined;
  return {
    quality: matching.some((one) => one.quality === 2) ? 2 : matching.some((one) => one.quality === 1) ? 1 : 0,
    noLocal: matching.every((one) => one.noLocal),
    retainAsPublished: matching.some((one) => one.retainAsPublished),
    tags: [1, 2, 3].filter((tag) => matching.some((one) => one.tag === tag)),
  };
}

describe("the interests of a session", () => {
  it("come to the highest quality and all tags of those that match", () => {
    const interests = new Interests();
    interests.set(interest("topic:a.*", { quality: 0, tag: 7, noLocal: true }));
    interests.set(interest("topic:a.b", { quality: 2, tag: 3 }));
    interests.set(interest("topic:**", { quality: 1, tag: 7, retainAsPublished: true }));
    expect(interests.grantOf(parse("topic:a.b"))).toEqual({
      quality: 2,
      noLocal: false,
      retainAsPublished: true,
      tags: [3, 7],
    });
    expect(interests.grantOf(parse("queue:a.b"))).toBeUndefined();
  });

  it("say whether there was one in the same pattern, and which is the highest", () => {
    const interests = new Interests();
    expect(interests.set(interest("topic:a", { quality: 2, noLocal: true }))).toBe(false);
    expect([interests.highest, interests.someNoLocal]).toEqual([2, true]);
    expect(interests.set(interest("topic:a", { quality: 0 }))).toBe(true);
    expect([interests.highest, interests.someNoLocal, interests.size]).toEqual([0, false, 1]);
    expect(interests.remove(interest("topic:a").pattern)?.quality).toBe(0);
    expect(interests.remove(interest("topic:a").pattern)).toBeUndefined();
  });

  it("grant what looking at each of them one by one would, whatever is set and removed between", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(wanted, pattern), { maxLength: 30 }),
        fc.array(address, { minLength: 1, maxLength: 8 }),
        (steps, addresses) => {
          const interests = new Interests();
          const model = new Map<string, Interest>();
          for (const step of steps) {
            const of = "quality" in step ? step.pattern : step;
            const key = `${of.kind} ${of.text}`;
            if ("quality" in step) {
              expect(interests.set(step)).toBe(model.has(key));
              model.delete(key);
              model.set(key, step);
            } else {
              expect(interests.remove(step)).toBe(model.get(key));
              model.delete(key);
            }
            for (const one of addresses) expect(interests.grantOf(one)).toEqual(naive(model.values(), one));
            expect(interests.highest).toBe(Math.max(0, ...[...model.values()].map(({ quality }) => quality)));
          }
          expect([...interests.all()]).toEqual([...model.values()]);
        },
      ),
      { numRuns: 300 },
    );
  });
});
