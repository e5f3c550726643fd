import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { StompitClient } from "../support/stompit-client.ts";
import { StompWire } from "../support/stomp-wire.ts";

const NUMBERS = Array.from({ length: 10 }, (_, i) => String(i));
const INDIVIDUAL = { ack: "client-individual" };

describe("a queue that is full", () => {
  it("with block: its sender is not read until there is room, and nothing is lost", async () => {
    const { port, queue, host } = await startQueueBroker("queues=[{match: a, max_messages: 4, full: block}]");
    using sender = await StompWire.connect(port);
    for (const body of NUMBERS) await sender.send("SEND", { destination: "/queue/a", receipt: body }, body);
    for (const receipt of NUMBERS.slice(0, 4)) await sender.receipt(receipt);
    await eventually(() => {
      const [client] = host.clients;
      expect(client?.waitingOn).toBe("blocked sending to: queue a");
    });
    expect(queue("a").count).toBe(4);
    const consumer = await StompitClient.connect(port);
    const inbox = await consumer.subscribe("/queue/a", INDIVIDUAL);
    await consumer.ack(await inbox.at(0));
    await sender.receipt("4");
    expect(queue("a").count).toBe(4);
    for (const place of NUMBERS.keys()) {
      if (place > 0) await consumer.ack(await inbox.at(place));
    }
    expect(inbox.bodies).toEqual(NUMBERS);
    for (const receipt of NUMBERS.slice(5)) await sender.receipt(receipt);
  });

  it("with reject: its sender is told in an ERROR what is full, and what was there stays", async () => {
    const { port, queue } = await startQueueBroker("queues=[{match: a, max_messages: 2, full: reject}]");
    const sender = await StompitClient.connect(port);
    await sender.send("/queue/a", "1");
    await sender.send("/queue/a", "2");
    const refused = sender.send("/queue/a", "3");
    await expect(refused).rejects.toThrow(/The queue a holds 2 messages .* at most 2 messages \(max_messages\)/);
    expect(queue("a").count).toBe(2);
    const next = await StompitClient.connect(port);
    const inbox = await next.subscribe("/queue/a", INDIVIDUAL);
    await next.ack(await inbox.at(0));
    await next.send("/queue/a", "4");
    await eventually(() => expect(inbox.bodies).toEqual(["1", "2", "4"]));
  });

  it("with reject: a composite, and a transaction, is refused as a whole", async () => {
    const { port, queue } = await startQueueBroker("queues=[{match: a, max_messages: 2, full: reject}]");
    const one = await StompitClient.connect(port);
    await one.send("/queue/a", "1");
    await one.send("/queue/a,/queue/b", "2");
    await expect(one.send("/queue/b,/queue/a", "3")).rejects.toThrow(/The queue a holds/);
    expect([queue("a").count, queue("b").count]).toEqual([2, 1]);
    using two = await StompWire.connect(port);
    await two.request("BEGIN", { transaction: "t" });
    await two.request("SEND", { destination: "/queue/b", transaction: "t" }, "4");
    await two.request("SEND", { destination: "/queue/a", transaction: "t" }, "5");
    await two.send("COMMIT", { transaction: "t" });
    expect(await two.refused()).toMatch(/The queue a holds/);
    expect([queue("a").count, queue("b").count]).toEqual([2, 1]);
  });

  it("with drop-head is a ring: it keeps the newest", async () => {
    const { port, queue } = await startQueueBroker("queues=[{match: a, max_messages: 3, full: drop-head}]");
    const client = await StompitClient.connect(port);
    for (const body of NUMBERS) await client.send("/queue/a", body);
    const inbox = await client.subscribe("/queue/a");
    await eventually(() => expect(inbox.bodies).toEqual(["7", "8", "9"]));
    expect(queue("a").ledger.lost).toEqual(new Map([["dropped-oldest", 7]]));
  });

  it("with drop-head leaves what a consumer has", async () => {
    const { port } = await startQueueBroker("queues=[{match: a, max_messages: 3, full: drop-head}]");
    const client = await StompitClient.connect(port);
    for (const body of ["1", "2", "3"]) await client.send("/queue/a", body);
    const held = await client.subscribe("/queue/a", { ...INDIVIDUAL, id: "held", credit: "1,0" });
    await held.first(1);
    for (const body of ["4", "5"]) await client.send("/queue/a", body);
    await client.nack(await held.at(0));
    await eventually(() => expect(held.bodies).toEqual(["1", "1"]));
    const rest = await client.subscribe("/queue/a", { id: "rest" });
    await eventually(() => expect(rest.bodies).toEqual(["4", "5"]));
  });

  it("with drop-tail keeps the oldest, by number or by bytes", async () => {
    const { port, queue } = await startQueueBroker(
      "queues=[{match: '*', full: drop-tail}, {match: a, max_messages: 3}, {match: b, max_bytes: 5000}]",
    );
    const client = await StompitClient.connect(port);
    for (const body of NUMBERS) await client.send("/queue/a", body);
    for (const body of NUMBERS) await client.send("/queue/b", body + "x".repeat(1000));
    expect([queue("a").count, queue("a").ledger.lost]).toEqual([3, new Map([["dropped-newest", 7]])]);
    expect([queue("b").count, queue("b").ledger.lost]).toEqual([4, new Map([["dropped-newest", 6]])]);
    expect(queue("b").bytes).toBeLessThanOrEqual(5000);
    const inbox = await client.subscribe("/queue/a");
    await eventually(() => expect(inbox.bodies).toEqual(["0", "1", "2"]));
  });
});

describe("a durable subscription that is full", () => {
  it("with block holds up who sends to its topic", async () => {
    const { port, host } = await startQueueBroker("durable_subscriptions=[{match: mine, max_messages: 2}]");
    const consumer = await StompitClient.connect(port);
    const inbox = await consumer.subscribe("/topic/a", { ...INDIVIDUAL, id: "mine", persistent: true });
    const sender = await StompitClient.connect(port);
    for (const body of ["1", "2", "3"]) sender.post("/topic/a", body);
    await eventually(() => {
      const waits = [...host.clients].map(({ waitingOn }) => waitingOn);
      expect(waits).toContain("blocked sending to: durable subscription mine");
    });
    await eventually(() => expect(inbox.bodies).toEqual(["1", "2"]));
    await consumer.ack(await inbox.at(0));
    await eventually(() => expect(inbox.bodies).toEqual(["1", "2", "3"]));
  });

  it("with reject drops the new message: its sender sent to the topic, not to this", async () => {
    const { port, host } = await startQueueBroker(
      "durable_subscriptions=[{match: mine, max_messages: 1, full: reject}]",
    );
    const client = await StompitClient.connect(port);
    const watched = await client.subscribe("/topic/a", { id: "live" });
    await client.subscribe("/topic/a", { ...INDIVIDUAL, id: "mine", persistent: true });
    for (const body of ["1", "2"]) await client.send("/topic/a", body);
    await eventually(() => expect(watched.bodies).toEqual(["1", "2"]));
    const queue = host.durables.get("mine")?.queue;
    expect([queue?.count, queue?.ledger.lost]).toEqual([1, new Map([["dropped-newest", 1]])]);
  });
});

describe("a message that is larger than its destination takes", () => {
  it.each(["queue", "topic"])("is refused by a %s, and the ERROR says how large it may be", async (kind) => {
    const { port } = await startQueueBroker(`${kind}s=[{match: small, max_message_size: 1k}]`);
    const client = await StompitClient.connect(port);
    await client.send(`/${kind}/small`, "x".repeat(500));
    const refused = client.send(`/${kind}/small`, "x".repeat(2000));
    await expect(refused).rejects.toThrow(
      `The ${kind} small takes at most 1024 bytes (max_message_size), the message has 20`,
    );
  });
});

describe("the time to live of a message", () => {
  it("is the default one where its sender says nothing", async () => {
    const { port, queue } = await startQueueBroker("queues=[{match: a, default_ttl: 30ms}]");
    const client = await StompitClient.connect(port);
    await client.send("/queue/a", "default");
    await client.send("/queue/a", "hour", { ttl: 3_600_000 });
    await eventually(() => expect(queue("a").ledger.lost).toEqual(new Map([["expired", 1]])));
    expect((await (await client.subscribe("/queue/a")).at(0)).body).toBe("hour");
  });

  it("lies between the least and the most there may be", async () => {
    const { port, queue } = await startQueueBroker(
      "queues=[{match: '*', min_ttl: 1h, max_ttl: 2h}, {match: brief, min_ttl: 0, max_ttl: 30ms}]",
    );
    const client = await StompitClient.connect(port);
    const since = Date.now();
    await client.send("/queue/a", "1", { ttl: 5000 });
    await client.send("/queue/a", "2", { ttl: 100 * 3_600_000 });
    await client.send("/queue/a", "3");
    const got = await (await client.subscribe("/queue/a")).first(3);
    const hours = got.map(({ headers }) => Math.round((Number(headers["expires"]) - since) / 3_600_000));
    expect(hours).toEqual([1, 2, 2]);
    await client.send("/queue/brief", "4");
    await eventually(() => expect(queue("brief").ledger.lost).toEqual(new Map([["expired", 1]])));
  });
});
