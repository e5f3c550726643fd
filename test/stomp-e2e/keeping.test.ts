import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { type Inbox, StompitClient } from "../support/stompit-client.ts";
import { StompWire } from "../support/stomp-wire.ts";

/** What a browser sees, without its end. */
async function browse(client: StompitClient, destination: string, id: string): Promise<string[]> {
  const inbox: Inbox = await client.subscribe(destination, { browser: true, id });
  await eventually(() => inbox.got.at(-1)?.headers["browser"] === "end");
  return inbox.bodies.slice(0, -1);
}

describe("a send that is repeated because its receipt was lost", () => {
  it.each(["duplicate-id", "_AMQ_DUPL_ID"])("is recognised by its %s, and confirmed", async (header) => {
    const { port, queue, clients } = await startQueueBroker();
    using first = await StompWire.connect(port);
    await first.send("SEND", { destination: "/queue/a", [header]: "order-1", receipt: "lost" }, "order");
    await eventually(() => expect(queue("a").count).toBe(1));
    first.wire.reset();
    await clients(0);
    const second = await StompitClient.connect(port);
    await second.send("/queue/a", "order", { [header]: "order-1" });
    await second.send("/queue/a", "other", { [header]: "order-2" });
    await second.send("/queue/b", "elsewhere", { [header]: "order-1" });
    const inbox = await second.subscribe("/queue/a");
    await eventually(() => expect(inbox.bodies).toEqual(["order", "other"]));
    expect(inbox.got[0]?.headers[header]).toBe("order-1");
    await second.send("/queue/a", "order", { [header]: "order-1" });
    expect(queue("a").ledger.lost).toEqual(new Map([["duplicate", 2]]));
    expect(queue("b").count).toBe(1);
  });

  it("is recognised after a restart when it is persistent, also in a transaction", async () => {
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`];
    const first = await startQueueBroker(...settings);
    const headers = { "duplicate-id": "order-1", persistent: true };
    await (await StompitClient.connect(first.port)).send("/queue/a", "order", headers);
    await first.stop();
    const { port, queue } = await startQueueBroker(...settings);
    const client = await StompitClient.connect(port);
    await client.send("/queue/a", "order", headers);
    using wire = await StompWire.connect(port);
    await wire.request("BEGIN", { transaction: "t" });
    const repeated = { destination: "/queue/a", "duplicate-id": "order-1", persistent: "true", transaction: "t" };
    await wire.request("SEND", repeated, "order");
    await wire.request("COMMIT", { transaction: "t" });
    expect(queue("a").count).toBe(1);
    expect(queue("a").ledger.lost).toEqual(new Map([["duplicate", 2]]));
  });

  it("to a topic reaches its subscribers once", async () => {
    const { port } = await startQueueBroker();
    const client = await StompitClient.connect(port);
    const inbox = await client.subscribe("/topic/a");
    for (const id of ["1", "1", "2"]) await client.send("/topic/a", id, { "duplicate-id": id });
    await eventually(() => expect(inbox.bodies).toEqual(["1", "2"]));
  });

  it("is confirmed by a queue, and by a schedule, that is full of what was sent first", async () => {
    const { port, queue, host } = await startQueueBroker(
      "queues=[{match: a, max_messages: 1, full: reject}]",
      "schedule.max_messages=1",
    );
    const client = await StompitClient.connect(port);
    const delay = 3_600_000;
    for (let i = 0; i < 2; i++) {
      await client.send("/queue/a", "1", { "duplicate-id": "1" });
      await client.send("/queue/b", "2", { "duplicate-id": "2", delay });
    }
    expect([queue("a").count, host.schedule.count]).toEqual([1, 1]);
    await expect(client.send("/queue/a", "3", { "duplicate-id": "3" })).rejects.toThrow(/The queue a holds/);
    const next = await StompitClient.connect(port);
    await expect(next.send("/queue/b", "3", { "duplicate-id": "3", delay })).rejects.toThrow(/schedule holds/);
  });

  it("is taken for a new one when more ids came since than are remembered, or none are", async () => {
    const { port } = await startQueueBroker(
      "queues=[{match: a, duplicate_window: 2}, {match: b, duplicate_window: 0}]",
    );
    const client = await StompitClient.connect(port);
    for (const id of ["1", "2", "2", "3", "1"]) await client.send("/queue/a", id, { "duplicate-id": id });
    for (const id of ["1", "1"]) await client.send("/queue/b", id, { "duplicate-id": id });
    expect(await browse(client, "/queue/a", "a")).toEqual(["1", "2", "3", "1"]);
    expect(await browse(client, "/queue/b", "b")).toEqual(["1", "1"]);
  });
});

describe("a last-value queue", () => {
  const SHARES = "queues=[{match: shares, last_value_key: symbol}]";

  it("keeps the newest message of each value, and all that have none", async () => {
    const { port, queue } = await startQueueBroker(SHARES);
    const client = await StompitClient.connect(port);
    for (const price of ["1", "2", "3"]) {
      for (const symbol of ["A", "B"]) await client.send("/queue/shares", symbol + price, { symbol });
      await client.send("/queue/shares", price);
    }
    expect(queue("shares").ledger.lost).toEqual(new Map([["replaced", 4]]));
    const inbox = await client.subscribe("/queue/shares");
    await eventually(() => expect(inbox.bodies).toEqual(["1", "2", "A3", "B3", "3"]));
  });

  it("does not bring back an old value that a consumer gives back when there is a newer one", async () => {
    const { port } = await startQueueBroker(SHARES);
    const client = await StompitClient.connect(port);
    const individual = { ack: "client-individual", credit: "1,0" };
    const inbox = await client.subscribe("/queue/shares", individual);
    await client.send("/queue/shares", "old", { symbol: "A" });
    const held = await inbox.at(0);
    await client.send("/queue/shares", "new", { symbol: "A" });
    await client.nack(held);
    await eventually(() => expect(inbox.bodies).toEqual(["old", "new"]));
  });

  it("is one after a restart", async () => {
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`, SHARES];
    const first = await startQueueBroker(...settings);
    const sender = await StompitClient.connect(first.port);
    const persistent = true;
    for (const symbol of ["A", "B"]) await sender.send("/queue/shares", symbol, { symbol, persistent });
    await first.stop();
    const { port } = await startQueueBroker(...settings);
    const client = await StompitClient.connect(port);
    await client.send("/queue/shares", "A again", { symbol: "A", persistent });
    expect(await browse(client, "/queue/shares", "look")).toEqual(["B", "A again"]);
  });
});

describe("a non-destructive queue", () => {
  it("shows everything to everybody who comes, and goes on with what is new", async () => {
    const { port, queue } = await startQueueBroker(
      "queues=[{match: shares, last_value_key: symbol, non_destructive: true}]",
    );
    const sender = await StompitClient.connect(port);
    for (const symbol of ["A", "B", "A"]) await sender.send("/queue/shares", `${symbol}!`, { symbol });
    const one = await (await StompitClient.connect(port)).subscribe("/queue/shares");
    await eventually(() => expect(one.bodies).toEqual(["B!", "A!"]));
    const acking = await StompitClient.connect(port);
    const two = await acking.subscribe("/queue/shares", { ack: "client-individual" });
    for (const place of [0, 1]) await acking.ack(await two.at(place));
    await sender.send("/queue/shares", "new", { symbol: "B" });
    await eventually(() =>
      expect([one.bodies, two.bodies]).toEqual([
        ["B!", "A!", "new"],
        ["B!", "A!", "new"],
      ]),
    );
    expect(queue("shares").count).toBe(2);
  });

  it("with a limit and drop-head is a ring that can be read again and again", async () => {
    const { port } = await startQueueBroker(
      "queues=[{match: ring, max_messages: 3, full: drop-head, non_destructive: true}]",
    );
    const client = await StompitClient.connect(port);
    for (const body of ["1", "2", "3", "4", "5"]) await client.send("/queue/ring", body);
    for (const id of ["once", "twice"]) {
      const inbox = await client.subscribe("/queue/ring", { id });
      await eventually(() => expect(inbox.bodies).toEqual(["3", "4", "5"]));
    }
  });
});
