/*
 * Routing among very many wildcard filters, in the process itself: publishes per second.
 *
 *     node bench/matching.ts [--filters 1000000] [--topics 200000]
 *
 * Each filter is of one session and matches few topics. "First" publishes to topics that were not there before: the filters
 * that match are searched. "Again" publishes to the same ones: what matches is known. "Changing" subscribes to and
 * unsubscribes from one filter for every hundred publishes.
 */
import { parseArgs } from "node:util";
import { Address } from "../core/addresses/address.ts";
import { Broker } from "../core/broker.ts";
import { Message } from "../core/message.ts";
import { Output } from "../core/output.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { stompFormat } from "../protocols/stomp/convert.ts";
import { canonical } from "../core/addresses/spelling.ts";
import { systemClock, systemRandom } from "../src/clock.ts";
import { human } from "./generator.ts";

const { values } = parseArgs({
  options: { filters: { type: "string", default: "1000000" }, topics: { type: "string", default: "200000" } },
});
const FILTERS = Number(values.filters);
const TOPICS = Number(values.topics);
const SESSIONS = 100;

const broker = new Broker({
  clock: systemClock,
  random: systemRandom,
  store: new MemoryStore({ formats: new Map(), addresses: (name, kind) => canonical.parse(kind, name) }),
  authenticator: { login: () => Promise.resolve({ user: undefined, groups: [] }) },
  name: "bench",
  version: "0",
  hosts: [
    {
      name: "default",
      aliases: [],
      policies: [],
      autoCreate: true,
      maxDestinations: TOPICS + 10,
      transactionBytes: 1 << 20,
    },
  ],
  unknownHost: "default",
  memoryBytes: 1 << 30,
  failed: (cause) => {
    throw cause;
  },
  report: () => {},
});
await broker.open();
const host = broker.host(undefined);
if (host === undefined) throw new Error("There is no host");

function connect() {
  if (host === undefined) throw new Error("There is no host");
  return host.connect({
    peer: {
      id: "bench",
      output: new Output(1 << 20, () => {}),
      remoteAddress: "",
      localAddress: "",
      listener: "",
      transport: "tcp",
      subprotocol: undefined,
      bytesReceived: 0,
      bytesWritten: 0,
      lastReceivedAt: 0,
      lastWrittenAt: 0,
      pause: () => {},
      resume: () => {},
      close: () => {},
      identify: () => {},
    },
    login: { user: undefined, groups: [] },
    protocol: "bench",
    listener: { confirmed: () => {}, unblocked: () => {}, evicted: () => {} },
  });
}

/** `sites.12.*.device-345.**` and its like: a site, anything, a device, and what it says. */
function filter(n: number) {
  const site = n % 1000;
  const device = Math.floor(n / 1000);
  const text = n % 2 === 0 ? `sites.${site}.*.d${device}.**` : `sites.${site}.floor.d${device}.*`;
  return canonical.parsePattern("topic", text);
}

let delivered = 0;
const consumer = {
  deliver: () => {
    delivered++;
    return true;
  },
  cancelled: () => {},
};
let began = process.hrtime.bigint();
const seconds = (): number => Number(process.hrtime.bigint() - began) / 1e9;
const sessions = Array.from({ length: SESSIONS }, (_, i) => {
  const { session } = host.sessions.open(connect(), {
    id: `bench/${i}`,
    clean: true,
    expiryMs: 0,
    consumer,
    sharedConsumer: () => consumer,
  });
  return session;
});
const interest = { quality: 0, noLocal: false, retainAsPublished: false, tag: 0 } as const;
// More than one session may have, so they share them.
const perSession = Math.ceil(FILTERS / SESSIONS);
for (let n = 0; n < FILTERS; n++) {
  sessions[Math.floor(n / perSession)]?.add({ pattern: filter(n), ...interest }, "never");
}
for (const session of sessions) session.start();
await new Promise((done) => setImmediate(done));
console.log(`${FILTERS.toLocaleString("en")} filters in ${seconds().toFixed(1)} s`);
console.log(`${Math.round(process.memoryUsage().rss / 1e6)} MB`);

const sender = connect();
const data = Buffer.from("destination:/topic/x\n\n24 bytes of body, no more\0");
const topics = Array.from({ length: TOPICS }, (_, i) => {
  const site = (i * 7) % 1000;
  const device = (i * 13) % Math.ceil(FILTERS / 1000);
  return new Address("topic", ["sites", String(site), "floor", `d${device}`, `t${i}`]);
});
const routes = topics.map(() => undefined as ReturnType<typeof sender.route> | undefined);

async function publishAll(what: string, each?: (n: number) => void): Promise<void> {
  began = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  delivered = 0;
  for (const [i, address] of topics.entries()) {
    routes[i] ??= sender.route([address]);
    const route = routes[i];
    if (route === undefined) continue;
    const envelope = { address, durable: false, priority: 4, expiresAt: 0, receivedAt: 0 };
    sender.publish(route, new Message(stompFormat, envelope, data, 0, data.length, 22, data.length - 1));
    each?.(i);
    if (i % 1000 === 999) await new Promise((done) => setImmediate(done));
  }
  const rate = human(TOPICS / seconds());
  const { user, system } = process.cpuUsage(cpu);
  const perCpu = human(TOPICS / ((user + system) / 1e6));
  const times = (delivered / TOPICS).toFixed(2);
  console.log(`${what}: ${rate} publishes per second, ${perCpu} per CPU second, ${times} deliveries each`);
}

await publishAll("first");
await publishAll("again");
await publishAll("changing", (n) => {
  const session = sessions[n % SESSIONS];
  if (n % 100 !== 0 || session === undefined) return;
  const pattern = filter(Math.floor((n % SESSIONS) * perSession));
  session.remove(pattern);
  session.add({ pattern, ...interest }, "never");
});
process.exit(0);
