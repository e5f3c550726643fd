import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { PassThrough } from "node:stream";
import { onTestFinished } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { loadConfig } from "../../src/config/load.ts";
import { openLog } from "../../src/log.ts";
import { type RunningServer, type ServerParts, startServer } from "../../src/server.ts";

/** The repository's folder. */
export const ROOT = resolve(import.meta.dirname, "../..");

/** A folder that is gone when the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "delos-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface TestBroker {
  readonly port: number;
  /** 0 unless `management.enabled=true` is among the settings. */
  readonly managementPort: number;
  readonly server: RunningServer;
  /** Every line logged so far. */
  readonly log: string[];
  stop(): Promise<void>;
}

/** Settings as on the command line: `key=value`. One listener on a free port, data in memory unless said otherwise. */
export async function startBroker(settings: readonly string[] = [], parts: ServerParts = {}): Promise<TestBroker> {
  const sets = [
    "store.kind=memory",
    "listeners.stomp.port=0",
    ...["mqtt", "amqp", "openwire"].map((name) => `listeners.${name}.enabled=false`),
    "management.enabled=false",
    "management.port=0",
    "log.level=debug",
    "log.format=json",
    "log.repeats_per_minute=0",
    ...settings,
  ];
  const loaded = loadConfig({ sets, directory: ROOT });
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  const lines: string[] = [];
  const stream = new PassThrough();
  stream.on("data", (chunk: Buffer) => lines.push(chunk.toString()));
  const log = await openLog({ settings: loaded.config.log, clock: systemClock, stream });
  const server = await startServer(loaded.config, log, parts);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= server.stop("the test is over"));
  onTestFinished(stop);
  const { listeners, management } = server;
  return { port: listeners[0]?.port ?? 0, managementPort: management?.port ?? 0, server, log: lines, stop };
}

/** A broker in a process of its own. */
export interface BrokerProcess {
  readonly port: number;
  readonly process: ChildProcess;
  /** Standard output and error so far. */
  output(): string;
  /** Ends it with a signal and waits until it is gone; resolves to its exit code (null for a signal). */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/** Starts `delos serve` on a free port over a data directory, and waits until it listens. */
export async function startBrokerProcess(directory: string, settings: readonly string[] = []): Promise<BrokerProcess> {
  const sets = [
    `store.directory=${directory}`,
    "listeners.stomp.port=0",
    ...["mqtt", "amqp", "openwire"].map((name) => `listeners.${name}.enabled=false`),
    "management.enabled=false",
    "log.format=json",
    ...settings,
  ];
  const child = spawn(process.execPath, ["src/main.ts", "serve", ...sets.flatMap((set) => ["--set", set])], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const gone = new Promise<number | null>((done) => child.once("exit", (code) => done(code)));
  const port = await new Promise<number>((done, fail) => {
    const hear = (chunk: Buffer): void => {
      output += chunk.toString();
      const found = /127\.0\.0\.1:(\d+)/.exec(output);
      if (found !== null) done(Number(found[1]));
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    void gone.then((code) => fail(new Error(`delos serve ended with ${code}: ${output}`)));
  });
  const end = (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return gone;
  };
  onTestFinished(async () => {
    await end("SIGKILL");
  });
  return { port, process: child, output: () => output, end };
}
