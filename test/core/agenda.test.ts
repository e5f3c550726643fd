import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Agenda } from "../../core/time/agenda.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function agenda(clock: VirtualClock, failsAt?: string) {
  const done: { item: string; at: number }[] = [];
  let runs = 0;
  const start = clock.now();
  const due = (item: string): void => {
    done.push({ item, at: clock.now() - start });
    if (item === failsAt) throw new Error("broken");
  };
  const made = new Agenda<string>(clock, due, () => runs++);
  return { agenda: made, done, start, runs: () => runs };
}

describe("an agenda", () => {
  it("does everything at its time and in order of time, whatever the order in which it came", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 60 }), (times) => {
        const clock = new VirtualClock();
        const { agenda: made, done, start } = agenda(clock);
        for (const time of times) made.add(start + time, String(time));
        clock.advance(10_000);
        expect(done).toEqual(times.toSorted((a, b) => a - b).map((at) => ({ item: String(at), at })));
        expect(made.size).toBe(0);
      }),
    );
  });

  it("does in the order in which it came what is to be done at the same time", () => {
    const clock = new VirtualClock();
    const { agenda: made, done, start } = agenda(clock);
    const items = Array.from({ length: 3000 }, (_, i) => String(i));
    for (const item of items) made.add(start + 10, item);
    clock.advance(10);
    expect(done.map(({ item }) => item)).toEqual(items);
  });

  it("does at once what is overdue", () => {
    const clock = new VirtualClock();
    const { agenda: made, done, start } = agenda(clock);
    made.add(start - 5000, "late");
    clock.advance(0);
    expect(done).toEqual([{ item: "late", at: 0 }]);
  });

  it("does what comes sooner first, even after it began to wait for something later", () => {
    const clock = new VirtualClock();
    const { agenda: made, done, start } = agenda(clock);
    made.add(start + 500, "later");
    clock.advance(100);
    made.add(start + 200, "sooner");
    clock.advance(400);
    expect(done.map(({ at }) => at)).toEqual([200, 500]);
  });

  it("waits for days, though timers do not reach that far", () => {
    const clock = new VirtualClock();
    const { agenda: made, done, start } = agenda(clock);
    const days = 3 * 24 * 60 * 60 * 1000;
    made.add(start + days, "far");
    clock.advance(days - 1);
    expect(done).toEqual([]);
    clock.advance(1);
    expect(done).toEqual([{ item: "far", at: days }]);
  });

  it("does very much that is due at once in several turns", () => {
    const clock = new VirtualClock();
    const { agenda: made, done, start, runs } = agenda(clock);
    for (let i = 0; i < 2500; i++) made.add(start + 10, String(i));
    clock.advance(10);
    expect(done.length).toBe(2500);
    expect(runs()).toBe(3);
  });

  it("gives out what comes first to whoever cannot wait", () => {
    const clock = new VirtualClock();
    const { agenda: made, done, start } = agenda(clock);
    for (const time of [30, 10, 20]) made.add(start + time, String(time));
    expect([made.takeFirst(), made.takeFirst(), made.size]).toEqual(["10", "20", 1]);
    clock.advance(100);
    expect(done).toEqual([{ item: "30", at: 30 }]);
    expect(made.takeFirst()).toBe(undefined);
  });

  it("forgets everything when it is told to, and goes on with what comes after", () => {
    const clock = new VirtualClock();
    const { agenda: made, done, start } = agenda(clock);
    made.add(start + 10, "forgotten");
    made.clear();
    made.add(start + 20, "kept");
    clock.advance(100);
    expect(done).toEqual([{ item: "kept", at: 20 }]);
  });

  it("goes on with the rest after something failed", () => {
    const clock = new VirtualClock();
    const { agenda: made, done, start } = agenda(clock, "2");
    for (const time of [1, 2, 3]) made.add(start + time, String(time));
    expect(() => clock.advance(10)).toThrow("broken");
    clock.advance(10);
    expect(done.map(({ item }) => item)).toEqual(["1", "2", "3"]);
  });

  it("goes on with the rest after what follows its work failed", () => {
    const clock = new VirtualClock();
    const done: string[] = [];
    const made = new Agenda<string>(
      clock,
      (item) => done.push(item),
      () => {
        if (done.length === 1) throw new Error("broken");
      },
    );
    for (const time of [1, 2]) made.add(clock.now() + time, String(time));
    expect(() => clock.advance(10)).toThrow("broken");
    clock.advance(10);
    expect(done).toEqual(["1", "2"]);
  });
});
