/*
 * Very many retained messages: how fast they are taken, what memory they need, and whether a client that subscribes to all
 * of them holds up others.
 *
 *     node bench/retained.ts [--messages 1000000] [--peer name=mosquitto,port=1883,pid=123]
 *
 * They are published at QoS 1, 2,000 outstanding, 24 bytes each, over topics `site/N/device/M`. Then two clients send each
 * other a message every 5 ms for three seconds, and go on while a third one, in a thread of its own, subscribes to `site/#`:
 * the worst round trip before and meanwhile. With --peer that broker is measured in place of Delos; it keeps the messages afterwards.
 */
import { once } from "node:events";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { generate } from "mqtt-packet";
import { human, median } from "./generator.ts";
import { MqttConnection } from "./mqtt-connection.ts";
import { cpuSecondsOf, memoryOf, processTree } from "./process-usage.ts";
import { parseTarget, startDelos } from "./target.ts";

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "1000000" },
    peer: { type: "string" },
    data: { type: "string", default: tmpdir() },
  },
});
const MESSAGES = Number(values.messages);
const OUTSTANDING = 2000;
const BATCH = 500;
const DEVICES = 1000;
const BODY = Buffer.from("24 bytes of body, no more");
const EVERY_MS = 5;
const QUIET_MS = 3000;
/** The type of the packet on the wire. */
const PUBLISH = 3;

async function load(port: number): Promise<void> {
  const publisher = await MqttConnection.open({ port, clientId: "loader" });
  const { promise: done, resolve } = Promise.withResolvers<void>();
  let sent = 0;
  let confirmed = 0;
  const more = (): void => {
    while (sent < MESSAGES && sent - confirmed <= OUTSTANDING - BATCH) {
      const packets: Buffer[] = [];
      for (const end = Math.min(MESSAGES, sent + BATCH); sent < end; sent++) {
        const topic = `site/${Math.floor(sent / DEVICES)}/device/${sent % DEVICES}`;
        const messageId = (sent % 0xffff) + 1;
        packets.push(generate({ cmd: "publish", topic, payload: BODY, qos: 1, retain: true, dup: false, messageId }));
      }
      publisher.socket.write(Buffer.concat(packets));
    }
    if (confirmed === MESSAGES) resolve();
  };
  publisher.onPacket = ({ cmd }) => {
    if (cmd !== "puback") return;
    confirmed++;
    if (confirmed % BATCH === 0 || confirmed === MESSAGES) more();
  };
  more();
  await done;
  publisher.socket.destroy();
}

/** Two clients that send each other one message at a time. */
class Bounce {
  private readonly sender: MqttConnection;
  private readonly answerer: MqttConnection;
  private readonly timer: NodeJS.Timeout;
  private trips: number[] = [];
  private sentAt = 0n;

  private constructor(sender: MqttConnection, answerer: MqttConnection) {
    this.sender = sender;
    this.answerer = answerer;
    answerer.onPacket = () => answerer.publish("bounce/back", "");
    sender.onPacket = () => {
      this.trips.push(millisecondsSince(this.sentAt));
      this.sentAt = 0n;
    };
    this.timer = setInterval(() => {
      if (this.sentAt !== 0n) return;
      this.sentAt = process.hrtime.bigint();
      sender.publish("bounce/there", "");
    }, EVERY_MS);
  }

  static async start(port: number): Promise<Bounce> {
    const sender = await MqttConnection.open({ port, clientId: "bounce-1" });
    const answerer = await MqttConnection.open({ port, clientId: "bounce-2" });
    await answerer.subscribe("bounce/there", 0);
    await sender.subscribe("bounce/back", 0);
    return new Bounce(sender, answerer);
  }

  /** How long they took since this was asked last; the one that is under way counts as well. */
  report(what: string): void {
    const trips = this.trips;
    this.trips = [];
    if (this.sentAt !== 0n) trips.push(millisecondsSince(this.sentAt));
    const worst = Math.max(...trips);
    console.log(
      `${what}: ${trips.length} round trips, median ${median(trips).toFixed(2)} ms, worst ${worst.toFixed(1)} ms`,
    );
  }

  stop(): void {
    clearInterval(this.timer);
    this.sender.socket.destroy();
    this.answerer.socket.destroy();
  }
}

function millisecondsSince(time: bigint): number {
  return Number(process.hrtime.bigint() - time) / 1e6;
}

/** Subscribes to all of them and waits until they are there. Only counts packets, so that it is not what is measured. */
async function receiveAll(port: number): Promise<void> {
  const { socket } = await MqttConnection.open({ port, clientId: "reader" });
  socket.removeAllListeners("data");
  socket.write(generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "site/#", qos: 0 }] }));
  let rest: Buffer = Buffer.alloc(0);
  let received = 0;
  while (received < MESSAGES) {
    const [chunk]: unknown[] = await once(socket, "data");
    if (!Buffer.isBuffer(chunk)) continue;
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    // Every one of them is short: its length is one byte.
    while (at + 2 <= data.length && at + 2 + (data[at + 1] ?? 0) <= data.length) {
      if ((data[at] ?? 0) >> 4 === PUBLISH) received++;
      at += 2 + (data[at + 1] ?? 0);
    }
    rest = data.subarray(at);
  }
  socket.destroy();
}

/** The same in a thread of its own. */
async function receiveAllElsewhere(port: number): Promise<void> {
  await once(new Worker(new URL(import.meta.url), { argv: process.argv.slice(2), workerData: port }), "exit");
}

async function measure(port: number, pid: number): Promise<void> {
  const before = memoryOf(processTree(pid), "RssAnon");
  const cpu = cpuSecondsOf(processTree(pid));
  const began = process.hrtime.bigint();
  await load(port);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const bytes = memoryOf(processTree(pid), "RssAnon");
  const used = cpuSecondsOf(processTree(pid)) - cpu;
  console.log(`${human(MESSAGES / seconds)} retained per second, ${human(MESSAGES / used)} per CPU second`);
  console.log(`${human(bytes / 1e6)} MB anonymous, ${human((bytes - before) / MESSAGES)} bytes each`);
  const bounce = await Bounce.start(port);
  await new Promise((done) => setTimeout(done, QUIET_MS));
  bounce.report("quiet");
  const subscribedAt = process.hrtime.bigint();
  await receiveAllElsewhere(port);
  bounce.report(`while one client is given all of them, ${(millisecondsSince(subscribedAt) / 1000).toFixed(1)} s`);
  console.log(`${human(memoryOf(processTree(pid), "RssAnon") / 1e6)} MB anonymous at the end`);
  bounce.stop();
}

if (!isMainThread) {
  await receiveAll(Number(workerData));
  process.exit(0);
} else if (values.peer === undefined) {
  // Each topic counts for a while, although nobody is subscribed to it.
  const settings = [`hosts.default.max_destinations=${MESSAGES + 1000}`];
  const { target, stop } = await startDelos({ data: values.data, port: 21616, settings });
  await measure(target.port, target.pid);
  await stop();
} else {
  const { port, pid } = parseTarget(values.peer);
  await measure(port, pid);
}
process.exit(0);
