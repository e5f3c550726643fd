/*
 * A backlog that is far larger than memory: load it, restart on it, unload it.
 *
 *     node bench/backlog.ts [--messages 10000000] [--data FOLDER]
 *
 * 100-byte persistent STOMP messages over one connection, a receipt each, 2,000 outstanding; consumed by cumulative
 * acknowledgements of 500. Prints the rate of every tenth, the most anonymous memory seen (RssAnon), and the time from the
 * start of the process to the first delivery, after SIGTERM and after SIGKILL.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "10000000" },
    data: { type: "string", default: tmpdir() },
    keep: { type: "boolean", default: false },
  },
});
const MESSAGES = Number(values.messages);
const PORT = 21614;
const BATCH = 500;
const OUTSTANDING = 2000;
const BODY = "0123456789".repeat(10);
const directory = mkdtempSync(join(resolve(values.data), "delos-backlog-"));

let mostAnonymous = 0;

function rssAnon(child: ChildProcess): number {
  const found = /RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"));
  return Number(found?.[1] ?? 0) * 1024;
}

async function start(): Promise<ChildProcess> {
  const settings = [`store.directory=${directory}`, `listeners.stomp.port=${PORT}`];
  for (const name of ["mqtt", "amqp", "openwire"]) settings.push(`listeners.${name}.enabled=false`);
  const child = spawn(
    process.execPath,
    ["--max-semi-space-size=8", "src/main.ts", "serve", ...settings.flatMap((setting) => ["--set", setting])],
    { cwd: join(import.meta.dirname, ".."), stdio: ["ignore", "pipe", "inherit"] },
  );
  const timer = setInterval(() => {
    if (child.exitCode !== null || child.signalCode !== null) clearInterval(timer);
    else mostAnonymous = Math.max(mostAnonymous, rssAnon(child));
  }, 100);
  await new Promise<void>((done, fail) => {
    child.once("exit", (code) => fail(new Error(`Delos ended with ${code}`)));
    child.stdout.on("data", (chunk: Buffer) => {
      if (chunk.includes(String(PORT))) done();
    });
  });
  return child;
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = new Promise((done) => child.once("exit", done));
  child.kill(signal);
  await gone;
}

/** Connects and logs in; what comes from then on is for the listeners that the caller adds. */
async function session(): Promise<Socket> {
  const socket = connect(PORT, "127.0.0.1");
  socket.write("CONNECT\naccept-version:1.2\nhost:/\n\n\0");
  await new Promise((done) => socket.once("data", done));
  return socket;
}

function countNul(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(0); at >= 0; at = chunk.indexOf(0, at + 1)) count++;
  return count;
}

/** Prints the rate of every tenth. */
class Progress {
  readonly rates: number[] = [];
  private readonly step = MESSAGES / 10;
  private next = this.step;
  private since = process.hrtime.bigint();

  reached(count: number): void {
    if (count < this.next) return;
    const now = process.hrtime.bigint();
    this.rates.push(Math.round(this.step / (Number(now - this.since) / 1e9)));
    this.since = now;
    this.next += this.step;
  }
}

async function load(): Promise<number[]> {
  const frame = `SEND\ndestination:/queue/backlog\npersistent:true\nreceipt:r\ncontent-length:${BODY.length}\n\n${BODY}\0`;
  const batch = Buffer.from(frame.repeat(BATCH));
  const progress = new Progress();
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  let sent = 0;
  let confirmed = 0;
  const socket = await session();
  const sendMore = (): void => {
    for (; sent < MESSAGES && sent - confirmed <= OUTSTANDING - BATCH; sent += BATCH) socket.write(batch);
    if (confirmed === MESSAGES) finish();
  };
  socket.on("data", (chunk: Buffer) => {
    confirmed += countNul(chunk);
    progress.reached(confirmed);
    sendMore();
  });
  sendMore();
  await done;
  socket.destroy();
  return progress.rates;
}

async function unload(): Promise<number[]> {
  const progress = new Progress();
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  let received = 0;
  let acknowledged = 0;
  let rest = "";
  const socket = await session();
  socket.on("data", (chunk: Buffer) => {
    received += countNul(chunk);
    const text = rest + chunk.toString("latin1");
    const last = text.lastIndexOf("\nack:");
    const end = last < 0 ? -1 : text.indexOf("\n", last + 5);
    if (end > 0 && (received - acknowledged >= BATCH || received === MESSAGES)) {
      // A cumulative ACK may name a message whose end has not come yet: then it counts with the next chunk.
      acknowledged = received;
      socket.write(`ACK\nid:${text.slice(last + 5, end)}\n\n\0`);
    }
    rest = text.slice(-400);
    progress.reached(received);
    if (received === MESSAGES) finish();
  });
  socket.write("SUBSCRIBE\nid:1\ndestination:/queue/backlog\nack:client\ncredit:5000,0\n\n\0");
  await done;
  return progress.rates;
}

/** Milliseconds from the start of the process to the first message. */
async function firstDelivery(): Promise<{ child: ChildProcess; ms: number }> {
  const began = process.hrtime.bigint();
  const child = await start();
  const { promise: delivered, resolve: finish } = Promise.withResolvers<void>();
  const socket = await session();
  socket.on("data", (chunk: Buffer) => {
    if (chunk.includes("MESSAGE")) finish();
  });
  socket.write("SUBSCRIBE\nid:1\ndestination:/queue/backlog\nack:client\ncredit:1,0\n\n\0");
  await delivered;
  return { child, ms: Math.round(Number(process.hrtime.bigint() - began) / 1e6) };
}

function spread(rates: readonly number[]): string {
  const steady = ((Math.max(...rates) - Math.min(...rates)) / Math.max(...rates)) * 100;
  return `${rates.map((rate) => rate.toLocaleString("en")).join(", ")} per second by tenths; slowest ${steady.toFixed(0)} % below fastest`;
}

try {
  let child = await start();
  console.log(`load:   ${spread(await load())}`);
  console.log(`        at most ${(mostAnonymous / 1e6).toFixed(0)} MB anonymous`);
  await stop(child, "SIGTERM");
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    const first = await firstDelivery();
    console.log(
      `first delivery ${first.ms} ms after the start; ${(rssAnon(first.child) / 1e6).toFixed(0)} MB anonymous`,
    );
    await stop(first.child, signal);
  }
  child = await start();
  mostAnonymous = 0;
  console.log(`unload: ${spread(await unload())}`);
  console.log(`        at most ${(mostAnonymous / 1e6).toFixed(0)} MB anonymous`);
  await stop(child, "SIGTERM");
} finally {
  if (!values.keep) rmSync(directory, { recursive: true, force: true });
}
process.exit(0);
