/*
 * The log: one line per event on standard error, JSON or for people.
 *
 *     event -> level -> repeats (at most N of the same per minute, the rest counted) -> secrets and bodies out -> pino
 */
import { type DestinationStream, destination, type Level, type Logger, pino, stdSerializers } from "pino";
import type { Clock, Timer } from "../core/time/clock.ts";
import type { Config } from "./config/schema.ts";

/** What belongs to an event besides its text. `event` names it where the text is not always the same. */
export type LogDetails = Readonly<Record<string, unknown>>;

/** How a log is set up. */
export interface LogOptions {
  readonly settings: Config["log"];
  readonly clock: Clock;
  /** Where lines go; standard error unless given. */
  readonly stream?: DestinationStream;
}

const MINUTE_MS = 60_000;
/** Different events counted at a time; texts of peers must not grow this without end. */
const MOST_EVENTS = 1000;

/** Opens a log. */
export async function openLog(options: LogOptions): Promise<Log> {
  const { format } = options.settings;
  const pretty = format === "pretty" || (format === "auto" && options.stream === undefined && process.stderr.isTTY);
  // Synchronous, so that the last words before an exit are not lost.
  const target: DestinationStream = options.stream ?? destination({ dest: 2, sync: true });
  const stream = pretty ? await prettyStream(target, options.stream === undefined && process.stderr.isTTY) : target;
  return new Log(
    pino(
      { level: options.settings.level, serializers: { err: stdSerializers.err, cause: stdSerializers.err } },
      stream,
    ),
    options,
  );
}

/** Loaded only when it is wanted: it takes a tenth of a second. */
async function prettyStream(target: DestinationStream, colorize: boolean): Promise<DestinationStream> {
  const { prettyFactory } = await import("pino-pretty");
  const format = prettyFactory({ colorize, translateTime: "SYS:standard", ignore: "pid,hostname" });
  return { write: (line) => target.write(format(line) ?? line) };
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
    if (this.perMinute > 0 && !this.admit(level, text, details["event"])) return;
    this.pino[level](withoutSecrets(details), text);
  }

  private admit(level: Level, text: string, event: unknown): boolean {
    const key = `${level} ${typeof event === "string" ? event : text}`;
    let repeats = this.repeats.get(key);
    if (repeats !== undefined && repeats.until <= this.clock.now()) {
      this.drop(key, repeats);
      repeats = undefined;
    }
    if (repeats === undefined) {
      repeats = { level, text, event, until: this.clock.now() + MINUTE_MS, logged: 0, withheld: 0 };
      this.repeats.set(key, repeats);
      this.boundEvents();
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

  private boundEvents(): void {
    if (this.repeats.size <= MOST_EVENTS) return;
    for (const [key, repeats] of this.repeats) {
      this.drop(key, repeats);
      return;
    }
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

const SECRET = /password|passcode|token|authorization|secret/i;
const DEEPEST = 6;

/** A copy without the values of secret-looking keys and without bytes, of which only the number is told. */
function withoutSecrets(details: LogDetails): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(details).map(([key, value]) => [key, SECRET.test(key) ? "[secret]" : clean(value, 1)]),
  );
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return typeof value === "bigint" ? `${value}` : value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Error || value instanceof Date) return value;
  if (depth > DEEPEST) return "[deep]";
  if (Array.isArray(value)) return value.map((item) => clean(item, depth + 1));
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(
    entries.map(([key, inner]) => [String(key), SECRET.test(String(key)) ? "[secret]" : clean(inner, depth + 1)]),
  );
}
