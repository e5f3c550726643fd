import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { runProgram, runs } from "./program.ts";

const PHP = "/usr/bin/php";
const NO_LIBRARY = runs(PHP, ["-r", "exit((include 'PhpAmqpLib/autoload.php') ? 0 : 1);"])
  ? ""
  : ` (skipped: there is no ${PHP} with the library php-amqplib)`;
const NO_EXTENSION = runs(PHP, ["-r", "exit(extension_loaded('amqp') ? 0 : 1);"])
  ? ""
  : ` (skipped: there is no ${PHP} with the extension amqp)`;

async function play(scenario: string): Promise<unknown> {
  const broker = await startBroker(["security.users.alice.password=secret"]);
  return runProgram(PHP, "amqp-client.php", [scenario, String(broker.port)]);
}

describe.skipIf(NO_LIBRARY !== "")(`php-amqplib${NO_LIBRARY}`, () => {
  it("sends with confirms and consumes with a prefetch count, with nested headers", async () => {
    expect(await play("library_work")).toEqual({
      acked: 20,
      first: "grüße 0",
      count: 20,
      headers: { number: 19, deep: { a: [1, "two", true, null] } },
    });
  });

  it("sends and gets a megabyte", async () => {
    expect(await play("library_large")).toEqual({ same: true });
  });

  it("calls a procedure from afar", async () => {
    expect(await play("library_rpc")).toEqual(["144", "c"]);
  });

  it("that makes a mistake is told which", async () => {
    expect(await play("library_mistakes")).toEqual({
      code: 404,
      text: expect.stringMatching(/^NOT_FOUND - no queue 'missing'/),
      open: true,
      login: expect.stringMatching(/ACCESS_REFUSED/),
    });
  });
});

describe.skipIf(NO_EXTENSION !== "" || NO_LIBRARY !== "")(`PHP's extension amqp${NO_EXTENSION}`, () => {
  it("sends to an exchange, consumes, acknowledges and has a message come again", async () => {
    expect(await play("extension_work")).toEqual({ bodies: ["n00", "n11", "n2!2", "n33", "n44"], left: 0 });
  });

  it("commits and rolls back", async () => {
    expect(await play("extension_transactions")).toEqual(["kept", null]);
  });

  it("that makes a mistake is told which", async () => {
    expect(await play("extension_mistakes")).toEqual({
      text: expect.stringMatching(/404.*NOT_FOUND - no queue 'missing'/),
      login: expect.stringMatching(/403.*ACCESS_REFUSED/),
    });
  });
});
