/*
 * QoS 1 messages for a client that is away and keeps its session: how fast they are taken, and how fast they come when it
 * is back. Delos confirms what is on disk; a peer may confirm what is in its memory.
 *
 *     node bench/offline-sessions.ts --mqload DIR/mqload [--peer name=mosquitto,port=1883,pid=123 ...]
 *                                    [--messages 200000] [--size 100] [--reps 5]
 *
 * The brokers take turns; medians.
 */
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { generate, human, median, type Report } from "./generator.ts";
import { startTargets } from "./target.ts";

const { values } = parseArgs({
  options: {
    mqload: { type: "string" },
    peer: { type: "string", multiple: true, default: [] },
    messages: { type: "string", default: "200000" },
    size: { type: "string", default: "100" },
    reps: { type: "string", default: "5" },
    data: { type: "string", default: tmpdir() },
    "no-delos": { type: "boolean", default: false },
  },
});
if (values.mqload === undefined) throw new Error("--mqload FILE: the load generator to run");
const mqload = resolve(values.mqload);
const delos = values["no-delos"] ? undefined : { data: values.data, port: 21615 };
const { targets, stop } = await startTargets(values.peer, delos);
const reports = new Map<string, Report[]>(targets.map(({ name }) => [name, []]));
try {
  for (let rep = 0; rep < Number(values.reps); rep++) {
    for (const { name, port, pid } of targets) {
      const args = ["backlog", "mqtt", "-q", "1", "--unique", "-P", String(port)];
      args.push("-n", values.messages, "-s", values.size);
      if (pid > 0) args.push("--broker-pid", String(pid));
      const report = generate(mqload, args);
      reports.get(name)?.push(report);
      if (!report.ok) console.error(`${name}: ${report.error}`);
    }
  }
} finally {
  await stop();
}
console.log(
  "| broker | taken per second | per CPU second | delivered per second | per CPU second | bytes of memory each |",
);
console.log(`|${"---|".repeat(6)}`);
for (const [name, all] of reports) {
  const middle = (key: string): string => human(median(all.map((report) => report.number(key))));
  const cells = ["enqueue_per_s", "enqueue_msgs_per_broker_cpu_s", "dequeue_per_s", "dequeue_msgs_per_broker_cpu_s"];
  const failed = all.filter(({ ok }) => !ok).length;
  const label = failed === 0 ? name : `${name} (${failed} failed)`;
  console.log(`| ${[label, ...cells.map(middle), middle("backlog_rss_per_msg_bytes")].join(" | ")} |`);
}
