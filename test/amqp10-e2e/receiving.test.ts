import { describe, expect, it } from "vitest";
import type { DeliveryState, Performative, Said } from "../../protocols/amqp10/performatives.ts";
import { Reader } from "../../protocols/amqp10/reader.ts";
import { Described, Scalar } from "../../protocols/amqp10/values.ts";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { Amqp10Wire, bodyOf, messageBytes } from "../support/amqp10-wire.ts";

type State = Said<DeliveryState>;

function queue(broker: TestBroker, name = "a") {
  return broker.server.broker.host(undefined)?.queues.get(name);
}

/** A broker with messages in queue a, and a client that receives nothing yet. */
async function filled(bodies: readonly string[], settings: readonly string[] = []) {
  const broker = await startBroker(settings);
  const client = await Amqp10Wire.connect(broker.port);
  await client.sender("a");
  for (const body of bodies) await client.transfer(messageBytes(body), { settled: true });
  await eventually(() => queue(broker)?.count === bodies.length);
  await client.nothing();
  client.passed.length = 0;
  return { broker, client };
}

async function settle(
  client: Amqp10Wire,
  first: number,
  state: State | undefined,
  more: Partial<Said<Extract<Performative, { type: "disposition" }>>> = {},
) {
  await client.say({
    type: "disposition",
    role: true,
    first,
    settled: true,
    ...(state === undefined ? {} : { state }),
    ...more,
  });
}

const ACCEPTED = { type: "accepted" } as const;

describe("a receiving link", () => {
  it("is sent as many messages as it gives credit for, and counts them itself", async () => {
    const { client } = await filled(["1", "2", "3", "4"]);
    using _client = client;
    await client.receiver("a");
    await client.nothing();
    await client.credit(2);
    expect([await client.message(), await client.message()]).toEqual(["1", "2"]);
    await client.nothing();
    // Credit is counted from what the receiver has seen: nothing is left of this.
    await client.credit(2, 1, { deliveryCount: 0 });
    await client.nothing();
    await client.credit(1, 1, { deliveryCount: 2 });
    expect(await client.message()).toBe("3");
    await client.nothing();
  });

  it("may take credit back", async () => {
    const { client } = await filled([]);
    using _client = client;
    await client.receiver("a", 5);
    await client.credit(0);
    await client.transfer(messageBytes("late"), { settled: true });
    await client.nothing();
  });

  it("is told where it stands when it asks", async () => {
    const { client } = await filled(["1"]);
    using _client = client;
    await client.receiver("a", 5);
    await client.message();
    await client.credit(4, 1, { deliveryCount: 1, echo: true });
    const { performative } = await client.next();
    expect(performative).toMatchObject({ type: "flow", deliveryCount: 1, linkCredit: 4, drain: false });
  });

  it("drains: gets what is there, and hears that the rest of its credit is used up [amqp10 2.6.7]", async () => {
    const { client } = await filled(["1", "2"]);
    using _client = client;
    await client.receiver("a", 10, {});
    await client.credit(10, 1, { drain: true });
    expect([await client.message(), await client.message()]).toEqual(["1", "2"]);
    const { performative } = await client.next();
    expect(performative).toMatchObject({ type: "flow", handle: 1, deliveryCount: 10, linkCredit: 0, drain: true });
    await client.transfer(messageBytes("3"), { settled: true });
    await client.nothing();
    await client.credit(1, 1, { deliveryCount: 10 });
    expect(await client.message()).toBe("3");
  });

  it("drains an empty queue, again and again", async () => {
    const { client } = await filled([]);
    using _client = client;
    await client.receiver("a");
    for (const deliveryCount of [0, 10, 20]) {
      await client.credit(10, 1, { drain: true, deliveryCount });
      const { performative } = await client.next();
      expect(performative).toMatchObject({ type: "flow", deliveryCount: deliveryCount + 10, linkCredit: 0 });
    }
  });

  it("settles ranges, whatever their order", async () => {
    const { broker, client } = await filled(["0", "1", "2", "3", "4", "5"]);
    using _client = client;
    await client.receiver("a", 6);
    for (let i = 0; i < 6; i++) await client.message();
    await settle(client, 4, ACCEPTED, { last: 5 });
    await settle(client, 0, ACCEPTED, { last: 2 });
    await client.nothing();
    expect(queue(broker)?.count).toBe(1);
    // What was settled once is not settled twice; ids that were never given are nothing.
    await settle(client, 0, ACCEPTED, { last: 1000 });
    await settle(client, 0xffff_fff0, ACCEPTED, { last: 3 });
    await client.nothing();
    expect(queue(broker)?.count).toBe(0);
  });

  const outcomes: readonly (readonly [string, State | undefined, number])[] = [
    ["released: it comes again as if never sent", { type: "released" }, 0],
    ["modified: it comes again", { type: "modified" }, 0],
    ["modified and failed: it comes again, counted", { type: "modified", deliveryFailed: true }, 1],
    ["settled without an outcome: it comes again, counted", undefined, 1],
  ];
  it.each(outcomes)("may have a message %s", async (_what, state, deliveryCount) => {
    const { client } = await filled(["x"]);
    using _client = client;
    await client.receiver("a", 2);
    await client.message();
    await settle(client, 0, state);
    const { payload } = await client.expect("transfer");
    expect(bodyOf(payload)).toBe("x");
    expect(headerCount(payload)).toBe(deliveryCount);
  });

  it("may reject a message: it becomes a dead letter", async () => {
    const { broker, client } = await filled(["x"], ["queues=[{match: a, dead_letter_queue: dead}]"]);
    using _client = client;
    await client.receiver("a", 2);
    await client.message();
    await settle(client, 0, { type: "rejected", error: { type: "error", condition: "my:reason" } });
    await client.nothing();
    expect([queue(broker)?.count, queue(broker, "dead")?.count]).toEqual([0, 1]);
  });

  it("may leave a message to others", async () => {
    const { broker, client } = await filled(["x"]);
    using _client = client;
    await client.receiver("a", 2);
    await client.message();
    await settle(client, 0, { type: "modified", undeliverableHere: true });
    await client.nothing();
    using other = await Amqp10Wire.connect(broker.port);
    await other.receiver("a", 1);
    expect(await other.message()).toBe("x");
  });

  it("may say what becomes of messages that it settles without an outcome", async () => {
    const { broker, client } = await filled(["x"]);
    using _client = client;
    const source = { type: "source", address: "a", defaultOutcome: { type: "accepted" } } as const;
    expect((await client.receiver("a", 1, { source })).performative.source?.defaultOutcome).toEqual({
      type: "accepted",
    });
    await client.message();
    await settle(client, 0, undefined);
    await client.nothing();
    expect(queue(broker)?.count).toBe(0);
  });

  it("that does not settle what it accepts is told that the broker has [amqp10 2.6.12]", async () => {
    const { broker, client } = await filled(["x", "y"]);
    using _client = client;
    await client.receiver("a", 2, { rcvSettleMode: 1 });
    await client.message();
    await client.message();
    await settle(client, 0, ACCEPTED, { last: 1, settled: false });
    expect((await client.expect("disposition")).performative).toMatchObject({
      role: false,
      first: 0,
      last: 1,
      settled: true,
      state: { type: "accepted" },
    });
    expect(queue(broker)?.count).toBe(0);
  });

  it("may say how far it came with a message, which changes nothing", async () => {
    const { broker, client } = await filled(["x"]);
    using _client = client;
    await client.receiver("a", 1);
    await client.message();
    await settle(client, 0, { type: "received", sectionNumber: 0, sectionOffset: 0n }, { settled: false });
    await client.nothing();
    expect(queue(broker)?.count).toBe(1);
    await settle(client, 0, ACCEPTED);
    await client.nothing();
    expect(queue(broker)?.count).toBe(0);
  });

  it("that wants its messages settled has nothing to settle", async () => {
    const { broker, client } = await filled(["x"]);
    using _client = client;
    await client.receiver("a", 1, { sndSettleMode: 1 });
    expect((await client.expect("transfer")).performative.settled).toBe(true);
    expect(queue(broker)?.count).toBe(0);
  });

  it("gives back what it has not settled when it is detached", async () => {
    const { broker, client } = await filled(["x", "y"]);
    using _client = client;
    await client.receiver("a", 2);
    await client.message();
    await client.message();
    await settle(client, 1, ACCEPTED);
    await client.say({ type: "detach", handle: 1, closed: true });
    expect((await client.expect("detach")).performative).toMatchObject({ closed: true });
    expect(queue(broker)?.count).toBe(1);
    await client.receiver("a", 2, { handle: 2 });
    expect(headerCount((await client.expect("transfer")).payload)).toBe(1);
  });

  it("gets large messages in frames of the size it takes", async () => {
    const broker = await startBroker();
    using sender = await Amqp10Wire.connect(broker.port);
    using client = await Amqp10Wire.connect(broker.port, { open: { maxFrameSize: 512 } });
    await client.receiver("a", 1);
    const body = "0123456789".repeat(1000);
    await sender.sender("a");
    await sender.transfer(messageBytes(body));
    const parts: Buffer[] = [];
    for (let more = true; more; ) {
      const { performative, payload } = await client.expect("transfer");
      expect(payload.length).toBeLessThan(512);
      parts.push(payload);
      ({ more } = performative);
    }
    expect(bodyOf(Buffer.concat(parts))).toBe(body);
  });

  it("is sent no message larger than it takes: that becomes a dead letter", async () => {
    const { broker, client } = await filled(["x".repeat(1000), "y"], ["queues=[{match: a, dead_letter_queue: dead}]"]);
    using _client = client;
    await client.receiver("a", 1, { maxMessageSize: 100n });
    expect(await client.message()).toBe("y");
    await eventually(() => queue(broker, "dead")?.count === 1);
  });

  it("is told when its queue is deleted", async () => {
    const { broker, client } = await filled([]);
    using _client = client;
    await client.receiver("a", 1);
    const target = queue(broker)?.address;
    if (target !== undefined) broker.server.broker.host(undefined)?.deleteQueue(target);
    expect((await client.expect("detach")).performative.error?.condition).toBe("amqp:resource-deleted");
  });
});

describe("a client that does not read", () => {
  it("is sent no more than the output may hold, and the rest once it reads", async () => {
    const broker = await startBroker(["connection.output_high_water=100k", "connection.output_low_water=10k"]);
    using sender = await Amqp10Wire.connect(broker.port, { begin: { outgoingWindow: 100_000 } });
    using client = await Amqp10Wire.connect(broker.port, { begin: { incomingWindow: 100_000 } });
    await sender.sender("a");
    const total = 10_000;
    const body = "x".repeat(1000);
    for (let sent = 0; sent < total; sent += 500) {
      await Promise.all(Array.from({ length: 500 }, () => sender.transfer(messageBytes(body), { settled: true })));
    }
    await eventually(() => queue(broker)?.count === total);
    await client.receiver("a", 0, { sndSettleMode: 1 });
    client.wire.pause();
    await client.credit(total, 1, { incomingWindow: 100_000 });
    const [, connected] = broker.server.broker.host(undefined)?.clients ?? [];
    const delivered = () => [...(connected?.subscriptions ?? [])][0]?.delivered ?? 0;
    await eventually(() => connected?.peer.output.full === true);
    expect(delivered()).toBeLessThan(total);
    client.wire.resume();
    for (let got = 0; got < total; got++) await client.expect("transfer");
    expect(queue(broker)?.count).toBe(0);
  });
});

describe("the window of a session", () => {
  it("holds back frames of all its links, within a message too", async () => {
    const broker = await startBroker();
    using sender = await Amqp10Wire.connect(broker.port);
    await sender.sender("a");
    await sender.sender("b", { handle: 1 });
    await sender.transfer(messageBytes("0123456789".repeat(100)));
    await sender.transfer(messageBytes("b"), { handle: 1 });
    using client = await Amqp10Wire.connect(broker.port, { open: { maxFrameSize: 512 }, begin: { incomingWindow: 2 } });
    const windows = { nextIncomingId: 0, incomingWindow: 2 };
    await client.say({
      type: "attach",
      name: "b",
      handle: 2,
      role: true,
      source: { type: "source", address: "b" },
      target: { type: "target" },
    });
    await client.expect("attach");
    await client.receiver("a");
    await client.credit(1, 1, windows);
    const parts: Buffer[] = [(await client.expect("transfer")).payload, (await client.expect("transfer")).payload];
    await client.credit(1, 2, windows);
    await client.say({ type: "flow", nextOutgoingId: 0, outgoingWindow: 0, ...windows, echo: true });
    expect((await client.next()).performative.type).toBe("flow");
    await client.say({ type: "flow", nextOutgoingId: 0, outgoingWindow: 0, nextIncomingId: 2, incomingWindow: 2 });
    const rest = await client.expect("transfer");
    parts.push(rest.payload);
    expect(rest.performative.more).toBe(false);
    expect(bodyOf(Buffer.concat(parts))).toBe("0123456789".repeat(100));
    expect(await client.message()).toBe("b");
  });

  it("that is closed gives back what was not sent, uncounted, when the link goes", async () => {
    const broker = await startBroker();
    using sender = await Amqp10Wire.connect(broker.port);
    await sender.sender("a");
    for (const body of ["1", "2", "3"]) await sender.transfer(messageBytes(body), { settled: true });
    await eventually(() => queue(broker)?.count === 3);
    using client = await Amqp10Wire.connect(broker.port, { begin: { incomingWindow: 1 } });
    await client.receiver("a", 0, { source: { type: "source", address: "a", durable: 2 } });
    await client.credit(10, 1, { incomingWindow: 1 });
    expect(await client.message()).toBe("1");
    await client.say({ type: "detach", handle: 1, closed: false });
    await client.expect("detach");
    using other = await Amqp10Wire.connect(broker.port);
    await other.receiver("a", 10);
    const two = await other.expect("transfer");
    expect([bodyOf(two.payload), headerCount(two.payload)]).toEqual(["2", 0]);
    expect(await other.message()).toBe("3");
    await other.nothing();
  });

  it("goes on when very many messages are settled out of order", async () => {
    const broker = await startBroker(["amqp10.max_unsettled=100"]);
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a");
    await client.receiver("a");
    const windows = { incomingWindow: 100_000, nextIncomingId: 0 };
    await client.credit(100_000, 1, windows);
    const total = 300;
    const sends = Promise.all(
      Array.from({ length: total }, (_v, i) => client.transfer(messageBytes(String(i)), { settled: true })),
    );
    // The first one is never settled; of the others at most 100 are under way.
    expect(await client.message()).toBe("0");
    for (let id = 1; id < total; id++) {
      expect(await client.message()).toBe(String(id));
      await settle(client, id, ACCEPTED);
    }
    await sends;
    await client.nothing();
    expect(queue(broker)?.count).toBe(1);
  });

  it("holds back what was not settled beyond the limit", async () => {
    const { client } = await filled(["1", "2", "3"], ["amqp10.max_unsettled=2"]);
    using _client = client;
    await client.receiver("a", 3);
    await client.message();
    await client.message();
    await client.nothing();
    await settle(client, 0, ACCEPTED);
    expect(await client.message()).toBe("3");
  });
});

/** The delivery-count of a message's header. */
function headerCount(payload: Buffer): number {
  const section = new Reader(true).over(payload, 0, payload.length).read();
  const fields = section instanceof Described && Array.isArray(section.value) ? section.value : [];
  const count: unknown = fields[4];
  return count instanceof Scalar ? Number(count.value) : 0;
}
