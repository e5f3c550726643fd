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

  it("counts together what is of more kinds than it tells apart, so that peers cannot fill it with texts", async () => {
    const { log, clock, texts } = await logInto({ repeats_per_minute: 1 });
    for (let n = 0; n < 1500; n++) {
      log.info({ event: `closed: ${n}` }, `kind ${n}`);
      log.info({ event: `closed: ${n}` }, `kind ${n}`);
    }
    log.error({}, "of another level");
    log.fatal({}, "the end");
    expect(texts()).toHaveLength(503);
    expect(texts().slice(-2)).toEqual(["of another level", "the end"]);
    clock.advance(MINUTE_MS);
    expect(texts().filter((text) => String(text).endsWith("repeated once more"))).toHaveLength(500);
    expect(texts()).toContain("other events ... repeated 1999 times");
    log.info({}, "kind 1400");
    expect(texts().at(-1)).toBe("kind 1400");
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

  it("shows no secret that an error has", async () => {
    const { log, lines, events } = await logInto();
    const request = { headers: { authorization: "s3cret" }, host: "x" };
    const cause = Object.assign(new Error("inner"), { password: "s3cret", code: 7 });
    log.error({ err: Object.assign(new Error("outer", { cause }), { request, token: "s3cret" }) }, "failed");
    expect(lines.join("")).not.toContain("s3cret");
    expect(events()[0]).toMatchObject({
      err: { message: "outer", request: { host: "x" }, cause: { message: "inner", code: 7 } },
    });
  });

  it.each(["json", "pretty"] as const)(
    "has no line, and nothing for a terminal, made by the names of peers: %s",
    async (format) => {
      const { log, lines } = await logInto({ format });
      const evil = "a\n[12:00] ERROR fake\r\u001b[31m\u009b31m\u2028\u202e";
      log.info({ name: evil, list: [evil], inner: { [evil]: evil }, event: evil }, evil);
      log.error({ err: new Error(evil) }, "failed");
      const all = lines.join("");
      // oxlint-disable-next-line no-control-regex
      expect(all).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]|^\[12:00\] ERROR/m);
      expect(all.split("\n").filter((line) => line.startsWith("[12:00]"))).toEqual([]);
      if (format === "json")
        expect(lines.map((line): unknown => JSON.parse(line)["name"] ?? JSON.parse(line)["err"]?.message)).toEqual([
          evil,
          evil,
        ]);
    },
  );

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
