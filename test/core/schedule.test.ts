import { afterEach, describe, expect, test } from "vitest";
import { BrokerError } from "../../core/errors.ts";
import type { Timing } from "../../core/message.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { LmdbStore } from "../../store/lmdb/store.ts";
import { parse, testFormats } from "../support/core-broker.ts";
import { imbalance, ScheduleHarness } from "../support/core-schedule.ts";
import { temporaryDirectory } from "../support/store-harness.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const YEAR = 365 * 24 * 3_600_000;

let h: ScheduleHarness;

async function start(...options: ConstructorParameters<typeof ScheduleHarness>): Promise<ScheduleHarness> {
  h = await new ScheduleHarness(...options).open();
  return h;
}

afterEach(() => {
  expect(imbalance(h.schedule)).toBe(0);
  expect(h.schedule.list({ limit: 1e6 })).toHaveLength(h.schedule.count);
});

describe("a scheduled message", () => {
  test("is delivered at its time, in the order of times and then of sending", async () => {
    await start();
    h.add("third", 3000);
    h.add("first", 1000);
    h.add("second", 1500.5);
    h.add("also first", 1000);
    expect(h.advance(999)).toEqual([]);
    expect(h.advance(1)).toEqual(["1000: first", "1000: also first"]);
    expect(h.advance(10_000)).toEqual(["1501: second", "3000: third"]);
    expect(h.schedule).toMatchObject({ count: 0, bytes: 0 });
    expect([...h.store.keys("scheduled")]).toEqual([]);
  });

  test("that is due already, or says no time, is delivered at once", async () => {
    await start();
    h.add("past", { deliverAt: 5 });
    h.add("none", {});
    expect(h.advance(0)).toEqual(["0: past", "0: none"]);
  });

  test("waits for years", async () => {
    await start();
    h.add("in two years", 2 * YEAR);
    expect(h.advance(2 * YEAR - 1)).toEqual([]);
    expect(h.advance(1)).toEqual([`${2 * YEAR}: in two years`]);
  });

  test("comes before those that were waiting longer for a later time", async () => {
    await start();
    h.add("b", 1000);
    h.advance(500);
    h.add("a", 100);
    expect(h.advance(1000)).toEqual(["600: a", "1000: b"]);
    h.add("far", 100_000);
    h.advance(10_000);
    h.add("near", 5);
    expect(h.advance(5)).toEqual(["11505: near"]);
  });

  test("keeps its time however many are due at once", async () => {
    await start();
    for (let i = 0; i < 5000; i++) h.add(`${i}`, 1000);
    const times = h.advance(2000).map((line) => Number.parseInt(line, 10));
    expect(times).toHaveLength(5000);
    expect(Math.max(...times)).toBeLessThan(1100);
  });

  test("that expired meanwhile is dropped at its time, and counted", async () => {
    await start();
    h.add("gone", 1000, { expiresIn: 1000 });
    h.add("there", 1000, { expiresIn: 1001 });
    expect(h.advance(999)).toEqual([]);
    expect(h.schedule.count).toBe(2);
    expect(h.advance(1)).toEqual(["1000: there"]);
    expect(h.schedule.ledger.lost.get("expired")).toBe(1);
  });

  test("goes to the address it was sent to, with the envelope it had", async () => {
    await start();
    const id = h.add("x", 1000, { to: "topic:t.u" });
    expect(h.schedule.get(id)).toMatchObject({ durable: true, priority: 4, address: { kind: "topic", name: "t.u" } });
    h.full.add("topic:t.u");
    h.advance(1000);
    expect(h.asked).toBe(1);
  });

  test("grows what a confirmation has to wait for, when it is added and when it is cancelled", async () => {
    await start();
    const before = h.engine.writes;
    const id = h.add("x", 1000);
    const added = h.engine.writes;
    h.schedule.cancel(id);
    expect([added > before, h.engine.writes > added]).toEqual([true, true]);
  });
});

describe("a repeated message", () => {
  test("is delivered once and then as often as it says, a period apart", async () => {
    await start();
    h.add("r", { deliverAt: h.in(100), periodMs: 50, repeats: 3 });
    expect(h.advance(10_000)).toEqual(["100: r", "150: r", "200: r", "250: r"]);
    expect(h.schedule.count).toBe(0);
    expect([...h.store.keys("scheduled-place")]).toEqual([]);
    expect(h.schedule.ledger).toMatchObject({ received: 4, consumed: 4 });
  });

  test("has one id as long as it lasts, and can be cancelled by it", async () => {
    await start();
    const id = h.add("r", { deliverAt: h.in(100), periodMs: 50, repeats: -1 });
    h.advance(1000);
    expect(h.delivered).toHaveLength(19);
    expect(h.schedule.list({ limit: 9 })).toMatchObject([
      { id, remaining: -1, timing: { periodMs: 50, repeats: -1, cron: undefined } },
    ]);
    expect(h.schedule.get(id)?.body.toString()).toBe("r");
    expect(h.schedule.cancel(id)).toBe(true);
    expect(h.schedule.cancel(id)).toBe(false);
    expect(h.advance(1000)).toEqual([]);
    expect([...h.store.keys("scheduled-place")]).toEqual([]);
  });

  test("says how many deliveries remain", async () => {
    await start();
    h.add("r", { deliverAt: h.in(100), periodMs: 100, repeats: 5 });
    expect(h.schedule.list({ limit: 1 })[0]).toMatchObject({ remaining: 5 });
    h.advance(250);
    expect(h.schedule.list({ limit: 1 })[0]).toMatchObject({ remaining: 3, deliverAt: h.in(50) });
  });

  test("does not make up for the times at which the broker was down", async () => {
    await start();
    h.add("endless", { deliverAt: h.in(100), periodMs: 100, repeats: -1 });
    h.add("counted", { deliverAt: h.in(100), periodMs: 100, repeats: 3 });
    await h.restart(1050);
    expect(h.advance(400).map((line) => line.replace(/: /, " "))).toEqual([
      "1050 endless",
      "1050 counted",
      "1100 endless",
      "1100 counted",
      "1200 endless",
      "1200 counted",
      "1300 endless",
      "1300 counted",
      "1400 endless",
    ]);
  });
});

describe("a message with a cron expression", () => {
  test("is delivered at each of its times", async () => {
    await start();
    h.clock.advance(30_000);
    const id = h.add("c", { cron: "every 60000" });
    expect(h.advance(180_000)).toEqual(["60000: c", "120000: c", "180000: c"]);
    expect(h.schedule.list({ limit: 9 })).toMatchObject([{ id, remaining: -1, timing: { cron: "every 60000" } }]);
    expect(h.schedule.cancel(id)).toBe(true);
    expect(h.schedule.count).toBe(0);
  });

  test("begins a series at each of them: the delay, then the repeats", async () => {
    await start();
    const id = h.add("c", { cron: "every 60000", deliverAt: h.in(5000), periodMs: 20_000, repeats: 3 });
    expect(h.advance(150_000)).toEqual(["65000: c", "85000: c", "105000: c", "125000: c", "125000: c", "145000: c"]);
    h.schedule.cancel(id);
    expect(h.advance(150_000)).toEqual(["165000: c", "185000: c"]);
    expect(h.schedule.count).toBe(0);
  });

  test("is delivered once for all the times that passed while the broker was down", async () => {
    await start();
    h.add("c", { cron: "every 60000" });
    await h.restart(600_001);
    expect(h.advance(119_999)).toEqual(["600001: c", "660000: c", "720000: c"]);
  });

  test("whose series would be too many loses them by name", async () => {
    await start({ maxMessages: 1 });
    h.add("c", { cron: "every 60000", periodMs: 10, repeats: 5 });
    expect(h.advance(60_000)).toEqual(["60000: c"]);
    expect(h.schedule.ledger.lost.get("dropped-newest")).toBe(1);
  });
});

describe("what makes no sense is refused", () => {
  const cases: [string, Partial<Timing>, RegExp][] = [
    ["a negative time", { deliverAt: -1 }, /delivery time is -1 ms/],
    ["no time", { deliverAt: Number.NaN }, /delivery time is NaN ms/],
    ["an infinite time", { deliverAt: Number.POSITIVE_INFINITY }, /Infinity/],
    ["a time beyond all keys", { deliverAt: 2 ** 48 }, /expected 0 to/],
    ["a negative period", { periodMs: -5, repeats: 1 }, /period is -5 ms/],
    ["repeats without a period", { repeats: 2 }, /no period/],
    ["half a repeat", { periodMs: 1, repeats: 0.5 }, /number of repeats is 0.5/],
    ["fewer repeats than none", { periodMs: 1, repeats: -2 }, /number of repeats is -2/],
    ["a cron expression that is none", { cron: "nonsense" }, /"nonsense" is none/],
    ["a cron expression that never comes due", { cron: "every 0" }, /never comes due/],
    ["a cron expression without end", { cron: `every ${"1".repeat(300)}` }, /306 characters/],
    ["a series without end at each cron time", { cron: "every 9", periodMs: 9, repeats: -1 }, /without end/],
  ];
  test.each(cases)("%s", async (_, wrong, sentence) => {
    await start();
    const attempt = (): string => h.add("x", wrong);
    expect(attempt).toThrow(BrokerError);
    expect(attempt).toThrow(expect.objectContaining({ code: "bad-request", message: expect.stringMatching(sentence) }));
    expect(h.schedule.count).toBe(0);
  });

  test("a cron expression where nobody can read one", async () => {
    await start({ cron: undefined });
    expect(() => h.add("x", { cron: "every 9" })).toThrow(/knows no cron/);
  });

  test("more messages than there may be", async () => {
    await start({ maxMessages: 2 });
    h.add("a", 10);
    h.add("b", 20);
    expect(() => h.add("c", 5)).toThrow(expect.objectContaining({ code: "full" }));
    expect(h.advance(100)).toEqual(["10: a", "20: b"]);
    h.add("d", 5);
    expect(h.advance(100)).toEqual(["105: d"]);
  });
});

describe("the schedule as an operator sees it", () => {
  test("lists in the order of times, page by page", async () => {
    await start();
    for (let i = 0; i < 25; i++) h.add(`${i}`, 1000 + ((i * 7) % 25) * 10);
    h.add("again", { deliverAt: h.in(5), periodMs: 1100, repeats: 4 });
    h.advance(10);
    const pages: number[][] = [];
    for (let after: string | undefined; ; ) {
      const page = h.schedule.list({ limit: 10, ...(after !== undefined && { after }) });
      if (page.length === 0) break;
      pages.push(page.map(({ deliverAt }) => deliverAt - h.clock.now() + 10));
      after = page.at(-1)?.id;
    }
    expect(pages.map((page) => page.length)).toEqual([10, 10, 6]);
    const times = [...Array.from({ length: 25 }, (_, i) => 1000 + i * 10), 1105];
    expect(pages.flat()).toEqual(times.sort((a, b) => a - b));
  });

  test("lists and cancels what is for one address", async () => {
    await start();
    for (let i = 0; i < 9; i++) h.add(`${i}`, 1000 + i, { to: i % 3 === 0 ? "topic:t" : "queue:t" });
    const address = parse("topic:t");
    expect(h.schedule.list({ limit: 2, address })).toMatchObject([{ bytes: 2, address }, { address }]);
    expect(h.schedule.list({ limit: 0 })).toEqual([]);
    expect(h.schedule.cancelAll(address)).toBe(3);
    expect(h.schedule.cancelAll(address)).toBe(0);
    expect(h.schedule).toMatchObject({ count: 6, bytes: 12 });
    expect(h.schedule.cancelAll()).toBe(6);
    expect(h.schedule).toMatchObject({ count: 0, bytes: 0 });
    expect(h.schedule.ledger.lost.get("purged")).toBe(9);
    expect(h.advance(5000)).toEqual([]);
  });

  test("cancels by id, and knows no other id", async () => {
    await start();
    const [a, b] = [h.add("a", 10), h.add("b", 20)];
    expect(h.schedule.cancel(a)).toBe(true);
    for (const id of [a, "", "nonsense", `${b}0`, b.toUpperCase().replace(/^0/, "f")]) {
      expect([h.schedule.cancel(id), h.schedule.get(id)]).toEqual([false, undefined]);
    }
    expect(h.advance(100)).toEqual(["20: b"]);
    expect(h.schedule.get(b)).toBeUndefined();
  });

  test("is of one host only", async () => {
    await start();
    const other = new ScheduleHarness({ hostName: "defaul" }, { clock: h.clock, store: h.store });
    other.schedule.open();
    h.add("mine", 10);
    other.add("theirs", 10);
    expect(other.schedule.cancelAll()).toBe(1);
    expect(h.advance(20)).toEqual(["10: mine"]);
  });
});

describe("a target that refuses", () => {
  test("is asked again within a second, in order, and holds up nobody else", async () => {
    await start();
    h.full.add("queue:full");
    h.add("1", 100, { to: "queue:full" });
    h.add("2", 100, { to: "queue:full" });
    h.add("other", 100);
    expect(h.advance(900)).toEqual(["100: other"]);
    // What follows for the same address does not overtake it, so it is not even asked.
    expect(h.asked).toBe(2);
    h.add("3", 900, { to: "queue:full" });
    expect(h.advance(950)).toEqual([]);
    h.full.clear();
    expect(h.advance(5000)).toEqual(["2100: 1", "2100: 2", "2100: 3"]);
  });

  test("is asked for each of many, at a pace, in bounded memory", async () => {
    await start();
    h.full.add("queue:full");
    for (let i = 0; i < 3000; i++) h.add(`${i}`, 10, { to: "queue:full" });
    h.advance(10_000);
    expect(h.asked).toBeLessThan(100);
    h.full.clear();
    const times = h.advance(2000).map((line) => line.split(": ")[1]);
    expect(times).toEqual(Array.from({ length: 3000 }, (_, i) => `${i}`));
  });

  test("does not let anything come early that is added while it is asked again", async () => {
    await start();
    h.full.add("queue:full");
    for (let i = 0; i < 2500; i++) h.add("refused", 100, { to: "queue:full" });
    h.add("far", 50_000);
    h.advance(1110);
    h.add("near", 5000);
    h.full.clear();
    expect(h.advance(60_000).filter((line) => !line.endsWith("refused"))).toEqual(["6110: near", "50000: far"]);
    expect(h.delivered).toHaveLength(2502);
  });

  test("waits while the broker has no room at all", async () => {
    await start();
    h.add("x", 100);
    h.engine.storeGate.close();
    expect(h.advance(1000)).toEqual([]);
    h.engine.storeGate.open();
    expect(h.advance(20)).toEqual(["1020: x"]);
  });
});

describe("after a restart", () => {
  test("everything is there, at its time", async () => {
    await start();
    h.add("a", 1000);
    const id = h.add("r", { deliverAt: h.in(100), periodMs: 700, repeats: 2 });
    h.advance(500);
    await h.restart(100);
    expect(h.schedule).toMatchObject({ count: 2, bytes: 4 });
    expect(h.schedule.list({ limit: 9 }).map((one) => one.id)).toContain(id);
    h.add("b", 350);
    expect(h.advance(5000)).toEqual(["800: r", "950: b", "1000: a", "1500: r"]);
  });

  test("what was due meanwhile is delivered at a pace, and delays nothing that is on time", async () => {
    await start({ catchUpPerSecond: 100 });
    for (let i = 0; i < 1000; i++) h.add(`late ${i}`, 1000);
    for (let i = 0; i < 10; i++) h.add(`timely ${i}`, 10_500 + i * 1000);
    await h.restart(10_000);
    const lines = h.advance(20_000).map((line) => line.split(": "));
    const timely = lines.filter(([, body]) => body?.startsWith("timely"));
    expect(timely.map(([time]) => Number(time))).toEqual(Array.from({ length: 10 }, (_, i) => 10_500 + i * 1000));
    const late = lines.filter(([, body]) => body?.startsWith("late"));
    expect(late.map(([, body]) => body)).toEqual(Array.from({ length: 1000 }, (_, i) => `late ${i}`));
    for (let second = 10; second < 20; second++) {
      expect(late.filter(([time]) => Math.floor(Number(time) / 1000) === second)).toHaveLength(100);
    }
  });

  test("what was due meanwhile and is refused now is tried again, at the same pace", async () => {
    await start({ catchUpPerSecond: 10 });
    for (let i = 0; i < 30; i++) h.add(`${i}`, 100, { to: i < 10 ? "queue:full" : "queue:a" });
    h.full.add("queue:full");
    await h.restart(1000);
    expect(h.advance(3000)).toHaveLength(20);
    h.full.clear();
    const times = h.advance(5000).map((line) => Number.parseInt(line, 10));
    expect(times).toHaveLength(10);
    expect(Number(times.at(-1)) - Number(times[0])).toBe(900);
  });

  test("the sums are counted anew where they were lost", async () => {
    await start();
    h.add("a", 1000);
    const kept = h.add("b", 2000);
    h.store.remove("scheduled-sums", "default");
    await h.restart(0);
    expect(h.schedule).toMatchObject({ count: 2, bytes: 4 });
    expect(h.add("c", 2000)).not.toBe(kept);
    expect(h.advance(5000)).toEqual(["1000: a", "2000: b", "2000: c"]);
  });

  test("a record that cannot be read is lost by name and stops nothing", async () => {
    await start();
    const ids = [h.add("a", 1000), h.add("b", 1000), h.add("c", 1000)];
    h.store.put("scheduled", `default\0${ids[0]}`, Buffer.from("short"));
    h.store.put(
      "scheduled",
      `default\0${ids[1]}`,
      h.store.get("scheduled", `default\0${ids[1]}`)?.subarray(0, 60) ?? Buffer.alloc(0),
    );
    expect(h.advance(5000)).toEqual(["1000: c"]);
    expect(h.schedule.ledger.lost.get("damaged")).toBe(2);
  });

  test("of another process everything is there too", async () => {
    using directory = temporaryDirectory();
    const clock = new VirtualClock();
    const make = (): LmdbStore =>
      new LmdbStore({
        directory: directory.path,
        formats: testFormats,
        addresses: (name, kind) => canonical.parse(kind, name),
        clock,
      });
    await start({ catchUpPerSecond: 10 }, { clock, store: make() });
    const ids = Array.from({ length: 50 }, (_, i) => h.add(`${i}`, 1000 + i * 100));
    h.schedule.cancel(ids[49] ?? "");
    h.add("r", { deliverAt: h.in(500), periodMs: 1000, repeats: 3 });
    expect(h.advance(1000)).toEqual(["500: r", "1000: 0"]);
    await h.restart(1000, make());
    expect(h.schedule.count).toBe(49);
    const bodies = h.advance(20_000).map((line) => line.split(": ")[1]);
    expect(
      bodies
        .filter((body) => body !== "r")
        .map(Number)
        .sort((a, b) => a - b),
    ).toEqual(Array.from({ length: 48 }, (_, i) => i + 1));
    expect(bodies.filter((body) => body === "r")).toHaveLength(3);
    expect(h.schedule.count).toBe(0);
    h.schedule.close();
    const { store } = h;
    await start();
    await store.close();
  });
});
