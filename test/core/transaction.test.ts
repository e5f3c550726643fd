import { describe, expect, it } from "vitest";
import { coreBroker, parse } from "../support/core-broker.ts";

describe("an aborted transaction", () => {
  it("gives deliveries back in the queue's order, whatever the order they were settled in", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { subscription, got } = client.subscribe("queue:a", { credit: { messages: 3, bytes: 0 } });
    core.settle();
    for (const body of ["1", "2", "3"]) client.send("queue:a", body);
    const transaction = client.core.begin();
    const deliveries = [got.next(), got.next(), got.next()];
    for (const delivery of deliveries.reverse()) client.core.settle(subscription, delivery, "accepted", transaction);
    transaction.abort();
    expect(got.bodies).toEqual(["1", "2", "3"]);
  });
});

describe("a transaction that is rolled back because it grew over its limit", () => {
  it("gives the credit of the delivery back with which it did", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { subscription, got } = client.subscribe("queue:a", { credit: { messages: 1, bytes: 0 } });
    core.settle();
    client.send("queue:a", "1");
    const transaction = client.core.begin();
    // Each counts as an operation and none as bytes, so that it is a settlement that grows over the limit.
    const route = client.core.route([parse("topic:a")]);
    for (let i = 0; i < 100_000; i++) client.core.retain(route, undefined, transaction);
    expect(() => client.core.settle(subscription, got.next(), "accepted", transaction)).toThrow("rolled back");
    expect(got.bodies).toEqual(["1"]);
  });
});

describe("a client that closes with deliveries in a transaction", () => {
  it("gives them back in the queue's order with those that its subscriptions held", async () => {
    const core = await coreBroker();
    const [one, two] = [core.client(), core.client()];
    const [first, sibling] = [one.subscribe("queue:a"), one.subscribe("queue:a")];
    core.settle();
    for (const body of ["1", "2", "3", "4", "5", "6"]) one.send("queue:a", body);
    const next = two.subscribe("queue:a");
    core.settle();
    for (const { subscription, got } of [sibling, first]) {
      const transaction = one.core.begin();
      got.next();
      one.core.settle(subscription, got.next(), "accepted", transaction);
    }
    one.core.close();
    core.settle();
    expect(next.got.taken.map(({ body, deliveries }) => `${body} ${deliveries}`)).toEqual(
      ["1", "2", "3", "4", "5", "6"].map((body) => `${body} 1`),
    );
  });
});

describe("a delivery that came back and is at another consumer now", () => {
  it.each([false, true])("is not settled by the one that had it before (in a transaction: %s)", async (within) => {
    const core = await coreBroker();
    const [one, two] = [core.client(), core.client()];
    const first = one.subscribe("queue:a");
    core.settle();
    one.send("queue:a", "1");
    const stale = first.got.next();
    first.subscription.close();
    const second = two.subscribe("queue:a");
    core.settle();
    expect(second.got.bodies).toEqual(["1"]);
    const transaction = within ? one.core.begin() : undefined;
    one.core.settle(first.subscription, stale, "accepted", transaction);
    transaction?.commit();
    const queue = core.broker.host(undefined)?.queues.get("a");
    expect([queue?.count, queue?.held, queue?.ledger.consumed]).toEqual([1, 1, 0]);
    two.core.settle(second.subscription, second.got.next(), "accepted");
    expect(queue?.ledger.consumed).toBe(1);
  });
});
