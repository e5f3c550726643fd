import type { CronParser, CronTimes } from "./cron.ts";
import { BrokerError } from "../errors.ts";
import type { Timing } from "../message.ts";
import { LAST_DUE, type ScheduledHeader, type ScheduledPlan } from "./record.ts";

const MOST_REPEATS = 2 ** 31 - 1;
const CRON_CHARACTERS = 256;
/** Cron expressions kept read. */
const CRON_CACHE = 1000;

/** When messages are due: first, and after that. */
export class Planner {
  private readonly cron: CronParser | undefined;
  private readonly crons = new Map<string, CronTimes>();

  constructor(cron: CronParser | undefined) {
    this.cron = cron;
  }

  /** What is to become of a message that was received at a time; throws BrokerError("bad-request"). */
  plan({ deliverAt, periodMs, repeats, cron }: Timing, receivedAt: number, now: number): ScheduledPlan {
    checkTime("delivery time", deliverAt);
    checkTime("period", periodMs);
    if (!Number.isInteger(repeats) || repeats < -1 || repeats > MOST_REPEATS) {
      refuse(`the number of repeats is ${repeats}, expected a whole number up to ${MOST_REPEATS}, or -1 for no end`);
    }
    const period = Math.ceil(periodMs ?? 0);
    if (repeats !== 0 && period < 1) refuse("the message is to be repeated, but has no period of 1 ms or more");
    const first = Math.ceil(deliverAt ?? 0);
    const plan = { periodMs: period, repeats, cronDelayMs: 0, remaining: repeats, cron };
    if (cron === undefined) return { ...plan, firstDue: Math.max(first, now) };
    if (repeats === -1) refuse("repeats without end cannot begin at each time of a cron expression");
    const cronDelayMs = Math.max(first - receivedAt, 0);
    const next = this.read(cron).next(now);
    if (next === undefined) refuse(`the cron expression "${cron}" never comes due`);
    checkTime("delivery time", next + cronDelayMs);
    return { ...plan, cronDelayMs, remaining: -1, firstDue: next + cronDelayMs };
  }

  /**
   * After a delivery of what was due at a time: when it is due again and what remains then; undefined for never. Times that
   * passed meanwhile are not made up for, so that no burst comes of them.
   */
  next(header: ScheduledHeader, due: number, now: number): { due: number; remaining: number } | undefined {
    if (header.cron !== undefined) {
      const next = this.cronTime(header.cron, Math.max(due, now) - header.cronDelayMs);
      return next === undefined ? undefined : within(next + header.cronDelayMs, -1);
    }
    if (header.remaining === 0) return undefined;
    const periods = Math.max(Math.floor((now - due) / header.periodMs) + 1, 1);
    return within(due + periods * header.periodMs, Math.max(header.remaining - 1, -1));
  }

  private cronTime(expression: string, after: number): number | undefined {
    try {
      return this.read(expression).next(after);
    } catch {
      // It was read when the message came: this broker reads others than the one that took it, so this was the last time.
      return undefined;
    }
  }

  private read(expression: string): CronTimes {
    if (this.cron === undefined) return refuse("this broker knows no cron expressions");
    if (expression.length > CRON_CHARACTERS) {
      return refuse(`the cron expression has ${expression.length} characters, the limit is ${CRON_CHARACTERS}`);
    }
    let times = this.crons.get(expression);
    if (times !== undefined) return times;
    try {
      times = this.cron(expression);
    } catch (cause) {
      return refuse(cause instanceof Error ? cause.message : String(cause));
    }
    if (this.crons.size >= CRON_CACHE) this.crons.clear();
    this.crons.set(expression, times);
    return times;
  }
}

function within(due: number, remaining: number): { due: number; remaining: number } | undefined {
  return due > LAST_DUE ? undefined : { due, remaining };
}

function checkTime(what: string, ms: number | undefined): void {
  if (ms === undefined || (ms >= 0 && ms <= LAST_DUE)) return;
  refuse(`the ${what} is ${ms} ms, expected 0 to ${LAST_DUE}`);
}

function refuse(text: string): never {
  throw new BrokerError("bad-request", text);
}
