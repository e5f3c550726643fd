import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const OWN_NODE = join(ROOT, "node_modules/.bin/node");
const NODE = existsSync(OWN_NODE) ? OWN_NODE : process.execPath;
const MAIN = join(ROOT, "src/main.ts");
/** One listener, on a free port. */
const LISTENERS =
  "listeners:\n  stomp: {port: 0}\n  mqtt: {enabled: false}\n  amqp: {enabled: false}\n  openwire: {enabled: false}\nmanagement: {enabled: false}\n";

/** The same by arguments. */
const OFF = ["mqtt", "amqp", "openwire"]
  .flatMap((name) => ["--set", `listeners.${name}.enabled=false`])
  .concat("--set", "listeners.stomp.port=0", "--set", "management.enabled=false");

let directory = "";
let running: Delos[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "delos-serve-"));
});

afterEach(async () => {
  for (const delos of running) await delos.kill();
  running = [];
  rmSync(directory, { recursive: true, force: true });
});

/** A broker in a process of its own. */
class Delos {
  stdout = "";
  stderr = "";
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly ended: Promise<unknown[]>;

  constructor(...args: string[]) {
    const { DELOS_CONFIG: _, ...env } = process.env;
    this.child = spawn(NODE, [MAIN, "serve", ...args], { cwd: directory, env });
    this.child.stdout.on("data", (chunk) => (this.stdout += chunk));
    this.child.stderr.on("data", (chunk) => (this.stderr += chunk));
    this.ended = once(this.child, "close");
    running.push(this);
  }

  /** The port it listens on, once it is ready. */
  async port(): Promise<number> {
    await eventually(() => {
      if (this.child.exitCode !== null) throw new Error(`It ended: ${this.stderr}`);
      return this.stdout.includes("is ready.");
    }, 25_000);
    return Number(/stomp +127\.0\.0\.1:(\d+)/.exec(this.stdout)?.[1]);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async exitCode(): Promise<unknown> {
    const [code] = await this.ended;
    return code;
  }

  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGKILL");
    await this.ended;
  }

  /** The texts of the log so far. */
  get events(): Record<string, unknown>[] {
    return this.stderr
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line): Record<string, unknown> => JSON.parse(line));
  }
}

function write(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return name;
}

/** What a broker answers to a STOMP CONNECT. */
async function connectFrame(port: number, headers: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk) => (answer += chunk));
  socket.write(`CONNECT\naccept-version:1.2\nhost:localhost\n${headers}\n\0`);
  try {
    await eventually(() => answer.includes("\0"));
    return answer;
  } finally {
    socket.destroy();
  }
}

describe.skipIf(spawnSync("npm", ["--version"]).status !== 0)("npm start", () => {
  // Whether the signal goes to npm alone, as from a container's engine, or to all processes, as from a terminal or systemd.
  it.each([
    ["SIGTERM", "npm"],
    ["SIGTERM", "all"],
    ["SIGINT", "all"],
  ] as const)("stops the broker as it should on %s to %s", async (signal, whom) => {
    const { DELOS_CONFIG: _, ...env } = process.env;
    const settings = {
      DELOS__store__directory: join(directory, "data"),
      DELOS__listeners__stomp__port: "0",
      ...Object.fromEntries(
        ["mqtt", "amqp", "openwire"].map((name) => [`DELOS__listeners__${name}__enabled`, "false"]),
      ),
      DELOS__management__enabled: "false",
    };
    const child = spawn("npm", ["start"], { cwd: ROOT, env: { ...env, ...settings }, detached: true });
    const pid = child.pid ?? 0;
    let out = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (out += chunk.toString()));
    const ended = once(child, "close");
    try {
      await eventually(() => out.includes("is ready."), 60_000);
      process.kill(whom === "npm" ? pid : -pid, signal);
      await ended;
      expect(out).toContain('"msg":"stopped"');
      // Nobody of them is left.
      expect(() => process.kill(-pid, 0)).toThrow("ESRCH");
    } finally {
      if (child.exitCode === null && child.signalCode === null) process.kill(-pid, "SIGKILL");
    }
  });
});

describe("delos serve", () => {
  it("says what it listens on and where the data is, and ends with 0 on SIGTERM and SIGINT", async () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const delos = new Delos("-c", write("delos.yaml", LISTENERS));
      const port = await delos.port();
      expect(delos.stdout).toContain(`Data in ${join(directory, "data")}\n`);
      expect(delos.stdout).toContain(`| nc 127.0.0.1 ${port}\n`);
      expect(await connectFrame(port, "")).toMatch(/^CONNECTED\n/);
      delos.signal(signal);
      expect(await delos.exitCode()).toBe(0);
      expect(delos.events.map((event) => event["msg"])).toEqual(
        expect.arrayContaining(["ready", "stopping", "stopped"]),
      );
    }
  });

  it("runs from what delos init made: the admin gets in, a guest does not", async () => {
    const { stdout } = spawnSync(NODE, [MAIN, "init", "broker"], { cwd: directory, encoding: "utf8" });
    const password = /Password {2}(\S+)/.exec(stdout)?.[1] ?? "";
    const delos = new Delos("--config", "broker/delos.yaml", ...OFF);
    const port = await delos.port();
    expect(delos.stdout).toContain("\\nlogin:admin\\npasscode:PASSWORD\\n");
    expect(delos.stdout).toContain(`Data in ${join(directory, "broker/data")}\n`);
    expect(await connectFrame(port, `login:admin\npasscode:${password}\n`)).toMatch(/^CONNECTED\n/);
    expect(await connectFrame(port, "login:admin\npasscode:wrong\n")).toMatch(/^ERROR\n/);
    expect(await connectFrame(port, "login:guest\npasscode:guest\n")).toMatch(/^ERROR\n/);
    expect(delos.stderr).not.toContain(password);
  });

  it("takes over a changed configuration on SIGHUP, and keeps the old one when the new one is wrong", async () => {
    const delos = new Delos("-c", write("delos.yaml", LISTENERS));
    const port = await delos.port();
    write("delos.yaml", `${LISTENERS}security: {guest: {enabled: false}}\nstomp: {max_body: 1m}\n`);
    delos.signal("SIGHUP");
    const again = await eventually(
      () => delos.events.find((event) => event["msg"] === "the configuration was read again") ?? false,
    );
    expect(again).toMatchObject({ applied: ["security.guest.enabled"], needsRestart: ["stomp.max_body"] });
    expect(await connectFrame(port, "")).toMatch(/^ERROR\n/);

    write("delos.yaml", `${LISTENERS}security: {guest: {enabled: yes}}\n`);
    delos.signal("SIGHUP");
    const wrong = await eventually(() => delos.events.find((event) => "problem" in event) ?? false);
    expect(wrong && wrong["problem"]).toContain("delos.yaml:7:29: security.guest.enabled: expected true or false");
    expect(await connectFrame(port, "")).toMatch(/^ERROR\n/);
  });

  it("heeds a SIGHUP that comes while it starts when it has started", async () => {
    const file = join(directory, "delos.yaml");
    spawnSync("mkfifo", [file]);
    const give = async (text: string, first: () => void = () => {}): Promise<void> => {
      // There is nobody to write to before it reads.
      const pipe = await eventually(() => openSync(file, constants.O_WRONLY | constants.O_NONBLOCK));
      first();
      writeSync(pipe, text);
      closeSync(pipe);
    };
    const delos = new Delos("-c", file);
    await give(LISTENERS, () => delos.signal("SIGHUP"));
    await eventually(() => delos.stderr.includes("broker.start"));
    await give(`${LISTENERS}security: {guest: {enabled: false}}\n`);
    expect(await connectFrame(await delos.port(), "")).toMatch(/^ERROR\n/);
    expect(delos.events).toContainEqual(expect.objectContaining({ applied: ["security.guest.enabled"] }));
  });

  it("exits 2 on a wrong configuration, and starts nothing", async () => {
    const delos = new Delos("--set", "stmp.x=1");
    expect(await delos.exitCode()).toBe(2);
    expect(delos.stderr).toBe('--set stmp.x: key "stmp" is not known; did you mean "stomp"?\n');
    expect(existsSync(join(directory, "data"))).toBe(false);
  });

  it("exits 1 with one sentence when a port is in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const delos = new Delos("-c", write("delos.yaml", LISTENERS), "--set", `listeners.stomp.port=${port}`);
    expect(await delos.exitCode()).toBe(1);
    other.close();
    expect(delos.stdout).toBe("");
    expect(delos.stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(new RegExp(`^delos serve: listeners\\.stomp\\.port: .*${port}.* in use`)),
    ]);
  });

  it("exits 1 with one sentence when another broker has the data directory", async () => {
    const first = new Delos("-c", write("delos.yaml", LISTENERS));
    await first.port();
    const second = new Delos("-c", "delos.yaml");
    expect(await second.exitCode()).toBe(1);
    expect(second.stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^delos serve: .*is in use by process \d+.*store\.directory/),
    ]);
  });

  // Root may write anywhere.
  it.skipIf(process.getuid?.() === 0)("exits 1 with one sentence when the data directory may not be made", async () => {
    chmodSync(directory, 0o500);
    const delos = new Delos(...OFF, "--set", "store.directory=data");
    expect(await delos.exitCode()).toBe(1);
    chmodSync(directory, 0o700);
    expect(delos.stderr.trimEnd().split("\n")).toEqual([expect.stringMatching(/^delos serve: .*store\.directory/)]);
  });

  it("exits 1 with one sentence when the data directory is a file", async () => {
    write("data", "not a directory");
    const delos = new Delos("-c", write("delos.yaml", LISTENERS));
    expect(await delos.exitCode()).toBe(1);
    expect(delos.stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^delos serve: .*data.*store\.directory/),
    ]);
  });

  it("ends with 1 at once on a second signal", async () => {
    const delos = new Delos(
      "-c",
      write("delos.yaml", `${LISTENERS}connection: {close_timeout: 1m}\nshutdown: {timeout: 1m}\n`),
    );
    const port = await delos.port();
    // A client that does not read and does not close holds up the end.
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    socket.write("CONNECT\naccept-version:1.2\nhost:localhost\n\n\0");
    await once(socket, "readable");
    delos.signal("SIGTERM");
    await eventually(() => delos.events.some((event) => event["msg"] === "stopping"));
    // Right behind the first it is the same one, which npm has passed on once more.
    delos.signal("SIGTERM");
    await eventually(() => {
      delos.signal("SIGTERM");
      return delos.events.some((event) => event["msg"] === "stopped at once by a second signal");
    });
    expect(await delos.exitCode()).toBe(1);
    const [first, last] = ["stopping", "stopped at once by a second signal"].map(
      (text) => delos.events.find((event) => event["msg"] === text)?.["time"],
    );
    expect(Number(last) - Number(first)).toBeGreaterThanOrEqual(490);
    socket.destroy();
  });
});
