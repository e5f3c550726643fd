import { expect } from "vitest";
import type { Policy } from "../../core/policy.ts";
import type { Outcome } from "../../core/protocol.ts";
import type { Death } from "../../core/queue/departures.ts";

/** What the model knows of one message. */
export interface Sent {
  readonly id: number;
  readonly priority: number;
  readonly parity: "even" | "odd";
  readonly group: string | undefined;
  /** Whether it closes its group. */
  readonly closes: boolean;
  /** What the queue keeps only the newest of, where its policy says so. */
  readonly key: string;
  readonly durable: boolean;
  /** As its sender said, until the queue has it. */
  expiresAt: number;
  readonly size: number;
  /** Its place in the queue; 0 until it came there. */
  sequence: number;
  state: "coming" | "available" | "resting" | "held" | "gone";
  deliveries: number;
  /** Until when it rests. */
  restsUntil: number;
  /** A newer one of its key has come while somebody held it. */
  outdated: boolean;
  /** Why it is a dead letter. */
  death: Death["reason"] | undefined;
  holder: ModelTaker | undefined;
}

/** A consumer as the model sees it. */
export interface ModelTaker {
  readonly wants: Sent["parity"] | undefined;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly settling: boolean;
  /** Groups of which it was given a message. */
  readonly groups: Set<string>;
  readonly receptive: boolean;
}

/** The reference: a list of messages, the row of consumers, and for every delivery the question whether just this one was due. */
export class QueueModel {
  /** Everything that is not gone, in the order in which it is due. */
  live: Sent[] = [];
  /** By id. */
  readonly sent: Sent[] = [];
  /** Those that are in the queue of dead letters. */
  buried: Sent[] = [];
  /** Attached, in the order in which they came. */
  readonly row: ModelTaker[] = [];
  consumed = 0;
  paused = false;
  private active: ModelTaker | undefined = undefined;
  /** Whether there was a message with a group: then everybody goes along the queue alone. */
  private grouped = false;
  private readonly policy: Policy;
  /** False where the store answers late: then who is next may be given something before it. */
  private readonly prompt: boolean;
  private readonly clock: { now(): number };

  constructor(policy: Policy, clock: { now(): number }, prompt: boolean) {
    this.policy = policy;
    this.clock = clock;
    this.prompt = prompt;
  }

  /** Time goes by unnoticed: what expired is gone, who rested is up. */
  refresh(): void {
    const now = this.clock.now();
    let fewer = false;
    for (const item of this.live) {
      if (item.state === "resting" && item.restsUntil <= now) item.state = "available";
      if (item.state === "available" && expired(item, now)) this.bury(item, "expired");
      if (item.state === "gone") fewer = true;
    }
    if (fewer) this.live = this.live.filter(({ state }) => state !== "gone");
  }

  /** The queue is given a message: room is made for it, or it is lost. */
  arrives(item: Sent, sequence: number, expiresAt: number): void {
    this.refresh();
    const now = this.clock.now();
    item.expiresAt = this.expiryOf(item.expiresAt, now);
    expect(expiresAt, "when it expires").toBe(item.expiresAt);
    item.sequence = sequence;
    item.state = "gone";
    if (expired(item, now)) {
      this.bury(item, "expired");
      return;
    }
    if (!this.makeRoom(item.size)) return;
    if (item.group !== undefined) this.grouped = true;
    if (this.policy.lastValueKey !== undefined) this.replace(item.key);
    item.state = "available";
    const after = this.live.findLastIndex((other) => this.bandOf(other) >= this.bandOf(item));
    this.live.splice(after + 1, 0, item);
  }

  /** Whether a message of this size is too much. */
  over(size: number): boolean {
    this.refresh();
    const { maxMessages, maxBytes } = this.policy;
    if (maxMessages > 0 && this.live.length >= maxMessages) return true;
    return maxBytes > 0 && this.live.reduce((sum, item) => sum + item.size, size) > maxBytes;
  }

  attach(taker: ModelTaker): void {
    this.row.push(taker);
    if (this.alone && this.active === undefined) this.choose();
  }

  detach(taker: ModelTaker): void {
    const at = this.row.indexOf(taker);
    if (at < 0) return;
    this.row.splice(at, 1);
    if (taker !== this.active) return;
    this.active = undefined;
    if (this.alone) this.choose();
  }

  /** Whether it is given anything at all. */
  seated(taker: ModelTaker): boolean {
    return this.row.includes(taker) && (!this.alone || this.active === taker);
  }

  /** A consumer was given this message: was it due? */
  delivered(taker: ModelTaker, id: number, deliveries: number, firstOfGroup: boolean): Sent {
    this.refresh();
    const item = this.sent[id];
    if (item === undefined) throw new Error(`A message was delivered that nobody sent: ${id}`);
    expect(item.state, `the state of ${id}, which was delivered`).toBe("available");
    expect(this.paused, "delivered while paused").toBe(false);
    expect(this.seated(taker), "a consumer on standby was given something").toBe(true);
    expect(wants(taker, item), "it wants what it was given").toBe(true);
    expect(deliveries, `the delivery count of ${id}`).toBe(item.deliveries);
    this.checkOrder(taker, item);
    this.checkRank(taker, item);
    if (item.group !== undefined) this.checkGroup(taker, item, firstOfGroup);
    item.state = taker.settling ? "held" : "gone";
    if (taker.settling) item.holder = taker;
    else this.consumed++;
    return item;
  }

  /** It is consumed, or came back: available again, at once or after a rest, or dead. */
  settled(item: Sent, outcome: Outcome): void {
    item.holder = undefined;
    if (outcome === "accepted") {
      item.state = "gone";
      this.consumed++;
      return;
    }
    item.state = "available";
    if (outcome !== "released" && !item.outdated) this.failed(item, outcome);
    if (item.outdated) item.state = "gone";
  }

  /** What nobody holds is thrown away. */
  purged(): void {
    for (const item of this.live) if (item.state !== "held") item.state = "gone";
    this.refresh();
    for (const item of this.live) {
      item.outdated &&= this.live.some(({ key, sequence }) => key === item.key && sequence > item.sequence);
    }
  }

  /** The broker is gone, and with it everybody and what was not on disk. */
  crashed(stored: ReadonlyMap<number, { readonly deliveries: number }>, dead: ReadonlySet<number>): void {
    const now = this.clock.now();
    this.refresh();
    for (const item of this.live) {
      const kept = stored.get(item.id);
      item.holder = undefined;
      item.state = "gone";
      const newer = this.live.some((other) => {
        return (
          item.outdated &&
          other.key === item.key &&
          other.sequence > item.sequence &&
          stored.has(other.id) &&
          !expired(other, now)
        );
      });
      if (item.durable) expect(kept, `${item.id}, which was confirmed`).toBeDefined();
      if (kept === undefined || newer) continue;
      item.outdated = false;
      item.state = "available";
      expect(kept.deliveries, `the delivery count of ${item.id}`).toBe(item.deliveries);
    }
    const ids = new Set(this.live.map(({ id }) => id));
    for (const id of stored.keys()) expect(ids.has(id), `${id} is there again and should not be`).toBe(true);
    this.buried = this.buried.filter(({ id, durable }) => {
      expect(dead.has(id) || !durable, `${id}, which is a dead letter, is there`).toBe(true);
      return dead.has(id);
    });
    const letters = new Set(this.buried.map(({ id }) => id));
    for (const id of dead) expect(letters.has(id), `${id} is a dead letter and should not be`).toBe(true);
    this.row.length = 0;
    this.active = undefined;
    this.consumed = 0;
    this.paused = false;
  }

  /** Nothing waits for somebody who could have it. */
  expectNothingWaits(): void {
    if (this.paused) return;
    const takers = this.row.filter((taker) => this.seated(taker));
    if (!takers.some(({ receptive }) => receptive)) return;
    for (const item of this.live) {
      if (item.state !== "available" || !takers.some((taker) => taker.receptive && wants(taker, item))) continue;
      if (this.mayWait(item, takers)) continue;
      expect.fail(`${item.id} waits, though somebody receptive wants it`);
    }
  }

  /** In which order messages are due: highest first. */
  bandOf({ priority }: Sent): number {
    return this.policy.priorities ? priority : 0;
  }

  private get alone(): boolean {
    return this.policy.singleActiveConsumer || this.row.some(({ exclusive }) => exclusive);
  }

  private choose(): void {
    const exclusive = this.row.filter((taker) => taker.exclusive);
    const candidates = exclusive.length > 0 ? exclusive : this.row;
    this.active = candidates.toSorted((a, b) => b.priority - a.priority)[0];
  }

  private makeRoom(size: number): boolean {
    const { full, maxBytes } = this.policy;
    if (full === "block" || !this.over(size)) return true;
    if (full !== "drop-head" || (maxBytes > 0 && size > maxBytes)) return false;
    while (this.over(size)) {
      const free = this.live.filter(({ state }) => state === "available");
      const least = free.at(-1);
      const oldest = least && free.find((item) => this.bandOf(item) === this.bandOf(least));
      if (oldest === undefined) break;
      this.live.splice(this.live.indexOf(oldest), 1);
      oldest.state = "gone";
    }
    return true;
  }

  private replace(key: string): void {
    for (const item of this.live) {
      if (item.key !== key) continue;
      if (item.state === "held") item.outdated = true;
      else item.state = "gone";
    }
    this.refresh();
  }

  private bury(item: Sent, reason: Death["reason"]): void {
    const { expiryQueue, deadLetterQueue } = this.policy;
    item.state = "gone";
    item.death = reason;
    if ((reason === "expired" ? expiryQueue : deadLetterQueue) !== undefined) this.buried.push(item);
  }

  private expiryOf(asked: number, now: number): number {
    const { defaultTtlMs, maxTtlMs } = this.policy;
    const at = asked === 0 && defaultTtlMs > 0 ? now + defaultTtlMs : asked;
    return maxTtlMs > 0 && (at === 0 || at > now + maxTtlMs) ? now + maxTtlMs : at;
  }

  private failed(item: Sent, outcome: Outcome): void {
    const { maxDeliveries, redeliveryDelayMs, redeliveryMultiplier, redeliveryMaxDelayMs } = this.policy;
    item.deliveries++;
    if (outcome === "rejected") {
      this.bury(item, "rejected");
    } else if (maxDeliveries > 0 && item.deliveries >= maxDeliveries) {
      this.bury(item, "delivery-limit");
    } else if (redeliveryDelayMs > 0) {
      const delay = Math.min(redeliveryDelayMs * redeliveryMultiplier ** (item.deliveries - 1), redeliveryMaxDelayMs);
      item.state = "resting";
      item.restsUntil = this.clock.now() + delay;
    }
  }

  /** It is the first one that this consumer wants; where there are groups, the first of its group or of those without. */
  private checkOrder(taker: ModelTaker, item: Sent): void {
    const { grouped } = this;
    const due = this.live.find((other) => {
      if (other.state !== "available" || !wants(taker, other)) return false;
      return !grouped || (other.group === item.group && this.bandOf(other) === this.bandOf(item));
    });
    expect(item.id, "the message that is due").toBe(due?.id);
  }

  /** Nobody of a higher rank could have had it. */
  private checkRank(taker: ModelTaker, item: Sent): void {
    if (!this.prompt) return;
    const inTurn = this.policy.distribution === "round-robin";
    for (const other of this.row) {
      if (other === taker || !other.receptive || !this.seated(other) || !wants(other, item)) continue;
      if (this.grouped && (item.group !== undefined || this.mayDrain(other))) continue;
      expect(other.priority, "the priority of a consumer that was passed").toBeLessThanOrEqual(taker.priority);
      if (inTurn || other.priority !== taker.priority || other.wants !== taker.wants) continue;
      const first = this.row.indexOf(taker) < this.row.indexOf(other);
      expect(first, "it was attached before those that could have had it").toBe(true);
    }
  }

  private checkGroup(taker: ModelTaker, { group, id }: Sent, firstOfGroup: boolean): void {
    if (group === undefined) return;
    const others = this.live.filter(
      (other) => other.group === group && other.state === "held" && other.holder !== taker,
    );
    expect(
      others.map((other) => other.id),
      `what others hold of ${group} when ${id} comes`,
    ).toEqual([]);
    if (!taker.groups.has(group)) expect(firstOfGroup, `${id} is the first of ${group} there`).toBe(true);
    taker.groups.add(group);
  }

  /** Whether it may be that a message waits which somebody receptive wants: its group may be another's. */
  private mayWait(item: Sent, takers: readonly ModelTaker[]): boolean {
    // Whoever is to have a group that another still holds some of waits for it, and what comes after waits with it.
    const free = takers.filter((taker) => wants(taker, item) && taker.receptive);
    const waiting = free.filter((taker) => this.mayDrain(taker));
    if (item.group === undefined) return waiting.length === free.length;
    return waiting.length > 0 || takers.some((taker) => wants(taker, item) && !taker.receptive);
  }

  /** Whether it may be waiting for a group of which another still holds some. */
  private mayDrain(taker: ModelTaker): boolean {
    return this.live.some((item) => {
      return item.state === "held" && item.group !== undefined && item.holder !== taker && wants(taker, item);
    });
  }
}

export function expired({ expiresAt }: Sent, now: number): boolean {
  return expiresAt !== 0 && expiresAt <= now;
}

export function wants(taker: Pick<ModelTaker, "wants">, { parity }: Sent): boolean {
  return taker.wants === undefined || taker.wants === parity;
}
