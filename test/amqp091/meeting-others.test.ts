import { describe, expect, it, onTestFinished } from "vitest";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

async function open(): Promise<{ port: number; client: AmqpWire }> {
  const { port } = await startBroker();
  const client = await AmqpWire.channel(port);
  onTestFinished(() => client[Symbol.dispose]());
  return { port, client };
}

describe("AMQP 0-9-1 meets other protocols", () => {
  it("in queues of one name", async () => {
    const { port, client } = await open();
    using stomp = await StompWire.connect(port);
    await client.declare("orders.new", { durable: true });
    await stomp.request("SEND", { destination: "/queue/orders.new", color: "red", "content-type": "text/plain" }, "a");
    const got = await client.get("orders.new");
    expect(got).toMatchObject({ body: "a", method: { exchange: "", routingKey: "orders.new" } });
    expect(got?.properties.contentType).toBe("text/plain");
    expect(got?.properties.headers?.get("color")).toBe("red");
    await client.publish("", "orders.new", "b", { headers: new Map([["size", 5]]), correlationId: "c" });
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/queue/orders.new" });
    const message = await stomp.expect("MESSAGE");
    expect(message.body.toString()).toBe("b");
    expect(message.headers.get("size")).toBe("5");
    expect(message.headers.get("correlation-id")).toBe("c");
  });

  it("in topics, which are amq.topic", async () => {
    const { port, client } = await open();
    const queue = await client.declare("");
    await client.ask(1, "queue.bind", { queue, exchange: "amq.topic", routingKey: "news.*" }, "queue.bind-ok");
    using stomp = await StompWire.connect(port);
    await stomp.request("SEND", { destination: "/topic/news.today" }, "by STOMP");
    using mqtt = await MqttWire.connect(port);
    await mqtt.send({
      cmd: "publish",
      topic: "news/later",
      payload: "by MQTT",
      qos: 1,
      messageId: 1,
      dup: false,
      retain: false,
    });
    await mqtt.expect("puback");
    expect(await client.get(queue)).toMatchObject({
      body: "by STOMP",
      method: { exchange: "amq.topic", routingKey: "news.today" },
    });
    expect(await client.get(queue)).toMatchObject({
      body: "by MQTT",
      method: { exchange: "amq.topic", routingKey: "news.later" },
    });
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/topic/news.*" });
    await client.publish("amq.topic", "news.world", "by AMQP");
    const message = await stomp.expect("MESSAGE");
    expect(message.body.toString()).toBe("by AMQP");
    expect(message.headers.get("destination")).toBe("/topic/news.world");
  });

  it("answers a request of STOMP, and is answered by it", async () => {
    const { port, client } = await open();
    using stomp = await StompWire.connect(port);
    await client.declare("questions");
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/temp-queue/answers" });
    const about = { destination: "/queue/questions", "reply-to": "/temp-queue/answers", "correlation-id": "7" };
    await stomp.send("SEND", about, "?");
    await client.consume("questions", { noAck: true });
    const { properties } = await client.delivery();
    await client.publish("", properties.replyTo ?? "", "!", { correlationId: properties.correlationId });
    const answer = await stomp.expect("MESSAGE");
    expect([answer.body.toString(), answer.headers.get("correlation-id")]).toEqual(["!", "7"]);

    await stomp.request("SUBSCRIBE", { id: "2", destination: "/queue/others" });
    await client.consume("amq.rabbitmq.reply-to", { noAck: true });
    await client.publish("", "others", "??", { replyTo: "amq.rabbitmq.reply-to", correlationId: "8" });
    const question = await stomp.expect("MESSAGE");
    const to = question.headers.get("reply-to") ?? "";
    await stomp.send("SEND", { destination: to, "correlation-id": question.headers.get("correlation-id") ?? "" }, "!!");
    expect(await client.delivery()).toMatchObject({ body: "!!", properties: { correlationId: "8" } });
  });
});
