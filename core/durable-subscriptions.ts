import type { DeadLetterOffice } from "./dead-letters.ts";
import { cancelConsumers, type Destinations } from "./destinations.ts";
import { DurableSubscription, type TopicFilter } from "./durable-subscription.ts";
import type { Engine } from "./engine.ts";
import type { Pattern } from "./pattern.ts";
import type { PausedQueues } from "./paused.ts";
import { DEFAULT_POLICY, type Policies } from "./policy.ts";
import { Queue } from "./queue.ts";
import { ORDINARY, type QueueDescription } from "./queue-description.ts";
import type { RetainedMessages } from "./retained.ts";
import type { SubscribeOptions } from "./subscription.ts";

/** What the durable subscriptions of a virtual host are made with. */
export interface DurableSubscriptionsOptions {
  readonly engine: Engine;
  readonly hostName: string;
  readonly destinations: Destinations;
  readonly policies: Policies;
  readonly deadLetters: DeadLetterOffice;
  readonly paused: PausedQueues;
  readonly retained: RetainedMessages;
}

/** The durable subscriptions of one virtual host. Asks nobody's leave: that is the virtual host's business. */
export class DurableSubscriptions {
  readonly byId = new Map<string, DurableSubscription>();
  private readonly options: DurableSubscriptionsOptions;

  constructor(options: DurableSubscriptionsOptions) {
    this.options = options;
  }

  /** Makes one, on disk from now on, with the retained messages of its topics. */
  create(id: string, options: SubscribeOptions): DurableSubscription {
    const { patterns, selector } = options;
    const queue = this.queue(id, { patterns, selector });
    queue.persist();
    const durable = this.add(id, queue, { patterns, selector });
    this.offerRetained(durable, options, []);
    return durable;
  }

  /** Gives one other filters and another selector, and the retained messages of the topics it did not have. */
  change(durable: DurableSubscription, options: SubscribeOptions): void {
    const { destinations, hostName: host } = this.options;
    const before = durable.patterns;
    destinations.unbind(durable, before);
    durable.patterns = options.patterns;
    durable.selector = options.selector;
    const { patterns, selector } = options;
    durable.queue.describe({ kind: "durable", host, priority: ORDINARY, id: durable.id, patterns, selector });
    destinations.bind(durable, patterns);
    this.offerRetained(durable, options, before);
  }

  /** Builds a part of a stored one again; `make` fills its queue. */
  recover({ id, patterns, selector }: QueueDescription & { kind: "durable" }, make: (queue: Queue) => void): void {
    const there = this.byId.get(id);
    if (there !== undefined) {
      make(there.queue);
      return;
    }
    const filter = { patterns, selector };
    const queue = this.queue(id, filter);
    make(queue);
    this.add(id, queue, filter);
  }

  /** Deletes one with what it holds; its consumers are told. */
  delete(durable: DurableSubscription): void {
    this.options.destinations.unbind(durable, durable.patterns);
    this.byId.delete(durable.id);
    this.options.paused.forget("dsub", durable.id, durable.queue);
    cancelConsumers(durable.queue, `the durable subscription ${durable.id} was deleted`);
    durable.queue.delete();
  }

  private add(id: string, queue: Queue, filter: TopicFilter): DurableSubscription {
    const { destinations, engine } = this.options;
    const durable = new DurableSubscription(engine.clock, id, queue, filter);
    this.byId.set(id, durable);
    destinations.bind(durable, filter.patterns);
    return durable;
  }

  /** Gives it the retained messages of its topics, but for those that it had before. */
  private offerRetained(durable: DurableSubscription, options: SubscribeOptions, before: readonly Pattern[]): void {
    if (options.retained === false) return;
    for (const source of this.options.retained.sources(options.patterns, before)) {
      const message = source();
      if (message !== undefined) durable.offer(message, DEFAULT_POLICY, undefined);
    }
  }

  private queue(id: string, { patterns, selector }: TopicFilter): Queue {
    const { engine, hostName: host, policies, deadLetters } = this.options;
    return new Queue({
      engine,
      subject: `durable subscription ${id}`,
      description: { kind: "durable", host, priority: ORDINARY, id, patterns, selector },
      policy: policies.ofDurable(id),
      deadLetters: deadLetters.ofDurable(id),
    });
  }
}
