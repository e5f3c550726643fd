/*
 * Which consumer has which message group. New groups go by a ring of hashes (hash-ring.ts); who was given a group is
 * remembered and keeps it.
 *
 * Every consumer goes along the queue by itself and passes what is another's. So when an answer changes in favour of one
 * who may have passed the message before, everybody has to look again from the start: `moved`. That is so
 *  - when a member leaves on whom an answer depended since everybody looked last;
 *  - when a closed group is assigned to another member with its next message;
 *  - when a group of bond "kept" is forgotten or goes to a newcomer: what it says is not what the ring says;
 *  - when a group that is going to one newcomer goes to yet another one.
 * It is not so
 *  - when a member joins: answers change in its favour alone, and it looks from the start anyway;
 *  - when any other group is forgotten: without it the ring says the same;
 *  - when a draining ends: since it began nobody but the heir gained, and `settled` tells.
 *
 * A join or a leave only counts up the epoch; a group of an older one is reviewed when it is asked for. More groups than
 * may be remembered go by the ring alone, message by message, and are known only while their owner holds some.
 */
import { HashRing, hashText, type RingNode } from "./hash-ring.ts";
import type { Message } from "../message.ts";

/** Groups passed over that cannot be forgotten, in search of one that can. */
const MAX_SKIPPED = 32;

/** Who can have message groups: a consumer of a queue. */
export interface GroupMember {
  /** True once it will take nothing more, be it before or after it has left. */
  readonly gone: boolean;
  wants(message: Message): boolean;
}

/** How a queue deals with its message groups. */
interface MessageGroupsOptions {
  /** Groups remembered, beside those that hold something; 0 for no limit. */
  readonly maxGroups: number;
  /** Whether who joins gets its share of the groups that others have. */
  readonly rebalance: boolean;
  /**
   * Groups changed hands: everybody looks again from the start. May be called within `owner`: the caller then goes back
   * after it has acted on the answer, or its own step would undo it.
   */
  readonly moved: () => void;
}

/** A member's place on the ring. */
class Seat<M extends GroupMember> implements RingNode {
  readonly member: M;
  readonly ordinal: number;
  /** The epoch that began with it. */
  readonly joined: number;
  visit = 0;
  /** The last round in which an answer depended on it. */
  named = -1;
  left = false;

  constructor(member: M, ordinal: number, joined: number) {
    this.member = member;
    this.ordinal = ordinal;
    this.joined = joined;
  }

  get absent(): boolean {
    return this.left || this.member.gone;
  }
}

/**
 * What ties a group to its owner. "first": it is the ring's first for it. "kept": it is not, and yet has every message it
 * wants. "loose": it only has what the ring gives it, message by message.
 */
type Bond = "first" | "kept" | "loose";

/** A group that is remembered. There may be very many: keep it small. */
class Group<M extends GroupMember> {
  readonly id: string;
  owner: Seat<M>;
  /** Who gets it when its owner holds nothing of it any more. */
  heir: Seat<M> | undefined = undefined;
  bond: Bond;
  /** Messages that its owner holds. */
  held = 0;
  /** The epoch in which it was last looked at. */
  epoch: number;
  /** Whether its owner was given a message of it. */
  begun = false;
  /** Its next message is assigned anew. */
  closed = false;
  /** Asked for again since it was last looked at as one to forget. */
  recent = false;

  constructor(id: string, owner: Seat<M>, bond: Bond, epoch: number) {
    this.id = id;
    this.owner = owner;
    this.bond = bond;
    this.epoch = epoch;
  }

  /** Nobody depends on its being remembered. */
  get idle(): boolean {
    return this.held === 0 && this.heir === undefined;
  }

  /** True when forgetting it changes no answer. */
  get forgettable(): boolean {
    return this.idle && (this.bond !== "kept" || this.owner.left);
  }

  handTo(seat: Seat<M>): void {
    this.begun &&= seat.member === this.owner.member;
    this.owner = seat;
    this.heir = undefined;
    this.closed = false;
  }
}

/** The message groups of one queue: each belongs to one member at a time. `K` are the entries that members hold. */
export class MessageGroups<M extends GroupMember, K extends object> {
  private readonly maxGroups: number;
  private readonly rebalance: boolean;
  private readonly moved: () => void;
  private readonly ring = new HashRing<Seat<M>>();
  private readonly seats = new Map<M, Seat<M>>();
  private readonly groups = new Map<string, Group<M>>();
  /** What owners hold, and of which group it is. */
  private readonly holdings = new Map<K, Group<M>>();
  private ordinals = 0;
  private epoch = 0;
  /** Counts the times everybody looked again. */
  private round = 0;
  /** Whether a group was forgotten in this round: it cannot be told from a new one, nor can one there was no room for. */
  private forgot = false;
  /** Messages given since kept groups were last forgotten. */
  private givenSince = 0;
  /** Goes round the groups to find those to forget. */
  private hand: Iterator<Group<M>> = this.groups.values();

  constructor({ maxGroups, rebalance, moved }: MessageGroupsOptions) {
    this.maxGroups = maxGroups === 0 ? Number.POSITIVE_INFINITY : maxGroups;
    this.rebalance = rebalance;
    this.moved = moved;
  }

  get members(): number {
    return this.seats.size;
  }

  /** Groups remembered. */
  get count(): number {
    return this.groups.size;
  }

  /** Adds a member, which must look at the queue from its start. */
  join(member: M): void {
    if (this.seats.has(member)) return;
    const seat = new Seat(member, this.ordinals++, ++this.epoch);
    this.seats.set(member, seat);
    this.ring.add(seat);
  }

  /** Takes a member away; its groups go to others. What it held should have been put back: until it is, they wait. */
  leave(member: M): void {
    const seat = this.seats.get(member);
    if (seat === undefined) return;
    this.seats.delete(member);
    this.ring.remove(seat);
    this.epoch++;
    if (this.seats.size === 0) this.beginAgain();
    else if (seat.named === this.round) this.lookAgain();
  }

  /**
   * Who may have a message of a group. "draining": its group is going to another member, and the one before still holds
   * some. undefined: nobody wants it.
   */
  owner(message: Message): M | "draining" | undefined {
    const id = message.groupId;
    const group = this.groups.get(id);
    if (group === undefined) return this.assign(id, message);
    group.recent = true;
    const stale = group.epoch !== this.epoch || group.closed || group.owner.absent;
    if (stale && !this.review(group, message)) return undefined;
    const { owner, heir, bond } = group;
    owner.named = this.round;
    if (heir !== undefined) {
      heir.named = this.round;
      return "draining";
    }
    if (bond !== "loose" && owner.member.wants(message)) return owner.member;
    return this.byRing(id, message);
  }

  /** After "draining": who has the message when that ends. It alone must wait at the message, the others may go past it. */
  heir(message: Message): M | undefined {
    const group = this.groups.get(message.groupId);
    if (group?.heir === undefined) return undefined;
    const { member } = group.heir;
    return group.bond !== "loose" && member.wants(message) ? member : this.byRing(group.id, message);
  }

  /**
   * A member was given what `owner` said it may have, and holds it as `key`, or undefined if it holds nothing. Returns true
   * for the first message of its group since the group is the member's. `groupSequence` -1 closes the group: it is assigned
   * anew with its next message, which waits if its owner changes while the one before holds some.
   */
  given(message: Message, member: M, key: K | undefined): boolean {
    this.givenSince++;
    const id = message.groupId;
    const group = this.groups.get(id) ?? this.rememberHolder(id, member, key);
    if (group === undefined) return true;
    const owns = group.owner.member === member;
    const first = owns && !group.begun;
    if (owns) {
      group.begun = true;
      if (key !== undefined) {
        group.held++;
        this.holdings.set(key, group);
      }
    }
    if (message.closesGroup) {
      group.closed = true;
      if (group.forgettable) this.forget(group);
    }
    return first;
  }

  /** A message is no longer held. True when that ended a draining: who waits for it, or went past it, looks again. */
  settled(key: K): boolean {
    const group = this.holdings.get(key);
    if (group === undefined) return false;
    this.holdings.delete(key);
    group.held--;
    if (group.held > 0) return false;
    if (group.heir !== undefined) {
      group.handTo(group.heir);
      this.tie(group);
      return true;
    }
    if ((group.closed || this.groups.size > this.maxGroups) && group.forgettable) this.forget(group);
    return false;
  }

  /** Who has a message if nothing is remembered: the first on the ring that wants it. */
  private choose(id: string, message: Message): Seat<M> | undefined {
    return this.ring.find(hashText(id), (seat) => !seat.absent && seat.member.wants(message));
  }

  private byRing(id: string, message: Message): M | undefined {
    const seat = this.choose(id, message);
    if (seat === undefined) return undefined;
    seat.named = this.round;
    return seat.member;
  }

  private assign(id: string, message: Message): M | undefined {
    const seat = this.choose(id, message);
    if (seat === undefined) return undefined;
    if (this.makeRoom()) {
      // One that was forgotten cannot be kept from those before it on the ring: they may count on messages of it.
      const group = new Group(id, seat, this.forgot ? "loose" : "kept", this.epoch);
      if (this.ring.first(hashText(id)) === seat) group.bond = "first";
      this.groups.set(id, group);
    }
    seat.named = this.round;
    return seat.member;
  }

  /** Remembers a group beyond the limit while its owner holds some. */
  private rememberHolder(id: string, member: M, key: K | undefined): Group<M> | undefined {
    const seat = this.seats.get(member);
    if (seat === undefined || key === undefined) return undefined;
    const group = new Group(id, seat, "loose", this.epoch);
    this.groups.set(id, group);
    return group;
  }

  /** Decides anew whose a group is, after members came or went or it was closed; false when nobody wants the message. */
  private review(group: Group<M>, message: Message): boolean {
    const { owner, heir, bond, closed } = group;
    const current = heir ?? owner;
    const next = current.absent || closed ? this.choose(group.id, message) : this.successor(group, current, message);
    if (next === undefined) return false;
    group.closed = false;
    if (closed) group.begun = false;
    if (next === owner) group.heir = undefined;
    // Who left and came back has what it held.
    else if (group.held > 0 && next.member !== owner.member) group.heir = next;
    else group.handTo(next);
    this.tie(group);
    group.epoch = this.epoch;
    // A loose group goes by the ring whosoever it is, and when its next owner left that was said then.
    const said = next === current || current.absent || bond === "loose";
    if (!said && (closed || bond === "kept" || heir !== undefined)) this.lookAgain();
    return true;
  }

  /** Who has a group after others joined: the first newcomer before its owner on the ring, or its owner. */
  private successor(group: Group<M>, current: Seat<M>, message: Message): Seat<M> | undefined {
    if (!this.rebalance && group.bond !== "loose") return current;
    const { epoch } = group;
    return this.ring.find(hashText(group.id), (seat) => {
      return seat === current || (seat.joined > epoch && !seat.absent && seat.member.wants(message));
    });
  }

  private tie(group: Group<M>): void {
    if (group.bond === "loose") return;
    group.bond = this.ring.first(hashText(group.id)) === group.owner ? "first" : "kept";
  }

  /** Makes sure that one more group can be remembered; false when it cannot. */
  private makeRoom(): boolean {
    if (this.groups.size < this.maxGroups) return true;
    for (let skipped = 0; skipped < MAX_SKIPPED; ) {
      const group = this.nextAtHand();
      if (group === undefined) break;
      if (group.recent) {
        group.recent = false;
      } else if (group.forgettable) {
        this.forget(group);
        return true;
      } else {
        skipped++;
      }
    }
    return this.forgetKept();
  }

  private nextAtHand(): Group<M> | undefined {
    const next = this.hand.next();
    if (next.done !== true) return next.value;
    this.hand = this.groups.values();
    return this.hand.next().value;
  }

  /**
   * Forgets all at once that have not been asked for lately, because everybody looks again. Not more often than so many
   * messages are given: those who look again ask for them all, and would never be through.
   */
  private forgetKept(): boolean {
    if (this.givenSince < this.maxGroups) return false;
    this.givenSince = 0;
    const before = this.groups.size;
    for (const group of this.groups.values()) {
      if (!group.recent && group.idle) this.groups.delete(group.id);
      group.recent = false;
    }
    if (this.groups.size === before) return false;
    this.lookAgain();
    return true;
  }

  private forget(group: Group<M>): void {
    this.groups.delete(group.id);
    this.forgot = true;
  }

  private lookAgain(): void {
    this.round++;
    this.forgot = false;
    this.moved();
  }

  /** Nobody is left who could have passed anything. */
  private beginAgain(): void {
    this.round++;
    this.forgot = false;
    for (const group of this.groups.values()) if (group.idle) this.groups.delete(group.id);
  }
}
