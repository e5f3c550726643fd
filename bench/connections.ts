/*
 * What an idle connection costs: opens many, over TCP or, with --ws and a path, over WebSocket, and reads the broker's memory.
 *
 *     node bench/connections.ts [--protocol mqtt|stomp] [--ws PATH] [--count 15000] [--idle-seconds 20]
 *                               [--peer name=mosquitto,port=1883,pid=123 ...]
 *
 * One broker after the other. Prints the growth of the resident memory of the process and its descendants per connection, the
 * CPU time for making them, and the CPU time while they are idle. Peers should be fresh: memory that a broker has freed and
 * kept does not grow again.
 */
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { human } from "./generator.ts";
import { MqttConnection } from "./mqtt-connection.ts";
import { cpuSecondsOf, memoryOf, processTree } from "./process-usage.ts";
import { startTargets, type Target } from "./target.ts";

const { values } = parseArgs({
  options: {
    protocol: { type: "string", default: "mqtt" },
    ws: { type: "string" },
    count: { type: "string", default: "15000" },
    "idle-seconds": { type: "string", default: "20" },
    peer: { type: "string", multiple: true, default: [] },
    data: { type: "string", default: tmpdir() },
    "no-delos": { type: "boolean", default: false },
  },
});
const COUNT = Number(values.count);
const IDLE_SECONDS = Number(values["idle-seconds"]);
/** Handshakes under way at a time. */
const AT_ONCE = 50;
if (values.protocol !== "mqtt" && values.protocol !== "stomp") throw new Error("--protocol is mqtt or stomp");
if (values.protocol === "mqtt" && values.ws !== undefined) throw new Error("--ws goes with --protocol stomp");

/** A masked WebSocket text message (RFC 6455 5.2) with a mask of zeros. */
function webSocketText(text: string): Buffer {
  const body = Buffer.from(text);
  if (body.length > 125) throw new RangeError("too long for a short frame");
  return Buffer.concat([Buffer.from([0x81, 0x80 | body.length, 0, 0, 0, 0]), body]);
}

function openStomp({ port, vhost }: Target, localAddress: string): Promise<Socket> {
  const frame = `CONNECT\naccept-version:1.2\nhost:${vhost}\nlogin:guest\npasscode:guest\n\n\0`;
  const socket = connect({ port, host: "127.0.0.1", localAddress });
  return new Promise((done, fail) => {
    let heard = "";
    let upgraded = values.ws === undefined;
    socket.on("error", fail);
    socket.on("connect", () => {
      if (upgraded) socket.write(frame);
      else
        socket.write(
          `GET ${values.ws} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v12.stomp\r\n\r\n",
        );
    });
    socket.on("data", (chunk: Buffer) => {
      heard += chunk.toString("latin1");
      if (!upgraded && heard.includes("\r\n\r\n")) {
        upgraded = true;
        heard = heard.slice(heard.indexOf("\r\n\r\n") + 4);
        socket.write(webSocketText(frame));
      }
      if (!heard.includes("CONNECTED\n")) return;
      heard = "";
      done(socket);
    });
  });
}

async function open(target: Target, number: number): Promise<Socket> {
  // Source addresses of their own, as one has no more than about 28,000 ports.
  const from = `127.0.${1 + (number % 4)}.1`;
  if (values.protocol === "stomp") return openStomp(target, from);
  const { socket } = await MqttConnection.open({
    port: target.port,
    clientId: `idle-${number}`,
    from,
    keepAliveSeconds: 600,
  });
  return socket;
}

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

async function measure(target: Target): Promise<void> {
  const pids = processTree(target.pid);
  const memory = memoryOf(pids);
  const cpu = cpuSecondsOf(pids);
  const sockets: Socket[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < COUNT) sockets.push(await open(target, next++));
    }),
  );
  const connecting = cpuSecondsOf(pids) - cpu;
  await sleep(3000);
  const bytes = memoryOf(pids) - memory;
  const before = cpuSecondsOf(pids);
  await sleep(IDLE_SECONDS * 1000);
  const idle = (cpuSecondsOf(pids) - before) / IDLE_SECONDS;
  const alive = sockets.filter((socket) => !socket.destroyed).length;
  console.log(
    `| ${target.name} | ${alive} | ${human(bytes / COUNT)} | ${human(COUNT / connecting)} | ${(idle * 100).toFixed(2)} % |`,
  );
  for (const socket of sockets) socket.destroy();
  await sleep(1000);
}

const delos = values["no-delos"] ? undefined : { data: values.data, port: 21618 };
const { targets, stop } = await startTargets(values.peer, delos);
try {
  console.log(
    "| broker | connections | bytes of resident memory each | connected per CPU second | CPU of a core while idle |",
  );
  console.log(`|${"---|".repeat(5)}`);
  for (const target of targets) await measure(target);
} finally {
  await stop();
}
process.exit(0);
