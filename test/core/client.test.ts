import { describe, expect, it } from "vitest";
import { coreBroker, parse, plainMessage } from "../support/core-broker.ts";

describe("a confirmation", () => {
  it("waits for the disk when the message is durable", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:a", "1", { durable: true });
    client.core.confirm("r1");
    expect(client.confirms).toEqual([]);
    core.settle();
    expect(client.confirms).toEqual(["r1"]);
  });

  it("comes at once for what needs no disk", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:a", "1");
    client.core.confirm("r1");
    client.send("topic:a", "2", { durable: true });
    client.core.confirm("r2");
    expect(client.confirms).toEqual(["r1", "r2"]);
  });

  it("comes at once when everybody it was for has consumed it", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.subscribe("queue:a", { settling: false });
    core.settle();
    client.send("queue:a", "1", { durable: true });
    client.core.confirm("r1");
    expect(client.confirms).toEqual(["r1"]);
    expect(core.store.statistics().enqueued).toBe(0);
  });

  it("keeps the order of what was said", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (const name of ["r1", "r2", "r3"]) {
      client.send("queue:a", name, { durable: true });
      client.core.confirm(name);
    }
    core.settle();
    expect(client.confirms).toEqual(["r1", "r2", "r3"]);
  });
});

describe("a transaction", () => {
  it("does nothing before it is committed and everything then", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:in", "work");
    const consumer = client.subscribe("queue:in");
    const results = client.subscribe("queue:out", { settling: false });
    core.settle();
    const transaction = client.core.begin();
    const address = parse("queue:out");
    client.core.publish(client.core.route([address]), plainMessage(address, "done", { durable: true }), transaction);
    client.core.settle(consumer.subscription, consumer.got.next(), "accepted", transaction);
    core.settle();
    expect(results.got.bodies).toEqual([]);
    expect(core.broker.host(undefined)?.queues.get("in")?.count).toBe(1);
    transaction.commit();
    core.settle();
    expect(results.got.bodies).toEqual(["done"]);
    expect(core.broker.host(undefined)?.queues.get("in")?.count).toBe(0);
  });

  it("gives deliveries back when it is aborted or its client goes", async () => {
    const core = await coreBroker();
    const [one, two] = [core.client(), core.client()];
    one.send("queue:in", "1");
    one.send("queue:in", "2");
    const consumer = one.subscribe("queue:in", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    const transaction = one.core.begin();
    one.core.settle(consumer.subscription, consumer.got.next(), "accepted", transaction);
    expect(consumer.got.bodies).toEqual(["2"]);
    one.core.settle(consumer.subscription, consumer.got.next(), "accepted", transaction);
    transaction.abort();
    expect(consumer.got.taken.map((item) => [item.body, item.deliveries])).toEqual([["1", 1]]);
    const other = one.core.begin();
    one.core.settle(consumer.subscription, consumer.got.next(), "accepted", other);
    one.core.close();
    const next = two.subscribe("queue:in", { settling: false });
    core.settle();
    expect(next.got.bodies).toEqual(["1", "2"]);
  });

  it("still settles what a consumer had that was closed before the commit", async () => {
    const core = await coreBroker();
    const client = core.client();
    client.send("queue:in", "1");
    const consumer = client.subscribe("queue:in");
    core.settle();
    const transaction = client.core.begin();
    client.core.settle(consumer.subscription, consumer.got.next(), "accepted", transaction);
    consumer.subscription.close();
    transaction.commit();
    expect(core.broker.host(undefined)?.queues.get("in")?.count).toBe(0);
  });

  it("is refused and rolled back when it grows over its limit", async () => {
    const core = await coreBroker({ host: { transactionBytes: 100 } });
    const client = core.client();
    const transaction = client.core.begin();
    const address = parse("queue:a");
    const send = (): void =>
      client.core.publish(client.core.route([address]), plainMessage(address, "x".repeat(60)), transaction);
    send();
    expect(send).toThrow("transactions.max_bytes");
    transaction.commit();
    expect(core.broker.host(undefined)?.queues.get("a")?.count).toBe(0);
  });
});

describe("a temporary queue", () => {
  it("takes messages from anybody, gives them to its owner only, and goes with it", async () => {
    const core = await coreBroker();
    const [owner, other] = [core.client(), core.client()];
    const address = owner.core.temporary("queue", "reply");
    expect(owner.core.temporary("queue", "reply")).toBe(address);
    const { got } = owner.subscribe(`queue:${address.name}`);
    core.settle();
    other.send(`queue:${address.name}`, "answer", { durable: true });
    expect(got.bodies).toEqual(["answer"]);
    expect(core.store.statistics().enqueued).toBe(0);
    expect(() => other.subscribe(`queue:${address.name}`)).toThrow("belongs to another session");
    owner.core.close();
    core.settle();
    other.send(`queue:${address.name}`, "too late");
    expect(core.broker.host(undefined)?.unroutable.lost.get("no-subscriber")).toBe(1);
    expect(() => other.subscribe(`queue:${address.name}`)).toThrow("its owner is gone");
  });
});
