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
import { connectRhea, openReceiver, openSender, send } from "./clients/rhea-client.ts";
import { startBroker } from "./support/broker.ts";
import { eventually } from "./support/eventually.ts";
import { StompWire } from "./support/stomp-wire.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const TRACED = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "vendor=1" };

/** A client that publishes to the topic t what is traced, and hears what comes there. */
interface Side {
  publish(): Promise<unknown>;
  /** The traceparent and tracestate of the next message. */
  hear(): Promise<Readonly<Record<string, unknown>>>;
}

function traced(properties: object): Record<string, unknown> {
  const { traceparent, tracestate }: { traceparent?: unknown; tracestate?: unknown } = properties;
  return { traceparent, tracestate };
}

async function stomp(port: number): Promise<Side> {
  const client = await StompWire.connect(port);
  onTestFinished(() => client[Symbol.dispose]());
  await client.request("SUBSCRIBE", { id: "1", destination: "/topic/t" });
  return {
    publish: () => client.send("SEND", { destination: "/topic/t", ...TRACED }, "x"),
    hear: async () => traced(Object.fromEntries((await client.message()).headers)),
  };
}

async function mqtt(port: number): Promise<Side> {
  const client = await MqttjsClient.connect(port, 5);
  await client.mqtt.subscribeAsync("t");
  let heard = 0;
  return {
    publish: () => client.mqtt.publishAsync("t", "x", { qos: 1, properties: { userProperties: TRACED } }),
    hear: async () => {
      const place = heard++;
      await eventually(() => client.got.length > place);
      return traced(client.got[place]?.packet.properties?.userProperties ?? {});
    },
  };
}

async function amqp091(port: number): Promise<Side> {
  const connection = await connectAmqp(`amqp://guest:guest@127.0.0.1:${port}`);
  onTestFinished(() => connection.close());
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue("", { exclusive: true });
  await channel.bindQueue(queue, "amq.topic", "t");
  const got: object[] = [];
  await channel.consume(queue, (message) => message !== null && got.push(message.properties.headers ?? {}), {
    noAck: true,
  });
  let heard = 0;
  return {
    publish: async () => {
      channel.publish("amq.topic", "t", Buffer.from("x"), { headers: TRACED });
      await channel.waitForConfirms();
    },
    hear: async () => {
      const place = heard++;
      await eventually(() => got.length > place);
      return traced(got[place] ?? {});
    },
  };
}

async function amqp10(port: number): Promise<Side> {
  const connection = connectRhea(port);
  const inbox = await openReceiver(connection, "topic://t");
  const sender = await openSender(connection, "topic://t");
  return {
    publish: () => send(sender, { body: "x", application_properties: TRACED }),
    hear: async () => traced((await inbox.next()).message?.application_properties ?? {}),
  };
}

const SIDES = [stomp, mqtt, amqp091, amqp10];

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
    by: span.attributes["network.protocol.name"],
    failed: span.status.message,
  };
}

afterEach(() => trace.disable());

describe.each([
  ["STOMP", stomp, "STOMP 1.2"],
  ["MQTT 5", mqtt, "MQTT 5.0"],
  ["AMQP 0-9-1", amqp091, "AMQP 0-9-1"],
  ["AMQP 1.0", amqp10, "AMQP 1.0"],
] as const)("what is traced and sent over %s", (_protocol, from, spoken) => {
  it("keeps its traceparent over every protocol", async () => {
    const { port } = await startBroker();
    const sender = await from(port);
    const hearers = await Promise.all(SIDES.map((to) => to(port)));
    await sender.publish();
    for (const hearer of hearers) expect(await hearer.hear()).toEqual(TRACED);
  });

  it("has a span when it is published and one for each delivery, below that of its sender", async () => {
    const exporter = record();
    const { port } = await startBroker();
    const sender = await from(port);
    const hearer = await stomp(port);
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
  });

  it("costs nothing where no SDK was loaded", async () => {
    const { server } = await startBroker();
    expect(server.broker.engine.traffic.tracer).toBeUndefined();
  });
});
