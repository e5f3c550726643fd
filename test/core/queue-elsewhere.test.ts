import { describe, expect, it } from "vitest";
import { coreBroker } from "../support/core-broker.ts";

describe("a delivery that its consumer wants others to have", () => {
  it("goes to another consumer, and never again to this one", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (const body of ["1", "2"]) client.send("queue:a", body);
    const picky = client.subscribe("queue:a");
    core.settle();
    client.core.settle(picky.subscription, picky.got.next(), "elsewhere");
    client.core.settle(picky.subscription, picky.got.next(), "accepted");
    client.send("queue:a", "3");
    core.settle();
    expect(picky.got.bodies).toEqual(["3"]);
    const other = client.subscribe("queue:a");
    core.settle();
    expect(other.got.taken.map(({ body, deliveries }) => [body, deliveries])).toEqual([["1", 0]]);
  });

  it("counts as delivered if it is said to have failed", async () => {
    const core = await coreBroker();
    const client = core.client();
    const [first, second] = [client.subscribe("queue:a"), client.subscribe("queue:a")];
    core.settle();
    client.send("queue:a", "1");
    core.settle();
    const [had, other] = first.got.taken.length > 0 ? [first, second] : [second, first];
    client.core.settle(had.subscription, had.got.next(), "failed-elsewhere");
    core.settle();
    expect([had.got.bodies, other.got.taken.map(({ body, deliveries }) => [body, deliveries])]).toEqual([
      [],
      [["1", 1]],
    ]);
  });

  it("waits when everybody refused it, and the others go on", async () => {
    const core = await coreBroker();
    const client = core.client();
    const { subscription, got } = client.subscribe("queue:a", { credit: { messages: 1, bytes: 0 } });
    client.send("queue:a", "1");
    core.settle();
    client.core.settle(subscription, got.next(), "failed-elsewhere");
    for (const body of ["2", "3"]) client.send("queue:a", body);
    for (const body of ["2", "3"]) {
      core.settle();
      expect(got.bodies).toEqual([body]);
      client.core.settle(subscription, got.next(), "accepted");
    }
    expect(core.broker.host(undefined)?.queues.get("a")?.count).toBe(1);
  });
});
