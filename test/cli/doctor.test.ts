import { chmodSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { startBrokerProcess, temporaryFolder } from "../support/broker.ts";
import { delos } from "../support/delos.ts";

const QUIET = ["stomp", "mqtt", "amqp", "openwire"].flatMap((name) => ["--set", `listeners.${name}.port=0`]);

function found(out: string): Map<string, { state: string; text: string }> {
  const list: unknown = JSON.parse(out);
  const findings = new Map<string, { state: string; text: string }>();
  if (!Array.isArray(list)) return findings;
  for (const { check, state, text } of list) findings.set(String(check), { state: String(state), text: String(text) });
  return findings;
}

function doctor(directory: string, ...more: string[]) {
  const sets = [...QUIET, "--set", `store.directory=${directory}`, "--set", "management.port=0"];
  return delos(["doctor", "--json", ...sets, ...more]);
}

it("finds nothing wrong where nothing is, and leaves nothing behind", async () => {
  const directory = temporaryFolder();
  const { code, out } = await doctor(directory);
  const findings = found(out);
  expect(code).toBe(0);
  for (const check of ["configuration", "node", "port of stomp", "port of management", "disk space", "memory"]) {
    expect([check, findings.get(check)?.state]).toEqual([check, expect.stringMatching(/ok|warning/)]);
  }
  expect(findings.get("disk speed")?.text).toMatch(/fdatasync takes [\d.]+ ms/);
  expect(readdirSync(directory)).toEqual([]);
});

it("finds a port that somebody else has, and a damaged store", { timeout: 90_000 }, async () => {
  const other = createServer();
  await new Promise<void>((done) => other.listen(0, "127.0.0.1", done));
  onTestFinished(() => void other.close());
  const address = other.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const directory = temporaryFolder();
  const broker = await startBrokerProcess(directory);
  const busy = await doctor(directory);
  expect(found(busy.out).get("store")).toMatchObject({ state: "skipped" });
  await broker.end("SIGTERM");
  expect(found((await doctor(directory)).out).get("store")).toMatchObject({ state: "ok" });
  truncateSync(join(directory, "delos.mdb"), 8192);
  const { code, out } = await doctor(directory, "--set", `listeners.stomp.port=${port}`);
  const findings = found(out);
  expect(code).toBe(1);
  expect(findings.get("port of stomp")).toMatchObject({ state: "problem", text: expect.stringContaining("in use") });
  expect(findings.get("store")).toMatchObject({ state: "problem", text: expect.stringContaining("is damaged") });
});

it("sees data that everybody can read, and a directory that nothing can be made in", async () => {
  const directory = temporaryFolder();
  chmodSync(directory, 0o700);
  expect(found((await doctor(directory)).out).get("privacy")).toMatchObject({ state: "ok" });
  chmodSync(directory, 0o755);
  const open = found((await doctor(directory)).out);
  expect(open.get("privacy")).toMatchObject({ state: "warning", text: expect.stringContaining("mode 755") });
  const { code, out } = await doctor("/proc/nowhere/data");
  expect(code).toBe(1);
  expect(found(out).get("disk speed")).toMatchObject({ state: "problem", text: expect.stringContaining("/proc") });
});

it("says all that is wrong with a configuration, as a table too", async () => {
  const file = join(temporaryFolder(), "delos.yaml");
  writeFileSync(file, "listeners:\n  stomp:\n    prot: 1\n");
  const { code, out } = await delos(["doctor", "--config", file]);
  expect([code, out]).toEqual([2, expect.stringMatching(/^CHECK +STATE +FOUND\nconfiguration +problem +.*prot/)]);
});
