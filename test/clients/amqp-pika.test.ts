import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { runProgram, runs } from "./program.ts";

const PYTHON = "/usr/bin/python3";
const MISSING = runs(PYTHON, ["-c", "import pika"]) ? "" : ` (skipped: there is no ${PYTHON} with the package pika)`;

async function play(scenario: string): Promise<unknown> {
  const broker = await startBroker(["security.users.alice.password=secret"]);
  return runProgram(PYTHON, "amqp-pika.py", [scenario, String(broker.port)]);
}

describe.skipIf(MISSING !== "")(`pika${MISSING}`, () => {
  it("sends with confirms and gets, with UTF-8 in headers and body", async () => {
    expect(await play("text")).toEqual({
      body: "grüße",
      headers: { wave: "\u{1f30a}", list: [1, true] },
      id: "m",
      mode: 2,
      key: "py",
      left: 0,
    });
  });

  it("sends and receives a megabyte", async () => {
    expect(await play("large")).toEqual({ same: true });
  });

  it("consumes with a prefetch count and acknowledges", async () => {
    expect(await play("consume")).toEqual({ bodies: true, back: 0 });
  });

  it("is returned what is mandatory and goes nowhere", async () => {
    expect(await play("unroutable")).toEqual({ returned: ["a"] });
  });

  it("is told when a queue does not take a message", async () => {
    expect(await play("refused")).toEqual({ refused: true });
  });

  it("declares exchanges and binds them to each other", async () => {
    expect(await play("bindings")).toEqual({ body: "by way of another", exchange: "all", key: "a.b" });
  });

  it("binds by headers", async () => {
    expect(await play("headers")).toEqual({ color: "blue", size: 5 });
  });

  it("commits and rolls back", async () => {
    expect(await play("transactions")).toEqual({ bodies: ["kept"], empty: true });
  });

  it("loses one channel over a mistake", async () => {
    expect(await play("mistake")).toEqual({
      code: 404,
      text: expect.stringMatching(/^NOT_FOUND - no queue 'missing'/),
      open: true,
    });
  });

  it("with a wrong password is told so", async () => {
    expect(await play("wrong_password")).toEqual({ error: expect.stringMatching(/403.*ACCESS_REFUSED/) });
  });

  it("keeps its connection by heartbeats alone", async () => {
    expect(await play("heartbeats")).toEqual({ open: true });
  });
});
