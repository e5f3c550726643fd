/*
 * A storm: all clients lose their connections at once and come back at once, to sessions that were kept, in which one
 * message waits for each.
 *
 *     node bench/reconnects.ts [--clients 5000] [--storms 3] [--peer name=mosquitto,port=1883,pid=123 ...]
 *
 * The brokers take turns. Prints what failed, the seconds until everybody was connected and had the message, and the CPU
 * time of the broker meanwhile. The clients, which are one process, need several times as much.
 */
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import type { Packet } from "mqtt-packet";
import { median } from "./generator.ts";
import { MqttConnection } from "./mqtt-connection.ts";
import { cpuSecondsOf, processTree } from "./process-usage.ts";
import { startTargets, type Target } from "./target.ts";

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "5000" },
    storms: { type: "string", default: "3" },
    peer: { type: "string", multiple: true, default: [] },
    data: { type: "string", default: tmpdir() },
    "no-delos": { type: "boolean", default: false },
  },
});
const CLIENTS = Number(values.clients);
/** How long a client waits for what it is owed. */
const PATIENCE_MS = 30_000;
const ALL = Array.from({ length: CLIENTS }, (_, number) => number);

interface Storm {
  readonly seconds: number;
  readonly cpu: number;
  readonly failures: readonly string[];
}

function open(port: number, number: number, received: () => void): Promise<MqttConnection> {
  const onPacket = ({ cmd }: Packet): void => {
    if (cmd === "publish") received();
  };
  const from = `127.0.${1 + (number % 4)}.1`;
  return MqttConnection.open({ port, clientId: `storm-${number}`, clean: false, from, onPacket });
}

/** The sessions, each with a subscription of its own. */
async function begin(port: number): Promise<MqttConnection[]> {
  const clients: MqttConnection[] = [];
  for (const number of ALL) {
    const client = await open(port, number, () => {});
    await client.subscribe(`storm/${number}`, 1);
    clients.push(client);
  }
  return clients;
}

/** Publishes a message for each client, all of which are away. */
async function leaveMessages(port: number): Promise<void> {
  const publisher = await MqttConnection.open({ port, clientId: "storm-publisher" });
  for (const number of ALL) {
    const taken = publisher.next("puback");
    publisher.publish(`storm/${number}`, "come back", { qos: 1 });
    await taken;
  }
  publisher.socket.destroy();
}

/** One client comes back; what went wrong, if anything. */
async function comeBack(port: number, number: number, clients: MqttConnection[]): Promise<string | undefined> {
  try {
    const { promise: received, resolve } = Promise.withResolvers<void>();
    const client = await open(port, number, resolve);
    clients[number] = client;
    if (!client.present) return "the session was gone";
    await received;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function late(): Promise<string> {
  return new Promise((done) => {
    setTimeout(() => done(`nothing for ${PATIENCE_MS / 1000} s`), PATIENCE_MS).unref();
  });
}

async function storm({ port, pid }: Target, clients: MqttConnection[]): Promise<Storm> {
  for (const client of clients) client.socket.resetAndDestroy();
  await leaveMessages(port);
  const cpu = cpuSecondsOf(processTree(pid));
  const began = process.hrtime.bigint();
  const outcomes = await Promise.all(ALL.map((number) => Promise.race([comeBack(port, number, clients), late()])));
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const failures = outcomes.filter((outcome) => outcome !== undefined);
  return { seconds, cpu: cpuSecondsOf(processTree(pid)) - cpu, failures };
}

const delos = values["no-delos"] ? undefined : { data: values.data, port: 21617 };
const { targets, stop } = await startTargets(values.peer, delos);
try {
  console.log(`| broker | failures in ${values.storms} storms of ${CLIENTS} | seconds | CPU seconds of the broker |`);
  console.log("|---|---|---|---|");
  for (const target of targets) {
    const clients = await begin(target.port);
    const storms: Storm[] = [];
    for (let n = 0; n < Number(values.storms); n++) storms.push(await storm(target, clients));
    for (const client of clients) client.socket.destroy();
    const failures = storms.flatMap((one) => one.failures);
    for (const failure of new Set(failures)) console.error(`${target.name}: ${failure}`);
    const seconds = median(storms.map((one) => one.seconds)).toFixed(2);
    const cpu = median(storms.map((one) => one.cpu)).toFixed(2);
    console.log(`| ${target.name} | ${failures.length} | ${seconds} | ${cpu} |`);
  }
} finally {
  await stop();
}
process.exit(0);
