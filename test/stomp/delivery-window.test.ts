import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Delivery } from "../../core/protocol.ts";
import { DeliveryWindow } from "../../protocols/stomp/delivery-window.ts";
import { delivery } from "./fake-core.ts";

describe("the window of deliveries that wait for an ACK", () => {
  it("does what a plain map would do", () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant("add" as const), count: fc.integer({ min: 1, max: 40 }) }) },
      fc.record({ do: fc.constantFrom("take" as const, "takeUpTo" as const), tag: fc.integer({ min: 0, max: 300 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const window = new DeliveryWindow();
        const model = new Map<number, Delivery>();
        let last = 0;
        for (const next of steps) {
          if (next.do === "add") {
            for (let i = 0; i < next.count; i++) {
              const added = delivery();
              model.set(++last, added);
              expect(window.add(added)).toBe(last);
            }
          } else if (next.do === "take") {
            expect(window.has(next.tag)).toBe(model.has(next.tag));
            expect(window.take(next.tag)).toBe(model.get(next.tag));
            model.delete(next.tag);
          } else {
            const taken: number[] = [];
            window.takeUpTo(next.tag, (_, tag) => taken.push(tag));
            const expected = [...model.keys()].filter((tag) => tag <= next.tag);
            expect(taken).toEqual(expected);
            for (const tag of expected) model.delete(tag);
          }
        }
      }),
    );
  });

  it("keeps what was left behind when its ring is full", () => {
    const window = new DeliveryWindow();
    const [first, second] = [delivery(), delivery()];
    window.add(first);
    window.add(second);
    for (let tag = 3; tag <= 200_000; tag++) {
      window.add(delivery());
      window.take(tag);
    }
    const late = delivery();
    const tag = window.add(late);
    expect(window.has(1)).toBe(true);
    const taken: Delivery[] = [];
    window.takeUpTo(1, (each) => taken.push(each));
    expect(taken).toEqual([first]);
    window.takeUpTo(tag, (each) => taken.push(each));
    expect(taken).toEqual([first, second, late]);
    expect(window.has(1)).toBe(false);
  });
});
