import { spawnSync } from "node:child_process";

/** One metric as a scrape has it. */
export interface ScrapedFamily {
  readonly type: string;
  readonly help: string;
  /** Values by the name and labels: `delos_queues{host="default"}`. */
  readonly samples: Map<string, number>;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const HELP = new RegExp(`^# HELP (${NAME}) (.*)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`);
const SAMPLE = new RegExp(`^(${NAME})((?:\\{${LABEL}(?:,${LABEL})*\\})?) (-?[0-9.e+-]+|\\+Inf|NaN)$`);

/** Reads Prometheus' text format, and complains about anything it does not allow. */
export function readScrape(text: string): Map<string, ScrapedFamily> {
  if (!text.endsWith("\n")) throw new Error("A scrape ends with a line feed");
  const families = new Map<string, ScrapedFamily>();
  let help: RegExpExecArray | null = null;
  let name = "";
  for (const line of text.slice(0, -1).split("\n")) {
    if (line.startsWith("# HELP")) {
      help = HELP.exec(line);
      continue;
    }
    if (line.startsWith("#")) {
      const [, typed = "", type = ""] = TYPE.exec(line) ?? [];
      if (typed === "" || typed !== help?.[1] || families.has(typed)) throw new Error(`Out of place: ${line}`);
      name = typed;
      families.set(name, { type, help: help[2] ?? "", samples: new Map() });
      continue;
    }
    const [, sampled = "", labels = "", value] = SAMPLE.exec(line) ?? [];
    const family = families.get(name);
    const belongs = family?.type === "histogram" ? sampled.replace(/_(?:bucket|sum|count)$/, "") : sampled;
    if (family === undefined || belongs !== name) throw new Error(`Out of place: ${line}`);
    if (family.samples.has(sampled + labels)) throw new Error(`Twice: ${line}`);
    family.samples.set(sampled + labels, Number(value));
  }
  return families;
}

/** Names of all series that a scrape may have: of histograms, those of their parts. */
export function seriesOf(families: ReadonlyMap<string, ScrapedFamily>): Set<string> {
  const names = new Set<string>();
  for (const [name, { type }] of families) {
    const parts = type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    for (const part of parts) names.add(name + part);
  }
  return names;
}

/** Whether Prometheus' own tool is there (Debian's package prometheus). */
export const HAS_PROMTOOL: boolean = spawnSync("promtool", ["--version"], { stdio: "ignore" }).status === 0;

/** What promtool says to the input; empty if it finds nothing wrong. */
export function promtool(args: readonly string[], input = ""): string {
  const { status, stdout, stderr } = spawnSync("promtool", args, { input, encoding: "utf8" });
  return status === 0 && stderr === "" ? "" : `${stdout}${stderr}` || `promtool ended with ${status}`;
}
