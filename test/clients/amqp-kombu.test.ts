import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { runProgram, runs } from "./program.ts";

const PYTHON = "/usr/bin/python3";
const MISSING = runs(PYTHON, ["-c", "import kombu"]) ? "" : ` (skipped: there is no ${PYTHON} with the package kombu)`;

async function play(scenario: string): Promise<unknown> {
  const broker = await startBroker(["security.users.alice.password=secret"]);
  return runProgram(PYTHON, "amqp-kombu.py", [scenario, String(broker.port)]);
}

describe.skipIf(MISSING !== "")(`kombu${MISSING}`, () => {
  it("sends and works off tasks as Celery does", async () => {
    expect(await play("tasks")).toEqual({ numbers: true, text: "grüße" });
  });

  it("rejects a message, and gets it again", async () => {
    expect(await play("simple")).toEqual({ payload: { hello: "world" }, redelivered: true, left: 0 });
  });

  it("tells those who are bound to a topic", async () => {
    expect(await play("broadcast")).toEqual(["for a", null]);
  });

  it("keeps its connection by heartbeats alone", async () => {
    expect(await play("heartbeats")).toEqual({ connected: true });
  });
});
