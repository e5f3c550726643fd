import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { ROOT, temporaryFolder } from "../support/broker.ts";
import { startManagement } from "../support/management.ts";
import { ALERT_CASES } from "./alert-cases.ts";
import { HAS_PROMTOOL, promtool, readScrape, seriesOf } from "./scrape.ts";

const OPS = join(ROOT, "conf/monitoring");
const ALERTS = join(OPS, "prometheus/alerts.yaml");
const METRIC = /\b(?:delos|nodejs|process)_[a-z0-9_]+\b/g;

/** Every query anywhere in a document: what its keys `expr` hold, and what Grafana fills variables by. */
function* queriesIn(value: unknown): Iterable<string> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (typeof inner === "string" && (key === "expr" || key === "definition")) yield inner;
    else yield* queriesIn(inner);
  }
}

/** Values of one series, as promtool writes them. */
function series(name: string, more: string, values: string): object {
  return { series: `${name}{job="delos", instance="a"${more}}`, values };
}

function caseOf(told: Readonly<Record<string, string>>, at: string, alertname: string, alerts: object[]): object {
  const inputs = Object.entries(told).map(([name, values]) => {
    const [metric = "", own] = name.split(/[{}]/);
    return { series: `${metric}{job="delos",instance="a"${own === undefined ? "" : `,${own}`}}`, values };
  });
  return { interval: "1m", input_series: inputs, alert_rule_test: [{ eval_time: at, alertname, exp_alerts: alerts }] };
}

async function allSeries(): Promise<Set<string>> {
  const api = await startManagement(["store.kind=lmdb", `store.directory=${temporaryFolder()}`]);
  const pages = await Promise.all(["/metrics", "/metrics/per-object"].map((path) => api.get(path)));
  return new Set(pages.flatMap(({ body }) => [...seriesOf(readScrape(String(body)))]));
}

describe.each([
  ["the alert rules", "prometheus/alerts.yaml", 15],
  ["the dashboard", "grafana/delos.json", 50],
])("%s", (_what, file, least) => {
  it("ask for nothing but metrics that there are", async () => {
    const document: unknown = parse(readFileSync(join(OPS, file), "utf8"));
    const queries = [...queriesIn(document)];
    expect(queries.length).toBeGreaterThanOrEqual(least);
    const known = await allSeries();
    const unknown = queries.flatMap((query) => [...query.matchAll(METRIC)].filter(([name]) => !known.has(name)));
    expect(unknown.map(([name]) => name)).toEqual([]);
  });
});

describe.skipIf(!HAS_PROMTOOL)("Prometheus (by promtool, of Debian's package prometheus)", () => {
  it("takes the alert rules and the scrape configuration", () => {
    expect(promtool(["check", "rules", ALERTS])).toBe("");
    expect(promtool(["check", "config", "--syntax-only", join(OPS, "prometheus/scrape.yaml")])).toBe("");
  });

  it("raises every alert when it is time, and only then", () => {
    const rules: { groups: { rules: { alert: string; annotations?: object }[] }[] } = parse(
      readFileSync(ALERTS, "utf8"),
    );
    const all = rules.groups.flatMap(({ rules: some }) => some);
    expect(ALERT_CASES.map(({ alert }) => alert).toSorted()).toEqual(all.map(({ alert }) => alert).toSorted());
    // What they say is looked at below.
    for (const rule of all) delete rule.annotations;
    const folder = temporaryFolder();
    writeFileSync(join(folder, "rules.yaml"), JSON.stringify(rules));
    const tests = ALERT_CASES.flatMap(({ alert, severity, labels, raised, quiet, at }) => [
      caseOf(raised, at, alert, [{ exp_labels: { job: "delos", instance: "a", severity, ...labels } }]),
      caseOf(quiet, at, alert, []),
    ]);
    const file = join(folder, "cases.yaml");
    writeFileSync(file, JSON.stringify({ rule_files: [join(folder, "rules.yaml")], evaluation_interval: "1m", tests }));
    expect(promtool(["test", "rules", file])).toBe("");
  });

  it("says in alerts what is to be done", () => {
    const file = join(temporaryFolder(), "cases.yaml");
    const labels = { job: "delos", instance: "a" };
    const cases = {
      rule_files: [ALERTS],
      evaluation_interval: "1m",
      tests: [
        {
          interval: "1m",
          input_series: [
            series("delos_alarm", ', alarm="disk"', "0 0 1 1 1 0 0"),
            series("delos_messages_lost_total", ', host="default", reason="damaged"', "0x3 2x3"),
            series("delos_messages_lost_total", ', host="default", reason="expired"', "0x3 2x3"),
          ],
          alert_rule_test: [
            { eval_time: "1m", alertname: "DelosAlarm", exp_alerts: [] },
            {
              eval_time: "3m",
              alertname: "DelosAlarm",
              exp_alerts: [
                {
                  exp_labels: { ...labels, alarm: "disk", severity: "critical" },
                  exp_annotations: {
                    summary: "a is short of disk: publishers wait",
                    description: "They go on by themselves once there is more; see alarms in the configuration.",
                  },
                },
              ],
            },
            { eval_time: "6m", alertname: "DelosAlarm", exp_alerts: [] },
            {
              eval_time: "6m",
              alertname: "DelosMessagesDamaged",
              exp_alerts: [
                {
                  exp_labels: { ...labels, host: "default", reason: "damaged", severity: "critical" },
                  exp_annotations: {
                    summary: "a could not read messages of default from its store",
                    description: "The log says which files were set aside. Look at the disk.",
                  },
                },
              ],
            },
            { eval_time: "6m", alertname: "DelosMessagesDropped", exp_alerts: [] },
          ],
        },
      ],
    };
    writeFileSync(file, JSON.stringify(cases));
    expect(promtool(["test", "rules", file])).toBe("");
  });
});
