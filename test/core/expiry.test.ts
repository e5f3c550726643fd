import { describe, expect, it } from "vitest";
import { ExpiryWheel } from "../../core/queue/expiry.ts";

const START = Date.UTC(2026, 0, 1);

describe("the expiry wheel", () => {
  it("keeps nothing of what was called off, however far ahead", () => {
    const wheel = new ExpiryWheel(START);
    const nodes = Array.from({ length: 100 }, (_, i) => wheel.add({ expiresAt: START + i * 1e9, expire: () => {} }));
    for (const node of nodes) wheel.remove(node);
    expect(wheel.buckets).toBe(0);
  });

  it("goes by the new time after the clock was set back", () => {
    const wheel = new ExpiryWheel(START);
    const expired: string[] = [];
    wheel.add({ expiresAt: START + 7_200_000, expire: () => expired.push("far") });
    wheel.sweep(START + 3_600_000, 10);
    wheel.sweep(START, 10);
    wheel.add({ expiresAt: START + 2000, expire: () => expired.push("soon") });
    expect(wheel.sweep(START + 3000, 10)).toBe(true);
    expect(expired).toEqual(["soon"]);
    wheel.sweep(START + 9_000_000, 10);
    expect(expired).toEqual(["soon", "far"]);
  });

  it("works off a leap of the clock in slices", () => {
    const wheel = new ExpiryWheel(START);
    let expired = 0;
    for (let i = 0; i < 25; i++) wheel.add({ expiresAt: START + i * 3_600_000, expire: () => expired++ });
    expect(wheel.sweep(START + 1e9, 10)).toBe(false);
    expect(expired).toBe(10);
    expect(wheel.sweep(START + 1e9, 100)).toBe(true);
    expect([expired, wheel.buckets]).toEqual([25, 0]);
  });
});
