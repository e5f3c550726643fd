/*
 * The log: one line per event on standard error, JSON or for people.
 *
 *     event -> level -> repeats (at most N of the same per minute, the rest counted) -> secrets and bodies out -> pino
 *       -> lines (log-lines.ts) -> standard error (log-sink.ts)
 */
import { type DestinationStream, type Level, type Logger, pino } from "pino";
import type { Clock, Timer } from "../core/time/clock.ts";
import type { Config } from "./config/schema.ts";
import { type LogDetails, withoutSecrets } from "./log-details.ts";
import { jsonLines, prettyLines } from "./log-lines.ts";
import { LogSink } from "./log-sink.ts";

/** How a log is set up. */
export interface LogOptions {
  readonly settings: Config["log"];
  readonly clock: Clock;
  /** Where lines go; standard error unless given. */
  readonly stream?: DestinationStream;
}

const MINUTE_MS = 60_000;
/** Different events told apart within a minute; beyond that they count as one, or texts of peers would be lines without end. */
const MOST_EVENTS = 500;
const OTHERS = "other events";
const STANDARD_ERROR = 2;

/** Opens a log. */
export async function openLog(options: LogOptions): Promise<Log> {
  const { settings, stream } = options;
  const { format } = settings;
  const sink = stream === undefined ? new LogSink(STANDARD_ERROR) : undefined;
  const target = sink ?? stream;
  if (target === undefined) throw new Error("There is nowhere to write the log to");
  const isTerminal = sink !== undefined && process.stderr.isTTY;
  const pretty = format === "pretty" || (format === "auto" && isTerminal);
  const lines = pretty ? await prettyLines(target, isTerminal) : jsonLines(target);
  const logger = pino({ level: settings.level, serializers: { err: asItIs } }, lines);
  if (sink !== undefined) {
    sink.lost = (count) => logger.warn({ lines: count }, "lines of the log could not be written");
    process.once("exit", () => sink.flush());
  }
  return new Log(logger, options);
}

function asItIs(value: unknown): unknown {
  return value;
}

interface Repeats {
  readonly level: Level;
  readonly text: string;
  readonly event: unknown;
  readonly until: number;
  logged: number;
  withheld: number;
}

/**
 * Where the broker tells what happens; its settings can be changed while it runs. The text is constant for one kind of
 * event; what varies goes into the details.
 */
export class Log {
  private readonly pino: Logger;
  private readonly clock: Clock;
  private perMinute: number;
  private readonly options: LogOptions;
  private readonly components = new Map<string, Log>();
  private readonly repeats = new Map<string, Repeats>();
  private timer: Timer | undefined = undefined;

  constructor(target: Logger, options: LogOptions) {
    this.pino = target;
    this.options = options;
    this.clock = options.clock;
    this.perMinute = options.settings.repeats_per_minute;
  }

  /** The log of a part of the broker, whose lines name it and whose level can be changed by itself. */
  component(name: string): Log {
    let component = this.components.get(name);
    if (component === undefined) {
      component = new Log(this.pino.child({ component: name }), this.options);
      component.level = this.level;
      component.perMinute = this.perMinute;
      this.components.set(name, component);
    }
    return component;
  }

  /** The names of the parts that have a log of their own, with the level of each. */
  get levels(): ReadonlyMap<string, Level> {
    return new Map(Array.from(this.components, ([name, { level }]) => [name, level]));
  }

  /** The least important kind of event that is logged, until the next `configure`; not by the parts. */
  get level(): Level {
    return levelOf(this.pino.level);
  }

  set level(level: Level) {
    this.pino.level = level;
  }

  trace(details: LogDetails, text: string): void {
    this.log("trace", details, text);
  }

  debug(details: LogDetails, text: string): void {
    this.log("debug", details, text);
  }

  info(details: LogDetails, text: string): void {
    this.log("info", details, text);
  }

  warn(details: LogDetails, text: string): void {
    this.log("warn", details, text);
  }

  error(details: LogDetails, text: string): void {
    this.log("error", details, text);
  }

  fatal(details: LogDetails, text: string): void {
    this.log("fatal", details, text);
  }

  /** Takes over a new level, for all parts, and a new limit of repeats. The format stays until a restart. */
  configure(settings: Config["log"]): void {
    this.pino.level = settings.level;
    this.perMinute = settings.repeats_per_minute;
    for (const component of this.components.values()) component.configure(settings);
  }

  /** Tells what was counted and not yet told; before an exit. */
  flush(): void {
    this.timer?.cancel();
    this.timer = undefined;
    for (const repeats of this.repeats.values()) this.summarise(repeats);
    this.repeats.clear();
    for (const component of this.components.values()) component.flush();
  }

  private log(level: Level, details: LogDetails, text: string): void {
    if (!this.pino.isLevelEnabled(level)) return;
    if (this.perMinute > 0 && level !== "fatal" && !this.admit(level, text, details["event"])) return;
    this.pino[level](withoutSecrets(details), text);
  }

  private admit(level: Level, text: string, event: unknown): boolean {
    const { key, repeats: known } = this.repeatsOf(level, text, event);
    let repeats = known;
    if (repeats !== undefined && repeats.until <= this.clock.now()) {
      this.drop(key, repeats);
      repeats = undefined;
    }
    if (repeats === undefined) {
      const isOther = key === `${level} ${OTHERS}`;
      const told = isOther ? { text: OTHERS, event: undefined } : { text, event };
      repeats = { level, ...told, until: this.clock.now() + MINUTE_MS, logged: 0, withheld: 0 };
      this.repeats.set(key, repeats);
      this.timer ??= this.clock.after(MINUTE_MS, () => this.sweep());
    }
    if (repeats.logged < this.perMinute) {
      repeats.logged++;
      return true;
    }
    repeats.withheld++;
    return false;
  }

  private sweep(): void {
    this.timer = undefined;
    const now = this.clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [key, repeats] of this.repeats) {
      if (repeats.until <= now) this.drop(key, repeats);
      else next = Math.min(next, repeats.until);
    }
    if (this.repeats.size > 0) this.timer = this.clock.after(next - now, () => this.sweep());
  }

  private repeatsOf(level: Level, text: string, event: unknown): { key: string; repeats: Repeats | undefined } {
    let key = `${level} ${typeof event === "string" ? event : text}`;
    let repeats = this.repeats.get(key);
    if (repeats === undefined && this.repeats.size >= MOST_EVENTS) {
      key = `${level} ${OTHERS}`;
      repeats = this.repeats.get(key);
    }
    return { key, repeats };
  }

  private drop(key: string, repeats: Repeats): void {
    this.repeats.delete(key);
    this.summarise(repeats);
  }

  private summarise({ level, text, event, withheld }: Repeats): void {
    if (withheld === 0) return;
    const times = withheld === 1 ? "once more" : `${withheld} times`;
    this.pino[level](event === undefined ? {} : { event }, `${text} ... repeated ${times}`);
  }
}

/** The levels there are, the least important first. */
export const LEVELS: readonly Level[] = ["trace", "debug", "info", "warn", "error", "fatal"];

function levelOf(text: string): Level {
  return LEVELS.find((level) => level === text) ?? "info";
}
