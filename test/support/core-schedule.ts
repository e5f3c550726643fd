import type { Address } from "../../core/addresses/address.ts";
import type { CronParser } from "../../core/schedule/cron.ts";
import { Engine } from "../../core/engine.ts";
import { Message, type Timing } from "../../core/message.ts";
import { Schedule, type ScheduleOptions } from "../../core/schedule/schedule.ts";
import type { Store } from "../../core/store.ts";
import { parse, plainFormat, testStore } from "./core-broker.ts";
import { CountingRandom, VirtualClock } from "./virtual-clock.ts";

/** Comes due at every whole multiple of so many milliseconds: `every 60000`. */
export const everyCron: CronParser = (expression) => {
  const step = Number(/^every (\d+)$/.exec(expression)?.[1]);
  if (Number.isNaN(step)) throw new Error(`The cron expression "${expression}" is none`);
  return { next: (after) => (step === 0 ? undefined : (Math.floor(after / step) + 1) * step) };
};

/** A timing of which most says nothing. */
export function timing(some: Partial<Timing>): Timing {
  return { deliverAt: undefined, periodMs: undefined, repeats: 0, cron: undefined, ...some };
}

/** A schedule on a virtual clock, and what it delivered. */
export class ScheduleHarness {
  readonly clock: VirtualClock;
  store: Store;
  engine: Engine;
  schedule: Schedule;
  /** `milliseconds since the start: body`, in order. */
  readonly delivered: string[] = [];
  /** Addresses whose messages are refused. */
  readonly full = new Set<string>();
  /** What was asked of `deliver`, refusals included. */
  asked = 0;
  private readonly start: number;
  private readonly options: Partial<ScheduleOptions>;

  constructor(options: Partial<ScheduleOptions> = {}, more: { clock?: VirtualClock; store?: Store } = {}) {
    this.options = options;
    this.clock = more.clock ?? new VirtualClock();
    this.start = this.clock.now();
    this.store = more.store ?? testStore(this.clock);
    this.engine = this.makeEngine();
    this.schedule = this.makeSchedule();
  }

  /** Milliseconds since the start. */
  get now(): number {
    return this.clock.now() - this.start;
  }

  async open(): Promise<this> {
    await this.store.open({ durable: () => {}, failed: () => {}, congested: () => {} });
    this.schedule.open();
    return this;
  }

  /** Adds a message that is due so many milliseconds from now, or as the timing says. */
  add(body: string, due: number | Partial<Timing>, options: { to?: string; expiresIn?: number } = {}): string {
    const now = this.clock.now();
    const address = parse(options.to ?? "queue:a");
    const data = Buffer.from(`\n${body}`);
    const expiresAt = options.expiresIn === undefined ? 0 : now + options.expiresIn;
    const envelope = { address, durable: true, priority: 4, expiresAt, receivedAt: now };
    const message = new Message(plainFormat, envelope, data, 0, data.length, 1, data.length);
    return this.schedule.add(address, message, timing(typeof due === "number" ? { deliverAt: now + due } : due));
  }

  /** Milliseconds since 1970 of a time that is so far from now. */
  in(ms: number): number {
    return this.clock.now() + ms;
  }

  /** Lets time pass and returns what was delivered meanwhile. */
  advance(ms: number): string[] {
    const from = this.delivered.length;
    this.clock.advance(ms);
    return this.delivered.slice(from);
  }

  /** The broker is down for some time; `store` is the one it opens again if that is another object. */
  async restart(downMs: number, store: Store = this.store): Promise<void> {
    this.schedule.close();
    this.clock.settle();
    await this.store.close();
    this.clock.advance(downMs);
    this.store = store;
    this.engine = this.makeEngine();
    this.schedule = this.makeSchedule();
    await this.open();
  }

  /** What is listed, as `body` would be of no use: `milliseconds since the start: id`. */
  listed(): string[] {
    return this.schedule.list({ limit: 1000 }).map(({ id, deliverAt }) => `${deliverAt - this.start}: ${id}`);
  }

  private makeEngine(): Engine {
    return new Engine({ clock: this.clock, random: new CountingRandom(), store: this.store, memoryLimit: 1 << 20 });
  }

  private makeSchedule(): Schedule {
    return new Schedule({
      engine: this.engine,
      hostName: "default",
      cron: everyCron,
      catchUpPerSecond: 100,
      maxMessages: 0,
      deliver: (address, message) => this.deliver(address, message),
      ...this.options,
    });
  }

  private deliver(address: Address, message: Message): boolean {
    this.asked++;
    if (this.full.has(`${address.kind}:${address.name}`)) return false;
    this.delivered.push(`${this.now}: ${message.body.toString()}`);
    return true;
  }
}

/** The account of a schedule must be even at any time. */
export function imbalance({ ledger, count }: Schedule): number {
  return ledger.received - ledger.consumed - ledger.lostTotal - count;
}
