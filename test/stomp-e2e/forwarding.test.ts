import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { StompitClient } from "../support/stompit-client.ts";

describe("a mirrored queue", () => {
  it("is one with the topic of its name: what is sent to either goes to both", async () => {
    const { port } = await startQueueBroker("queues=[{match: 'both.*', mirrored: true}]");
    const client = await StompitClient.connect(port);
    const watched = await client.subscribe("/topic/both.a", { id: "topic" });
    await client.send("/queue/both.a", "to the queue");
    await client.send("/topic/both.a", "to the topic");
    const worked = await client.subscribe("/queue/both.a", { id: "queue" });
    const both = ["to the queue", "to the topic"];
    await eventually(() => expect([watched.bodies, worked.bodies]).toEqual([both, both]));
  });

  it("keeps what its topic gets while nobody is there, also over a restart", async () => {
    const settings = [
      "store.kind=lmdb",
      `store.directory=${temporaryFolder()}`,
      "queues=[{match: both, mirrored: true}]",
    ];
    const first = await startQueueBroker(...settings);
    await (await StompitClient.connect(first.port)).send("/topic/both", "1", { persistent: true });
    await first.stop();
    const { port } = await startQueueBroker(...settings);
    const client = await StompitClient.connect(port);
    await client.send("/topic/both", "2", { persistent: true });
    const inbox = await client.subscribe("/queue/both");
    await eventually(() => expect(inbox.bodies).toEqual(["1", "2"]));
  });
});

describe("a mirrored queue that only a wildcard names", () => {
  it("begins with its first use as a queue", async () => {
    const { port } = await startQueueBroker("queues=[{match: 'both.*', mirrored: true}]");
    const client = await StompitClient.connect(port);
    await client.send("/topic/both.a", "before");
    await client.send("/queue/both.a", "first");
    await client.send("/topic/both.a", "second");
    const inbox = await client.subscribe("/queue/both.a");
    await eventually(() => expect(inbox.bodies).toEqual(["first", "second"]));
  });
});

describe("a virtual topic", () => {
  it("gives all it gets to each group of consumers, which share it among them", async () => {
    const { port } = await startQueueBroker();
    const sender = await StompitClient.connect(port);
    const groupA = "/queue/Consumer.A.VirtualTopic.Orders";
    const groupB = "/queue/Consumer.B.VirtualTopic.Orders";
    const one = await (await StompitClient.connect(port)).subscribe(groupA);
    const two = await (await StompitClient.connect(port)).subscribe(groupA);
    const other = await StompitClient.connect(port);
    const three = await other.subscribe(groupB);
    const plain = await sender.subscribe("/topic/VirtualTopic.Orders");
    const numbers = Array.from({ length: 10 }, (_, i) => String(i));
    for (const body of numbers) await sender.send("/topic/VirtualTopic.Orders", body);
    await eventually(() => expect([three.bodies, plain.bodies]).toEqual([numbers, numbers]));
    await eventually(() => expect([...one.bodies, ...two.bodies].sort()).toEqual(numbers));
    expect(one.got.length).toBe(5);
    await other.disconnect();
    await sender.send("/topic/VirtualTopic.Orders", "meanwhile");
    const back = await (await StompitClient.connect(port)).subscribe(groupB);
    await eventually(() => expect(back.bodies).toEqual(["meanwhile"]));
  });

  it("has the names that the configuration says", async () => {
    const { port } = await startQueueBroker('virtual_topics=[{topics: "events.**", consumers: "work.*.of"}]');
    const client = await StompitClient.connect(port);
    const inbox = await client.subscribe("/queue/work.billing.of.events.new");
    await client.send("/topic/events.new", "1");
    await client.send("/topic/events.old", "2");
    await client.send("/topic/events.new", "3");
    await eventually(() => expect(inbox.bodies).toEqual(["1", "3"]));
  });
});

describe("a divert", () => {
  it("sends a copy of what its selector wants elsewhere, by name", async () => {
    const { port } = await startQueueBroker(
      'diverts=[{from: {queue: "orders.**"}, to: [{queue: "audit.*"}], selector: "amount > 1000"}]',
    );
    const client = await StompitClient.connect(port);
    const orders = await client.subscribe("/queue/orders.eu.new");
    const audit = await client.subscribe("/queue/audit.orders.eu.new");
    for (const amount of [500, 5000]) await client.send("/queue/orders.eu.new", String(amount), { amount });
    await eventually(() => expect([orders.bodies, audit.bodies]).toEqual([["500", "5000"], ["5000"]]));
    expect(audit.got[0]?.headers["destination"]).toBe("/queue/orders.eu.new");
  });

  it("makes a queue keep what a topic says", async () => {
    const { port } = await startQueueBroker('diverts=[{from: {topic: "news.**"}, to: [{queue: archive}]}]');
    const client = await StompitClient.connect(port);
    await client.send("/topic/news.sport", "1");
    await client.send("/topic/news.world.asia", "2");
    const inbox = await client.subscribe("/queue/archive");
    await eventually(() => expect(inbox.bodies).toEqual(["1", "2"]));
  });

  it("that is exclusive makes one name stand for several", async () => {
    const { port, queue } = await startQueueBroker(
      'diverts=[{from: {queue: "orders.new"}, exclusive: true, ' +
        'to: [{queue: "orders.shipping"}, {queue: "orders.billing"}, {topic: orders}]}]',
    );
    const client = await StompitClient.connect(port);
    const watched = await client.subscribe("/topic/orders");
    await client.send("/queue/orders.new", "1");
    await eventually(() => expect(watched.bodies).toEqual(["1"]));
    const counts = ["orders.new", "orders.shipping", "orders.billing"].map((name) => queue(name).count);
    expect(counts).toEqual([0, 1, 1]);
    expect(queue("orders.new").ledger.lost).toEqual(new Map([["diverted", 1]]));
  });

  it("that leads back to where it began ends, and each queue has the message", async () => {
    const { port, queue } = await startQueueBroker(
      "diverts=[{from: {queue: ping}, to: [{queue: pong}]}, {from: {queue: pong}, to: [{queue: ping}]}]",
    );
    const client = await StompitClient.connect(port);
    await client.send("/queue/ping", "1");
    expect(queue("ping").count).toBeGreaterThan(0);
    expect(queue("pong").count).toBeGreaterThan(0);
    expect(queue("ping").count + queue("pong").count).toBeLessThan(20);
  });
});
