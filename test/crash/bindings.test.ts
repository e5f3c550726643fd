import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { expectEvenAccounts } from "../support/core-accounts.ts";
import { queueOf } from "../support/core-operations.ts";
import { openBroker } from "../support/moving-broker.ts";
import { temporaryDirectory } from "../support/store-harness.ts";

const CHILD = fileURLToPath(new URL("../support/binding-child.ts", import.meta.url));

/** Lets a process bind and send until so many of these are safe, and kills it; returns how many it said are. */
async function killedAfter(directory: string, least: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, directory], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  let said = "";
  const confirmed = (): number => Number(said.slice(0, said.lastIndexOf("\n")).split(" ").at(-1));
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    if (confirmed() >= least) child.kill("SIGKILL");
  });
  await ended;
  return confirmed();
}

describe("a process killed while a queue is bound and bound anew", () => {
  test.each([10, 100, 600])(
    "has the last binding it confirmed, or a later one, and what each led to (after %i)",
    async (least) => {
      using directory = temporaryDirectory();
      const confirmed = await killedAfter(directory.path, least);
      expect(confirmed).toBeGreaterThanOrEqual(least);

      const broker = await openBroker(directory.path);
      try {
        const bindings = [...(broker.host(undefined)?.exchanges.get("x").bindings.values() ?? [])];
        expect(bindings).toHaveLength(1);
        const bound = Number(bindings[0]?.key);
        expect(bound).toBeGreaterThanOrEqual(confirmed);
        // What is bound and what it led to are of one batch.
        expect(queueOf(broker, "a").count).toBe(bound);
        expectEvenAccounts(broker);
      } finally {
        await broker.close();
      }
    },
  );
});
