import { Entry } from "./queue/entry.ts";
import { Hold, type Holder } from "./queue/lane.ts";
import type { Message } from "./message.ts";
import type { Delivery, Outcome } from "./protocol.ts";
import type { Route } from "./routing/route.ts";
import type { Subscription } from "./subscription.ts";

/** What a transaction does when it is committed. */
export type Work =
  | { readonly do: "publish"; readonly route: Route; readonly message: Message }
  | { readonly do: "retain"; readonly route: Route; readonly message: Message | undefined }
  | {
      readonly do: "settle";
      readonly subscription: Subscription;
      readonly delivery: Delivery;
      readonly outcome: Outcome;
    };

/** Deliveries of one consumer that a transaction will settle. */
export interface HeldDeliveries {
  readonly holder: Holder;
  readonly entries: Entry[];
}

/** Who carries a transaction's work out: its client. */
export interface TransactionOwner {
  /** Does everything in order, within this turn, so that the store takes it whole or not at all. */
  carryOut(work: readonly Work[]): void;
  /** Puts deliveries back in place, all of them before any is delivered again. */
  giveBack(held: Iterable<HeldDeliveries>): void;
  ended(transaction: Transaction): void;
  /** Makes a message safe to keep after this turn. */
  keep(message: Message): void;
}

/** Sends and settlements of one client that take effect together. Its messages count against the transaction limit. */
export class Transaction {
  /** Bytes of the messages held. */
  bytes = 0;
  private readonly owner: TransactionOwner;
  /** By the link of the consumer that had them. */
  private readonly held = new Map<Holder, HeldDeliveries>();
  private work: Work[] = [];
  private ended = false;

  constructor(owner: TransactionOwner) {
    this.owner = owner;
  }

  get open(): boolean {
    return !this.ended;
  }

  /** Operations said so far. */
  get size(): number {
    return this.work.length;
  }

  /** Adds an operation. Deliveries to settle now belong to the transaction, even if their subscription ends. */
  add(work: Work): void {
    if (work.do === "settle") this.hold(work);
    else if (work.message !== undefined) {
      this.owner.keep(work.message);
      this.bytes += work.message.size;
    }
    this.work.push(work);
  }

  /** Carries everything out; nothing, when there is no way any more to a destination: then throws BrokerError. */
  commit(): void {
    if (this.ended) return;
    try {
      for (const item of this.work) {
        if (item.do === "settle") continue;
        if (item.message === undefined) item.route.checkRights();
        else item.route.check(item.message);
      }
    } catch (refusal) {
      this.abort();
      throw refusal;
    }
    const work = this.end();
    this.owner.carryOut(work);
    this.owner.ended(this);
  }

  /** Forgets the sends; what it was to settle goes back in place, to be delivered again. */
  abort(): void {
    if (this.ended) return;
    const work = this.end();
    this.owner.giveBack(this.held.values());
    const others = work.filter((item) => item.do === "settle" && !(item.delivery instanceof Entry));
    this.owner.carryOut(others.map((item) => ({ ...item, outcome: "failed" })));
    this.owner.ended(this);
  }

  private end(): Work[] {
    this.ended = true;
    const work = this.work;
    this.work = [];
    this.bytes = 0;
    return work;
  }

  private hold({ subscription, delivery }: { subscription: Subscription; delivery: Delivery }): void {
    if (!(delivery instanceof Entry)) return;
    const from = delivery.holder;
    // It came back meanwhile, and may be at somebody else by now.
    if (from?.subscription !== subscription) return;
    let held = this.held.get(from);
    if (held === undefined) {
      held = { holder: new Hold(subscription, from.queue), entries: [] };
      this.held.set(from, held);
    }
    from.queue.transfer(delivery, held.holder);
    held.entries.push(delivery);
  }
}
