import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { onTestFinished } from "vitest";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { eventually } from "../support/eventually.ts";

const PROGRAMS = ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"] as const;
type Program = (typeof PROGRAMS)[number];

const missing = PROGRAMS.filter((program) => spawnSync(program, ["--help"], { stdio: "ignore" }).error !== undefined);

/** Why tests with these programs are skipped; empty when they are there. */
export const MOSQUITTO_MISSING = missing.length === 0 ? "" : ` (skipped: there is no ${missing.join(", no ")})`;

/** One of the programs at work. */
export class Mosquitto {
  readonly process: ChildProcess;
  #output = Buffer.alloc(0);
  #errors = "";
  readonly #gone: Promise<number | null>;

  constructor(program: Program, port: number, args: readonly string[]) {
    const child = spawn(program, ["-h", "127.0.0.1", "-p", String(port), ...args], { stdio: ["pipe", "pipe", "pipe"] });
    this.process = child;
    child.stdout.on("data", (chunk: Buffer) => {
      this.#output = Buffer.concat([this.#output, chunk]);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    this.#gone = new Promise((resolve) => child.once("close", (code) => resolve(code)));
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await this.#gone;
    });
  }

  /** What it has printed. */
  get output(): Buffer {
    return this.#output;
  }

  get lines(): string[] {
    return this.#output.toString().split("\n").slice(0, -1);
  }

  /** Waits until it ends by itself, which it must do well; what it printed. */
  async done(): Promise<Buffer> {
    const code = await this.#gone;
    if (code !== 0) throw new Error(`It ended with ${code}: ${this.#errors}${this.#output.toString()}`);
    return this.#output;
  }

  /** Waits until it ends by itself; its exit code and what it complained of. */
  async failed(): Promise<{ code: number | null; errors: string }> {
    return { code: await this.#gone, errors: this.#errors };
  }

  /** Kills it as a crash does. */
  async crash(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.#gone;
  }
}

/** Runs one to its end; `input` is what it reads. */
export function run(program: Program, port: number, args: readonly string[], input?: string | Buffer): Promise<Buffer> {
  const started = new Mosquitto(program, port, args);
  started.process.stdin?.end(input);
  return started.done();
}

/** Starts `mosquitto_sub` and waits until the broker knows what it subscribes to. */
export async function subscribe(
  port: number,
  host: VirtualHost,
  args: readonly string[],
  clientId = `sub-${Math.random()}`,
): Promise<Mosquitto> {
  const started = new Mosquitto("mosquitto_sub", port, ["-i", clientId, ...args]);
  await eventually(() => {
    for (const { id, connected, interests, shared } of host.sessions.list()) {
      if (id === `mqtt/${clientId}` && connected) return interests.length + shared.length > 0;
    }
    return false;
  });
  return started;
}
