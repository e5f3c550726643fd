import type { Permissions } from "../access/access.ts";
import type { Address } from "../addresses/address.ts";
import type { Gate } from "../memory/gate.ts";
import { Ledger, type LossReason } from "../ledger.ts";
import type { Message } from "../message.ts";
import type { Policy } from "../policy.ts";
import type { TopicChanges } from "./topic-changes.ts";

/** Somebody who receives what is published to the topics that match it. */
export interface TopicTarget {
  /** Whose rights decide which of the topics that it is bound to it gets; all of them if absent. */
  readonly reader?: Permissions | undefined;
  /** Takes a message; returns the closed gate at which its sender has to wait, if any. */
  offer(message: Message, policy: Policy, sender: unknown): Gate | undefined;
}

/** Up to so many targets looking through the list is as quick as a map of it, which most topics can do without. */
const MOST_UNPLACED = 16;

type Changes = Pick<TopicChanges, "last" | "catchUp">;

const NO_CHANGES: Changes = { last: 0, catchUp: (): void => {} };

/** What a topic shares with others. */
export interface TopicParts {
  readonly ledger?: Ledger;
  readonly changes?: Changes;
}

/** Hands each message to everybody who is subscribed now. The list of targets is kept up to date by the virtual host. */
export class Topic {
  readonly address: Address;
  readonly policy: Policy;
  readonly ledger: Ledger;
  /** True once it is gone: whoever kept a reference looks it up again. */
  deleted = false;
  lastUsed: number;
  /** Set by every publish, cleared by the sweep for idle topics. */
  active = true;
  /** Why a message is lost that nobody gets. */
  unwanted: LossReason = "no-subscriber";
  /** Finds who gets a message besides, if that depends on more than its address. */
  chooser: ((message: Message) => readonly TopicTarget[]) | undefined = undefined;
  /** The newest of the changes of many topics that was made to this one. */
  changesSeen: number;
  private readonly changes: Changes;
  private readonly list: TopicTarget[] = [];
  /** Where each target is in the list, once there are many. */
  private places: Map<TopicTarget, number> | undefined = undefined;

  /** `changes`: of the topics among which it is; it may be a topic of its own. */
  constructor(
    address: Address,
    policy: Policy,
    now: number,
    { ledger = new Ledger(), changes = NO_CHANGES }: TopicParts = {},
  ) {
    this.address = address;
    this.changes = changes;
    this.changesSeen = changes.last;
    this.policy = policy;
    this.lastUsed = now;
    this.ledger = ledger;
  }

  /** For people: `topic orders`. */
  get subject(): string {
    return `topic ${this.address.name}`;
  }

  /** Who gets what is published now. */
  get targets(): readonly TopicTarget[] {
    if (this.changesSeen !== this.changes.last) this.changes.catchUp(this);
    return this.list;
  }

  /** Each target is here once, however many of its patterns match. */
  add(target: TopicTarget): void {
    if (this.placeOf(target) >= 0) return;
    const { list } = this;
    list.push(target);
    if (this.places !== undefined) this.places.set(target, list.length - 1);
    else if (list.length > MOST_UNPLACED) this.places = new Map(list.map((each, place) => [each, place]));
  }

  remove(target: TopicTarget): void {
    const place = this.placeOf(target);
    if (place < 0) return;
    this.places?.delete(target);
    const last = this.list.pop();
    if (last === undefined || last === target) return;
    this.list[place] = last;
    this.places?.set(last, place);
  }

  /** Whether anybody would get a message. */
  reaches(message: Message): boolean {
    return this.targets.length > 0 || (this.chooser !== undefined && this.chooser(message).length > 0);
  }

  /** Hands a message to every target; returns a closed gate at which its sender has to wait, if any. */
  publish(message: Message, sender: unknown): Gate | undefined {
    const targets = this.chooser === undefined ? this.targets : this.chosen(this.chooser(message));
    const ledger = this.ledger;
    this.active = true;
    const bytes = message.end - message.start;
    ledger.received++;
    ledger.receivedBytes += bytes;
    const count = targets.length;
    if (count === 0) {
      ledger.lose(this.unwanted);
      return undefined;
    }
    ledger.consumed++;
    ledger.delivered += count;
    ledger.deliveredBytes += bytes * count;
    if (count > 1) message.shared = true;
    let closed: Gate | undefined;
    for (let i = 0; i < count; i++) closed = targets[i]?.offer(message, this.policy, sender) ?? closed;
    return closed;
  }

  /** The targets with those that are chosen for one message, each once. */
  private chosen(others: readonly TopicTarget[]): readonly TopicTarget[] {
    return [...this.targets, ...others.filter((target) => this.placeOf(target) < 0)];
  }

  /** Where a target is in the list; -1 when it is not there. */
  private placeOf(target: TopicTarget): number {
    const { targets, places } = this;
    return places === undefined ? targets.indexOf(target) : (places.get(target) ?? -1);
  }
}
