import { expect, onTestFinished } from "vitest";
import { DEFAULT_POLICY, type Policy } from "../../core/policy.ts";
import type { Outcome } from "../../core/protocol.ts";
import type { DeadLetters } from "../../core/queue/departures.ts";
import { Queue } from "../../core/queue/queue.ts";
import type { BrowseOptions, Browser } from "../../core/queue/browser.ts";
import type { Selector } from "../../core/selector/selector.ts";
import type { Subscription, SubscribeOptions } from "../../core/subscription.ts";
import { lateStore } from "./store-late.ts";
import { Collector, type CoreBroker, coreBroker, parsePattern, type TestClient, testStore } from "./core-broker.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** A subscription in a test, with what it was given. */
export interface TestConsumer {
  readonly client: TestClient;
  readonly subscription: Subscription;
  readonly got: Collector;
}

/** A core whose queues all have one policy; `late`: what is read back comes only when the turn ends. */
export function coreWith(policy: Partial<Policy>, { late = false } = {}): Promise<CoreBroker> {
  const clock = new VirtualClock();
  const store = testStore(clock);
  const host = { policies: [{ pattern: parsePattern("queue:**"), ...policy }] };
  return coreBroker({ clock, host, store: late ? lateStore(store, clock) : store });
}

/** A queue that is there. */
export function queueOf({ broker }: CoreBroker, name: string): Queue {
  const queue = broker.host(undefined)?.queues.get(name);
  if (queue === undefined) throw new Error(`There is no queue ${name}`);
  return queue;
}

/** A consumer that is started. */
export function consume(
  core: CoreBroker,
  destinations: string,
  options: Partial<SubscribeOptions> = {},
  client: TestClient = core.client(),
): TestConsumer {
  const consumer = { client, ...client.subscribe(destinations, options) };
  core.settle();
  return consumer;
}

/** Settles what a consumer was given, oldest first, until it has nothing; returns the bodies. */
export function settleAll({ client, subscription, got }: TestConsumer, outcome: Outcome = "accepted"): string[] {
  const bodies: string[] = [];
  for (let first = got.taken[0]; first !== undefined; first = got.taken[0]) {
    bodies.push(first.body);
    client.core.settle(subscription, got.next(), outcome);
  }
  return bodies;
}

/** Settles the oldest delivery that a consumer has. */
export function settleOne({ client, subscription, got }: TestConsumer, outcome: Outcome): void {
  client.core.settle(subscription, got.next(), outcome);
}

/** Numbers as bodies. */
export function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => String(from + i));
}

/** A queue that no virtual host has, to be given its own dead letters; deleted when the test is over. */
export function looseQueue(core: CoreBroker, policy: Partial<Policy>, deadLetters?: DeadLetters): Queue {
  const queue = new Queue({
    engine: core.broker.engine,
    subject: "queue loose",
    description: { kind: "queue", host: "default", priority: 4, levels: ["loose"] },
    policy: { ...DEFAULT_POLICY, ...policy },
    deadLetters,
  });
  onTestFinished(() => {
    const { ledger, count } = queue;
    expect(ledger.received, "received = consumed + stored + lost").toBe(ledger.consumed + count + ledger.lostTotal);
    for (const { subscription } of Array.from(queue.links())) subscription.close();
    queue.delete();
    expect([queue.count, queue.bytes, queue.held, queue.resting, queue.memoryBytes]).toEqual([0, 0, 0, 0, 0]);
  });
  return queue;
}

/** A consumer of a queue that no virtual host has. */
export function consumeLoose(
  core: CoreBroker,
  queue: Queue,
  options: Partial<SubscribeOptions> = {},
  client: TestClient = core.client(),
): TestConsumer {
  const { subscription, got } = client.subscribe("", options);
  subscription.links.push(queue.attach(subscription, options.selector));
  core.settle();
  return { client, subscription, got };
}

/** Sees what is browsed, and how often it was told that this was all. */
export class Viewer extends Collector {
  ends = 0;

  exhausted(): void {
    this.ends++;
  }
}

/** A browser of one queue that is started. */
export function browse(
  core: CoreBroker,
  queue: Queue,
  {
    end = true,
    fromSequence = 0,
    selector,
    credit = { messages: 1_000_000, bytes: 0 },
    settling = false,
    details = true,
  }: Partial<BrowseOptions> & { selector?: Selector } & Partial<
      Pick<SubscribeOptions, "credit" | "settling" | "details">
    > = {},
): { readonly got: Viewer; readonly subscription: Subscription; readonly browser: Browser } {
  const got = new Viewer();
  const client = core.client();
  const options = { end, fromSequence };
  const { subscription } = client.subscribe("", { consumer: got, settling, details, credit, browse: options });
  const browser = queue.browse(subscription, selector, options);
  subscription.browsers.push(browser);
  core.settle();
  return { got, subscription, browser };
}
