import type { Permissions, Subject } from "../access/access.ts";
import { isSameSubject } from "../access/subject-record.ts";
import type { DeadLetterOffice } from "../routing/dead-letters.ts";
import { cancelConsumers, type Destinations } from "../routing/destinations.ts";
import { Directory } from "../routing/directory.ts";
import { type DurableKind, DurableSubscription, type TopicFilter } from "./durable-subscription.ts";
import type { Engine } from "../engine.ts";
import type { Pattern } from "../addresses/pattern.ts";
import type { PausedQueues } from "../queue/paused.ts";
import type { Policies } from "../policy.ts";
import { Queue } from "../queue/queue.ts";
import { ORDINARY, type QueueDescription } from "../queue/queue-description.ts";
import { offerRetained } from "./retained-offer.ts";
import type { RetainedMessages } from "./retained.ts";
import type { SubscribeOptions } from "../subscription.ts";
import type { Totals } from "../totals.ts";

/** What the durable subscriptions of a virtual host are made with. */
export interface DurableSubscriptionsOptions {
  readonly engine: Engine;
  readonly hostName: string;
  readonly destinations: Destinations;
  readonly policies: Policies;
  readonly deadLetters: DeadLetterOffice;
  readonly paused: PausedQueues;
  readonly retained: RetainedMessages;
  readonly totals: Totals;
  /** What a subject may do. */
  readonly permissions: (subject: Subject) => Permissions;
}

/** What a durable subscription is to the store. */
export type DurableDescription = QueueDescription & { readonly kind: DurableKind };

/** The durable subscriptions of one virtual host. Asks nobody's leave: that is the virtual host's business. */
export class DurableSubscriptions {
  readonly byId = new Directory<DurableSubscription>();
  private readonly options: DurableSubscriptionsOptions;

  constructor(options: DurableSubscriptionsOptions) {
    this.options = options;
  }

  /** Makes one, on disk from now on unless it is volatile, with the retained messages of its topics. */
  create(id: string, options: SubscribeOptions, owner: Permissions): DurableSubscription {
    const { patterns, selector } = options;
    const { hostName: host } = this.options;
    const { subject } = owner;
    const description = { kind: "durable", host, priority: ORDINARY, id, patterns, selector, owner: subject } as const;
    const volatile = options.volatile === true;
    const durable = this.make(id, description, { patterns, selector }, volatile);
    durable.volatile = volatile;
    durable.reader = owner;
    if (!volatile) durable.queue.persist();
    this.offerRetained(durable, options, []);
    return durable;
  }

  /** Gives one other filters and another selector, and the retained messages of the topics it did not have. */
  change(durable: DurableSubscription, options: SubscribeOptions, owner: Permissions): void {
    const { destinations } = this.options;
    const before = durable.patterns;
    destinations.topicBindings.unbind(durable, before);
    durable.patterns = options.patterns;
    durable.selector = options.selector;
    this.giveTo(durable, owner);
    destinations.topicBindings.bind(durable, options.patterns);
    this.offerRetained(durable, options, before);
  }

  /** Whoever made one is attached again, maybe from elsewhere or in other groups; somebody else changes nothing. */
  own(durable: DurableSubscription, owner: Permissions): void {
    const before = durable.reader?.subject;
    if (before !== undefined && before.user !== owner.subject.user) return;
    if (before !== undefined && isSameSubject(before, owner.subject)) {
      durable.reader = owner;
      return;
    }
    this.giveTo(durable, owner);
    this.options.destinations.topicBindings.rebind(durable, durable.patterns);
  }

  /** Whoever has one has logged in anew: the store is told, to whom the topics are given next time. */
  renewOwner(durable: DurableSubscription): void {
    if (durable.reader !== undefined && !durable.volatile) this.giveTo(durable, durable.reader);
  }

  /** Makes one that the store knows once it holds something, or never if `temporary`. */
  make(id: string, description: DurableDescription, filter: TopicFilter, temporary = false): DurableSubscription {
    const durable = new DurableSubscription(
      this.options.engine.clock,
      id,
      this.queue(id, description, temporary),
      filter,
      description.kind,
    );
    this.byId.set(id, durable);
    const owner = description.kind === "durable" ? description.owner : undefined;
    durable.reader = owner === undefined ? undefined : this.options.permissions(owner);
    this.options.destinations.topicBindings.bind(durable, filter.patterns);
    return durable;
  }

  /** Builds a part of a stored one again; `fill` fills its queue. Those of sessions get their filters later. */
  recover(description: DurableDescription, fill: (queue: Queue) => void): void {
    const id = idOf(description);
    const filter = description.kind === "durable" ? description : { patterns: [], selector: undefined };
    fill((this.byId.get(id) ?? this.make(id, description, filter)).queue);
  }

  /** Deletes one with what it holds; its consumers are told. */
  delete(durable: DurableSubscription): void {
    this.options.destinations.topicBindings.unbind(durable, durable.patterns);
    this.byId.delete(durable.id);
    this.options.paused.forget("dsub", durable.id, durable.queue);
    cancelConsumers(durable.queue, `the durable subscription ${durable.id} was deleted`);
    durable.queue.delete();
    // Last, as it is on account of being deleted that some of its messages are lost.
    this.options.totals.durableGone(durable);
  }

  private giveTo(durable: DurableSubscription, owner: Permissions): void {
    const { id, patterns, selector } = durable;
    const { hostName: host } = this.options;
    durable.reader = owner;
    durable.queue.describe({
      kind: "durable",
      host,
      priority: ORDINARY,
      id,
      patterns,
      selector,
      owner: owner.subject,
    });
  }

  /** Gives it the retained messages of its topics, but for those that it had before. */
  private offerRetained(durable: DurableSubscription, options: SubscribeOptions, before: readonly Pattern[]): void {
    if (options.retained === false) return;
    const { patterns } = options;
    const source = this.options.retained.sources(patterns, durable.reader, before);
    offerRetained(this.options.engine, durable, source, () => durable.patterns === patterns);
  }

  private queue(id: string, description: DurableDescription, temporary: boolean): Queue {
    const { engine, policies, deadLetters } = this.options;
    return new Queue({
      engine,
      subject: `${SUBJECTS[description.kind]} ${id}`,
      description: temporary ? { kind: "temporary", host: description.host } : description,
      policy: policies.ofDurable(id),
      deadLetters: deadLetters.ofDurable(id),
      temporary,
    });
  }
}

const SUBJECTS = { durable: "durable subscription", session: "session", share: "shared subscription" } as const;

/** The id of what sessions of a group share. */
export function shareId(group: string, pattern: Pattern): string {
  return `share/${group}/${pattern.text}`;
}

function idOf(description: DurableDescription): string {
  return description.kind === "share" ? shareId(description.group, description.pattern) : description.id;
}
