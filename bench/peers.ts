/*
 * Delos beside its peers over one protocol, alternating in one run.
 *
 *     node bench/peers.ts --mqload DIR/mqload [--protocol stomp|mqtt|amqp091|amqp10] [--peer name=rabbitmq,port=12613,pid=123 ...]
 *                         [--mode throughput|latency] [--case TEXT ...] [--reps 5] [--time 4] [--rate 10000]
 *
 * `mqload` is the load generator. Delos is started afresh for the run, its data in a temporary folder on a real disk.
 * Prints one Markdown table; --json FILE keeps every run.
 *
 * Throughput: medians, ratios, messages per broker CPU second. Latency: an open loop at --rate messages a second, medians of
 * p50, p99 and p99.9 from the time a message should have been sent to its receipt, and messages per broker CPU second.
 * Many short runs say more than few long ones, because p99 and p99.9 depend on when the machine's host gives its cores to
 * others (steal): how much that was is told.
 */
import { appendFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { generate, human, median, type Report } from "./generator.ts";
import { stolenSeconds } from "./process-usage.ts";
import { START_OPTIONS } from "./delos-process.ts";
import { startTargets, type Target } from "./target.ts";

/** What one run came to; in seconds or microseconds. */
interface Run {
  readonly case: string;
  readonly target: string;
  readonly ok: boolean;
  readonly error: string;
  readonly rate: number;
  readonly perCpu: number;
  readonly generatorCpu: number;
  readonly brokerCpu: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly stolen: number;
}

/** The generator's options, as on its command line. */
type Cases = Readonly<Record<string, string>>;

const THROUGHPUT: Readonly<Record<string, Cases>> = {
  stomp: {
    "topic 1 to 1": "-k topic -p 1 -c 1 -a none",
    "topic 10 to 10": "-k topic -p 10 -c 10 -a none",
    "topic 1 to 10": "-k topic -p 1 -c 10 -a none",
    "queue 1 to 1": "-k queue -p 1 -c 1 -a none",
    "queue 1 to 1, ack each": "-k queue -p 1 -c 1 -a individual",
    "queues 10 to 10": "-k queue -p 10 -c 10 -d 10 -a none",
    "queue 1 to 1, 1 KB": "-k queue -p 1 -c 1 -a none -s 1024",
    "persistent, receipt and ack each, 10 x 1": "-k queue -p 10 -c 1 --persistent --confirm -W 1 -a individual",
    "persistent, receipt and ack each, 10 x 100": "-k queue -p 10 -c 1 --persistent --confirm -W 100 -a individual",
    "persistent, receipt each, no consumer, 10 x 1": "-k queue -p 10 -c 0 --persistent --confirm -W 1",
    "persistent, receipt each, no consumer, 10 x 100": "-k queue -p 10 -c 0 --persistent --confirm -W 100",
  },
  mqtt: {
    "QoS 0, 1 to 1": "-q 0 -p 1 -c 1",
    "QoS 0, 10 to 10": "-q 0 -p 10 -c 10",
    "QoS 0, 10 to 10, ten topics": "-q 0 -p 10 -c 10 -d 10",
    "QoS 0, 100 to 1": "-q 0 -p 100 -c 1",
    "QoS 0, 1 to 1,000": "-q 0 -p 1 -c 1000 --window 200",
    "QoS 0, 1 to 1, 1 KB": "-q 0 -p 1 -c 1 -s 1024",
    "QoS 0, 10 to 10, 1 KB": "-q 0 -p 10 -c 10 -s 1024",
    "QoS 0, 10 to 10, MQTT 5": "-q 0 -p 10 -c 10 --mqtt5",
    "QoS 1, 1 to 1": "-q 1 -p 1 -c 1",
    "QoS 1, 10 to 10": "-q 1 -p 10 -c 10",
    "QoS 2, 1 to 1": "-q 2 -p 1 -c 1",
    "QoS 2, 10 to 10": "-q 2 -p 10 -c 10",
  },
  amqp091: {
    "1 to 1, no ack": "-k queue -p 1 -c 1 -a none",
    "1 to 1, ack each": "-k queue -p 1 -c 1 -a individual",
    "1 to 1, ack by the hundred": "-k queue -p 1 -c 1 -a batch --ack-batch 100 --prefetch 500",
    "10 to 10, ten queues, no ack": "-k queue -p 10 -c 10 -d 10 -a none",
    "fan-out to 10 queues": "-k topic -p 1 -c 10 -a none",
    "1 to 1, no ack, 1 KB": "-k queue -p 1 -c 1 -a none -s 1024",
    "persistent, confirm and ack each, 10 x 100":
      "-k queue -p 10 -c 10 -d 10 --persistent --confirm -W 100 -a individual",
    "persistent, confirm each, no consumer, 10 x 100": "-k queue -p 10 -c 0 -d 10 --persistent --confirm -W 100",
  },
  amqp10: {
    "1 to 1, settled": "-k queue -p 1 -c 1 -a none",
    "1 to 1, unsettled both ways": "-k queue -p 1 -c 1 --confirm -W 1000 -a individual --prefetch 1000",
    "1 to 1, unsettled both ways, ranges": "-k queue -p 1 -c 1 --confirm -W 1000 -a batch --prefetch 1000",
    "10 to 10, ten queues, unsettled": "-k queue -p 10 -c 10 -d 10 --confirm -W 100 -a individual --prefetch 1000",
    "durable, unsettled, 10 x 100":
      "-k queue -p 10 -c 10 -d 10 --persistent --confirm -W 100 -a individual --prefetch 1000",
    "topic 1 to 10": "-k topic -p 1 -c 10 -a none",
  },
};

const LATENCY: Readonly<Record<string, Cases>> = {
  stomp: { "topic 1 to 1": "-k topic -p 1 -c 1 -a none" },
  mqtt: {
    "QoS 0, 1 to 1": "-q 0 -p 1 -c 1",
    "QoS 1, 1 to 1": "-q 1 -p 1 -c 1",
    "QoS 0, 10 to 10, ten topics": "-q 0 -p 10 -c 10 -d 10",
    // As from so many devices: what one says comes alone.
    "QoS 0, 500 to 1": "-q 0 -p 500 -c 1",
  },
  amqp091: {
    "1 to 1, no ack": "-k queue -p 1 -c 1 -a none",
    "1 to 1, confirm and ack each": "-k queue -p 1 -c 1 --confirm -a individual",
  },
  amqp10: { "1 to 1, unsettled": "-k queue -p 1 -c 1 --confirm -a individual" },
};

const { values } = parseArgs({
  options: {
    mqload: { type: "string" },
    protocol: { type: "string", default: "stomp" },
    mode: { type: "string", default: "throughput" },
    peer: { type: "string", multiple: true, default: [] },
    case: { type: "string", multiple: true },
    reps: { type: "string", default: "5" },
    time: { type: "string", default: "4" },
    rate: { type: "string", default: "10000" },
    json: { type: "string" },
    data: { type: "string", default: tmpdir() },
    "no-delos": { type: "boolean", default: false },
    "node-option": { type: "string", multiple: true, default: [...START_OPTIONS] },
  },
});
if (values.mqload === undefined) throw new Error("--mqload FILE: the load generator to run");
const mqload = resolve(values.mqload);
const latency = values.mode === "latency";
if (!latency && values.mode !== "throughput") throw new Error("--mode is throughput or latency");
const cases = (latency ? LATENCY : THROUGHPUT)[values.protocol];
if (cases === undefined) throw new Error(`--protocol is one of ${Object.keys(THROUGHPUT).join(", ")}`);

function measure(name: string, options: string, target: Target): Run {
  const args = [values.mode, values.protocol, "--unique", "-P", String(target.port)];
  if (values.protocol !== "mqtt") args.push("-u", "guest", "-w", "guest", "--vhost", target.vhost);
  args.push("--warmup", "1", "-t", values.time, "--timeout", "60", "-s", "24", ...options.split(" "));
  if (latency) args.push("-r", values.rate);
  if (target.pid > 0) args.push("--broker-pid", String(target.pid));
  const stolen = stolenSeconds();
  const report = generate(mqload, args);
  return { case: name, target: target.name, ...numbersOf(report, options), stolen: stolenSeconds() - stolen };
}

function numbersOf(report: Report, options: string): Omit<Run, "case" | "target" | "stolen"> {
  const { ok, error } = report;
  const unconsumed = options.includes("-c 0 ");
  const rate = report.number(unconsumed ? "confirmed_per_s" : "received_per_s");
  const brokerCpu = report.number("broker_cpu_s");
  return {
    ok,
    error,
    rate,
    perCpu: unconsumed ? (rate * report.number("cpu_window_s")) / brokerCpu : report.number("msgs_per_broker_cpu_s"),
    generatorCpu: report.number("gen_cpu_s"),
    brokerCpu,
    p50: report.number("e2e_p50_us"),
    p99: report.number("e2e_p99_us"),
    p999: report.number("e2e_p999_us"),
  };
}

function row(name: string, all: readonly Run[], targets: readonly Target[]): string {
  const runs = targets.map((target) => all.filter((run) => run.case === name && run.target === target.name));
  const [first = []] = runs;
  const cells = runs.map((mine, index) => {
    const failed = mine.filter(({ ok }) => !ok).length;
    const cell = latency ? latencyCell(mine) : throughputCell(mine, index === 0 ? undefined : first);
    return `${cell}${failed > 0 ? `; ${failed} failed` : ""}`;
  });
  const last = latency
    ? median(all.filter((run) => run.case === name).map(({ stolen }) => stolen * 1000)).toFixed(0)
    : median(first.map(({ generatorCpu, brokerCpu }) => generatorCpu / brokerCpu)).toFixed(2);
  return `| ${name} | ${cells.join(" | ")} | ${last} |`;
}

function throughputCell(mine: readonly Run[], reference: readonly Run[] | undefined): string {
  const rate = median(mine.map((run) => run.rate));
  const ratio = reference === undefined ? "" : ` (${(median(reference.map((run) => run.rate)) / rate).toFixed(1)}x)`;
  return `${human(rate)}${ratio}; ${human(median(mine.map((run) => run.perCpu)))}/CPU-s`;
}

function latencyCell(mine: readonly Run[]): string {
  const middle = (of: (run: Run) => number): string => Math.round(median(mine.map(of))).toLocaleString("en");
  const perCpu = `${human(median(mine.map((run) => run.perCpu)))}/CPU-s`;
  return `${middle(({ p50 }) => p50)} / ${middle(({ p99 }) => p99)} / ${middle(({ p999 }) => p999)}; ${perCpu}`;
}

const { targets, stop } = await startTargets(
  values.peer,
  values["no-delos"] ? undefined : { data: values.data, port: 21613, nodeOptions: values["node-option"] },
);
const wanted = values.case;
const runs: Run[] = [];
try {
  for (const [name, options] of Object.entries(cases)) {
    if (wanted !== undefined && !wanted.some((part) => name.includes(part))) continue;
    for (let rep = 0; rep < Number(values.reps); rep++) {
      for (const target of targets) {
        const result = measure(name, options, target);
        runs.push(result);
        if (values.json !== undefined) appendFileSync(values.json, `${JSON.stringify(result)}\n`);
        if (!result.ok) console.error(`${name} on ${target.name}: ${result.error}`);
      }
    }
    if (runs.length <= targets.length * Number(values.reps)) {
      const last = latency ? "stolen by the host, ms per run" : "generator CPU per broker CPU";
      console.log(`| case | ${targets.map((target) => target.name).join(" | ")} | ${last} |`);
      console.log(`|${"---|".repeat(targets.length + 2)}`);
    }
    console.log(row(name, runs, targets));
  }
} finally {
  await stop();
}
