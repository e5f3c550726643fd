import fc from "fast-check";
import { expect, it } from "vitest";
import { subjectOf } from "../../core/access/access.ts";
import { AccessRules } from "../../core/access/rules.ts";
import { Address } from "../../core/addresses/address.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { BrokerError } from "../../core/errors.ts";
import type { DivertRule } from "../../core/routing/divert.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import type { Subscription } from "../../core/subscription.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { ALL, type GivenRule, ruleSet } from "../support/access.ts";
import {
  type Collector,
  type CoreBroker,
  coreBroker,
  parse,
  parsePattern,
  plainMessage,
  TestClient,
} from "../support/core-broker.ts";
import { bind, declareQueue, exchange } from "../support/core-exchanges.ts";

const QUEUES = ["a", "b", "a.b", "small", "full", "both", "Consumer.g.VirtualTopic.t"];
const TOPICS = ["a", "b", "a.b", "small", "both", "VirtualTopic.t"];
const OTHERS = ["topic:$SYS.x", "queue:temp.x", "queue:temp.default-9-9.x", "topic:temp.default-9-9.x"];
const EXCHANGES = ["direct", "fanout", "headers", "closed", "spare"];
const KEYS = ["a", "b", "a.b"];

const destination = fc.oneof(
  fc.constantFrom(...QUEUES.map((name) => `queue:${name}`), ...TOPICS.map((name) => `topic:${name}`)),
  fc.constantFrom(...OTHERS),
  fc.tuple(fc.constantFrom("", "amq.topic", "amq.fanout", "missing", ...EXCHANGES), fc.constantFrom(...KEYS)),
);

const rule: fc.Arbitrary<GivenRule> = fc
  .record({
    verdict: fc.constantFrom("allow", "deny"),
    who: fc.constantFrom("*", "staff", "chiefs"),
    actions: fc.subarray(["send", "create", "receive", "consume"] as const, { minLength: 1 }),
    kinds: fc.subarray(["queue", "topic", "exchange"] as const, { minLength: 1 }),
    id: fc.constantFrom(undefined, "a", "a.#", "*", "#", "VirtualTopic.*", "Consumer.#", "direct", "fanout", "amq.#"),
  })
  .map(({ verdict, who, ...about }) => ({ [verdict]: [who], ...about }));

const divert = fc
  .record({
    from: fc.constantFrom("queue:a", "queue:b", "topic:a", "topic:*", "queue:**", "topic:VirtualTopic.*"),
    to: fc.constantFrom("queue:b", "topic:b", "queue:full", "queue:small", "topic:a.b", "queue:both", "topic:$SYS.x"),
    exclusive: fc.boolean(),
    selector: fc.constantFrom(undefined, "n = '1'", "n = '2'"),
  })
  .map(({ from, to, exclusive, selector }): DivertRule => {
    const { kind, name } = parse(to);
    return {
      from: parsePattern(from),
      to: [{ kind, name }],
      exclusive,
      selector: selector === undefined ? undefined : compileSelector(selector),
    };
  });

const mostly = fc.constantFrom(true, true, true, true, false);

const scene = fc.record({
  rules: fc.array(rule, { maxLength: 3 }),
  open: mostly,
  groups: fc.constantFrom<string[]>([], ["staff"]),
  autoCreate: mostly,
  roomy: mostly,
  diverts: fc.array(divert, { maxLength: 3 }),
  queues: fc.subarray(QUEUES),
  topics: fc.subarray(TOPICS),
  bindings: fc.array(
    fc.tuple(
      fc.constantFrom("amq.topic", "amq.fanout", ...EXCHANGES),
      fc.constantFrom(
        "queue:a",
        "queue:full",
        "queue:small",
        ...[...EXCHANGES, "amq.topic"].map((name) => `exchange:${name}`),
      ),
      fc.constantFrom("a", "#", "*.b"),
    ),
    { maxLength: 8 },
  ),
  readers: fc.array(
    fc.record({
      pattern: fc.constantFrom(
        "topic:a",
        "topic:**",
        "topic:*.b",
        "topic:VirtualTopic.t",
        "queue:a",
        "queue:**",
        "exchange:fanout.",
      ),
      durable: fc.boolean(),
      selector: fc.constantFrom(undefined, "n = '1'", "n = '2'"),
    }),
    { maxLength: 6 },
  ),
  destination,
  body: fc.constantFrom("x", "more than ten bytes"),
});

type Scene = typeof scene extends fc.Arbitrary<infer T> ? T : never;

const POLICIES = (["queue", "topic"] as const).flatMap((kind) => [
  { pattern: canonical.parsePattern(kind, "small"), maxMessageBytes: 10 },
  { pattern: canonical.parsePattern(kind, "full"), maxMessages: 1, full: "reject" as const },
  { pattern: canonical.parsePattern(kind, "both"), mirrored: true },
]);

/** Somebody who receives, and what they are. */
interface Reader {
  readonly subscription: Subscription;
  readonly got: Collector;
  readonly durable: string | undefined;
}

/** Tries to do something that the scene may not allow. */
function attempt(act: () => void): void {
  try {
    act();
  } catch (refusal) {
    if (!(refusal instanceof BrokerError)) throw refusal;
  }
}

function prepare(core: CoreBroker, { queues, topics, bindings, readers }: Scene): Reader[] {
  const chief = new TestClient(core.broker, { user: "chief", groups: ["chiefs"] });
  for (const name of queues) attempt(() => declareQueue(chief, name, false));
  for (const name of topics) attempt(() => void chief.core.route([parse(`topic:${name}`)]));
  attempt(() => chief.send("queue:full", "x"));
  for (const name of EXCHANGES) {
    const type = name === "headers" ? "headers" : name === "direct" ? "direct" : "fanout";
    const more = name === "closed" ? { internal: true } : name === "direct" ? { alternate: "spare" } : {};
    attempt(() => chief.core.declareExchange(exchange(name, type, more)));
  }
  for (const binding of bindings) attempt(() => bind(chief, ...binding));
  const found: Reader[] = [];
  for (const [index, { pattern, durable, selector }] of readers.entries()) {
    const id = durable && pattern.startsWith("topic:") ? `d${index}` : undefined;
    const compiled = selector === undefined ? undefined : compileSelector(selector);
    attempt(() => {
      const client = new TestClient(core.broker, { user: "chief", groups: ["chiefs"] });
      found.push({ ...client.subscribe(pattern, { durable: id, selector: compiled }), durable: id });
    });
  }
  core.settle();
  return found;
}

function receivedBy({ durables }: VirtualHost, id: string): number {
  return durables.get(id)?.queue.ledger.received ?? 0;
}

async function play(given: Scene): Promise<void> {
  const access = new AccessRules();
  const { autoCreate, diverts } = given;
  const maxDestinations = given.roomy ? 1000 : 12;
  const core = await coreBroker({
    host: { autoCreate: true, maxDestinations, diverts, policies: POLICIES },
    broker: { access },
  });
  const readers = prepare(core, given);
  access.replace(ruleSet({ allow: ["*"], actions: ["connect"] }, ...given.rules, ...(given.open ? [ALL] : [])));
  core.broker.reviewAccess();
  core.clock.advance(5);
  const host = core.broker.host(undefined);
  if (host === undefined) throw new Error("There is no default host");
  Object.assign(host.settings, { autoCreate });
  const client = new TestClient(core.broker, { user: "ann", groups: given.groups });
  const { destination: to } = given;
  const address = typeof to === "string" ? parse(to) : new Address("exchange", to);
  const message = plainMessage(address, given.body, { properties: { n: "1" } });
  const said = host.explainSend(address, subjectOf(client.core.login, client.core.peer), message);
  const queuesBefore = new Map(said.readers.map(({ id }) => [id, host.queues.get(id)?.ledger.received ?? 0]));
  const durablesBefore = new Map(Array.from(host.durables.keys(), (id) => [id, receivedBy(host, id)]));
  const before = new Map(readers.map(({ got }) => [got, got.taken.length]));
  let refusal: string | undefined = undefined;
  try {
    client.core.publish(client.core.route([address]), message);
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    refusal = error.message;
  }
  core.settle();
  expect({ refused: said.refusals.length > 0 }, `${refusal} / ${said.refusals.join("; ")}`).toEqual({
    refused: refusal !== undefined,
  });
  if (refusal !== undefined) return;
  const told = said.readers.filter(({ matches }) => matches);
  const took = readers.filter(({ got }) => got.taken.length > (before.get(got) ?? 0));
  const subscribers = took.filter(
    ({ subscription, durable }) => subscription.feed !== undefined && durable === undefined,
  );
  expect(
    subscribers
      .map(
        ({
          subscription: {
            client: { id },
          },
        }) => id,
      )
      .sort(),
  ).toEqual([...new Set(told.filter(({ kind }) => kind === "subscription").map(({ id }) => id))].sort());
  const gathered = Array.from(host.durables.keys()).filter(
    (id) => receivedBy(host, id) > (durablesBefore.get(id) ?? 0),
  );
  expect(gathered.sort()).toEqual(
    [...new Set(told.filter(({ kind }) => kind === "durable").map(({ id }) => id))].sort(),
  );
  for (const { subscription, durable } of took) {
    if (subscription.feed !== undefined || durable !== undefined) continue;
    expect(told.map(({ kind, id }) => `${kind} ${id}`)).toContain(`consumer ${subscription.client.id}`);
  }
  for (const { kind, id } of told) {
    if (kind === "queue") expect(host.queues.get(id)?.ledger.received).toBeGreaterThan(queuesBefore.get(id) ?? 0);
  }
}

it("what is explained of a message is what becomes of it, whatever the rules, the diverts, the bindings and the readers", async () => {
  await fc.assert(fc.asyncProperty(scene, play), { numRuns: 300 });
});
