/*
 * Messages that wait for their time. They lie in the store, sorted by when they are due; in memory there is one position
 * per walk and one timer, whatever their number:
 *
 *     due while the broker was down          due since             refused              to come
 *     |-- catch-up, paced ------------------>|-- retried, paced -->... live position -->|
 *                                            opened                                     now
 *
 * What comes due is delivered at once, apart from what is left behind: neither a burst nor a delay comes of what was due
 * while the broker was down. Delivery and removal, or the move to the next time, are said in one turn: one batch.
 */
import type { Address } from "../addresses/address.ts";
import type { Timer } from "../time/clock.ts";
import type { CronParser } from "./cron.ts";
import type { Engine } from "../engine.ts";
import { BrokerError } from "../errors.ts";
import { Ledger, type LossReason } from "../ledger.ts";
import type { Message, Timing } from "../message.ts";
import { SchedulePass } from "./pass.ts";
import { Planner } from "./plan.ts";
import { dueOf, isScheduledId, type ScheduledPlan, scheduledKey } from "./record.ts";
import { type Scheduled, ScheduledRecords } from "./records.ts";

/** Deliveries in one turn at most. */
const SLICE = 1000;
/** While the broker has no room, the schedule looks again so often. */
const PAUSE_MS = 20;
/** The machine's time may be set while a timer runs. */
const LONGEST_WAIT_MS = 60_000;
/** How many refused messages are tried again in a second at most. */
const RETRIES_PER_SECOND = 20_000;

/** What a `Schedule` is made of. */
export interface ScheduleOptions {
  readonly engine: Engine;
  readonly hostName: string;
  /** Without it, messages with a cron expression are refused. */
  readonly cron?: CronParser | undefined;
  /** Deliveries in a second of what was due while the broker was down; 0 for no limit. */
  readonly catchUpPerSecond: number;
  /** Messages it may hold; 0 for no limit. */
  readonly maxMessages: number;
  /** Hands a message on, within this turn; false: not now, to be tried again. */
  readonly deliver: (address: Address, message: Message) => boolean;
}

/** A message in the schedule, as it is listed. */
export interface ScheduledMessage {
  readonly id: string;
  readonly address: Address;
  /** Milliseconds since 1970. */
  readonly deliverAt: number;
  /** Of its frame. */
  readonly bytes: number;
  readonly timing: Timing;
  /** Deliveries after the next one; -1 without end. */
  readonly remaining: number;
}

/** The scheduled messages of a virtual host. */
export class Schedule {
  /** Each delivery of a message that is repeated counts as received and consumed once. */
  readonly ledger = new Ledger();
  private readonly options: ScheduleOptions;
  private readonly engine: Engine;
  private readonly records: ScheduledRecords;
  private readonly planner: Planner;
  private readonly catchUp: SchedulePass;
  private readonly retry: SchedulePass;
  /** Where the catch-up ends. */
  private opened = "";
  /** What lies before it is delivered, or left to a pass; never beyond what is due now. */
  private position = "";
  /** When something behind the position is due. */
  private nextDue = Number.POSITIVE_INFINITY;
  private timer: Timer | undefined = undefined;
  private timerAt = Number.POSITIVE_INFINITY;
  private closed = false;

  constructor(options: ScheduleOptions) {
    this.options = options;
    this.engine = options.engine;
    this.records = new ScheduledRecords(options.engine, options.hostName);
    this.planner = new Planner(options.cron);
    this.catchUp = new SchedulePass(options.catchUpPerSecond, () => this.opened);
    this.retry = new SchedulePass(RETRIES_PER_SECOND, () => this.position);
  }

  /** Messages it holds. */
  get count(): number {
    return this.records.count;
  }

  /** Bytes of their frames. */
  get bytes(): number {
    return this.records.bytes;
  }

  /** Takes over what the store has and begins to deliver; to be called once, when the host's queues are there. */
  open(): void {
    const now = this.engine.clock.now();
    this.records.open();
    this.ledger.received = this.count;
    this.ledger.receivedBytes = this.bytes;
    this.opened = scheduledKey(now, 0);
    this.position = this.opened;
    const { next: oldest } = this.records.read("");
    if (oldest !== undefined && oldest < this.opened) this.catchUp.begin(oldest, now);
    this.nextDue = timeOf(this.records.read(this.position).next);
    this.arm();
  }

  /**
   * Refuses a message that `add` would not keep. Throws BrokerError: "bad-request" for a timing that makes no sense,
   * "full".
   */
  check(message: Message, timing: Timing): void {
    this.plan(message, timing);
    if (this.full) throw new BrokerError("full", `the schedule holds ${this.count} messages, which is its limit`);
  }

  /**
   * Keeps a message until its time and returns its id. Throws what `check` throws; `regardless` of how many there are if
   * that was asked before.
   */
  add(address: Address, message: Message, timing: Timing, regardless = false): string {
    if (!regardless) this.check(message, timing);
    const plan = this.plan(message, timing);
    const record = this.engine.store.encode(message);
    const key = this.records.add(plan, address, { bytes: message.size, record });
    this.comes(key, message.size);
    this.records.save();
    this.arm();
    return key;
  }

  /** Takes a message out, with all deliveries that were still to come; false if there is none of that id. */
  cancel(id: string): boolean {
    const found = this.find(id);
    if (found === undefined) return false;
    this.lose(found, "purged");
    this.records.save();
    return true;
  }

  /** Takes out all messages, or those for one address; returns how many. */
  cancelAll(address?: Address): number {
    let cancelled = 0;
    for (const found of this.all("", address)) {
      this.lose(found, "purged");
      cancelled++;
    }
    this.records.save();
    return cancelled;
  }

  /** Messages in the order in which they are due, at most `limit`; behind the one with an id, for one address. */
  list({ after, limit, address }: { after?: string; limit: number; address?: Address }): ScheduledMessage[] {
    const listed: ScheduledMessage[] = [];
    if (limit <= 0) return listed;
    for (const found of this.all(after === undefined ? "" : `${this.records.placeOf(after)}\0`, address)) {
      listed.push(describe(found));
      if (listed.length >= limit) break;
    }
    return listed;
  }

  /** What there is to know of an id, but for its message; undefined if there is none. */
  about(id: string): ScheduledMessage | undefined {
    const found = this.find(id);
    return found && describe(found);
  }

  /** The message of an id; undefined if there is none. */
  get(id: string): Message | undefined {
    const found = this.find(id);
    return found && this.records.decode(found);
  }

  /** Delivers nothing any more; what it holds stays in the store. */
  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private get full(): boolean {
    const { maxMessages } = this.options;
    return maxMessages > 0 && this.count >= maxMessages;
  }

  private plan({ receivedAt }: Message, timing: Timing): ScheduledPlan {
    return this.planner.plan(timing, receivedAt, this.engine.clock.now());
  }

  private *all(from: string, address: Address | undefined): Generator<Scheduled> {
    for (const key of this.records.keys(from)) {
      const found = this.records.get(key);
      if (found === undefined) continue;
      if (address === undefined || (address.kind === found.address.kind && address.name === found.address.name)) {
        yield found;
      }
    }
  }

  private find(id: string): Scheduled | undefined {
    return isScheduledId(id) ? this.records.get(this.records.placeOf(id)) : undefined;
  }

  /** A delivery is to come that was not known of. */
  private comes(key: string, bytes: number): void {
    this.ledger.received++;
    this.ledger.receivedBytes += bytes;
    if (key < this.position) this.position = key;
    this.nextDue = Math.min(this.nextDue, dueOf(key));
  }

  private wake(): void {
    this.timer = undefined;
    this.timerAt = Number.POSITIVE_INFINITY;
    const { clock } = this.engine;
    const now = clock.now();
    // What is due stays where it is until the broker has room for it, like everything else that is sent.
    if (this.engine.closedGate !== undefined) return this.armAt(now + PAUSE_MS);
    // What was refused in this turn, so that nothing for the same address overtakes it.
    const refusing = new Set<string>();
    let room = SLICE - this.goOn(now, refusing);
    for (const pass of [this.catchUp, this.retry]) {
      if (pass.at > now || room === 0) continue;
      const keys = pass.take(now, room, (from, end, most) => this.records.read(from, end, most));
      for (const key of keys) if (!this.attempt(key, now, refusing)) pass.refused(key, now);
      pass.tried(now);
      room -= keys.size;
    }
    this.records.save();
    this.arm();
  }

  /** Delivers what is due on time; returns how many there were. */
  private goOn(now: number, refusing: Set<string>): number {
    if (this.nextDue > now) return 0;
    const end = scheduledKey(now + 1, 0);
    const { keys, next } = this.records.read(this.position, end, SLICE);
    this.nextDue = timeOf(next);
    this.position = next !== undefined && next < end ? next : end;
    for (const key of keys) if (!this.attempt(key, now, refusing)) this.retry.refused(key, now);
    return keys.size;
  }

  private arm(): void {
    this.armAt(Math.min(this.nextDue, this.catchUp.at, this.retry.at));
  }

  private armAt(at: number): void {
    if (at >= this.timerAt || this.closed) return;
    this.timer?.cancel();
    this.timerAt = at;
    const { clock } = this.engine;
    const waitMs = Math.min(Math.max(at - clock.now(), 0), LONGEST_WAIT_MS);
    this.timer = clock.after(waitMs, () => this.wake());
  }

  /** Delivers what lies under a key; false if it stays because its target refuses. */
  private attempt(key: string, now: number, refusing: Set<string>): boolean {
    const found = this.records.get(key);
    const target = found && `${found.address.kind} ${found.address.name}`;
    if (target !== undefined && refusing.has(target)) return false;
    const message = found && this.records.decode(found);
    if (found === undefined || target === undefined || message === undefined) {
      this.records.removeDamaged(key);
      this.ledger.lose("damaged");
      return true;
    }
    if (message.expiresAt !== 0 && message.expiresAt <= now) {
      this.lose(found, "expired");
      return true;
    }
    if (!this.options.deliver(found.address, message)) {
      refusing.add(target);
      return false;
    }
    this.ledger.consumed++;
    this.ledger.delivered++;
    this.ledger.deliveredBytes += message.size;
    this.delivered(found, now);
    return true;
  }

  /** On to the next delivery, if there is one. */
  private delivered(found: Scheduled, now: number): void {
    const { header, key } = found;
    if (header.cron !== undefined && header.repeats > 0) this.beginSeries(found, now);
    const next = this.planner.next(header, dueOf(key), now);
    if (next === undefined) this.records.remove(found);
    else this.comes(this.records.move(found, next), header.bytes);
  }

  /** The repeats that follow the delivery at a cron time are a message of their own. */
  private beginSeries({ key, header, value, address }: Scheduled, now: number): void {
    const { periodMs, repeats, bytes, messageAt } = header;
    if (this.full) {
      this.ledger.received++;
      this.ledger.receivedBytes += bytes;
      this.ledger.lose("dropped-newest");
      return;
    }
    // Never before now: what has passed is caught up with, and paced.
    const firstDue = Math.max(dueOf(key) + periodMs, now);
    const plan = { firstDue, periodMs, repeats, remaining: repeats - 1, cronDelayMs: 0, cron: undefined };
    this.comes(this.records.add(plan, address, { bytes, record: value.subarray(messageAt) }), bytes);
  }

  private lose(found: Scheduled, reason: LossReason): void {
    this.records.remove(found);
    this.ledger.lose(reason);
  }
}

function timeOf(key: string | undefined): number {
  return key === undefined ? Number.POSITIVE_INFINITY : dueOf(key);
}

function describe({ id, key, header, address }: Scheduled): ScheduledMessage {
  const { firstDue, periodMs, repeats, cron, cronDelayMs, remaining, bytes } = header;
  const timing: Timing = {
    deliverAt: cron !== undefined && cronDelayMs === 0 ? undefined : firstDue,
    periodMs: periodMs === 0 ? undefined : periodMs,
    repeats,
    cron,
  };
  return { id, address, deliverAt: dueOf(key), bytes, timing, remaining };
}
