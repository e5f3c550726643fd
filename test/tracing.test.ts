import { trace } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  ParentBasedSampler,
  AlwaysOnSampler,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { connect as connectAmqp } from "amqplib";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { MqttjsClient } from "./clients/mqttjs-client.ts";
import { connectRhea, type Inbox, openReceiver, openSender, send } from "./clients/rhea-client.ts";
import { AmqpWire } from "./support/amqp091-wire.ts";
import { startBroker, temporaryFolder } from "./support/broker.ts";
import { eventually } from "./support/eventually.ts";
import { type Answer, startManagement, type TestManagement } from "./support/management.ts";
import { StompWire } from "./support/stomp-wire.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const TRACED = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "vendor=1" };

/** A client of one protocol. */
interface Side {
  /** Publishes to the topic t what is traced and to be kept. */
  publish(): Promise<unknown>;
  /** The traceparent and tracestate of the next message of the topic t. */
  hear(): Promise<Readonly<Record<string, unknown>>>;
  /** Those of the next message of a queue. */
  take(queue: string): Promise<Readonly<Record<string, unknown>>>;
}

function traced(properties: object): Record<string, unknown> {
  const { traceparent, tracestate }: { traceparent?: unknown; tracestate?: unknown } = properties;
  return { traceparent, tracestate };
}

async function stomp({ broker }: TestManagement): Promise<Side> {
  const client = await StompWire.connect(broker.port);
  onTestFinished(() => client[Symbol.dispose]());
  await client.request("SUBSCRIBE", { id: "1", destination: "/topic/t" });
  const hear = async () => traced(Object.fromEntries((await client.message()).headers));
  return {
    publish: () => client.send("SEND", { destination: "/topic/t", persistent: "true", ...TRACED }, "x"),
    hear,
    take: async (queue) => {
      await client.send("SUBSCRIBE", { id: queue, destination: `/queue/${queue}` });
      return hear();
    },
  };
}

async function mqtt({ broker }: TestManagement): Promise<Side> {
  const client = await MqttjsClient.connect(broker.port, 5);
  await client.mqtt.subscribeAsync("t");
  let heard = 0;
  const hear = async () => {
    const place = heard++;
    await eventually(() => client.got.length > place);
    return traced(client.got[place]?.packet.properties?.userProperties ?? {});
  };
  return {
    publish: () => client.mqtt.publishAsync("t", "x", { qos: 1, properties: { userProperties: TRACED } }),
    hear,
    take: async (queue) => {
      await client.mqtt.subscribeAsync(`$queue/${queue}`, { qos: 1 });
      return hear();
    },
  };
}

async function amqp091({ broker }: TestManagement): Promise<Side> {
  const connection = await connectAmqp(`amqp://admin:secret@127.0.0.1:${broker.port}`);
  connection.on("error", () => {});
  onTestFinished(async () => {
    await connection.close().catch(() => {});
  });
  const channel = await connection.createConfirmChannel();
  const got: object[] = [];
  const consume = (queue: string) =>
    channel.consume(queue, (message) => message !== null && got.push(message.properties.headers ?? {}), {
      noAck: true,
    });
  const { queue: own } = await channel.assertQueue("", { exclusive: true });
  await channel.bindQueue(own, "amq.topic", "t");
  await consume(own);
  let heard = 0;
  const hear = async () => {
    const place = heard++;
    await eventually(() => got.length > place);
    return traced(got[place] ?? {});
  };
  return {
    publish: async () => {
      channel.publish("amq.topic", "t", Buffer.from("x"), { headers: TRACED, persistent: true });
      await channel.waitForConfirms();
    },
    hear,
    take: async (queue) => {
      await consume(queue);
      return hear();
    },
  };
}

async function nextOf(inbox: Inbox): Promise<Record<string, unknown>> {
  return traced((await inbox.next()).message?.application_properties ?? {});
}

async function amqp10({ broker }: TestManagement): Promise<Side> {
  const connection = connectRhea(broker.port, { username: "admin", password: "secret" });
  const inbox = await openReceiver(connection, "topic://t");
  const sender = await openSender(connection, "topic://t");
  return {
    publish: () => send(sender, { body: "x", durable: true, application_properties: TRACED }),
    hear: () => nextOf(inbox),
    take: async (queue) => nextOf(await openReceiver(connection, `queue://${queue}`)),
  };
}

function first({ body }: Answer): Record<string, unknown> {
  const { messages }: { messages?: { properties?: object }[] } = Object(body);
  return traced(messages?.[0]?.properties ?? {});
}

/** Who publishes says where it is in its trace as requests do, by headers. */
async function http(api: TestManagement): Promise<Side> {
  const of = "/api/v1/hosts/default";
  const wait_ms = 5000;
  const heard = api.post(`${of}/topics/t/consume`, { wait_ms });
  const host = api.broker.server.broker.host(undefined);
  await eventually(() =>
    [...(host?.clients ?? [])].some(({ protocol, subscriptions }) => protocol === "HTTP" && subscriptions.size > 0),
  );
  return {
    publish: () => api.post(`${of}/topics/t/messages`, { body: "x" }, { headers: TRACED }),
    hear: async () => first(await heard),
    take: async (queue) => first(await api.post(`${of}/queues/${queue}/consume`, { wait_ms })),
  };
}

const SIDES = [stomp, mqtt, amqp091, amqp10, http];

/** Has an SDK take what is traced from now on. */
function record(): InMemorySpanExporter {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  trace.setGlobalTracerProvider(provider);
  return exporter;
}

/** What matters of a span. */
interface Told {
  readonly name: string;
  readonly trace: string;
  readonly parent: string | undefined;
  readonly state: string | undefined;
  readonly by: unknown;
  readonly failed: string | undefined;
}

function tell(span: ReadableSpan): Told {
  const { traceId, traceState } = span.spanContext();
  return {
    name: span.name,
    trace: traceId,
    parent: span.parentSpanContext?.spanId,
    state: traceState?.serialize(),
    by: ["name", "version"]
      .map((what) => span.attributes[`network.protocol.${what}`])
      .join(" ")
      .trim(),
    failed: span.status.message,
  };
}

afterEach(() => trace.disable());

describe.each([
  ["STOMP", stomp, "stomp 1.2"],
  ["MQTT 5", mqtt, "mqtt 5.0"],
  ["AMQP 0-9-1", amqp091, "amqp 0-9-1"],
  ["AMQP 1.0", amqp10, "amqp 1.0"],
  ["HTTP", http, "http"],
] as const)("what is traced and sent over %s", (_protocol, from, spoken) => {
  it("keeps its traceparent over every protocol", async () => {
    const api = await startManagement();
    const sender = await from(api);
    const hearers = await Promise.all(SIDES.map((to) => to(api)));
    await sender.publish();
    for (const hearer of hearers) expect(await hearer.hear()).toEqual(TRACED);
  });

  it("keeps it on its way through an exchange, a queue, the dead letters and a restart, for every protocol", async () => {
    const directory = `store.directory=${temporaryFolder()}`;
    const queues = SIDES.map((_, n) => ({ match: `work${n}`, dead_letter_queue: `dead${n}` }));
    const settings = ["store.kind=lmdb", directory, `queues=${JSON.stringify(queues)}`];
    const before = await startManagement(settings);
    using wire = await AmqpWire.channel(before.broker.port, { user: "admin", password: "secret" });
    for (const n of SIDES.keys()) {
      await wire.declare(`work${n}`, { durable: true });
      await wire.say("queue.bind", { queue: `work${n}`, exchange: "amq.topic", routingKey: "t" });
      await wire.expect("queue.bind-ok");
    }
    await (await from(before)).publish();
    for (const n of SIDES.keys()) {
      await wire.consume(`work${n}`);
      const { method } = await wire.delivery();
      await wire.say("basic.reject", { deliveryTag: method.deliveryTag, requeue: false });
    }
    await eventually(() =>
      SIDES.every((_, n) => before.broker.server.broker.host(undefined)?.queues.get(`dead${n}`)?.count === 1),
    );
    await before.broker.stop();
    const after = await startManagement(settings);
    for (const [n, to] of SIDES.entries()) expect(await (await to(after)).take(`dead${n}`)).toEqual(TRACED);
  });

  it("has a span when it is published and one for each delivery, below that of its sender", async () => {
    const exporter = record();
    const api = await startManagement();
    const sender = await from(api);
    const hearer = await stomp(api);
    await sender.publish();
    await Promise.all([sender.hear(), hearer.hear()]);
    const spans = await eventually(() => {
      const finished = exporter.getFinishedSpans().map(tell);
      expect(finished).toHaveLength(3);
      return finished;
    });
    const common = { trace: TRACE, parent: SPAN, state: "vendor=1" };
    expect(spans.map(({ name }) => name).toSorted()).toEqual(["deliver t", "deliver t", "publish t"]);
    for (const span of spans) expect(span).toMatchObject(common);
    expect(spans.find(({ name }) => name === "publish t")?.by).toBe(spoken);
  });
});

describe("tracing", () => {
  it("leaves alone what nobody traces, and what says so in a way that makes no sense", async () => {
    const exporter = record();
    const { port } = await startBroker();
    using client = await StompWire.connect(port);
    const wrong = [
      "",
      "00-0-0-01",
      `ff-${TRACE}-${SPAN}-01`,
      `00-${"0".repeat(32)}-${SPAN}-01`,
      `00-${TRACE}-${SPAN}-01x`,
    ];
    await client.request("SEND", { destination: "/queue/q" }, "x");
    for (const traceparent of wrong) await client.request("SEND", { destination: "/queue/q", traceparent }, "x");
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  it("says what a message was refused for", async () => {
    const exporter = record();
    const { port } = await startBroker(['queues=[{"match":"full","max_messages":1,"full":"reject"}]']);
    using client = await StompWire.connect(port);
    await client.request("SEND", { destination: "/queue/full" }, "x");
    await client.send("SEND", { destination: "/queue/full", ...TRACED }, "x");
    await client.refused();
    const [span] = exporter.getFinishedSpans().map(tell);
    expect(span).toMatchObject({ name: "publish full", failed: expect.stringContaining("full") });
    expect(exporter.getFinishedSpans()[0]?.attributes).toMatchObject({
      "error.type": "full",
      "messaging.system": "delos",
      "messaging.operation.name": "publish",
      "messaging.operation.type": "receive",
      "messaging.destination.name": "full",
      "network.peer.address": "127.0.0.1",
      "network.peer.port": expect.any(Number),
      "delos.destination.kind": "queue",
    });
  });

  it("costs nothing where no SDK was loaded", async () => {
    const { server } = await startBroker();
    expect(server.broker.engine.traffic.tracer).toBeUndefined();
  });
});
