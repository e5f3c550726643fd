import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonical } from "../../core/addresses/spelling.ts";
import type { Store } from "../../core/store.ts";
import { LmdbStore } from "../../store/lmdb/store.ts";
import { testFormats, testStore } from "../support/core-broker.ts";
import { imbalance, ScheduleHarness } from "../support/core-schedule.ts";
import { temporaryDirectory } from "../support/store-harness.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

type Step =
  | { readonly do: "add"; readonly due: number; readonly period: number; readonly repeats: number; readonly to: number }
  | { readonly do: "expiring"; readonly due: number; readonly expires: number }
  | { readonly do: "cancel"; readonly pick: number }
  | { readonly do: "cancel all" | "full" | "free"; readonly to: number }
  | { readonly do: "advance" | "restart"; readonly ms: number };

function weighted<const T>(weight: number, model: { [K in keyof T]: fc.Arbitrary<T[K]> }) {
  return { weight, arbitrary: fc.record(model) };
}

const ms = fc.oneof(fc.nat(50), fc.nat(3000));
const to = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  weighted(10, {
    do: fc.constant("add"),
    due: ms,
    period: fc.integer({ min: 1, max: 900 }),
    repeats: fc.constantFrom(0, 0, 0, 1, 2, 5, -1),
    to,
  }),
  weighted(2, { do: fc.constant("expiring"), due: ms, expires: ms }),
  weighted(4, { do: fc.constant("cancel"), pick: fc.nat() }),
  weighted(1, { do: fc.constantFrom("cancel all", "full", "free", "free"), to }),
  weighted(6, { do: fc.constant("advance"), ms }),
  weighted(1, { do: fc.constant("restart"), ms }),
);

/** One message as the model has it, in milliseconds since the start. */
interface Waiting {
  readonly id: string;
  readonly body: string;
  readonly to: number;
  readonly periodMs: number;
  readonly expiresAt: number;
  due: number;
  remaining: number;
}

/** The simplest thing that could be right: on time, but for what a full target or the catch-up may make late. */
class Model {
  readonly h: ScheduleHarness;
  private readonly waiting = new Map<string, Waiting>();
  private readonly ids: string[] = [];
  private readonly full = new Set<number>();
  /** Until then deliveries may be late: a target was full, or the broker catches up. */
  private calmAt = 0;
  private seen = 0;
  private bodies = 0;

  constructor(h: ScheduleHarness) {
    this.h = h;
  }

  async run(one: Step, store: () => Store): Promise<void> {
    switch (one.do) {
      case "add":
      case "expiring":
        return this.add(one);
      case "cancel":
        return this.cancel(this.ids[one.pick % Math.max(this.ids.length, 1)]);
      case "cancel all":
        return this.cancelAll(one.to);
      case "full":
        this.full.add(one.to);
        this.h.full.add(`queue:q${one.to}`);
        return;
      case "free":
        if (this.full.delete(one.to)) this.calmAt = Math.max(this.calmAt, this.h.now + 2000);
        this.h.full.delete(`queue:q${one.to}`);
        return;
      case "advance":
        this.h.advance(one.ms);
        return this.check();
      case "restart":
        await this.h.restart(one.ms, store());
        this.calmAt = Math.max(this.calmAt, this.h.now + 2000);
        return this.check();
    }
  }

  /** Everything that was delivered was due, everything that had to be is delivered, and the rest is listed. */
  check(): void {
    this.h.advance(0);
    for (const line of this.h.delivered.slice(this.seen)) this.delivered(line);
    this.seen = this.h.delivered.length;
    const now = this.h.now;
    const listed = this.h.schedule.list({ limit: 1e6 });
    const ids = new Set(listed.map(({ id }) => id));
    for (const one of this.waiting.values()) {
      if (one.due > now) continue;
      const onTime = !this.full.has(one.to) && this.calmAt <= one.due;
      if (!ids.has(one.id) && one.expiresAt > 0 && one.expiresAt <= (onTime ? one.due : now))
        this.waiting.delete(one.id);
      else if (now >= this.calmAt && !this.full.has(one.to))
        expect(`${one.body} due ${one.due}`).toBe(`gone by ${now}`);
    }
    expect(ids).toEqual(new Set(this.waiting.keys()));
    expect(imbalance(this.h.schedule)).toBe(0);
    expect(this.h.schedule.count).toBe(listed.length);
    for (const { id, remaining, deliverAt, bytes } of listed) {
      const one = this.waiting.get(id);
      expect({ remaining, due: deliverAt - this.h.clock.now() + now }).toEqual({
        remaining: one?.remaining,
        due: one?.due,
      });
      expect(this.h.schedule.get(id)?.size).toBe(bytes);
    }
    expect(this.h.schedule.bytes).toBe(listed.reduce((sum, { bytes }) => sum + bytes, 0));
  }

  private add(one: Step & { readonly do: "add" | "expiring" }): void {
    const body = `m${++this.bodies}`;
    const plain = one.do === "expiring";
    const [periodMs, repeats, target] = plain ? [0, 0, 0] : [one.period, one.repeats, one.to];
    const timing = { deliverAt: this.h.in(one.due), periodMs, repeats };
    const id = this.h.add(body, timing, { to: `queue:q${target}`, ...(plain && { expiresIn: one.expires + 1 }) });
    const due = this.h.now + one.due;
    const expiresAt = plain ? this.h.now + one.expires + 1 : 0;
    this.waiting.set(id, { id, body, to: target, periodMs, expiresAt, due, remaining: repeats });
    this.ids.push(id);
  }

  private cancel(id: string | undefined): void {
    if (id === undefined) return;
    this.check();
    const one = this.waiting.get(id);
    expect(this.h.schedule.cancel(id)).toBe(one !== undefined);
    this.waiting.delete(id);
  }

  private cancelAll(target: number): void {
    this.check();
    this.h.schedule.cancelAll(canonical.parse("queue", `q${target}`));
    for (const one of this.waiting.values()) if (one.to === target) this.waiting.delete(one.id);
    this.check();
  }

  private delivered(line: string): void {
    const [time = "", body] = line.split(": ");
    const at = Number(time);
    const one = [...this.waiting.values()].find((candidate) => candidate.body === body);
    if (one === undefined) throw new Error(`${line}: nobody expected that`);
    expect(at).toBeGreaterThanOrEqual(one.due);
    if (at >= this.calmAt && !this.full.has(one.to)) expect(`${body} at ${at}`).toBe(`${body} at ${one.due}`);
    if (one.expiresAt > 0) expect(at).toBeLessThan(one.expiresAt);
    if (one.remaining === 0) this.waiting.delete(one.id);
    else {
      if (one.remaining > 0) one.remaining--;
      while (one.due <= at) one.due += one.periodMs;
    }
  }
}

describe("whatever is added, cancelled and refused, whenever the broker is down, a schedule does what a simple model does", () => {
  test.each(["memory", "lmdb"])("over the %s store", async (kind) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), async (steps) => {
        using directory = temporaryDirectory();
        const clock = new VirtualClock();
        const memory = testStore(clock);
        const store = (): Store =>
          kind === "memory"
            ? memory
            : new LmdbStore({
                directory: directory.path,
                formats: testFormats,
                addresses: (name, addressKind) => canonical.parse(addressKind, name),
                clock,
              });
        const h = await new ScheduleHarness({}, { clock, store: store() }).open();
        const model = new Model(h);
        for (const one of steps) await model.run(one, store);
        await model.run({ do: "restart", ms: 100 }, store);
        await model.run({ do: "advance", ms: 5000 }, store);
        h.schedule.close();
        clock.settle();
        await h.store.close();
      }),
      { numRuns: kind === "memory" ? 300 : 30 },
    );
  });
});
