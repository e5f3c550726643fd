import { assert, constant, integer, nat, oneof, array, property, record } from "fast-check";
import { describe, expect, it } from "vitest";
import type { Delivery } from "../../core/protocol.ts";
import { type Recipient, Unacked } from "../../protocols/amqp091/unacked.ts";

const RECIPIENTS: readonly Recipient[] = [
  { core: undefined, counted: true },
  { core: undefined, counted: false },
];

function delivery(sequence: number): Delivery {
  return { message: undefined, size: 1, deliveries: 0, sequence };
}

const action = oneof(
  record({ do: constant("add" as const), count: integer({ min: 1, max: 40 }), recipient: nat(1) }),
  record({ do: constant("skip" as const), count: integer({ min: 1, max: 40 }) }),
  record({ do: constant("take" as const), at: nat(200) }),
  record({ do: constant("take-up-to" as const), at: nat(200) }),
  record({ do: constant("take-and-restore" as const), at: nat(200) }),
);

describe("deliveries that wait for their acknowledgements", () => {
  it("are found by their tags, and taken in order", () => {
    assert(
      property(array(action, { maxLength: 60 }), (actions) => {
        const unacked = new Unacked();
        const model = new Map<number, Delivery>();
        let last = 0;
        for (const step of actions) {
          if (step.do === "add") {
            for (let count = 0; count < step.count; count++) {
              const added = delivery(last + 1);
              expect(unacked.add(RECIPIENTS[step.recipient] ?? expect.fail(), added)).toBe(++last);
              model.set(last, added);
            }
          } else if (step.do === "skip") {
            for (let count = 0; count < step.count; count++) expect(unacked.skip()).toBe(++last);
          } else if (step.do === "take") {
            expect(unacked.has(step.at)).toBe(model.has(step.at));
            expect(unacked.take(step.at)).toBe(model.get(step.at));
            if (model.delete(step.at)) expect(unacked.tag).toBe(step.at);
          } else {
            const taken = [];
            for (;;) {
              const found = unacked.takeOldest(step.at);
              if (found === undefined) break;
              taken.push({ tag: unacked.tag, recipient: unacked.recipient ?? expect.fail(), delivery: found });
            }
            const expected = [...model].filter(([tag]) => tag <= step.at).sort(([a], [b]) => a - b);
            expect(taken.map(({ tag, delivery: found }) => [tag, found])).toEqual(expected);
            if (step.do === "take-and-restore") unacked.restore(taken);
            else for (const [tag] of expected) model.delete(tag);
          }
          expect(unacked.count).toBe(model.size);
          expect(unacked.last).toBe(last);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("that are very old do not keep room for all that came since", () => {
    const unacked = new Unacked();
    const [recipient] = RECIPIENTS;
    if (recipient === undefined) return;
    const oldest = [unacked.add(recipient, delivery(1)), unacked.add(recipient, delivery(2))];
    for (let count = 0; count < 200_000; count++) unacked.take(unacked.add(recipient, delivery(count)));
    for (let count = 0; count < 200_000; count++) unacked.skip();
    expect(unacked.count).toBe(2);
    expect(oldest.map((tag) => unacked.has(tag))).toEqual([true, true]);
    expect(unacked.takeOldest(unacked.last)?.sequence).toBe(1);
    expect(unacked.takeOldest(unacked.last)?.sequence).toBe(2);
    expect(unacked.takeOldest(unacked.last)).toBeUndefined();
  });
});
