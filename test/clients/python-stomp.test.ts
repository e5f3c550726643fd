import { describe, expect, it } from "vitest";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { runProgram, runs } from "./program.ts";

const PYTHON = "/usr/bin/python3";
const MISSING = runs(PYTHON, ["-c", "import stomp"]) ? "" : ` (skipped: there is no ${PYTHON} with the package stomp)`;

async function play(
  scenario: string,
  version = "1.2",
  settings: readonly string[] = [],
): Promise<{ outcome: unknown; broker: TestBroker }> {
  const broker = await startBroker(["security.users.alice.password=secret", ...settings]);
  const outcome = await runProgram(PYTHON, "stomp-client.py", [scenario, String(broker.port), version]);
  return { outcome, broker };
}

function left(broker: TestBroker): number | undefined {
  return broker.server.broker.host(undefined)?.queues.get("py")?.count;
}

const VERSIONS = ["1.0", "1.1", "1.2"];

describe.skipIf(MISSING !== "").each(VERSIONS)(`stomp.py by STOMP %s${MISSING}`, (version) => {
  it("logs in, sends and receives text with UTF-8 in headers and body", async () => {
    const { outcome } = await play("text", version);
    expect(outcome).toEqual({ body: "grüße \u{1f30a}", same: true, destination: "/queue/py" });
  });

  it("acknowledges one message or all so far; what it did not comes again", async () => {
    const { outcome, broker } = await play("ack", version);
    expect(outcome).toEqual({ again: ["1", "3"], redelivered: "true" });
    expect(left(broker)).toBe(0);
  });

  it("commits and aborts transactions", async () => {
    expect((await play("transactions", version)).outcome).toEqual({ bodies: ["outside", "kept"] });
  });
});

describe.skipIf(MISSING !== "")(`stomp.py${MISSING}`, () => {
  it("sends and receives bytes with NUL, and a megabyte", async () => {
    expect((await play("binary")).outcome).toEqual({ small: true, large: true });
  });

  it.each(["1.1", "1.2"])("refuses a message by NACK of STOMP %s, and it comes again", async (version) => {
    const { outcome, broker } = await play("nack", version);
    expect(outcome).toEqual({ redelivered: "true" });
    expect(left(broker)).toBe(0);
  });

  it("subscribes by wildcard", async () => {
    expect((await play("wildcard")).outcome).toEqual({ bodies: ["a.b", "a.c"] });
  });

  it("comes back to its durable subscription", async () => {
    expect((await play("durable")).outcome).toEqual({ bodies: ["meanwhile"] });
  });

  it("keeps its connection by heart-beats alone", async () => {
    const settings = ["stomp.heart_beat.send=300ms", "stomp.heart_beat.receive=300ms", "stomp.heart_beat.grace=6"];
    expect((await play("heartbeats", "1.2", settings)).outcome).toEqual({ lost: 0, connected: true });
  });

  it("with a wrong password is told so", async () => {
    expect((await play("wrong_password")).outcome).toEqual({
      error: expect.stringMatching(/user name or the password/),
      body: expect.stringMatching(/^Login failed/),
    });
  });

  it("that does something wrong is told what", async () => {
    expect((await play("wrong_destination")).outcome).toEqual({
      error: expect.stringMatching(/begins with none of \/queue\//),
    });
  });
});
