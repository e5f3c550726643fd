/*
 * What an idle connection costs: opens many STOMP connections, over TCP or WebSocket, and reads the broker's memory.
 *
 *     node bench/connections.ts --pid PID --port PORT [--ws PATH] [--count 10000] [--vhost /]
 *
 * Prints the growth of the resident set of the process and its descendants per connection, and its CPU time while idle.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    pid: { type: "string" },
    port: { type: "string" },
    ws: { type: "string" },
    count: { type: "string", default: "10000" },
    vhost: { type: "string", default: "/" },
    "idle-seconds": { type: "string", default: "10" },
  },
});
const pid = Number(values.pid);
const port = Number(values.port);
const count = Number(values.count);
const CONNECT = `CONNECT\naccept-version:1.2\nhost:${values.vhost}\nlogin:guest\npasscode:guest\n\n\0`;
/** Handshakes under way at a time. */
const AT_ONCE = 50;

function tree(): number[] {
  const children = new Map<number, number[]>();
  for (const line of execFileSync("ps", ["-e", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n")) {
    const [child = 0, parent = 0] = line.trim().split(/\s+/).map(Number);
    children.set(parent, [...(children.get(parent) ?? []), child]);
  }
  const all = [pid];
  for (const one of all) all.push(...(children.get(one) ?? []));
  return all;
}

function resident(): number {
  let bytes = 0;
  for (const one of tree()) {
    const found = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${one}/status`, "utf8"));
    bytes += Number(found?.[1] ?? 0) * 1024;
  }
  return bytes;
}

/** CPU seconds so far. */
function cpu(): number {
  let ticks = 0;
  for (const one of tree()) {
    const fields = readFileSync(`/proc/${one}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}

/** A masked WebSocket text message (RFC 6455 5.2) with a mask of zeros. */
function webSocketText(text: string): Buffer {
  const body = Buffer.from(text);
  if (body.length > 125) throw new RangeError("too long for a short frame");
  return Buffer.concat([Buffer.from([0x81, 0x80 | body.length, 0, 0, 0, 0]), body]);
}

function open(i: number): Promise<Socket> {
  // Source addresses of their own, as one has no more than about 28,000 ports.
  const socket = connect({ port, host: "127.0.0.1", localAddress: `127.0.${1 + (i % 4)}.1` });
  return new Promise((done, fail) => {
    let heard = "";
    let upgraded = values.ws === undefined;
    socket.on("error", fail);
    socket.on("connect", () => {
      if (upgraded) socket.write(CONNECT);
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
        socket.write(webSocketText(CONNECT));
      }
      if (!heard.includes("CONNECTED\n")) return;
      heard = "";
      done(socket);
    });
  });
}

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

const before = resident();
const sockets: Socket[] = [];
const began = Date.now();
let next = 0;
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (next < count) sockets.push(await open(next++));
  }),
);
const seconds = (Date.now() - began) / 1000;
await sleep(3000);
const after = resident();
const cpuBefore = cpu();
await sleep(Number(values["idle-seconds"]) * 1000);
const idle = (cpu() - cpuBefore) / Number(values["idle-seconds"]);
console.log(
  `${sockets.length} connections in ${seconds.toFixed(1)} s; ${Math.round((after - before) / count).toLocaleString("en")} bytes each; ` +
    `${(idle * 100).toFixed(1)} % of a core while idle`,
);
for (const socket of sockets) socket.destroy();
process.exit(0);
