import type { Client } from "./client.ts";
import type { Browser } from "./queue/browser.ts";
import { Entry } from "./queue/entry.ts";
import type { Hold, Link } from "./queue/lane.ts";
import type { Message } from "./message.ts";
import type { Pattern } from "./addresses/pattern.ts";
import type { Queue } from "./queue/queue.ts";
import type { CancelCause, Consumer, Delivery, Outcome } from "./protocol.ts";
import type { Selector } from "./selector/selector.ts";
import type { Traffic } from "./traffic.ts";
import type { TopicFeed } from "./topic/topic-feed.ts";

/** What a client asks for when it subscribes. */
export interface SubscribeOptions {
  /** What to receive; several make a composite. Empty only with `attachDurable`. */
  readonly patterns: readonly Pattern[];
  /** Name of a durable subscription over `patterns` (topics only): made, attached to again, or changed in place. */
  readonly durable?: string | undefined;
  /** The durable subscription, if it is made now, is in memory only; see `VirtualHost.endVolatile`. */
  readonly volatile?: boolean | undefined;
  /** Name of a durable subscription that is there already. */
  readonly attachDurable?: string | undefined;
  readonly selector?: Selector | undefined;
  /** False: a message is consumed as soon as the consumer took it. */
  readonly settling: boolean;
  /** Deliveries go on while either window, messages or bytes, is positive. */
  readonly credit: { readonly messages: number; readonly bytes: number };
  /**
   * Looks at messages and takes none: each that is there, in order, whoever has it. Queues and durable subscriptions only.
   * With `end`, `Consumer.exhausted` tells when all was seen; without, it goes on with what comes.
   */
  readonly browse?: { readonly end: boolean; readonly fromSequence: number } | undefined;
  /** While it is there no other consumer of the queue is given anything; the next one takes over when it goes. */
  readonly exclusive?: boolean | undefined;
  /** Of two consumers that could take a message the one with the higher priority gets it; 0 if absent. */
  readonly priority?: number | undefined;
  /** `Consumer.deliver` is told the delivery, with its sequence, even when nothing is to be settled. */
  readonly details?: boolean | undefined;
  /** Leaves out what this client itself sends to the topics. */
  readonly noLocal?: boolean | undefined;
  /** Begins with the retained messages of the topics (the default). */
  readonly retained?: boolean | undefined;
  readonly consumer: Consumer;
}

/** One consumer of a client: its credit, and its attachments to queues and topics. */
export class Subscription {
  readonly id: number;
  readonly client: Client;
  /** Whether what it is given has to be settled; see also `settles`. */
  settling: boolean;
  /** Of a session these change while it lasts. */
  readonly patterns: readonly Pattern[];
  readonly selector: Selector | undefined;
  /** The durable subscription it is attached to. */
  readonly durable: string | undefined;
  /** See `SubscribeOptions`. */
  readonly browse: SubscribeOptions["browse"];
  readonly exclusive: boolean;
  readonly priority: number;
  readonly details: boolean;
  /** True when a delivery is nothing but its message. */
  direct: boolean;
  /** True when its consumer says of each message whether that is to be settled. */
  readonly selective: boolean;
  /** Settling gives credit back; false: the windows grow only by `grant` and `setCredit`. */
  autoRefill = true;
  /** True while a message may be handed over. */
  receptive = false;
  closed = false;
  /** Messages handed over, with their bytes, and settled as consumed. */
  delivered = 0;
  deliveredBytes = 0;
  accepted = 0;
  readonly links: Link[] = [];
  readonly browsers: Browser[] = [];
  /** What it holds of queues that it does not consume from, or not any more. */
  readonly holds: Hold[] = [];
  /** The way from topics; undefined for a consumer of queues only. */
  feed: TopicFeed | undefined = undefined;
  private readonly consumer: Consumer;
  private readonly traffic: Traffic;
  private counted: boolean;
  /** True once it receives nothing more, though it may hold something. */
  private stopped = false;
  /** Whether the credit is to be used up or given back. */
  private draining = false;
  /** Whether the consumer is to be told when all browsers have seen everything. */
  private awaitsEnd: boolean;
  private creditMessages: number;
  private creditBytes: number;
  /** Also true until `start`, so that nothing comes before whoever subscribed knows of it. */
  private full = true;

  constructor(id: number, client: Client, options: SubscribeOptions) {
    this.id = id;
    this.client = client;
    this.consumer = options.consumer;
    this.traffic = client.traffic;
    this.settling = options.settling;
    this.patterns = options.patterns;
    this.selector = options.selector;
    this.creditMessages = options.credit.messages;
    this.creditBytes = options.credit.bytes;
    this.counted = options.settling;
    this.durable = options.attachDurable ?? options.durable;
    this.browse = options.browse;
    this.exclusive = options.exclusive ?? false;
    this.priority = options.priority ?? 0;
    this.details = options.details ?? false;
    this.direct = !options.settling && !this.details;
    this.selective = options.consumer.settles !== undefined;
    this.awaitsEnd = options.browse?.end === true;
  }

  /** The windows as they are now. */
  get credit(): { messages: number; bytes: number } {
    return { messages: this.creditMessages, bytes: this.creditBytes };
  }

  /** Lets deliveries begin. */
  start(): void {
    this.ready();
    this.browsed();
  }

  /** Why nothing is delivered right now. */
  get waitingOn(): "consumer" | "producer" | "load" | "dispatch" | "standby" {
    if (!this.receptive) return "consumer";
    for (const link of this.links) {
      const reason = link.waitingOn;
      if (reason !== "producer") return reason;
    }
    return "producer";
  }

  /** Whether a message is to be settled when it is delivered. */
  settles(message: Message): boolean {
    return this.settling && (!this.selective || this.consumer.settles?.(message) !== false);
  }

  /** What is delivered from now on has to be settled. */
  beginSettling(): void {
    this.settling = true;
    this.counted = true;
    this.direct = false;
  }

  /** Hands a message to the consumer. Only while receptive. */
  take(message: Message, delivery: Delivery | undefined, deliveries: number, firstOfGroup = false): void {
    const bytes = message.end - message.start;
    this.delivered++;
    this.deliveredBytes += bytes;
    const { traffic } = this;
    if (--traffic.left <= 0) traffic.look(message, this.client, deliveries === 0 && this.browse === undefined);
    if ((this.counted && (delivery !== undefined || !this.selective)) || !this.autoRefill) {
      this.creditMessages--;
      this.creditBytes -= bytes;
      if (!this.consumer.deliver(message, delivery, deliveries, firstOfGroup)) this.full = true;
      if (this.full || !this.open) this.receptive = false;
    } else if (!this.consumer.deliver(message, delivery, deliveries, firstOfGroup)) {
      this.full = true;
      this.receptive = false;
    }
  }

  /** Takes nothing more until `ready`, as if `deliver` had returned false. */
  hold(): void {
    this.full = true;
    this.receptive = false;
  }

  /** The consumer can take more again, after its `deliver` returned false or `hold`. */
  ready(): void {
    if (!this.full) return;
    this.full = false;
    this.wake();
  }

  /** Adds credit; negative amounts take it away. */
  grant(messages: number, bytes: number): void {
    this.setCredit(this.creditMessages + messages, this.creditBytes + bytes);
  }

  /** Sets both windows. */
  setCredit(messages: number, bytes: number): void {
    this.creditMessages = messages;
    this.creditBytes = bytes;
    if (this.open) this.wake();
    else this.receptive = false;
  }

  /** Credit comes back for a delivery of `bytes` that was settled, or whose settlement waits in a transaction. */
  refill(bytes: number): void {
    if (!this.autoRefill) return;
    this.creditMessages++;
    this.creditBytes += bytes;
    if (!this.receptive) this.wake();
  }

  /** Tells the consumer, once, when everything was seen that it browses. */
  browsed(): void {
    if (!this.awaitsEnd || this.closed || !this.browsers.every(({ finished }) => finished)) return;
    this.awaitsEnd = false;
    this.consumer.exhausted?.();
  }

  /**
   * Uses up the credit with what can be delivered now, maybe in later turns, then takes back what is left of it and calls
   * `Consumer.drained`.
   */
  drain(): void {
    if (this.draining || this.closed) return;
    this.draining = true;
    this.wake();
    this.finishDraining();
  }

  /** Receives nothing more, and is no consumer any more; what it was given stays with it, to be settled. */
  stop(): void {
    if (this.closed || this.stopped) return;
    this.stopped = true;
    this.receptive = false;
    this.full = true;
    this.client.host.attachments.stop(this);
    this.closeIfDone();
  }

  /** Asks a queue for one message, past those who consume from it. */
  pull(queue: Queue): void {
    this.stopped = true;
    this.full = true;
    queue.pull(this);
  }

  /** It was given what it asked for. */
  pulled(): void {
    this.closeIfDone();
  }

  /** There was nothing to pull. */
  pulledNothing(): void {
    this.consumer.exhausted?.();
    this.closeIfDone();
  }

  /** Settles a delivery, unless it came back meanwhile and is no longer its own; credit is not touched. */
  settle(delivery: Delivery, outcome: Outcome): void {
    if (outcome === "accepted") this.accepted++;
    if (this.feed?.settle(delivery, outcome) === true) return;
    if (delivery instanceof Entry && delivery.holder?.subscription === this)
      delivery.holder.queue.settle(delivery, outcome);
    // Also when its queue is gone, and the delivery with it.
    if (this.stopped) this.closeIfDone();
  }

  /** Ends the subscription; what it holds comes back with the outcome `failed`. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.receptive = false;
    this.client.host.attachments.end(this, "failed");
  }

  /** Ends the subscription from the broker's side and says why. */
  cancel(reason: string, cause?: CancelCause): void {
    if (this.closed) return;
    this.closed = true;
    this.receptive = false;
    this.client.host.attachments.end(this, "failed");
    this.consumer.cancelled(reason, cause);
  }

  /** Nobody will hear of one that receives nothing and holds nothing. */
  private closeIfDone(): void {
    if (this.holds.every(({ held }) => held === 0) && this.feed === undefined) this.close();
  }

  private finishDraining(): void {
    if (this.closed || !this.draining) return;
    if (this.open && !this.exhausted) {
      // Something is being read, or has no room at the consumer.
      this.client.host.later(() => this.finishDraining());
      return;
    }
    this.draining = false;
    const left = Math.max(this.creditMessages, 0);
    this.setCredit(0, 0);
    this.consumer.drained?.(left);
  }

  /** Whether there is nothing for it right now. */
  private get exhausted(): boolean {
    if (this.full) return false;
    if (this.feed?.waits === true || this.browsers.some(({ idle }) => !idle)) return false;
    return this.links.every(({ waitingOn }) => waitingOn === "producer" || waitingOn === "standby");
  }

  private get open(): boolean {
    return !this.settling && this.autoRefill ? true : this.creditMessages > 0 || this.creditBytes > 0;
  }

  private wake(): void {
    if (this.closed || this.full || !this.open) return;
    this.receptive = true;
    this.feed?.pump();
    for (const browser of this.browsers) browser.pump();
    const links = this.links;
    // Whoever was served last begins last.
    if (links.length > 1) {
      const first = links.shift();
      if (first !== undefined) links.push(first);
    }
    for (const link of links) {
      if (!this.receptive) return;
      link.queue.dispatch();
    }
  }
}
