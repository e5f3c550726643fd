import { describe, expect, it } from "vitest";
import { startQueueBroker } from "../support/queue-broker.ts";
import { runProgram, runs } from "./program.ts";

const PYTHON = "/usr/bin/python3";
const MISSING = runs(PYTHON, ["-c", "import paho.mqtt.client"])
  ? ""
  : ` (skipped: there is no ${PYTHON} with the package paho.mqtt)`;

type Version = "3.1" | "3.1.1" | "5.0";
type Transport = "tcp" | "websockets";

async function play(scenario: string, version: Version, transport: Transport): Promise<unknown> {
  const { port } = await startQueueBroker("security.users.alice.password=secret");
  return runProgram(PYTHON, "mqtt-client.py", [scenario, String(port), version, transport]);
}

const FORMS = (["3.1", "3.1.1", "5.0"] as const).flatMap((version) =>
  (["tcp", "websockets"] as const).map((transport) => [version, transport] as const),
);

describe.skipIf(MISSING !== "").each(FORMS)(`paho-mqtt by MQTT %s over %s${MISSING}`, (version, transport) => {
  it("sends and receives text, bytes, nothing and a megabyte at every QoS", async () => {
    const same = [true, true, true, true];
    expect(await play("qualities", version, transport)).toEqual({
      0: { granted: [0], same },
      1: { granted: [1], same },
      2: { granted: [2], same },
    });
  });

  it("sets, reads and removes what topics retain", async () => {
    expect(await play("retained", version, transport)).toEqual([
      ["on", true],
      ["now", false],
    ]);
  });

  it("leaves its will where it dies", async () => {
    expect(await play("will", version, transport)).toEqual([
      ["died", 2, false],
      ["died", 1, true],
    ]);
  });

  it("comes back to its session and what was sent meanwhile", async () => {
    expect(await play("session", version, transport)).toEqual({
      present: [false, version !== "3.1", false],
      inOrder: true,
    });
  });

  it("shares a subscription", async () => {
    expect(await play("shared", version, transport)).toEqual({ once: true });
  });

  it("takes the session over from a client of the same name", async () => {
    expect(await play("taken_over", version, transport)).toEqual({
      code: version === "5.0" ? 0x8e : null,
      second: ["mine"],
    });
  });

  it("with a wrong password is told so", async () => {
    expect(await play("wrong_password", version, transport)).toEqual({ code: version === "5.0" ? 0x86 : 4 });
  });
});

describe.skipIf(MISSING !== "")(`paho-mqtt by MQTT 5.0${MISSING}`, () => {
  it("sends and receives every property that travels with a message", async () => {
    expect(await play("properties", "5.0", "tcp")).toEqual({
      format: 1,
      type: "text/plain",
      response: "answers/me",
      correlation: [0, 255, 1],
      left: 1000,
      user: [
        ["colour", "red"],
        ["colour", "blue"],
        ["\u{1f30a}", "a: b\n"],
      ],
    });
  });
});
