/*
 * The way from topics to one subscriber. As long as the subscriber keeps up, `offer` hands over at once; what it cannot
 * take waits here, up to a bound in bytes, and then the topic's policy for slow subscribers decides. Where it would have the
 * publishers wait, that may be for a while only, for what the subscriber need not have surely:
 *
 *     over the bound -> publishers wait -> it takes something: they go on once all that waited is taken
 *                                       -> it takes nothing for `graceMs`: what comes is dropped until then
 */
import type { Permissions } from "../access/access.ts";
import type { Engine } from "../engine.ts";
import { Gate } from "../memory/gate.ts";
import type { Interests } from "../sessions/interests.ts";
import { Ledger } from "../ledger.ts";
import type { Message } from "../message.ts";
import type { Policy } from "../policy.ts";
import type { Delivery, Outcome } from "../protocol.ts";
import type { Queue } from "../queue/queue.ts";
import type { Subscription } from "../subscription.ts";
import type { Timer } from "../time/clock.ts";
import { Patience } from "../time/patience.ts";

/** A message from a topic at a consumer that settles. Nothing is kept for it but credit: topics do not deliver again. */
class TopicDelivery implements Delivery {
  /** Not kept: a topic has no use for it any more. */
  readonly message = undefined;
  readonly size: number;
  readonly deliveries = 0;
  readonly sequence = 0;
  settled = false;
  constructor(size: number) {
    this.size = size;
  }
}

/** Retained messages, each looked up when it is asked for; undefined when some were looked at in vain. */
export type RetainedSource = Generator<Message | undefined, void, void>;

/** Retained messages that one subscriber is given, or that are looked at for it, before others have their turn. */
const RETAINED_AT_ONCE = 256;

/** Feeds one subscription from any number of topics, in the order of publishing. */
export class TopicFeed {
  readonly ledger = new Ledger();
  readonly gate: Gate;
  readonly subscription: Subscription;
  private readonly engine: Engine;
  /** What a session wants of the topics; undefined for a subscription that wants the same of all. */
  private readonly interests: Interests | undefined;
  private noLocal: boolean;
  private readonly makeSpill: () => Queue;
  private spill: Queue | undefined = undefined;
  private pending: (Message | undefined)[] = [];
  private pendingFrom = 0;
  private bytes = 0;
  private unsettled = 0;
  private retained: RetainedSource[] = [];
  /** Runs until it is the turn of more retained messages. */
  private retainedLater: Timer | undefined = undefined;
  private deadline: Timer | undefined = undefined;
  private patience: Patience | undefined = undefined;
  private grace: Timer | undefined = undefined;
  /** True from when the grace was over until all that waited is taken. */
  private behind = false;
  /** True once the subscriber is gone: what it had is accounted for, and a transaction may still settle it. */
  private closed = false;

  /**
   * `makeSpill` makes a queue that the subscription consumes, for the policy `spill`. What is left out of what its client
   * itself sends: all if true, nothing if false, or what interests say.
   */
  constructor(engine: Engine, subscription: Subscription, noLocal: boolean | Interests, makeSpill: () => Queue) {
    this.engine = engine;
    this.subscription = subscription;
    this.noLocal = noLocal === true;
    this.interests = typeof noLocal === "boolean" ? undefined : noLocal;
    this.makeSpill = makeSpill;
    this.gate = new Gate(`subscriber ${subscription.client.id}/${subscription.id}`, (task) =>
      engine.clock.endOfTurn(task),
    );
  }

  /** How long it holds up publishers, while it takes nothing, with what is not to be settled; 0: as its topics say. */
  set graceMs(ms: number) {
    this.patience = ms === 0 ? undefined : new Patience(this.engine.clock, ms);
  }

  /** Messages that came and are neither consumed nor lost: waiting here, or at the consumer unsettled. */
  get stored(): number {
    return this.pending.length - this.pendingFrom + this.unsettled;
  }

  /** Messages that the subscriber has yet to settle. */
  get held(): number {
    return this.unsettled;
  }

  /** Whether something waits for the subscriber. */
  get waits(): boolean {
    return this.pendingFrom < this.pending.length || this.retained.length > 0;
  }

  get pendingBytes(): number {
    return this.bytes;
  }

  get reader(): Permissions {
    return this.subscription.client.permissions;
  }

  /** Where a subscriber that cannot keep up has its messages, under the policy `spill`. */
  get spillQueue(): Queue | undefined {
    return this.spill;
  }

  /** Takes a message of a topic; returns the closed gate at which its sender has to wait, if any. */
  offer(message: Message, policy: Policy, sender: unknown): Gate | undefined {
    const subscription = this.subscription;
    if (this.noLocal && sender === subscription.client && this.leavesOut(message)) return undefined;
    if (subscription.selector !== undefined && !subscription.selector.matches(message)) return undefined;
    // What is already in the spill queue goes first.
    if (this.spill !== undefined && this.spill.count > 0) return this.spill.publish(message);
    this.ledger.received++;
    if (message.expiresAt !== 0 && message.expiresAt <= this.engine.clock.now()) {
      this.ledger.lose("expired");
      return undefined;
    }
    if (subscription.receptive && this.pendingFrom === this.pending.length) {
      this.hand(message);
      return undefined;
    }
    return this.hold(message, policy);
  }

  /** Takes a message that the subscriber was given elsewhere, as one that it has yet to settle. */
  adopt(message: Message): Delivery {
    this.ledger.received++;
    this.ledger.delivered++;
    this.unsettled++;
    return new TopicDelivery(message.size);
  }

  /** Has these before anything that waits; each is looked up when its turn comes. */
  begin(retained: RetainedSource): void {
    this.retained.push(retained);
    this.pump();
  }

  /** The interests of its session have changed. */
  interestsChanged(): void {
    this.noLocal = this.interests?.someNoLocal === true;
  }

  /** Hands over what waits, while the subscriber takes it. */
  pump(): void {
    if (this.retained.length > 0 && !this.pumpRetained()) return;
    const subscription = this.subscription;
    const now = this.engine.clock.now();
    while (subscription.receptive && this.pendingFrom < this.pending.length) {
      const message = this.shift();
      if (message === undefined) continue;
      if (message.expiresAt !== 0 && message.expiresAt <= now) this.ledger.lose("expired");
      else this.hand(message);
    }
    if (this.pendingFrom === this.pending.length) {
      this.behind = false;
      if (this.gate.closed) this.reopen();
    }
  }

  /** Settles if the delivery came from here; false otherwise. */
  settle(delivery: Delivery, outcome: Outcome): boolean {
    if (!(delivery instanceof TopicDelivery)) return false;
    if (delivery.settled || this.closed) return true;
    delivery.settled = true;
    this.unsettled--;
    // A topic has no place to go back to: whatever the outcome, the message ends here.
    if (outcome === "accepted") this.ledger.consumed++;
    else this.ledger.lose("refused");
    return true;
  }

  /** The subscriber is gone, and what waited for it with it. */
  close(): void {
    this.closed = true;
    if (this.stored > 0) this.ledger.lose("subscriber-gone", this.stored);
    this.engine.account(-this.bytes);
    this.bytes = 0;
    this.pending = [];
    this.pendingFrom = 0;
    this.unsettled = 0;
    this.retained = [];
    this.retainedLater?.cancel();
    this.reopen();
  }

  /** Hands over some of the retained messages, and others in their turn; true when there are no more. */
  private pumpRetained(): boolean {
    const { subscription, retained } = this;
    if (this.retainedLater !== undefined) return false;
    for (let n = 0; n < RETAINED_AT_ONCE && retained.length > 0; n++) {
      if (!subscription.receptive) return false;
      const { value: message, done } = retained[0]?.next() ?? { value: undefined, done: true };
      if (done === true) {
        retained.shift();
      } else if (message !== undefined && subscription.selector?.matches(message) !== false) {
        this.ledger.received++;
        this.hand(message);
      }
    }
    if (retained.length === 0) return true;
    this.retainedLater = this.engine.clock.after(0, () => {
      this.retainedLater = undefined;
      this.pump();
    });
    return false;
  }

  private leavesOut({ address }: Message): boolean {
    return this.interests === undefined || this.interests.grantOf(address)?.noLocal === true;
  }

  private hand(message: Message): void {
    this.ledger.delivered++;
    if (this.subscription.settles(message)) {
      this.unsettled++;
      this.subscription.take(message, new TopicDelivery(message.size), 0);
    } else {
      this.ledger.consumed++;
      this.subscription.take(message, undefined, 0);
    }
  }

  private hold(message: Message, policy: Policy): Gate | undefined {
    const over = this.bytes + message.size > policy.subscriberBytes && this.bytes > 0;
    const blocks = over && policy.slowSubscriber === "block";
    const patience = blocks && !this.subscription.settles(message) ? this.patience : undefined;
    if (patience !== undefined && this.behind) {
      this.ledger.lose("dropped-newest");
      return undefined;
    }
    if (over && policy.slowSubscriber === "drop-newest") {
      this.ledger.lose("dropped-newest");
      return undefined;
    }
    if (over && policy.slowSubscriber === "spill") {
      this.ledger.received--;
      this.spill ??= this.makeSpill();
      return this.spill.publish(message);
    }
    if (over && policy.slowSubscriber === "drop-oldest") {
      while (this.bytes > 0 && this.bytes + message.size > policy.subscriberBytes) {
        if (this.shift() !== undefined) this.ledger.lose("dropped-oldest");
      }
    }
    this.engine.slab.keep(message);
    this.pending.push(message);
    this.bytes += message.size;
    this.engine.account(message.size);
    if (!blocks) return undefined;
    this.gate.close();
    if (patience === undefined) this.startDeadline(policy);
    else if (this.grace === undefined) this.startGrace(patience, policy);
    return this.gate;
  }

  private shift(): Message | undefined {
    const message = this.pending[this.pendingFrom];
    this.pending[this.pendingFrom++] = undefined;
    if (this.pendingFrom === this.pending.length) {
      // The same list again, as for `Output`: new ones would be taken for long-lived.
      this.pending.length = 0;
      this.pendingFrom = 0;
    } else if (this.pendingFrom >= 1024 && this.pendingFrom * 2 >= this.pending.length) {
      this.pending = this.pending.slice(this.pendingFrom);
      this.pendingFrom = 0;
    }
    if (message !== undefined) {
      this.bytes -= message.size;
      this.engine.account(-message.size);
    }
    return message;
  }

  private startGrace(patience: Patience, { slowSubscriberDeadlineMs }: Policy): void {
    const { clock } = this.engine;
    const since = clock.now();
    const look = (): void => {
      // Who takes a little now and then must not hold them up for ever either.
      const tooLong = slowSubscriberDeadlineMs > 0 && clock.now() - since >= slowSubscriberDeadlineMs;
      if (!patience.isOver(this.subscription.delivered) && !tooLong) {
        this.grace = clock.after(patience.stepMs, look);
        return;
      }
      this.grace = undefined;
      this.behind = true;
      // While something waits that is to come surely, the deadline counts.
      if (this.deadline === undefined) this.gate.open();
    };
    look();
  }

  private startDeadline(policy: Policy): void {
    if (this.deadline !== undefined || policy.slowSubscriberDeadlineMs === 0) return;
    this.deadline = this.engine.clock.after(policy.slowSubscriberDeadlineMs, () => {
      this.deadline = undefined;
      this.subscription.client.evict(
        `the subscriber held up its publishers for ${policy.slowSubscriberDeadlineMs} ms with ${this.bytes} bytes waiting ` +
          "(topics: slow_subscriber, slow_subscriber_deadline, subscriber_buffer)",
        "slow",
      );
    });
  }

  private reopen(): void {
    this.deadline?.cancel();
    this.deadline = undefined;
    this.grace?.cancel();
    this.grace = undefined;
    this.gate.open();
  }
}
