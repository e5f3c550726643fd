import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { ALL, denied, type GuardedCore, guardedCore } from "../support/access.ts";
import { parse, parsePattern, plainMessage, TestClient } from "../support/core-broker.ts";
import { connect, interest } from "../support/core-sessions.ts";

const SECRETS = [denied("a.secret.#"), ALL];

function hostOf({ core }: GuardedCore) {
  const host = core.broker.host(undefined);
  if (host === undefined) throw new Error("There is no default host");
  return host;
}

/** Sends to a topic anybody may have and to one that nobody may. */
function sendBoth({ core }: GuardedCore): void {
  const sender = core.client();
  sender.send("topic:a.open", "open", { durable: true });
  sender.send("topic:a.secret.x", "secret", { durable: true });
  core.settle();
}

describe("what is denied of a wildcard", () => {
  it("does not come, whether its topic is there already or comes later", async () => {
    const guarded = await guardedCore(SECRETS);
    sendBoth(guarded);
    const { got } = guarded.core.client().subscribe("topic:a.**");
    guarded.core.settle();
    sendBoth(guarded);
    guarded.core.client().send("topic:a.secret.new", "later");
    guarded.core.settle();
    expect(got.bodies).toEqual(["open"]);
  });

  it("is not retained for it", async () => {
    const guarded = await guardedCore(SECRETS);
    const sender = guarded.core.client();
    for (const name of ["a.open", "a.secret.x"]) {
      const address = parse(`topic:${name}`);
      sender.core.retain(sender.core.route([address]), plainMessage(address, name));
    }
    const { got } = guarded.core.client().subscribe("topic:a.**");
    guarded.core.client().subscribe("topic:a.**", { durable: "d" });
    guarded.core.settle();
    expect(got.bodies).toEqual(["a.open"]);
    expect(hostOf(guarded).durables.get("d")?.queue.count).toBe(1);
  });

  it("is not gathered for a durable subscription, not after a restart either", async () => {
    const guarded = await guardedCore(SECRETS);
    const client = guarded.core.client();
    client.subscribe("topic:a.**", { durable: "d" });
    client.core.close();
    sendBoth(guarded);
    expect(hostOf(guarded).durables.get("d")?.queue.count).toBe(1);
    await guarded.core.broker.close();
    const again = await guardedCore(SECRETS, { clock: guarded.core.clock, store: guarded.core.store });
    sendBoth(again);
    expect(hostOf(again).durables.get("d")?.queue.count).toBe(2);
  });

  it("is not gathered for a session that is away, not after a restart either", async () => {
    const guarded = await guardedCore(SECRETS);
    const client = connect(guarded.core).want("topic:a.**");
    sendBoth(guarded);
    expect(client.got.bodies).toEqual(["open"]);
    client.acceptAll();
    client.core.close();
    sendBoth(guarded);
    await guarded.core.broker.close();
    const again = await guardedCore(SECRETS, { clock: guarded.core.clock, store: guarded.core.store });
    sendBoth(again);
    const back = connect(again.core);
    again.core.settle();
    expect(back.got.bodies).toEqual(["open", "open"]);
  });

  it("does not come from system topics", async () => {
    const guarded = await guardedCore([denied("$SYS.clients.**"), ALL]);
    const announce = (): void => {
      for (const name of ["uptime", "clients"]) {
        const address = new Address("topic", ["$SYS", name, "x"]);
        hostOf(guarded).announce(plainMessage(address, name));
      }
    };
    announce();
    const { got } = guarded.core.client().subscribe("topic:$SYS.**");
    guarded.core.settle();
    announce();
    guarded.core.settle();
    expect(got.bodies).toEqual(["uptime", "uptime"]);
  });

  it("is not consumed from queues, nor seen by browsers", async () => {
    const guarded = await guardedCore(SECRETS);
    const { core } = guarded;
    core.client().send("queue:a.secret.x", "secret");
    core.client().send("queue:a.open", "open");
    const browser = core.client().subscribe("queue:a.**", { browse: { end: true, fromSequence: 0 } });
    core.settle();
    const consumer = core.client().subscribe("queue:a.**");
    core.settle();
    core.client().send("queue:a.secret.y", "secret");
    core.settle();
    expect(browser.got.bodies).toEqual(["open"]);
    expect(consumer.got.bodies).toEqual(["open"]);
  });

  it("comes all the same to whom another rule allows it", async () => {
    const guarded = await guardedCore([{ allow: ["chiefs"] }, ...SECRETS]);
    const chief = new TestClient(guarded.core.broker, { user: "ann", groups: ["chiefs"] });
    const { got } = chief.subscribe("topic:a.**");
    guarded.core.settle();
    sendBoth(guarded);
    expect(got.bodies).toEqual(["open", "secret"]);
  });
});

describe("what cannot leave out a part", () => {
  it("is refused to whoever would share it", async () => {
    const guarded = await guardedCore(SECRETS);
    const { session } = connect(guarded.core);
    expect(() => session.share("g", interest("topic:a.**"))).toThrow(
      /rule 1 allows it, but for what rule 0 denies; nothing/,
    );
    expect(session.share("g", interest("topic:b.**")).group).toBe("g");
  });

  it("is refused to whoever would bind it to a queue", async () => {
    const guarded = await guardedCore(SECRETS);
    const client = guarded.core.client();
    const address = parse("queue:q");
    const declaration = { durable: false, exclusive: false, autoDelete: false, policy: {}, expiresMs: 0 };
    client.core.declareQueue({ address, ...declaration, arguments: new Map() });
    const bind = (key: string) => () =>
      client.core.bindQueue(address, { source: "amq.topic", key, arguments: new Map() });
    expect(bind("a.#")).toThrow(/but for what rule 0 denies/);
    expect(bind("b.#")).not.toThrow();
  });
});

describe("a wildcard that no rule allows as a whole", () => {
  it("is refused", async () => {
    const guarded = await guardedCore([
      { allow: ["*"], actions: ["receive"], id: "a.**" },
      { allow: ["*"], actions: ["connect"] },
    ]);
    const client = guarded.core.client();
    expect(() => client.subscribe("topic:**")).toThrow(
      "User tester may not receive the topic **: no access rule allows it (address 127.0.0.1)",
    );
    expect(() => client.subscribe("topic:a.*")).not.toThrow();
  });
});

describe("a right that leads on", () => {
  it("is needed where dead letters of a new queue go, and what an exchange leads nowhere", async () => {
    const guarded = await guardedCore([{ deny: ["*"], actions: ["send"], id: "forbidden" }, ALL]);
    const client = guarded.core.client();
    const declare = (name: string, exchange: string, key?: string) => () =>
      client.core.declareQueue({
        address: parse(`queue:${name}`),
        durable: false,
        exclusive: false,
        autoDelete: false,
        policy: { deadLetterExchange: exchange, deadLetterRoutingKey: key },
        expiresMs: 0,
        arguments: new Map(),
      });
    expect(declare("q", "forbidden")).toThrow(/may not send the exchange forbidden/);
    expect(declare("q", "", "forbidden")).toThrow(/may not send the queue forbidden/);
    // Without a key messages keep theirs, whatever that is.
    expect(declare("q", "")).toThrow(/may send the queue \*\*: rule \d allows it, but for what rule \d denies/);
    expect(declare("q", "", "other")).not.toThrow();
    const exchange = {
      type: "fanout",
      durable: false,
      autoDelete: false,
      internal: false,
      arguments: new Map(),
    } as const;
    expect(() => client.core.declareExchange({ name: "x", alternate: "forbidden", ...exchange })).toThrow(
      /may not send the exchange forbidden/,
    );
  });

  it("is needed to make a temporary queue", async () => {
    const guarded = await guardedCore([{ deny: ["*"], actions: ["create"], id: "temp.**" }, ALL]);
    expect(() => guarded.core.client().core.temporary("queue", "x")).toThrow(/may not create the queue temp\./);
  });
});

describe("a client that connects", () => {
  it.each([
    ["connector", "test", "the connector test"],
    ["virtual-host", "default", "virtual host default"],
  ] as const)("needs the right to the %s", async (kind, id, what) => {
    const guarded = await guardedCore([{ deny: ["*"], actions: ["connect"], kinds: [kind], id }, ALL]);
    expect(() => guarded.core.client()).toThrow(`User tester may not connect to ${what}: rule 0 denies it`);
  });
});

describe("explaining", () => {
  it("tells the rule that decides, of anybody and anything", async () => {
    const { core } = await guardedCore(SECRETS);
    const ann = { user: "ann", groups: [] };
    const explain = (name: string) =>
      core.broker.explainAccess(ann, "receive", { kind: "topic", name, host: "default" });
    expect(explain("a.secret.x")).toMatchObject({
      allowed: false,
      rule: "rule 0",
      text: "User ann may not receive the topic a.secret.x: rule 0 denies it",
    });
    expect(explain(parsePattern("topic:a.**").text)).toMatchObject({ allowed: true, rule: "rule 1", except: "rule 0" });
  });
});
