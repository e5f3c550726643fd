import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { brokenSession, cut, orderlySession, session12 } from "./sessions.ts";
import { FuzzTarget, type Leaving } from "./target.ts";

const leaving = fc.constantFrom<Leaving>("finish", "reset");
const cuts = fc.array(fc.nat(), { maxLength: 12 });

/** RECEIPT and ERROR frames: what they say does not depend on how the bytes were split. */
function verdicts(said: Buffer): string[] {
  return said
    .toString()
    .split("\0")
    .map((frame) => frame.trimStart())
    .filter((frame) => frame.startsWith("RECEIPT") || frame.startsWith("ERROR"));
}

describe("a broker at which anything is thrown", () => {
  it("closes connections of random bytes, and goes on serving others", async () => {
    const target = await FuzzTarget.start();
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 400 }),
      fc.uint8Array({ maxLength: 400 }).map((rest) => Buffer.concat([Buffer.from("CONNECT\n\n\0"), rest])),
      fc
        .uint8Array({ maxLength: 400 })
        .map((rest) => Buffer.concat([Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n"), rest])),
      fc.uint8Array({ maxLength: 400 }).map((rest) => Buffer.concat([Buffer.from("CONNECT\n"), rest])),
    );
    await fc.assert(
      fc.asyncProperty(bytes, cuts, leaving, async (all, at, left) => {
        await target.attack(cut(all, at), left);
        await target.check();
      }),
      { numRuns: 150 },
    );
  });

  it("says the same however the bytes of a session are split", async () => {
    const target = await FuzzTarget.start();
    let receipts = 0;
    await fc.assert(
      fc.asyncProperty(orderlySession, cuts, async (frames, at) => {
        const bytes = Buffer.concat(frames);
        const whole = verdicts(await target.attack([bytes], "finish"));
        const split = verdicts(await target.attack(cut(bytes, at), "finish"));
        const error = whole.find((frame) => frame.startsWith("ERROR"));
        // What is not yet on disk when a frame is refused is not confirmed any more, and when that is depends.
        if (error === undefined) expect(split).toEqual(whole);
        else expect(split.at(-1)).toEqual(error);
        receipts += whole.length;
        await target.check();
        target.clear();
      }),
      { numRuns: 100 },
    );
    expect(receipts).toBeGreaterThan(200);
  });

  it("survives sessions that are damaged, leaves nothing of them behind, and goes on serving others", async () => {
    const target = await FuzzTarget.start();
    await fc.assert(
      fc.asyncProperty(
        fc.array(brokenSession, { minLength: 1, maxLength: 4 }),
        cuts,
        leaving,
        async (all, at, left) => {
          // Several at a time, so that they meet in the same queues.
          await Promise.all(all.map((frames) => target.attack(cut(Buffer.concat(frames), at), left)));
          await target.check();
          target.clear();
        },
      ),
      { numRuns: 150 },
    );
  });

  it("keeps nothing in memory of thousands of connections that are gone", async () => {
    const target = await FuzzTarget.start();
    const sessions = fc.sample(fc.oneof(session12, brokenSession), { numRuns: 500, seed: 7 });
    const wave = async (): Promise<void> => {
      for (let from = 0; from < sessions.length; from += 25) {
        const some = sessions.slice(from, from + 25);
        await Promise.all(
          some.map((frames, index) => target.attack([Buffer.concat(frames)], index % 2 === 0 ? "finish" : "reset")),
        );
        await target.check();
        target.clear();
      }
    };
    await wave();
    await wave();
    const before = memory();
    for (let waves = 0; waves < 4; waves++) await wave();
    const connections = sessions.length * 4;
    // What the system still has to say about closed sockets is freed a little later.
    await eventually(() => {
      const after = memory();
      expect((after.used - before.used) / connections, "bytes kept for each connection").toBeLessThan(1000);
      expect(after.resident - before.resident, "growth of the process").toBeLessThan(64 * 1024 * 1024);
    });
  }, 120_000);
});

/** Bytes in use after everything that can be freed was. */
function memory(): { used: number; resident: number } {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { used: heapUsed + external, resident: rss };
}
