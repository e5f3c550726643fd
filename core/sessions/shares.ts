import type { Destinations } from "../routing/destinations.ts";
import type { DurableSubscription, TopicGuard } from "../topic/durable-subscription.ts";
import { type DurableSubscriptions, shareId } from "../topic/durable-subscriptions.ts";
import { BrokerError } from "../errors.ts";
import type { Interest, Quality } from "./interests.ts";
import type { Message } from "../message.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { ORDINARY } from "../queue/queue-description.ts";
import type { SessionState } from "./session-state.ts";

/** What sessions of one group share: a queue bound to a pattern, of which each message goes to one of them. */
export class SharedSubscription implements TopicGuard {
  readonly id: string;
  readonly group: string;
  readonly pattern: Pattern;
  readonly durable: DurableSubscription;
  /** The sessions that share it, connected or not, and what each of them wants. */
  readonly members = new Map<SessionState, Interest>();
  private highest: Quality = 0;

  constructor(group: string, pattern: Pattern, durable: DurableSubscription) {
    this.id = durable.id;
    this.group = group;
    this.pattern = pattern;
    this.durable = durable;
    durable.guard = this;
  }

  /** What nobody wants to have surely is not kept for anybody. */
  admit(message: Message): Message | undefined {
    if (message.durable && this.highest > 0) return message;
    const { queue } = this.durable;
    if (queue.consumerCount > 0) return message.durable ? message.with({ durable: false }) : message;
    queue.ledger.turnAway(message.size, "no-subscriber");
    return undefined;
  }

  set(member: SessionState, interest: Interest): void {
    this.members.set(member, interest);
    this.weigh();
  }

  remove(member: SessionState): void {
    this.members.delete(member);
    this.weigh();
  }

  private weigh(): void {
    this.highest = 0;
    for (const { quality } of this.members.values()) if (quality > this.highest) this.highest = quality;
  }
}

/** What shares of one virtual host are made with. */
export interface SharesOptions {
  readonly hostName: string;
  readonly destinations: Destinations;
  readonly durables: DurableSubscriptions;
  /** Throws BrokerError when no further destination may be made. */
  readonly checkRoom: () => void;
}

/** The shared subscriptions of one virtual host. One exists as long as any session has it, and then it is gone. */
export class Shares {
  readonly byId = new Map<string, SharedSubscription>();
  private readonly options: SharesOptions;
  /** Those that survive a restart: some member does. */
  private readonly permanent = new Set<SharedSubscription>();

  constructor(options: SharesOptions) {
    this.options = options;
  }

  /** Makes a session a member, or changes what it wants. Throws BrokerError when that cannot be. */
  join(member: SessionState, group: string, interest: Interest): SharedSubscription {
    const { pattern } = interest;
    const id = shareId(group, pattern);
    const share = this.byId.get(id) ?? this.make(id, group, pattern, member.kept);
    if (member.kept && !this.permanent.has(share)) {
      share.durable.queue.makePermanent(this.description(group, pattern));
      this.permanent.add(share);
    }
    share.set(member, interest);
    return share;
  }

  /** A session is a member no more; it must be detached. */
  leave(member: SessionState, share: SharedSubscription): void {
    share.remove(member);
    if (share.members.size > 0) return;
    this.byId.delete(share.id);
    this.permanent.delete(share);
    this.options.durables.delete(share.durable);
  }

  private make(id: string, group: string, pattern: Pattern, kept: boolean): SharedSubscription {
    const { durables } = this.options;
    const there = durables.byId.get(id);
    if (there !== undefined && there.kind !== "share") {
      throw new BrokerError("conflict", `There is a durable subscription ${id}, whose name this shared one would have`);
    }
    const durable = there ?? this.makeDurable(id, group, pattern, kept);
    // One that was recovered has no pattern yet.
    if (there !== undefined) {
      durable.patterns = [pattern];
      this.options.destinations.topicBindings.bind(durable, durable.patterns);
    }
    const share = new SharedSubscription(group, pattern, durable);
    this.byId.set(id, share);
    if (kept || there !== undefined) this.permanent.add(share);
    return share;
  }

  private makeDurable(id: string, group: string, pattern: Pattern, kept: boolean): DurableSubscription {
    this.options.checkRoom();
    const filter = { patterns: [pattern], selector: undefined };
    return this.options.durables.make(id, this.description(group, pattern), filter, !kept);
  }

  private description(group: string, pattern: Pattern) {
    return { kind: "share", host: this.options.hostName, priority: ORDINARY, group, pattern } as const;
  }
}
