/*
 * Prometheus' text format, version 0.0.4, and OpenMetrics 1.0, which differs in the names of counters and in its end:
 *
 *     # HELP delos_queues Queues there are.
 *     # TYPE delos_queues gauge
 *     delos_queues{host="default"} 3
 */
import type { Work } from "../turns.ts";
import type { Histogram } from "../../core/time/histogram.ts";

type Labels = Readonly<Record<string, string>>;

/** How metrics are written. */
export type Format = "text" | "openmetrics";

/** The content types of the formats. */
export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

const NO_LABELS: Labels = {};
const MS_PER_SECOND = 1000;
const TOTAL = "_total";
/** Lines that are put together at once. */
const BLOCK_LINES = 1000;

/** One metric being written: a value for each set of labels. */
export type Samples = (value: number, labels?: Labels) => void;

/** Metrics as text, written one after the other; each name once. */
export class Exposition {
  private readonly format: Format;
  private blocks: string[] = [];
  private lines: string[] = [];

  constructor(format: Format) {
    this.format = format;
  }

  /** What goes up and down. */
  gauge(name: string, help: string, tell: (sample: Samples) => void): void {
    this.begin(name, "gauge", help);
    tell(this.samples(name));
  }

  /** What only grows as long as the process lives; its name ends in `_total`. */
  counter(name: string, help: string, tell: (sample: Samples) => void): void {
    this.begin(name, "counter", help);
    tell(this.samples(name));
  }

  /** As `gauge` or, where its name ends in `_total`, as `counter`; `tell` pauses where others may have their turn. */
  *family(name: string, help: string, tell: (sample: Samples) => Work<void>): Work<void> {
    this.begin(name, name.endsWith(TOTAL) ? "counter" : "gauge", help);
    yield* tell(this.samples(name));
  }

  /** Durations, in seconds. */
  histogram(name: string, help: string, { boundsMs, counts, count, sumMs }: Histogram): void {
    this.begin(name, "histogram", help);
    let below = 0;
    for (const [place, bound] of boundsMs.entries()) {
      below += counts[place] ?? 0;
      this.sample(`${name}_bucket`, below, { le: limit(bound / MS_PER_SECOND) });
    }
    this.sample(`${name}_bucket`, count, { le: "+Inf" });
    this.sample(`${name}_sum`, sumMs / MS_PER_SECOND, NO_LABELS);
    this.sample(`${name}_count`, count, NO_LABELS);
  }

  /** What was written since this was asked before, but for what is to come with more. */
  take(): string {
    const text = this.blocks.join("");
    this.blocks = [];
    return text;
  }

  /** What is left, with the end. */
  end(): string {
    this.endBlock();
    return this.take() + (this.format === "openmetrics" ? "# EOF\n" : "");
  }

  private samples(name: string): Samples {
    return (value, labels = NO_LABELS) => this.sample(name, value, labels);
  }

  private begin(name: string, type: "gauge" | "counter" | "histogram", help: string): void {
    const family = this.format === "openmetrics" && type === "counter" ? name.slice(0, -TOTAL.length) : name;
    this.lines.push(
      `# HELP ${family} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
      `# TYPE ${family} ${type}`,
    );
  }

  private sample(name: string, value: number, labels: Labels): void {
    let line = name;
    let separator = "{";
    for (const label in labels) {
      line += `${separator}${label}="${escaped(labels[label] ?? "")}"`;
      separator = ",";
    }
    this.lines.push(`${line}${separator === "," ? "}" : ""} ${value}`);
    if (this.lines.length >= BLOCK_LINES) this.endBlock();
  }

  private endBlock(): void {
    if (this.lines.length > 0) this.blocks.push(`${this.lines.join("\n")}\n`);
    this.lines = [];
  }
}

/** Which format somebody wants who accepts these types (an HTTP header); text for who does not say. */
export function formatFor(accept: string | undefined): Format {
  let best: { readonly format: Format; readonly quality: number } = { format: "text", quality: 0 };
  for (const range of accept?.split(",") ?? []) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const format = type === "application/openmetrics-text" ? "openmetrics" : type === "text/plain" ? "text" : undefined;
    const stated = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    const quality = stated === undefined ? 1 : Number(stated);
    if (format !== undefined && quality > best.quality) best = { format, quality };
  }
  return best.format;
}

/** As OpenMetrics wants bounds: with a point, so that both formats have the same series. */
function limit(bound: number): string {
  return Number.isInteger(bound) ? bound.toFixed(1) : String(bound);
}

const ESCAPED = /["\\\n]/;

function escaped(text: string): string {
  if (!ESCAPED.test(text)) return text;
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
