import { describe, expect, it, onTestFinished } from "vitest";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

const REPLY_TO = "amq.rabbitmq.reply-to";

async function open(): Promise<{ client: AmqpWire; server: AmqpWire; broker: TestBroker }> {
  const broker = await startBroker();
  const { port } = broker;
  const client = await AmqpWire.channel(port);
  const server = await AmqpWire.channel(port);
  onTestFinished(() => client[Symbol.dispose]());
  onTestFinished(() => server[Symbol.dispose]());
  await server.declare("requests");
  return { client, server, broker };
}

describe("direct reply-to", () => {
  it("brings the answer to the channel that asked", async () => {
    const { client, server } = await open();
    await client.openChannel(2);
    await client.consume(REPLY_TO, { noAck: true, consumerTag: "one" });
    await client.consume(REPLY_TO, { noAck: true, consumerTag: "two" }, 2);
    await client.publish("", "requests", "question", { replyTo: REPLY_TO, correlationId: "c" }, 2);
    const { properties, body } = (await server.get("requests")) ?? {};
    expect(body).toBe("question");
    const replyTo = properties?.replyTo ?? "";
    expect(replyTo).not.toBe(REPLY_TO);
    expect(await server.ask(1, "queue.declare", { queue: replyTo, passive: true }, "queue.declare-ok")).toMatchObject({
      consumerCount: 1,
    });
    await server.publish("", replyTo, "answer", { correlationId: "c" });
    expect(await client.delivery(2)).toMatchObject({
      body: "answer",
      method: { consumerTag: "two" },
      properties: { correlationId: "c" },
    });
  });

  it("leads nowhere once the client is gone, and harms nobody who answers", async () => {
    const { client, server } = await open();
    await client.consume(REPLY_TO, { noAck: true });
    await client.publish("", "requests", "question", { replyTo: REPLY_TO });
    const replyTo = (await server.get("requests"))?.properties.replyTo ?? "";
    await client.send(0, "connection.close", { replyCode: 200, replyText: "", classId: 0, methodId: 0 });
    await client.wire.closed();
    await server.publish("", replyTo, "too late");
    await server.publish("", replyTo, "too late", { mandatory: true });
    expect((await server.content("basic.return")).body).toBe("too late");
    await server.quiet();
  });

  it("has to be consumed from before it is named", async () => {
    const { client } = await open();
    await client.publish("", "requests", "question", { replyTo: REPLY_TO });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: "PRECONDITION_FAILED - fast reply consumer does not exist",
    });
  });

  it("ends with its consumer, and may begin anew", async () => {
    const { client } = await open();
    const tag = await client.consume(REPLY_TO, { noAck: true });
    await client.ask(1, "basic.cancel", { consumerTag: tag }, "basic.cancel-ok");
    await client.consume(REPLY_TO, { noAck: true });
    await client.say("basic.consume", { queue: REPLY_TO, noAck: true });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: "PRECONDITION_FAILED - reply consumer already set",
    });
  });

  it("leaves no queue behind when its consumer or its channel ends", async () => {
    const { client, broker } = await open();
    const queues = broker.server.broker.host(undefined)?.queues;
    const before = queues?.size;
    const tag = await client.consume(REPLY_TO, { noAck: true });
    expect(queues?.size).not.toBe(before);
    await client.ask(1, "basic.cancel", { consumerTag: tag }, "basic.cancel-ok");
    await eventually(() => expect(queues?.size).toBe(before));
    await client.consume(REPLY_TO, { noAck: true });
    await client.ask(1, "channel.close", {}, "channel.close-ok");
    await eventually(() => expect(queues?.size).toBe(before));
  });

  it("takes no acknowledgements", async () => {
    const { client } = await open();
    await client.say("basic.consume", { queue: REPLY_TO });
    expect(await client.expect("channel.close")).toMatchObject({
      replyCode: 406,
      replyText: "PRECONDITION_FAILED - reply consumer cannot acknowledge",
    });
  });
});
