import { describe, expect, it } from "vitest";
import { openLog } from "../src/log.ts";
import type { Config } from "../src/config/schema.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const MINUTE_MS = 60_000;

async function logInto(settings: Partial<Config["log"]> = {}) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = await openLog({
    settings: { level: "info", format: "json", repeats_per_minute: 3, ...settings },
    clock,
    stream: { write: (line: string) => void lines.push(line) },
  });
  const events = () => lines.map((line): Record<string, unknown> => JSON.parse(line));
  return { log, clock, lines, events, texts: () => events().map((event) => event["msg"]) };
}

describe("the log", () => {
  it("writes one line of JSON per event, with its details", async () => {
    const { log, events } = await logInto();
    log.info({ listener: "stomp", port: 61_613 }, "listening");
    expect(events()).toMatchObject([{ level: 30, msg: "listening", listener: "stomp", port: 61_613 }]);
  });

  it("writes for people when it is told to", async () => {
    const { log, lines } = await logInto({ format: "pretty" });
    log.warn({ port: 1 }, "careful");
    expect(lines.join("")).toMatch(/WARN.*careful\n\s+port: 1/);
  });

  it("changes its level while it runs", async () => {
    const { log, texts } = await logInto();
    log.debug({}, "a");
    log.configure({ level: "debug", format: "json", repeats_per_minute: 3 });
    log.debug({}, "b");
    log.configure({ level: "error", format: "json", repeats_per_minute: 3 });
    log.warn({}, "c");
    expect(texts()).toEqual(["b"]);
  });

  it("counts what comes more often than it may, and tells the number once", async () => {
    const { log, clock, texts, events } = await logInto();
    for (let n = 0; n < 217; n++) log.warn({ n }, "refused");
    log.warn({}, "other");
    expect(texts()).toEqual(["refused", "refused", "refused", "other"]);
    clock.advance(MINUTE_MS);
    expect(texts().slice(4)).toEqual(["refused ... repeated 214 times"]);
    expect(events()[4]).toMatchObject({ level: 40 });
    clock.advance(10 * MINUTE_MS);
    expect(texts()).toHaveLength(5);
    log.warn({}, "refused");
    expect(texts()[5]).toBe("refused");
  });

  it("keeps events apart by their name where one is given, and by their level", async () => {
    const { log, texts } = await logInto({ repeats_per_minute: 1 });
    log.warn({ event: "a" }, "text 1");
    log.warn({ event: "a" }, "text 2");
    log.warn({ event: "b" }, "text 1");
    log.error({ event: "a" }, "text 1");
    expect(texts()).toEqual(["text 1", "text 1", "text 1"]);
    log.flush();
    expect(texts().slice(3)).toEqual(["text 1 ... repeated once more"]);
  });

  it("never withholds anything without a limit", async () => {
    const { log, texts } = await logInto({ repeats_per_minute: 0 });
    for (let n = 0; n < 50; n++) log.info({}, "again");
    expect(texts()).toHaveLength(50);
  });

  it("loses no count when there are more kinds of events than it keeps apart", async () => {
    const { log, clock, texts } = await logInto({ repeats_per_minute: 1 });
    for (let n = 0; n < 1500; n++) {
      log.info({}, `kind ${n}`);
      log.info({}, `kind ${n}`);
    }
    clock.advance(MINUTE_MS);
    expect(texts().filter((text) => String(text).endsWith("repeated once more"))).toHaveLength(1500);
  });

  it("shows no secret, however deep and in whatever case", async () => {
    const { log, lines, events } = await logInto();
    log.info({ password: "s3cret", a: { Passcode: "s3cret", b: [{ authToken: "s3cret" }] } }, "login");
    log.info(
      {
        headers: new Map([
          ["Authorization", "s3cret"],
          ["host", "x"],
        ]),
      },
      "request",
    );
    expect(lines.join("")).not.toContain("s3cret");
    expect(events()[1]).toMatchObject({ headers: { Authorization: "[secret]", host: "x" } });
  });

  it("shows the number of bytes in place of bytes", async () => {
    const { log, events } = await logInto();
    log.info({ body: Buffer.from("private"), list: [new Uint8Array(3)] }, "message");
    expect(events()).toMatchObject([{ body: "[7 bytes]", list: ["[3 bytes]"] }]);
  });

  it("shows the text and the stack of an error, and survives what goes round in circles", async () => {
    const { log, events } = await logInto();
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    log.error({ err: new TypeError("odd"), circle, big: 10n }, "failed");
    expect(events()).toMatchObject([
      { err: { type: "TypeError", message: "odd", stack: expect.stringContaining("log.test") }, big: "10" },
    ]);
  });
});
