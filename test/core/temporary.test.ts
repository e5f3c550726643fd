import { describe, expect, it } from "vitest";
import { coreBroker, parse, parsePattern, plainMessage, testStore } from "../support/core-broker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

describe("an answer to a temporary destination", () => {
  it.each(["queue", "topic"] as const)("whose owner is gone is dropped and counted (%s)", async (kind) => {
    const core = await coreBroker();
    const host = core.broker.host(undefined);
    const [owner, server] = [core.client(), core.client()];
    const address = owner.core.temporary(kind, "reply");
    const route = server.core.route([address]);
    const answer = (body: string): void => server.core.publish(route, plainMessage(address, body));
    const { got } = owner.subscribe(`${kind}:${address.name}`, { settling: false });
    core.settle();
    answer("1");
    owner.core.close();
    answer("2");
    expect(got.bodies).toEqual(["1"]);
    expect(host?.unroutable.lost).toEqual(new Map([["no-subscriber", 1]]));
    expect([host?.queues.size, host?.topics.size]).toEqual([0, 0]);
  });

  it("in one transaction with others does not keep them from being sent", async () => {
    const core = await coreBroker();
    const [owner, server] = [core.client(), core.client()];
    const address = owner.core.temporary("queue", "reply");
    const transaction = server.core.begin();
    for (const to of [address, parse("queue:done")]) {
      server.core.publish(server.core.route([to]), plainMessage(to, "1"), transaction);
    }
    owner.core.close();
    transaction.commit();
    expect(core.broker.host(undefined)?.queues.get("done")?.count).toBe(1);
    expect(core.broker.host(undefined)?.unroutable.received).toBe(1);
  });

  it("reaches it as soon as its owner made it, although it was sent to before", async () => {
    const core = await coreBroker();
    const [owner, server] = [core.client(), core.client()];
    const address = parse(`queue:temp.${owner.core.id}.reply`);
    const route = server.core.route([address]);
    const answer = (body: string): void => server.core.publish(route, plainMessage(address, body));
    answer("early");
    owner.core.temporary("queue", "reply");
    answer("in time");
    expect(core.broker.host(undefined)?.queues.get(address.name)?.count).toBe(1);
  });
});

describe("a temporary destination", () => {
  it("goes with what it holds when its owner goes", async () => {
    const core = await coreBroker();
    const host = core.broker.host(undefined);
    const [owner, server] = [core.client(), core.client()];
    const address = owner.core.temporary("queue", "reply");
    for (const body of ["1", "2"]) server.send(`queue:${address.name}`, body, { durable: true });
    const queue = host?.queues.get(address.name);
    owner.core.close();
    expect(queue?.ledger.lost).toEqual(new Map([["deleted", 2]]));
    expect(host?.queues.size).toBe(0);
    expect(core.broker.engine.memoryBytes).toBe(0);
  });

  it("takes the retained message of a topic along, and gets none afterwards", async () => {
    const core = await coreBroker();
    const [owner, server] = [core.client(), core.client()];
    const address = owner.core.temporary("topic", "state");
    const retained = core.broker.host(undefined)?.retained;
    const route = server.core.route([address]);
    server.core.retain(route, plainMessage(address, "1"));
    expect(retained?.count).toBe(1);
    owner.core.close();
    expect(retained?.count).toBe(0);
    server.core.retain(route, plainMessage(address, "2"));
    expect(retained?.count).toBe(0);
  });

  it("has no retained message after a broker that ended before its owner could", async () => {
    const clock = new VirtualClock();
    const store = testStore(clock);
    const first = await coreBroker({ clock, store });
    const client = first.client();
    const addresses = [client.core.temporary("topic", "state"), parse("topic:t")];
    for (const address of addresses) client.core.retain(client.core.route([address]), plainMessage(address, "1"));
    first.settle();
    await first.broker.close();
    const second = await coreBroker({ clock, store });
    expect(second.broker.host(undefined)?.retained.count).toBe(1);
    expect([...store.keys("retained")].length).toBe(1);
  });

  it("leaves no ids of sends in the store", async () => {
    const core = await coreBroker();
    const owner = core.client();
    const { name } = owner.core.temporary("queue", "reply");
    for (const id of ["1", "1"]) core.client().send(`queue:${name}`, id, { duplicateId: id, durable: true });
    expect(core.broker.host(undefined)?.queues.get(name)?.count).toBe(1);
    expect([...core.store.keys("duplicates")]).toEqual([]);
  });

  it("is subject to the policies of its name", async () => {
    const policies = [{ pattern: parsePattern("queue:temp.**"), maxMessageBytes: 5 }];
    const core = await coreBroker({ host: { policies } });
    const { name } = core.client().core.temporary("queue", "reply");
    expect(() => core.client().send(`queue:${name}`, "too much")).toThrow("max_message_size");
  });

  it("that is gone is made again by no operator", async () => {
    const core = await coreBroker();
    const [owner, other] = [core.client(), core.client()];
    const address = owner.core.temporary("queue", "reply");
    other.send("queue:a", "1");
    owner.core.close();
    const host = core.broker.host(undefined);
    const from = host?.queues.get("a");
    expect(() => from && host?.operations.move(from, address)).toThrow("is gone");
  });

  it("is made by a session only, whatever somebody else calls a destination", async () => {
    const core = await coreBroker();
    const reader = core.client().subscribe("topic:temp.kitchen");
    core.client().send("topic:temp.kitchen", "21 degrees");
    core.client().send("queue:temp.mine", "1");
    core.settle();
    core.client().send("topic:temp.room-1-2", "22 degrees");
    expect(core.broker.host(undefined)?.topics.has("temp.room-1-2")).toBe(true);
    expect(reader.got.bodies).toEqual(["21 degrees"]);
    expect(core.client().subscribe("queue:temp.mine").got).toBeDefined();
    expect(() => core.client().subscribe("queue:temp.default-1-ff.mine")).toThrow("does not exist: its owner is gone");
  });
});
