/*
 * Who gets the topics of a virtual host. A topic's targets are kept up to date from both sides: a new topic asks the tree
 * of bindings who wants it, a new binding looks for the topics there are. So publishing never searches.
 */
import { mayReceive } from "../access/access.ts";
import type { Address } from "../addresses/address.ts";
import { Pattern } from "../addresses/pattern.ts";
import { AddressTree, PatternTree } from "../addresses/routing-tree.ts";
import type { Message } from "../message.ts";
import { DEFAULT_POLICY, type Policy } from "../policy.ts";
import type { Clock } from "../time/clock.ts";
import type { Topic, TopicTarget } from "../topic/topic.ts";
import { TopicChanges } from "../topic/topic-changes.ts";

/** Nobody waits for those who are slow to take what the broker says of itself. */
const ANNOUNCEMENTS: Policy = { ...DEFAULT_POLICY, slowSubscriber: "drop-oldest" };

/** What the bindings need of their virtual host. */
export interface TopicBindingsOptions {
  readonly clock: Clock;
  /** Whether a target that is bound to a topic gets it. */
  readonly mayGet: (target: TopicTarget, topic: Address) => boolean;
  /** Whether a target gets a topic by another way as well. */
  readonly leads: (topic: Topic, target: TopicTarget) => boolean;
  /** Others get what the topics of a pattern get. */
  readonly changed: (pattern: Pattern) => void;
  /** A topic lost its last target. */
  readonly deserted: (topic: Topic) => void;
}

/** The topics that there are, and who is bound to which, there or not. */
export class TopicBindings {
  /** What is under way. */
  readonly changes: TopicChanges;
  private readonly options: TopicBindingsOptions;
  private readonly topics = new AddressTree<Topic>();
  private readonly tree = new PatternTree<TopicTarget>();

  constructor(options: TopicBindingsOptions) {
    this.options = options;
    this.changes = new TopicChanges(options.clock, this.topics);
  }

  /** A topic came: those who are bound to it get it. */
  add(topic: Topic): void {
    this.topics.set(topic.address, topic);
    this.tree.match(topic.address, (target) => this.connect(topic, target));
  }

  /** A topic is gone. */
  delete({ address }: Topic): void {
    this.topics.delete(address);
  }

  /** Gives a target what the topics that match get, those to come included. */
  bind(target: TopicTarget, patterns: readonly Pattern[]): void {
    for (const pattern of patterns) {
      if (pattern.kind !== "topic") continue;
      this.tree.add(pattern, target);
      this.changes.make(pattern, (topic) => this.connect(topic, target));
      this.options.changed(pattern);
    }
  }

  /** `keeps` tells of a topic whether the target gets it all the same, by another of its patterns. */
  unbind(target: TopicTarget, patterns: readonly Pattern[], keeps?: (topic: Address) => boolean): void {
    for (const pattern of patterns) {
      if (pattern.kind !== "topic") continue;
      this.tree.remove(pattern, target);
      this.changes.make(pattern, (topic) => {
        if (keeps?.(topic.address) !== true) this.disconnect(topic, target);
      });
      this.options.changed(pattern);
    }
  }

  /** Looks again which of the topics a target gets that it is bound to: its rights may be others. */
  rebind(target: TopicTarget, patterns: readonly Pattern[]): void {
    this.unbind(target, patterns);
    this.bind(target, patterns);
  }

  /** Shows who is bound to a topic of this address, whether it is there or not. */
  boundTo(address: Address, each: (target: TopicTarget) => void): void {
    this.tree.match(address, (target) => {
      if (this.options.mayGet(target, address)) each(target);
    });
  }

  /** Whether a target is bound to a topic. */
  isBound(target: TopicTarget, address: Address): boolean {
    let bound = false;
    this.boundTo(address, (each) => {
      bound ||= each === target;
    });
    return bound;
  }

  /** Hands a message of a system topic to those who are subscribed to it now. */
  announce(message: Message): void {
    const targets = new Set<TopicTarget>();
    this.tree.matchNamed(message.address, (target) => {
      if (mayReceive(target.reader, message.address)) targets.add(target);
    });
    message.shared = targets.size > 1;
    for (const target of targets) target.offer(message, ANNOUNCEMENTS, undefined);
  }

  /** Looks again which of the topics of a pattern a target gets, if it is bound to that: its rights may be others. */
  renew(target: TopicTarget, pattern: Pattern): void {
    if (pattern.kind !== "topic" || !this.tree.has(pattern, target)) return;
    this.changes.make(pattern, (topic) => {
      if (this.options.mayGet(target, topic.address)) topic.add(target);
      else this.disconnect(topic, target);
    });
    this.options.changed(pattern);
  }

  private connect(topic: Topic, target: TopicTarget): void {
    if (this.options.mayGet(target, topic.address)) topic.add(target);
  }

  private disconnect(topic: Topic, target: TopicTarget): void {
    if (this.options.leads(topic, target)) return;
    topic.remove(target);
    if (topic.targets.length === 0) this.options.deserted(topic);
  }
}
