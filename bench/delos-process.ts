import { type ChildProcess, spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { cpuSecondsOf, memoryOf } from "./process-usage.ts";

/** The options of Node that `npm start` gives, but for what builds the console. */
export const START_OPTIONS: readonly string[] = packageJson.scripts.start.match(/--(?!import)\S+/g) ?? [];

/** A Delos of its own process, its data in a given folder, that listens on one loopback port. */
export class DelosProcess {
  /** The most anonymous memory seen since the start or since `forget`, in bytes (RssAnon). */
  mostAnonymous = 0;
  private readonly child: ChildProcess;
  private readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.port = port;
    const timer = setInterval(() => {
      if (child.exitCode !== null || child.signalCode !== null) clearInterval(timer);
      else this.mostAnonymous = Math.max(this.mostAnonymous, this.anonymous);
    }, 100);
  }

  /** Starts one with the flags of `npm start`; `settings` are as after `--set`. */
  static async start(
    directory: string,
    port: number,
    more: readonly string[] = [],
    nodeOptions: readonly string[] = START_OPTIONS,
  ): Promise<DelosProcess> {
    const settings = [`store.directory=${directory}`, `listeners.stomp.port=${port}`, "log.level=error"];
    settings.push("management.enabled=false", ...more);
    for (const name of ["mqtt", "amqp", "openwire"]) settings.push(`listeners.${name}.enabled=false`);
    const child = spawn(
      process.execPath,
      [...nodeOptions, "src/main.ts", "serve", ...settings.flatMap((setting) => ["--set", setting])],
      { cwd: join(import.meta.dirname, ".."), stdio: ["ignore", "pipe", "inherit"] },
    );
    const started = new DelosProcess(child, port);
    await new Promise<void>((done, fail) => {
      child.once("exit", (code) => fail(new Error(`Delos ended with ${code}`)));
      child.stdout.on("data", (chunk: Buffer) => {
        if (chunk.includes(String(port))) done();
      });
    });
    return started;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Its anonymous memory now, in bytes. */
  get anonymous(): number {
    return memoryOf([this.pid], "RssAnon");
  }

  /** Seconds of CPU it has used. */
  get cpuSeconds(): number {
    return cpuSecondsOf([this.pid]);
  }

  /** Connects and logs in; what comes from then on is for the listeners that the caller adds. */
  async session(): Promise<Socket> {
    const socket = connect(this.port, "127.0.0.1");
    socket.write("CONNECT\naccept-version:1.2\nhost:/\n\n\0");
    await new Promise((done) => socket.once("data", done));
    return socket;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((done) => this.child.once("exit", done));
    this.child.kill(signal);
    await gone;
  }
}

/** Frames that end in a chunk of STOMP whose bodies hold no NUL. */
export function countNul(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(0); at >= 0; at = chunk.indexOf(0, at + 1)) count++;
  return count;
}

/** How `sendConfirmed` sends. */
interface SendOptions {
  /** Receipts it waits for at most, and frames in one write. */
  readonly outstanding?: number;
  readonly batch?: number;
  /** Told how many frames are confirmed. */
  readonly reached?: (confirmed: number) => void;
}

/** Sends frames with a receipt each, at most `outstanding` of them unconfirmed; settles when all are confirmed. */
export async function sendConfirmed(
  socket: Socket,
  count: number,
  frame: (number: number) => string,
  { outstanding = 2000, batch = 500, reached }: SendOptions = {},
): Promise<void> {
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  let sent = 0;
  let confirmed = 0;
  const sendMore = (): void => {
    while (sent < count && sent - confirmed <= outstanding - batch) {
      let frames = "";
      for (const end = Math.min(count, sent + batch); sent < end; sent++) frames += frame(sent);
      socket.write(frames);
    }
    if (confirmed >= count) finish();
  };
  const onData = (chunk: Buffer): void => {
    confirmed += countNul(chunk);
    reached?.(confirmed);
    sendMore();
  };
  socket.on("data", onData);
  sendMore();
  await done;
  socket.off("data", onData);
}
