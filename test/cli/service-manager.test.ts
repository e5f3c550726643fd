import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ROOT, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

/** Processes may take long to start where many others do. */
const PATIENCE_MS = 25_000;
const START = ["--max-semi-space-size=8", "--external-memory-accounted-in-global-limit"];

function patiently(check: () => unknown): Promise<unknown> {
  return eventually(check, PATIENCE_MS);
}

/** What stands in for systemd-notify: writes what it was told to say. */
function recorder(folder: string): string {
  const said = join(folder, "said");
  const program = join(folder, "systemd-notify");
  writeFileSync(program, `#!/bin/sh\necho "$@" >> '${said}'\n`);
  chmodSync(program, 0o755);
  return said;
}

function serve(folder: string, env: Readonly<Record<string, string>>) {
  const off = ["mqtt", "amqp", "openwire"].flatMap((name) => ["--set", `listeners.${name}.enabled=false`]);
  const sets = ["store.kind=memory", "listeners.stomp.port=0", "management.enabled=false"].flatMap((set) => [
    "--set",
    set,
  ]);
  const child = spawn(process.execPath, [...START, "src/main.ts", "serve", ...sets, ...off], {
    cwd: ROOT,
    env: { ...process.env, PATH: `${folder}${delimiter}${process.env["PATH"]}`, ...env },
    stdio: "ignore",
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

function linesOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
}

describe("a broker that a service manager started", { timeout: 120_000 }, () => {
  it("says that it is ready, then that it lives, then that it stops", async () => {
    const folder = temporaryFolder();
    const said = recorder(folder);
    const child = serve(folder, { NOTIFY_SOCKET: "/nowhere", WATCHDOG_USEC: "60000" });
    await patiently(() => expect(linesOf(said).slice(1, 3)).toEqual(["WATCHDOG=1", "WATCHDOG=1"]));
    expect(linesOf(said)[0]).toBe("READY=1 STATUS=Serves on 1 ports");
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGTERM");
    expect(await gone).toBe(0);
    expect(linesOf(said).some((line) => line.startsWith("STOPPING=1"))).toBe(true);
  });

  it("says that it reads its configuration again, and when it has", async () => {
    const folder = temporaryFolder();
    const said = recorder(folder);
    const child = serve(folder, { NOTIFY_SOCKET: "/nowhere" });
    await patiently(() => expect(linesOf(said)).toEqual(["READY=1 STATUS=Serves on 1 ports"]));
    child.kill("SIGHUP");
    await patiently(() =>
      expect(linesOf(said).slice(1)).toEqual([
        expect.stringMatching(/^RELOADING=1 MONOTONIC_USEC=\d+$/),
        expect.stringMatching(/^READY=1 STATUS=/),
      ]),
    );
  });

  it("is not said to live while its event loop stands still", async () => {
    const folder = temporaryFolder();
    const said = recorder(folder);
    const seen = join(folder, "seen");
    // It counts by itself what was said when it began to stand still, and at the end: no other process can tell when that was.
    const hang = `import { readFileSync, writeFileSync } from "node:fs";
      const fed = () => readFileSync("${said}", "utf8").split("WATCHDOG=1").length - 1;
      process.on("SIGUSR2", () => {
        const before = fed();
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
        writeFileSync("${seen}", String(fed() - before));
      });`;
    const child = serve(folder, {
      NOTIFY_SOCKET: "/nowhere",
      WATCHDOG_USEC: "150000",
      NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(hang)}`,
    });
    const fed = (): number => linesOf(said).filter((line) => line === "WATCHDOG=1").length;
    await patiently(() => fed() > 2);
    child.kill("SIGUSR2");
    await patiently(() => existsSync(seen) && readFileSync(seen, "utf8") !== "");
    // One may have been on its way.
    expect(Number(readFileSync(seen, "utf8"))).toBeLessThanOrEqual(1);
    const after = fed();
    await patiently(() => fed() > after + 3);
  });

  it.skipIf(
    spawnSync("systemd-notify", ["--version"]).status !== 0 || spawnSync("python3", ["--version"]).status !== 0,
  )("is understood by way of the real systemd-notify", async () => {
    const folder = temporaryFolder();
    const socket = join(folder, "notify");
    const said = join(folder, "said");
    const listen = `import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("${socket}")
while True:
    text, fds, flags, _ = socket.recv_fds(s, 4096, 8)
    import os
    [os.close(fd) for fd in fds]
    open("${said}", "a").write(text.decode().replace("\\n", " ") + "\\n")`;
    const manager = spawn("python3", ["-c", listen], { stdio: "ignore" });
    onTestFinished(() => void manager.kill("SIGKILL"));
    await patiently(() => existsSync(socket));
    const child = serve(join(folder, "none"), { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "300000" });
    await patiently(() => expect(linesOf(said).filter((line) => line === "WATCHDOG=1").length).toBeGreaterThan(1));
    expect(linesOf(said)[0]).toContain("READY=1");
    child.kill("SIGTERM");
    await patiently(() => expect(linesOf(said).some((line) => line.includes("STOPPING=1"))).toBe(true));
  });

  it("is silent where nobody listens, and runs where nobody can be told", async () => {
    const folder = temporaryFolder();
    const said = recorder(folder);
    const alone = serve(folder, {});
    const untold = serve(folder, { NOTIFY_SOCKET: "/nowhere", WATCHDOG_USEC: "1000000", WATCHDOG_PID: "1" });
    await patiently(() => expect(linesOf(said)).toEqual(["READY=1 STATUS=Serves on 1 ports"]));
    expect([alone.exitCode, untold.exitCode]).toEqual([null, null]);
  });
});

describe("what operators are given", () => {
  it("runs Node with the options of npm start", () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const unit = readFileSync(join(ROOT, "conf/systemd/delos.service"), "utf8");
    const image = readFileSync(join(ROOT, "Dockerfile"), "utf8");
    for (const option of START) {
      expect(scripts.start).toContain(option);
      expect(/^ExecStart=.*$/m.exec(unit)?.[0]).toContain(option);
      expect(/^ENTRYPOINT .*$/m.exec(image)?.[0]).toContain(`"${option}"`);
    }
  });

  it.skipIf(spawnSync("systemd-analyze", ["--version"]).status !== 0)("is a unit that systemd can read", () => {
    const folder = temporaryFolder();
    const unit = readFileSync(join(ROOT, "conf/systemd/delos.service"), "utf8");
    const file = join(folder, "delos.service");
    // Where it is not installed, its programs are not there either.
    writeFileSync(file, unit.replaceAll("/opt/delos/node_modules/.bin/node", process.execPath));
    const { stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" });
    expect(stderr.split("\n").filter((line) => line.includes("delos.service"))).toEqual([]);
    // In tenths: what systemd calls OK ends at 5.
    const security = spawnSync("systemd-analyze", ["security", "--offline=true", "--threshold=20", file]);
    expect(security.status).toBe(0);
  });
});
