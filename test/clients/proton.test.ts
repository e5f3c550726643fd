import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { runProgram, runs } from "./program.ts";

const PYTHON = "/usr/bin/python3";
const MISSING = runs(PYTHON, ["-c", "import proton"])
  ? ""
  : ` (skipped: there is no ${PYTHON} with the package proton)`;

async function play(scenario: string, settings: readonly string[] = []): Promise<unknown> {
  const { port } = await startBroker(settings);
  return runProgram(PYTHON, "proton-client.py", [scenario, String(port)]);
}

describe.skipIf(MISSING !== "")(`Qpid Proton${MISSING}`, () => {
  it("sends and receives bodies of every kind", async () => {
    expect(await play("bodies")).toEqual({ same: true });
  });

  it("keeps what a message says", async () => {
    expect(await play("properties")).toEqual({
      id: "m",
      correlation: 7,
      subject: "s",
      reply: "queue://r",
      durable: true,
      priority: 6,
      expires: true,
      group: "g",
      properties: { colour: "red", size: 5 },
      annotation: "note",
    });
  });

  it("releases, modifies and rejects messages", async () => {
    // Its `delivered` is a modified outcome that does not say delivery-failed, so nothing is counted.
    expect(await play("outcomes")).toEqual({ counts: [0, 0, 0], left: 0 });
  });

  it("selects messages", async () => {
    expect(await play("selector")).toEqual({ body: "red" });
  });

  it("browses a queue", async () => {
    expect(await play("browse")).toEqual({ seen: "stays", taken: "stays" });
  });

  it("comes back to its durable subscription", async () => {
    expect(await play("durable")).toEqual({ body: "meanwhile" });
  });

  it("aborts and commits transactions", async () => {
    expect(await play("transactions")).toEqual({ ends: ["aborted", "committed"], body: "committed" });
  });

  it("asks and answers by a dynamic queue and an anonymous sender", async () => {
    expect(await play("request")).toEqual({ body: "ping!" });
  });

  it("sends and receives three megabytes", async () => {
    expect(await play("large")).toEqual({ same: true });
  });

  it("is told why it may not have a link", async () => {
    expect(await play("refused")).toEqual({ condition: "amqp:invalid-field" });
  });

  it("logs in, and is refused with a wrong password", async () => {
    expect(await play("login", ["security.users.alice.password=secret"])).toMatchObject({
      plain: "in",
      wrong: "ConnectionException",
    });
  });
});
