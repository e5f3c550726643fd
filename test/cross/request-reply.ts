/* Who asks and who answers, in the words of each protocol and in all the ways that its clients have. */
import type { Message, ReceiverOptions } from "rhea";
import { onTestFinished } from "vitest";
import { connectRhea, openReceiver, openSender, send } from "../clients/rhea-client.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { MqttWire } from "../support/mqtt-wire.ts";
import { StompWire } from "../support/stomp-wire.ts";

/** The queue that requests go to. */
const SERVICE = "service.upper";

/** An answer as the one who asked gets it. */
interface Answer {
  readonly body: string;
  /** What its protocol has as the correlation id, which must be the one that was asked with. */
  readonly correlation: unknown;
}

/** Asks for something to be written in capitals. */
export interface Asker {
  readonly name: string;
  /** Asks with each body, in order, and returns the answers; the correlation is of the number of the question. */
  ask(port: number, bodies: readonly string[]): Promise<Answer[]>;
  /** The correlation id of a question. */
  correlation(index: number): unknown;
}

/** Answers whatever comes to `SERVICE`. */
export interface Answerer {
  readonly name: string;
  start(port: number): Promise<void>;
}

/** What STOMP has to escape. */
function stompCorrelation(index: number): string {
  return `question: ${index}\n`;
}

/** Not UTF-8, which correlation data need not be. */
function mqttCorrelation(index: number): Buffer {
  return Buffer.from([0xff, index]);
}

function textCorrelation(index: number): string {
  return `c${index}`;
}

function stompAsker(replyTo: string): Asker {
  return {
    name: `STOMP with the reply-to ${replyTo}`,
    correlation: stompCorrelation,
    async ask(port, bodies) {
      using wire = await StompWire.connect(port);
      await wire.request("SUBSCRIBE", { id: "answers", destination: replyTo });
      for (const [index, body] of bodies.entries()) {
        const about = { "reply-to": replyTo, "correlation-id": stompCorrelation(index) };
        await wire.request("SEND", { destination: `/queue/${SERVICE}`, ...about }, body);
      }
      const answers: Answer[] = [];
      while (answers.length < bodies.length) {
        const { headers, body } = await wire.message();
        answers.push({ body: body.toString(), correlation: headers.get("correlation-id") });
      }
      return answers;
    },
  };
}

function mqttAsker(responseTopic: string): Asker {
  return {
    name: `MQTT 5.0 with the response topic ${responseTopic}`,
    correlation: mqttCorrelation,
    async ask(port, bodies) {
      using wire = await MqttWire.connect(port);
      await wire.subscribe(responseTopic);
      for (const [index, body] of bodies.entries()) {
        const properties = { responseTopic, correlationData: mqttCorrelation(index) };
        await wire.sendPublish(`$queue/${SERVICE.replaceAll(".", "/")}`, body, { properties });
      }
      const answers: Answer[] = [];
      while (answers.length < bodies.length) {
        const { payload, properties } = await wire.expect("publish");
        answers.push({ body: payload.toString(), correlation: properties?.correlationData });
      }
      return answers;
    },
  };
}

/** `prepare` makes the place where answers come, and returns the queue to consume from and the reply-to. */
function amqp091Asker(
  name: string,
  prepare: (wire: AmqpWire) => Promise<readonly [queue: string, replyTo: string]>,
): Asker {
  return {
    name: `AMQP 0-9-1 with ${name}`,
    correlation: textCorrelation,
    async ask(port, bodies) {
      using wire = await AmqpWire.channel(port);
      const [queue, replyTo] = await prepare(wire);
      await wire.consume(queue, { noAck: true });
      for (const [index, body] of bodies.entries()) {
        await wire.publish("", SERVICE, body, { replyTo, correlationId: textCorrelation(index) });
      }
      const answers: Answer[] = [];
      while (answers.length < bodies.length) {
        const { properties, body } = await wire.delivery();
        answers.push({ body, correlation: properties.correlationId });
      }
      return answers;
    },
  };
}

/** A string, a ulong and a uuid. */
const CORRELATIONS: readonly unknown[] = ["text", 7, Buffer.from("0123456789abcdef")];

function amqp10Asker(name: string, source: NonNullable<ReceiverOptions["source"]>, fixed?: string): Asker {
  return {
    name: `AMQP 1.0 with ${name}`,
    correlation: (index) => CORRELATIONS[index],
    async ask(port, bodies) {
      const connection = connectRhea(port);
      const inbox = await openReceiver(connection, { source });
      const replyTo: string = fixed ?? inbox.receiver.source.address;
      const sender = await openSender(connection, `queue://${SERVICE}`);
      for (const [index, body] of bodies.entries()) {
        await send(sender, { reply_to: replyTo, body, ...withCorrelation(CORRELATIONS[index]) });
      }
      const answers: Answer[] = [];
      while (answers.length < bodies.length) {
        const { message } = await inbox.next();
        answers.push({ body: textOf(message?.body), correlation: message?.correlation_id });
      }
      return answers;
    },
  };
}

function withCorrelation(id: unknown): Pick<Message, "correlation_id"> {
  return typeof id === "string" || typeof id === "number" || Buffer.isBuffer(id) ? { correlation_id: id } : {};
}

/** Every way to ask; MQTT 3.1.1 cannot say where to answer. */
export const ASKERS: readonly Asker[] = [
  stompAsker("/temp-queue/answers"),
  stompAsker("/temp-topic/answers"),
  stompAsker("/queue/stomp.answers"),
  stompAsker("/topic/stomp.answers"),
  stompAsker("/exchange/amq.direct/stomp.answers"),
  mqttAsker("mqtt/answers"),
  mqttAsker("$queue/mqtt/answers"),
  amqp091Asker("amq.rabbitmq.reply-to", () => Promise.resolve(["amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to"])),
  amqp091Asker("a queue that the broker names", async (wire) => {
    const queue = await wire.declare("", { exclusive: true });
    return [queue, queue];
  }),
  amqp091Asker("a queue whose name has signs of other protocols", async (wire) => {
    const queue = await wire.declare("/topic/my answers?&%2E#1", { exclusive: true });
    return [queue, `/queue/${queue}`];
  }),
  amqp091Asker("a topic", async (wire) => {
    const queue = await wire.declare("", { exclusive: true });
    const binding = { queue, exchange: "amq.topic", routingKey: "rabbit.answers" };
    await wire.ask(1, "queue.bind", binding, "queue.bind-ok");
    return [queue, "/topic/rabbit.answers"];
  }),
  amqp091Asker("an exchange", async (wire) => {
    const queue = await wire.declare("", { exclusive: true });
    const binding = { queue, exchange: "amq.direct", routingKey: "rabbit/answers" };
    await wire.ask(1, "queue.bind", binding, "queue.bind-ok");
    return [queue, "/exchange/amq.direct/rabbit/answers"];
  }),
  amqp10Asker("a dynamic queue", { address: "", dynamic: true }),
  amqp10Asker("a dynamic topic", { address: "", dynamic: true, capabilities: ["temporary-topic"] }),
  amqp10Asker("a queue", { address: "queue://amqp.answers" }),
  amqp10Asker("a topic", { address: "topic://amqp.answers" }),
  amqp10Asker("a plain name", { address: "amqp.answers" }),
  amqp10Asker("an address of RabbitMQ", { address: "queue://amqp my/answers" }, "/queues/amqp%20my%2Fanswers"),
];

const stompAnswerer: Answerer = {
  name: "STOMP",
  async start(port) {
    const wire = await StompWire.connect(port);
    onTestFinished(() => wire[Symbol.dispose]());
    await wire.request("SUBSCRIBE", { id: "requests", destination: `/queue/${SERVICE}` });
    serve(async () => {
      const { headers, body } = await wire.message();
      const correlation = headers.get("correlation-id");
      const about = correlation === undefined ? {} : { "correlation-id": correlation };
      await wire.send("SEND", { destination: headers.get("reply-to") ?? "", ...about }, upper(body.toString()));
    });
  },
};

const mqttAnswerer: Answerer = {
  name: "MQTT 5.0",
  async start(port) {
    const wire = await MqttWire.connect(port);
    onTestFinished(() => wire[Symbol.dispose]());
    await wire.subscribe(`$queue/${SERVICE.replaceAll(".", "/")}`);
    serve(async () => {
      const { payload, properties: { responseTopic = "", correlationData } = {} } = await wire.expect("publish");
      const properties = correlationData === undefined ? {} : { correlationData };
      await wire.sendPublish(responseTopic, upper(payload.toString()), { properties });
    });
  },
};

/** As RabbitMQ's clients do it: to the default exchange, whatever the reply-to is. */
const amqp091Answerer: Answerer = {
  name: "AMQP 0-9-1",
  async start(port) {
    const wire = await AmqpWire.channel(port);
    onTestFinished(() => wire[Symbol.dispose]());
    await wire.declare(SERVICE);
    await wire.consume(SERVICE, { noAck: true });
    serve(async () => {
      const { properties, body } = await wire.delivery();
      const { replyTo = "", correlationId } = properties;
      await wire.publish("", replyTo, upper(body), correlationId === undefined ? {} : { correlationId });
    });
  },
};

function amqp10Answerer(how: "a link for each" | "an anonymous link"): Answerer {
  return {
    name: `AMQP 1.0 by ${how}`,
    async start(port) {
      const connection = connectRhea(port);
      const requests = await openReceiver(connection, `queue://${SERVICE}`);
      const relay = how === "an anonymous link" ? await openSender(connection, { target: {} }) : undefined;
      serve(async () => {
        const { message } = await requests.next();
        const { reply_to: replyTo = "", correlation_id: id, body } = message ?? {};
        const answer = { body: upper(textOf(body)), ...withCorrelation(id) };
        if (relay !== undefined) relay.send({ to: replyTo, ...answer });
        else await send(await openSender(connection, replyTo), answer);
      });
    },
  };
}

/** Everybody who answers. */
export const ANSWERERS: readonly Answerer[] = [
  stompAnswerer,
  mqttAnswerer,
  amqp091Answerer,
  amqp10Answerer("a link for each"),
  amqp10Answerer("an anonymous link"),
];

function upper(text: string): string {
  return text.toUpperCase();
}

/** Answers until the test is over, when the connection ends under it. */
function serve(answer: () => Promise<void>): void {
  const run = async (): Promise<void> => {
    for (;;) await answer();
  };
  let over = false;
  let failure: unknown;
  onTestFinished(() => {
    over = true;
    if (failure !== undefined) throw failure;
  });
  run().catch((error: unknown) => {
    if (!over) failure = error;
  });
}

function textOf(body: unknown): string {
  if (typeof body === "string") return body;
  const content: unknown = typeof body === "object" && body !== null && "content" in body ? body.content : body;
  return Buffer.isBuffer(content) ? content.toString() : JSON.stringify(content);
}
