import { describe, expect, it, onTestFinished } from "vitest";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";

async function open(settings: readonly string[] = []): Promise<AmqpWire> {
  const { port } = await startBroker(settings);
  const client = await AmqpWire.channel(port);
  onTestFinished(() => client[Symbol.dispose]());
  await client.openChannel(2);
  await client.declare("q");
  await client.ask(2, "tx.select", {}, "tx.select-ok");
  return client;
}

describe("a transaction", () => {
  it("sends when it is committed", async () => {
    const client = await open();
    await client.publish("", "q", "a", {}, 2);
    await client.publish("", "q", "b", { deliveryMode: 2 }, 2);
    await client.quiet(2);
    expect(await client.get("q")).toBeUndefined();
    await client.ask(2, "tx.commit", {}, "tx.commit-ok");
    expect([(await client.get("q"))?.body, (await client.get("q"))?.body]).toEqual(["a", "b"]);
  });

  it("sends nothing when it is rolled back, or its channel closes", async () => {
    const client = await open();
    await client.publish("", "q", "a", {}, 2);
    await client.ask(2, "tx.rollback", {}, "tx.rollback-ok");
    await client.ask(2, "tx.commit", {}, "tx.commit-ok");
    await client.publish("", "q", "b", {}, 2);
    await client.ask(2, "channel.close", {}, "channel.close-ok");
    expect(await client.get("q")).toBeUndefined();
  });

  it("acknowledges when it is committed; after a rollback what was said may be said anew", async () => {
    const client = await open();
    for (const body of ["1", "2", "3", "4"]) await client.publish("", "q", body);
    await client.ask(2, "basic.qos", { prefetchCount: 3 }, "basic.qos-ok");
    await client.consume("q", {}, 2);
    for (let tag = 1; tag <= 3; tag++) await client.delivery(2);
    await client.say("basic.ack", { deliveryTag: 2, multiple: true }, 2);
    // Not before the commit.
    await client.quiet(2);
    await client.ask(2, "tx.rollback", {}, "tx.rollback-ok");
    await client.say("basic.ack", { deliveryTag: 1 }, 2);
    await client.say("basic.ack", { deliveryTag: 3, multiple: true }, 2);
    await client.say("tx.commit", {}, 2);
    const frames = [];
    while (frames.length < 4) {
      const frame = await client.next();
      frames.push(frame.type === "method" ? frame.method.name : frame.type);
    }
    expect(frames.sort()).toEqual(["basic.deliver", "body", "header", "tx.commit-ok"]);
    await client.say("basic.ack", { deliveryTag: 2 }, 2);
    expect(await client.expect("channel.close", 2)).toMatchObject({ replyCode: 406 });
    await client.say("channel.close-ok", {}, 2);
    expect((await client.get("q"))?.body).toBe("4");
    expect(await client.get("q")).toBeUndefined();
  });

  it("that was not committed gives back what it acknowledged when its channel closes", async () => {
    const client = await open();
    for (const body of ["1", "2"]) await client.publish("", "q", body);
    await client.consume("q", {}, 2);
    for (let tag = 1; tag <= 2; tag++) await client.delivery(2);
    await client.say("basic.ack", { deliveryTag: 1 }, 2);
    await client.declare("got");
    await client.publish("", "got", "3");
    await client.say("basic.get", { queue: "got" }, 2);
    await client.content("basic.get-ok", 2);
    await client.say("basic.ack", { deliveryTag: 3 }, 2);
    await client.ask(2, "channel.close", {}, "channel.close-ok");
    expect(await client.get("q")).toMatchObject({ body: "1", method: { redelivered: true } });
    expect(await client.get("q")).toMatchObject({ body: "2", method: { redelivered: true } });
    expect(await client.get("got")).toMatchObject({ body: "3", method: { redelivered: true } });
  });

  it("returns what was mandatory when it is committed", async () => {
    const client = await open();
    await client.publish("", "nowhere", "a", { mandatory: true }, 2);
    await client.publish("", "later", "b", { mandatory: true }, 2);
    await client.quiet(2);
    await client.declare("later");
    await client.say("tx.commit", {}, 2);
    expect(await client.content("basic.return", 2)).toMatchObject({ body: "a", method: { routingKey: "nowhere" } });
    await client.expect("tx.commit-ok", 2);
    expect((await client.get("later"))?.body).toBe("b");
  });

  it("that grows too large closes the channel", async () => {
    const client = await open(["transactions.max_bytes=1024"]);
    await client.publish("", "q", "x".repeat(600), {}, 2);
    await client.publish("", "q", "x".repeat(600), {}, 2);
    expect(await client.expect("channel.close", 2)).toMatchObject({
      replyCode: 406,
      replyText: expect.stringContaining("transactions.max_bytes"),
    });
    expect(await client.get("q")).toBeUndefined();
  });

  it("to an exchange that is gone when it is committed does nothing at all", async () => {
    const client = await open();
    await client.ask(1, "exchange.declare", { exchange: "x" }, "exchange.declare-ok");
    await client.publish("", "q", "a", {}, 2);
    await client.publish("x", "k", "b", {}, 2);
    await client.quiet(2);
    await client.ask(1, "exchange.delete", { exchange: "x" }, "exchange.delete-ok");
    await client.say("tx.commit", {}, 2);
    expect(await client.expect("channel.close", 2)).toMatchObject({ replyCode: 404, classId: 90, methodId: 20 });
    expect(await client.get("q")).toBeUndefined();
  });

  it.each(["tx.commit", "tx.rollback"] as const)("must be begun before %s", async (name) => {
    const client = await open();
    await client.say(name);
    expect(await client.expect("channel.close", 1)).toMatchObject({
      replyCode: 406,
      replyText: "PRECONDITION_FAILED - channel is not transactional",
    });
  });
});
