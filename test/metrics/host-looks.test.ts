import { expect, it, vi } from "vitest";
import type { HostTotals } from "../../core/totals.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { HostLooks } from "../../src/metrics/host-looks.ts";
import { coreBroker } from "../support/core-broker.ts";

const TURNS = 5;
const TURN_MS = 3;

/** A host in which there is so much that a look takes some turns; and how many looks were begun. */
async function largeHost(): Promise<{ host: VirtualHost; begun: () => number; looks: HostLooks }> {
  const { broker } = await coreBroker();
  const host = broker.host(undefined);
  if (host === undefined) throw new Error("There is no default host");
  const { totals } = host;
  const look = vi.spyOn(totals, "look").mockImplementation(function* (): Generator<undefined, HostTotals, undefined> {
    for (let turn = 0; turn < TURNS; turn++) {
      for (const end = performance.now() + TURN_MS; performance.now() < end; );
      yield undefined;
    }
    return totals.now;
  });
  // `now` itself is a look.
  vi.spyOn(totals, "now", "get").mockReturnValue({ ...emptyTotals(host) });
  return { host, begun: () => look.mock.calls.length, looks: new HostLooks(broker.clock) };
}

function emptyTotals(host: VirtualHost): HostTotals {
  const look = Object.getPrototypeOf(host.totals).look.call(host.totals, Number.POSITIVE_INFINITY);
  return look.next().value;
}

it("others have their turn while there is much to look at", async () => {
  const { host, looks } = await largeHost();
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  await looks.of(host);
  over = true;
  expect(turns).toBeGreaterThanOrEqual(TURNS - 1);
});

it("whoever asks while a look is under way shares one that begins after it, or that one where a moment ago will do", async () => {
  const { host, begun, looks } = await largeHost();
  const first = looks.of(host);
  const recent = looks.recent(host);
  const later = [looks.of(host), looks.of(host)];
  expect(await recent).toBe(await first);
  expect(begun()).toBe(2);
  const [second, third] = await Promise.all(later);
  expect(second).toBe(third);
  await looks.of(host);
  expect(begun()).toBe(3);
  await looks.recent(host);
  expect(begun()).toBe(3);
});

it("a look that fails fails those who asked for it, and nobody else", async () => {
  const { host, looks } = await largeHost();
  const fault = vi.spyOn(host.totals, "look").mockImplementationOnce(() => {
    throw new Error("a fault");
  });
  await expect(looks.of(host)).rejects.toThrow("a fault");
  fault.mockRestore();
  await looks.of(host);
});
