/*
 * What an open console costs a broker with many connections: the rate of a stream with nobody watching, with the console's
 * pages open in Chromium, and with a plain client that asks for the same as they do, as often.
 *
 *     node bench/console-load.ts --mqload DIR/mqload [--connections 10000] [--queues 1000] [--trickle 200] [--reps 7] [--time 4]
 *                                [--case TEXT ...] [--page NAME ...] [--chromium /usr/bin/chromium]
 *
 * Half of the connections speak MQTT, half STOMP; some of them send a little (--trickle messages a second in all) while
 * `mqload` sends as much as it can. The three take turns, each time in another order; ratios are medians of those of single
 * rounds. On two cores Chromium takes CPU time away from the generator and the broker: what the console costs the broker itself
 * is in the messages per CPU second of the broker, and in the rate beside the plain client.
 */
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { chromium, type Browser, type Page } from "playwright-core";
import { buildConsole } from "../console/build.ts";
import { generateBeside, human, median } from "./generator.ts";
import { MqttConnection } from "./mqtt-connection.ts";
import { cpuSecondsOf } from "./process-usage.ts";
import { startDelos } from "./target.ts";

const { values } = parseArgs({
  options: {
    mqload: { type: "string" },
    connections: { type: "string", default: "10000" },
    queues: { type: "string", default: "1000" },
    trickle: { type: "string", default: "200" },
    reps: { type: "string", default: "7" },
    time: { type: "string", default: "4" },
    case: { type: "string", multiple: true },
    page: { type: "string", multiple: true },
    chromium: { type: "string", default: "/usr/bin/chromium" },
    data: { type: "string", default: tmpdir() },
  },
});
if (values.mqload === undefined) throw new Error("--mqload FILE: the load generator to run");
const mqload = resolve(values.mqload);
const CONNECTIONS = Number(values.connections);

const CASES: Readonly<Record<string, string>> = {
  "MQTT QoS 0, 10 to 10": "mqtt -q 0 -p 10 -c 10",
  "MQTT QoS 1, 10 to 10": "mqtt -q 1 -p 10 -c 10",
};
const PORT = 21620;
const MANAGEMENT = 21680;
const URL_OF_CONSOLE = `http://127.0.0.1:${MANAGEMENT}`;
const PAGES = values.page ?? ["", "connections", "queues"];
/** Handshakes under way at a time. */
const AT_ONCE = 50;
const TRICKLE_MS = 50;
/** How long the requests of the pages are listened to, to know what they ask for and how often. */
const LISTENING_MS = 12_000;
const SETTLING_MS = 3000;
const IDLE_MS = 5000;

type Watching = "nobody" | "requests" | "chromium";
const WAYS: readonly Watching[] = ["nobody", "requests", "chromium"];

/** What the pages ask for: how often in so many milliseconds, or once for ever. */
interface Habit {
  readonly path: string;
  readonly everyMs: number;
}

interface Watched {
  readonly cookie: string;
  readonly streams: readonly string[];
  readonly habits: readonly Habit[];
}

interface Run {
  readonly rate: number;
  readonly perCpu: number;
}

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Opens idle connections and has some of them send a little, until the process ends. */
async function openConnections(): Promise<void> {
  const clients: MqttConnection[] = [];
  let next = 0;
  const open = async (): Promise<void> => {
    while (next < CONNECTIONS) {
      const number = next++;
      // Source addresses of their own, as one has no more than about 28,000 ports.
      const from = `127.0.${1 + (number % 4)}.1`;
      if (number % 2 === 0) await openStomp(from);
      else clients.push(await openMqtt(number, from));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, open));
  let turn = 0;
  setInterval(() => {
    for (let count = (Number(values.trickle) * TRICKLE_MS) / 1000; count > 0; count--) {
      const client = clients[turn++ % clients.length];
      client?.publish(`idle/${turn % 500}`, "21.5");
    }
  }, TRICKLE_MS).unref();
}

async function openMqtt(number: number, from: string): Promise<MqttConnection> {
  const client = await MqttConnection.open({ port: PORT, clientId: `idle-${number}`, from, keepAliveSeconds: 3600 });
  if (number < 1000) await client.subscribe(`idle/${(number - 1) / 2}`, 0);
  return client;
}

function openStomp(localAddress: string): Promise<Socket> {
  const socket = connect({ port: PORT, host: "127.0.0.1", localAddress });
  socket.write("CONNECT\naccept-version:1.2\nhost:/\n\n\0");
  return new Promise((done, fail) => {
    socket.once("error", fail);
    socket.once("data", () => done(socket));
  });
}

/** Queues for the pages to show, with a message each. */
async function makeQueues(): Promise<void> {
  const socket = await openStomp("127.0.0.1");
  for (let number = 0; number < Number(values.queues); number++) {
    socket.write(`SEND\ndestination:/queue/orders.${number}\n\nx\0`);
  }
  const last = new Promise((done) => socket.once("data", done));
  socket.write("DISCONNECT\nreceipt:all\n\n\0");
  await last;
}

/** The pages of the console, each in a window of its own, so that none of them rests. */
async function openPages(told: (page: Page) => void): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: values.chromium,
    args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  for (const address of PAGES) {
    const context = await browser.newContext({ viewport: { width: 1300, height: 800 } });
    const page = await context.newPage();
    await page.goto(URL_OF_CONSOLE);
    await page.getByLabel("User").fill("admin");
    await page.getByLabel("Password").fill("secret");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    told(page);
    await page.goto(`${URL_OF_CONSOLE}/#/${address}`);
    // Its stream of events began before somebody listened; a page that is loaded again begins anew.
    await page.reload();
  }
  return browser;
}

/** What the open pages ask for; a session of one of them is left for who asks the same. */
async function listenToPages(): Promise<Watched> {
  const asked = new Map<string, number>();
  const streams = new Map<Page, string>();
  let since = Number.POSITIVE_INFINITY;
  const browser = await openPages((page) => {
    page.on("request", (made) => {
      const { pathname, search } = new URL(made.url());
      if (made.resourceType() === "eventsource") streams.set(page, pathname);
      else if (pathname.startsWith("/api/") && performance.now() >= since) {
        asked.set(pathname + search, (asked.get(pathname + search) ?? 0) + 1);
      }
    });
  });
  await sleep(SETTLING_MS);
  since = performance.now();
  await sleep(LISTENING_MS);
  const [page] = streams.keys();
  const cookies = (await page?.context().cookies()) ?? [];
  await browser.close();
  return {
    cookie: cookies.map(({ name, value }) => `${name}=${value}`).join("; "),
    streams: [...streams.values()],
    habits: Array.from(asked, ([path, times]) => ({ path, everyMs: LISTENING_MS / times })),
  };
}

/** Asks for what the pages ask for, and throws it away; returns how to end that. */
function askLikePages({ cookie, streams, habits }: Watched): () => void {
  const ended = new AbortController();
  const ask = (path: string): void => {
    const made = request(`${URL_OF_CONSOLE}${path}`, { headers: { cookie }, signal: ended.signal });
    made.on("response", (response) => {
      if (response.statusCode !== 200) throw new Error(`${path} was answered with ${response.statusCode}`);
      response.resume();
    });
    made.on("error", () => {});
    made.end();
  };
  for (const path of streams) ask(path);
  const timers = habits.map(({ path, everyMs }) => setInterval(() => ask(path), everyMs));
  return () => {
    for (const timer of timers) clearInterval(timer);
    ended.abort();
  };
}

/** Does something while somebody watches. */
async function watched<T>(way: Watching, like: Watched, then: () => Promise<T>): Promise<T> {
  if (way === "nobody") return then();
  if (way === "requests") {
    const end = askLikePages(like);
    await sleep(SETTLING_MS);
    return then().finally(end);
  }
  const browser = await openPages(() => {});
  await sleep(SETTLING_MS);
  try {
    return await then();
  } finally {
    await browser.close();
  }
}

async function stream(options: string, pid: number): Promise<Run> {
  const report = await generateBeside(mqload, [
    "throughput",
    ...options.split(" "),
    ..."--unique --warmup 1 --timeout 60 -s 24".split(" "),
    ...`-P ${PORT} -t ${values.time} --broker-pid ${pid}`.split(" "),
  ]);
  if (!report.ok) throw new Error(report.error);
  return { rate: report.number("received_per_s"), perCpu: report.number("msgs_per_broker_cpu_s") };
}

/** Of every round what each way came to, by that of nobody watching in the same round. */
function ratios(rounds: readonly ReadonlyMap<Watching, Run>[], way: Watching, of: (run: Run) => number): number[] {
  return rounds.flatMap((round) => {
    const [one, other] = [round.get(way), round.get("nobody")];
    return one === undefined || other === undefined ? [] : [of(one) / of(other)];
  });
}

function percent(part: number): string {
  return `${((part - 1) * 100).toFixed(1)} %`;
}

async function measure(name: string, options: string, pid: number, like: Watched): Promise<void> {
  const rounds: ReadonlyMap<Watching, Run>[] = [];
  // Once for nothing: what is compiled by then stays.
  await stream(options, pid);
  for (let rep = 0; rep < Number(values.reps); rep++) {
    const round = new Map<Watching, Run>();
    for (let index = 0; index < WAYS.length; index++) {
      const way = WAYS[(index + rep) % WAYS.length] ?? "nobody";
      round.set(way, await watched(way, like, () => stream(options, pid)));
    }
    rounds.push(round);
  }
  for (const way of WAYS) {
    const runs = rounds.flatMap((round) => round.get(way) ?? []);
    const rate = median(runs.map((run) => run.rate));
    const perCpu = median(runs.map((run) => run.perCpu));
    const [byRate, byCpu] = [ratios(rounds, way, (run) => run.rate), ratios(rounds, way, (run) => run.perCpu)];
    const cells = [human(rate), percent(median(byRate)), human(perCpu), percent(median(byCpu))];
    console.log(`| ${name} | ${way} | ${cells.join(" | ")} |`);
  }
}

/** How much of a core the broker uses with nothing but the connections and who watches. */
async function idle(pid: number, like: Watched): Promise<void> {
  for (const way of WAYS) {
    const used = await watched(way, like, async () => {
      const before = cpuSecondsOf([pid]);
      await sleep(IDLE_MS);
      return ((cpuSecondsOf([pid]) - before) * 1000) / IDLE_MS;
    });
    console.log(`idle, watched by ${way}: ${(used * 100).toFixed(1)} % of a core`);
  }
}

await buildConsole();
const { delos, stop } = await startDelos({
  data: values.data,
  port: PORT,
  settings: [
    "management.enabled=true",
    `management.port=${MANAGEMENT}`,
    "security.users.admin.password=secret",
    "security.users.admin.groups=[admins]",
    `listeners.stomp.max_connections=${CONNECTIONS + 1000}`,
  ],
});
try {
  await makeQueues();
  await openConnections();
  const like = await listenToPages();
  for (const { path, everyMs } of like.habits) console.log(`every ${Math.round(everyMs)} ms: ${path}`);
  console.log(`streams: ${like.streams.join(" ")}`);
  await idle(delos.pid, like);
  console.log(
    "| stream | watched by | messages/s | against nobody | messages per broker CPU second | against nobody |",
  );
  console.log(`|${"---|".repeat(6)}`);
  for (const [name, options] of Object.entries(CASES)) {
    if (values.case?.some((part) => name.includes(part)) !== false) await measure(name, options, delos.pid, like);
  }
} finally {
  await stop();
}
process.exit(0);
