/*
 * Whether what queues keep is bounded: message groups, scheduled messages, browsing.
 *
 *     node bench/queues.ts [--groups 100000] [--scheduled 1000000] [--browsed 1000000] [--data FOLDER]
 *
 * Over STOMP with a receipt for each send, 2,000 outstanding. Each part has a broker of its own. Prints rates, the most
 * anonymous memory seen (RssAnon) and messages per CPU second of the broker.
 *
 *   groups     10 messages in each of so many groups, sent while 10 consumers acknowledge one by one
 *   scheduled  messages due at random times from a day on; then a restart, and how late 10,000 are that become due within 10 s meanwhile
 *   browsed    a stored backlog: browsed to its end, then consumed with automatic acknowledgement
 */
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { countNul, DelosProcess, sendConfirmed } from "./delos-process.ts";

const { values } = parseArgs({
  options: {
    groups: { type: "string", default: "100000" },
    scheduled: { type: "string", default: "1000000" },
    browsed: { type: "string", default: "1000000" },
    data: { type: "string", default: tmpdir() },
  },
});
const PORT = 21615;
const BODY = "0123456789".repeat(10);
const PER_GROUP = 10;
const CONSUMERS = 10;
const TIMED = 10_000;
const TIMED_MS = 10_000;

async function withDelos(work: (delos: DelosProcess, directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(resolve(values.data), "delos-queues-"));
  const delos = await DelosProcess.start(directory, PORT);
  try {
    await work(delos, directory);
  } finally {
    await delos.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

function send(queue: string, headers: string, receipt = true): string {
  return `SEND\ndestination:/queue/${queue}\npersistent:true\n${receipt ? "receipt:r\n" : ""}${headers}\n${BODY}\0`;
}

/** Counts what a subscription is sent, until there are so many. */
function received(socket: Socket, count: number): Promise<void> {
  const { promise, resolve: done } = Promise.withResolvers<void>();
  let seen = 0;
  socket.on("data", (chunk: Buffer) => {
    seen += countNul(chunk);
    if (seen >= count) done();
  });
  return promise;
}

async function report(what: string, count: number, delos: DelosProcess, work: () => Promise<void>): Promise<void> {
  delos.mostAnonymous = 0;
  const cpu = delos.cpuSeconds;
  const began = process.hrtime.bigint();
  await work();
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const rate = Math.round(count / seconds).toLocaleString("en");
  const perCpu = Math.round(count / (delos.cpuSeconds - cpu)).toLocaleString("en");
  console.log(`${what}: ${rate} per second, ${perCpu} per CPU second, at most ${megabytes(delos.mostAnonymous)}`);
}

async function groups(count: number): Promise<void> {
  await withDelos(async (delos) => {
    const total = count * PER_GROUP;
    const { promise: all, resolve: done } = Promise.withResolvers<void>();
    let taken = 0;
    for (let i = 0; i < CONSUMERS; i++) {
      const socket = await delos.session();
      let rest = "";
      socket.on("data", (chunk: Buffer) => {
        const text = rest + chunk.toString("latin1");
        let acks = "";
        let from = 0;
        for (let end = text.indexOf("\0"); end >= 0; end = text.indexOf("\0", from)) {
          const at = text.indexOf("\nack:", from);
          acks += `ACK\nid:${text.slice(at + 5, text.indexOf("\n", at + 5))}\n\n\0`;
          from = end + 1;
          taken++;
        }
        rest = text.slice(from);
        socket.write(acks);
        if (taken >= total) done();
      });
      socket.write("SUBSCRIBE\nid:1\ndestination:/queue/groups\nack:client-individual\ncredit:100,0\n\n\0");
    }
    const producer = await delos.session();
    await report(`${count.toLocaleString("en")} groups, ${CONSUMERS} consumers`, total, delos, async () => {
      // Every group has had a message before any has its second one.
      await sendConfirmed(producer, total, (n) => send("groups", `message_group:g${n % count}\n`));
      await all;
    });
  });
}

async function scheduled(count: number): Promise<void> {
  await withDelos(async (first, directory) => {
    const socket = await first.session();
    await report(`${count.toLocaleString("en")} scheduled`, count, first, () =>
      sendConfirmed(socket, count, (n) => send("later", `delay:${86_400_000 + ((n * 7919) % count) * 1000}\n`)),
    );
    await first.stop();
    const began = process.hrtime.bigint();
    const delos = await DelosProcess.start(directory, PORT);
    console.log(`  restart in ${Math.round(Number(process.hrtime.bigint() - began) / 1e6)} ms`);
    await punctual(delos);
    console.log(`  at most ${megabytes(delos.mostAnonymous)} anonymous after the restart`);
    await delos.stop();
  });
}

/** How late messages are that become due while another connection sends and consumes as fast as it can. */
async function punctual(delos: DelosProcess): Promise<void> {
  const busy = await delos.session();
  let stopped = false;
  busy.write("SUBSCRIBE\nid:1\ndestination:/queue/busy\n\n\0");
  const frames = send("busy", "", false).replace("persistent:true\n", "").repeat(200);
  busy.on("data", () => {});
  const keepBusy = (): void => {
    if (stopped) return;
    if (busy.write(frames)) setImmediate(keepBusy);
    else busy.once("drain", keepBusy);
  };
  const consumer = await delos.session();
  const late: number[] = [];
  const { promise: all, resolve: done } = Promise.withResolvers<void>();
  let rest = "";
  consumer.on("data", (chunk: Buffer) => {
    const now = Date.now();
    const text = rest + chunk.toString("latin1");
    const end = text.lastIndexOf("\0") + 1;
    for (const [, due] of text.slice(0, end).matchAll(/\ndeliver-at:(\d+)\n/g)) late.push(now - Number(due));
    rest = text.slice(end);
    if (late.length >= TIMED) done();
  });
  consumer.write("SUBSCRIBE\nid:1\ndestination:/queue/timed\n\n\0");
  const producer = await delos.session();
  const from = Date.now() + 3000;
  await sendConfirmed(producer, TIMED, (n) =>
    send("timed", `deliver-at:${from + Math.floor((n * TIMED_MS) / TIMED)}\n`),
  );
  keepBusy();
  await all;
  stopped = true;
  late.sort((a, b) => a - b);
  const at = (part: number): number => late[Math.min(late.length - 1, Math.floor(late.length * part))] ?? 0;
  console.log(`  ${TIMED} due under load: ${at(0)} to ${at(1)} ms late, median ${at(0.5)}, p99 ${at(0.99)} ms`);
  busy.destroy();
}

async function browsed(count: number): Promise<void> {
  await withDelos(async (delos) => {
    const producer = await delos.session();
    await sendConfirmed(producer, count, () => send("shelf", ""));
    for (const [what, headers] of [
      ["browsed", "browser:true\n"],
      ["consumed", ""],
    ] as const) {
      const socket = await delos.session();
      await report(`${count.toLocaleString("en")} stored, ${what}`, count, delos, async () => {
        const all = received(socket, count);
        socket.write(`SUBSCRIBE\nid:1\ndestination:/queue/shelf\n${headers}\n\0`);
        await all;
      });
      socket.destroy();
    }
  });
}

if (Number(values.groups) > 0) await groups(Number(values.groups));
if (Number(values.scheduled) > 0) await scheduled(Number(values.scheduled));
if (Number(values.browsed) > 0) await browsed(Number(values.browsed));
process.exit(0);
