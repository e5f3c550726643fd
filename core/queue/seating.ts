import type { Entry } from "./entry.ts";
import { Audience, Link } from "./lane.ts";
import { MessageGroups } from "./message-groups.ts";
import type { Queue } from "./queue.ts";
import type { Selector } from "../selector/selector.ts";
import type { Subscription } from "../subscription.ts";

/**
 * The consumers of a queue: who is given messages and who stands by. All are seated unless one has the queue alone: an
 * exclusive consumer, or the active one where the policy says that there is one at a time. When it goes the next one is
 * seated: of the highest priority, and of those the one that came first.
 */
export class Seating {
  /** Those that are seated, by what they want. */
  readonly audiences: Audience[] = [];
  /** From the first message of a group on. */
  groups: MessageGroups<Link, Entry> | undefined = undefined;
  private readonly queue: Queue;
  /** In the order in which they came. */
  private readonly attached = new Set<Link>();
  private exclusives = 0;
  /** Who has the queue alone. */
  private active: Link | undefined = undefined;
  /** Message groups have other owners: whoever passed their messages has to look again. */
  private moved = false;
  /** A message group can be handed on. */
  private drained = false;

  constructor(queue: Queue) {
    this.queue = queue;
  }

  /** All consumers, those on standby included. */
  get count(): number {
    return this.attached.size;
  }

  /** True when `settleDown` has something to do before anybody is served. */
  get stirred(): boolean {
    return this.moved || this.drained;
  }

  links(): Iterable<Link> {
    return this.attached;
  }

  has(link: Link): boolean {
    return this.attached.has(link);
  }

  attach(subscription: Subscription, selector: Selector | undefined): Link {
    const link = new Link(subscription, this.queue, selector);
    this.attached.add(link);
    if (subscription.exclusive) this.exclusives++;
    if (!this.alone) this.sit(link);
    else if (this.active === undefined) this.choose();
    return link;
  }

  /** What it held must have been put back. */
  detach(link: Link): void {
    if (!this.attached.delete(link)) return;
    const { alone } = this;
    if (link.subscription.exclusive) this.exclusives--;
    if (!link.gone) this.rise(link);
    if (link === this.active) {
      this.active = undefined;
      if (this.alone) this.choose();
    }
    if (alone && !this.alone) for (const other of this.attached) if (other.gone) this.sit(other);
  }

  /** The queue has message groups from now on: no two consumers want the same any more. */
  grouping(): MessageGroups<Link, Entry> {
    if (this.groups !== undefined) return this.groups;
    const { maxGroups, groupRebalance } = this.queue.policy;
    const groups = new MessageGroups<Link, Entry>({
      maxGroups,
      rebalance: groupRebalance,
      moved: () => {
        this.moved = true;
      },
    });
    const seated = [...this.attached].filter(({ gone }) => !gone);
    for (const link of seated) this.rise(link);
    this.groups = groups;
    for (const link of seated) this.sit(link);
    this.moved = true;
    this.queue.adjust();
    return groups;
  }

  /** A consumer is not to be given an entry again. */
  refuse(subscription: Subscription, sequence: number): void {
    for (const link of this.attached) {
      if (link.subscription !== subscription || link.gone) continue;
      if (link.audience?.apart === false) {
        this.rise(link);
        this.sit(link, true);
      }
      link.audience?.refuse(sequence);
    }
  }

  /** A consumer has settled a delivery. */
  settled(entry: Entry): void {
    if (this.groups?.settled(entry) === true) this.drained = true;
  }

  /** Has everybody look again who has a reason to. */
  settleDown(): void {
    if (this.moved) this.queue.rewindAll();
    else for (const { lanes } of this.queue.allBands()) lanes.unblock();
    this.moved = false;
    this.drained = false;
  }

  private get alone(): boolean {
    return this.exclusives > 0 || this.queue.policy.singleActiveConsumer;
  }

  private choose(): void {
    let best: Link | undefined;
    for (const link of this.attached) {
      if (this.exclusives > 0 && !link.subscription.exclusive) continue;
      // All that a client has goes with it: there may be very many.
      if (link.subscription.client.closed) continue;
      if (best === undefined || link.subscription.priority > best.subscription.priority) best = link;
    }
    this.active = best;
    for (const link of this.attached) if (link !== best && !link.gone) this.rise(link);
    if (best?.gone === true) this.sit(best);
  }

  private sit(link: Link, apart = false): void {
    const { selector } = link;
    const { priority } = link.subscription;
    const alike = (audience: Audience): boolean =>
      audience.priority === priority && audience.selector?.text === selector?.text && !audience.apart;
    let audience = this.groups === undefined && !apart ? this.audiences.find(alike) : undefined;
    if (audience === undefined) {
      audience = new Audience(selector, priority, this.queue.policy.distribution === "round-robin");
      this.audiences.push(audience);
      for (const band of this.queue.allBands()) band.open(audience);
    }
    audience.add(link);
    this.groups?.join(link);
  }

  private rise(link: Link): void {
    const { audience } = link;
    if (audience === undefined) return;
    audience.remove(link);
    if (audience.links.length === 0) {
      for (const band of this.queue.allBands()) band.close(audience);
      this.audiences.splice(this.audiences.indexOf(audience), 1);
    }
    this.groups?.leave(link);
  }
}
