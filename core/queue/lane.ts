/*
 * Who is given the messages of a queue:
 *
 *     link       one consumer at one queue
 *     audience   the links that want the same messages and stand equal: same selector, same priority
 *     lane       an audience's position in one band of the queue
 *
 * A lane goes along the band's list; entries before its position are held, or were not wanted, or came back (then it was
 * moved back to them). In a queue with message groups every consumer is an audience of its own, as no two want the same.
 */
import type { Band } from "./band.ts";
import type { End, Entry, ListNode } from "./entry.ts";
import type { GroupMember } from "./message-groups.ts";
import type { Message } from "../message.ts";
import type { Queue } from "./queue.ts";
import type { Selector } from "../selector/selector.ts";
import type { Subscription } from "../subscription.ts";

/** Who has deliveries of a queue until they are settled: a consumer, a transaction, or the wait for a redelivery. */
export interface Holder {
  /** Whose settlement counts; undefined: nobody's. */
  readonly subscription: Subscription | undefined;
  readonly queue: Queue;
  /** How many it has. */
  held: number;
}

/** Has deliveries, without being given any. */
export class Hold implements Holder {
  readonly subscription: Subscription | undefined;
  readonly queue: Queue;
  held = 0;

  constructor(subscription: Subscription | undefined, queue: Queue) {
    this.subscription = subscription;
    this.queue = queue;
  }
}

/** One subscription's attachment to one queue. */
export class Link implements Holder, GroupMember {
  readonly subscription: Subscription;
  readonly queue: Queue;
  readonly selector: Selector | undefined;
  /** Who it stands with while it is active; undefined on standby and once it is gone. */
  audience: Audience | undefined = undefined;
  held = 0;
  /** Its index in `audience.links`. */
  place = -1;

  constructor(subscription: Subscription, queue: Queue, selector: Selector | undefined) {
    this.subscription = subscription;
    this.queue = queue;
    this.selector = selector;
  }

  /** True while it is given nothing: another consumer has the queue for itself, or it was detached. */
  get gone(): boolean {
    return this.audience === undefined;
  }

  wants(message: Message): boolean {
    return this.selector === undefined || this.selector.matches(message);
  }

  /** Why this consumer is not being served right now. */
  get waitingOn(): "consumer" | "producer" | "load" | "dispatch" | "standby" {
    const { audience } = this;
    if (audience === undefined) return "standby";
    if (!this.subscription.receptive) return "consumer";
    for (const lane of audience.lanes) {
      if (lane === undefined || lane.position.kind === "end") continue;
      return lane.position.kind === "range" ? "load" : "dispatch";
    }
    return "producer";
  }
}

/** Entries that one consumer refused are remembered up to so many; of more, the oldest come to it again. */
const MOST_REFUSED = 10_000;

/** The consumers of a queue that want the same messages and stand equal. */
export class Audience {
  readonly selector: Selector | undefined;
  /** Those of a higher priority come first. */
  readonly priority: number;
  readonly links: Link[] = [];
  /** Its lanes by the priority of their band. */
  readonly lanes: (Lane | undefined)[] = [];
  /** The pass over the bands in which it was found waiting for a higher one. */
  waiting = 0;
  /** Sequences of what its only consumer will not have; nobody else joins it then. */
  private refused: Set<number> | undefined = undefined;
  private readonly inTurn: boolean;
  private turn = 0;

  /** `inTurn`: round robin; otherwise the first that has room. */
  constructor(selector: Selector | undefined, priority: number, inTurn: boolean) {
    this.selector = selector;
    this.priority = priority;
    this.inTurn = inTurn;
  }

  wants(message: Message): boolean {
    return this.selector === undefined || this.selector.matches(message);
  }

  /** Has its only consumer not be given an entry again. */
  refuse(sequence: number): void {
    this.refused ??= new Set();
    this.refused.add(sequence);
    const [oldest] = this.refused;
    if (this.refused.size > MOST_REFUSED && oldest !== undefined) this.refused.delete(oldest);
  }

  refuses(sequence: number): boolean {
    return this.refused?.has(sequence) === true;
  }

  /** Whether it is no place for others. */
  get apart(): boolean {
    return this.refused !== undefined;
  }

  add(link: Link): void {
    link.audience = this;
    link.place = this.links.push(link) - 1;
  }

  remove(link: Link): void {
    const { links } = this;
    if (this.inTurn) {
      // The last one takes its place: very many may go at once.
      const last = links.pop();
      if (last !== undefined && last !== link) {
        links[link.place] = last;
        last.place = link.place;
      }
    } else {
      links.splice(link.place, 1);
      for (let i = link.place; i < links.length; i++) {
        const moved = links[i];
        if (moved !== undefined) moved.place = i;
      }
    }
    link.audience = undefined;
    link.place = -1;
  }

  /** The next consumer in turn that can take a message. */
  nextReceptive(): Link | undefined {
    const links = this.links;
    const count = links.length;
    if (count === 1) {
      const only = links[0];
      return only?.subscription.receptive === true ? only : undefined;
    }
    if (!this.inTurn) return links.find((link) => link.subscription.receptive);
    for (let i = 0; i < count; i++) {
      this.turn = this.turn + 1 >= count ? 0 : this.turn + 1;
      const link = links[this.turn];
      if (link?.subscription.receptive === true) return link;
    }
    return undefined;
  }

  /** True when somebody here could take a message. */
  get receptive(): boolean {
    for (const link of this.links) {
      if (link.subscription.receptive) return true;
    }
    return false;
  }
}

/** An audience's position in one band: it was served up to there. */
export class Lane {
  readonly audience: Audience;
  readonly band: Band;
  position: ListNode;
  /** The newest sequence that this lane did not want while it stood at the tail. */
  refused = 0;
  /** Messages handed out, so that lanes at the same place take turns. */
  served = 0;
  /** True while what it stands at can be given to nobody yet. */
  blocked = false;

  constructor(audience: Audience, band: Band, position: ListNode) {
    this.audience = audience;
    this.band = band;
    this.position = position;
    position.parked++;
  }

  moveTo(node: ListNode): void {
    this.position.parked--;
    node.parked++;
    this.position = node;
    this.blocked = false;
  }

  /** Goes back to a node that lies before the position. */
  rewind(node: ListNode): void {
    if (node.sequence < this.position.sequence) this.moveTo(node);
  }
}

function isSwappedOut(node: ListNode): boolean {
  return node.kind === "entry" && node.message === undefined;
}

/** All lanes of a band, those of consumers with a higher priority first. */
export class Lanes {
  readonly all: Lane[] = [];
  private readonly tail: End;
  /** True while priorities of consumers differ. */
  private ranked = false;

  constructor(tail: End) {
    this.tail = tail;
  }

  add(lane: Lane): void {
    const { priority } = lane.audience;
    const after = this.all.findIndex(({ audience }) => audience.priority < priority);
    if (after < 0) this.all.push(lane);
    else this.all.splice(after, 0, lane);
    this.rank();
  }

  remove(lane: Lane): void {
    lane.position.parked--;
    this.all.splice(this.all.indexOf(lane), 1);
    this.rank();
  }

  /** Who waits at the tail and takes the message that comes next; `sequence` is what it will have. */
  takerAtTail(message: Message, sequence: number): Link | undefined {
    const lanes = this.all;
    const first = lanes.length > 1 && !this.ranked ? sequence % lanes.length : 0;
    for (let i = 0; i < lanes.length; i++) {
      const lane = lanes[(first + i) % lanes.length];
      if (lane === undefined || lane.position !== this.tail) continue;
      if (!lane.audience.wants(message)) {
        lane.refused = sequence;
        continue;
      }
      const link = lane.audience.nextReceptive();
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

  /**
   * The lane to serve next: the one furthest behind of those with the highest priority where somebody could be served.
   * In a pass over several bands, an audience that waits for a piece, or a body, of a higher band is given nothing of this one.
   */
  next(pass: number): Lane | undefined {
    let best: Lane | undefined;
    for (const lane of this.all) {
      const { position, audience } = lane;
      if (position === this.tail) continue;
      const reads = position.kind === "range" ? position.loading : lane.blocked && isSwappedOut(position);
      if (reads) audience.waiting = pass;
      if (reads || lane.blocked) continue;
      if (best !== undefined) {
        // They are in the order of their priorities.
        if (audience.priority < best.audience.priority) break;
        if (position.sequence > best.position.sequence) continue;
        // Lanes at the same place take turns.
        if (position.sequence === best.position.sequence && lane.served >= best.served) continue;
      }
      if (pass !== 0 && audience.waiting === pass) continue;
      if (audience.receptive) best = lane;
    }
    return best;
  }

  /** A node gives way to another: whoever is at it goes there. True when somebody had been waiting for it. */
  moved(from: ListNode, to: ListNode): boolean {
    let waited = false;
    for (const lane of this.all) {
      if (lane.position !== from) continue;
      waited ||= lane.blocked;
      lane.moveTo(to);
    }
    return waited;
  }

  moveAllTo(node: ListNode): void {
    for (const lane of this.all) lane.moveTo(node);
  }

  unblock(): void {
    for (const lane of this.all) lane.blocked = false;
  }

  /** An entry came back: whoever had passed it goes back to it. */
  rewind(node: ListNode): void {
    for (const lane of this.all) lane.rewind(node);
  }

  private rank(): void {
    const { all } = this;
    this.ranked = all.length > 1 && all[0]?.audience.priority !== all.at(-1)?.audience.priority;
  }
}
