import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { LogSink } from "../src/log-sink.ts";
import { temporaryFolder } from "./support/broker.ts";
import { eventually } from "./support/eventually.ts";
import { smallDisk, resizeDisk } from "./support/small-disk.ts";
import { readFileSync, writeFileSync } from "node:fs";

/** A pipe whose reader does as it is told, and a sink that writes into it. */
function pipe() {
  const path = join(temporaryFolder(), "pipe");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  onTestFinished(() => closeSync(writer));
  const bytes = Buffer.alloc(1 << 16);
  const read = (): string => {
    try {
      return bytes.toString("latin1", 0, readSync(reader, bytes));
    } catch {
      return "";
    }
  };
  return { sink: new LogSink(writer), read, close: () => closeSync(reader) };
}

const LINE = `${"x".repeat(999)}\n`;

describe("where the log goes", () => {
  it("nobody waits for a reader that does not read, and nothing of what waits is lost or out of order", async () => {
    const { sink, read, close } = pipe();
    onTestFinished(close);
    const lines = Array.from({ length: 500 }, (_, n) => `${n} ${LINE}`);
    for (const line of lines) sink.write(line);
    let got = "";
    await eventually(() => {
      got += read();
      return got.length >= lines.join("").length;
    });
    expect(got).toBe(lines.join(""));
  });

  it("what is too much to wait is counted as lost, and that is told when there is room again", async () => {
    const { sink, read, close } = pipe();
    onTestFinished(close);
    const told: number[] = [];
    sink.lost = (lines) => told.push(lines);
    for (let n = 0; n < 6000; n++) sink.write(LINE);
    let got = 0;
    await eventually(() => {
      got += read().length;
      return told.length > 0;
    });
    expect(told).toEqual([6000 - got / LINE.length]);
  });

  it("the end of the process waits a moment for what waits, and no longer", () => {
    const { sink, read, close } = pipe();
    onTestFinished(close);
    for (let n = 0; n < 100; n++) sink.write(LINE);
    sink.flush();
    expect(read().length).toBeGreaterThan(0);
  });

  it("a reader that is gone ends nothing", () => {
    const { sink, close } = pipe();
    sink.write(LINE);
    close();
    for (let n = 0; n < 3; n++) sink.write(LINE);
    sink.flush();
  });

  it("a disk that is full ends nothing, and how many lines were lost is told when it is not full any more", ({
    skip,
  }) => {
    const disk = smallDisk("64k");
    if (disk === undefined) return skip("this user may not mount a small file system");
    const path = join(disk, "log");
    writeFileSync(path, "");
    const file = openSync(path, "a");
    onTestFinished(() => closeSync(file));
    const sink = new LogSink(file);
    sink.lost = (lines) => sink.write(`${lines} lost\n`);
    for (let n = 0; n < 100; n++) sink.write(LINE);
    resizeDisk(disk, "1m");
    sink.write("after\n");
    const [last, before] = readFileSync(path, "latin1").trimEnd().split("\n").toReversed();
    expect(before).toMatch(/after$/);
    expect(last).toMatch(/^[34]\d lost$/);
    return undefined;
  });
});
