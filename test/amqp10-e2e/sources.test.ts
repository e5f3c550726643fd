import { describe, expect, it } from "vitest";
import type { Attach, Said, Source } from "../../protocols/amqp10/performatives.ts";
import { Described, Scalar, symbol, type Value } from "../../protocols/amqp10/values.ts";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { Amqp10Wire, bodyOf, messageBytes } from "../support/amqp10-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

const SELECTOR = "apache.org:selector-filter:string";

function host(broker: TestBroker) {
  const found = broker.server.broker.host(undefined);
  if (found === undefined) throw new Error("The broker has no host");
  return found;
}

function source(address: string | undefined, more: Partial<Said<Source>> = {}): { source: Said<Source> } {
  return { source: { type: "source", ...(address === undefined ? {} : { address }), ...more } };
}

/** Sends by STOMP, which says properties most shortly. */
async function publish(broker: TestBroker, destination: string, bodies: readonly string[]): Promise<void> {
  using stomp = await StompWire.connect(broker.port);
  for (const body of bodies) await stomp.request("SEND", { destination, colour: body }, body);
}

async function detach(client: Amqp10Wire, handle: number, closed: boolean): Promise<void> {
  await client.say({ type: "detach", handle, closed });
  await client.expect("detach");
}

async function accept(client: Amqp10Wire, first: number): Promise<void> {
  await client.say({ type: "disposition", role: true, first, settled: true, state: { type: "accepted" } });
}

describe("the filters of a source", () => {
  const forms: readonly (readonly [string, Value])[] = [
    [SELECTOR, new Described(symbol(SELECTOR), "colour = 'red'")],
    ["selector", new Described(new Scalar("ulong", 0x0000_468c_0000_0004n), "colour = 'red'")],
    ["jms-selector", "colour = 'red'"],
  ];
  it.each(forms)("select messages, named as %s, and are said to be applied", async (key, value) => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    const filter = new Map<string, Value>([
      [key, value],
      ["unknown", new Described(symbol("unknown:filter"), "x")],
    ]);
    const { performative } = await client.receiver("a", 10, source("a", { filter }));
    expect([...(performative.source?.filter?.keys() ?? [])]).toEqual([key]);
    await publish(broker, "/queue/a", ["red", "blue", "red"]);
    expect([await client.message(), await client.message()]).toEqual(["red", "red"]);
    await client.nothing();
  });

  it("with a selector that is none refuse the link", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    const filter = new Map([[SELECTOR, new Described(symbol(SELECTOR), "colour = ")]]);
    const { performative } = await client.receiver("a", 0, source("a", { filter }));
    expect(performative.source).toBeUndefined();
    expect((await client.expect("detach")).performative).toMatchObject({
      closed: true,
      error: { condition: "amqp:invalid-field" },
    });
    await client.say({ type: "detach", handle: 1, closed: true });
    await client.receiver("a", 0);
  });

  it("leave out what the connection itself sends", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    using other = await Amqp10Wire.connect(broker.port);
    const name = "apache.org:no-local-filter:list";
    const filter = new Map([["no-local", new Described(symbol(name), [])]]);
    await client.receiver("topic://t", 10, source("topic://t", { filter }));
    await client.sender("topic://t");
    await client.transfer(messageBytes("own"));
    await client.expect("disposition");
    await other.sender("topic://t");
    await other.transfer(messageBytes("other"));
    expect(await client.message()).toBe("other");
  });
});

describe("a source that is copied from", () => {
  it("shows the messages of a queue and leaves them there, up to the end by drain", async () => {
    const broker = await startBroker();
    await publish(broker, "/queue/a", ["1", "2"]);
    using client = await Amqp10Wire.connect(broker.port);
    const { performative } = await client.receiver("a", 0, source("a", { distributionMode: "copy" }));
    expect(performative.source?.distributionMode).toBe("copy");
    await client.credit(10, 1, { drain: true });
    const first = await client.expect("transfer");
    expect([bodyOf(first.payload), first.performative.settled]).toEqual(["1", true]);
    expect(await client.message()).toBe("2");
    expect((await client.next()).performative).toMatchObject({ type: "flow", linkCredit: 0, deliveryCount: 10 });
    expect(host(broker).queues.get("a")?.count).toBe(2);
  });

  it("may leave the settling to its receiver", async () => {
    const broker = await startBroker();
    await publish(broker, "/queue/a", ["1"]);
    using client = await Amqp10Wire.connect(broker.port);
    await client.receiver("a", 2, { ...source("a", { distributionMode: "copy" }), sndSettleMode: 0 });
    expect((await client.expect("transfer")).performative.settled).not.toBe(true);
    await accept(client, 0);
    await client.nothing();
    expect(host(broker).queues.get("a")?.count).toBe(1);
  });
});

describe("dynamic nodes", () => {
  it("are queues that others send to, and that go with the link", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    const { performative } = await client.receiver(undefined, 1, source(undefined, { dynamic: true }));
    const address = performative.source?.address ?? "";
    expect(performative.source).toMatchObject({ dynamic: true, address: expect.stringMatching(/^queue:\/\/temp\./) });
    using other = await Amqp10Wire.connect(broker.port);
    await other.sender(address);
    await other.transfer(messageBytes("reply"));
    expect(await client.message()).toBe("reply");
    expect(host(broker).queues.size).toBe(1);
    await detach(client, 1, true);
    expect(host(broker).queues.size).toBe(0);
  });

  it("are topics if that is asked for, and made by senders too", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    const target = { type: "target", dynamic: true, capabilities: ["temporary-topic"] } as const;
    const { performative } = await client.sender(undefined, { target });
    const made = performative.target?.type === "target" ? performative.target.address : undefined;
    expect(made).toMatch(/^topic:\/\/temp\./);
    await client.receiver(made, 1);
    await client.transfer(messageBytes("x"));
    await client.expect("disposition").then(
      async () => expect(await client.message()).toBe("x"),
      async () => {},
    );
  });

  it("are for the connection alone to receive from", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    const { performative } = await client.receiver(undefined, 1, source(undefined, { dynamic: true }));
    using other = await Amqp10Wire.connect(broker.port);
    await other.receiver(performative.source?.address);
    expect((await other.expect("detach")).performative.error?.condition).toBe("amqp:unauthorized-access");
  });

  it("go with the connection", async () => {
    const broker = await startBroker();
    {
      using client = await Amqp10Wire.connect(broker.port);
      await client.receiver(undefined, 1, source(undefined, { dynamic: true }));
    }
    await eventually(() => host(broker).queues.size === 0);
  });
});

describe("durable subscriptions", () => {
  const durable = { durable: 2, expiryPolicy: "never" } as const;
  const link: Partial<Said<Attach>> = { name: "sub" };
  const open = { containerId: "c" };

  it("gather while the link is detached, or its connection gone", async () => {
    const broker = await startBroker();
    {
      using client = await Amqp10Wire.connect(broker.port, { open });
      const { performative } = await client.receiver("topic://t", 1, { ...link, ...source("topic://t", durable) });
      expect(performative.source).toMatchObject({ durable: 2, expiryPolicy: "never" });
      await detach(client, 1, false);
      await publish(broker, "/topic/t", ["1"]);
    }
    await publish(broker, "/topic/t", ["2"]);
    expect([...host(broker).durables.keys()]).toEqual(["amqp/c/sub"]);
    using client = await Amqp10Wire.connect(broker.port, { open });
    await client.receiver("topic://t", 10, { ...link, ...source("topic://t", durable) });
    expect([await client.message(), await client.message()]).toEqual(["1", "2"]);
  });

  it("are there for clients that say no more than that they are durable", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port, { open });
    const { performative } = await client.receiver("topic://t", 1, { ...link, ...source("topic://t", { durable: 1 }) });
    expect(performative.source?.expiryPolicy).toBe("never");
    await client.say({ type: "end" });
    await client.expect("end");
    expect(host(broker).durables.size).toBe(1);
  });

  it.each([
    ["link-detach", "detach"],
    ["connection-close", "close"],
  ])("with the expiry policy %s go at the %s", async (expiryPolicy, ending) => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port, { open });
    await client.receiver("topic://t", 1, { ...link, ...source("topic://t", { durable: 2, expiryPolicy }) });
    expect(host(broker).durables.size).toBe(1);
    if (ending === "detach") await detach(client, 1, false);
    else await client.say({ type: "close" });
    await eventually(() => host(broker).durables.size === 0);
  });

  it("end when their link is closed", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port, { open });
    await client.receiver("topic://t", 1, { ...link, ...source("topic://t", durable) });
    await detach(client, 1, true);
    expect(host(broker).durables.size).toBe(0);
  });

  it("are found by a link without a source, to go on or to be ended", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port, { open });
    const filter = new Map([[SELECTOR, new Described(symbol(SELECTOR), "colour = 'red'")]]);
    await client.receiver("topic://t.*", 0, { ...link, ...source("topic://t.*", { ...durable, filter }) });
    await detach(client, 1, false);
    await client.say({ type: "attach", handle: 1, role: true, name: "sub", target: { type: "target" } });
    const { performative } = await client.expect("attach");
    expect(performative.source).toMatchObject({ address: "topic://t.*", durable: 2, expiryPolicy: "never" });
    expect([...(performative.source?.filter?.values() ?? [])]).toEqual([
      new Described(symbol(SELECTOR), "colour = 'red'"),
    ]);
    await publish(broker, "/topic/t.x", ["blue", "red"]);
    await client.credit(10);
    expect(await client.message()).toBe("red");
    await detach(client, 1, true);
    expect(host(broker).durables.size).toBe(0);
    await client.say({ type: "attach", handle: 1, role: true, name: "sub", target: { type: "target" } });
    expect((await client.expect("attach")).performative.source).toBeUndefined();
    expect((await client.expect("detach")).performative.error?.condition).toBe("amqp:not-found");
  });

  it("are taken over by the same link of another connection [amqp10 2.6.1]", async () => {
    const broker = await startBroker();
    await publish(broker, "/topic/t", ["before"]);
    using first = await Amqp10Wire.connect(broker.port, { open });
    await first.receiver("topic://t", 10, { ...link, ...source("topic://t", durable) });
    await publish(broker, "/topic/t", ["1"]);
    expect(await first.message()).toBe("1");
    using second = await Amqp10Wire.connect(broker.port, { open });
    await second.receiver("topic://t", 10, { ...link, ...source("topic://t", durable) });
    expect((await first.expect("detach")).performative.error?.condition).toBe("amqp:link:stolen");
    expect(await second.message()).toBe("1");
  });

  it("are shared by links that say so, of one container or of all", async () => {
    const broker = await startBroker();
    using first = await Amqp10Wire.connect(broker.port);
    using second = await Amqp10Wire.connect(broker.port);
    const shared = source("topic://t", { ...durable, capabilities: ["topic", "shared", "global"] });
    await first.receiver("topic://t", 1, { ...shared, name: "sub|global" });
    await second.receiver("topic://t", 1, { ...shared, name: "sub|global2" });
    await publish(broker, "/topic/t", ["1", "2"]);
    expect([await first.message(), await second.message()].sort()).toEqual(["1", "2"]);
    expect([...host(broker).durables.keys()]).toEqual(["amqp-global/sub"]);
    await detach(first, 1, true);
    expect(host(broker).durables.size).toBe(1);
    await detach(second, 1, true);
    expect(host(broker).durables.size).toBe(0);
  });

  it("that are shared and not durable go with their last link", async () => {
    const broker = await startBroker();
    using first = await Amqp10Wire.connect(broker.port, { open });
    using second = await Amqp10Wire.connect(broker.port, { open });
    const shared = source("topic://t", { capabilities: ["shared"] });
    await first.receiver("topic://t", 1, { ...shared, name: "sub|volatile1" });
    await second.receiver("topic://t", 1, { ...shared, name: "sub|volatile2" });
    await publish(broker, "/topic/t", ["1", "2"]);
    expect([await first.message(), await second.message()].sort()).toEqual(["1", "2"]);
    await detach(first, 1, false);
    expect(host(broker).durables.size).toBe(1);
    second[Symbol.dispose]();
    await eventually(() => host(broker).durables.size === 0);
  });
});

describe("a link that is detached and comes again [amqp10 2.6.13]", () => {
  it("is sent once more what its receiver still has, and settles what it has made up its mind about", async () => {
    const broker = await startBroker();
    await publish(broker, "/queue/a", ["1", "2", "3", "4"]);
    using client = await Amqp10Wire.connect(broker.port);
    const lasting = source("a", { durable: 2 });
    await client.receiver("a", 3, lasting);
    const tags: Buffer[] = [];
    for (let i = 0; i < 3; i++) {
      const { deliveryTag } = (await client.expect("transfer")).performative;
      tags.push(deliveryTag ?? Buffer.alloc(0));
    }
    await detach(client, 1, false);
    const [one, two] = tags;
    if (one === undefined || two === undefined) throw new Error("No tags came");
    const unsettled = new Map<Value, Value>([
      [one, null],
      [two, new Described(new Scalar("ulong", 0x24n), [])],
    ]);
    const { performative } = await client.receiver("a", 0, { ...lasting, unsettled });
    expect([...(performative.unsettled?.keys() ?? [])]).toEqual([one, two]);
    await client.credit(10);
    const begun = await client.expect("transfer");
    expect(begun.performative).toMatchObject({ deliveryTag: one, resume: true, settled: false, more: true });
    expect(await client.message()).toBe("1");
    const over = await client.expect("transfer");
    expect(over.performative).toMatchObject({ deliveryTag: two, resume: true, settled: true, more: false });
    // The third the receiver did not know of: it comes as a new one, before those that never went out.
    expect([await client.message(), await client.message()]).toEqual(["3", "4"]);
    for (const id of [3, 5, 6]) await accept(client, id);
    await client.nothing();
    expect(host(broker).queues.get("a")?.count).toBe(0);
  });

  it("has what it had given back when it does not come", async () => {
    const broker = await startBroker();
    await publish(broker, "/queue/a", ["1"]);
    using client = await Amqp10Wire.connect(broker.port);
    await client.receiver("a", 1, source("a", { durable: 2 }));
    await client.message();
    await detach(client, 1, false);
    using other = await Amqp10Wire.connect(broker.port);
    await other.receiver("a", 1);
    await other.nothing();
    await client.say({ type: "close" });
    expect(await other.message()).toBe("1");
  });
});

describe("priorities and exclusiveness of receivers", () => {
  it("are properties of their links", async () => {
    const broker = await startBroker();
    using first = await Amqp10Wire.connect(broker.port);
    using second = await Amqp10Wire.connect(broker.port);
    await first.receiver("a", 1);
    await second.receiver("a", 1, { properties: new Map([["rabbitmq:priority", 5]]) });
    await second.nothing();
    await publish(broker, "/queue/a", ["1"]);
    expect(await second.message()).toBe("1");
  });
});
