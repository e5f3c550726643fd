import { useEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";
import uPlot from "uplot";
import { theme } from "../api/session.ts";
import { bytes, clock, short } from "../format.ts";
import type { Series } from "../api/series.ts";

const HEIGHT = 190;
/** Pixels right of the lines, and those that half of a time beneath them takes. */
const RIGHT = 20;
const HALF_A_TIME = 38;
/** The least that is shown, so that the first points do not fill the chart. */
const LEAST_SECONDS = 60;
/** Steps of an axis of bytes. */
const POWERS = Array.from({ length: 45 }, (_, power) => 2 ** power);
/** Steps of an axis of anything else: 1, 2, 5, 10 and so on. */
const WHOLE = Array.from(
  { length: 36 },
  (_, step) => (([1, 2, 5] as const)[step % 3] ?? 1) * 10 ** Math.floor(step / 3),
);
const COLOURS = ["--series-1", "--series-2", "--series-3", "--series-4"];

/** A chart that moves on with its series. */
export interface ChartProps {
  readonly title: string;
  readonly series: Series;
  /** One name for each line of the series. */
  readonly lines: readonly string[];
  readonly format?: (value: number) => string;
}

/** Lines over the last minutes. The newest values are told as text beside their names. */
export function Chart({ title, series, lines, format = short }: ChartProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const look = theme.value;
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(element, lines, format), series.data, element);
      follow(plot.current, series);
    };
    draw();
    dark.addEventListener("change", draw);
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) plot.current?.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      dark.removeEventListener("change", draw);
      observer.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [series, look, lines.join()]);
  const version = series.version.value;
  useEffect(() => {
    if (plot.current !== undefined) follow(plot.current, series);
  }, [version]);
  return (
    <figure class="card" aria-label={title} data-points={version}>
      <header>
        <h2>{title}</h2>
        <div class="legend">
          {lines.map((name, index) => (
            <span key={name} class={`series-${index + 1}`}>
              <i />
              {name} <b>{format(series.newest(index))}</b>
            </span>
          ))}
        </div>
      </header>
      <div class="chart">
        <div ref={box} />
      </div>
    </figure>
  );
}

function optionsOf(element: HTMLElement, lines: readonly string[], format: (value: number) => string): uPlot.Options {
  const ink = colourOf(element, "--ink-3");
  const line = colourOf(element, "--line");
  const grid = { stroke: line, width: 1 };
  return {
    width: Math.max(200, element.clientWidth),
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    padding: [8, RIGHT, 0, 0],
    scales: {
      x: { auto: false },
      y: { range: (_plot, _least, most) => [0, Math.max(1, most * 1.1)] },
    },
    axes: [
      {
        stroke: ink,
        grid: { show: false },
        ticks: { show: false },
        font: "11px system-ui",
        space: 90,
        size: 26,
        values: timesOf,
      },
      {
        stroke: ink,
        grid,
        ticks: { show: false },
        font: "11px system-ui",
        size: 58,
        incrs: format === bytes ? POWERS : WHOLE,
        values: (_plot, values) => values.map(format),
      },
    ],
    series: [
      {},
      ...lines.map((label, index) => {
        const colour = colourOf(element, COLOURS[index] ?? "--series-1");
        return { label, stroke: colour, width: 1.8, points: { show: false }, ...(index === 0 ? filled(colour) : {}) };
      }),
    ],
  };
}

/** Draws what there is by now, to the newest second; before there is any, to this one. */
function follow(plot: uPlot, { data }: Series): void {
  const [times] = data;
  const end = times.at(-1) ?? Date.now() / 1000;
  plot.setData(data, false);
  plot.setScale("x", { min: Math.min(times[0] ?? end, end - LEAST_SECONDS), max: end });
}

function timesOf(plot: uPlot, seconds: readonly number[]): string[] {
  const last = plot.over.clientWidth - HALF_A_TIME + RIGHT;
  // One that would not fit at the end is left out.
  return seconds.map((at) => (plot.valToPos(at, "x") > last ? "" : clock(at * 1000)));
}

function filled(colour: string): { readonly fill: string } {
  return { fill: `color-mix(in srgb, ${colour} 12%, transparent)` };
}

/** A token as a colour that a canvas understands; the tokens themselves depend on the theme. */
function colourOf(element: HTMLElement, token: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${token})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
