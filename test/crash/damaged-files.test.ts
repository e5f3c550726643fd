import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type BrokerProcess, startBrokerProcess, temporaryFolder } from "../support/broker.ts";
import { Link } from "../support/crash-link.ts";
import { takeAll } from "../support/crash-reading.ts";

const DAMAGES: readonly { readonly what: string; readonly damage: (bytes: Buffer) => Buffer }[] = [
  { what: "is one byte short", damage: (bytes) => bytes.subarray(0, -1) },
  { what: "is a page short", damage: (bytes) => bytes.subarray(0, -4096) },
  { what: "is cut in half", damage: (bytes) => bytes.subarray(0, bytes.length >> 1) },
  { what: "ends in other bytes", damage: (bytes) => Buffer.from(bytes).fill(0xa5, bytes.length - 4096) },
  {
    what: "has other bytes in the middle",
    damage: (bytes) => Buffer.from(bytes).fill(0xa5, bytes.length >> 1, (bytes.length >> 1) + 4096),
  },
  { what: "begins with other bytes", damage: (bytes) => Buffer.from(bytes).fill(0xa5, 0, 8192) },
];

/** The files of a broker that was killed after it confirmed these messages. */
async function killedBroker(directory: string): Promise<string[]> {
  const broker = await startBrokerProcess(directory);
  const link = await Link.open(broker.port, { frame: () => {} });
  const bodies = Array.from({ length: 30 }, (_, number) => `${number} ${"x".repeat(10_000)}`);
  for (const body of bodies) await link?.request("SEND", { destination: "/queue/orders", persistent: "true" }, body);
  await broker.end("SIGKILL");
  return bodies;
}

async function startOrRefusal(directory: string): Promise<BrokerProcess | string> {
  return startBrokerProcess(directory).catch((error: unknown) => String(error));
}

it.each(DAMAGES)(
  "when a data file $what, the broker starts and says what it set aside, or says why it does not",
  async ({ damage }) => {
    const directory = temporaryFolder();
    const sent = await killedBroker(directory);
    // Locks hold no data.
    const files = readdirSync(directory).filter((name) => !name.includes("lock"));
    const sound = new Map(files.map((name) => [name, readFileSync(join(directory, name))]));
    for (const [damaged, content] of sound) {
      for (const [name, bytes] of sound)
        writeFileSync(join(directory, name), name === damaged ? damage(content) : bytes);
      const broker = await startOrRefusal(directory);
      if (typeof broker === "string") {
        expect(broker, damaged).toMatch(
          /^Error: delos serve ended with 1: delos serve: [^\n]*store\.directory[^\n]*\n/,
        );
      } else {
        const found = await takeAll(broker.port, "orders");
        expect(sent, `${damaged}: nothing that was never sent`).toEqual(expect.arrayContaining(found));
        const said = broker
          .output()
          .split("\n")
          .filter((line) => /"level":[45]0/.test(line));
        if (found.length < sent.length)
          expect(said.length, `${damaged}: what is missing is reported`).toBeGreaterThan(0);
        expect(await broker.end("SIGTERM")).toBe(0);
      }
    }
  },
);
