import type { End, ListNode } from "./entry.ts";
import type { Message } from "./message.ts";
import type { Queue } from "./queue.ts";
import type { Selector } from "./selector/selector.ts";
import type { Subscription } from "./subscription.ts";

/** One subscription's attachment to one queue. */
export class Link {
  readonly subscription: Subscription;
  readonly queue: Queue;
  readonly lane: Lane;
  /** Deliveries of this queue that wait for settlement. */
  held = 0;

  constructor(subscription: Subscription, queue: Queue, lane: Lane) {
    this.subscription = subscription;
    this.queue = queue;
    this.lane = lane;
  }

  /** Why this consumer is not being served right now. */
  get waitingOn(): "consumer" | "producer" | "load" | "dispatch" {
    if (!this.subscription.receptive) return "consumer";
    const position = this.lane.position;
    if (position.kind === "end") return "producer";
    return position.kind === "range" ? "load" : "dispatch";
  }
}

/**
 * The consumers of a queue that want the same messages, and the place in the queue up to which they were served.
 * Entries before `position` are held, or were not wanted, or came back (then `rewind` moved the position).
 */
export class Lane {
  readonly selector: Selector | undefined;
  readonly links: Link[] = [];
  position: ListNode;
  /** The newest sequence that this lane did not want while it stood at the tail. */
  refused = 0;
  /** Messages handed out, so that lanes at the same place take turns. */
  served = 0;
  private turn = 0;

  constructor(selector: Selector | undefined, position: ListNode) {
    this.selector = selector;
    this.position = position;
    position.parked++;
  }

  wants(message: Message): boolean {
    return this.selector === undefined || this.selector.matches(message);
  }

  moveTo(node: ListNode): void {
    this.position.parked--;
    node.parked++;
    this.position = node;
  }

  /** Goes back to a node that lies before the position. */
  rewind(node: ListNode): void {
    if (node.sequence < this.position.sequence) this.moveTo(node);
  }

  /** The next consumer in turn that can take a message (round robin). */
  nextReceptive(): Link | undefined {
    const links = this.links;
    const count = links.length;
    if (count === 1) {
      const only = links[0];
      return only?.subscription.receptive === true ? only : undefined;
    }
    for (let i = 0; i < count; i++) {
      this.turn = this.turn + 1 >= count ? 0 : this.turn + 1;
      const link = links[this.turn];
      if (link?.subscription.receptive === true) return link;
    }
    return undefined;
  }

  /** True when somebody here could be served. */
  hasWork(tail: End): boolean {
    if (this.position === tail) return false;
    for (const link of this.links) {
      if (link.subscription.receptive) return true;
    }
    return false;
  }
}
