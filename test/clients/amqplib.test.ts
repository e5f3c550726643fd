import { type Channel, type ChannelModel, type ConfirmChannel, connect, type GetMessage, type Message } from "amqplib";
import { describe, expect, it, onTestFinished } from "vitest";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";

async function open(settings: readonly string[] = []): Promise<{ broker: TestBroker; connection: ChannelModel }> {
  const broker = await startBroker(["security.users.alice.password=secret", ...settings]);
  return { broker, connection: await login(broker) };
}

async function login(broker: TestBroker): Promise<ChannelModel> {
  const connection = await connect(`amqp://alice:secret@127.0.0.1:${broker.port}`);
  connection.on("error", () => undefined);
  onTestFinished(async () => {
    await connection.close().catch(() => undefined);
  });
  return connection;
}

/** Consumes, and returns what came so far. */
async function consume(channel: Channel, queue: string, options = { noAck: false }): Promise<Message[]> {
  const messages: Message[] = [];
  await channel.consume(queue, (message) => message !== null && messages.push(message), options);
  return messages;
}

function text(message: Message | false | undefined): string {
  return message === undefined || message === false ? "nothing" : message.content.toString();
}

/** Gets a message as soon as there is one. */
async function got(channel: Channel, queue: string, noAck = false): Promise<GetMessage> {
  const found: GetMessage[] = [];
  await eventually(async () => {
    const message = await channel.get(queue, { noAck });
    if (message === false) return false;
    found.push(message);
    return true;
  });
  return found[0] ?? expect.fail();
}

describe("amqplib", () => {
  it("sends to a queue and receives, with properties and headers of all types", async () => {
    const { connection } = await open();
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue("q", { durable: true });
    const headers = { text: "grüße \u{1f30a}", number: 1.5, big: 2 ** 40, yes: true, nested: { list: [1, "two"] } };
    channel.sendToQueue("q", Buffer.from("grüße \u{1f30a}"), {
      persistent: true,
      headers,
      contentType: "text/plain",
      correlationId: "c",
      messageId: "m",
      timestamp: 1_700_000_000,
      type: "t",
      appId: "a",
      priority: 3,
    });
    await channel.waitForConfirms();
    const message = await channel.get("q", { noAck: true });
    expect(text(message)).toBe("grüße \u{1f30a}");
    expect(message).toMatchObject({
      fields: { exchange: "", routingKey: "q", redelivered: false, messageCount: 0 },
      properties: {
        headers,
        contentType: "text/plain",
        correlationId: "c",
        messageId: "m",
        deliveryMode: 2,
        priority: 3,
      },
    });
  });

  it("sends a thousand messages with confirms, and a consumer acknowledges them in order", async () => {
    const { connection } = await open();
    const channel: ConfirmChannel = await connection.createConfirmChannel();
    await channel.assertQueue("q");
    await channel.prefetch(50);
    const bodies: string[] = [];
    await channel.consume("q", (message) => {
      if (message === null) return;
      bodies.push(text(message));
      channel.ack(message);
    });
    for (let number = 0; number < 1000; number++)
      channel.sendToQueue("q", Buffer.from(`${number}`), { persistent: true });
    await channel.waitForConfirms();
    await eventually(() => bodies.length === 1000);
    expect(bodies).toEqual(Array.from({ length: 1000 }, (_, number) => `${number}`));
    expect(await channel.checkQueue("q")).toMatchObject({ messageCount: 0, consumerCount: 1 });
  });

  it("publishes a megabyte through a topic exchange to those who are bound by a pattern", async () => {
    const { connection } = await open();
    const channel = await connection.createChannel();
    await channel.assertExchange("news", "topic", { durable: false });
    const { queue } = await channel.assertQueue("", { exclusive: true });
    await channel.bindQueue(queue, "news", "weather.#");
    const messages = await consume(channel, queue, { noAck: true });
    const body = Buffer.alloc(1_000_000, "abcdefg");
    channel.publish("news", "sports.today", Buffer.from("no"));
    channel.publish("news", "weather.europe.today", body);
    await eventually(() => messages.length === 1);
    expect(messages[0]?.content.equals(body)).toBe(true);
    expect(messages[0]?.fields).toMatchObject({ exchange: "news", routingKey: "weather.europe.today" });
  });

  it("is returned what is mandatory and goes nowhere", async () => {
    const { connection } = await open();
    const channel = await connection.createConfirmChannel();
    const returned: Message[] = [];
    channel.on("return", (message: Message) => returned.push(message));
    channel.publish("amq.direct", "nowhere", Buffer.from("a"), { mandatory: true });
    await channel.waitForConfirms();
    expect(returned.map(text)).toEqual(["a"]);
    expect(returned[0]?.fields).toMatchObject({ replyCode: 312, replyText: "NO_ROUTE" });
  });

  it("loses one channel over a mistake, and goes on with others", async () => {
    const { connection } = await open();
    const wrong = await connection.createChannel();
    wrong.on("error", () => undefined);
    await expect(wrong.checkQueue("missing")).rejects.toThrow(/404 \(NOT-FOUND\).*'missing'/);
    const right = await connection.createChannel();
    await right.assertQueue("q");
  });

  it("refuses messages, which come again or become dead letters", async () => {
    const { connection } = await open();
    const channel = await connection.createChannel();
    await channel.assertQueue("dead");
    await channel.assertQueue("q", { deadLetterExchange: "", deadLetterRoutingKey: "dead" });
    channel.sendToQueue("q", Buffer.from("a"));
    const first = await got(channel, "q");
    channel.nack(first);
    const second = await got(channel, "q");
    expect(second.fields.redelivered).toBe(true);
    channel.reject(second, false);
    const dead = await got(channel, "dead", true);
    expect(text(dead)).toBe("a");
    const [death] = dead.properties.headers?.["x-death"] ?? [];
    expect(death).toMatchObject({ queue: "q", reason: "rejected", exchange: "", count: 1, "routing-keys": ["q"] });
  });

  it("asks and is answered by direct reply-to", async () => {
    const { broker, connection } = await open();
    const server = await (await login(broker)).createChannel();
    await server.assertQueue("double");
    await server.consume("double", (message) => {
      if (message === null) return;
      const { replyTo, correlationId } = message.properties;
      server.sendToQueue(String(replyTo), Buffer.from(`${Number(text(message)) * 2}`), {
        correlationId: String(correlationId),
      });
      server.ack(message);
    });
    const channel = await connection.createChannel();
    const answers = await consume(channel, "amq.rabbitmq.reply-to", { noAck: true });
    channel.sendToQueue("double", Buffer.from("21"), { replyTo: "amq.rabbitmq.reply-to", correlationId: "c" });
    await eventually(() => answers.length === 1);
    expect(text(answers[0])).toBe("42");
    expect(answers[0]?.properties.correlationId).toBe("c");
  });

  it("is told that its consumer ends with its queue", async () => {
    const { connection } = await open();
    const channel = await connection.createChannel();
    await channel.assertQueue("q");
    const told: (Message | null)[] = [];
    await channel.consume("q", (message) => told.push(message));
    await channel.deleteQueue("q");
    await eventually(() => told.length === 1);
    expect(told).toEqual([null]);
  });

  it("with a wrong password is told so", async () => {
    const { broker } = await open();
    await expect(connect(`amqp://alice:wrong@127.0.0.1:${broker.port}`)).rejects.toThrow(/403 \(ACCESS-REFUSED\)/);
  });
});
