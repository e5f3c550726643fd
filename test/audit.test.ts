import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { connect } from "amqplib";
import { describe, expect, it, vi } from "vitest";
import type { AuditEvent } from "../core/audit.ts";
import { Audit } from "../src/audit.ts";
import type { Config } from "../src/config/schema.ts";
import { loadConfig } from "../src/config/load.ts";
import { openLog } from "../src/log.ts";
import { ROOT, startBroker, temporaryFolder } from "./support/broker.ts";
import { coreBroker } from "./support/core-broker.ts";
import { StompWire } from "./support/stomp-wire.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const MINUTE_MS = 60_000;

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return { ...fs, openSync: vi.fn(fs.openSync), writeSync: vi.fn(fs.writeSync) };
});

async function auditOf(settings: Partial<Config["audit"]> = {}) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = await openLog({
    settings: { level: "info", format: "json", repeats_per_minute: 0 },
    clock,
    stream: { write: (line: string) => void lines.push(line) },
  });
  const whole: Config["audit"] = {
    to: "log",
    file: join(temporaryFolder(), "audit.ndjson"),
    max_file_bytes: 16_384,
    max_files: 3,
    logins: "all",
    kept: 5,
    repeats_per_minute: 2,
    ...settings,
  };
  const audit = new Audit(whole, clock, log);
  const event = (some: Partial<AuditEvent>): AuditEvent => ({
    at: clock.now(),
    user: "ann",
    address: "10.0.0.1:5000",
    action: "queue.delete",
    resource: "default/queue/a",
    result: "ok",
    ...some,
  });
  return {
    audit,
    clock,
    log,
    whole,
    event,
    logged: () => lines.map((line): Record<string, unknown> => JSON.parse(line)),
  };
}

function linesOf(file: string): Record<string, unknown>[] {
  const text = readFileSync(file, "utf8");
  expect(text === "" || text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .slice(0, -1)
    .map((line): Record<string, unknown> => JSON.parse(line));
}

describe("the audit log in memory", () => {
  it("has the last events, the newest first", async () => {
    const { audit, event } = await auditOf();
    for (let number = 1; number <= 7; number++) audit.record(event({ resource: `default/queue/${number}` }));
    expect(audit.recent().map(({ resource }) => resource)).toEqual(
      [7, 6, 5, 4, 3].map((number) => `default/queue/${number}`),
    );
  });

  it("keeps what was changed when a fleet logs in", async () => {
    const { audit, event } = await auditOf();
    audit.record(event({}));
    for (let number = 0; number < 100; number++) audit.record(event({ action: "login", user: `device-${number}` }));
    expect(audit.recent().map(({ action }) => action)).toEqual([...Array(5).fill("login"), "queue.delete"]);
  });

  it("leaves out accepted logins if told to, and never refused ones", async () => {
    const { audit, event } = await auditOf({ logins: "refused" });
    audit.record(event({ action: "login" }));
    audit.record(event({ action: "login", result: "refused" }));
    expect(audit.recent()).toMatchObject([{ result: "refused" }]);
  });

  it("cuts texts that peers made long", async () => {
    const { audit, event } = await auditOf();
    audit.record(event({ user: "x".repeat(100_000) }));
    expect(audit.recent()[0]?.user?.length).toBeLessThan(1100);
  });

  it("keeps less when it is told to while it runs", async () => {
    const { audit, event, whole } = await auditOf();
    for (let number = 1; number <= 5; number++) audit.record(event({ resource: `default/queue/${number}` }));
    audit.prepare({ ...whole, kept: 2 }).take();
    expect(audit.recent().map(({ resource }) => resource)).toEqual(["default/queue/5", "default/queue/4"]);
  });
});

describe("what repeats", () => {
  it("is written a few times a minute, and then counted, whatever port it comes from", async () => {
    const { audit, clock, event, logged } = await auditOf();
    for (let number = 0; number < 10; number++) {
      audit.record(event({ result: "refused", action: "queue.send", address: `10.0.0.1:${5000 + number}` }));
    }
    expect(logged()).toHaveLength(2);
    clock.advance(MINUTE_MS);
    expect(logged()).toHaveLength(3);
    expect(logged()[2]).toMatchObject({ times: 8, result: "refused", address: "10.0.0.1:5009" });
  });

  it("is counted for each user and each address", async () => {
    const { audit, event, logged } = await auditOf();
    for (const user of ["ann", "ben"]) {
      for (const address of ["10.0.0.1:1", "10.0.0.2:1"]) {
        for (let number = 0; number < 3; number++) audit.record(event({ result: "refused", user, address }));
      }
    }
    expect(logged()).toHaveLength(8);
  });

  it("is told when the broker stops", async () => {
    const { audit, event, logged } = await auditOf();
    for (let number = 0; number < 5; number++) audit.record(event({ result: "refused" }));
    audit.close();
    expect(logged().at(-1)).toMatchObject({ times: 3 });
  });

  it("is written each time when it is a change", async () => {
    const { audit, event, logged } = await auditOf();
    for (let number = 0; number < 20; number++) audit.record(event({}));
    expect(logged()).toHaveLength(20);
  });

  it("is told at once when there is too much of it to count", async () => {
    const { audit, event, logged } = await auditOf({ repeats_per_minute: 1 });
    audit.record(event({ result: "refused", user: "first" }));
    audit.record(event({ result: "refused", user: "first" }));
    for (let number = 0; number < 1000; number++) audit.record(event({ result: "refused", user: `user-${number}` }));
    expect(logged()).toContainEqual(expect.objectContaining({ user: "first", times: 1 }));
  });

  it("does not fill files with the names that one address makes up", async () => {
    const { audit, clock, event, logged } = await auditOf();
    for (let number = 0; number < 500; number++) {
      audit.record(
        event({ action: "login", result: "refused", user: `name-${number}`, address: `[2001:db8::${number}]:1` }),
      );
    }
    audit.record(event({ action: "login", result: "refused", user: "ben", address: "10.0.0.1:1" }));
    expect(logged()).toHaveLength(101);
    clock.advance(MINUTE_MS);
    expect(logged().slice(101)).toMatchObject([
      { times: 400, action: "login", detail: "various ones from this address" },
    ]);
    expect(logged()[101]).not.toHaveProperty("user");
  });

  it("is counted anew when the clock was put back", async () => {
    const { audit, clock, event, logged } = await auditOf();
    const ahead = vi.spyOn(clock, "now").mockReturnValue(clock.now() + 3_600_000);
    for (let number = 0; number < 3; number++) audit.record(event({ result: "refused" }));
    expect(logged()).toHaveLength(2);
    ahead.mockRestore();
    audit.record(event({ result: "refused" }));
    expect(logged().slice(2)).toMatchObject([{ times: 1 }, { result: "refused" }]);
  });
});

describe("the audit log in a file", () => {
  it("is one line of JSON for each event, which only the broker's user can read", async () => {
    const { audit, clock, event, whole } = await auditOf({ to: "file" });
    audit.record(event({ resource: "default/queue/line\nbreak" }));
    audit.record(event({ result: "refused", detail: "no right" }));
    clock.advance(0);
    expect(linesOf(whole.file)).toMatchObject([
      { user: "ann", resource: "default/queue/line\nbreak", at: new Date(clock.now()).toISOString() },
      { result: "refused", detail: "no right" },
    ]);
    expect(statSync(whole.file).mode & 0o777).toBe(0o600);
    audit.close();
  });

  it("goes on where the last one ended", async () => {
    const { audit, clock, log, event, whole } = await auditOf({ to: "file" });
    audit.record(event({}));
    audit.close();
    const next = new Audit(whole, clock, log);
    next.record(event({}));
    next.close();
    expect(linesOf(whole.file)).toHaveLength(2);
  });

  it("keeps so many files of so many bytes, and no line is lost or cut while there is room", async () => {
    const { audit, clock, event, whole } = await auditOf({ to: "file", max_file_bytes: 1024, max_files: 3 });
    for (let number = 0; number < 30; number++) {
      audit.record(event({ resource: `default/queue/${number}` }));
      clock.advance(1);
    }
    audit.close();
    const files = ["", ".1", ".2"].map((suffix) => whole.file + suffix);
    for (const file of files) expect(statSync(file).size).toBeLessThanOrEqual(1024);
    expect(existsSync(`${whole.file}.3`)).toBe(false);
    const ids = files.toReversed().flatMap((file) => linesOf(file).map(({ id }) => Number(id)));
    expect(ids).toEqual(Array.from({ length: ids.length }, (_, index) => 31 - ids.length + index));
  });

  it("is begun anew at a reload, where another program has renamed it", async () => {
    const { audit, event, whole } = await auditOf({ to: "file" });
    audit.record(event({ user: "before" }));
    audit.prepare(whole).take();
    renameSync(whole.file, `${whole.file}.old`);
    audit.record(event({ user: "between" }));
    audit.prepare(whole).take();
    audit.record(event({ user: "after" }));
    audit.close();
    expect(linesOf(`${whole.file}.old`).map(({ user }) => user)).toEqual(["before", "between"]);
    expect(linesOf(whole.file).map(({ user }) => user)).toEqual(["after"]);
  });

  it("loses nothing it has when no other file can be begun, however often that is tried", async () => {
    const { audit, clock, event, whole, logged } = await auditOf({ to: "file", max_file_bytes: 1024, max_files: 3 });
    const record = (): void => {
      audit.record(event({}));
      clock.advance(1);
    };
    for (let number = 0; number < 15; number++) record();
    const before = ["", ".1", ".2"].flatMap((suffix) => linesOf(whole.file + suffix));
    const { openSync } = await import("node:fs");
    const noneLeft = vi.mocked(openSync).mockImplementation(() => {
      throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
    });
    for (let number = 0; number < 9; number++) record();
    const fs = await vi.importActual<typeof import("node:fs")>("node:fs");
    noneLeft.mockImplementation(fs.openSync);
    const after = ["", ".1", ".2"].flatMap((suffix) => linesOf(whole.file + suffix));
    expect(after).toEqual(expect.arrayContaining(before));
    expect(after).toHaveLength(before.length + 9);
    expect(logged().at(-1)).toMatchObject({ msg: expect.stringContaining("no other file could be begun") });
    record();
    expect(linesOf(whole.file)).toHaveLength(1);
    audit.close();
  });

  it("is written on where the files before it cannot be renamed", async () => {
    const { audit, clock, event, whole } = await auditOf({ to: "file", max_file_bytes: 200, max_files: 2 });
    mkdirSync(`${whole.file}.1`);
    for (let number = 0; number < 5; number++) {
      audit.record(event({}));
      clock.advance(1);
    }
    audit.close();
    expect(linesOf(whole.file)).toHaveLength(5);
  });

  it("begins a line of its own after one that a full disk has cut, and after one that a crash has", async () => {
    const { audit, clock, event, whole, logged, log } = await auditOf({ to: "file" });
    const full = new Error("ENOSPC: no space left on device");
    const { writeSync: write } = await vi.importActual<typeof import("node:fs")>("node:fs");
    vi.mocked(writeSync)
      .mockImplementationOnce((descriptor) => write(descriptor, '{"id":1,"at"'))
      .mockImplementationOnce(() => {
        throw full;
      });
    audit.record(event({ user: "lost" }));
    clock.advance(1);
    expect(logged().at(-1)).toMatchObject({ lost: 1 });
    audit.record(event({ user: "ann" }));
    audit.close();
    writeFileSync(whole.file, '{"id":7,"at"', { flag: "a" });
    const next = new Audit(whole, clock, log);
    next.record(event({ user: "ben" }));
    next.close();
    const lines = readFileSync(whole.file, "utf8").split("\n");
    expect(lines).toHaveLength(5);
    expect([lines[1], lines[3]].map((line): unknown => JSON.parse(line ?? ""))).toMatchObject([
      { user: "ann" },
      { user: "ben" },
    ]);
  });

  it("has no character that a terminal obeys, or that some take for the end of a line", async () => {
    const { audit, event, whole } = await auditOf({ to: "file" });
    const user = "\u001b[2J\u009b2J\u2028\u0085\u007f\r\n";
    audit.record(event({ user }));
    audit.close();
    expect(readFileSync(whole.file, "utf8")).toMatch(/^[\x20-\x7e]*\n$/);
    expect(linesOf(whole.file)[0]?.["user"]).toBe(user);
  });

  it("refuses a file that cannot be written, and says which setting that is", async () => {
    await expect(auditOf({ to: "file", file: "/nowhere/at/all" })).rejects.toThrow(/audit\.file: \/nowhere\/at\/all/);
  });

  it("stays where it was when another file cannot be written", async () => {
    const { audit, event, whole } = await auditOf({ to: "file" });
    expect(() => audit.prepare({ ...whole, file: "/nowhere/at/all" })).toThrow(/audit\.file/);
    audit.record(event({}));
    audit.close();
    expect(linesOf(whole.file)).toHaveLength(1);
  });
});

describe("a broker", () => {
  it("takes note of its start, of logins and of what clients declare, purge and delete", async () => {
    const { port, server } = await startBroker(["security.users.ann.password=secret", "broker.name=island"]);
    const connection = await connect(`amqp://ann:secret@127.0.0.1:${port}`);
    const channel = await connection.createChannel();
    await channel.assertQueue("orders");
    await channel.assertQueue("orders");
    await channel.assertQueue("mine", { exclusive: true });
    await channel.assertExchange("trades", "direct");
    await channel.purgeQueue("orders");
    await channel.deleteQueue("orders");
    await channel.deleteQueue("nothing");
    await channel.deleteExchange("trades");
    await connection.close();
    const events = server.audit.recent().toReversed();
    expect(events.map(({ action, resource }) => [action, resource])).toEqual([
      ["broker.start", "island"],
      ["login", "stomp"],
      ["queue.declare", "default/queue/orders"],
      ["exchange.declare", "default/exchange/trades"],
      ["queue.purge", "default/queue/orders"],
      ["queue.delete", "default/queue/orders"],
      ["exchange.delete", "default/exchange/trades"],
    ]);
    for (const event of events.slice(1)) {
      expect(event).toMatchObject({ user: "ann", result: "ok", address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
    }
  });

  it("takes note of logins that were refused, without the password", async () => {
    const { port, server, log } = await startBroker(["security.users.ann.password=secret"]);
    using client = await StompWire.open(port);
    await client.send("CONNECT", { "accept-version": "1.2", host: "localhost", login: "ann", passcode: "sesame" });
    await client.expect("ERROR");
    const [event] = server.audit.recent();
    expect(event).toMatchObject({ action: "login", user: "ann", result: "refused", address: client.wire.address });
    expect(JSON.stringify(event) + log.join("")).not.toContain("sesame");
    expect(log.join("")).toContain('"msg":"audit"');
  });

  it("takes note of what was refused for want of a right", async () => {
    const events: AuditEvent[] = [];
    const access = { allows: (_login: unknown, action: string) => action !== "send" };
    const core = await coreBroker({ broker: { access, audit: { record: (event) => events.push(event) } } });
    expect(() => core.client().send("queue:orders", "hello")).toThrow(/may not send/);
    expect(events).toMatchObject([
      { action: "queue.send", resource: "default/queue/orders", result: "refused", user: "tester" },
    ]);
  });

  it("takes note of a reload, what changed by it, and of its end", async () => {
    const broker = await startBroker(["security.users.ann.password=secret"]);
    const loaded = loadConfig({ sets: ["store.kind=memory", "audit.kept=7", "detection.timeout=7s"], directory: ROOT });
    if (!loaded.ok) expect.fail(loaded.problems.join("\n"));
    await broker.server.reload(loaded.config);
    await broker.stop();
    expect(broker.server.audit.recent().toReversed()).toMatchObject([
      { action: "broker.start" },
      {
        action: "broker.reload",
        detail: expect.stringMatching(/applied: .*audit\.kept.*restart: .*detection\.timeout/),
      },
      { action: "broker.stop", detail: "the test is over" },
    ]);
  });
});
