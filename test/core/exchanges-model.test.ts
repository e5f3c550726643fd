import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BrokerError } from "../../core/errors.ts";
import type { ExchangeType } from "../../core/exchanges/exchange.ts";
import type { Route } from "../../core/routing/route.ts";
import type { Subscription } from "../../core/subscription.ts";
import {
  type Collector,
  type CoreBroker,
  coreBroker,
  parse,
  plainMessage,
  type TestClient,
} from "../support/core-broker.ts";
import { bind, declareQueue, exchange, unbind } from "../support/core-exchanges.ts";
import { ExchangeModel, type ModelBinding } from "../support/exchange-model.ts";

const OWN = ["x", "y", "z"];
const EVERY = [...OWN, "amq.topic", "amq.fanout", "amq.headers"];
const QUEUES = ["p", "q"];
// Where it meets the topics is where most can go wrong.
const name = fc.constantFrom(...EVERY, "amq.topic", "amq.topic");
const key = fc.constantFrom("a", "a.b", "c");
const wanted = fc.constantFrom("1", "2");
const binding = fc.record({
  source: name,
  to: fc.constantFrom(...QUEUES.map((queue) => `queue:${queue}`), ...EVERY.map((each) => `exchange:${each}`)),
  key: fc.constantFrom("a", "a.b", "c", "a.*", "*", "#", "#", "#.b"),
  wanted,
});
const type = fc.constantFrom<ExchangeType>("direct", "fanout", "topic", "headers");
const alternate = fc.option(name, { nil: undefined, freq: 2 });
const command = fc.oneof(
  fc.record({
    do: fc.constant("declare" as const),
    name: fc.constantFrom(...OWN),
    type,
    alternate,
    autoDelete: fc.boolean(),
  }),
  fc.record({ do: fc.constant("delete" as const), name: fc.constantFrom(...OWN) }),
  { arbitrary: fc.record({ do: fc.constant("bind" as const), binding }), weight: 4 },
  fc.record({ do: fc.constant("unbind" as const), binding }),
  fc.record({ do: fc.constant("queue" as const), name: fc.constantFrom(...QUEUES) }),
  fc.record({ do: fc.constant("feed" as const), source: name, key: fc.constantFrom("a", "a.b", "c") }),
  { arbitrary: fc.record({ do: fc.constant("publish" as const), name, key, n: wanted }), weight: 4 },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

/** The core and the model side by side. */
class World {
  private readonly model = new ExchangeModel();
  private readonly core: CoreBroker;
  private readonly client: TestClient;
  private readonly routes = new Map<string, Route>();
  private readonly feeds = new Map<string, { subscription: Subscription; got: Collector }>();

  constructor(core: CoreBroker) {
    this.core = core;
    this.client = core.client();
    for (const each of EVERY) {
      if (OWN.includes(each)) continue;
      const [, predeclared = ""] = each.split(".");
      const known = predeclared === "topic" || predeclared === "headers" ? predeclared : "fanout";
      this.model.declare({ name: each, type: known, alternate: undefined, autoDelete: false, predeclared: true });
    }
  }

  run(step: Command): void {
    switch (step.do) {
      case "declare": {
        const { do: _, ...declaration } = step;
        const fits = this.model.declare({ ...declaration, predeclared: false });
        this.expectRefusal(!fits, () =>
          this.client.core.declareExchange(exchange(declaration.name, declaration.type, declaration)),
        );
        break;
      }
      case "delete":
        this.model.delete(step.name);
        this.client.core.deleteExchange(step.name, { ifUnused: false });
        break;
      case "bind":
        this.bound(step.binding, (given) => this.model.bind(given), bind);
        break;
      case "unbind":
        this.bound(step.binding, (given) => this.model.unbind(given), unbind);
        break;
      case "queue":
        this.toggleQueue(step.name);
        break;
      case "feed":
        this.toggleFeed(step.source, step.key);
        break;
      case "publish":
        this.publish(step.name, step.key, step.n);
    }
  }

  private bound(given: ModelBinding, expected: (given: ModelBinding) => boolean, act: typeof bind): void {
    // Only headers exchanges look at what is wanted.
    const looks = this.model.exchanges.get(given.source)?.type === "headers";
    const fits = expected(looks ? given : { ...given, wanted: "" });
    const { source, to, key: by, wanted: n } = given;
    this.expectRefusal(!fits, () => act(this.client, source, to, by, looks ? { n } : {}));
  }

  private toggleQueue(queue: string): void {
    if (this.model.queues.has(queue)) {
      this.model.deleteQueue(queue);
      this.core.broker.host(undefined)?.deleteQueue(parse(`queue:${queue}`));
    } else {
      this.model.queues.add(queue);
      declareQueue(this.client, queue);
    }
  }

  private toggleFeed(source: string, by: string): void {
    const id = `${source} ${by}`;
    const found = this.feeds.get(id);
    if (found !== undefined) {
      this.feeds.delete(id);
      this.model.leave(`feed:${id}`);
      found.subscription.close();
      return;
    }
    if (this.model.exchanges.get(source)?.type === "headers") return;
    const fits = this.model.bind({ source, to: `feed:${id}`, key: by, wanted: "" });
    const destination = source === "amq.topic" ? `topic:${by}` : `exchange:${escaped(source)}.${escaped(by)}`;
    this.expectRefusal(!fits, () => this.feeds.set(id, this.client.subscribe(destination, { settling: false })));
    this.core.settle();
  }

  private publish(to: string, by: string, n: string): void {
    const expected = this.model.reached(to, by, n);
    const host = this.core.broker.host(undefined);
    for (const queue of host?.queues.values() ?? []) queue.purge();
    for (const { got } of this.feeds.values()) got.taken.length = 0;
    this.expectRefusal(!this.model.exchanges.has(to), () => {
      const held = this.routes.get(`${to} ${by}`);
      const route = held ?? this.client.core.exchangeRoute(to, by);
      this.routes.set(`${to} ${by}`, route);
      const [address] = route.addresses;
      if (address === undefined) throw new Error("A route without an address");
      const message = plainMessage(address, "", { properties: { n } });
      expect(route.reaches(message)).toBe(expected.size > 0);
      this.client.core.publish(route, message);
    });
    this.core.settle();
    const counted = Object.fromEntries([...(host?.queues.values() ?? [])].map((queue) => [queue.subject, queue.count]));
    const queues = [...this.model.queues].map((queue) => [`queue ${queue}`, expected.has(`queue:${queue}`) ? 1 : 0]);
    expect(counted).toEqual(Object.fromEntries(queues));
    const taken = [...this.feeds].map(([id, { got }]) => [id, got.taken.length]);
    expect(taken).toEqual([...this.feeds.keys()].map((id) => [id, expected.has(`feed:${id}`) ? 1 : 0]));
  }

  private expectRefusal(refused: boolean, act: () => void): void {
    let refusal: unknown;
    try {
      act();
    } catch (caught) {
      refusal = caught;
    }
    if (!refused && refusal !== undefined) throw refusal;
    if (refused) expect(refusal).toBeInstanceOf(BrokerError);
    // The exchange may have gone with its subscribers.
    for (const [id, { subscription }] of this.feeds) if (subscription.closed) this.feeds.delete(id);
  }
}

function escaped(level: string): string {
  return level.replaceAll(".", "%2E");
}

describe("exchanges", () => {
  it("lead to the same queues and subscribers as a plain model, whatever is declared, bound and deleted", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60, size: "max" }), async (commands) => {
        const world = new World(await coreBroker());
        for (const each of QUEUES) world.run({ do: "queue", name: each });
        for (const each of commands) world.run(each);
      }),
      { numRuns: 500 },
    );
  });
});
