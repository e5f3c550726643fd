import { describe, expect, it } from "vitest";
import { encodeFrame } from "../../protocols/amqp10/encode.ts";
import {
  type Declare,
  type DeliveryState,
  type Discharge,
  encodeComposite,
  type Performative,
  type Said,
} from "../../protocols/amqp10/performatives.ts";
import { Described, symbol } from "../../protocols/amqp10/values.ts";
import { Amqp10Wire, messageBytes } from "../support/amqp10-wire.ts";
import { startBroker, temporaryFolder, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

const VALUE = Buffer.from([0x00, 0x53, 0x77]);
const WINDOWS = { nextIncomingId: 0, incomingWindow: 1000, nextOutgoingId: 0, outgoingWindow: 1000 };

function host(broker: TestBroker) {
  const found = broker.server.broker.host(undefined);
  if (found === undefined) throw new Error("There is no virtual host");
  return found;
}

function frame(performative: Said<Performative>, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.concat([encodeFrame(0, performative), payload]);
  bytes.writeUInt32BE(bytes.length);
  return bytes;
}

async function coordinator(client: Amqp10Wire, handle: number): Promise<void> {
  await client.sender(undefined, { name: `tx-${handle}`, handle, target: { type: "coordinator" } });
}

async function declare(client: Amqp10Wire, handle: number): Promise<Buffer> {
  await client.transfer(Buffer.concat([VALUE, encodeComposite<Declare>({ type: "declare" })]), { handle });
  const { state } = (await client.expect("disposition")).performative;
  if (state?.type !== "declared") throw new Error(`Not declared: ${JSON.stringify(state)}`);
  return state.txnId;
}

async function discharge(client: Amqp10Wire, handle: number, txnId: Buffer): Promise<void> {
  const body = encodeComposite<Discharge>({ type: "discharge", txnId, fail: false });
  await client.transfer(Buffer.concat([VALUE, body]), { handle });
}

describe("a transaction that was declared over one link and discharged over another", () => {
  it("leaves nothing of its connection behind", async () => {
    const broker = await startBroker();
    const client = await Amqp10Wire.connect(broker.port);
    await coordinator(client, 8);
    await coordinator(client, 9);
    await discharge(client, 9, await declare(client, 8));
    expect((await client.expect("disposition")).performative.state).toEqual({ type: "accepted" });
    client[Symbol.dispose]();
    await eventually(() => host(broker).clients.size === 0);
    expect(broker.log.join("")).not.toContain("session failed");
  });

  it("does not end the session when the first link goes", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    await coordinator(client, 8);
    await coordinator(client, 9);
    await discharge(client, 9, await declare(client, 8));
    await client.expect("disposition");
    await client.say({ type: "detach", handle: 8, closed: true });
    await client.expect("detach");
  });
});

describe("behind the END of a session", () => {
  it("no delivery is answered that waited for the disk", async () => {
    const broker = await startBroker(["store.kind=lmdb", `store.directory=${temporaryFolder()}`]);
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a");
    const transfer = { type: "transfer", handle: 0, messageFormat: 0, deliveryTag: Buffer.from("1") } as const;
    await client.wire.send(
      Buffer.concat([
        frame({ ...transfer, deliveryId: 0 }, messageBytes("old", true)),
        frame({ type: "flow", ...WINDOWS, handle: 77, linkCredit: 1 }),
      ]),
    );
    expect((await client.expect("end")).performative.error?.condition).toBe("amqp:session:unattached-handle");
    await client.say({ type: "end" });
    await client.begin(0);
    await client.sender("a");
    await client.transfer(messageBytes("new", true), { deliveryId: 5 });
    expect((await client.expect("disposition")).performative).toMatchObject({ first: 5 });
  });

  it("no settlement is answered that was part of a transaction", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    await coordinator(client, 9);
    await client.sender("a");
    await client.transfer(messageBytes("x"), { settled: true });
    const txnId = await declare(client, 9);
    await client.begin(1);
    await client.say(
      {
        type: "attach",
        name: "r",
        handle: 1,
        role: true,
        source: { type: "source", address: "a" },
        target: { type: "target" },
      },
      1,
    );
    await client.expect("attach");
    await client.say({ type: "flow", ...WINDOWS, handle: 1, deliveryCount: 0, linkCredit: 1 }, 1);
    expect(await client.message()).toBe("x");
    const state: DeliveryState = { type: "transactional-state", txnId, outcome: { type: "accepted" } };
    await client.say({ type: "disposition", role: true, first: 0, settled: false, state }, 1);
    await client.say({ type: "end" }, 1);
    expect((await client.expect("end")).channel).toBe(1);
    await discharge(client, 9, txnId);
    expect((await client.expect("disposition")).channel).toBe(0);
    await client.nothing();
  });
});

describe("a link that is detached", () => {
  it("lets others of its session have what it had not settled room for", async () => {
    const broker = await startBroker(["amqp10.max_unsettled=1"]);
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a");
    await client.sender("b", { handle: 3 });
    await client.transfer(messageBytes("a1"), { settled: true });
    await client.transfer(messageBytes("b1"), { settled: true, handle: 3 });
    await client.transfer(messageBytes("b2"), { settled: true, handle: 3 });
    await client.receiver("a", 1, { handle: 1 });
    expect(await client.message()).toBe("a1");
    await client.receiver("b", 2, { handle: 2 });
    expect(await client.message()).toBe("b1");
    await client.say({ type: "disposition", role: true, first: 1, settled: true, state: { type: "accepted" } });
    await client.nothing();
    await client.say({ type: "detach", handle: 1, closed: true });
    expect(await client.message()).toBe("b2");
    await client.expect("detach");
  });

  it("and comes again twice has its deliveries settled", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a");
    await client.transfer(messageBytes("x"), { settled: true });
    const source = { type: "source", address: "a", durable: 2, expiryPolicy: "never" } as const;
    await client.receiver("a", 1, { source });
    const first = (await client.expect("transfer")).performative;
    const tag = first.deliveryTag ?? Buffer.alloc(0);
    for (let round = 1; round <= 2; round++) {
      await client.say({ type: "detach", handle: 1, closed: false });
      await client.expect("detach");
      await client.receiver("a", 1, { source, unsettled: new Map([[tag, null]]) });
      const resumed = (await client.expect("transfer")).performative;
      expect(resumed).toMatchObject({ resume: true, deliveryTag: tag });
      await client.expect("transfer");
      if (round < 2) continue;
      const { deliveryId = 0 } = resumed;
      await client.say({
        type: "disposition",
        role: true,
        first: deliveryId,
        settled: true,
        state: { type: "accepted" },
      });
    }
    await client.nothing();
    expect(host(broker).queues.get("a")?.count).toBe(0);
  });
});

describe("a sender that settles second", () => {
  it("may not have two deliveries of one id under way", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    await client.sender("a", { rcvSettleMode: 1 });
    await client.transfer(messageBytes("1"), { deliveryId: 7, deliveryTag: Buffer.from("1") });
    await client.expect("disposition");
    await client.transfer(messageBytes("2"), { deliveryId: 7, deliveryTag: Buffer.from("2") });
    expect((await client.expect("detach")).performative.error?.condition).toBe("amqp:not-allowed");
    expect(host(broker).queues.get("a")?.count).toBe(1);
  });
});

describe("a dynamic node whose link is refused", () => {
  it("is not kept", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port);
    const before = host(broker).queues.size;
    const filter = new Map([["jms-selector", new Described(symbol("apache.org:selector-filter:string"), "= =")]]);
    await client.receiver(undefined, 0, { name: "r", source: { type: "source", dynamic: true, filter } });
    expect((await client.expect("detach")).performative.error).toBeDefined();
    expect(host(broker).queues.size).toBe(before);
  });
});

describe("a link that is drained while the window of its session is closed", () => {
  it("says so behind the message that waits for the window", async () => {
    const broker = await startBroker();
    using client = await Amqp10Wire.connect(broker.port, { begin: { incomingWindow: 0 } });
    await client.sender("a");
    await client.transfer(messageBytes("x"), { settled: true });
    await client.receiver("a");
    await client.credit(1, 1, { incomingWindow: 0, drain: true });
    const link = (): unknown => [...host(broker).clients].flatMap(({ subscriptions }) => [...subscriptions])[0]?.credit;
    await eventually(() => expect(link()).toMatchObject({ messages: 0 }));
    client.passed.length = 0;
    await client.say({ type: "flow", ...WINDOWS, echo: true });
    expect(await client.message()).toBe("x");
    const { performative } = await client.next();
    expect(performative).toMatchObject({ type: "flow", deliveryCount: 1, linkCredit: 0, drain: true });
    expect(client.passed.some(({ performative: said }) => said.type === "flow" && said.drain)).toBe(false);
  });
});
