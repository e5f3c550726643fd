/*
 * Delos beside its peers over one protocol, alternating in one run: medians, ratios, messages per broker CPU second.
 *
 *     node bench/peers.ts --mqload DIR/mqload [--protocol stomp|mqtt] [--peer name=rabbitmq,port=12613,pid=123 ...]
 *                         [--cases a,b] [--reps 5] [--time 4]
 *
 * `mqload` is the load generator. Delos is started afresh for the run, its data in a temporary folder on a real disk.
 * Prints one Markdown table; --json FILE keeps every run.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

interface Target {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly vhost: string;
}

/** What one run of the generator reports; only what is used here. */
interface Run {
  readonly case: string;
  readonly target: string;
  readonly ok: boolean;
  readonly error?: string;
  readonly rate: number;
  readonly perCpu: number;
  readonly generatorCpu: number;
  readonly brokerCpu: number;
}

/** The generator's options, as on its command line. */
type Cases = Readonly<Record<string, string>>;

const CASES: Readonly<Record<string, Cases>> = {
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
};

const { values } = parseArgs({
  options: {
    mqload: { type: "string" },
    protocol: { type: "string", default: "stomp" },
    peer: { type: "string", multiple: true, default: [] },
    cases: { type: "string" },
    reps: { type: "string", default: "5" },
    time: { type: "string", default: "4" },
    json: { type: "string" },
    data: { type: "string", default: tmpdir() },
    "no-delos": { type: "boolean", default: false },
    "node-option": { type: "string", multiple: true, default: ["--max-semi-space-size=8"] },
  },
});
if (values.mqload === undefined) throw new Error("--mqload FILE: the load generator to run");
const mqload = resolve(values.mqload);
const cases = CASES[values.protocol];
if (cases === undefined) throw new Error(`--protocol is one of ${Object.keys(CASES).join(", ")}`);

function parseTarget(text: string): Target {
  const parts = new Map(text.split(",").map((part) => part.split("=", 2) as [string, string]));
  const name = parts.get("name");
  const port = Number(parts.get("port"));
  if (name === undefined || !Number.isInteger(port)) throw new Error(`A peer needs name=...,port=..., not ${text}`);
  return { name, port, pid: Number(parts.get("pid") ?? 0), vhost: parts.get("vhost") ?? "/" };
}

async function startDelos(): Promise<{ target: Target; stop: () => Promise<void> }> {
  const directory = mkdtempSync(join(resolve(values.data), "delos-bench-"));
  const port = 21613;
  const child: ChildProcess = spawn(
    process.execPath,
    [
      ...values["node-option"],
      "src/main.ts",
      "serve",
      "--set",
      `store.directory=${directory}`,
      "--set",
      `listeners.stomp.port=${port}`,
      ...["mqtt", "amqp", "openwire"].flatMap((name) => ["--set", `listeners.${name}.enabled=false`]),
    ],
    { cwd: join(import.meta.dirname, ".."), stdio: ["ignore", "pipe", "inherit"] },
  );
  await new Promise<void>((done, fail) => {
    child.once("exit", (code) => fail(new Error(`Delos ended with ${code} before it listened`)));
    child.stdout?.on("data", (chunk: Buffer) => {
      if (chunk.toString().includes(String(port))) done();
    });
  });
  const stop = async (): Promise<void> => {
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGTERM");
    await gone;
    rmSync(directory, { recursive: true, force: true });
  };
  return { target: { name: "delos", port, pid: child.pid ?? 0, vhost: "/" }, stop };
}

function run(name: string, options: string, target: Target): Run {
  const unconsumed = options.includes("-c 0 ");
  const args = ["throughput", values.protocol, "--json", "--unique", "-P", String(target.port)];
  if (values.protocol === "stomp") args.push("-u", "guest", "-w", "guest", "--vhost", target.vhost);
  args.push("--warmup", "1", "-t", values.time, "--timeout", "60", "-s", "24", ...options.split(" "));
  if (target.pid > 0) args.push("--broker-pid", String(target.pid));
  const result = spawnSync(mqload, args, { encoding: "utf8", timeout: 120_000 });
  const line = result.stdout.trim().split("\n").at(-1) ?? "";
  const report = (line === "" ? {} : JSON.parse(line)) as Record<string, unknown>;
  const number = (key: string): number => (typeof report[key] === "number" ? report[key] : Number.NaN);
  const rate = unconsumed ? number("confirmed_per_s") : number("received_per_s");
  const brokerCpu = number("broker_cpu_s");
  return {
    case: name,
    target: target.name,
    ok: result.status === 0,
    ...(result.status === 0
      ? {}
      : { error: `${typeof report.error === "string" ? report.error : ""} ${result.stderr.slice(-200)}` }),
    rate,
    perCpu: unconsumed ? (rate * number("cpu_window_s")) / brokerCpu : number("msgs_per_broker_cpu_s"),
    generatorCpu: number("gen_cpu_s"),
    brokerCpu,
  };
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function human(value: number): string {
  if (Number.isNaN(value)) return "-";
  return value >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
}

function row(name: string, runs: readonly Run[], targets: readonly Target[]): string {
  const of = (target: string): Run[] => runs.filter((item) => item.case === name && item.target === target);
  const reference = median(of(targets[0]?.name ?? "").map((item) => item.rate));
  const cells = targets.map((target, index) => {
    const mine = of(target.name);
    const rate = median(mine.map((item) => item.rate));
    const ratio = index === 0 ? "" : ` (${(reference / rate).toFixed(1)}x)`;
    const failed = mine.filter((item) => !item.ok).length;
    return `${human(rate)}${ratio}; ${human(median(mine.map((item) => item.perCpu)))}/CPU-s${failed > 0 ? `; ${failed} failed` : ""}`;
  });
  const mine = of(targets[0]?.name ?? "");
  const share = median(mine.map((item) => item.generatorCpu / item.brokerCpu));
  return `| ${name} | ${cells.join(" | ")} | ${share.toFixed(2)} |`;
}

const delos = values["no-delos"] ? undefined : await startDelos();
const targets = [...(delos === undefined ? [] : [delos.target]), ...values.peer.map(parseTarget)];
const wanted = values.cases?.split(",");
const runs: Run[] = [];
try {
  for (const [name, options] of Object.entries(cases)) {
    if (wanted !== undefined && !wanted.some((part) => name.includes(part))) continue;
    for (let rep = 0; rep < Number(values.reps); rep++) {
      for (const target of targets) {
        const result = run(name, options, target);
        runs.push(result);
        if (values.json !== undefined) appendFileSync(values.json, `${JSON.stringify(result)}\n`);
        if (!result.ok) console.error(`${name} on ${target.name}: ${result.error}`);
      }
    }
    if (runs.length <= targets.length * Number(values.reps)) {
      console.log(`| case | ${targets.map((target) => target.name).join(" | ")} | generator CPU per broker CPU |`);
      console.log(`|${"---|".repeat(targets.length + 2)}`);
    }
    console.log(row(name, runs, targets));
  }
} finally {
  await delos?.stop();
}
