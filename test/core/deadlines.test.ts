import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Deadlines } from "../../core/time/deadlines.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const step = fc.oneof(
  fc.record({ do: fc.constant("set" as const), key: fc.constantFrom("a", "b"), inMs: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ do: fc.constant("delete" as const), key: fc.constantFrom("a", "b") }),
  fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 30 }) }),
);

function inOrder(list: [string, number][]): string[] {
  return list.map(String).sort();
}

describe("deadlines", () => {
  it("come once for each key, at the time that was set last, unless called off", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const clock = new VirtualClock();
        const came: [string, number][] = [];
        const deadlines = new Deadlines(clock, (key) => came.push([key, clock.now()]));
        const expected: [string, number][] = [];
        const due = new Map<string, number>();
        for (const now of steps) {
          if (now.do === "set") {
            deadlines.set(now.key, clock.now() + now.inMs);
            due.set(now.key, clock.now() + now.inMs);
          } else if (now.do === "delete") {
            deadlines.delete(now.key);
            due.delete(now.key);
          } else {
            clock.advance(now.ms);
            for (const [key, time] of due) {
              if (time > clock.now()) continue;
              expected.push([key, time]);
              due.delete(key);
            }
          }
        }
        expect(inOrder(came)).toEqual(inOrder(expected));
      }),
      { numRuns: 500 },
    );
  });

  it("have few appointments, however often they are moved", () => {
    const clock = new VirtualClock();
    let timers = 0;
    const counting = {
      now: () => clock.now(),
      endOfTurn: (task: () => void) => clock.endOfTurn(task),
      after: (ms: number, task: () => void) =>
        clock.after(ms, () => {
          timers++;
          task();
        }),
    };
    const deadlines = new Deadlines(counting, () => {});
    for (let i = 0; i < 1000; i++) {
      deadlines.set("a", clock.now() + 10_000);
      deadlines.delete("a");
      clock.advance(10);
    }
    clock.advance(100_000);
    expect(timers).toBeLessThanOrEqual(3);
  });
});
