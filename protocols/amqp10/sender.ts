import type { Message } from "../../core/message.ts";
import type { CancelCause, Consumer, Delivery, Outcome } from "../../core/protocol.ts";
import type { Subscription } from "../../core/subscription.ts";
import type { Transaction } from "../../core/transaction.ts";
import type { Endpoint, Ending, Link } from "./endpoint.ts";
import { AmqpError, CONDITION } from "./errors.ts";
import { ABSENT, type FlowFields } from "./frame.ts";
import type { Payload } from "./payload.ts";
import type { DeliveryState } from "./performatives.ts";
import type { Resumed, SuspendedLink } from "./suspended.ts";

/** snd-settle-mode (amqp10 2.8.2). */
const UNSETTLED = 0;
const SETTLED = 1;

/** What a link is that the broker sends on. */
export interface SenderOptions {
  readonly name: string;
  readonly handle: number;
  readonly peerHandle: number;
  /** What becomes of what is settled without an outcome (amqp10 3.5.3). */
  readonly defaultOutcome: DeliveryState;
  readonly sndSettleMode: number;
  readonly maxMessageBytes: number;
  readonly browse: boolean;
  /** The link is over. */
  readonly left: (ending: Ending) => void;
}

/** A delivery of which not everything was written, because the peer's window is closed. */
interface Parked {
  readonly message: Message;
  readonly delivery: Delivery | undefined;
  readonly deliveries: number;
  /** Once its first frame was written. */
  payload: Payload | undefined;
  from: number;
  number: number;
  tag: number;
}

/** A link on which the broker sends: turns deliveries into TRANSFER frames, and dispositions into settlements. */
export class SenderLink implements Link, Consumer {
  readonly role = false;
  readonly name: string;
  readonly handle: number;
  readonly peerHandle: number;
  detaching = false;
  /** Set as soon as the core has made it. */
  core: Subscription | undefined = undefined;
  /** Waits for the window, the output or settlements. */
  stalled = false;
  parked: Parked | undefined = undefined;
  /** Deliveries that the receiver has yet to settle. */
  unsettled = 0;
  readonly settled: boolean;
  readonly #endpoint: Endpoint;
  readonly #options: SenderOptions;
  #deliveryCount = 0;
  #lastTag = 0;
  #draining = false;
  /** All the credit is used up, but what is parked has to go before the FLOW that says so. */
  #saysDrained = false;
  #resumed: Resumed[] = [];
  /** What a subscription of the same link has that was there before. */
  readonly #older = new Map<Delivery, Subscription>();

  constructor(endpoint: Endpoint, options: SenderOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.name = options.name;
    this.handle = options.handle;
    this.peerHandle = options.peerHandle;
    // A sender that may do either need not wait for settlements of what nobody takes.
    this.settled = options.sndSettleMode === SETTLED || (options.browse && options.sndSettleMode !== UNSETTLED);
  }

  /** Deliveries sent, or about to be, since the link was attached. */
  get deliveryCount(): number {
    return this.#deliveryCount;
  }

  deliver(message: Message, delivery: Delivery | undefined, deliveries: number): boolean {
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0;
    const endpoint = this.#endpoint;
    if (endpoint.windowOpen && this.parked === undefined) {
      this.#send(message, delivery, deliveries);
    } else {
      // At most one for each link: the core gives nothing more once this returns false.
      message.detach();
      this.parked = { message, delivery, deliveries, payload: undefined, from: 0, number: 0, tag: 0 };
    }
    if (endpoint.receptive && this.parked === undefined) return true;
    endpoint.stall(this);
    return false;
  }

  /** Goes on with what was parked; false when it has to wait once more. */
  unpark(): boolean {
    const { parked } = this;
    if (parked === undefined) return true;
    this.parked = undefined;
    if (parked.payload === undefined) this.#send(parked.message, parked.delivery, parked.deliveries);
    else this.#write(parked, parked.payload, this.settled);
    if (this.parked !== undefined) return false;
    if (this.#saysDrained) {
      this.#saysDrained = false;
      this.sayFlow(true);
    }
    return true;
  }

  /** FLOW (amqp10 2.6.7). */
  onFlow(flow: FlowFields): void {
    const { core } = this;
    if (core === undefined) return;
    if (flow.linkCredit !== ABSENT) {
      const seen = flow.deliveryCount === ABSENT ? 0 : flow.deliveryCount;
      let credit = (seen + flow.linkCredit - this.#deliveryCount) | 0;
      if (this.#resumed.length > 0) credit -= this.#sendResumed(credit);
      core.setCredit(credit, 0);
      this.#draining = flow.drain;
      if (flow.drain) core.drain();
    }
    if (flow.echo && !this.#draining) this.sayFlow();
  }

  /** Everything that the credit was for was sent; what is left of it is used up (amqp10 2.6.7). */
  drained(left: number): void {
    if (this.detaching) return;
    this.#deliveryCount = (this.#deliveryCount + left) >>> 0;
    this.#draining = false;
    if (this.parked === undefined) this.sayFlow(true);
    else this.#saysDrained = true;
  }

  /** Says where the link stands. */
  sayFlow(drain = false): void {
    const credit = Math.max(0, this.core?.credit.messages ?? 0);
    this.#endpoint.sayFlow(this.handle, this.#deliveryCount, credit, drain);
  }

  cancelled(reason: string, cause?: CancelCause): void {
    const condition = cause === "not-authorized" ? CONDITION.unauthorizedAccess : CONDITION.resourceDeleted;
    this.#endpoint.failLink(this, new AmqpError("link", condition, reason));
  }

  /** Settles what was taken out of the session's unsettled deliveries. Throws BrokerError when the transaction cannot. */
  settle(delivery: Delivery | undefined, outcome: Outcome, transaction: Transaction | undefined): void {
    this.unsettled--;
    if (delivery === undefined) return;
    const holder = this.holderOf(delivery);
    if (this.#older.size > 0) this.#older.delete(delivery);
    if (holder !== undefined) this.#endpoint.connected.client.settle(holder, delivery, outcome, transaction);
  }

  /** What becomes of a delivery in this state; undefined while it has none that is final. */
  outcomeOf(state: DeliveryState | undefined, settled: boolean): Outcome | undefined {
    if (state === undefined || state.type === "received") {
      // amqp10 3.5.3 default-outcome
      return settled ? (finalOutcome(this.#options.defaultOutcome) ?? "failed") : undefined;
    }
    return state.type === "transactional-state" ? this.outcomeOf(state.outcome, true) : finalOutcome(state);
  }

  /** The last tag given, for a link that comes again. */
  get lastTag(): number {
    return this.#lastTag;
  }

  /** Goes on with a link that was suspended: these are sent once more, before anything else, as credit comes. */
  resume(suspended: SuspendedLink, deliveries: readonly Resumed[]): void {
    this.#resumed = [...deliveries];
    this.#lastTag = suspended.lastTag;
    for (const { delivery, holder } of deliveries) if (delivery !== undefined) this.#older.set(delivery, holder);
  }

  /** The subscription of the core that has a delivery. */
  holderOf(delivery: Delivery): Subscription | undefined {
    return this.#older.size === 0 ? this.core : (this.#older.get(delivery) ?? this.core);
  }

  /** Another connection of the same container has attached it (amqp10 2.6.1). */
  stolen(): void {
    this.#endpoint.failLink(
      this,
      new AmqpError("link", CONDITION.stolen, `Link "${this.name}" was attached elsewhere`),
    );
  }

  /** Gives everything back that the receiver has, and receives no more. */
  endCores(): void {
    for (const older of new Set(this.#older.values())) older.close();
    this.#older.clear();
    this.core?.close();
  }

  left(ending: Ending): void {
    const { parked, core } = this;
    this.parked = undefined;
    // Nothing of it was sent: nobody has failed with it.
    if (parked?.payload === undefined && parked?.delivery !== undefined && core !== undefined) {
      this.#endpoint.connected.client.settle(core, parked.delivery, "released");
    }
    this.#resumed = [];
    this.#options.left(ending);
  }

  /** Sends again as many as there is credit for; returns how many. */
  #sendResumed(credit: number): number {
    const now = this.#resumed.splice(0, Math.max(0, credit));
    const { sent } = this.#endpoint;
    for (const { delivery, message, tag, deliveries } of now) {
      this.#deliveryCount = (this.#deliveryCount + 1) >>> 0;
      if (message === undefined) {
        this.#endpoint.writeResumed(this.handle, sent.pass(), tag, undefined);
        continue;
      }
      this.unsettled++;
      const number = sent.add(this, delivery, tag);
      this.#endpoint.writeResumed(this.handle, number, tag, this.#endpoint.fill(message, deliveries));
    }
    return now.length;
  }

  #send(message: Message, delivery: Delivery | undefined, deliveries: number): void {
    const endpoint = this.#endpoint;
    const payload = endpoint.fill(message, deliveries);
    if (payload.length > this.#options.maxMessageBytes) {
      this.#refuse(delivery);
      return;
    }
    const tag = ++this.#lastTag >>> 0;
    let number: number;
    if (this.settled) {
      number = endpoint.sent.pass();
    } else {
      number = endpoint.sent.add(this, delivery, tag);
      this.unsettled++;
    }
    const end = endpoint.write(this.handle, number, tag, this.settled, payload, 0);
    if (end >= payload.length) return;
    message.detach();
    this.parked = { message, delivery, deliveries, payload: endpoint.keepPayload(), from: end, number, tag };
  }

  #write(parked: Parked, payload: Payload, settled: boolean): void {
    parked.from = this.#endpoint.write(this.handle, parked.number, parked.tag, settled, payload, parked.from);
    if (parked.from < payload.length) this.parked = parked;
  }

  /** The receiver said that it takes no message so large: nobody will be able to give it to this one. */
  #refuse(delivery: Delivery | undefined): void {
    this.#deliveryCount = (this.#deliveryCount - 1) >>> 0;
    const { client, broker } = this.#endpoint.connected;
    broker.clock.endOfTurn(() => {
      const { core } = this;
      if (core === undefined || core.closed) return;
      if (delivery !== undefined) client.settle(core, delivery, "rejected");
      core.grant(1, 0);
    });
  }
}

/** The outcome that a state is; undefined for one that is none (amqp10 3.4). */
export function finalOutcome(state: DeliveryState | undefined): Outcome | undefined {
  switch (state?.type) {
    case "accepted":
    case "rejected":
    case "released":
      return state.type;
    case "modified":
      if (state.undeliverableHere) return state.deliveryFailed ? "failed-elsewhere" : "elsewhere";
      return state.deliveryFailed ? "failed" : "released";
    default:
      return undefined;
  }
}
