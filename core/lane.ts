import type { Client } from "./client.ts";
import type { End, Entry, ListNode } from "./entry.ts";
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
  /** Its index in `lane.links`; -1 while it is not there. */
  place = -1;

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

/** All lanes of a queue. */
export class Lanes {
  readonly all: Lane[] = [];
  /** Links in all of them. */
  consumers = 0;
  private readonly tail: End;

  constructor(tail: End) {
    this.tail = tail;
  }

  /** The lane of those who want what this selector wants, made at `position` if there is none. */
  lane(selector: Selector | undefined, position: ListNode): Lane {
    let lane = this.all.find((candidate) => candidate.selector?.text === selector?.text);
    if (lane === undefined) {
      lane = new Lane(selector, position);
      this.all.push(lane);
    }
    return lane;
  }

  add(link: Link): void {
    link.place = link.lane.links.push(link) - 1;
    this.consumers++;
  }

  /** Takes a link out of its lane, and the lane away with the last one; false when it is not here. */
  remove(link: Link): boolean {
    const { lane, place } = link;
    if (place < 0) return false;
    // The last one takes its place: very many may go at once.
    const last = lane.links.pop();
    if (last !== undefined && last !== link) {
      lane.links[place] = last;
      last.place = place;
    }
    link.place = -1;
    this.consumers--;
    if (lane.links.length === 0) {
      lane.position.parked--;
      this.all.splice(this.all.indexOf(lane), 1);
    }
    return true;
  }

  /** What is attached of one client. */
  linksOf(client: Client): Link[] {
    const found: Link[] = [];
    if (client.subscriptions.size === 0) return found;
    for (const { links } of this.all) {
      for (const link of links) if (link.subscription.client === client) found.push(link);
    }
    return found;
  }

  /** Who waits at the tail and takes the message that comes next; `sequence` is what it will have. */
  takerAtTail(message: Message, sequence: number): Link | undefined {
    const lanes = this.all;
    const first = lanes.length > 1 ? sequence % lanes.length : 0;
    for (let i = 0; i < lanes.length; i++) {
      const lane = lanes[(first + i) % lanes.length];
      if (lane === undefined || lane.position !== this.tail) continue;
      if (!lane.wants(message)) {
        lane.refused = sequence;
        continue;
      }
      const link = lane.nextReceptive();
      if (link !== undefined) return link;
    }
    return undefined;
  }

  /** Whoever waits at the tail now waits at the entry put there, but those that refused it. */
  parkAt(entry: Entry): void {
    for (const lane of this.all) {
      if (lane.position === this.tail && lane.refused !== entry.sequence) lane.moveTo(entry);
    }
  }

  /** The lane to serve next: the one furthest behind of those where somebody could be served. */
  next(): Lane | undefined {
    let best: Lane | undefined;
    for (const lane of this.all) {
      const position = lane.position;
      if (position === this.tail || (position.kind === "range" && position.loading)) continue;
      if (best !== undefined && position.sequence > best.position.sequence) continue;
      // Lanes at the same place take turns.
      if (best !== undefined && position.sequence === best.position.sequence && lane.served >= best.served) continue;
      if (lane.hasWork(this.tail)) best = lane;
    }
    return best;
  }

  /** A node gives way to another: whoever is at it goes there. */
  moved(from: ListNode, to: ListNode): void {
    for (const lane of this.all) if (lane.position === from) lane.moveTo(to);
  }

  moveAllTo(node: ListNode): void {
    for (const lane of this.all) lane.moveTo(node);
  }

  /** An entry came back: whoever had passed it goes back to it. */
  rewind(node: ListNode): void {
    for (const lane of this.all) lane.rewind(node);
  }
}
