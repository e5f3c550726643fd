import { describe, expect, it } from "vitest";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { runProgram, runs } from "./program.ts";

const PHP = "/usr/bin/php";
const MISSING = runs(PHP, ["-r", "exit(extension_loaded('stomp') ? 0 : 1);"])
  ? ""
  : ` (skipped: there is no ${PHP} with the extension stomp)`;

async function play(scenario: string): Promise<{ outcome: unknown; broker: TestBroker }> {
  const broker = await startBroker(["security.users.alice.password=secret"]);
  const outcome = await runProgram(PHP, "stomp-client.php", [scenario, String(broker.port)]);
  return { outcome, broker };
}

function left(broker: TestBroker, queue: string): number | undefined {
  return broker.server.broker.host(undefined)?.queues.get(queue)?.count;
}

// It may wait for ever for the end of line that other brokers write behind every frame.
describe.skipIf(MISSING !== "")(`PHP's stomp extension${MISSING}`, () => {
  it("logs in, sends and receives text with UTF-8 in headers and body", async () => {
    const { outcome } = await play("text");
    expect(outcome).toMatchObject({
      session: expect.stringMatching(/^default-/),
      body: "grüße \u{1f30a}",
      headers: { wave: "\u{1f30a}", "content-type": "text/plain", destination: "/queue/php" },
    });
  });

  it("sends and receives bytes with NUL, and a megabyte", async () => {
    expect((await play("bytes")).outcome).toEqual({
      small: Buffer.from("a\0b\0\xff\n", "latin1").toString("hex"),
      large: true,
    });
  });

  it("that waits for receipts while messages come is not kept waiting", async () => {
    expect((await play("receipts-and-messages")).outcome).toEqual({ equal: 20 });
  });

  it("acknowledges one message or all so far; what it did not comes again", async () => {
    const { outcome, broker } = await play("ack");
    expect(outcome).toEqual({ acked: true, again: ["1", "3"], redelivered: "true" });
    expect(left(broker, "php")).toBe(0);
  });

  it("commits and aborts transactions", async () => {
    const { outcome, broker } = await play("transactions");
    expect(outcome).toEqual({ bodies: ["outside", "kept"] });
    expect(left(broker, "php")).toBe(0);
  });

  it("subscribes by wildcard", async () => {
    expect((await play("wildcard")).outcome).toEqual({ bodies: ["a.b", "a.c"] });
  });

  it("comes back to its durable subscription", async () => {
    expect((await play("durable")).outcome).toEqual({ bodies: ["meanwhile"] });
  });

  it("with a wrong password is told so", async () => {
    expect((await play("wrong-password")).outcome).toMatchObject({
      error: expect.stringMatching(/user name or the password/),
      details: expect.stringMatching(/^Login failed/),
    });
  });

  it("that does something wrong is told what", async () => {
    expect((await play("wrong-destination")).outcome).toMatchObject({
      error: expect.stringMatching(/begins with none of \/queue\//),
    });
  });
});
