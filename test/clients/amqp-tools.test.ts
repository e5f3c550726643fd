import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { runs } from "./program.ts";

const TOOLS = "/usr/bin/";
const MISSING = runs(`${TOOLS}amqp-publish`, ["--help"]) ? "" : ` (skipped: there is no ${TOOLS}amqp-publish)`;

/** Runs one of the tools with an input and returns what it prints. */
async function run(port: number, tool: string, args: readonly string[], input = ""): Promise<string> {
  const child = promisify(execFile)(TOOLS + tool, [`--url=amqp://guest:guest@127.0.0.1:${port}/`, ...args], {
    timeout: 10_000,
  });
  child.child.stdin?.end(input);
  return (await child).stdout;
}

describe.skipIf(MISSING !== "")(`amqp-tools${MISSING}`, () => {
  it("declare, fill, read and delete a queue", async () => {
    const { port } = await startBroker();
    expect(await run(port, "amqp-declare-queue", ["--queue=tools", "--durable"])).toContain("tools");
    await run(port, "amqp-publish", [
      "--routing-key=tools",
      "--persistent",
      "--content-type=text/plain",
      "--body=grüße",
    ]);
    await run(port, "amqp-publish", ["--routing-key=tools"], "from standard input");
    expect(await run(port, "amqp-get", ["--queue=tools"])).toBe("grüße");
    expect(await run(port, "amqp-get", ["--queue=tools"])).toBe("from standard input");
    await expect(run(port, "amqp-get", ["--queue=tools"])).rejects.toMatchObject({ code: 2 });
    expect(await run(port, "amqp-delete-queue", ["--queue=tools"])).toContain("0");
  });

  it("consume from a queue of their own that is bound to an exchange", async () => {
    const { port, server } = await startBroker();
    const url = `--url=amqp://guest:guest@127.0.0.1:${port}/`;
    const child = spawn(`${TOOLS}amqp-consume`, [url, "--exchange=amq.topic", "--routing-key=a.#", "--count=2", "cat"]);
    let printed = "";
    child.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    await eventually(() =>
      [...(server.broker.host(undefined)?.queues.values() ?? [])].some((q) => q.consumerCount > 0),
    );
    for (const key of ["a.b", "b.b", "a"]) {
      await run(port, "amqp-publish", ["--exchange=amq.topic", `--routing-key=${key}`, `--body=${key};`]);
    }
    expect(await ended).toBe(0);
    expect(printed).toBe("a.b;a;");
  });
});
