import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { Amqp10Wire, messageBytes } from "../support/amqp10-wire.ts";

describe("exchanges", () => {
  it("lead to queues that are bound to them, and what they lead nowhere is released", async () => {
    const { port, server } = await startBroker();
    using client = await Amqp10Wire.connect(port);
    await client.receiver("/queues/a", 1);
    await client.sender("/exchanges/amq.direct/key");
    await client.transfer(messageBytes("lost"));
    expect((await client.expect("disposition")).performative.state).toEqual({ type: "released" });
    const host = server.broker.host(undefined);
    const queue = host?.queues.get("a")?.address;
    const [core] = host?.clients ?? [];
    if (queue === undefined) throw new Error("There is no queue a");
    core?.bindQueue(queue, { source: "amq.direct", key: "key", arguments: new Map() });
    await client.transfer(messageBytes("found"));
    expect(await client.message()).toBe("found");
    expect((await client.expect("disposition")).performative.state).toEqual({ type: "accepted" });
  });

  it("that are not there refuse the link", async () => {
    const { port } = await startBroker();
    using client = await Amqp10Wire.connect(port);
    await client.sender("/exchanges/nowhere/key");
    expect((await client.expect("detach")).performative.error?.condition).toBe("amqp:not-found");
  });

  it("amq.topic is the topics", async () => {
    const { port } = await startBroker();
    using client = await Amqp10Wire.connect(port);
    await client.receiver("topic://a.b", 1);
    await client.sender("/exchanges/amq.topic/a.b");
    await client.transfer(messageBytes("x"));
    expect(await client.message()).toBe("x");
  });
});
