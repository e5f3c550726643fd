/*
 * A backlog that is far larger than memory: load it, restart on it, unload it.
 *
 *     node bench/backlog.ts [--messages 10000000] [--data FOLDER]
 *
 * 100-byte persistent STOMP messages over one connection, a receipt each, 2,000 outstanding; consumed by cumulative
 * acknowledgements of 500. Prints the rate of every tenth, the most anonymous memory seen (RssAnon), and the time from the
 * start of the process to the first delivery, after SIGTERM and after SIGKILL.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { countNul, DelosProcess, sendConfirmed } from "./delos-process.ts";

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
const BODY = "0123456789".repeat(10);
const directory = mkdtempSync(join(resolve(values.data), "delos-backlog-"));

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

async function load(delos: DelosProcess): Promise<number[]> {
  const frame = `SEND\ndestination:/queue/backlog\npersistent:true\nreceipt:r\ncontent-length:${BODY.length}\n\n${BODY}\0`;
  const progress = new Progress();
  const socket = await delos.session();
  await sendConfirmed(socket, MESSAGES, () => frame, { reached: (count) => progress.reached(count) });
  socket.destroy();
  return progress.rates;
}

async function unload(delos: DelosProcess): Promise<number[]> {
  const progress = new Progress();
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  let received = 0;
  let acknowledged = 0;
  let rest = "";
  const socket = await delos.session();
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
async function firstDelivery(): Promise<{ delos: DelosProcess; ms: number }> {
  const began = process.hrtime.bigint();
  const delos = await DelosProcess.start(directory, PORT);
  const { promise: delivered, resolve: finish } = Promise.withResolvers<void>();
  const socket = await delos.session();
  socket.on("data", (chunk: Buffer) => {
    if (chunk.includes("MESSAGE")) finish();
  });
  socket.write("SUBSCRIBE\nid:1\ndestination:/queue/backlog\nack:client\ncredit:1,0\n\n\0");
  await delivered;
  return { delos, ms: Math.round(Number(process.hrtime.bigint() - began) / 1e6) };
}

function spread(rates: readonly number[]): string {
  const steady = ((Math.max(...rates) - Math.min(...rates)) / Math.max(...rates)) * 100;
  return `${rates.map((rate) => rate.toLocaleString("en")).join(", ")} per second by tenths; slowest ${steady.toFixed(0)} % below fastest`;
}

try {
  let delos = await DelosProcess.start(directory, PORT);
  console.log(`load:   ${spread(await load(delos))}`);
  console.log(`        at most ${(delos.mostAnonymous / 1e6).toFixed(0)} MB anonymous`);
  await delos.stop();
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    const first = await firstDelivery();
    const anonymous = (first.delos.anonymous / 1e6).toFixed(0);
    console.log(`first delivery ${first.ms} ms after the start; ${anonymous} MB anonymous`);
    await first.delos.stop(signal);
  }
  delos = await DelosProcess.start(directory, PORT);
  console.log(`unload: ${spread(await unload(delos))}`);
  console.log(`        at most ${(delos.mostAnonymous / 1e6).toFixed(0)} MB anonymous`);
  await delos.stop();
} finally {
  if (!values.keep) rmSync(directory, { recursive: true, force: true });
}
process.exit(0);
