import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { lmdbHarness, temporaryDirectory } from "../support/store-harness.ts";
import { contentsOf, StorePlayer } from "../support/store-player.ts";
import { StoreScript } from "../support/store-script.ts";

const CHILD = fileURLToPath(new URL("../support/store-child.ts", import.meta.url));

/** Lets a process write until it said so many batches are durable, and kills it some microseconds later. */
async function killedAfter(directory: string, seed: number, batches: number): Promise<string[]> {
  const child: ChildProcess = spawn(process.execPath, [CHILD, directory, String(seed)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    if (output.includes(`durable ${batches}\n`)) child.kill("SIGKILL");
  });
  await ended;
  return output.split("\n").slice(0, -1);
}

/** What the script expects after all turns whose batch is at most the given one. */
function expectedAfter(seed: number, said: readonly [number, number][], batch: number): string[] {
  const script = new StoreScript(seed);
  for (const [, of] of said) if (of <= batch) script.turn();
  return script.expected();
}

describe("a process killed at any moment", () => {
  test.each([1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 111, 150])(
    "leaves what it called durable and not half of a batch (after %i batches)",
    async (batches) => {
      using directory = temporaryDirectory();
      const lines = await killedAfter(directory.path, batches, batches);
      const durable = Number(lines.findLast((line) => line.startsWith("durable"))?.split(" ")[1]);
      const said = lines
        .filter((line) => line.startsWith("said"))
        .map((line): [number, number] => [Number(line.split(" ")[1]), Number(line.split(" ")[2])]);
      expect(durable).toBeGreaterThanOrEqual(batches);

      const h = lmdbHarness(directory.path);
      await h.open();
      try {
        const found = contentsOf(h.store);
        // The batch that was being written may have reached the disk without the process saying so.
        const candidates = [durable, durable + 1].map((batch) => expectedAfter(batches, said, batch).join("\n"));
        expect(candidates).toContain(found.join("\n"));
        for (const queue of h.recovered.queues) {
          const mine = found.filter((line) => line.startsWith(`${queue.key} `));
          expect(queue.count).toBe(mine.length);
        }
        expect(h.recovered.damage).toEqual([]);

        // And it goes on from there.
        new StorePlayer(h.store).putQueues();
        for (const queue of h.recovered.queues) h.store.purge(queue.key);
        await h.commit();
        await h.reopen();
        expect(h.recovered.queues.map(({ count }) => count)).toEqual([0, 0, 0]);
      } finally {
        await h.store.close();
      }
    },
  );
});
