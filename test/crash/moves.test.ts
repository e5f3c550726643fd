import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { expectEvenAccounts } from "../support/core-accounts.ts";
import { Collector, parse, TestClient } from "../support/core-broker.ts";
import { queueOf } from "../support/core-operations.ts";
import { eventually } from "../support/eventually.ts";
import { identifiedMessage, openBroker } from "../support/moving-broker.ts";
import { temporaryDirectory } from "../support/store-harness.ts";

const CHILD = fileURLToPath(new URL("../support/moving-child.ts", import.meta.url));

/** Lets a process send and move until so many messages are safe, and kills it; returns how many it said are. */
async function killedAfter(directory: string, messages: number): Promise<number> {
  const child: ChildProcess = spawn(process.execPath, [CHILD, directory], { stdio: ["ignore", "pipe", "inherit"] });
  let confirmed = 0;
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.stdout?.on("data", (chunk: Buffer) => {
    confirmed = Math.max(
      confirmed,
      ...(chunk
        .toString()
        .match(/\d+(?=\n)/g)
        ?.map(Number) ?? []),
    );
    if (confirmed >= messages) child.kill("SIGKILL");
  });
  await ended;
  return confirmed;
}

describe("a process killed while messages are sent and moved", () => {
  test.each([50, 200, 700, 1500])("has each in one queue, and knows which it has (after %i)", async (messages) => {
    using directory = temporaryDirectory();
    const confirmed = await killedAfter(directory.path, messages);
    expect(confirmed).toBeGreaterThanOrEqual(messages);

    const broker = await openBroker(directory.path);
    try {
      const stored = queueOf(broker, "a").count + queueOf(broker, "b").count;
      expect(stored).toBeGreaterThanOrEqual(confirmed);
      // The sender does not know what became of the last ones, and sends all of them again.
      const client = new TestClient(broker).core;
      const route = client.route([parse("queue:a")]);
      for (let i = 0; i < stored + 100; i++) client.publish(route, identifiedMessage(String(i)));
      expect(queueOf(broker, "a").count + queueOf(broker, "b").count).toBe(stored + 100);

      const got = new Collector();
      const consumer = new TestClient(broker);
      consumer.subscribe("queue:a queue:b", { settling: false, consumer: got });
      await eventually(() => expect(got.taken.length).toBe(stored + 100));
      const bodies = got.bodies.map(Number).sort((one, other) => one - other);
      expect(bodies).toEqual(Array.from({ length: stored + 100 }, (_, index) => index));
      expectEvenAccounts(broker);
    } finally {
      await broker.close();
    }
  });
});
