/*
 * Prometheus' text format, version 0.0.4:
 *
 *     # HELP delos_queues Queues there are.
 *     # TYPE delos_queues gauge
 *     delos_queues{host="default"} 3
 */
import type { Histogram } from "../../core/time/histogram.ts";

type Labels = Readonly<Record<string, string>>;

/** The content type of what `text` returns. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const NO_LABELS: Labels = {};
const MS_PER_SECOND = 1000;

/** One metric being written: a value for each set of labels. */
export type Samples = (value: number, labels?: Labels) => void;

/** Metrics as text, written one after the other; each name once. */
export class Exposition {
  private readonly lines: string[] = [];

  /** What goes up and down. */
  gauge(name: string, help: string, tell: (sample: Samples) => void): void {
    this.family(name, "gauge", help, tell);
  }

  /** What only grows as long as the process lives; its name ends in `_total`. */
  counter(name: string, help: string, tell: (sample: Samples) => void): void {
    this.family(name, "counter", help, tell);
  }

  /** Durations, in seconds. */
  histogram(name: string, help: string, { boundsMs, counts, count, sumMs }: Histogram): void {
    this.begin(name, "histogram", help);
    let below = 0;
    for (const [place, bound] of boundsMs.entries()) {
      below += counts[place] ?? 0;
      this.sample(`${name}_bucket`, below, { le: String(bound / MS_PER_SECOND) });
    }
    this.sample(`${name}_bucket`, count, { le: "+Inf" });
    this.sample(`${name}_sum`, sumMs / MS_PER_SECOND, NO_LABELS);
    this.sample(`${name}_count`, count, NO_LABELS);
  }

  /** All of it. */
  get text(): string {
    return `${this.lines.join("\n")}\n`;
  }

  private family(name: string, type: string, help: string, tell: (sample: Samples) => void): void {
    this.begin(name, type, help);
    tell((value, labels = NO_LABELS) => this.sample(name, value, labels));
  }

  private begin(name: string, type: string, help: string): void {
    this.lines.push(
      `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
      `# TYPE ${name} ${type}`,
    );
  }

  private sample(name: string, value: number, labels: Labels): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
    this.lines.push(`${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`);
  }
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
