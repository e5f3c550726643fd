import { describe, expect, it } from "vitest";
import { encodeComposite } from "../../protocols/amqp10/performatives.ts";
import type { Declare, Discharge } from "../../protocols/amqp10/performatives.ts";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { Amqp10Wire, messageBytes } from "../support/amqp10-wire.ts";

const COORDINATOR = 9;
const VALUE = Buffer.from([0x00, 0x53, 0x77]);

function count(broker: TestBroker, queue: string): number {
  return broker.server.broker.host(undefined)?.queues.get(queue)?.count ?? 0;
}

async function attached(settings: readonly string[] = []): Promise<{ broker: TestBroker; client: Amqp10Wire }> {
  const broker = await startBroker(settings);
  const client = await Amqp10Wire.connect(broker.port);
  await client.sender(undefined, { name: "tx", handle: COORDINATOR, target: { type: "coordinator" } });
  await client.sender("a");
  return { broker, client };
}

async function declare(client: Amqp10Wire): Promise<Buffer> {
  const body = encodeComposite<Declare>({ type: "declare" });
  await client.transfer(Buffer.concat([VALUE, body]), { handle: COORDINATOR });
  const { state } = (await client.expect("disposition")).performative;
  if (state?.type !== "declared") throw new Error(`Not declared: ${JSON.stringify(state)}`);
  return state.txnId;
}

async function discharge(client: Amqp10Wire, txnId: Buffer, fail: boolean): Promise<unknown> {
  const body = encodeComposite<Discharge>({ type: "discharge", txnId, fail });
  const id = await client.transfer(Buffer.concat([VALUE, body]), { handle: COORDINATOR });
  for (;;) {
    const { first, state } = (await client.expect("disposition")).performative;
    if (first === id) return state;
  }
}

describe("transactions", () => {
  it("hold what is sent in them until they are discharged", async () => {
    const { broker, client } = await attached();
    using _client = client;
    const txnId = await declare(client);
    await client.transfer(messageBytes("1"), { state: { type: "transactional-state", txnId } });
    expect((await client.expect("disposition")).performative).toMatchObject({
      settled: true,
      state: { type: "transactional-state", txnId, outcome: { type: "accepted" } },
    });
    await client.transfer(messageBytes("2"), { settled: true, state: { type: "transactional-state", txnId } });
    await client.transfer(messageBytes("outside"), { settled: true });
    await eventually(() => count(broker, "a") === 1);
    expect(await discharge(client, txnId, false)).toEqual({ type: "accepted" });
    expect(count(broker, "a")).toBe(3);
  });

  it("that fail leave nothing behind", async () => {
    const { broker, client } = await attached();
    using _client = client;
    const txnId = await declare(client);
    await client.transfer(messageBytes("1"), { settled: true, state: { type: "transactional-state", txnId } });
    expect(await discharge(client, txnId, true)).toEqual({ type: "accepted" });
    expect(count(broker, "a")).toBe(0);
  });

  it.each([
    [false, 0],
    [true, 1],
  ])("hold settlements too; with fail %s the queue then has %d", async (fail, left) => {
    const { broker, client } = await attached();
    using _client = client;
    await client.transfer(messageBytes("x"), { settled: true });
    await client.receiver("a", 1);
    expect(await client.message()).toBe("x");
    const txnId = await declare(client);
    const state = { type: "transactional-state", txnId, outcome: { type: "accepted" } } as const;
    await client.say({ type: "disposition", role: true, first: 0, settled: true, state });
    await client.nothing();
    expect(count(broker, "a")).toBe(1);
    expect(await discharge(client, txnId, fail)).toEqual({ type: "accepted" });
    expect(count(broker, "a")).toBe(left);
  });

  it("settle what was accepted in them and not settled", async () => {
    const { client } = await attached();
    using _client = client;
    await client.transfer(messageBytes("x"), { settled: true });
    await client.receiver("a", 1);
    await client.message();
    const txnId = await declare(client);
    const state = { type: "transactional-state", txnId, outcome: { type: "accepted" } } as const;
    await client.say({ type: "disposition", role: true, first: 0, settled: false, state });
    const body = encodeComposite<Discharge>({ type: "discharge", txnId, fail: false });
    await client.transfer(Buffer.concat([VALUE, body]), { handle: COORDINATOR });
    expect((await client.expect("disposition")).performative).toMatchObject({
      role: false,
      first: 0,
      settled: true,
      state: { type: "accepted" },
    });
  });

  it("that nobody knows are refused, on the coordinator's link and on others", async () => {
    const { client } = await attached();
    using _client = client;
    const txnId = Buffer.from("nope");
    expect(await discharge(client, txnId, false)).toMatchObject({
      type: "rejected",
      error: { condition: "amqp:transaction:unknown-id" },
    });
    await client.transfer(messageBytes("x"), { state: { type: "transactional-state", txnId } });
    expect((await client.expect("disposition")).performative.state).toMatchObject({
      type: "rejected",
      error: { condition: "amqp:transaction:unknown-id" },
    });
  });

  it("cannot be used once they are discharged", async () => {
    const { client } = await attached();
    using _client = client;
    const txnId = await declare(client);
    await discharge(client, txnId, false);
    expect(await discharge(client, txnId, false)).toMatchObject({ type: "rejected" });
  });

  it("are bounded in number and in size", async () => {
    const { client } = await attached(["transactions.max_open=1", "transactions.max_bytes=1k"]);
    using _client = client;
    const txnId = await declare(client);
    await expect(declare(client)).rejects.toThrow(/amqp:resource-limit-exceeded.*transactions.max_open/);
    await client.transfer(messageBytes("x".repeat(2000)), { state: { type: "transactional-state", txnId } });
    expect((await client.expect("disposition")).performative.state).toMatchObject({
      type: "rejected",
      error: { condition: "amqp:resource-limit-exceeded" },
    });
    expect(await discharge(client, txnId, false)).toMatchObject({
      type: "rejected",
      error: { condition: "amqp:transaction:rollback" },
    });
  });

  it("are rolled back when their coordinator's link goes", async () => {
    const { broker, client } = await attached();
    using _client = client;
    await client.transfer(messageBytes("x"), { settled: true });
    await client.receiver("a", 1);
    await client.message();
    const txnId = await declare(client);
    const state = { type: "transactional-state", txnId, outcome: { type: "accepted" } } as const;
    await client.say({ type: "disposition", role: true, first: 0, settled: true, state });
    await client.say({ type: "detach", handle: COORDINATOR, closed: true });
    await client.expect("detach");
    using other = await Amqp10Wire.connect(broker.port);
    await other.receiver("a", 1);
    await client.say({ type: "close" });
    expect(await other.message()).toBe("x");
  });

  it("know nothing but declare and discharge", async () => {
    const { client } = await attached();
    using _client = client;
    await client.transfer(messageBytes("x"), { handle: COORDINATOR });
    expect((await client.expect("disposition")).performative.state).toMatchObject({
      type: "rejected",
      error: { condition: "amqp:decode-error" },
    });
  });
});
