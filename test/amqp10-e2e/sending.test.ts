import { describe, expect, it } from "vitest";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { Amqp10Wire, messageBytes } from "../support/amqp10-wire.ts";

const HELLO = messageBytes("hello");

function count(broker: TestBroker, queue = "a"): number | undefined {
  return broker.server.broker.host(undefined)?.queues.get(queue)?.count;
}

describe("a sending link", () => {
  it("gets credit, and more once half of it is used", async () => {
    const broker = await startBroker(["amqp10.credit=4"]);
    using client = await Amqp10Wire.connect(broker.port);
    const { performative } = await client.sender("a");
    expect(performative).toMatchObject({ role: true, target: { address: "a" }, maxMessageSize: 104_857_600n });
    expect((await client.expect("flow")).performative).toMatchObject({ linkCredit: 4, deliveryCount: 0 });
    await client.transfer(HELLO, { settled: true });
    await client.nothing();
    await client.transfer(HELLO, { settled: true });
    expect((await client.expect("flow")).performative).toMatchObject({ handle: 0, linkCredit: 4, deliveryCount: 2 });
    expect(count(broker)).toBe(2);
  });

  it("has all it sends together accepted together [amqp10 2.6.12]", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a");
    await Promise.all(Array.from({ length: 10 }, () => client.transfer(HELLO)));
    let settled = 0;
    while (settled < 10) {
      const { performative } = await client.expect("disposition");
      expect(performative).toMatchObject({ role: true, first: settled, settled: true, state: { type: "accepted" } });
      settled = (performative.last ?? performative.first) + 1;
    }
    expect(count(broker)).toBe(10);
  });

  it("may mix settled messages with others", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a", { sndSettleMode: 2 });
    await client.transfer(HELLO, { settled: true });
    await client.transfer(HELLO);
    expect((await client.expect("disposition")).performative).toMatchObject({ first: 1, settled: true });
    await client.nothing();
    expect(count(broker)).toBe(2);
  });

  it("sends messages in any number of frames", async () => {
    const broker = await startBroker(["amqp10.max_frame_bytes=512"]);
    using client = await Amqp10Wire.connect(broker.port);
    using receiver = await Amqp10Wire.connect(broker.port);
    await receiver.receiver("a", 10);
    await client.sender("a");
    const body = "0123456789".repeat(300);
    const payload = messageBytes(body);
    for (let at = 0; at < payload.length; at += 300) {
      const more = at + 300 < payload.length;
      await client.transfer(payload.subarray(at, at + 300), { deliveryId: 0, more });
    }
    await client.expect("disposition");
    expect(await receiver.message()).toBe(body);
  });

  it("may abort a message that it has begun [amqp10 2.6.14]", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a");
    await client.transfer(HELLO, { deliveryId: 0, more: true });
    await client.transfer(Buffer.from("rubbish"), { deliveryId: 0, aborted: true });
    await client.transfer(HELLO, { deliveryId: 1 });
    expect((await client.expect("disposition")).performative).toMatchObject({ first: 1 });
    expect(count(broker)).toBe(1);
  });

  it("is told of each message that is refused, which ends nothing", async () => {
    const broker = await startBroker(["queues=[{match: a, max_messages: 1, full: reject}]"]);
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a");
    await client.transfer(HELLO);
    expect((await client.expect("disposition")).performative.state).toEqual({ type: "accepted" });
    await client.transfer(HELLO);
    expect((await client.expect("disposition")).performative).toMatchObject({
      first: 1,
      settled: true,
      state: { type: "rejected", error: { condition: "amqp:resource-limit-exceeded" } },
    });
    await client.nothing();
  });

  it("that sends settled messages is detached when one is refused", async () => {
    const broker = await startBroker(["queues=[{match: a, max_messages: 1, full: reject}]"]);
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a");
    await client.transfer(HELLO, { settled: true });
    await client.transfer(HELLO, { settled: true });
    expect((await client.expect("detach")).performative).toMatchObject({
      closed: true,
      error: { condition: "amqp:resource-limit-exceeded" },
    });
    // What was under way is thrown away until the client has detached it too.
    await client.transfer(HELLO, { settled: true });
    await client.say({ type: "detach", handle: 0, closed: true });
    await client.nothing();
    expect(count(broker)).toBe(1);
  });

  it("has what is no message rejected", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a");
    await client.transfer(Buffer.from("rubbish"));
    expect((await client.expect("disposition")).performative.state).toMatchObject({
      type: "rejected",
      error: { condition: "amqp:decode-error" },
    });
  });

  it("waits for its credit while a queue is full", async () => {
    const broker = await startBroker(["amqp10.credit=2", "queues=[{match: a, max_messages: 1}]"]);
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a");
    await client.expect("flow");
    await client.transfer(HELLO, { settled: true });
    await client.transfer(HELLO, { settled: true });
    await client.nothing();
    // It still hears what the client says, which may be what makes room.
    await client.receiver("a", 1);
    expect(await client.message()).toBe("hello");
    await client.say({ type: "disposition", role: true, first: 0, settled: true, state: { type: "accepted" } });
    await eventually(() => count(broker) === 1);
    await client.nothing();
    await client.credit(1, 1, { deliveryCount: 1 });
    expect(await client.message()).toBe("hello");
    await client.say({ type: "disposition", role: true, first: 1, settled: true, state: { type: "accepted" } });
    expect((await client.expect("flow")).performative).toMatchObject({ handle: 0, linkCredit: 2, deliveryCount: 2 });
  });

  it("without an address says in each message where it goes (Anonymous Terminus)", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender(undefined);
    const to = (address: string): Buffer =>
      Buffer.concat([
        Buffer.from([0, 0x53, 0x73, 0xc0, address.length + 5, 3, 0x40, 0x40, 0xa1, address.length]),
        Buffer.from(address),
        HELLO,
      ]);
    await client.transfer(to("queue://b.c"));
    await client.transfer(to("queue://d"));
    await client.transfer(HELLO);
    const states: unknown[] = [];
    for (let next = 0; next < 3; ) {
      const { first, last, state } = (await client.expect("disposition")).performative;
      for (next = first; next <= (last ?? first); next++) states[next] = state?.type;
    }
    expect(states).toEqual(["accepted", "accepted", "rejected"]);
    expect([count(broker, "b.c"), count(broker, "d")]).toEqual([1, 1]);
  });

  it("that settles second hears what became of a message, and settles then [amqp10 2.8.3]", async () => {
    const broker = await startBroker(["amqp10.credit=2"]);
    using client = await Amqp10Wire.connect(broker.port);
    const { performative } = await client.sender("a", { rcvSettleMode: 1 });
    expect(performative.rcvSettleMode).toBe(1);
    await client.transfer(HELLO);
    expect((await client.expect("disposition")).performative).toMatchObject({
      first: 0,
      settled: false,
      state: { type: "accepted" },
    });
    await client.transfer(HELLO);
    await client.expect("disposition");
    client.passed.length = 0;
    await client.nothing();
    await client.say({ type: "disposition", role: false, first: 0, last: 1, settled: true });
    expect((await client.expect("flow")).performative).toMatchObject({ linkCredit: 2, deliveryCount: 2 });
  });

  it("that settles second and lost its connection learns what was received, and sends nothing twice [amqp10 2.6.13]", async () => {
    const broker = await startBroker();
    const open = { containerId: "sender" };
    const attach = { rcvSettleMode: 1, name: "link" };
    {
      using client = await Amqp10Wire.connect(broker.port, { open });
      await client.sender("a", attach);
      await client.transfer(HELLO, { deliveryTag: Buffer.from("one") });
      await client.expect("disposition");
      client.wire.reset();
    }
    await eventually(() => broker.server.broker.host(undefined)?.clients.size === 0);
    using client = await Amqp10Wire.connect(broker.port, { open });
    const unsettled = new Map([
      [Buffer.from("one"), null],
      [Buffer.from("two"), null],
    ]);
    const { performative } = await client.sender("a", { ...attach, unsettled });
    expect([...(performative.unsettled?.keys() ?? [])]).toEqual([Buffer.from("one")]);
    await client.transfer(HELLO, { deliveryTag: Buffer.from("one"), resume: true });
    await client.transfer(HELLO, { deliveryTag: Buffer.from("two"), resume: true });
    await client.expect("disposition");
    await client.nothing();
    expect(count(broker)).toBe(2);
  });
});

/** A client that has two messages of credit for queue a. */
async function attached(settings: readonly string[] = []): Promise<{ broker: TestBroker; client: Amqp10Wire }> {
  const broker = await startBroker(["amqp10.credit=2", "amqp10.window=8", ...settings]);
  const client = await Amqp10Wire.connect(broker.port);
  await client.sender("a");
  await client.expect("flow");
  return { broker, client };
}

describe("a sender that breaks the rules", () => {
  it("by sending without credit is detached", async () => {
    const { broker, client } = await attached(["queues=[{match: a, max_messages: 1}]"]);
    using _client = client;
    await Promise.all(Array.from({ length: 5 }, () => client.transfer(HELLO, { settled: true })));
    expect((await client.expect("detach")).performative.error?.condition).toBe("amqp:link:transfer-limit-exceeded");
    expect(count(broker)).toBe(2);
  });

  it("by sending more frames than the window lets through has its session ended", async () => {
    const { client } = await attached(["queues=[{match: a, max_messages: 1}]"]);
    using _client = client;
    // The window is renewed at the half of it, as long as there is room.
    for (let frames = 0; frames < 20; frames++) {
      await client.transfer(messageBytes("").subarray(0, frames < 19 ? 0 : undefined), {
        deliveryId: 0,
        more: frames < 19,
      });
    }
    await client.expect("disposition");
    for (let frames = 0; frames < 9; frames++) await client.transfer(Buffer.alloc(10), { deliveryId: 1, more: true });
    expect((await client.expect("end")).performative.error?.condition).toBe("amqp:session:window-violation");
  });

  it("by sending too large a message is detached", async () => {
    const { client } = await attached(["amqp10.max_message_bytes=100"]);
    using _client = client;
    await client.transfer(Buffer.alloc(60), { deliveryId: 0, more: true });
    await client.transfer(Buffer.alloc(60), { deliveryId: 0, more: true });
    expect((await client.expect("detach")).performative.error).toMatchObject({
      condition: "amqp:link:message-size-exceeded",
      description: expect.stringMatching(/amqp10.max_message_bytes/),
    });
  });

  it("by beginning a delivery within another one is detached", async () => {
    const { client } = await attached();
    using _client = client;
    await client.transfer(HELLO, { deliveryId: 0, more: true });
    await client.transfer(HELLO, { deliveryId: 1 });
    expect((await client.expect("detach")).performative.error?.condition).toBe("amqp:not-allowed");
  });

  it("by sending on a handle without a link has its session ended, and the connection goes on", async () => {
    const { client } = await attached();
    using _client = client;
    await client.transfer(HELLO, { handle: 7 });
    expect((await client.expect("end")).performative.error?.condition).toBe("amqp:session:unattached-handle");
    await client.say({ type: "end" });
    await client.begin(0);
    await client.nothing();
  });

  it("by sending on a link that it receives on has its session ended", async () => {
    const { client } = await attached();
    using _client = client;
    await client.receiver("a");
    await client.transfer(HELLO, { handle: 1 });
    expect((await client.expect("end")).performative.error?.condition).toBe("amqp:not-allowed");
  });

  it("by beginning a message without a delivery-id or tag is detached", async () => {
    const { client } = await attached();
    using _client = client;
    await client.say({ type: "transfer", handle: 0 }, 0, HELLO);
    expect((await client.expect("detach")).performative.error?.condition).toBe("amqp:invalid-field");
  });

  it("by using a channel without a session is disconnected", async () => {
    const { client } = await attached();
    using _client = client;
    await client.say({ type: "transfer", handle: 0, deliveryId: 0, deliveryTag: Buffer.from("0") }, 5, HELLO);
    expect((await client.expect("close")).performative.error?.condition).toBe("amqp:not-allowed");
  });

  it("by using a handle twice has its session ended", async () => {
    const { client } = await attached();
    using _client = client;
    await client.say({
      type: "attach",
      name: "other",
      handle: 0,
      role: false,
      target: { type: "target", address: "b" },
      initialDeliveryCount: 0,
    });
    expect((await client.expect("end")).performative.error?.condition).toBe("amqp:session:handle-in-use");
  });

  it("by using a handle beyond handle-max is disconnected", async () => {
    const broker = await startBroker(["amqp10.max_links=2"]);
    using client = await Amqp10Wire.connect(broker.port);
    await client.say({ type: "attach", name: "x", handle: 2, role: false, target: { type: "target", address: "b" } });
    expect((await client.expect("close")).performative.error?.condition).toBe("amqp:connection:framing-error");
  });

  it("by a frame that is too large is disconnected", async () => {
    const { client } = await attached(["amqp10.max_frame_bytes=512"]);
    using _client = client;
    await client.transfer(Buffer.alloc(600));
    expect((await client.expect("close")).performative.error?.condition).toBe("amqp:connection:framing-error");
  });

  it("by a session beyond channel-max is disconnected", async () => {
    const { client } = await attached(["amqp10.max_sessions=4"]);
    using _client = client;
    await client.say({ type: "begin", nextOutgoingId: 0, incomingWindow: 1, outgoingWindow: 1 }, 4);
    expect((await client.expect("close")).performative.error?.condition).toBe("amqp:connection:framing-error");
  });
});
