import fc from "fast-check";
import { expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import type { EvictionCause } from "../../core/protocol.ts";
import type { Policy } from "../../core/policy.ts";
import { ALL, type GivenRule, type GuardedCore, guardedCore } from "../support/access.ts";
import { type Collector, parse, parsePattern, plainMessage, TestClient } from "../support/core-broker.ts";
import { bind, declareQueue, exchange } from "../support/core-exchanges.ts";
import { interest, SessionClient, sessionsOf } from "../support/core-sessions.ts";

/** Mallory may have nothing of what is secret, and send nothing to what is closed. */
const RULES: GivenRule[] = [
  { deny: ["mallory"], principalKinds: ["user"], actions: ["receive", "consume"], id: "secret.#" },
  { deny: ["mallory"], principalKinds: ["user"], actions: ["receive"], kinds: ["topic"], id: "VirtualTopic.secret" },
  { deny: ["mallory"], principalKinds: ["user"], actions: ["send"], id: "closed.#" },
  ALL,
];

const QUEUES = ["open.q", "secret.q", "closed.q", "Consumer.m.VirtualTopic.secret"];
const TOPICS = ["open.t", "secret.t", "closed.t", "VirtualTopic.secret"];
const EXCHANGES = ["open.e", "secret.e", "closed.e"];
const KEYS = ["secret.t", "secret.q", "closed.t", "closed.q", "open.t", "#", "*.t", "k"];
const PATTERNS = [
  ...[...TOPICS, "#", "**", "*.t", "secret.*", "{s.*}.t"].map((name) => `topic:${name}`),
  ...[...QUEUES, "**", "*.q", "#"].map((name) => `queue:${name}`),
];

const queue = fc.constantFrom(...QUEUES);
const topic = fc.constantFrom(...TOPICS);
const exchangeName = fc.constantFrom("", "amq.topic", "amq.fanout", "mine", ...EXCHANGES);
const key = fc.constantFrom(...KEYS);
const pattern = fc.constantFrom(...PATTERNS);
const destination = fc.oneof(
  queue.map((name) => parse(`queue:${name}`)),
  topic.map((name) => parse(`topic:${name}`)),
  fc.tuple(exchangeName, key).map((levels) => new Address("exchange", levels)),
);
const grave = fc.record({
  deadLetterExchange: fc.option(exchangeName, { nil: undefined }),
  deadLetterRoutingKey: fc.option(key, { nil: undefined }),
  maxMessages: fc.constantFrom(0, 1),
  full: fc.constant("drop-head" as const),
});

const op = fc.oneof(
  fc.record({ do: fc.constant("subscribe" as const), pattern, durable: fc.constantFrom(undefined, "d1", "secret.d") }),
  fc.record({ do: fc.constant("browse" as const), pattern }),
  fc.record({ do: fc.constant("attach" as const), durable: fc.constantFrom("d1", "secret.d", "s") }),
  fc.record({ do: fc.constant("session" as const), pattern, share: fc.boolean() }),
  fc.record({ do: fc.constant("queue" as const), name: queue, policy: grave, exclusive: fc.boolean() }),
  fc.record({
    do: fc.constant("exchange" as const),
    name: fc.constantFrom(...EXCHANGES, "mine"),
    alternate: fc.option(exchangeName, { nil: undefined }),
    type: fc.constantFrom("fanout" as const, "topic" as const, "headers" as const),
  }),
  fc.record({
    do: fc.constant("bind" as const),
    from: fc.constantFrom("amq.topic", "amq.fanout", "mine", ...EXCHANGES),
    to: fc.oneof(
      queue.map((name) => `queue:${name}`),
      exchangeName.map((name) => `exchange:${name}`),
    ),
    key,
  }),
  fc.record({ do: fc.constant("listen" as const), exchange: exchangeName, key }),
  fc.record({ do: fc.constant("send" as const), to: destination, ttl: fc.boolean(), retain: fc.boolean() }),
  fc.record({
    do: fc.constant("publish" as const),
    exchange: exchangeName,
    keys: fc.array(key, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ do: fc.constant("will" as const), to: destination }),
  fc.record({ do: fc.constant("pull" as const), name: queue }),
  fc.record({ do: fc.constant("reject" as const) }),
  fc.record({ do: fc.constant("wait" as const) }),
  fc.record({ do: fc.constant("others" as const) }),
);
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;

/** Goes when it is told to, as protocols see to it. */
class ObedientClient extends SessionClient {
  override evicted(reason: string, cause?: EvictionCause): void {
    super.evicted(reason, cause);
    this.core.close();
  }
}

/** Mallory with all that was given to her, and somebody who sends secrets and looks after what is closed. */
class World {
  readonly got: Collector[] = [];
  readonly closed: Collector[] = [];
  private readonly guarded: GuardedCore;
  private readonly client: TestClient;
  private readonly chief: TestClient;
  private sessions = 0;
  /** What is secret, and what she sends. */
  private secret = "secret";
  private evil = "evil";

  constructor(guarded: GuardedCore) {
    this.guarded = guarded;
    this.client = this.mallory();
    this.chief = guarded.core.client();
    for (const name of ["secret.q", "closed.q"]) declareQueue(this.chief, name);
    for (const name of EXCHANGES) this.chief.core.declareExchange(exchange(name, "fanout"));
    bind(this.chief, "secret.e", "queue:secret.q");
    bind(this.chief, "closed.e", "queue:closed.q");
    for (const name of ["topic:closed.#", "exchange:closed%2Ee.", "queue:closed.q"]) {
      this.closed.push(guarded.core.client().subscribe(name, { settling: false }).got);
    }
  }

  /** Does it, or is refused. */
  step(what: Op): void {
    try {
      this.carryOut(what);
    } catch (refusal) {
      if (!(refusal instanceof BrokerError)) throw refusal;
    }
    this.guarded.core.settle();
  }

  /** From now on what is denied her is denied: what comes and goes later has other names. */
  revoke(): void {
    this.guarded.change(...RULES);
    this.secret = "new secret";
    this.evil = "new evil";
  }

  /** Somebody sends what is secret everywhere. */
  sendSecrets(): void {
    const { secret } = this;
    for (const name of ["topic:secret.t", "queue:secret.q", "exchange:secret%2Ee.k"]) {
      this.chief.send(name, secret, { durable: true });
    }
    // A queue that gets it belongs to whoever may consume from it, however it came to be.
    if (secret === "secret") this.chief.send("topic:VirtualTopic.secret", secret, { durable: true });
    const retained = parse("topic:secret.t");
    this.chief.core.retain(this.chief.core.route([retained]), plainMessage(retained, secret));
    this.guarded.core.settle();
  }

  private mallory(): TestClient {
    return new TestClient(this.guarded.core.broker, { user: "mallory", groups: [] });
  }

  private carryOut(what: Op): void {
    const { core } = this.client;
    switch (what.do) {
      case "subscribe":
        this.got.push(this.mallory().subscribe(what.pattern, { durable: what.durable, settling: false }).got);
        break;
      case "browse":
        this.got.push(this.client.subscribe(what.pattern, { browse: { end: false, fromSequence: 0 } }).got);
        break;
      case "attach":
        this.got.push(this.client.subscribe("", { attachDurable: what.durable, settling: false }).got);
        break;
      case "listen":
        this.got.push(
          this.client.subscribe(
            `exchange:${what.exchange.replace(".", "%2E")}.${what.key.replace(".", "%2E").replace("*", "%2A").replace("#", "%23")}`,
          ).got,
        );
        break;
      case "session":
        this.session(what.pattern, what.share);
        break;
      case "queue":
        this.declare(what.name, what.policy, what.exclusive);
        break;
      case "exchange":
        core.declareExchange(exchange(what.name, what.type, { alternate: what.alternate }));
        break;
      case "bind":
        bind(this.client, what.from, what.to, what.key);
        break;
      case "pull":
        core.pull({ address: parse(`queue:${what.name}`), settling: false, consumer: this.collector() });
        break;
      default:
        this.sendSomething(what);
    }
  }

  private sendSomething(what: Op): void {
    const { clock } = this.guarded.core;
    const { core } = this.client;
    if (what.do === "send") {
      const route = core.route([what.to]);
      const message = plainMessage(what.to, this.evil, { durable: true, expiresAt: what.ttl ? clock.now() + 10 : 0 });
      if (what.retain) core.retain(route, message);
      core.publish(route, message);
    } else if (what.do === "publish") {
      const route = core.exchangeRouteOfAll(what.exchange, what.keys, false);
      const [address] = route.addresses;
      if (address !== undefined) core.publish(route, plainMessage(address, this.evil, { durable: true }));
    } else if (what.do === "will") {
      const leaving = this.mallory();
      leaving.core.will = { address: what.to, message: plainMessage(what.to, this.evil), delayMs: 0 };
      leaving.core.close();
    } else if (what.do === "reject") {
      for (const subscription of core.subscriptions) subscription.close();
    } else if (what.do === "wait") {
      clock.advance(2000);
    } else if (what.do === "others") {
      this.sendSecrets();
    }
  }

  private session(text: string, share: boolean): void {
    const client = new ObedientClient(this.guarded.core.broker, { user: "mallory", groups: [] });
    const id = `s${++this.sessions}`;
    client.open(sessionsOf(this.guarded.core), { id, clean: false, expiryMs: 1000 }).start();
    this.got.push(client.got, client.gotShared);
    if (share) client.session.share("g", interest(text));
    else client.session.add(interest(text), "always");
  }

  private declare(name: string, policy: Partial<Policy>, exclusive: boolean): void {
    const flags = { durable: false, exclusive, autoDelete: false, expiresMs: 0, arguments: new Map() };
    this.client.core.declareQueue({ address: parse(`queue:${name}`), ...flags, policy });
  }

  private collector(): Collector {
    const { got } = this.client.subscribe("topic:open.t");
    this.got.push(got);
    return got;
  }
}

it("whatever she makes, binds, subscribes to and sends, nobody gets what is denied her, nor sends where that is", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(op, { maxLength: 25 }), async (ops) => {
      const guarded = await guardedCore(RULES);
      const world = new World(guarded);
      for (const each of ops) world.step(each);
      world.sendSecrets();
      guarded.core.clock.advance(2000);
      expect(world.got.flatMap(({ bodies }) => bodies)).not.toContain("secret");
      expect(world.closed.flatMap(({ bodies }) => bodies)).not.toContain("evil");
      const { retained } = guarded.core.broker.host(undefined) ?? {};
      expect(retained?.get(parse("topic:closed.t"))).toBeUndefined();
    }),
    { numRuns: 400 },
  );
});

it("whatever she made and began before, nothing of it gets or sends any more what is denied her since", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(op, { maxLength: 20 }), fc.array(op, { maxLength: 10 }), async (before, after) => {
      const guarded = await guardedCore([ALL]);
      const world = new World(guarded);
      for (const each of before) world.step(each);
      world.revoke();
      for (const each of after) world.step(each);
      world.sendSecrets();
      guarded.core.clock.advance(2000);
      expect(world.got.flatMap(({ bodies }) => bodies)).not.toContain("new secret");
      expect(world.closed.flatMap(({ bodies }) => bodies)).not.toContain("new evil");
    }),
    { numRuns: 300 },
  );
});

it("patterns of these tests can be read", () => {
  for (const text of PATTERNS) expect(parsePattern(text).text).not.toBe("");
});
